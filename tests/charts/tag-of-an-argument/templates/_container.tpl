{{- define "container" }}
{{- $tag := .root.Values.tagForAll | default .component.imageTag | default .root.Chart.AppVersion }}
- name: {{ .component.imageName | base }}
  image: {{ printf "%s/%s:%s" .root.Values.registry .component.imageName $tag }}
{{- end }}
