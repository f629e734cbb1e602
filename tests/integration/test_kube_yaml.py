"""Real helms read YAML as helmpin.kube_yaml does: the same values, and what helm refuses may be read more leniently."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from helmpin.errors import HelmFailed
from helmpin.kube_yaml import read_first
from helmpin.structured import as_yaml
from scripts.devtools.binaries import binary

TEMPLATE = """\
written: {{ toJson .Values.written | b64enc }}
{{- $all := list }}{{ range .Values.docs }}{{ $all = append $all (fromYaml .) }}{{ end }}
read: {{ toJson $all }}
"""
ANIMALS = """\
y n Y N yes No ON off True FALSE tRue ~ null Null nuLL 0 00 08 09.5 0o17 0o8 017 0x1F 0X1f 0x 0x_ 0_ 0_0 1_000 _1 -_1 +1 -0 -0.0
+-1 1e3 1E3 1.e5 1. .5 ._5 .5_0 .5_ .5e1_0 . .. +.5 -.5 1.10 1e999 -1e999 .1e999 1e-999 1__0 1_ 0_x1 0x1_F 0.1_0 1e1_0 1__e5
18446744073709551615 18446744073709551616 9223372036854775808 -9223372036854775808 -9223372036854775809 +9223372036854775808
0xFFFFFFFFFFFFFFFF 0x10000000000000000 0777777777777777777777777 0b1 0b2 0b+1 0b-1 -0b1 -0b-1 0B1 0b 0b_1 0o 0O17 -0o17 +0x1F
1:30 190:20:30 1:30.5 12:30:45 0000-00-00 2026-31-12 2001-01-01 2001-1-1 2001-12-14t21:59:43.10-05:00 2001-12-14T21:59:43+99:00
= << < 61e9 1234e56 12e4567 0123 20261125094501 1.2.3 1,000 0x1p3 Infinity NaN inf 1e+3 1e+ e3 0e0 00.5 v1 latest sha256:0a
"" '' .inf -.INF .nan 1e-7 16777217 3.14159265358979 1e39 1.0
"""
ZOO = ANIMALS.split()
ODD = ["a\nb", "\x1b[31m", "\u202e", "\x85", "::x::", "##[x]", "\U0001f600", "\x7f", " ", "a: b", "- x", "#", "\ufeff"]
BARE_TAGS = ["!!str", "!!int", "!!null", "!!float", "!!binary", "!!set", "!!omap", "!!timestamp", "!", "!x"]
WORDS = st.one_of(
    st.sampled_from(ZOO),
    # libyaml refuses a colon at a word's end in a flow collection
    st.text("0123456789_xXobBeE+-.:", max_size=7).filter(lambda word: not word.endswith(":")),
    st.text("ynoeNOYESfalurt~", max_size=5),
)
TAGS = st.sampled_from(["!!str", "!!int", "!!float", "!!bool", "!!null", "!x", "!"])
SCALARS = st.one_of(
    WORDS, WORDS.map('"{}"'.format), WORDS.map("'{}'".format), st.builds("{} {}".format, TAGS, WORDS), st.just("*a")
)
NODES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(SCALARS | st.just("<<"), inner), max_size=3).map(
            lambda pairs: "{" + ", ".join(f"{key} : {value}" for key, value in pairs) + "}"
        )
    ),
    max_leaves=5,
)
DOCUMENTS = st.builds("anchor: &a {}\nv: {}\n".format, NODES, NODES)


HELMS = ["helm-old", "helm3", "helm4"]
"""The oldest Helm that is supported, then Helm 3, then Helm 4."""


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chart that prints what helm reads in each of its documents."""
    made = tmp_path_factory.mktemp("chart")
    (made / "templates").mkdir()
    (made / "Chart.yaml").write_text("apiVersion: v2\nname: reader\nversion: 1.0.0\n")
    (made / "templates" / "x.yaml").write_text(TEMPLATE)
    return made


def run(helm: Path, chart: Path) -> str:
    done = subprocess.run([helm, "template", chart], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def read_by(helm: Path, chart: Path, documents: Sequence[str]) -> list[Any]:
    (chart / "values.yaml").write_text(json.dumps({"docs": documents}))
    return list(json.loads(run(helm, chart).partition("read: ")[2]))


def agree(chart: Path, documents: Sequence[str]) -> None:
    """With every Helm. Helm's fromYaml gives every number as a float."""
    read = [read_by(binary(helm), chart, documents) for helm in HELMS]
    for document, *each in zip(documents, *read, strict=True):
        if all(theirs.keys() == {"Error"} for theirs in each):
            continue
        try:
            ours = floats(read_first(document, what="w", where="x"))
        except HelmFailed as failed:
            pytest.fail(f"{document!r}: helm reads {each}, we say: {failed.why}")
        for helm, theirs in zip(HELMS, each, strict=True):
            if theirs.keys() != {"Error"} and ours != floats(theirs):
                # two keys of one text, such as 8 and "8": which one wins is chance in Go, whose maps have no order
                others = map(floats, read_by(binary(helm), chart, [document] * 200))
                assert ours in others, f"{helm}: {document}: {ours} is not {floats(theirs)}"


def floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: floats(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [floats(inner) for inner in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def test_every_animal_of_the_zoo(chart: Path) -> None:
    values, keys = [f"v: {word}" for word in ZOO], [f"{word} : v" for word in ZOO]
    tagged = [f"v: {tag} {word}" for tag in ("!!int", "!!float", "!!bool", "!!str", "!x") for word in ZOO]
    bare = [f"v: {tag}" for tag in BARE_TAGS]
    agree(chart, [*values, *keys, *tagged, *bare])


@pytest.mark.parametrize("helm", HELMS)
def test_what_is_written_comes_back(helm: str, chart: Path) -> None:
    strings = [*ZOO, *BARE_TAGS, *ODD, *(f"{odd}{odd}" for odd in ODD), *(f"x{odd}x" for odd in ODD)]
    written = {"list": strings, "keys": dict.fromkeys(strings, 1)}
    (chart / "values.yaml").write_text(as_yaml({"docs": [], "written": written}))
    printed = run(binary(helm), chart).partition("written: ")[2].splitlines()[0]
    assert json.loads(base64.b64decode(printed)) == written


def test_generated_documents(chart: Path) -> None:
    """All in one run of each helm."""
    generated: list[str] = []

    @settings(
        max_examples=12,
        phases=[Phase.generate],
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(DOCUMENTS, min_size=100, max_size=100))
    def generate(documents: list[str]) -> None:
        generated.extend(documents)

    generate()
    assert len(generated) >= 1000
    agree(chart, generated)
