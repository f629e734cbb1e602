"""What helm template printed, as documents."""

from __future__ import annotations

import json

import pytest

from helmpin.errors import HelmFailed
from helmpin.image.elsewhere import Also
from helmpin.pin.again import MARK
from helmpin.pin.render import PROBE_MARK, parse, split_documents

A, B = "app/templates/a.yaml", "app/charts/db/templates/b.yaml"


def test_documents_by_source_and_order() -> None:
    text = f"---\n# Source: {A}\nkind: One\n---\n# Source: {B}\nkind: Two\n---\n# Source: {A}\nkind: Three\n"
    render = parse(text)
    assert [(d.source, d.order) for d in render.documents] == [(A, 0), (B, 0), (A, 1)]
    assert [d.objects() for d in render.documents] == [[{"kind": "One"}], [{"kind": "Two"}], [{"kind": "Three"}]]
    assert render.text == text
    assert render.values is None and render.again is None


def test_without_sources() -> None:
    """As a post-renderer may leave it."""
    render = parse("---\nkind: One\n---\nkind: Two\n")
    assert [(d.source, d.order) for d in render.documents] == [("", 0), ("", 1)]


def test_dashes_in_a_text_do_not_separate() -> None:
    render = parse(f"---\n# Source: {A}\nkind: ConfigMap\ndata:\n  x: |\n    ---\n    y\n")
    assert len(render.documents) == 1 and render.documents[0].objects()[0]["data"] == {"x": "---\ny\n"}


def probe(mark: str, data: object) -> str:
    written = json.dumps(json.dumps(data))
    head = "---\n# Source: app/templates/helm-pin/x.yaml\napiVersion: v1\nkind: ConfigMap\n"
    return f"{head}metadata:\n  {mark}\ndata:\n  values: {written}\n"


def test_what_the_extra_templates_print_is_read_and_taken_out() -> None:
    own = f"---\n# Source: {A}\nkind: One\n"
    values, again = {"a": '"\n---\n', "b": [1, None]}, {A: "kind: One\n---\nkind: Two\n"}
    render = parse(probe(MARK, again) + own + probe(PROBE_MARK, values) + own)
    assert (render.values, render.again) == (values, again)
    assert render.text == own + own
    assert [(d.source, d.order) for d in render.documents] == [(A, 0), (A, 1)]


def test_a_probe_that_a_post_renderer_wrote_anew() -> None:
    text = "---\nkind: ConfigMap\nmetadata: {name: helm-pin-values}\ndata:\n    values: '{\"a\": 1}'\n"
    assert parse(text.replace("{name: helm-pin-values}", "\n    name: helm-pin-values")).values == {"a": 1}


def test_a_chart_that_only_speaks_of_the_probe() -> None:
    text = f"---\n# Source: {A}\nkind: ConfigMap\ndata:\n  x: 'name: helm-pin-values'\n"
    assert len(parse(text).documents) == 1


def test_images_with_their_places() -> None:
    text = (
        f"---\n# Source: {A}\nkind: List\nitems:\n"
        "- kind: Pod\n  metadata: {name: one}\n  spec: {containers: [{name: c, image: x:1}]}\n"
        "- kind: Pod\n  metadata: {name: two}\n  spec:\n    containers: [{name: d, image: y:1}]\n"
        "    volumes: [{name: v, image: {reference: z:1}}]\n"
    )
    uses = parse(text).images()
    assert [use.image for use in uses] == ["x:1", "y:1", "z:1"]
    assert len({use.key for use in uses}) == 3
    assert [use.place() for use in uses] == [
        f"Pod/{place}, in {A}" for place in ("one container c", "two container d", "two container v")
    ]


OPERATOR = (
    f"---\n# Source: {A}\nkind: Fleet\nmetadata: {{name: f}}\n"
    f"spec: {{agent: example.com/agent:1, done: 'example.com/x:1@sha256:{'0' * 64}'}}\n"
)


def test_elsewhere_is_what_nobody_asked_for_and_has_no_digest() -> None:
    render = parse(OPERATOR)
    assert (render.images(), [use.image for use in render.elsewhere()]) == ([], ["example.com/agent:1"])
    render = parse(OPERATOR, Also(["Fleet/spec/agent"]))
    assert ([use.image for use in render.images()], render.elsewhere()) == (["example.com/agent:1"], [])
    assert render.images()[0].place() == f"Fleet/f spec/agent, in {A}"


def test_what_is_not_yaml_is_helms_failure() -> None:
    render = parse(f"---\n# Source: {A}\nimage: [\n")
    with pytest.raises(HelmFailed, match="not YAML") as failed:
        render.images()
    assert failed.value.where == [A]


def test_tags_are_read_past() -> None:
    render = parse(f"---\n# Source: {A}\na: !custom {{b: !x [1]}}\nc: !y z\n")
    assert render.documents[0].objects() == [{"a": {"b": [1]}, "c": "z"}]


def test_split_documents() -> None:
    assert [(d.order, d.text.strip()) for d in split_documents(A, "\n---\na: 1\n---\n\n---\nb: 2\n")] == [
        (0, "a: 1"),
        (1, "b: 2"),
    ]
