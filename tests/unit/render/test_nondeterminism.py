"""Which templates may be random."""

from __future__ import annotations

import pytest

from helmpin.render.nondeterminism import may_be_in_any_order, may_be_random


@pytest.mark.parametrize(
    "call",
    [
        "randAlphaNum 5",
        "randBytes 3",
        "genCA `x` 1",
        "genSelfSignedCert",
        "genPrivateKey `rsa`",
        "uuidv4",
        "now | date",
        "htpasswd `a` `b`",
        "bcrypt `x`",
        "shuffle",
        'printf "%s}}" (randAlpha 3)',
        "printf `}}` | cat (randAlpha 3)",
        "tpl `{{ now }}` .",
        'printf "\\"" | cat (randAlpha 3)',
        "range keys .Values.env",
        "keys .Values.env | join `,`",
        "values .Values.env | first",
    ],
)
def test_a_random_function(call: str) -> None:
    assert may_be_random({"a": f"{{{{ {call} }}}}", "b": "{{ .Values.x }}"}) == {"a"}


@pytest.mark.parametrize(
    "text",
    [
        "{{ .Values.known }}",
        "{{ .Values.randomize }}",
        "{{ if gt (len (keys .Values.env)) 1 }}",
        "{{ if keys .Values.env | len }}",
        "{{ range keys .Values.env | sortAlpha }}",
        "{{ range $key := sortAlpha (keys .Values.env) }}",
        "{{ $names := keys .Values.env |\n  sortAlpha }}",
        "{{ .keys }}{{ $values }}{{ .Values.values }}{{ keysOf }}",
        "{{ sha256sum `x` }}",
        "# how to: randAlphaNum 5",
        "{{ .Values.a }} now {{ .Values.b }}",
        """{{`{"time": {"from": "now-1h", "to": "now"}}`}}""",
        '{{ fail "set it now: \\"x\\" is deprecated" }}',
        '{{ printf "one of %s" (join "," (keys $presets)) | fail }}',
        "{{ fail (keys .Values.x | join `,`) }}",
    ],
)
def test_what_is_not_random(text: str) -> None:
    assert may_be_random({"a": text}) == set()


def test_through_named_templates() -> None:
    files = {
        "_a.tpl": '{{- define "deep" -}}{{ randAlpha 3 }}{{- end -}}{{ define `mid` }}{{ include "deep" . }}{{ end }}',
        "_c.tpl": '{{ define "top" }}{{ template `mid` . }}{{ end }}',
        "_b.tpl": '{{ define "calm" }}x{{ end }}',
        "direct.yaml": '{{ include "deep" . }}',
        "mid.yaml": "{{ template `mid` . }}",
        "top.yaml": '{{ include "top" . }}',
        "calm.yaml": '{{ include "calm" . }}',
    }
    assert may_be_random(files) >= {"direct.yaml", "mid.yaml", "top.yaml"}
    assert "calm.yaml" not in may_be_random(files)


def test_what_tpl_evaluates() -> None:
    files = {
        "_a.tpl": '{{ define "eval" }}{{ tpl .text .at }}{{ end }}',
        "a.yaml": "{{ tpl .Values.x . }}",
        "b.yaml": '{{ include "eval" . }}',
        "c.yaml": "# tpl {{ .Values.tpl }}",
    }
    assert may_be_random(files) == set()
    assert may_be_random(files, tpl=True) - {"_a.tpl", "c.yaml"} == {"a.yaml", "b.yaml"}


def test_only_the_named_templates_that_are_random_count() -> None:
    files = {
        "_a.tpl": '{{ define "wild" }}{{ randAlpha 3 }}{{ end }}{{ define "calm" }}x{{ end }}',
        "calm.yaml": '{{ include "calm" . }}',
    }
    assert may_be_random(files) == {"_a.tpl"}


def test_what_is_random_need_not_be_in_any_order() -> None:
    files = {
        "_h.tpl": '{{ define "keys" }}{{ keys .Values }}{{ end }}',
        "a": "{{ uuidv4 }}",
        "b": '{{ include "keys" . }}',
        "c": "{{ tpl .Values.x . }}",
    }
    assert may_be_in_any_order(files) == {"_h.tpl", "b"} and may_be_in_any_order(files, tpl=True) == {
        "_h.tpl",
        "b",
        "c",
    }


def test_a_named_template_whose_name_is_computed_may_be_any() -> None:
    files = {
        "_h.tpl": '{{ define "x.random" }}{{ uuidv4 }}{{ end }}{{ define "any" }}{{ include .name . }}{{ end }}',
        "a": '{{ include (printf "%s.random" "x") . }}',
        "b": '{{ include "any" . }}',
        "c": '{{ include (print $.Template.BasePath "/secret.yaml") . | sha256sum }}',
        "d": "{{ include $name . }}",
        "e": '{{ include "x" . }}',
    }
    assert may_be_random(files) == {"_h.tpl", "a", "b", "d"}
    assert may_be_random({**files, "_h.tpl": files["_h.tpl"].replace("uuidv4", ".x")}) == set()
