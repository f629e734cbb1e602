"""What helm makes of a staged chart is what it makes of the user's chart, compared as whole releases."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from helmpin.chart.stage import Chart, ChartSource, stage
from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from tests.support.budget import examples_within
from tests.support.charts import MakeChart

PROBE = """\
kind: ConfigMap
apiVersion: v1
metadata: {name: probe}
data:
  files: {{ .Files | toJson | toJson }}
  chart: {{ .Chart | toJson | toJson }}
  values: {{ .Values | toJson | toJson }}
"""


def release(helm: Helm, chart: object) -> dict[str, Any]:
    """What helm renders and shows of a chart, and (Helm 4 tells that without a cluster) what it would store of it."""
    made: dict[str, Any] = {
        "manifest": helm.run(["template", "x", str(chart)]),
        "shown": helm.run(["show", "all", str(chart)]),
    }
    if helm.version > (4, 0, 0):
        made["stored"] = _without_times(
            json.loads(helm.run(["install", "x", str(chart), "--dry-run=client", "--output", "json"]))
        )
    return made


def _without_times(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_times(value) for key, value in node.items() if key not in ("modtime", "info", "last_run")}
    return [_without_times(item) for item in node] if isinstance(node, list) else node


def files(helm: Helm, chart: object) -> list[str]:
    """The names of the files that helm loads, by the chart's probe, and of the templates that it renders."""
    out = helm.run(["template", "x", str(chart)])
    probe = next(
        json.loads(json.loads(line.removeprefix("  files: ")))
        for line in out.splitlines()
        if line.startswith("  files: ")
    )
    return sorted(
        [*probe, *(line.removeprefix("# Source: ") for line in out.splitlines() if line.startswith("# Source: "))]
    )


def same(helm: Helm, chart: Path) -> None:
    with stage(ChartSource(str(chart)), helm) as staged:
        assert release(helm, staged.archive()) == release(helm, chart)


@pytest.fixture(scope="module")
def parents() -> dict[str, Path]:
    """`parent` as each helm has made it."""
    return {}


