"""Round trip: what helm-pin writes for helm comes back from helm as it was meant, every string, number, null and key.

The values that it gives to its own renders; the arguments of `plan -o json` and the file of `plan -o values`, given to plain helm.
"""

from __future__ import annotations

import difflib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, note
from hypothesis import strategies as st

from tests.properties.test_reuse import OTHERS, ZOO
from tests.support import strip
from tests.support.budget import examples_within
from tests.support.promise import Promise, listed
from tests.support.twins import written
from tests.support.workstation import Finished, whichever_helm

TEMPLATE = """\
{{- range $key, $group := .Values.groups }}
---
apiVersion: v1
kind: Pod
metadata: {name: group, annotations: {key: {{ toJson $key }}, extra: {{ toJson $group.extra | toJson }}}}
spec:
  containers:
    - {name: a, image: "{{ $group.image.repository }}:{{ $group.image.tag }}"}
{{- end }}
{{- range .Values.rows }}
---
apiVersion: v1
kind: Pod
metadata: {name: row, annotations: {rest: {{ omit . "image" | toJson | toJson }}}}
spec:
  containers:
    - {name: b, image: "{{ .image }}"}
{{- end }}
---
apiVersion: v1
kind: Pod
metadata: {name: raw}
spec: {containers: {{ toJson .Values.raw }} }
---
apiVersion: v1
kind: ConfigMap
metadata: {name: rest}
data: {rest: {{ omit .Values "groups" "rows" "raw" | toJson | toJson }}}
"""
leaves = st.one_of(st.sampled_from(ZOO), st.sampled_from([*OTHERS, None]), st.text(max_size=6).filter(str.isprintable))
keys = st.one_of(
    st.sampled_from(
        [
            "a",
            "y",
            "n",
            "no",
            "08",
            "1",
            "1e3",
            "null",
            "~",
            "a.b",
            "a,b",
            "a=b",
            "a[0]",
            "[0]",
            "a\\b",
            "a b",
            "é🚀",
            "{",
            '"',
            "#x",
            "0",
        ]
    ),
    st.text(st.sampled_from("aY0.,=[]{}\\ \"'é:#-&*!|>%@`"), min_size=1, max_size=5),
)
nested = st.recursive(
    leaves, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)), max_leaves=5
)
tags = st.sampled_from(["1", "1.0", "08054", "Y", "n", "null", "main", "61e9", "0o17", "1_0", "0x1F"])


def named(prefix: str) -> st.SearchStrategy[str]:
    """Names of images that nobody else has."""
    return st.sampled_from([f"{prefix}{i}" for i in range(4)]).map("example.com/team/{}".format)


groups = st.dictionaries(
    keys,
    st.fixed_dictionaries({"image": st.fixed_dictionaries({"repository": named("g"), "tag": tags}), "extra": nested}),
    max_size=6,
)
rows = st.lists(
    st.builds(
        lambda image, tag, rest: {**rest, "image": f"{image}:{tag}"},
        named("r"),
        tags,
        st.dictionaries(keys, nested, max_size=3),
    ),
    max_size=6,
)
raw = st.lists(
    st.builds(
        lambda i, tag, args: {"name": "c", "image": f"{i}:{tag}", "args": args},
        named("c"),
        tags,
        st.lists(st.sampled_from(ZOO), max_size=2),
    ),
    max_size=6,
)
defaults = st.fixed_dictionaries(
    {"groups": groups, "rows": rows, "raw": raw}, optional={"more": nested, "y": nested, "08": nested}
)
mine = st.fixed_dictionaries({}, optional={"groups": groups, "rows": rows, "raw": raw, "more": nested, "y": nested})


@given(own=defaults, given_values=mine)
@examples_within(10, seconds=60, long=300)
def test_what_is_written_for_helm_comes_back(
    own: dict[str, Any], given_values: dict[str, Any], promise: Promise
) -> None:
    note(f"values.yaml: {text_of(own)}\nmine.yaml: {text_of(given_values)}")
    with chart_of(own, given_values) as (chart, flags):
        helms_own = promise.machine.run(promise.machine.helm_binary, "template", "rel", chart, *flags)
        assume(helms_own.status == 0)  # what helm itself cannot read is no matter of this project
        done, plan, values = promise.forms(chart, *flags)
        pinned = must(done).stdout
        found = strip.strip_and_compare(helms_own.stdout, pinned, promise.content.digest)
        if found.followed:
            found = strip.strip_and_compare(helms_own.stdout, pinned, promise.content.digest, listed=listed(plan))
        assert found.problems == []
        same(promise.machine.helm("template", "rel", chart, *flags, *plan["set"]), pinned)
        if values is not None:
            pins = chart.parent / "pins.yaml"
            pins.write_text(values)
            same(promise.machine.helm("template", "rel", chart, *flags, "-f", pins), pinned)


@whichever_helm
def test_what_plan_prints_is_of_the_plan_that_is_rendered(promise: Promise) -> None:
    """The examples above take both from one run of helm-pin."""
    own = {"groups": {"a,b": {"image": {"repository": "example.com/team/g", "tag": "08054"}, "extra": ["é"]}}}
    for given_rows in ({}, {"rows": [{"image": "example.com/team/r:1"}]}):
        with chart_of({**own, "rows": [], "raw": []}, given_rows) as (chart, flags):
            done, plan, values = promise.forms(chart, *flags)
            assert must(promise.pin("template", "rel", chart, *flags)).stdout == done.stdout
            assert promise.plan(chart, *flags) == plan
            printed = promise.pin("plan", "rel", chart, *flags, "--no-cluster", "-o", "values")
            assert (printed.status, printed.stdout) == ((3, "") if values is None else (0, values))
            assert (values is None) is bool(given_rows)


@contextmanager
def chart_of(own: dict[str, Any], given_values: dict[str, Any]) -> Iterator[tuple[Path, list[str]]]:
    """A chart with these defaults, and the flags that give the other values."""
    with tempfile.TemporaryDirectory() as folder:
        chart = written(Path(folder) / "chart", {"values.yaml": text_of(own), "templates/all.yaml": TEMPLATE})
        flags = ["-f", f"{folder}/mine.yaml"]
        Path(flags[1]).write_text(text_of(given_values))
        yield chart, flags


def must(done: Finished) -> Finished:
    """A command that must succeed."""
    if done.status:
        pytest.fail(done.stderr, pytrace=False)
    return done


def same(ours: str, wanted: str) -> None:
    """Two manifests are equal; what differs otherwise."""
    if ours != wanted:
        lines = difflib.unified_diff(wanted.splitlines(), ours.splitlines(), "meant", "came back", n=0, lineterm="")
        pytest.fail("\n".join(lines), pytrace=False)


def text_of(values: Mapping[str, Any]) -> str:
    """JSON that is YAML: Go's parser does not take surrogates that are escaped."""
    return json.dumps(values, ensure_ascii=False)
