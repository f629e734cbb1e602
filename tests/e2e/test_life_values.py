"""Values over the life of a release: what helm reuses, helm-pin reuses, with every step made by helm alone in a second release."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from scripts.devtools.api import Cluster
from tests.support.any_tag import AnyTag
from tests.support.twins import OURS, PLAIN, UNVALIDATED, Twins, written
from tests.support.workstation import Workstation, whichever_helm

pytestmark = whichever_helm

CHART = {
    "values.yaml": """\
image: {repository: example.com/team/app, tag: 1.0.0, pullPolicy: IfNotPresent}
probe: {path: /healthz, port: 80}
list: [one, two]
given: {}
odd: {}
own: {tag: 0.0.0}
""",
    "templates/app.yaml": """\
apiVersion: v1
kind: PodTemplate
metadata: {name: {{ .Release.Name }}-app}
template:
  spec:
    containers:
      - name: app
        image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default "0" }}"
        imagePullPolicy: {{ .Values.image.pullPolicy }}
        env:
          {{- range $name, $value := .Values.given }}
          - {name: {{ $name | quote }}, value: {{ $value | quote }}}
          {{- end }}
          - {name: TYPES, value: {{ toJson .Values.odd | quote }}}
      - name: own
        image: {{ .Values.own.image | default (printf "example.com/team/own:%s" .Values.own.tag) }}
""",
    "templates/probe.yaml": """\
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data:
  probe: {{ toJson .Values.probe | quote }}
  list: {{ toJson .Values.list | quote }}
""",
    "templates/first.yaml": """\
{{- if .Release.IsInstall }}
apiVersion: v1
kind: PodTemplate
metadata: {name: {{ .Release.Name }}-seed}
template: {spec: {containers: [{name: seed, image: "example.com/team/seed:latest"}]}}
{{- end }}
""",
}


@pytest.fixture
def twins(in_cluster: Workstation, cluster: Cluster, unique: str, content: AnyTag, tmp_path: Path) -> Twins:
    """Helm 3, then Helm 4, and two releases of one chart."""
    content.build, content.one_image = "A", set()
    return Twins(in_cluster, cluster, unique, content, written(tmp_path / "chart", CHART))


def test_what_is_reused_through_a_life(twins: Twins, tmp_path: Path) -> None:
    """A neighbour of a value that was given, and files without values: helm looks at the merged values, not at whether there is a
    flag. Strings that look like something else (`"Y"`, a branch code, a commit), quoted by the user, and unquoted by tools that
    write YAML for another YAML. And a plan shows what an upgrade would reuse.

    An image that is let through leaves the revision before as it was: Helm 3.22 and 4 write nulls that are merged into reused
    values into the stored values that they are merged with, too. What was pinned by values is not what was given: when the chart
    changes, its next default counts.
    """

    def planned(*given: str) -> None:
        plan = json.loads(twins.pin("plan", OURS, twins.chart, "-o", "json", *given).stdout)
        twins.both("upgrade", *given)
        assert {image["image"] for image in plan["images"]} == {image.partition("@")[0] for image in twins.images()}

    texts = [
        "Y",
        "n",
        "08054",
        "25921e05",
        "0o17",
        "1_000",
        "null",
        "~",
        "1.0",
        "0x1F",
        "2026-11-25",
        "1:30",
        "=",
        " x",
    ]
    given = {f"K{i}": text for i, text in enumerate([*texts, "#", "é🚀", "a\\b"])}
    odd = {"n": 1, "y": 2.5, "on": True, "1": 2**53, "08": 1e6, "": "x", "k": {"y": "Y"}, "list": [{"n": "n"}]}
    mine = {"given": given, "odd": odd, "image": {"tag": "61e9"}, "list": texts, "probe": {"path": "/mine"}}
    (tmp_path / "mine.yaml").write_text(json.dumps(mine, ensure_ascii=False))
    nothing = ["--set", ""]
    for name, text in {"nothing.yaml": "# nothing yet\n", "empty.yaml": "{}\n---\n"}.items():
        (tmp_path / name).write_text(text)
        nothing += ["-f", str(tmp_path / name)]
    twins.both("upgrade", "--install", "-f", tmp_path / "mine.yaml")
    planned("--reuse-values", "--set", "image.pullPolicy=Always")
    assert twins.images()[0].startswith("example.com/team/app:61e9@")
    planned(*nothing)
    twins.both("upgrade", "--reset-then-reuse-values", "--set-string", "given.K1=yes")
    assert twins.images()[0].startswith("example.com/team/app:61e9@")
    planned("--set", "probe.port=1,image.tag=1.2.3")
    twins.both("upgrade", *nothing, "--reset-values")
    assert twins.images()[0].startswith("example.com/team/app:1.0.0@")

    own = twins.helm("upgrade", PLAIN, twins.chart, "--reuse-values", UNVALIDATED)
    assert own.status == 0, own.stderr
    let_through = twins.pin("upgrade", OURS, twins.chart, "--reuse-values", "--allow-unpinned=*/app:*", UNVALIDATED)
    assert let_through.status == 0, let_through.stderr
    twins.both("rollback", str(twins.revisions() - 1), chart=False, plain=True)
    twins.both("upgrade", "--reuse-values", "--set", "probe.path=/mine")

    values = twins.chart / "values.yaml"
    values.write_text(values.read_text().replace("tag: 1.0.0", "tag: 3.0.0").replace("port: 80", "port: 90"))
    twins.both("upgrade", "--reset-then-reuse-values")
    assert twins.images()[0].startswith("example.com/team/app:3.0.0@")
    values.write_text(values.read_text().replace("tag: 3.0.0", "tag: 4.0.0").replace("list:", "more: [x]\nlist:"))
    twins.both("upgrade", "--reuse-values")
    twins.both("upgrade")
    assert twins.images()[0].startswith("example.com/team/app:4.0.0@")


VERSIONED = """\
apiVersion: v1
kind: PodTemplate
metadata: {name: {{ .Release.Name }}-versioned}
template:
  spec:
    containers:
      - name: app
        image: {{ .Values.image.repository }}:{{ .Values.image.tag }}
        {{- if semverCompare ">=1.2" (default .Values.image.tag .Values.image.effectiveSemver) }}
        args: ["--new"]
        {{- end }}
