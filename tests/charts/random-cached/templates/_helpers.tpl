{{- define "ca" -}}
{{- if not .Values.ca }}{{ $_ := set .Values "ca" (genCA "web" 365) }}{{ end -}}
{{ .Values.ca.Cert | b64enc }}
{{- end -}}
