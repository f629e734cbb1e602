"""Where a template prints an image, and the text of the template that prints it pinned; Helm runs it in tests/integration."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helmpin.image.outside_pods import ExtraImageRules
from helmpin.render.output import parse
from helmpin.templates.pins import TemplatePin, by_order, locate, pinned_template, pinned_text, split_defines
from tests.support.renders import POD, digest, document

WEB = "example.com/team/web:1.2.3"
PINNED = f"{WEB}@{digest('a')}"
DIGEST = PINNED.removeprefix(WEB)

# -- the file without its named templates -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "body", "defines"),
    [
        ("a: b\n", "a: b\n", []),
        ('a\n{{ define "x" }}X{{ end }}\nb', "a\n|\nb", ['{{ define "x" }}X{{ end }}']),
        ("a\n{{- define `x` -}}X{{- end -}}\nb", "a\n{{- /* */ -}}\nb", ["{{- define `x` -}}X{{- end -}}"]),
        ("a {{- define `x` }}X{{ end }} b", "a {{- /* */}} b", ["{{- define `x` }}X{{ end }}"]),
        ("a {{define `x`}}X{{end -}} b", "a {{/* */ -}} b", ["{{define `x`}}X{{end -}}"]),
        (
            "{{define `x`}}{{if .a}}1{{else if .b}}2{{end}}{{range .c}}3{{end}}{{with .d}}4{{end}}{{end}}b",
            "|b",
            ["{{define `x`}}{{if .a}}1{{else if .b}}2{{end}}{{range .c}}3{{end}}{{with .d}}4{{end}}{{end}}"],
        ),
        (
            "{{define `x`}}{{block `y` .}}Y{{end}}X{{end}}b",
            "|b",
            ["{{define `x`}}{{block `y` .}}Y{{end}}X{{end}}"],
        ),
        ("a{{block `y` .}}Y{{end}}b", "a{{block `y` .}}Y{{end}}b", []),
        ("{{define `x`}}1{{end}}m{{define `y`}}2{{end}}", "|m|", ["{{define `x`}}1{{end}}", "{{define `y`}}2{{end}}"]),
        ('{{define "x"}}{{ "{{ end }}" }}{{end}}b', "|b", ['{{define "x"}}{{ "{{ end }}" }}{{end}}']),
        ('{{define "x"}}{{ `"` }}{{end}}b', "|b", ['{{define "x"}}{{ `"` }}{{end}}']),
        ('{{define "x"}}{{ "\\"}}" }}{{end}}b', "|b", ['{{define "x"}}{{ "\\"}}" }}{{end}}']),
        ("{{define `x`}}{{/* {{ end }} */}}{{end}}b", "|b", ["{{define `x`}}{{/* {{ end }} */}}{{end}}"]),
        ("{{/* {{define `x`}} */}}b", "{{/* {{define `x`}} */}}b", []),
        ("{{ `{{define}}` }}b", "{{ `{{define}}` }}b", []),
        ("{{ .define }}{{ end_ }}", "{{ .define }}{{ end_ }}", []),
        ("{{define `x`}}{{ .end }}{{ endOf . }}{{end}}b", "|b", ["{{define `x`}}{{ .end }}{{ endOf . }}{{end}}"]),
        ("{{ if a }}{{ end }}{{define `x`}}1{{end}}b", "{{ if a }}{{ end }}|b", ["{{define `x`}}1{{end}}"]),
    ],
)
def test_split_defines(text: str, body: str, defines: list[str]) -> None:
    """`|` stands for an action that prints and trims nothing, as what its neighbours trim ended at the named template."""
    assert split_defines(text) == (body.replace("|", "{{/* */}}"), defines)


PARTS = st.lists(
    st.sampled_from(
        ["text", "\n", " ", "{{ a }}", "{{- b -}}", "{{/* c */}}", '{{ "}}" }}', "{{ if x }}y{{ end }}", "{ ", "}"]
    ),
    max_size=5,
).map("".join)
DEFINES = st.tuples(st.sampled_from(["", "- "]), PARTS, st.sampled_from(["", " -"])).map(
    lambda d: (f"{{{{{d[0]}define `x`}}}}{d[1]}{{{{end{d[2]}}}}}", d[0] != "", d[2] != "")
)


@given(st.lists(PARTS | DEFINES, max_size=6))
def test_each_named_template_is_found_whole(pieces: list[Any]) -> None:
    text = "".join(piece if isinstance(piece, str) else piece[0] for piece in pieces)
    body, defines = split_defines(text)
    assert defines == [piece[0] for piece in pieces if not isinstance(piece, str)]
    trims = {(0, 0): "{{/* */}}", (1, 0): "{{- /* */}}", (0, 1): "{{/* */ -}}", (1, 1): "{{- /* */ -}}"}
    assert body == "".join(piece if isinstance(piece, str) else trims[piece[1], piece[2]] for piece in pieces)


# -- the place of an image ----------------------------------------------------------------------------------------------


def pins(text: str, *, also: ExtraImageRules | None = None, image: str = WEB) -> list[tuple[str, str, int] | None]:
    """(document, what stands there, which of those it is) for each use of the image, in the order of the render."""
    render = parse(text, also)
    found = [locate(use, by_order(render.documents), PINNED) for use in render.images() if use.image == image]
    return [pin and (pin.document, pin.written, pin.turn) for pin in found]


def spots(text: str) -> list[tuple[str, int] | None]:
    return [pin and pin[1:] for pin in pins(document(text))]


@pytest.mark.parametrize(
    "line",
    [
        "image: @",
        "image: '@'",
        'image: "@"  # why',
        "image: >-\n        @\n",
        "image:\n        @",
        "image: # why\n        @",
        "image: &anchor @",
        "image: !!str @",
        "'image' : @",
        "name: é€\U0001f680\n      image: @",
    ],
)
def test_however_a_leaf_is_written(line: str) -> None:
    text = f"kind: Pod\nspec:\n  containers:\n    - {line.replace('@', WEB)}\n"
    assert spots(text) == [(WEB, 0)]


@pytest.mark.parametrize(
    "text",
    [
        '{"kind":"Pod","spec":{"containers":[{"image":"@"}]}}\n',
        "kind: Pod\nspec: {containers: [{name: x, image: @}]}\n",
        "kind: Pod\nspec: {containers: [{image: @,\n name: x}]}\n",
        "kind: Pod\r\nspec:\r\n  containers:\r\n    - image: @\r\n",
    ],
)
def test_json_and_flow(text: str) -> None:
    assert spots(text.replace("@", WEB)) == [(WEB, 0)]


def test_the_same_text_elsewhere_is_counted_past() -> None:
    text = f"""\
