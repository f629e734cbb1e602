"""What setargs writes, real helms read back the same: any key, any value."""

from __future__ import annotations

import base64
import copy
import itertools
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from helmpin.chart.setargs import MAX_LEVELS, Setting, arguments, as_tree, reaches
from scripts.devtools.binaries import binary
from tests.support.budget import EXAMPLES

TEXT = st.text(
    st.one_of(
        st.sampled_from("\\=[],.{}\"'`:#&*!|>%@-~$()<> \t\n\0\x7f"),
        st.sampled_from("aZ0é\u2028\ufeff\U0001f600"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=12,
)
"""Any text that YAML can hold (a lone surrogate is none), rich in what the grammars of --set, YAML and JSON take for their own."""
KEYS = st.one_of(
    TEXT, st.sampled_from(["0", "-1", "7", "1.5", "null", "true", "~", "<<", "a.b/c[0]", "--set", "{a,b}"])
)
VALUES = st.one_of(
    TEXT, st.sampled_from(["null", "true", "1", "1e3", "0x1f", "{a,b}", "[1]", "{}", "a,b=c", "\\", "x\\", "~"])
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), TEXT
)
MANY = 120
"""Pairs in one run of helm."""
BATCHES = settings(
    max_examples=max(4, EXAMPLES // MANY),
    phases=[Phase.explicit, Phase.generate],  # helm would run hundreds of times to make a failing batch smaller
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


HELMS = ["helm3", "helm4"]


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chart that prints its values, in a form that nothing on the way can change."""
    made = tmp_path_factory.mktemp("chart")
    (made / "templates").mkdir()
    (made / "Chart.yaml").write_text("apiVersion: v2\nname: echo\nversion: 1.0.0\n")
    (made / "templates" / "values.yaml").write_text("values: {{ .Values | toJson | b64enc }}\n")
    return made


def read_back(chart: Path, words: Sequence[str]) -> Any:
    """The values that Helm 3 and Helm 4 compute for a chart with these arguments."""
    values = [read_by(binary(helm), chart, words) for helm in HELMS]
    assert values[0] == values[1]
    return values[0]


def read_by(helm: Path, chart: Path, words: Sequence[str]) -> Any:
    """Those that one helm computes."""
    done = subprocess.run([helm, "template", "rel", chart, *words], capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stderr}\nfor {words}"
    values = json.loads(base64.b64decode(yaml.safe_load(done.stdout)["values"]))
    values.pop("global", None)
    return values


@given(pairs=st.lists(st.tuples(st.lists(KEYS, min_size=1, max_size=4), VALUES), min_size=MANY, max_size=MANY))
@example(
    pairs=[(["a"] * MAX_LEVELS, "x"), (["b"] * 40, "y"), (["c", ""], "z"), (["", "d"], ""), (["e", "\0", "f"], "\0")]
)
@BATCHES
def test_any_key_and_any_text(chart: Path, pairs: list[tuple[list[str], str]]) -> None:
    """Each pair under a name of its own, all in one command line. What is unreachable at the top is reachable below it."""
    assert [reaches((*keys,)) for keys, _ in pairs] == [keys[0] != "" and "\0" not in keys[0] for keys, _ in pairs]
    wanted: dict[str, Any] = {f"case{i}": {} for i in range(len(pairs))}
    found = [Setting((f"case{i}", *keys), value) for i, (keys, value) in enumerate(pairs)]
    for path, value in found:
        node: Any = wanted
        for part in path[:-1]:
            node = node.setdefault(part, {})
        node[path[-1]] = value
    there = json.loads(json.dumps(wanted))
    for path, _ in found:
        node = there
        for part in path[:-1]:
            node = node[part]
        node[path[-1]] = "what was there"
    assert read_back(chart, arguments(found, there)) == wanted
    assert as_tree(found, there) == wanted


WHOSE = ("chart's", "user's", "by file")
"""Whose the lists are that are changed, or how."""
TREES = st.recursive(
    st.one_of(SCALARS, st.just("image")),
    lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(KEYS, below, max_size=4)),
    max_leaves=12,
)


@given(trees=st.lists(st.lists(TREES, min_size=1, max_size=3), min_size=25, max_size=25), data=st.data())
@BATCHES
def test_one_element_of_a_list(
    chart: Path, tmp_path_factory: pytest.TempPathFactory, trees: list[Any], data: st.DataObject
) -> None:
    """A leaf in a list is changed, and nothing else, be the list the chart's (then it is given whole, by arguments or by a values
    file) or the user's (then by its index)."""
    own = tmp_path_factory.mktemp("lists") / "own.yaml"
    own.write_text(
        yaml.safe_dump({whose: {f"case{i}": copy.deepcopy(tree) for i, tree in enumerate(trees)} for whose in WHOSE})
    )
    before = read_back(chart, ["-f", str(own)])
    texts = [path for path in paths(before["chart's"]) if len(path) > 1]
    chosen = dict.fromkeys(data.draw(st.sampled_from(texts)) for _ in range(min(10, len(texts))))
    found = {whose: [Setting((whose, *path), f"n{i},=\\{{") for i, path in enumerate(chosen)] for whose in WHOSE}
    wanted = json.loads(json.dumps(before))
    for path, value in itertools.chain(*found.values()):
        node: Any = wanted
        for part in path[:-1]:
            node = node[part]
        node[path[-1]] = value
    pins = own.with_name("pins.yaml")
    pins.write_text(yaml.safe_dump(as_tree(found["by file"], before)))
    words = [*arguments(found["chart's"], before), *arguments(found["user's"], before, before)]
    assert read_back(chart, ["-f", str(own), "-f", str(pins), *words]) == wanted


def test_a_list_longer_than_one_argument_may_be(chart: Path) -> None:
    images = {
        "images": [{"name": f"app{i}", "image": {"tag": "v1", "args": ["x" * 100, i, None]}} for i in range(1000)]
    }
    wanted = json.loads(json.dumps(images))
    wanted["images"][999]["image"]["tag"] = "v2"
    words = arguments([Setting(("images", 999, "image", "tag"), "v2")], images)
    assert max(map(len, words)) < 2**17
    assert read_back(chart, words) == wanted


def test_keys_that_look_like_json(chart: Path) -> None:
    """Helm 4 takes all of --set-json for JSON if it begins with a brace."""
    keys = ["{a", " {a", "{a}", "{"]
    lists = arguments([Setting((key, 0), "x") for key in keys], {key: ["y"] for key in keys})
    assert read_back(chart, lists) == {key: ["x"] for key in keys}
    texts = arguments([Setting((key,), "x") for key in keys], dict.fromkeys(keys, "y"))
    assert read_back(chart, texts) == dict.fromkeys(keys, "x")


def paths(node: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The paths of the scalars in a tree."""
    if isinstance(node, dict):
        return [found for key, child in node.items() for found in paths(child, (*path, key))]
    if isinstance(node, list):
        return [found for i, child in enumerate(node) for found in paths(child, (*path, i))]
    return [path]


def test_what_no_argument_reaches(chart: Path) -> None:
    """helm drops an empty first key without a word: setargs says so instead."""
    assert read_back(chart, ["--set-string", "=x"]) == {}
    for unreachable in [("",), ("", "a"), ("\0",)]:
        assert not reaches(unreachable)
        with pytest.raises(ValueError, match="no --set for the key"):
            arguments([Setting(unreachable, "x")], {})
