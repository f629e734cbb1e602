"""Values written into a file of values: what is read back differs in them alone, and every other byte stays."""

from __future__ import annotations

import difflib
import json

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from helmpin import kube_yaml
from helmpin.chart.setargs import Setting, lookup
from helmpin.lint.edit import CannotEdit, with_settings, written

DIGEST = "sha256:" + "a" * 64
TAG = ("image", "tag")


@pytest.mark.parametrize(
    ("before", "path", "after"),
    [
        ("image:\n  tag: latest  # moves\n", TAG, 'image:\n  tag: "NEW"  # moves\n'),
        ("image:\n  tag: 'latest'\n", TAG, "image:\n  tag: 'NEW'\n"),
        ('image: {tag: "latest", x: 1}\n', TAG, 'image: {tag: "NEW", x: 1}\n'),
        ("image:\n  tag: 1.10\n", TAG, 'image:\n  tag: "NEW"\n'),
        ("image:\n  tag:\n  x: 1\n", TAG, 'image:\n  tag: "NEW"\n  x: 1\n'),
        ("image:\n  tag: ~\n", TAG, 'image:\n  tag: "NEW"\n'),
        ("image:\n  repository: a # b\n  x: 1\n", TAG, 'image:\n  repository: a # b\n  tag: "NEW"\n  x: 1\n'),
        ("image:\n  x: [1,\n   2]\n", TAG, 'image:\n  tag: "NEW"\n  x: [1,\n   2]\n'),
        ("image: {}\n", TAG, 'image: {tag: "NEW"}\n'),
        ("image:\ny: 1\n", TAG, 'image: {tag: "NEW"}\ny: 1\n'),
        ("image: {repository: a}\n", TAG, 'image: {tag: "NEW", repository: a}\n'),
        ("y: 1", TAG, 'y: 1\nimage:\n  tag: "NEW"\n'),
        ("", TAG, 'image:\n  tag: "NEW"\n'),
        ("# nothing\n", TAG, '# nothing\nimage:\n  tag: "NEW"\n'),
        ("{}\n", TAG, 'image:\n  tag: "NEW"\n'),
        ("# none\r\n{ } # yet\r\n", TAG, '# none\r\nimage:\r\n  tag: "NEW" # yet\r\n'),
        ("--- {}\n", TAG, '--- {image: {tag: "NEW"}}\n'),
        ('{"image": null, "x": 1}', TAG, '{"image": {"tag": "NEW"}, "x": 1}'),
        ('{"image": {"tag": 1}}', TAG, '{"image": {"tag": "NEW"}}'),
        ('x: {"image": {}} # why', ("x", *TAG), 'x: {"image": {"tag": "NEW"}} # why'),
        ('{"image": {\n  "x": 1\n}}', TAG, '{"image": {\n  "tag": "NEW",\n  "x": 1\n}}'),
        ("{'image': { x: {}, y: 1 }}", (*TAG, "x"), "{'image': { tag: {x: \"NEW\"}, x: {}, y: 1 }}"),
        ("image: { # why\n  x: 1}", TAG, 'image: {tag: "NEW",  # why\n  x: 1}'),
        ("l:\n- name: a\n  image: b\n- c\n", ("l", 0, "image"), 'l:\n- name: a\n  image: "NEW"\n- c\n'),
        ("l:\n- name: a\n- c\n", ("l", 0, "image"), 'l:\n- name: a\n  image: "NEW"\n- c\n'),
        ("image:\r\n  tag: latest\r\n  x: é\r\n", TAG, 'image:\r\n  tag: "NEW"\r\n  x: é\r\n'),
        ("image:\r\n  repository: a\r\n", TAG, 'image:\r\n  repository: a\r\n  tag: "NEW"\r\n'),
        ("image:\n  tag: &t latest\n", TAG, 'image:\n  tag: &t "NEW"\n'),
        ("image:\n  tag: !!str latest\n", TAG, 'image:\n  tag: !!str "NEW"\n'),
        ("\ufeffimage:\n  tag: latest\n", TAG, '\ufeffimage:\n  tag: "NEW"\n'),
        ("---\nimage:\n  tag: latest\n---\n# none\n", TAG, '---\nimage:\n  tag: "NEW"\n---\n# none\n'),
        ("image:\n  tag: |\n    latest\n\n# next\nx: 1\n", TAG, 'image:\n  tag: "NEW"\n\n# next\nx: 1\n'),
        ("image:\n  tag: >-\n    la\n\n    test", TAG, 'image:\n  tag: "NEW"'),
        ("image:\n  tag: &t |-2\r\n    latest\r\nx: 1\r\n", TAG, 'image:\n  tag: &t "NEW"\r\nx: 1\r\n'),
        ("image:\n  tag: 'a\n    b' # c\n", TAG, "image:\n  tag: 'NEW' # c\n"),
        ("image:\n  tag: a\n    b # c\n", TAG, 'image:\n  tag: "NEW" # c\n'),
        ("a.b:\n  'x y': 1\n", ("a.b", "on"), 'a.b:\n  \'x y\': 1\n  "on": "NEW"\n'),
    ],
)
def test_every_other_byte_stays(before: str, path: tuple[str | int, ...], after: str) -> None:
    assert with_settings(before, [Setting(path, DIGEST)]) == after.replace("NEW", DIGEST)


