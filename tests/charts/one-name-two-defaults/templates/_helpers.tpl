{{- define "image" -}}
{{ .image.repository }}:{{ default .defaultTag .image.tag }}
{{- end -}}

{{- define "test.image" -}}
{{ template "image" (dict "image" .Values.test.image "defaultTag" "latest") }}
{{- end -}}