"""


def test_a_template_that_compares_the_tag(twins: Twins) -> None:
    """The version that it saw once does not stay in the values when another tag is given, nor after a rollback. A release that is
    installed anew, after an uninstall that keeps history, reuses nothing, and `.Release.IsInstall` is true.
    """
    (twins.chart / "templates" / "versioned.yaml").write_text(VERSIONED)
    twins.both("upgrade", "--install", "--set", "image.tag=1.3.0")
    twins.both("upgrade", "--reuse-values", "--set", "image.tag=1.1.0")
    twins.both("rollback", "1", chart=False)
    twins.both("upgrade", "--reuse-values", "--set", "probe.port=2")
    assert twins.images()[0].startswith("example.com/team/app:1.3.0@")
    twins.content.build = "B"
    twins.both("rollback", "2", chart=False, plain=True)
    twins.both("upgrade")
    assert twins.images()[0].startswith("example.com/team/app:1.1.0@")
    twins.both("uninstall", "--keep-history", chart=False, plain=True, compare=False)
    twins.both("upgrade", "--install")
    assert any(image.startswith("example.com/team/seed:latest@") for image in twins.images())
    assert twins.images()[0].startswith("example.com/team/app:1.0.0@")


LISTS = {
    **CHART,
    "values.yaml": CHART["values.yaml"]
    + """\
tools: [{image: "example.com/team/x:1"}, {image: "example.com/team/y:1"}]
containers: [{name: all, image: "example.com/team/all:1"}]
""",
    "templates/tools.yaml": """\
apiVersion: v1
kind: PodTemplate
metadata: {name: {{ .Release.Name }}}
template:
  spec:
    containers:
      {{- range $i, $tool := .Values.tools }}
      - {name: t{{ $i }}, image: {{ $tool.image }}, args: {{ toJson $tool.args }}}
      {{- end }}
