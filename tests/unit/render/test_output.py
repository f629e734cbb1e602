"""What helm printed, as documents with their images."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helmpin.errors import HelmFailed
from helmpin.image.documents import Document, group_by_turn, kind_and_name
from helmpin.image.outside_pods import ExtraImageRules
from helmpin.render.output import parse, parse_release
from helmpin.render.probe import PROBE
from tests.support.renders import digest, document, pod, probe

A, B = "app/templates/a.yaml", "app/charts/db/templates/b.yaml"


def test_documents_by_source_and_order() -> None:
    text = document("kind: One\n", A) + document("kind: Two\n", B) + document("kind: Three\n", A)
    render = parse(text)
    assert [(d.source, d.order) for d in render.documents] == [(A, 0), (B, 0), (A, 1)]
    assert [d.objects() for d in render.documents] == [[{"kind": "One"}], [{"kind": "Two"}], [{"kind": "Three"}]]
    assert render.text == text
    assert render.values is None and render.config is None


ONE, TWO = {"kind": "One"}, {"kind": "Two"}


@pytest.mark.parametrize(
    "text",
    [
        "---\nkind: One\n---\nkind: Two\n",
        "kind: One\n---\nkind: Two\n",
        "kind: One\n---\nkind: Two",
        "\n\nkind: One\n--- # two\nkind: Two\n",
        "# first\nkind: One\n---\n# nothing\n---\nkind: Two\n---\n",
        "kind: One\r\n---\r\nkind: Two\r\n",
        "---\n\n---\nkind: One\n---   \nkind: Two\n",
        '{"kind": "One"}\n---\n{"kind": "Two"}\n',
    ],
)
def test_without_sources(text: str) -> None:
    """As a post-renderer may leave it: with or without `---` before the first document."""
    render = parse(text)
    assert [(d.source, d.order) for d in render.documents] == [("", 0), ("", 1)]
    assert [d.objects() for d in render.documents] == [[ONE], [TWO]]
    assert render.text == text


@pytest.mark.parametrize("text", ["", "\n", "---\n", "# nothing\n---\n# nothing\n"])
def test_nothing(text: str) -> None:
    assert parse(text).documents == []


def test_a_document_of_comments_counts_where_helm_names_its_source() -> None:
    render = parse(document("# nothing\n", A) + document("kind: One\n", A))
    assert [(d.order, "kind" in d.text) for d in render.documents] == [(0, False), (1, True)]


@pytest.mark.parametrize("line", ["  ---", "  --- x", "  ----", " ---"])
def test_dashes_in_a_text_do_not_separate(line: str) -> None:
    render = parse(document(f"kind: ConfigMap\ndata:\n  x: |1\n  {line}\n    y\n", A))
    assert len(render.documents) == 1
    assert "---" in render.documents[0].objects()[0]["data"]["x"]


@given(
    st.lists(
        st.tuples(st.sampled_from([A, B, ""]), st.sampled_from(["kind: One", "- 1\n- 2", "# only", "x: |\n  ---"]))
    )
)
def test_every_document_comes_back(pieces: list[tuple[str, str]]) -> None:
    text = "".join(f"---\n# Source: {source}\n{body}\n" if source else f"---\n{body}\n" for source, body in pieces)
    render = parse(text)
    counted, named = [], ""
    for source, body in pieces:
        empty = body == "# only"
        if source or not empty:
            counted.append((source or named, body))
            named = counted[-1][0] if empty else ""
    assert [(d.source, d.text.strip()) for d in render.documents] == counted
    assert len({(d.source, d.order) for d in render.documents}) == len(counted)
    assert render.text == text


# -- what the extra template prints --------------------------------------------------------------------------------------


def test_what_the_extra_template_prints_is_read_and_taken_out() -> None:
    own, values = document("kind: One\n", A), {"a": '"\n---\n', "b": [1, None]}
    render = parse(own + probe(PROBE, {"values": values}) + own)
    assert render.values == values
    assert render.text == own + own
    assert [(d.source, d.order) for d in render.documents] == [(A, 0), (A, 1)]


def test_what_looks_like_a_probe_and_stands_elsewhere_is_the_charts_own() -> None:
    text = probe(PROBE, {"values": {}}).replace(PROBE, "templates/x.yaml")
    assert (len(parse(text).documents), parse(text).values) == (1, None)


@pytest.mark.parametrize("values", ["1", '"not JSON"', '"\\x"', '"[1]"', '"1"', "''"])
def test_a_file_of_the_charts_own_with_the_probes_name(values: str) -> None:
    render = parse(probe(PROBE, {}).replace('"{}"', values))
    assert (len(render.documents), render.values) == (1, None)


def test_an_object_that_claims_to_be_the_probe_stays() -> None:
    """Else it would be deployed unseen, with its image. A file of CRDs or, in Helm 3, an empty document can claim any source."""
    written = json.dumps(json.dumps({"values": {}}))
    forged = f"kind: Pod\nmetadata:\n  values: {written}\nspec: {{containers: [{{image: evil:1}}]}}\n"
    ours = probe(PROBE, {"values": {}})
    for text in (document(forged, f"app/{PROBE}"), f"{ours}  other: x\n", ours.replace("ConfigMap", "Pod")):
        assert [d.source for d in parse(text).documents] == [f"app/{PROBE}"]
        assert parse(text).text == text


# -- a dry run ----------------------------------------------------------------------------------------------------------


def dry_run(**release: Any) -> str:
    return json.dumps({"name": "web", "manifest": "", "hooks": None, **release})


def test_a_release_with_hooks_and_values() -> None:
    hook = {"path": B, "manifest": "kind: Job\nmetadata: {annotations: {helm.sh/hook: test}}"}
    render = parse_release(dry_run(manifest=document("kind: One", A), hooks=[hook, hook], config={"a": 1}))
    assert [(d.source, d.order, d.objects()[0]["kind"]) for d in render.documents] == [
        (A, 0, "One"),
        (B, 0, "Job"),
        (B, 1, "Job"),
    ]
    assert render.config == {"a": 1}


def test_a_release_of_hooks_alone_and_one_of_nothing() -> None:
    assert [d.source for d in parse_release(dry_run(hooks=[{"path": A, "manifest": "kind: Job\n"}])).documents] == [A]
    render = parse_release(dry_run())
    assert (render.documents, render.config) == ([], {})
    assert parse_release('{"name": "web", "config": {"a": 1}}').config == {"a": 1}, "helm leaves an empty manifest out"


@pytest.mark.parametrize(
    ("manifest", "hooks", "text"),
    [
        ("---\nkind: One\n", [], "---\nkind: One\n"),
        ("---\nkind: One", [], "---\nkind: One\n"),
        ("", [], ""),
        ("", ["kind: Job"], f"---\n# Source: {A}\nkind: Job\n"),
        ("---\nkind: One", ["kind: Job"], f"---\nkind: One\n---\n# Source: {A}\nkind: Job\n"),
    ],
)
def test_the_text_of_a_release_is_the_manifest_then_the_hooks(manifest: str, hooks: list[str], text: str) -> None:
    release = dry_run(manifest=manifest, hooks=[{"path": A, "manifest": each} for each in hooks])
    assert parse_release(release).text == text


def test_the_probe_in_a_release() -> None:
    render = parse_release(dry_run(manifest=probe(PROBE, {"values": {"a": 1}}) + document("kind: One\n", A)))
    assert (render.values, [d.source for d in render.documents]) == ({"a": 1}, [A])


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", "not JSON", '{"name": "web", "hooks": [1]}', '{"manifest": ""}', "{"]
)
def test_what_is_no_release(text: str) -> None:
    with pytest.raises(HelmFailed, match="dry run"):
        parse_release(text)


# -- images -------------------------------------------------------------------------------------------------------------


def test_images_with_their_places() -> None:
    text = document(
        "kind: List\nitems:\n"
        "- kind: Pod\n  metadata: {name: one}\n  spec: {containers: [{name: c, image: x:1}]}\n"
        "- kind: Pod\n  metadata: {name: two}\n  spec:\n    containers: [{name: d, image: y:1}]\n"
        "    volumes: [{name: v, image: {reference: z:1}}]\n",
        A,
    )
    uses = parse(text).images()
    assert [use.image for use in uses] == ["x:1", "y:1", "z:1"]
    assert [(use.order, use.nth) for use in uses] == [(0, 0), (0, 1), (0, 1)]
    assert len({use.key for use in uses}) == 3
    assert [use.place() for use in uses] == [
        f"Pod/{place}, in {A}" for place in ("one container c", "two container d", "two container v")
    ]


def test_a_container_without_a_name_is_shown_by_its_path() -> None:
    use = parse("kind: Pod\nmetadata: {name: p}\nspec: {containers: [{image: x:1}]}\n").images()[0]
    assert use.place() == "Pod/p spec.containers.0.image"


@pytest.mark.parametrize("key", ["image: ", '"image": ', "'image' : ", "image:\n        "])
def test_however_the_key_is_written(key: str) -> None:
    assert [use.image for use in parse(pod("x:1").replace("image: ", key)).images()] == ["x:1"]


@pytest.mark.parametrize(
    ("lines", "policy"),
    [("", ""), ("      imagePullPolicy: Always\n", "Always"), ("      imagePullPolicy:\n", "")],
)
def test_the_pull_policy(lines: str, policy: str) -> None:
    assert [use.pull_policy for use in parse(pod("x:1", extra=lines)).images()] == [policy]


def test_the_pull_policy_of_an_image_volume() -> None:
    volume = "volumes: [{name: v, image: {reference: z:1, pullPolicy: Never}}]"
    text = document(f"kind: Pod\nspec: {{containers: [{{image: x:1}}], {volume}}}\n")
    assert [(use.image, use.pull_policy) for use in parse(text).images()] == [("x:1", ""), ("z:1", "Never")]


@pytest.mark.parametrize(
    ("metadata", "hook"),
    [
        ("{}", ""),
        ("{annotations: {helm.sh/hook: 'pre-install,test'}}", "pre-install,test"),
        ("{annotations: {}}", ""),
        ("{annotations: text}", ""),
        ("text", ""),
    ],
)
def test_hooks(metadata: str, hook: str) -> None:
    text = document(f"kind: Pod\nmetadata: {metadata}\nspec: {{containers: [{{image: x:1}}]}}\n")
    assert [use.hook for use in parse(text).images()] == [hook]


def test_the_key_does_not_depend_on_names() -> None:
    one, other = (parse(pod("x:1").replace("name: web", f"name: web-{end}")).images()[0] for end in ("a1", "b2"))
    assert one.key == other.key and one.name != other.name


OPERATOR = document(
    "kind: Fleet\nmetadata: {name: f}\n"
    f"spec: {{agent: example.com/agent:1, done: 'example.com/x:1@{digest('0')}'}}\n",
    A,
)


def test_elsewhere_is_what_nobody_asked_for_and_has_no_digest() -> None:
    render = parse(OPERATOR)
    assert (render.images(), [use.image for use in render.elsewhere()]) == ([], ["example.com/agent:1"])
    render = parse(OPERATOR, ExtraImageRules(["Fleet/spec/agent"]))
    assert ([use.image for use in render.images()], render.elsewhere()) == (["example.com/agent:1"], [])
    assert render.images()[0].place() == f"Fleet/f spec/agent, in {A}"


@pytest.mark.parametrize("written", ["on", "True", "007", "1e3", "~x", "'yes'"])
@pytest.mark.parametrize("form", ["{}", "kind: List\nitems:\n- kind: Pod\n  metadata: {{name: other}}\n- {}"])
def test_a_name_is_shown_as_it_is_written(form: str, written: str) -> None:
    text = document(
        form.format(f"{{kind: Pod, metadata: {{name: {written}}}, spec: {{containers: [{{image: a}}]}}}}\n"), A
    )
    assert [use.name for use in parse(text).images()] == [written.strip("'")]


def test_an_object_without_a_name_has_its_prefix() -> None:
    text = "kind: Pod\nmetadata: {generateName: web-}\nspec: {containers: [{image: a}]}\n"
    assert [use.name for use in parse(document(text, A)).images()] == ["web-"]


def test_what_is_not_yaml_is_helms_failure() -> None:
    for text, where in ((document("image: [\n", A), A), ("image: [\n", "the post-renderer's output")):
        with pytest.raises(HelmFailed, match="not YAML") as failed:
            parse(text).images()
        assert failed.value.where == [where]


def test_tags_are_read_past() -> None:
    render = parse(document("a: !custom {b: !x [1]}\nc: !y z\n", A))
    assert render.documents[0].objects() == [{"a": {"b": [1]}, "c": "z"}]


# -- documents that Helm sorts ------------------------------------------------------------------------------------------


HOOK = "metadata: {annotations: {helm.sh/hook: test}}\n"
DOCUMENTS = [
    "kind: Pod\na: 1\n",
    f"kind: Pod\n{HOOK}",
    'kind: "Job"\n',
    "# not the helm.sh/hook above\n'kind' : Pod\nb: 2\n",
    "# kind: Pod\n",
    "- 1\n",
    '   {"metadata": {"name": "x"}, "kind": "Pod"}\n',
    "kind: &k Job\n",
    f"kind:\n  Pod\n{HOOK.replace('test', 'crd-install')}",
    "kind: Pod\nmetadata: {annotations: {helm.sh/hook: ''}}\n",
    "{{ not YAML",
]


def test_turns_are_counted_for_each_kind_and_for_the_events_of_hooks_apart() -> None:
    found = group_by_turn([Document(A, i, text.strip()) for i, text in enumerate(DOCUMENTS)])
    assert {key: document.text for key, document in found.items()} == {
        key: DOCUMENTS[number].strip()
        for key, number in {
            ("Pod", None, 0): 0,
            ("Pod", "test", 0): 1,
            ("Job", None, 0): 2,
            ("Pod", None, 1): 3,
            ("", None, 0): 5,
            ("Pod", None, 2): 6,
            ("Job", None, 1): 7,
            ("Pod", "crd-install", 0): 8,
            ("Pod", "", 0): 9,
            ("", None, 1): 10,
        }.items()
    }


@given(st.permutations(["kind: Pod\na: 1\n", "kind: Pod\nb: 2\n", "kind: Job\n", "kind: Secret\n", "# note\n"]))
def test_turns_stay_however_helm_sorts_the_kinds(texts: list[str]) -> None:
    """Helm's sorting keeps the order among documents of a kind (pkg/release/util, kind_sorter.go)."""
    written = [Document(A, i, text) for i, text in enumerate(texts)]
    kinds = ["Secret", "Pod", "Job", ""]
    ordered = sorted(
        written, key=lambda d: next(i for i, kind in enumerate(kinds) if f"kind: {kind}" in d.text or not kind)
    )
    assert group_by_turn(written) == group_by_turn(ordered)


def test_an_object_whose_kind_is_null_has_none() -> None:
    assert kind_and_name({"kind": None}) == ("", "")
