{{- define "labels" -}}
version: {{ regexReplaceAll "@(\\w+:\\w{0,5})\\w*" (.Values.image.tag | default .Chart.AppVersion) "@${1}" | quote }}
{{- end }}