---
apiVersion: v1
kind: PodTemplate
metadata: {name: {{ .Release.Name }}-whole}
template: {spec: {containers: {{ toJson .Values.containers }} }}
""",
}


@pytest.mark.parametrize("flag", ["--reuse-values", "--reset-then-reuse-values"])
def test_null_over_a_value_and_an_element_of_a_list(flag: str, twins: Twins) -> None:
    """Helm's two ways of reusing differ in what a null means, the first time and the second. The list is the user's, or the
    chart's.
    """
    written(twins.chart, LISTS)
    other = {"--reuse-values": "--reset-then-reuse-values"}.get(flag, "--reuse-values")
    tools = ["--set-json", 'tools=[{"image":"a:1","args":["x"]},{"image":"b:1"}]'] if flag == "--reuse-values" else []
    given = "probe.path=/mine,image.tag=7,own.image=example.com/team/other:7,list={a,b,c}"
    twins.both("upgrade", "--install", "--set", given, *tools)
    keys = "image.tag=null,own.image=null,list=null"
    for null in (f"{keys},probe.path=null,tools[0].image=example.com/team/z:2", f"{keys},probe=null"):
        twins.both("upgrade", flag, "--set", null, "--set", "own.tag=1.0.0,image.pullPolicy=Always")
    twins.both("upgrade", other, *(["--set", "tools[0].image=example.com/team/z:3"] if tools else []))


@pytest.mark.parametrize("flag", ["--reuse-values", "--reset-then-reuse-values"])
def test_whole_numbers_stay_whole(flag: str, twins: Twins) -> None:
    """What --set gives is an int64, what a file gives a float64: `printf "%d"` and large numbers show it."""
    types = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-types}
data: {port: '{{ printf "%d %T" .Values.probe.port .Values.probe.port }}', large: '{{ .Values.odd.large }}'}
"""
    written(twins.chart, {**LISTS, "templates/types.yaml": types})
    tools = 'tools=[{"image":"a:1","args":["x"]},{"image":"b:1"}]'
    twins.both("upgrade", "--install", "--set-json", tools)
    for large in ("1000660000", "9007199254740993"):
        twins.both("upgrade", flag, "--set", f"probe.port=8080,odd.large={large},tools[0].image=b:2")
    twins.both("upgrade", flag, "--set", "probe.port=9090,odd.large=1000660001", plain=True)
    twins.both("upgrade", flag, "--set", "probe.port=9091")
    twins.both("rollback", "3", chart=False)
    twins.both("upgrade", flag, "--set", "probe.port=9092,odd.large=1000660002")
    twins.both(
        "upgrade", flag, "--set", "odd.large=9007199254740995,none=null,probe.path=null,odd.rows[0].n=1000660003"
    )
    twins.both("upgrade", flag, "--set", "image.tag=20261130")


@pytest.mark.parametrize("flag", ["--reuse-values", "--reset-then-reuse-values"])
def test_a_map_given_as_json_is_merged_into_the_reused_one(flag: str, twins: Twins) -> None:
    """With its nulls: a null over a null would remove it."""
    written(twins.chart, CHART)
    twins.both("upgrade", "--install", "--set-json", 'odd={"a": null, "b": 1}')
    twins.both("upgrade", flag, "--set-json", 'odd={"c": 1}')
    twins.both("upgrade", flag, "--set-json", 'odd={"a": 2, "b": null}', "--set", "image.pullPolicy=Always")


def test_what_plain_helm_was_given_and_nothing_shows_is_reused(twins: Twins) -> None:
    """Values that are the defaults, until a later version of the chart has others: a render shows no difference without them."""
    twins.both("install", "--set", "probe.port=80,unread=1", plain=True)
    twins.both("upgrade")
    assert "@sha256:" in twins.stored(OURS).config["image"]["tag"]
    written(twins.chart, {"values.yaml": CHART["values.yaml"].replace("port: 80", "port: 8080")})
    twins.both("upgrade")
    twins.both("upgrade", "--set", "probe.path=/healthz", plain=True)
    twins.both("upgrade")
    twins.both("rollback", "1", chart=False, plain=True)
    twins.both("upgrade")


