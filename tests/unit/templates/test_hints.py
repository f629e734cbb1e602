"""What the templates of a chart and its subcharts show, each chart's for itself."""

from __future__ import annotations

import pytest

from helmpin.render.repeatable import changed_files
from helmpin.templates.hints import TemplateHints, chart_folder

FILES = {
    "templates/web.yaml": "image: {{ .Values.web.image.tag }}",
    "templates/secret.yaml": "token: {{ randAlphaNum 8 }}",
    "charts/db/templates/db.yaml": "image: {{ .Values.db.image.digest }}",
    "charts/db/charts/lib/templates/_image.tpl": '{{ define "lib.image" }}{{ .r }}@sha256:{{ .sha }}{{ end }}',
    "charts/db/charts/lib/templates/more.yaml": '{{ printf "%s@sha256:%s" .r .digest }}',
}


def test_each_chart_reads_its_own_templates() -> None:
    hints = TemplateHints(FILES)
    assert "tag" in hints.scan("").after(("web", "image"))
    assert "digest" not in hints.scan("").after(("db", "image"))
    assert "digest" in hints.scan("charts/db/").after(("db", "image"))


def test_a_helper_that_gets_none_of_helms_objects_is_not_fixed() -> None:
    helper = '{{ define "word" }}{{ randAlpha 3 }}{{ end }}'
    for argument, unfixed in (("(list 3)", {"templates/web.yaml"}), (".", set())):
        files = {"templates/_h.tpl": helper, "templates/web.yaml": f'{{{{ include "word" {argument} }}}}'}
        assert TemplateHints(files, {**files, **changed_files(files)}).unfixed == unfixed


def test_a_library_counts_where_the_own_templates_show_no_digest() -> None:
    lent = {**FILES, "charts/db/templates/db.yaml": 'image: {{ include "lib.image" .Values.db.image }}'}
    assert TemplateHints(lent).scan("charts/db/").forms("sha", "sha256:abc") == ["abc", "sha256:abc"]
    bare = {**lent, "charts/db/templates/own.yaml": "image: {{ .r }}@{{ .sha }}"}
    assert TemplateHints(bare).scan("charts/db/").forms("sha", "sha256:abc") == ["sha256:abc", "abc"]


@pytest.mark.parametrize(
    ("own", "reads"),
    [
        ('{{ include "lib.image" .Values.image }}', {"digest"}),
        ('{{ include "lib.pod" . }}', {"digest"}),
        ('{{ include (printf "%s.image" .Values.kind) . }}', {"digest", "sha"}),
        ('image: {{ include "image" .Values.image }}', set()),
    ],
)
def test_a_subchart_lends_the_named_templates_that_are_used(own: str, reads: set[str]) -> None:
    files = {
        "templates/all.yaml": own,
        "charts/lib/templates/_image.tpl": '{{ define "lib.image" }}{{ .repository }}@{{ .digest }}{{ end }}'
        '{{ define "lib.pod" }}{{ include "lib.image" .Values.image }}{{ end }}',
        "charts/db/templates/_image.tpl": '{{ define "db.image" }}{{ .Values.image.sha }}{{ end }}',
    }
    found = TemplateHints(files).scan("").after(("image",), "repository")
    assert {key for key in found if key in ("digest", "sha")} == reads


@pytest.mark.parametrize(
    "line", ["image: {{ .Values.web.tag }}", "{{ $x.image }}{{ .Values.web.tag }}", "sideImage: {{ .Values.web.tag }}"]
)
def test_a_template_that_has_to_do_with_images_is_read(line: str) -> None:
    scan = TemplateHints({"templates/a.yaml": line, "templates/b.yaml": "replicas: {{ .Values.web.version }}"}).scan("")
    assert scan.after(("web",)) == ["tag"]


def test_templates_are_read_once() -> None:
    hints = TemplateHints(FILES)
    assert hints.scan("charts/db/") is hints.scan("charts/db/")


