"""Templates that print all annotations print them without the record."""

from __future__ import annotations

import pytest

from helmpin.asked import ANNOTATION
from helmpin.templates.record_filter import filter_record, may_expose_record

PATH = "templates/x.yaml"


def without(name: str) -> str:
    read = f"(fromJson (toJson {name}))"
    own = f'(omit {read} "{ANNOTATION}")'
    return f'(index (dict "true" {own} "false" {name}) (toString (hasKey {read} "{ANNOTATION}")))'


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("{{ toYaml @ }}", ".Chart.Annotations"),
        ("{{- @ | toYaml -}}", ".Chart.Annotations"),
        ("{{ range $k, $v := @ }}", ".Chart.Annotations"),
        ("{{ with @ }}{{ . }}{{ end }}", "$.Chart.Annotations"),
        ("{{ toJson @ }}", "$root.Chart.Annotations"),
        ("{{ toJson @ }}", ".context.Chart.Annotations"),
        ("{{ toJson @ }}", "$.root.Chart.Annotations"),
        ("{{ index @ $key }}", ".Chart.Annotations"),
        ('{{ "}}" }}{{ printf "}}%s" (toJson @) }}', ".Chart.Annotations"),
        ("{{ toJson (merge @ .Values.annotations) }}", ".Chart.Annotations"),
        ("""{{ if eq $c '"' }}{{ toJson @ }}{{ end }}""", ".Chart.Annotations"),
        ("""{{ if eq $c '"' (toJson @) "x" }}""", ".Chart.Annotations"),
    ],
)
def test_all_annotations(text: str, name: str) -> None:
    assert filter_record({PATH: text.replace("@", name)}) == {PATH: text.replace("@", without(name))}


@pytest.mark.parametrize(
    "text",
    [
        "{{ .Chart.Annotations.category }}",
        '{{ index .Chart.Annotations "category" }}',
        "{{ index .Chart.Annotations `category` }}",
        "{{ .Chart.AnnotationsOfMine }}",
        "{{ .MyChart.Annotations }}",
        "# all of .Chart.Annotations",
        '{{ fail "no key x in .Chart.Annotations" }}',
        '{{ tpl "{{ toYaml .Chart.Annotations }}" . }}',
        "{{ tpl `{{ toYaml .Chart.Annotations }}` . }}",
        "{{ .Chart.Name }}",
    ],
)
def test_what_reads_no_annotation_but_its_own(text: str) -> None:
    assert filter_record({PATH: text}) == {}


def test_only_the_templates_that_print_them_are_changed() -> None:
    files = {"a": "{{ .Chart.Annotations }}", "b": "{{ .Chart.Version }}", "c": "plain"}
    assert filter_record(files).keys() == {"a"}


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("{{ toJson .Chart }}", True),
        ("{{ $chart := .Chart }}{{ $chart.Annotations }}", True),
        ("{{ with .Chart }}{{ .Annotations }}{{ end }}", True),
        ("{{ toJson (index . 0).Chart.Annotations }}", True),
        ('{{ toJson (get . "root").Chart.Annotations }}', True),
        ('{{ toJson (index $ "Chart") | sha256sum }}', True),
        ("{{ toYaml . | sha256sum }}", True),
        ("{{- $ | toJson | sha256sum }}", True),
        ('{{ printf "%v" $ | len }}', True),
        ("{{ (. | toJson) | sha256sum }}", True),
        ('{{ tpl "{{ toYaml .Chart.Annotations }}" . }}', True),
        ('{{ include "chart.name" . }}', False),
        ('{{ include "chart.name" . | quote }}', False),
        ("{{ toYaml .Values | quote }}", False),
        ("{{ toYaml $pod }}", False),
        ('{{ printf "%s-%s" .Release.Name .Chart.Name }}', False),
        ("{{ .Chart.Name }}", False),
        ("{{ (index . 0).Chart.Annotations.mine }}", False),
        ("{{ .Values.Charts }}", False),
    ],
)
def test_what_may_print_the_record_all_the_same(text: str, may: bool) -> None:
    assert may_expose_record([text]) is may
    assert filter_record({PATH: text}) == {}


def test_what_is_filtered_prints_no_record() -> None:
    files = {PATH: "{{ toJson .Chart.Annotations }}"}
    assert not may_expose_record([text or "" for text in {**files, **filter_record(files)}.values()])