def test_a_null_brings_no_digest_of_ours_back(twins: Twins) -> None:
    """With --reuse-values, plain helm makes earlier values the chart's, and a null in the user's brings those back."""
    twins.both("install")
    assert (
        twins.helm("upgrade", OURS, twins.chart, "--reuse-values", "--set", "image.tag=null", UNVALIDATED).status == 0
    )
    assert not twins.stored(OURS).config["image"] and "@sha256:" in twins.images()[0]
    for build in "BC":
        twins.content.build = build
        done = twins.pin("upgrade", OURS, twins.chart, "--reuse-values", UNVALIDATED)
        assert done.status == 0, done.stderr
        digest = twins.content.digest(("example.com", "team/app", "1.0.0"))
        assert twins.images()[0] == f"example.com/team/app:1.0.0@{digest}"


def test_a_digest_that_the_chart_has_is_its_own_though_it_was_ours(twins: Twins) -> None:
    """As after helm pin lint --fix, which writes the digest into the chart."""
    twins.both("install")
    app, own = (image.partition(":")[2] for image in twins.images()[:2])
    values = CHART["values.yaml"].replace("tag: 1.0.0", f"tag: {app}").replace("tag: 0.0.0", f"tag: {own}")
    written(twins.chart, {"values.yaml": values})
    assert twins.helm("upgrade", OURS, twins.chart, "--set", "probe.port=81", UNVALIDATED).status == 0
    assert "image" not in twins.stored(OURS).config
    twins.content.build = "B"
    before = twins.images()
    for _ in range(2):
        done = twins.pin("upgrade", OURS, twins.chart, "--reuse-values", UNVALIDATED)
        assert done.status == 0, done.stderr
        assert twins.images() == before


def test_plain_helm_and_lists_through_a_life(twins: Twins) -> None:
    """Tags that move, plain helm in between, a rollback to what it made, and one to what helm-pin made. A digest of ours that plain
    helm kept is resolved anew; and a secret in a list is in no record, and on no command line.
    """
    written(twins.chart, LISTS)
    tools = '[{"image":"a:1","args":["s3cret"]},{"image":"b:1"}]'
    whole = '[{"name":"a","image":"example.com/team/web:latest","env":[{"name":"PASSWORD","value":"s3cret"}]}]'
    twins.both("upgrade", "--install", "--set-json", f"tools={tools}", "--set-json", f"containers={whole}", plain=True)
    plan = ("pin", "plan", OURS, twins.chart, "--reuse-values", "-o", "json", "--debug")
    debugged = twins.machine.run(twins.machine.helm_binary, *plan)
    assert debugged.status == 0, debugged.stderr
    assert "s3cret" not in json.dumps(json.loads(debugged.stdout)["set"]) and "s3cret" not in debugged.stderr
    twins.both("upgrade", "--reuse-values")
    annotations = twins.stored(OURS).annotations
    assert "helm-pin/digests" in annotations and "s3cret" not in json.dumps(annotations)

    twins.both("upgrade", "--reuse-values", "--set", "probe.port=1,other=1", plain=True)
    assert "@sha256:" in twins.images()[0]
    twins.content.build = "B"
    twins.both("upgrade", "--reset-then-reuse-values", "--set", "other=null")
    twins.both("upgrade", "--set", "image.tag=2", plain=True)
    twins.content.build = "C"
    twins.both("upgrade")
    twins.both("rollback", "3", chart=False, plain=True)
    twins.both("upgrade", "--reuse-values", "--set", "probe.port=2")
    twins.both("rollback", "2", chart=False, plain=True)
    twins.both("upgrade", "--reuse-values", "--set-json", 'tools=[{"image":"c:1"}]')


READ_BACK = """\
image: {repository: example.com/team/app, tag: main}
stable: example.com/team/web:1
canary: example.com/team/web:2
rows: [{name: a, image: "example.com/team/a:1"}, {name: b, image: "example.com/team/b:1"}]
"""
PODS = """\
apiVersion: v1
kind: PodTemplate
metadata: {name: {{ .Release.Name }}}
template:
  spec:
    containers:
      - {name: app, image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"}
      {{- with .Values.stable }}
      - {name: stable, image: "{{ . }}"}
      {{- end }}
      {{- with .Values.canary }}
      - {name: canary, image: "{{ . }}"}
      {{- end }}
      {{- range .Values.rows }}
      - {name: {{ .name }}, image: "{{ .image }}"}
      {{- end }}
"""