def test_the_keys_that_are_read_but_not_of_helms_own_objects() -> None:
    text = "{{ .Values.a.b }}{{ .override }}{{ $x.tag }}{{ .Chart.AppVersion }}{{ .Capabilities.KubeVersion.Minor }}"
    hints = TemplateHints({"templates/a.yaml": text, "charts/db/templates/b.yaml": "{{ .ref }}"})
    assert hints.keys("") == {"b", "override", "tag", "ref"}
    assert hints.keys("charts/db/") == {"ref"}


def test_a_comment_reads_nothing() -> None:
    body = '{{/* .Values.path */}}{{ define "x" }}{{ .Values.tag }}{{- /*\n.Values.no */ -}}{{ end }}{{/* .Values.next */}}'
    hints = TemplateHints({"templates/_h.tpl": body, "templates/a.yaml": '{{ include "x" . }}{{/* .Values.none */}}'})
    assert hints.reads("templates/a.yaml") == {("tag",)}


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("templates/job-templates/job.yaml", ""),
        ("charts/db/templates/x-templates/y.yaml", "charts/db/"),
    ],
)
def test_a_folder_whose_name_ends_with_templates_is_no_chart(path: str, folder: str) -> None:
    assert chart_folder(path) == folder


@pytest.mark.parametrize(
    ("template", "unfixed"),
    [
        ('{{ tpl (printf "{{ values .Values.map | first }}") $ }}', True),
        ('{{ $text := "{{ randAlpha 5 }}" }}{{ tpl $text $ }}', False),
        ('{{ tpl "{{ randAlpha 5 }}" $ }}', False),
        ("{{ tpl .Values.text $ }} {{ randAlpha 5 }}", False),
        ("{{ tpl .Values.text $ }} and values", False),
    ],
)
def test_what_tpl_makes_at_random_of_a_computed_text_is_not_fixed(template: str, unfixed: bool) -> None:
    files = {"templates/a.yaml": template}
    assert bool(TemplateHints(files, {**files, **changed_files(files)}).unfixed) is unfixed


@pytest.mark.parametrize(
    ("body", "alone"),
    [
        (
            "{{ if .Values.a.over }}{{ .Values.a.over }}{{ else }}{{ .Values.a.repository }}:{{ .Values.a.tag }}{{ end }}",
            {("a", "over")},
        ),
        (
            "{{- if .Values.a.x -}}\n  {{- printf .Values.a.x -}}\n{{- else -}} {{ .Values.a.registry }}/w {{- end -}}",
            {("a", "x")},
        ),
        ("{{ if .Values.a.x }}{{ .Values.a.x | quote }}{{ end }}{{ .Values.a.tag }}", {("a", "x")}),
        ("{{ if .Values.a.x }}{{ .Values.a.x }}-y{{ else }}{{ .Values.a.tag }}{{ end }}", set()),
        ("{{ if .Values.nameOverride }}{{ .Values.nameOverride }}{{ else }}{{ .Chart.Name }}{{ end }}", set()),
    ],
)
def test_what_a_named_template_prints_alone(body: str, alone: set[tuple[str, ...]]) -> None:
    """If it reads parts of images at all."""
    hints = TemplateHints({"templates/_helpers.tpl": f'{{{{ define "web.image" }}}}{body}{{{{ end }}}}'})
    assert hints.printed_alone == alone


@pytest.mark.parametrize(
    ("text", "cuts"),
    [
        ('{{ .Values.tag | regexFind "^[^@]+" }}', True),
        ('{{ (splitList "@" .Values.image) | first }}', True),
        ('{{ mustRegexReplaceAll "@.*" .Values.tag "" }}', True),
        ('{{ printf "%s@%s" .r .digest }}', False),
        ('{{ splitList ":" .Values.image }} me@example.com', False),
    ],
)
def test_what_may_cut_a_digest_off(text: str, cuts: bool) -> None:
    files = {"charts/db/templates/a.yaml": text, "templates/b.yaml": "{{ .Values.tag }}"}
    hints = TemplateHints(files)
    assert (hints.cut_digests(""), hints.cut_digests("charts/db/"), hints.cut_digests("charts/web/")) == (
        cuts,
        cuts,
        False,
    )