kind: Pod
# {WEB}
metadata: {{name: '{WEB}', annotations: {{x: a {WEB} b}}}}
spec:
  containers:
    - args: [--image={WEB}, {WEB}-alpine, {WEB}@{digest("b")}, {WEB}]
      image: {WEB}
    - image: {WEB}
"""
    assert spots(text) == [(WEB, 5), (WEB, 6)]


def test_an_alias_is_pinned_where_it_stands() -> None:
    text = f"""\
kind: Pod
metadata: {{annotations: {{x: &web {WEB}, y: *web}}}}
spec:
  containers:
    - image: *web
    - {{image: *web, name: x}}
    - image:
        *web
    - image: {WEB}
"""
    assert spots(text) == [("*web", 1), ("*web", 2), ("*web", 3), (WEB, 1)]


def test_a_merged_map_is_pinned_where_its_anchor_is() -> None:
    text = f"""\
kind: Pod
x: &base {{image: {WEB}, name: x}}
y: &more {{name: y}}
spec:
  containers:
    - <<: *base
    - {{<<: [*more, *base]}}
    - *base
    - <<: *base
      image: {WEB}
"""
    assert spots(text) == [(WEB, 0), (WEB, 0), (WEB, 0), (WEB, 1)]


def test_the_last_of_two_equal_keys_counts_as_it_does_for_helm() -> None:
    assert spots(f"kind: Pod\nspec:\n  containers:\n    - image: {WEB}\n      image: {WEB}\n") == [(WEB, 1)]


def test_lists_of_objects_and_lists_in_documents() -> None:
    item = f"{{kind: Pod, spec: {{containers: [{{image: {WEB}}}]}}}}"
    assert spots(f"kind: List\nitems:\n- {item}\n- {{kind: Other}}\n- {item}\n") == [(WEB, 0), (WEB, 1)]


def test_documents_are_told_by_kind_hook_and_turn() -> None:
    spec = f"spec: {{containers: [{{image: {WEB}}}]}}\n"
    hook = "metadata: {annotations: {helm.sh/hook: test}}\n"
    job = f"spec: {{template: {{spec: {{containers: [{{image: {WEB}}}]}}}}}}\n"
    texts = [
        f"kind: Pod\n{spec}",
        f"kind: Job\n{job}",
        f"kind: Pod\n{hook}{spec}",
        "# only this\n",
        f"kind: Pod\n{spec}",
    ]
    found = pins("".join(map(document, texts)))
    assert [pin[0] if pin else None for pin in found] == ["Pod 0", "Job 0", "Pod hook test 0", "Pod 1"]


@pytest.mark.parametrize(
    ("text", "spot"),
    [
        ('kind: Pod\nspec: {containers: [{image: "example.com/team\\x2fweb:1.2.3"}]}\n', ("x2fweb:1.2.3", 0)),
        ('kind: Pod\nspec: {containers: [{image: "example.com/team/\\\n  web:1.2.3"}]}\n', ("web:1.2.3", 0)),
        ('kind: Pod\nspec: {containers: [{image: "example.com/team/web:1.2.\\x33"}]}\n', ("x33", 0)),
    ],
)
def test_what_stands_nowhere_as_it_is_gets_its_digest_at_its_end(text: str, spot: tuple[str, int]) -> None:
    assert spots(text) == [spot]


def test_escaped_ends_that_are_equal_are_told_apart() -> None:
    each = '{image: "example.com/team\\x2fweb:1.2.3"}'
    assert spots(f"kind: Pod\nspec: {{containers: [{each}, {each}, {each}]}}\n") == [
        ("x2fweb:1.2.3", n) for n in range(3)
    ]


def test_a_use_of_another_document_has_no_place() -> None:
    render = parse(document(f"kind: Pod\nspec: {{containers: [{{image: {WEB}}}]}}\n"))
    (use,) = render.images()
    assert locate(use._replace(order=7), by_order(render.documents), PINNED) is None
    assert locate(use, {}, PINNED) is None


def test_images_in_a_text_are_told_by_their_number() -> None:
    text = f"kind: Thing\nspec: {{args: ['--a={WEB} --b={WEB}', '{WEB}']}}\n"
    render = parse(document(text), ExtraImageRules(["Thing/*"]))
    found = [
        locate(use, by_order(render.documents), PINNED, nth)
        for use, nth in zip(render.images(), (0, 1, 0), strict=True)
    ]
    assert [pin and (pin.written, pin.turn) for pin in found] == [(WEB, 0), (WEB, 1), (WEB, 2)]


# -- files that are no templates ----------------------------------------------------------------------------------------

NAMES = st.sampled_from([WEB, f"{WEB}-alpine", "*web", "other:1", f"x{WEB}"])


@given(st.lists(NAMES, min_size=1, max_size=6), st.data())
def test_exactly_the_chosen_places_are_pinned(words: list[str], data: st.DataObject) -> None:
    lines = [f"  - a '{word}', b" for word in words]
    places = [i for i, word in enumerate(words) if word == WEB]
    chosen = data.draw(st.sets(st.sampled_from(places))) if places else set()
    found = [TemplatePin(POD, "Thing 0", WEB, places.index(i), PINNED) for i in chosen]
    text = "kind: Thing\nspec:\n{}\n"
    after = [line.replace(f"'{WEB}'", f"'{PINNED}'") if i in chosen else line for i, line in enumerate(lines)]
    if found:
        assert pinned_text(text.format("\n".join(lines)), found) == text.format("\n".join(after))


# -- the template that prints it pinned ---------------------------------------------------------------------------------

PIN = TemplatePin("app/templates/x.yaml", "Pod 0", WEB, 0, PINNED)
TEXT = "kind: Pod\n{{ define `helper` }}H{{ end }}image: x\n"


def test_named_templates_come_first_and_the_text_becomes_one() -> None:
    text = pinned_template("templates/x.yaml", TEXT, [PIN])
    assert text.startswith(
        '{{ define `helper` }}H{{ end }}{{ define "helm-pin: templates/x.yaml" }}kind: Pod\n{{/* */}}image: x\n{{ end }}'
    )
    assert split_defines(text)[1] == [
        "{{ define `helper` }}H{{ end }}",
        '{{ define "helm-pin: templates/x.yaml" }}kind: Pod\n{{/* */}}image: x\n{{ end }}',
    ]


def test_what_it_prints_by_itself_is_nothing_but_the_text() -> None:
    body = split_defines(pinned_template("templates/x.yaml", TEXT, [PIN]))[0]
    assert body.removeprefix("{{/* */}}" * 2).startswith("\n{{-") and body.endswith("-}}\n")
    assert body.count('include "helm-pin: templates/x.yaml" .') == 1


def test_every_pin_is_in_the_table_under_its_source_document_text_and_turn() -> None:
    other = PIN._replace(source="app/charts/a/templates/x.yaml", turn=3, may_become=(PINNED,))
    text = pinned_template("charts/a/templates/x.yaml", TEXT, [PIN, other])
    assert f"`app/templates/x.yaml` (dict `Pod 0` (dict `{WEB}` (dict `0` `{DIGEST}`)))" in text
    assert f"`app/charts/a/templates/x.yaml` (dict `Pod 0` (dict `{WEB}` (dict `3` `{DIGEST}`)))" in text
    assert f'"forms" (dict `{PINNED}` `{WEB}`)' in text


def test_a_pin_that_is_more_than_the_digest_is_written_whole() -> None:
    for pinned in (f"{WEB}:latest@sha256:{'a' * 64}", "example.com/other:1"):
        assert f"(dict `0` `{pinned}`)" in pinned_template("templates/x.yaml", TEXT, [PIN._replace(pinned=pinned)])


def test_names_that_need_quotes() -> None:
    text = pinned_template("templates/a`b\n.yaml", "x", [PIN._replace(source="app/templates/a`b.yaml")])
    assert '"app/templates/a`b.yaml"' in text and '{{ define "helm-pin: templates/a`b\\n.yaml" }}' in text


def test_the_same_pins_give_the_same_text() -> None:
    other = PIN._replace(turn=1)
    assert pinned_template("x", TEXT, [PIN, other]) == pinned_template("x", TEXT, [other, PIN])