@pytest.mark.parametrize("flag", ["--reuse-values", "--reset-then-reuse-values"])
def test_what_plain_helm_was_given_of_our_digests(flag: str, twins: Twins, tmp_path: Path) -> None:
    """People read values back, change them and give them to plain helm: one image is promoted to where another stood, a list gets
    an element in front, a tag is kept at the digest that it had. Those are their values from then on; what is as helm-pin has set
    it, is set anew.
    """
    twins.chart = written(tmp_path / "read-back", {"values.yaml": READ_BACK, "templates/pods.yaml": PODS})
    twins.both("upgrade", "--install")

    def given(ours: dict[str, object], plain: dict[str, object]) -> None:
        """Plain helm gets values in both, and helm-pin upgrades what it has made."""
        for release, values in ((OURS, ours), (PLAIN, plain)):
            (tmp_path / "v.json").write_text(json.dumps(values))
            assert twins.helm("upgrade", release, twins.chart, UNVALIDATED, "-f", tmp_path / "v.json").status == 0
        twins.both("upgrade", flag)

    held = twins.stored(OURS).config
    mine, (a, b) = {"name": "mine", "image": "example.com/team/mine:1"}, held["rows"]
    assert a["image"].startswith("example.com/team/a:1@") and held["canary"].startswith("example.com/team/web:2@")
    plain_a, plain_b = ({**row, "image": row["image"].partition("@")[0]} for row in (a, b))
    given({**held, "rows": [mine, a, b]}, {"rows": [mine, plain_a, plain_b]})

    held, plain = twins.stored(OURS).config, twins.stored(PLAIN).config
    given({**held, "stable": held["canary"]}, {**plain, "stable": held["canary"]})
    assert twins.stored(OURS).config["stable"] == held["canary"]

    frozen = twins.stored(OURS).config["image"]["tag"]
    twins.both("upgrade", flag, "--set", f"image.tag={frozen}")
    twins.both("upgrade", "--reuse-values", "--set", "other=1", plain=True, compare=False)
    twins.content.build = "B"
    twins.both("upgrade", flag)
    assert twins.stored(OURS).config["image"]["tag"] == frozen


DEFAULTS = {
    "values.yaml": "image: {repository: example.com/team/app, tag: '1'}\nrows: [{name: a, image: 'example.com/team/a:1'}]\n"
    "sub: {image: {tag: '1'}}\n",
    "templates/pods.yaml": PODS,
    "charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
    "charts/sub/values.yaml": "image: {repository: example.com/team/sub, tag: '0'}\n",
    "charts/sub/templates/sub.yaml": """\
apiVersion: v1
kind: PodTemplate
metadata: {name: {{ .Release.Name }}-sub}
template: {spec: {containers: [{name: sub, image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"}]}}
""",
}
NEW_DEFAULTS = {
    "values.yaml": "image: {repository: example.com/team/app, tag: '3'}\nsub: {image: {tag: '3'}}\n"
    "rows: [{name: a, image: 'example.com/team/a:2'}, {name: c, image: 'example.com/team/c:2'}]\n",
}


@pytest.mark.parametrize("flag", ["--reuse-values", "--reset-then-reuse-values"])
def test_the_defaults_of_a_chart_that_plain_helm_has_brought(flag: str, twins: Twins, tmp_path: Path) -> None:
    """They count for helm from then on, and not those of the chart whose digests helm-pin had set."""
    twins.chart = written(tmp_path / "defaults", DEFAULTS)
    twins.both("upgrade", "--install", "--set", "mine=1")
    written(twins.chart, NEW_DEFAULTS)
    twins.both("upgrade", plain=True, compare=False)
    twins.both("upgrade", flag)
    assert "example.com/team/c:2@" in "".join(twins.images())


SHARED = {
    "values.yaml": """\
shared: {tag: '1'}
app: {image: {repository: example.com/team/app, tag: '0'}}
web: {image: {repository: example.com/team/web, tag: ''}}
""",
    "templates/pods.yaml": """\
apiVersion: v1
kind: PodTemplate
metadata: {name: {{ .Release.Name }}}
template:
  spec:
    containers:
      {{- range $name := list "app" "web" }}
      {{- $image := (index $.Values $name).image }}
      - {name: {{ $name }}, image: "{{ $image.repository }}:{{ coalesce $.Values.shared.tag $image.tag "latest" }}"}
      {{- end }}
""",
}