def test_helpers_are_read_though_they_do_not_mention_images() -> None:
    helper = '{{ define "web.ref" }}{{ .Values.web.repo }}:{{ .Values.web.rel }}{{ end }}'
    manifest = '{{ .Values.far }}\nspec: {{ include "web.ref" . }}'
    hints = TemplateHints({"templates/_h.tpl": helper, "templates/a.yaml": manifest})
    assert hints.scan("").beside([("web", "repo")])[0] == [("web", "repo"), ("web", "rel")]
    assert hints.scan("").after(()) == [] and "far" not in hints.scan("").after(("Values",))


def test_what_a_template_reads_and_what_of_it_in_a_condition() -> None:
    """By whatever way, itself or in the named templates that it uses."""
    files = {
        "templates/_h.tpl": '{{ define "image" }}{{ if .Values.b.tag }}{{ .Values.b.name }}{{ end }}{{ end }}',
        "templates/a.yaml": """\
image: {{ include "image" . }}
{{- with .Values.c }}{{ .tag }}{{ else if eq (index $.Values "my-d" "tag") "1" }}{{ end }}
{{ get .Values.e "tag" }}{{/* if .Values.f */}}
""",
    }
    hints = TemplateHints(files)
    assert hints.asks("templates/a.yaml") == {("b", "tag"), ("c",), ("my-d", "tag")}
    read = {("b", "name"), ("c", "tag"), ("e",), ("e", "tag")}
    assert hints.reads("templates/a.yaml") == {*hints.asks("templates/a.yaml"), *read}


@pytest.mark.parametrize(
    ("text", "hashes"),
    [
        ("sum: {{ toYaml .Values | sha256sum }}", True),
        ("sum: {{ .Values | toJson | sha1sum | trunc 8 }}", True),
        ("sum: {{ sha256sum (print $.Values) }}", True),
        ('sum: {{ include "x.sum" . }}', True),
        ('{{ include "x.annotations" . }}', True),
        ("sum: {{ toYaml .Values.config | sha256sum }}", False),
        ('sum: {{ include "x.yaml" . | sha256sum }}', False),
        ("sum: {{ toYaml .Values }} {{ .Chart.Name | sha256sum }}", False),
        ("sum: {{/* toYaml .Values | sha256sum */}}", False),
        ("sum: {{ .Values.sum }}\nother: {{ toYaml .Values | sha256sum }}", False),
    ],
)
def test_a_template_that_prints_a_hash_of_all_values(text: str, hashes: bool) -> None:
    """At a key, on a line of its own or of a named template."""
    helpers = (
        '{{ define "x.sum" }}{{ toYaml .Values | sha256sum }}{{ end }}'
        '{{ define "x.annotations" }}\nsum: {{ include "x.sum" . }}\n{{ end }}'
    )
    hints = TemplateHints({"templates/a.yaml": text, "templates/_helpers.tpl": helpers})
    assert hints.hashes_all_values("templates/a.yaml", "sum") == hashes


@pytest.mark.parametrize(
    ("text", "prints"),
    [
        ("{{ .Values | toPrettyJson | indent 4 }}", True),
        ("{{- toYaml $.Values | nindent 2 }}", True),
        ('{{ include "x.all" . }}', True),
        ("{{ $copy := .Values | toYaml | fromYaml }}", False),
        ("{{ .Values | toYaml | fromYaml }}", False),
        ("{{ toYaml .Values.pod }}", False),
        ("{{ .Values.pod | toYaml }}", False),
        ("{{ with .Values }}{{ end }}", False),
        ("{{ range $key, $value := .Values }}{{ end }}", False),
    ],
)
def test_a_template_that_prints_all_values(text: str, prints: bool) -> None:
    helpers = '{{ define "x.all" }}{{ mustToJson .Values }}{{ .Values | mustToJson }}{{ end }}'
    hints = TemplateHints({"templates/a.yaml": text, "templates/_helpers.tpl": helpers})
    assert hints.prints_all_values("templates/a.yaml") == prints