@pytest.mark.parametrize(
    ("before", "path"),
    [
        ("t: &t latest\nimage:\n  tag: *t\n", TAG),
        ("t: &t latest\nimage:\n  tag: *t\n", ("t",)),
        ("a: &i {tag: b}\nimage: *i\n", TAG),
        ("a: &i\n  tag: b\nimage:\n  <<: *i\n", TAG),
        ("image:\n  tag: |- # here\n    latest\n", TAG),
        ("image: latest\n", TAG),
        ("l: [a]\n", ("l", 1)),
        ("a: [\n", TAG),
        ("image:\n  tag: latest\n---\nimage: {tag: b}\n", TAG),
        ("---\n---\nimage: {tag: b}\n", TAG),
    ],
)
def test_what_cannot_be_written_is_left(before: str, path: tuple[str | int, ...]) -> None:
    with pytest.raises(CannotEdit):
        with_settings(before, [Setting(path, DIGEST)])


A, B, C = (Setting((key,), DIGEST) for key in "abc")


@pytest.mark.parametrize(
    ("before", "after", "why_not"),
    [
        ("a: 1\nb: &x r\nc: *x\n", "a: NEW\nb: &x NEW\nc: *x\n", ["", "", ""]),
        ("c: &x r\nb: *x\na: *x\n", "c: &x NEW\nb: *x\na: *x\n", ["", "", ""]),
        ("a: 1\nx: &x r\nb: *x\nc: |-\n  2\n", "a: NEW\nx: &x r\nb: *x\nc: NEW\n", ["", "b is an alias", ""]),
        (
            "a: 1\nb: &x r\nd: *x\nc: 2\n",
            "a: NEW\nb: &x r\nd: *x\nc: NEW\n",
            ["", "other values would change too: an alias or a merge shares them", ""],
        ),
    ],
)
def test_what_can_be_written_is_written(before: str, after: str, why_not: list[str]) -> None:
    assert written(before, [[A], [B], [C]]) == (after.replace("NEW", f'"{DIGEST}"'), why_not)