def test_a_tag_that_images_share_through_a_life(twins: Twins, tmp_path: Path) -> None:
    """helm-pin empties it, so that each image's own counts. It comes back where helm-pin reuses values, also after plain helm has
    taken all of the digests out: then each image's own tag is the user's, and the shared one wins again."""
    twins.chart = written(tmp_path / "shared", SHARED)
    same = partial(twins.both, values=False)  # the own tags have other texts
    same("upgrade", "--install")
    assert [image.partition("@")[0][-2:] for image in twins.images()] == [":1", ":1"]
    assert twins.stored(OURS).config["shared"]["tag"] == ""
    same("upgrade", "--reuse-values", "--set", "shared.tag=2")
    same("upgrade", "--reuse-values", "--set", "web.image.tag=5")
    same("upgrade", "--reuse-values", "--set", "shared.tag=")
    same("upgrade", "--reset-then-reuse-values", "--set", "shared.tag=3")
    same("upgrade", "--reuse-values", "--set", "shared.tag=4", plain=True)
    same("upgrade", "--reuse-values")
    same("upgrade", "--reuse-values", "--set", "app.image.tag=6", plain=True, compare=False)
    same("upgrade", "--reuse-values")
    same("upgrade", "--reuse-values", "--set", "app.image.tag=7,web.image.tag=7", plain=True, compare=False)
    same("upgrade")
    assert [image.partition("@")[0][-2:] for image in twins.images()] == [":4", ":4"]
    written(twins.chart, {"values.yaml": SHARED["values.yaml"].replace("'1'", "'8'")})
    same("upgrade", "--reset-values")
    same("rollback", "9", chart=False)
    same("upgrade", "--reuse-values")


def test_the_tag_of_a_failed_upgrade_does_not_come_into_force(twins: Twins, tmp_path: Path) -> None:
    """Although the digest, which plain helm keeps, is that of both tags."""
    bad = "{{ if .Values.bad }}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: NOT A NAME}\n{{ end }}\n"
    twins.chart = written(
        tmp_path / "failing", {"values.yaml": READ_BACK, "templates/pods.yaml": PODS, "templates/x.yaml": bad}
    )
    twins.content.one_image = {"team/app"}
    twins.both("upgrade", "--install", "--set", "image.tag=1")
    for upgrade, release in ((twins.helm, PLAIN), (twins.pin, OURS)):
        assert upgrade("upgrade", release, twins.chart, UNVALIDATED, "--set", "image.tag=2,bad=true").status == 1
    twins.both("upgrade", "--reuse-values", "--set", "x=1", plain=True, compare=False)
    twins.both("upgrade", "--reuse-values")
    assert twins.stored(OURS).config["image"]["tag"].startswith("1@")


def test_values_from_a_pipe_are_deployed(twins: Twins, tmp_path: Path) -> None:
    """Read once, and the text that was rendered is the text that is deployed."""
    (tmp_path / "one.yaml").write_text("image: {tag: 2.0.0}\ngiven: {TOKEN: s3cr3t-one}\n")
    for release, program in (("twin-own", twins.machine.helm_binary), ("twin-pin", f"{twins.machine.helm_binary} pin")):
        values = f"-f <(cat {tmp_path}/one.yaml) --set-file given.F=<(printf two)"
        done = twins.machine.run(
            "bash", "-c", f"{program} upgrade --install {release} {twins.chart} {values} --debug {UNVALIDATED}"
        )
        assert done.status == 0, done.stderr
        if release == "twin-pin":
            assert "s3cr3t" not in done.stderr
    twins.compare()
    assert "s3cr3t" not in json.dumps(twins.stored("twin-pin").annotations)


