{{- define "all" }}{{ toJson .Chart.Annotations }} {{ len .Chart.Annotations }}{{ end }}
