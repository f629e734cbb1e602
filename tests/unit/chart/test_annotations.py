"""Setting an annotation: every other byte of Chart.yaml stays, in whatever style it is written."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from helmpin.chart.annotations import annotate
from helmpin.errors import HelmFailed

CASES = {
    "an anchor twice": (
        "name: &a x\ndescription: &a y\nannotations: {b: *a}\n",
        "name: &a x\ndescription: &a y\nannotations: {helm-pin/digests: '{\"a\":1}', b: *a}\n",
    ),
    "another case": (
        "name: x\nAnnotations: {a: b}\n",
        "name: x\nAnnotations: {helm-pin/digests: '{\"a\":1}', a: b}\n",
    ),
    "two cases": (
        "annotations: {c: d}\nAnnotations: {a: b}\n",
        "annotations: {helm-pin/digests: '{\"a\":1}', c: d}\nAnnotations: {a: b}\n",
    ),
    "none yet": ("name: x\nversion: 1\n", "annotations:\n  helm-pin/digests: '{\"a\":1}'\nname: x\nversion: 1\n"),
    "comments first": (
        "# top\n---\n# of name\nname: x # why\n",
        "# top\n---\n# of name\nannotations:\n  helm-pin/digests: '{\"a\":1}'\nname: x # why\n",
    ),
    "no final newline": ("name: x", "annotations:\n  helm-pin/digests: '{\"a\":1}'\nname: x"),
    "carriage returns": (
        "name: x\r\nversion: 1\r\n",
        "annotations:\r\n  helm-pin/digests: '{\"a\":1}'\r\nname: x\r\nversion: 1\r\n",
    ),
    "byte order mark": ("\ufeffname: x\n", "\ufeffannotations:\n  helm-pin/digests: '{\"a\":1}'\nname: x\n"),
    "indented document": (
        "  name: x\n  version: 1\n",
        "  annotations:\n    helm-pin/digests: '{\"a\":1}'\n  name: x\n  version: 1\n",
    ),
    "beside others": (
        "annotations:\n    a: b  # c\n    d: |\n      e\nname: x\n",
        "annotations:\n    helm-pin/digests: '{\"a\":1}'\n    a: b  # c\n    d: |\n      e\nname: x\n",
    ),
    "tabs in comments": (
        "annotations:\t# \t\n  a: b\t#\tc\n",
        "annotations:\t# \t\n  helm-pin/digests: '{\"a\":1}'\n  a: b\t#\tc\n",
    ),
    "empty": ("annotations:\nname: x\n", "annotations: {helm-pin/digests: '{\"a\":1}'}\nname: x\n"),
    "empty with a comment": (
        "annotations:   # none\nname: x\n",
        "annotations: {helm-pin/digests: '{\"a\":1}'}   # none\nname: x\n",
    ),
    "empty at the end": ("name: x\nannotations:", "name: x\nannotations: {helm-pin/digests: '{\"a\":1}'}"),
    "null": ("annotations: null # none\n", "annotations: {helm-pin/digests: '{\"a\":1}'} # none\n"),
    "tilde": ("annotations: ~\n", "annotations: {helm-pin/digests: '{\"a\":1}'}\n"),
    "empty map": ("annotations: {}\nname: x\n", "annotations: {helm-pin/digests: '{\"a\":1}'}\nname: x\n"),
    "empty map with space": ("annotations: { }\nname: x\n", "annotations: { helm-pin/digests: '{\"a\":1}'}\nname: x\n"),
    "flow map": ("annotations: {a: b}\n", "annotations: {helm-pin/digests: '{\"a\":1}', a: b}\n"),
    "all flow": (
        '{"name": "x", "version": "1"}',
        '{annotations: {helm-pin/digests: \'{"a":1}\'}, "name": "x", "version": "1"}',
    ),
    "all flow, spread": (
        '{\n\t"annotations": {\n\t\t"a": "b"\n\t}\n}\n',
        '{\n\t"annotations": {\n\t\thelm-pin/digests: \'{"a":1}\', "a": "b"\n\t}\n}\n',
    ),
    "already there": (
        "annotations:\n  helm-pin/digests: '{}' # old\n  a: b\n",
        "annotations:\n  helm-pin/digests: '{\"a\":1}' # old\n  a: b\n",
    ),
    "already there as a block": (
        "annotations:\n  helm-pin/digests: |\n    {}\n  a: b\n",
        "annotations:\n  helm-pin/digests: '{\"a\":1}'\n  a: b\n",
    ),
    "quoted key": ("annotations:\n  'helm-pin/digests': x\n", "annotations:\n  'helm-pin/digests': '{\"a\":1}'\n"),
    "anchored": (
        "annotations: &all\n  a: b\nother: *all\n",
        None,  # the alias would change with it
    ),
    "anchored, not shared": (
        "annotations: &all\n  a: b\n",
        "annotations: &all\n  helm-pin/digests: '{\"a\":1}'\n  a: b\n",
    ),
    "anchored and empty, not shared": (
        "annotations: &all\nname: x\n",
        "annotations: {helm-pin/digests: '{\"a\":1}'}\nname: x\n",
    ),
    "alias": (
        "x-shared: &all\n  a: b\nannotations: *all\n",
        "x-shared: &all\n  a: b\nannotations: {<<: *all , helm-pin/digests: '{\"a\":1}'}\n",
    ),
    "merged": (
        "x-shared: &all {a: b}\nannotations:\n  <<: *all\n",
        "x-shared: &all {a: b}\nannotations:\n  helm-pin/digests: '{\"a\":1}'\n  <<: *all\n",
    ),
    "given twice": (
        "annotations: {a: b}\nannotations: {c: d}\n",
        "annotations: {a: b}\nannotations: {helm-pin/digests: '{\"a\":1}', c: d}\n",
    ),
    "non-ASCII before": (
        "description: 'é 🚀'\nannotations:\n  a: b\n",
        "description: 'é 🚀'\nannotations:\n  helm-pin/digests: '{\"a\":1}'\n  a: b\n",
    ),
    "second document": (
        "name: x\n---\nname: y\n",
        "annotations:\n  helm-pin/digests: '{\"a\":1}'\nname: x\n---\nname: y\n",
    ),
    "annotations elsewhere": (
        "dependencies:\n- name: a\n  annotations: {}\nname: x\n",
        "annotations:\n  helm-pin/digests: '{\"a\":1}'\ndependencies:\n- name: a\n  annotations: {}\nname: x\n",
    ),
    "dates that do not exist": (
        "appVersion: 2026-31-12\nannotations:\n  built: 0000-00-00\n",
        "appVersion: 2026-31-12\nannotations:\n  helm-pin/digests: '{\"a\":1}'\n  built: 0000-00-00\n",
    ),
    "unknown tags": ("name: !x y\n", "annotations:\n  helm-pin/digests: '{\"a\":1}'\nname: !x y\n"),
    "rubbish in a second document": (
        "name: x\n---\n[\n",
        "annotations:\n  helm-pin/digests: '{\"a\":1}'\nname: x\n---\n[\n",
    ),
    "a merge that would overrule it": (
        "x: &all {helm-pin/digests: old}\nannotations:\n  a: b\n  <<: *all\n",
        None,  # in helm the last one counts, be it merged
    ),
    "a list": ("annotations: [a]\n", None),
    "a text": ("annotations: a\n", None),
    "not a mapping": ("- name: x\n", None),
    "not YAML": ("name: [x\n", None),
    "nothing": ("", None),
    "explicit key": ("? name\n: x\n", None),
}


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES)
def test_every_style_of_chart_yaml(before: str, after: str | None) -> None:
    if after is None:
        with pytest.raises(HelmFailed) as error:
            annotate(before, "helm-pin/digests", '{"a":1}')
        assert "Chart.yaml" in error.value.where
    else:
        assert annotate(before, "helm-pin/digests", '{"a":1}') == after


@pytest.mark.parametrize(
    "value", ["", "it's", "a: b # c", "two\nlines\ttab", "é 🚀", "\\", "'" * 3, "null", "123", "{}"]
)
def test_every_value_comes_back(value: str) -> None:
    loaded = yaml.safe_load(annotate("name: x\nannotations: {a: b}\n", "some key: 'odd'", value))
    assert loaded == {"name": "x", "annotations": {"a": "b", "some key: 'odd'": value}}


SCALARS = st.one_of(st.text(max_size=20), st.integers(), st.booleans(), st.none())
KEYS = st.text("abcXYZ019-./ é:#'", min_size=1, max_size=12)
METADATA = st.fixed_dictionaries(
    {"name": st.text("abc-", min_size=1, max_size=9)},
    optional={
        "version": SCALARS,
        "annotations": st.one_of(st.none(), st.dictionaries(KEYS, st.text(max_size=40), max_size=4)),
        "dependencies": st.lists(st.dictionaries(KEYS, SCALARS, max_size=3), max_size=3),
        "description": st.text(max_size=200),
    },
)


def same(one: str, other: str) -> int:
    """How many characters both begin with."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


@settings(deadline=None)
@given(METADATA, st.sampled_from([True, False, None]), st.integers(2, 6), st.booleans(), st.randoms())
def test_only_the_annotation_is_added(
    metadata: dict[str, Any], flow: bool | None, indent: int, unicode: bool, random: Any
) -> None:
    shuffled = dict(random.sample(list(metadata.items()), len(metadata)))
    before = yaml.dump(shuffled, default_flow_style=flow, indent=indent, allow_unicode=unicode, sort_keys=False)
    after = annotate(before, "helm-pin/digests", '{"version":1}')
    loaded = yaml.safe_load(before)
    assert yaml.safe_load(after) == {
        **loaded,
        "annotations": {**(loaded.get("annotations") or {}), "helm-pin/digests": '{"version":1}'},
    }
    kept = same(before, after) + same(before[::-1], after[::-1])
    assert kept >= len(before) - len("null")
