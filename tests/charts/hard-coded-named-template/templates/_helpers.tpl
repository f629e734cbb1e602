{{- define "container" -}}
- name: {{ . }}
  image: {{ printf "%s/%s:%s" "example.com" "team/web" "1.2.3" }}
{{- end -}}
