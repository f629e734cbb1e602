{{- define "init" -}}
{{- $_ := set .Values.image "repository" (printf "example.com/%s" (trimPrefix "example.com/" .Values.image.repository)) -}}
{{- $_ := set .Values "ready" true -}}
{{- end -}}