@pytest.fixture
def parent(helm: Helm, parents: dict[str, Path], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chart with a packed dependency under two aliases, one in a directory that has a packed one, and odd files."""
    if helm.binary not in parents:
        parents[helm.binary] = new_parent(MakeChart(helm, tmp_path_factory.mktemp("made") / "charts"))
    return Path(shutil.copytree(parents[helm.binary], tmp_path / "copied" / "parent", symlinks=True))


def new_parent(make_chart: MakeChart) -> Path:
    """A new one."""
    chart = make_chart(
        "parent",
        dependencies="[{name: packed, version: ^0.1.0, alias: one}, {name: packed, version: 0.1.0, alias: two},"
        " {name: middle, version: '*'}]",
    )
    make_chart.package(make_chart("packed"), chart / "charts")
    middle = make_chart("middle", dependencies="[{name: deep, version: '>=0'}]")
    make_chart.package(make_chart("deep"), middle / "charts")
    shutil.move(middle, chart / "charts/some-other-name")
    (chart / "files/é ü").mkdir(parents=True)
    (chart / "files/é ü/🚀.bin").write_bytes(bytes(range(256)))
    (chart / "files/bom.txt").write_bytes(b"\xef\xbb\xbfa\r\nb")
    (chart / ("files/" + "long/" * 40)).mkdir(parents=True)
    (chart / ("files/" + "long/" * 40 + "name" * 30)).touch()
    (chart / "templates/linked.yaml").symlink_to("service.yaml")
    (chart / "linked").symlink_to("files")
    (chart / "templates/probe.yaml").write_text(PROBE)
    (chart / "charts/some-other-name/templates/probe.yaml").write_text(PROBE.replace("probe}", "other}"))
    (chart / "charts/_off").mkdir()
    (chart / "charts/.DS_Store").touch()
    return chart


def test_directory(helm: Helm, parent: Path) -> None:
    same(helm, parent)


def test_archive(helm: Helm, parent: Path, make_chart: MakeChart, tmp_path: Path) -> None:
    same(helm, make_chart.package(parent, tmp_path / "packages"))


def test_archive_made_by_tar(helm: Helm, parent: Path, tmp_path: Path) -> None:
    (parent / ".helmignore").write_text("*.txt\n")  # not for archives
    (parent / "templates/.hidden.yaml").write_text("kind: ConfigMap\napiVersion: v1\nmetadata: {name: hidden}\n")
    packed = tmp_path / "by-tar.tgz"
    subprocess.run(["tar", "czf", packed, "-C", parent.parent, "parent"], check=True)
    same(helm, packed)
    assert "parent/templates/.hidden.yaml" in files(helm, packed)


def test_a_chart_of_the_first_version(helm: Helm, make_chart: MakeChart) -> None:
    chart = make_chart("old")
    (chart / "Chart.yaml").write_text("name: old\nversion: 1.0.0\n")
    (chart / "requirements.yaml").write_text("dependencies: [{name: sub, version: 0.1.0, alias: other}]\n")
    make_chart.package(make_chart("sub"), chart / "charts")
    same(helm, chart)
    with stage(ChartSource(str(chart)), helm) as staged:
        assert staged.source_to_paths("old/charts/other/templates/service.yaml") == [
            "charts/sub-0.1.0.tgz/templates/service.yaml"
        ]


def test_a_chart_yaml_of_two_documents(helm: Helm, make_chart: MakeChart) -> None:
    chart = make_chart("first")
    with (chart / "Chart.yaml").open("a") as file:
        file.write("---\nname: second\n")
    same(helm, chart)
    with stage(ChartSource(str(chart)), helm) as staged:
        annotated = staged.annotated("helm-pin/digests", "{}")
        assert (annotated.name, annotated.metadata["annotations"]) == ("first", {"helm-pin/digests": "{}"})
        assert "helm-pin/digests" in helm.run(["show", "chart", str(annotated.archive())])
        assert "annotations" not in staged.metadata


def test_every_rendered_source_is_found(helm: Helm, parent: Path) -> None:
    with stage(ChartSource(str(parent)), helm) as staged:
        rendered = helm.run(["template", "x", str(staged.archive())])
        sources = {line.removeprefix("# Source: ") for line in rendered.splitlines() if line.startswith("# Source: ")}
        templates = staged.template_files()
        places = {source: path for source in sources for path in staged.source_to_paths(source)}
        assert set(places.values()) <= set(templates)
        assert places["parent/charts/one/templates/service.yaml"] == "charts/packed-0.1.0.tgz/templates/service.yaml"
        assert places["parent/charts/two/templates/service.yaml"] == "charts/packed-0.1.0.tgz/templates/service.yaml"
        assert (
            places["parent/charts/middle/charts/deep/templates/service.yaml"]
            == "charts/some-other-name/charts/deep-0.1.0.tgz/templates/service.yaml"
        )
        assert len(sources) == 5 * 4 + len(("linked", "probe", "probe"))


EDITED = [
    "templates/service.yaml",
    "charts/packed-0.1.0.tgz/templates/service.yaml",
    "charts/some-other-name/templates/service.yaml",
    "charts/some-other-name/charts/deep-0.1.0.tgz/templates/service.yaml",
]


def test_a_changed_template_changes_nothing_else(helm: Helm, parent: Path) -> None:
    """In a directory, a packed dependency, and a dependency that is packed in one."""

    def rendered(chart: Chart) -> str:
        return helm.run(["template", "x", str(chart.archive())])

    with stage(ChartSource(str(parent)), helm) as staged:
        before, templates = rendered(staged), staged.template_files()
        for path in EDITED:
            changed = staged.with_files({path: templates[path].replace("{{ .Values.service.type }}", "NodePort")})
            after = rendered(changed)
            assert after != before, path
            assert after.replace("NodePort", "ClusterIP") == before, path
            assert {p for p, text in changed.template_files().items() if text != templates[p]} == {path}
        assert (staged.template_files(), rendered(staged)) == (templates, before), "the first chart was changed"


def test_what_is_added_is_not_lost_to_helmignore(helm: Helm, make_chart: MakeChart) -> None:
    chart = make_chart("strict")
    (chart / ".helmignore").write_text("_helm-pin*\nhelm-pin\n*.json\n")
    added = {"templates/helm-pin/values.yaml": "kind: ConfigMap\napiVersion: v1\nmetadata: {name: added}\n"}
    with stage(ChartSource(str(chart)), helm) as staged:
        assert "name: added" in helm.run(["template", "x", str(staged.with_files(added).archive())])
        assert "name: added" not in helm.run(["template", "x", str(staged.archive())])


def test_the_annotation_is_all_that_changes(helm: Helm, parent: Path) -> None:
    text = json.dumps({"version": 1, "odd": "it's: {é} # \\ \""}, ensure_ascii=False)
    with stage(ChartSource(str(parent)), helm) as staged:
        plain = release(helm, staged.archive())
        pinned = staged.annotated("helm-pin/digests", text)
        annotated = release(helm, pinned.archive())
        shown = yaml.safe_load(annotated["shown"].partition("---\n")[0])
        assert shown.pop("annotations") == {"helm-pin/digests": text} == pinned.metadata["annotations"]
        assert shown == yaml.safe_load(plain["shown"].partition("---\n")[0])
        assert annotated["shown"].partition("---\n")[2] == plain["shown"].partition("---\n")[2]
        if "stored" in annotated:
            assert annotated["stored"]["chart"]["metadata"].pop("annotations") == {"helm-pin/digests": text}
            assert annotated["stored"]["chart"] == plain["stored"]["chart"]
        changed = [line for line in annotated["manifest"].splitlines() if line not in plain["manifest"]]
        assert [line[:9] for line in changed] == ["  chart: "]  # the probe that prints .Chart


def test_values_are_replaced(helm: Helm, make_chart: MakeChart) -> None:
    with stage(ChartSource(str(make_chart("x"))), helm) as staged:
        changed = staged.with_files({"values.yaml": '{"replicaCount": 7}'})
        assert helm.run(["show", "values", str(changed.archive())]).strip() == '{"replicaCount": 7}'


def test_what_was_given_out_stays(helm: Helm, make_chart: MakeChart) -> None:
    with stage(ChartSource(str(make_chart("x"))), helm) as staged:
        first = staged.archive()
        before = first.read_bytes()
        assert staged.archive() == first
        assert staged.annotated("a", "b").archive() != first
        assert first.read_bytes() == before
        assert first.parent.stat().st_mode & 0o777 == 0o700
        assert first.stat().st_mode & 0o777 == 0o600


PATTERNS = st.one_of(
    st.text("ab*?/!.[]^-\\", max_size=6),
    st.sampled_from(["*.txt", "a/", "/a", "a/b", "!*.yaml", "[ab]", "[^a]*", "b/*", "\\a", "?", "*"]),
    st.sampled_from(["//a", "///a", "//a/", "//b/a", "!//a", "!//b/", "//*.txt", "////ab", "//"]),
)
PATHS = st.lists(
    st.sampled_from(["a", "b", "aa", "ab", "a.b", "b.txt", ".a", "é", "]", "!a", "^"]), min_size=1, max_size=3
).map("/".join)


def loaded(helm: Helm, chart: Path, *, as_staged: bool) -> list[str] | str:
    """The files that helm loads, or why it loads nothing."""
    try:
        if not as_staged:
            return files(helm, chart)
        with stage(ChartSource(str(chart)), helm) as staged:
            return files(helm, staged.archive())
    except HelmFailed as failed:
        return failed.why
    except StopIteration:
        return "the probe is left out"


def staged_files(helm: Helm, chart: Path) -> list[str]:
    """As `files`, of what is staged, from the names in the archive."""
    with stage(ChartSource(str(chart)), helm) as staged, tarfile.open(staged.archive()) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    names.remove("Chart.yaml")
    return sorted(f"ignoring/{name}" if name.startswith("templates/") else name for name in names)


@given(rules=st.lists(PATTERNS, max_size=3), paths=st.lists(PATHS, max_size=8))
@examples_within(40, seconds=60, long=40)
def test_helmignore_means_what_helm_means(helm: Helm, tmp_path: Path, rules: list[str], paths: list[str]) -> None:
    chart = tmp_path / "ignoring"
    shutil.rmtree(chart, ignore_errors=True)
    (chart / "templates").mkdir(parents=True)
    for path in paths:
        for place in (chart / path, chart / "templates" / path):
            if not place.exists() and not any(parent.is_file() for parent in place.parents):
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(
                    "kind: ConfigMap\napiVersion: v1\nmetadata: {name: {{ .Template.Name | sha256sum }}}\n"
                )
    (chart / ".helmignore").write_text("\n".join(rules))
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: ignoring\nversion: 1.0.0\n")
    (chart / "templates/probe.yaml").write_text(PROBE)
    expected = loaded(helm, chart, as_staged=False)
    if isinstance(expected, str):
        found = loaded(helm, chart, as_staged=True)
        assert isinstance(found, str)
        assert "Chart.yaml" in expected or found.partition(":")[0] in expected
    else:
        assert staged_files(helm, chart) == expected


def test_staging_is_quick(helm: Helm, make_chart: MakeChart) -> None:
    chart = make_chart("many")
    for i in range(200):
        (chart / f"templates/x{i}.yaml").write_text(f"# {i}\n" * 200)
    best = 9.0
    for _ in range(5):
        started = time.process_time()
        with stage(ChartSource(str(chart)), helm) as staged:
            assert staged.archive().stat().st_size > 200_000
        best = min(best, time.process_time() - started)
    assert best < 0.1
