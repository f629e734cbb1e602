"""What changes a map of values, and what only a map of its own."""

from __future__ import annotations

import pytest

from helmpin.render.shared_maps import changes_shared_map


@pytest.mark.parametrize(
    ("template", "changes"),
    [
        ('{{ $_ := set .Values "a" 1 }}', True),
        ('{{- $_ := set $ "a" 1 -}}', True),
        ('{{ $_ := unset $.Values.image "tag" }}', True),
        ("{{ $all := mustMergeOverwrite .Values.a .Values.b }}", True),
        ("{{ mergeOverwrite (default dict .Values.a) .Values.b | toYaml }}", True),
        ('{{ include "x" (merge . (dict "a" 1)) }}', True),
        ('{{ $a := .Values.a }}{{ $_ := set $a "b" 1 }}', True),
        ('{{ $a := dict }}{{ $a = .Values.a }}{{ $_ := set $a "b" 1 }}', True),
        ('{{ range $name, $each := .Values.all }}{{ $_ := set $each "name" $name }}{{ end }}', True),
        ('{{ $_ := set .Values.a "b" 1 | toYaml }}', True),
        ('{{ $a := dict }}{{ $_ := set $a.b "c" 1 }}', True),
        ('{{ $a := list .Values | first }}{{ $_ := set $a "b" 1 }}', True),
        ('{{ $a := (dict "b" .Values).b }}{{ $_ := set $a "c" 1 }}', True),
        ('{{ $_ := set (dict "b" .Values).b "c" 1 }}', True),
        ('{{ $a := dict "b" 1 }}{{ $_ := set $a "c" 1 }}', False),
        ('{{ $a := include "x" . | fromYaml }}{{ $_ := set $a "c" 1 }}', False),
        ('{{ $a := .Values.a | deepCopy }}{{ $a = merge (dict "b" 1) $a }}{{ $b := deepCopy $a }}', False),
        ("{{ $a := deepCopy .Values.a }}{{ $a := mustMergeOverwrite $a .Values.b }}", True),
        ("{{ toYaml (merge (dict) .Values.a) }}", False),
        ('{{ merge (include "x" . | fromYaml) .Values.a | toYaml }}', False),
        ("{{/* set .Values to merge . */}} set .Values merge .", False),
        ('{{ fail "set .a, or merge them" }}', True),
    ],
)
def test_what_changes_a_map_of_others(template: str, changes: bool) -> None:
    assert changes_shared_map(template) is changes
