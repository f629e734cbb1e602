{{- define "image" -}}
{{- $end := ternary (printf ":%s" (.service.tag | default .version)) (printf "@%s" .service.digest) (empty .service.digest) -}}
{{- printf "%s/%s%s" .service.registry .service.repository $end -}}
{{- end }}