def test_a_list_of_a_great_size(twins: Twins, tmp_path: Path) -> None:
    """Helm keeps a release in one Secret, of one MiB at most."""
    (twins.chart / "templates/list.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-list}\ndata:\n"
        "  {{- range .Values.tools }}\n  {{ .name }}: {{ .payload | quote }}\n  {{- end }}\n---\n"
        "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: {{ .Release.Name }}-list}\ntemplate:\n  spec:\n    containers:\n"
        '    {{- range .Values.tools }}\n    - {name: {{ .name }}, image: "{{ .image }}"}\n    {{- end }}\n'
    )
    tools = [{"name": f"tool{i}", "image": f"example.com/team/tool{i}:1.0", "payload": noise(i)} for i in range(7)]
    (tmp_path / "tools.yaml").write_text(json.dumps({"tools": tools}))
    twins.both("upgrade", "--install", "-f", tmp_path / "tools.yaml", plain=True)
    twins.both("upgrade", "--reuse-values", "--set", "probe.port=1")


def noise(seed: int) -> str:
    """40 kB that no packer makes smaller."""
    import base64
    import random

    return base64.b64encode(random.Random(seed).randbytes(30_000)).decode()


UMBRELLA = {
    "values.yaml": CHART["values.yaml"] + "db: {image: {tag: null}, port: null}\n",
    "charts/db/Chart.yaml": 'apiVersion: v2\nname: db\nversion: 1.0.0\nappVersion: "0.9"\n',
    "charts/db/values.yaml": "image: {repository: example.com/team/db, tag: '1'}\nport: 5432\nnote: ''\n",
    "charts/db/templates/db.yaml": """\
apiVersion: v1
kind: PodTemplate
metadata: {name: {{ .Release.Name }}-db, annotations: {note: {{ quote .Values.note }}, port: {{ quote .Values.port }}}}
template:
  spec: {containers: [{name: db, image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"}]}
""",
}


def test_null_of_a_chart_over_a_default_of_its_subchart(twins: Twins) -> None:
    """What Helm makes of it differs between its versions, and between its two ways of reusing values."""
    step = partial(twins.both, "upgrade")
    written(twins.chart, UMBRELLA)
    step("--install")
    for flag in ("--reuse-values", "--reset-then-reuse-values", "--reuse-values"):
        step(flag, "--set", "db.note=x")
    step("--reuse-values", "--set", "db.note=y", plain=True)
    step("--reuse-values")
    written(twins.chart, {"values.yaml": CHART["values.yaml"] + "db: {image: {}, port: 1}\n"})
    step("--reuse-values", "--set", "db.note=z")
    step("--reset-values")


WITH_DIGEST_KEY = {
    "values.yaml": "image: {repository: example.com/team/app, tag: v1, digest: ''}\n",
    "templates/app.yaml": """\
{{- $image := .Values.image }}
apiVersion: v1
kind: PodTemplate
metadata: {name: {{ .Release.Name }}}
template:
  spec:
    containers:
      - name: app
        image: {{ $image.repository }}:{{ $image.tag }}{{ with $image.digest }}@{{ . }}{{ end }}
""",
}


def test_a_digest_whose_record_is_gone_is_named_where_it_wins_over_a_tag(twins: Twins, tmp_path: Path) -> None:
    """Plain helm keeps the digest among the values, and has dropped the revision that says whose it is."""
    chart = written(tmp_path / "keyed", WITH_DIGEST_KEY)
    same = [OURS, chart, UNVALIDATED]
    assert twins.pin("upgrade", "--install", *same, "--reset-values").status == 0
    (first,) = twins.images()
    for _ in range(2):  # the first keeps the revision that was deployed until then
        kept = twins.helm("upgrade", *same, "--reuse-values", "--set", "image.tag=v2", "--history-max=1")
        assert kept.status == 0, kept.stderr

    done = twins.pin("upgrade", *same, "--reuse-values", "--set", "image.tag=v3")
    digest = first.partition("@")[2]
    assert done.status == 0 and twins.images() == [f"example.com/team/app:v3@{digest}"]
    assert "(image.digest), so no tag changes it" in done.stderr
    command = done.stderr.partition("To take the tag's again: ")[2].splitlines()[0]
    assert command == "--reuse-values --set image.digest="

    done = twins.pin("upgrade", *same, *command.split())
    assert done.status == 0 and "no tag changes it" not in done.stderr
    (image,) = twins.images()
    assert image.startswith("example.com/team/app:v3@") and not image.endswith(digest)
    done = twins.pin("upgrade", *same, "--reuse-values")
    assert done.status == 0 and "no tag changes it" not in done.stderr