SHARED = "x: &x\n  a: 1\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("m:\n  <<: *x\n  p: 1\nz: 1\n", "m:\n  <<: *x\n  p: 1\n  a: NEW\nz: 1\n"),
        ("m:\n  <<: *x # why\n", "m:\n  <<: *x # why\n  a: NEW\n"),
        ("m:\n  tag: 1\n  <<: [*x]\n", "m:\n  tag: 1\n  <<: [*x]\n  a: NEW\n"),
        ("m:\n  <<: *x\n  a: 2\n", "m:\n  <<: *x\n  a: NEW\n"),
        ("m: {p: 1, <<: *x}\n", "m: {p: 1, <<: *x, a: NEW}\n"),
        ("m: {<<: *x, p: [1],\n}\n", "m: {<<: *x, p: [1], a: NEW\n}\n"),
    ],
)
def test_a_value_that_others_share_by_a_merge_gets_a_key_of_its_own(before: str, after: str) -> None:
    """After the merge, because Helm lets that replace what stands before it."""
    changed = (SHARED + after.replace("NEW", f'"{DIGEST}"'), [""])
    assert written(SHARED + before, [[Setting(("m", "a"), DIGEST)]]) == changed


def test_values_that_share_a_merge_and_change_alike_are_written_there() -> None:
    text = SHARED + "m:\n  <<: *x\n"
    both = [[Setting(("x", "a"), DIGEST)], [Setting(("m", "a"), DIGEST)]]
    assert written(text, both) == (text.replace("a: 1", f'a: "{DIGEST}"'), ["", ""])


def test_a_file_of_several_documents_stays_as_it_is() -> None:
    text = "a: 1\n---\nb: 2\n"
    assert written(text, [[A], [B]]) == (text, ["it holds several YAML documents"] * 2)


def test_values_that_belong_together_are_written_together() -> None:
    tag = Setting(("tag",), "")
    assert written("x: &x r\na: *x\ntag: main\nb: 1\n", [[A, tag], [B]]) == (
        f'x: &x r\na: *x\ntag: main\nb: "{DIGEST}"\n',
        ["a is an alias", ""],
    )


NAME = st.sampled_from(["image", "tag", "repository", "x.y", "on", "1", "a b"])
LEAF = st.sampled_from(["latest", "1.10", "", "a: b", "é", "#x"]) | st.none() | st.integers(0, 9) | st.booleans()
TREE = st.recursive(
    LEAF, lambda inner: st.dictionaries(NAME, inner, max_size=4) | st.lists(inner, max_size=3), max_leaves=12
)


@given(
    st.dictionaries(NAME, TREE, max_size=4),
    st.lists(NAME, min_size=1, max_size=3),
    st.booleans(),
    st.sampled_from([DIGEST, "", "a'b", 'a"b', "1.2.3", "true"]),
)
def test_any_values_file(tree: object, path: list[str], flow: bool, value: str) -> None:
    text = "# first\n" + yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True)
    try:
        after = with_settings(text, [Setting(tuple(path), value)])
    except CannotEdit:
        return
    node = kube_yaml.read_first(after, what="", where="")
    for part in path:
        node = node[part]
    assert node == value
    changed = [line for line in difflib.ndiff(text.splitlines(), after.splitlines()) if line[:1] == "-"]
    assert len(changed) <= 1


@given(
    st.dictionaries(st.sampled_from("abc"), TREE, max_size=4),
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=3),
    st.sampled_from([None, 2]),
    st.sampled_from([DIGEST, "1.2.3", "latest"]),
)
def test_json_stays_json(tree: object, path: list[str], indent: int | None, value: str) -> None:
    assume(tree)  # {} is YAML too
    text = json.dumps(tree, indent=indent)
    try:
        after = json.loads(with_settings(text, [Setting(tuple(path), value)]))
    except CannotEdit:
        return
    assert lookup(after, tuple(path)) == value


def test_many_values_are_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is read twice, not once for each value with all before it."""
    reads: list[str] = []
    read_all = kube_yaml.read_all

    def counted(text: str, **more: str) -> list[object]:
        reads.append(text)
        return read_all(text, **more)

    monkeypatch.setattr(kube_yaml, "read_all", counted)
    text = "".join(f'i{n}: "t/a{n}:1"\n' for n in range(50))
    found, why_not = written(text, [[Setting((f"i{n}",), f"t/a{n}:1@x")] for n in range(50)])
    assert found == text.replace(":1", ":1@x") and not any(why_not) and len(reads) == 2
