{{- define "app.pod" -}}
containers:
  - name: web
    image: example.com/team/web:1.0.0
{{- end -}}
