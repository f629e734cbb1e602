"""The whole paths of what templates read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helmpin.templates.scan import chains
from helmpin.templates.spelled_out import spelled_out

ACTIONS = [
    "{{ .Values.image.tag }}",
    "{{ .tag }}",
    "{{ . }}",
    "{{ $w }}",
    "{{ $w.tag }}",
    "{{ $.Values.b.c }}",
    "{{- with .Values.a }}",
    "{{ with $x := .Values.a.b -}}",
    "{{ range .Values.list }}",
    "{{ range $k, $w := .Values.map }}",
    "{{ if .Values.a }}",
    "{{ else }}",
    "{{ else if .Values.b }}",
    "{{ else with .Values.b }}",
    "{{ end }}",
    "{{ $w := .Values.web }}",
    "{{ $w = .other }}",
    '{{ define "x" }}',
    '{{ block "x" .Values.a }}',
    '{{ dig "a" "b" "1" .Values.c }}',
    '{{ get .Values.c "a" }}',
    '{{ index .Values "a-b" "c" }}',
    '{{ $w := index .Values "a" }}',
    "{{ $w := merge .Values.a .Values.b }}",
    '{{ $w := mergeOverwrite (include "x" . | fromYaml) .Values.a }}',
    '{{ index $top.Values $s "image" "tag" }}',
    "{{ (.Values.a | default dict).tag }}",
    '{{ include "x" (dict "image" .Values.image) }}',
    "{{/* with .Values.a */}}",
    "{{ `{{ .tag }}` }}",
]


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("{{ with .Values.a }}{{ .tag }}{{ end }}{{ .tag }}", "{{ with .Values.a }}{{ .Values.a.tag }}{{ end }}{{ .tag }}"),
        ("{{ with $.Values.a }}{{ . }}{{ end }}", "{{ with $.Values.a }}{{ .Values.a }}{{ end }}"),
        ("{{ with $x := .Values.a }}{{ $x.tag }}{{ end }}", "{{ with $x := .Values.a }}{{ .Values.a.tag }}{{ end }}"),
        ("{{ with .Values.a }}{{ else }}{{ .tag }}{{ end }}", "{{ with .Values.a }}{{ else }}{{ .tag }}{{ end }}"),
        (
            "{{ with .Values.a }}{{ else with .Values.b }}{{ .tag }}{{ end }}",
            "{{ with .Values.a }}{{ else with .Values.b }}{{ .Values.b.tag }}{{ end }}",
        ),
        (
            "{{ with .Values.a }}{{ with .b }}{{ .c }}{{ end }}{{ .d }}{{ end }}",
            "{{ with .Values.a }}{{ with .Values.a.b }}{{ .Values.a.b.c }}{{ end }}{{ .Values.a.d }}{{ end }}",
        ),
        (
            "{{ with .Values.a }}{{ if .b }}{{ .c }}{{ end }}{{ end }}",
            "{{ with .Values.a }}{{ if .Values.a.b }}{{ .Values.a.c }}{{ end }}{{ end }}",
        ),
        ("{{ with .Values.a }}{{ $.Values.b.c }}{{ $.x }}{{ end }}", "{{ with .Values.a }}{{ $.Values.b.c }}{{ $.x }}{{ end }}"),
        ("{{ with .Values.a }}{{ ($.x).y }}{{ f.z }}{{ end }}", "{{ with .Values.a }}{{ ($.x).y }}{{ f.z }}{{ end }}"),
        ('{{ with .Values.a }}{{ ".tag" }}{{ end }}', '{{ with .Values.a }}{{ ".tag" }}{{ end }}'),
        ("{{ $w := .Values.a }}{{ $w.tag }}{{ $wx.tag }}", "{{ $w := .Values.a }}{{ .Values.a.tag }}{{ $wx.tag }}"),
        ("{{ $w := .Values.a }}{{ $w = .other }}{{ $w.tag }}", "{{ $w := .Values.a }}{{ $w = .other }}{{ $w.tag }}"),
        ("{{ $v := .Values }}{{ $v.a.tag }}", "{{ $v := .Values }}{{ .Values.a.tag }}"),
        ("{{ $w := .Values.a | default dict }}{{ $w.b }}", "{{ $w := .Values.a | default dict }}{{ .Values.a.b }}"),
        ("{{ $w := default dict .Values.a }}{{ $w.b }}", "{{ $w := default dict .Values.a }}{{ .Values.a.b }}"),
        (
            '{{ $w := mergeOverwrite (include "x" . | fromYaml) .Values }}{{ $w.a.b }}',
            '{{ $w := mergeOverwrite (include "x" . | fromYaml) .Values }}{{ .Values.a.b }}',
        ),
        (
            "{{ $w := mustMergeOverwrite (dict) .Values.a .Values.b }}{{ $w.c }}",
            "{{ $w := mustMergeOverwrite (dict) .Values.a .Values.b }}{{ .Values.b.c }}",
        ),
        (
            "{{ with merge (deepCopy .Values.a) .Values.b }}{{ .c }}{{ end }}",
            "{{ with merge (deepCopy .Values.a) .Values.b }}{{ .Values.a.c }}{{ end }}",
        ),
        ("{{ $w := deepCopy .Values.a }}{{ $w.b }}", "{{ $w := deepCopy .Values.a }}{{ .Values.a.b }}"),
        ("{{ $w := merge $x .y }}{{ $w.b }}", "{{ $w := merge $x .y }}{{ $w.b }}"),
        ("{{ $w := f .Values.a }}{{ $w.b }}", "{{ $w := f .Values.a }}{{ $w.b }}"),
        ("{{ $w := .Values.a }}{{ define `x` }}{{ $w.b }}{{ .c }}{{ end }}{{ $w.b }}",
         "{{ $w := .Values.a }}{{ define `x` }}{{ $w.b }}{{ .c }}{{ end }}{{ .Values.a.b }}"),
        ("{{ block `x` .Values.a }}{{ .b }}{{ end }}", "{{ block `x` .Values.a }}{{ .Values.a.b }}{{ end }}"),
        ("{{ range .Values.a }}{{ .b }}{{ end }}", "{{ range .Values.a }}{{ .Values.a.__each__.b }}{{ end }}"),
        (
            "{{ range $k, $v := .Values.a }}{{ $k.b }}{{ $v.c }}{{ end }}",
            "{{ range $k, $v := .Values.a }}{{ $k.b }}{{ .Values.a.__each__.c }}{{ end }}",
        ),
        (
            "{{ range $v := .Values.a }}{{ range .b }}{{ .c }}{{ end }}{{ end }}",
            "{{ range $v := .Values.a }}{{ range .Values.a.__each__.b }}{{ .Values.a.__each__.b.__each__.c }}{{ end }}{{ end }}",
        ),
        ("{{ range f .Values.c }}{{ .b }}{{ end }}", "{{ range f .Values.c }}{{ .b }}{{ end }}"),
        ("{{ (.Values.a | default dict).tag }}", "{{ .Values.a.tag }}"),
        ("{{ (default (dict) .Values.a).tag }}", "{{ .Values.a.tag }}"),
        ("{{ ((.Values.a).b).tag }}", "{{ .Values.a.b.tag }}"),
        ('{{ dig "a" "b" "1" .Values.c }}', '{{ .Values.c.a.b | default "1" }}'),
        ('{{ dig "a" .Chart.AppVersion .Values.c.d }}', "{{ .Values.c.d.a | default .Chart.AppVersion }}"),
        ('{{ dig "a-b" "1" .Values.c }}', '{{ .Values.c.a-b | default "1" }}'),
        ('{{ dig "a/b" "1" .Values.c }}', '{{ dig "a/b" "1" .Values.c }}'),
        ('{{ dig "a" "b" "" $w }}', '{{ $w.a.b | default "" }}'),
        ('{{ get .Values.c "a" }}', "{{ .Values.c.a }}"),
        ('{{ get (get .Values "a") "b" }}', "{{ .Values.a.b }}"),
        ('{{ get (.Values.a | default dict) "b" }}', "{{ .Values.a.b }}"),
        ('{{ get . "a" }}', "{{ .a }}"),
        ('{{ index .Values "my-web" "image" "tag" | default "1" }}', '{{ .Values.my-web.image.tag | default "1" }}'),
        ('{{ (index .Values "my-web").image.tag }}', "{{ .Values.my-web.image.tag }}"),
        ('{{ $w := index .Values "web" }}{{ $w.tag }}', "{{ $w := .Values.web }}{{ .Values.web.tag }}"),
        ('{{ with (index .Values "web") }}{{ .tag }}{{ end }}', "{{ with (.Values.web) }}{{ .Values.web.tag }}{{ end }}"),
        ('{{ index $top.Values "web" "tag" }}', "{{ $top.Values.web.tag }}"),
        ('{{ index $top.Values $s "image" "tag" }}', "{{ (index $top.Values $s).image.tag }}"),
        ('{{ index .Values "a" $s "image" }}', '{{ (index .Values "a" $s).image }}'),
        ('{{ index .Values.list 0 "image" }}', '{{ index .Values.list 0 "image" }}'),
        ('{{ index .Values "image" $key }}', '{{ index .Values "image" $key }}'),
        ('{{ target .Values.c "a" }}', '{{ target .Values.c "a" }}'),
        ('{{ (dig "a" dict .Values.AsMap).tag }}', "{{ .Values.a.tag }}"),
        ('{{ dig "a" "tag" "1" $.Values.AsMap }}', '{{ $.Values.a.tag | default "1" }}'),
        ('{{ with .Values.a }}{{ print .b "c" }}{{ end }}', '{{ with .Values.a }}{{ print .Values.a.b "c" }}{{ end }}'),
        (
            "{{ with .Values.a }}{{ with .b }}{{ end }}{{ else }}{{ .c }}{{ end }}",
            "{{ with .Values.a }}{{ with .Values.a.b }}{{ end }}{{ else }}{{ .c }}{{ end }}",
        ),
        ("{{/* {{ with .Values.a */}}{{ .tag }}", "{{/* {{ with .Values.a */}}{{ .tag }}"),
        ("{{ end }}{{ with .Values.a }}{{ .b }}", "{{ end }}{{ with .Values.a }}{{ .Values.a.b }}"),
    ],
)  # fmt: skip
def test_forms(text: str, spelled: str) -> None:
    assert spelled_out(text) == spelled


@given(st.lists(st.sampled_from(ACTIONS), max_size=12))
def test_what_is_read_by_its_whole_path_stays_so(parts: list[str]) -> None:
    """Nothing that the text shows is lost, no text outside actions changes, and once is enough."""
    text = " image: ".join(parts)
    spelled = spelled_out(text)
    assert all(any(found[: len(chain)] == chain for found in chains(spelled)) for chain in chains(text))
    assert spelled.count(" image: ") == text.count(" image: ")
    assert spelled_out(spelled) == spelled


@pytest.mark.parametrize(
    "text",
    [
        "get with range dig := " * 50_000,
        "{{ $x := " + "(" * 20_000 + ".Values.a" + " " * 20_000 + "| }}",
        "{{ with .Values.a }}" * 2_000 + "{{ .b }}" * 2_000,
    ],
    ids=["plain text", "white space", "nested"],
)
def test_long_texts_end(text: str) -> None:
    """In quadratic time they would take hours."""
    assert spelled_out(text)
