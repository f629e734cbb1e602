"""What a render needs to know, by the text of the templates."""

from __future__ import annotations

from pathlib import Path

import pytest

from helmpin.chart.archive import File, pack
from helmpin.render.needs import Needs, needs
from tests.support.small_charts import METADATA, small_chart

ASKING_CLUSTER = [
    "{{ .Capabilities.KubeVersion }}",
    "{{ if .Capabilities.APIVersions.Has `x/v1` }}",
    '{{ lookup "v1" "Secret" "a" "b" }}',
    '{{ (lookup "v1" "Secret" "a" "b").data }}',
    '{{ getHostByName "x" }}',
    "{{ if $.Release.IsInstall }}",
    "{{ $root.Release.IsUpgrade }}",
    "{{- if\n  .Release.IsInstall\n-}}",
]
ASKING_RELEASE = [
    "{{ .Release.Revision }}",
    "{{ toYaml .Release }}",
    "{{ with .Release }}{{ .Revision }}{{ end }}",
    '{{ index . "Release" "Revision" }}',
    '{{ printf "}}%v" .Release.Revision }}',
    "{{ .Release.IsUpgrade }}{{ .Release.Revision }}",
]
ASKING = [
    *(pytest.param(text, Needs.CLUSTER, id=text) for text in ASKING_CLUSTER),
    *(pytest.param(text, Needs.RELEASE, id=text) for text in ASKING_RELEASE),
]
NOT_ASKING = [
    "{{ .Release.Name }}-{{ .Release.Namespace }} {{ $.Release.Service }}",
    "# .Capabilities and lookup and .Release.Revision are not used here\n{{ .Values.x }}",
    "{{/* .Capabilities */}}{{- /* lookup */ -}}",
    "{{ .Values.lookups }} {{ .Values.ReleaseNotes }}",
    "plain",
]


@pytest.mark.parametrize(("text", "what"), ASKING)
def test_templates_that_ask(tmp_path: Path, text: str, what: Needs) -> None:
    assert needs(small_chart(tmp_path, templates__x_yaml=text), []) is what
    assert needs(small_chart(tmp_path, templates__NOTES_txt=text, templates__x_yaml=ASKING_CLUSTER[0]), []) is what


@pytest.mark.parametrize("text", NOT_ASKING)
def test_templates_that_do_not_ask(tmp_path: Path, text: str) -> None:
    assert needs(small_chart(tmp_path, templates__x_yaml=text), [{"a": ASKING_CLUSTER[0]}]) is Needs.NOTHING


def test_templates_of_dependencies_count_packed_or_not(tmp_path: Path) -> None:
    text = ASKING_RELEASE[0]
    assert needs(small_chart(tmp_path, charts__db__Chart_yaml=METADATA, charts__db__templates__x_yaml=text), [])
    packed = b"".join(pack({"Chart.yaml": File(METADATA.encode(), 0), "templates/x.yaml": File(text.encode(), 0)}, 0))
    assert needs(small_chart(tmp_path, charts__db_tgz=packed), []) is Needs.RELEASE


TPL = "{{ tpl .Values.x . }}"


@pytest.mark.parametrize(("text", "what"), ASKING)
@pytest.mark.parametrize("template", [TPL, "{{ .Values.x | toYaml }}"])
def test_values_and_files_count_where_a_template_evaluates_them(
    tmp_path: Path, text: str, what: Needs, template: str
) -> None:
    found = what if template == TPL else Needs.NOTHING
    assert needs(small_chart(tmp_path, templates__x_yaml=template), [{}, {"a": ["x", {"b": text}]}]) is found
    assert needs(small_chart(tmp_path, templates__x_yaml=template, files__x_txt=text), []) is found
    assert needs(small_chart(tmp_path, templates__x_yaml=template, values_yaml=f"a: |\n  {text}"), []) is found
    assert needs(small_chart(tmp_path, templates__x_yaml=template, crds__x_yaml=text), []) is found  # .Files has it


@pytest.mark.parametrize("text", NOT_ASKING[:2] + ["Capabilities, lookup: no action"])
def test_values_that_do_not_ask(tmp_path: Path, text: str) -> None:
    assert needs(small_chart(tmp_path, templates__x_yaml=TPL, values_yaml=text), [{"a": text}]) is Needs.NOTHING


BARE = [
    (".Release.IsUpgrade", Needs.CLUSTER),
    ("gt (int .Release.Revision) 1", Needs.RELEASE),
    ('.Capabilities.APIVersions.Has "x/v1"', Needs.CLUSTER),
    ("when", Needs.NOTHING),
]
"""Conditions whose braces the template adds."""


@pytest.mark.parametrize(("text", "what"), BARE)
@pytest.mark.parametrize(
    ("template", "makes_actions"),
    [
        ('{{ tpl (printf "{{ %s }}" .Values.when) . }}', True),
        ('{{ tpl (cat "{{" .Values.when "}}") . }}', True),
        ("{{ tpl (print `x{{ if ` .Values.when ` }}y{{ end }}`) $ }}", True),
        ('{{ if contains "{{" (toJson .Values.x) }}{{ tpl .Values.x . }}{{ end }}', False),
        ('{{ printf "{{ %s }}" .Values.when }}', False),
        ("{{ tpl .Values.when . }}", False),
    ],
)
def test_conditions_without_braces_count_where_a_template_adds_them(
    tmp_path: Path, text: str, what: Needs, template: str, makes_actions: bool
) -> None:
    found = what if makes_actions else Needs.NOTHING
    assert needs(small_chart(tmp_path, templates__x_yaml=template), [{"when": text, "x": "y"}]) is found
    assert needs(small_chart(tmp_path, templates__x_yaml=template, values_yaml=f"# of\nwhen: '{text}'\n"), []) is found
    assert (
        needs(small_chart(tmp_path, templates__x_yaml=template, values_yaml=f"# {text}\nx: y # {text}\n"), [])
        is Needs.NOTHING
    )
