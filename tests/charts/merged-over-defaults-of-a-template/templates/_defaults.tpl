{{- define "defaults" -}}
image: {repository: example.com/team/web, tag: 1.2.3}
sidecar: {image: "example.com/team/box:2.0.0"}
{{- end -}}
