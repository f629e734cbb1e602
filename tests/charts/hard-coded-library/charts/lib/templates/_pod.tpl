{{- define "lib.pod" -}}
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: web
      image: example.com/team/web:1.2.3
{{- end -}}
