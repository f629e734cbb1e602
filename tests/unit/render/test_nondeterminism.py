"""Which templates may be random, and the template that evaluates them a second time."""

from __future__ import annotations

import pytest

from helmpin.render.nondeterminism import (
    may_be_in_any_order,
    may_be_random,
    may_change_subcharts,
    may_set_for_others,
    template,
)
from helmpin.render.probe import HOOK_TEXT


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
        "{{ $names := keys .Values.env |\n  sortAlpha }}",
        "{{ .keys }}{{ $values }}{{ .Values.values }}{{ keysOf }}",
        "{{ sha256sum `x` }}",
        "# how to: randAlphaNum 5",
        "{{ .Values.a }} now {{ .Values.b }}",
        """{{`{"time": {"from": "now-1h", "to": "now"}}`}}""",
        '{{ fail "set it now: \\"x\\" is deprecated" }}',
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


def test_the_template_evaluates_each_in_its_own_scope() -> None:
    text = template(["app/templates/a.yaml", "app/charts/db/charts/x/templates/b.yaml"])
    assert '"Subcharts" "db" "Subcharts" "x"' in text
    assert 'include "app/templates/a.yaml"' in text and 'include "app/charts/db/charts/x/templates/b.yaml"' in text
    assert '"BasePath" "app/charts/db/charts/x/templates"' in text


@pytest.mark.parametrize("source", ["app/templates/templates/x.yaml", "app/templates/charts/db/templates/x.yaml"])
def test_a_folder_of_templates_may_have_any_name(source: str) -> None:
    text = template([source])
    assert '"BasePath" "app/templates"' in text and "{{- $scope := $ -}}" in text


def test_the_second_evaluation_sees_copies() -> None:
    """What a template sets in its values or in .Release must not be there for the templates that Helm renders."""
    text = template(["app/templates/a.yaml"])
    assert '"Values" (deepCopy $scope.Values) "Release" $release' in text and "$release := deepCopy $.Release" in text


def test_a_subchart_gets_its_values_from_the_copy_of_the_chart_above() -> None:
    alone, both = "app/charts/db/templates/a.yaml", ["app/charts/db/charts/x/templates/b.yaml", "app/templates/a.yaml"]
    assert "(index $charts" not in template([alone])
    of_app = '(index (index (index $charts "app").Values "db" | default dict) "x" | default dict)'
    assert f'"app/charts/db/charts/x" (dict "Values" {of_app}' in template(both)


def test_only_the_named_templates_that_are_random_count() -> None:
    files = {
        "_a.tpl": '{{ define "wild" }}{{ randAlpha 3 }}{{ end }}{{ define "calm" }}x{{ end }}',
        "calm.yaml": '{{ include "calm" . }}',
    }
    assert may_be_random(files) == {"_a.tpl"}


def test_it_is_a_hook_beside_which_helm_prints_all_objects_as_without_it() -> None:
    for text in (template(["app/templates/a.yaml"]), HOOK_TEXT):
        assert text.count("metadata:\n  annotations: {helm.sh/hook: test}\n  name: helm-pin-") == 1


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


@pytest.mark.parametrize(
    ("texts", "may"),
    [
        (["{{ set .Subcharts.db.Values `a` 1 }}"], True),
        (["{{ include `x` .Subcharts.db.Values }}", "{{ define `x` }}{{ set . `a` 1 }}{{ end }}"], True),
        (["{{ include `x` .Subcharts.db.Values }}", "{{ define `x` }}{{ .a }}{{ end }}"], False),
        (["{{ .Subcharts.db.Values.a }}", "{{ set .Values `a` 1 }}"], False),
        (["{{ set .Values `a` 1 }}"], False),
    ],
)
def test_who_may_change_subcharts(texts: list[str], may: bool) -> None:
    assert may_change_subcharts(texts) is may


def test_what_sets_something_for_others() -> None:
    files = {
        "init.yaml": "{{ $_ := set .Values `slot` 1 }}",
        "root.yaml": "{{ set $ `slot` 1 }}",
        "by-name.yaml": "{{ include `fill` . }}",
        "_h.tpl": "{{ define `fill` }}{{ $_ := mergeOverwrite .Values (dict `a` 1) }}{{ end }}",
        "local.yaml": "{{ $found := dict }}{{ $_ := set $found `a` 1 }}{{ merge $found .Values.a }}",
        "text.yaml": "# set .Values",
    }
    assert may_set_for_others(files) == {"init.yaml", "root.yaml", "by-name.yaml", "_h.tpl"}
    second = template(["app/templates/a.yaml"], ["app/templates/z.yaml"])
    assert second.index('include "app/templates/z.yaml"') < second.index('include "app/templates/a.yaml"'), (
        "helm's order"
    )
    assert '"app/templates/z.yaml" (include' not in second and '"app/templates/a.yaml" (include' in second
