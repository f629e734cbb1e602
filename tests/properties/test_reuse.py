"""Reuse is Helm's: whatever steps a release goes through, it is the same as a second release that helm alone made.

Digests apart. With HELM_PIN_TEST_LONG=1 on the oldest Helm that is supported, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from scripts.devtools.api import Cluster
from scripts.devtools.binaries import binary
from tests.support.any_tag import AnyTag
from tests.support.budget import LONG, examples_within
from tests.support.twins import PLAIN, Twins, written
from tests.support.workstation import Workstation

VALUES = """\
image: {repository: example.com/team/app, tag: VERSION, pullPolicy: IfNotPresent}
side: {repository: example.com/team/side, tag: "1.0", digest: ""}
own: {tag: 0.0.0}
rows: [{name: one, image: "example.com/team/one:1"}, {name: two, image: "example.com/team/two:2", args: ["08"]}]
given: {text: none, deep: {a: 1, b: two}}
list: [x, "y", 1.5]
sub: {image: example.com/team/sub:VERSION}
low: {image: {tag: null}, port: null}
"""
TEMPLATES = {
    "templates/app.yaml": """\
apiVersion: v1
kind: PodTemplate
metadata: {name: {{ .Release.Name }}}
template:
  spec:
    containers:
      - name: app
        image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default "none" }}"
        imagePullPolicy: {{ .Values.image.pullPolicy | default "Always" }}
      - name: side
        image: {{ .Values.side.repository }}:{{ .Values.side.tag }}{{ with .Values.side.digest }}@{{ . }}{{ end }}
      - name: own
        image: {{ .Values.own.image | default (printf "example.com/team/own:%v" .Values.own.tag) }}
      {{- range .Values.rows }}
      - {name: {{ .name }}, image: {{ .image | quote }}, args: {{ toJson .args }}}
      {{- end }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data:
  given: {{ toJson .Values.given | quote }}
  list: {{ toJson .Values.list | quote }}
  release: "{{ .Release.Revision }} {{ .Release.IsInstall }}"
""",
    "templates/hook.yaml": """\
apiVersion: v1
kind: PodTemplate
metadata: {name: {{ .Release.Name }}-hook, annotations: {helm.sh/hook: "pre-install,pre-upgrade"}}
template: {spec: {containers: [{name: hook, image: "example.com/team/hook:{{ .Chart.AppVersion }}"}]}}
""",
    "charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
    "charts/sub/values.yaml": "image: example.com/team/sub:0\nenv: {a: b}\n",
    "charts/sub/templates/sub.yaml": """\
apiVersion: v1
kind: PodTemplate
metadata: {name: {{ .Release.Name }}-sub, annotations: {env: {{ toJson .Values.env | quote }}}}
template: {spec: {containers: [{name: sub, image: {{ .Values.image }}}]}}
""",
    "charts/low/Chart.yaml": 'apiVersion: v2\nname: low\nversion: 1.0.0\nappVersion: "0.9"\n',
    "charts/low/values.yaml": 'image: {repository: example.com/team/low, tag: "5"}\nport: 80\n',
    "charts/low/templates/low.yaml": """\
apiVersion: v1
kind: PodTemplate
metadata: {name: {{ .Release.Name }}-low, annotations: {port: {{ quote .Values.port }}}}
template:
  spec:
    containers: [{name: low, image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"}]
""",
}
ZOO = [
    *(
        "Y",
        "n",
        "yes",
        "off",
        "NULL",
        "null",
        "~",
        "",
        " ",
        "08054",
        "25921e05",
        "0o17",
        "0x1F",
        "1_000",
        "+1",
        ".5",
        "1.",
        "1e3",
    ),
    *(
        "2026-11-25",
        "0000-00-00",
        "12:30:45",
        "=",
        "<<",
        "!x",
        "&a",
        "*a",
        "#",
        "- a",
        "a: b",
        "{}",
        "[]",
        "%",
        "@x",
        "`x`",
        '"',
        "'",
    ),
    *("a\nb\n", "a\tb", "é", "🚀", "\u2028", "\x85", "a\\b", "{{ x }}", "a,b=c", "x" * 300),
]
OTHERS = [
    0,
    7,
    -1,
    1.5,
    1.0,
    1e21,
    1e-7,
    2**53,
    2**53 + 1,
    2**63 - 1,
    True,
    False,
    {},
    [],
    ["n", "08"],
    {"y": 1, "08": {"n": "n"}},
]
TAGS = ["Y", "n", "08054", "25921e05", "0o17", "1_000", "null", "61e9", "main", "1.10", 7, 1.5]

anything = st.one_of(st.sampled_from(ZOO), st.sampled_from(OTHERS), st.text(max_size=8).filter(str.isprintable))
settings_of = st.fixed_dictionaries(
    {},
    optional={
        "image": st.fixed_dictionaries({}, optional={"tag": st.sampled_from(TAGS), "pullPolicy": st.just("Always")}),
        "side": st.fixed_dictionaries({}, optional={"tag": st.sampled_from(["n", "08054", "2"])}),
        "own": st.one_of(st.just({"image": "example.com/team/other:7"}), st.just({"tag": 3})),
        "rows": st.lists(st.sampled_from("abc"), unique=True, min_size=1).map(
            lambda names: [{"name": n, "image": f"example.com/team/{n}:08", "args": ["Y", "0o17"]} for n in names]
        ),
        "given": st.dictionaries(
            st.sampled_from(["text", "deep", "y", "08", "a.b", "x y", "null"]), anything, max_size=3
        ),
        "list": st.lists(anything, max_size=3),
        "sub": st.fixed_dictionaries(
            {},
            optional={
                "image": st.just("example.com/team/sub:Y"),
                "env": st.dictionaries(st.sampled_from("ayn"), anything),
            },
        ),
    },
)
NULLS = [
    "image.tag",
    "image.pullPolicy",
    "given.text",
    "given.deep",
    "given.deep.a",
    "given",
    "list",
    "own.image",
    "rows",
    "sub.env",
    "side.tag",
    "low.port",
    "low.image.tag",
]
SET = [
    "image.tag=main",
    "image.tag=0123",
    "side.tag=5",
    "given.text=Y",
    "given.deep.c=08",
    "list={a,1,true}",
    "list[0]=z",
    "sub.env.z=1e5",
    "rows[0].name=q,rows[0].image=example.com/team/q:1",
    "given.big=9007199254740993",
    "list[1]=1000660003,given.none=null",
    "low.port=8080",
    "low.image.tag=6",
]
SET_JSON = [
    'given={"z": 1}',
    'given={"deep": {"a": null, "c": 2}}',
    'given={"text": null, "deep": null}',
    'sub.env={"z": [1]}',
    'image={"pullPolicy": "Always"}',
    'low={"port": 1}',
]
REUSE = [*["--reuse-values", "--reset-then-reuse-values"] * 3, "", "", "--reset-values"]


@st.composite
def upgrades(draw: st.DrawFn) -> tuple[Any, ...]:
    """An upgrade: by helm-pin or by helm alone, how it reuses, a values file (None: no file), and flags for single values."""
    plain = draw(st.sampled_from([False, False, False, True]))
    file = draw(st.one_of(st.none(), st.none(), st.just({}), settings_of))
    single = st.one_of(st.sampled_from(SET), st.sampled_from(NULLS).map("{}=null".format), st.sampled_from(SET_JSON))
    own = draw(st.lists(single, max_size=2))
    if plain:  # what plain helm does to digests that it does not know about: docs/upgrade.md
        own = [text for text in own if not text.startswith(("side.tag", "image.tag", "low.image", "rows=null"))]
        file = {key: value for key, value in file.items() if key not in ("image", "side")} if file else file
    return ("upgrade", plain, draw(st.sampled_from(REUSE)), file, own)


others = st.one_of(
    st.tuples(st.just("uninstall"), st.booleans()),
    st.tuples(st.just("rollback"), st.integers(1, 9)),
    st.tuples(st.just("move"), st.sampled_from("ABC")),
    st.tuples(st.just("defaults"), st.sampled_from(["1.0.0", "2.0.0"])),
)
stories = st.lists(
    st.one_of(upgrades(), upgrades(), upgrades(), upgrades(), others), min_size=4, max_size=8, unique_by=str
)


class Place:
    """Where releases are made, each example's in a namespace of its own."""

    def __init__(self, machine: Workstation, cluster: Cluster, content: AnyTag, name: str, folder: Path) -> None:
        self.machine, self.cluster, self.content, self.name, self.folder = machine, cluster, content, name, folder
        self.number = 0

    def twins(self) -> Twins:
        """Two releases that are not there yet."""
        self.number += 1
        name = f"{self.name}-{self.number}"
        self.cluster.api("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        self.content.build = "A"
        chart = written(self.folder / name, {"values.yaml": VALUES.replace("VERSION", "1.0.0"), **TEMPLATES})
        return Twins(self.machine, self.cluster, name, self.content, chart)


@pytest.fixture
def place(in_cluster: Workstation, cluster: Cluster, content: AnyTag, unique: str, tmp_path: Path) -> Place:
    """Helm 3, then Helm 4."""
    return Place(in_cluster, cluster, content, f"{unique}-s", tmp_path)


@given(story=stories)
@examples_within(4, seconds=50, long=120)
def test_reuse_is_helms(story: list[tuple[Any, ...]], place: Place) -> None:
    live(story, place.twins())


if LONG:

    @given(story=stories)
    @examples_within(4, seconds=50, long=120)
    def test_reuse_is_the_oldest_helms(story: list[tuple[Any, ...]], place: Place) -> None:
        place.machine = place.machine._replace(helm_binary=binary("helm-old"))
        live(story, place.twins())


def live(story: list[tuple[Any, ...]], twins: Twins) -> None:
    """Go through the steps, and compare after each.

    While the chart's defaults are others than helm-pin has pinned, its values stand in their way for a plain helm (README): then
    helm-pin makes the next upgrade. Nor does a release go back to a revision from which values were reused with a null: helm writes
    the null into its stored values, and where it gets all values from helm-pin, it does not (docs/upgrade.md).
    """
    first = ("upgrade", False, "", {"image": {"tag": "1.2.3"}, "given": {"text": "mine"}}, [])
    is_there = is_stale = False
    spoilt = 0
    for number, step in enumerate([first, *story]):
        note(f"{number}: {step}")
        if step[0] == "upgrade":
            _, plain, reuse, file, own = step
            flags = arguments(twins.chart.parent, number, reuse, file, own)
            plain = plain and not is_stale
            if is_there and any("null" in text for text in own):
                spoilt = twins.revisions()
            done = twins.both("upgrade", "--install", *flags, plain=plain, may_fail=True)
            is_there = is_there or done.status == 0
            is_stale = is_stale and done.status != 0
        elif step[0] == "move":
            twins.content.build = step[1]
        elif step[0] == "defaults":
            (twins.chart / "values.yaml").write_text(VALUES.replace("VERSION", step[1]))
            is_stale = True
        elif is_there and step[0] == "uninstall":
            twins.both("uninstall", *(["--keep-history"] if step[1] else []), chart=False, plain=True, compare=False)
            is_there = False
        elif is_there and step[0] == "rollback" and twins.status(PLAIN, step[1]) == "superseded" and step[1] > spoilt:
            twins.both("rollback", str(step[1]), chart=False, plain=True)


def arguments(folder: Path, number: int, reuse: str, file: Mapping[str, Any] | None, own: list[str]) -> list[str]:
    """The flags of an upgrade."""
    given = [reuse] if reuse else []
    if file is not None:
        path = folder / f"values-{number}.yaml"
        path.write_text(json.dumps(file, ensure_ascii=False) if file else "# nothing\n")
        given += ["-f", str(path)]
    return given + [part for text in own for part in ("--set-json" if text in SET_JSON else "--set", text)]
