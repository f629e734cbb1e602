"""What a person is told where something cannot be pinned: the reason that is likely, and the way out that fits it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.support.promise import Promise
from tests.support.workstation import whichever_helm

pytestmark = whichever_helm

CASES = Path(__file__).parents[1] / "cases"
CHART = CASES / "values-from-anywhere"
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: {{ .Release.Name }}, annotations: {ANNOTATIONS}}
spec: {containers: [{name: web, image: IMAGE, MORE}]}
"""


def chart(folder: Path, image: str, *, values: str = "{}", annotations: str = "", more: str = "tty: false") -> Path:
    """A chart of one pod."""
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: told\nversion: 1.0.0\n")
    (folder / "values.yaml").write_text(values)
    pod = POD.replace("ANNOTATIONS", annotations).replace("IMAGE", image).replace("MORE", more)
    (folder / "templates/pod.yaml").write_text(pod)
    return folder


@pytest.mark.parametrize(
    ("tag", "rendered"),
    [
        ("1234e56", "1.234e+59"),
        ("20261125094501", "2.0261125094501e+13"),
        ("12e4567", None),
        ("0123", "83"),
        ("1.10", "1.1"),
        ("on", "true"),
    ],
)
def test_a_tag_that_yaml_takes_for_a_number(tag: str, rendered: str | None, promise: Promise, tmp_path: Path) -> None:
    """Nobody has such a tag; the person is told to quote it. A text that is none is pinned.

    Which texts are numbers: tests/integration/test_kube_yaml.py.
    """
    values = tmp_path / "values.yaml"
    values.write_text(f"image: {{tag: {tag}}}\n")
    if rendered is None:
        assert promise.holds(CHART, ["-f", str(values)])
        return
    promise.content.missing = {f"team/web:{rendered}"}
    done = promise.pin("template", "rel", CHART, "-f", values)
    assert (done.status in (3, 5), done.stdout) == (True, ""), done.stderr
    assert f"example.com/team/web:{rendered}" in done.stderr
    assert "quote" in done.stderr.partition("\n  next ")[2].lower(), done.stderr


def test_a_number_where_a_format_wants_a_text(promise: Promise, tmp_path: Path) -> None:
    image = '{{ printf "%s:%s" .Values.image.repository .Values.image.tag | quote }}'
    told = chart(tmp_path / "chart", image, values="image: {repository: example.com/team/web, tag: 1.10}")
    done = promise.pin("template", "rel", told)
    assert (done.status, done.stdout) == (3, "")
    assert "%!s(float64=1.1)" in done.stderr
    assert "quote" in done.stderr.partition("\n  next ")[2].lower(), done.stderr


def test_an_image_that_only_a_test_hook_runs(promise: Promise, tmp_path: Path) -> None:
    """`helm create` writes such a hook into each chart, and a closed network has no busybox."""
    promise.content.missing = {"library/busybox"}
    told = chart(tmp_path / "chart", "busybox", annotations="helm.sh/hook: test")
    done = promise.pin("template", "rel", told)
    assert (done.status, done.stdout) == (5, "")
    assert re.search("test hook|helm test", done.stderr), done.stderr
    assert "--allow-unpinned busybox" in done.stderr


def test_a_test_hook_is_not_to_blame_for_what_others_run(promise: Promise, tmp_path: Path) -> None:
    promise.content.missing = {"library/busybox"}
    told = chart(tmp_path / "chart", "busybox", annotations="helm.sh/hook: test")
    (told / "templates/other.yaml").write_text(
        POD.replace("ANNOTATIONS", "").replace("IMAGE", "busybox").replace("MORE", "")
    )
    done = promise.pin("template", "rel", told)
    assert done.status == 5
    assert not re.search("only .*(test hook|helm test)", done.stderr), done.stderr


def test_an_image_that_is_never_pulled(promise: Promise, tmp_path: Path) -> None:
    """It lies on the nodes, and in no registry."""
    promise.content.missing = {"team/built-here"}
    told = chart(tmp_path / "chart", "example.com/team/built-here:dev", more="imagePullPolicy: Never")
    done = promise.pin("template", "rel", told)
    assert (done.status in (3, 5), done.stdout) == (True, "")
    assert "Never" in done.stderr
    assert "--allow-unpinned example.com/team/built-here:dev" in done.stderr


def test_a_subchart_that_is_there_twice_is_named(promise: Promise, tmp_path: Path) -> None:
    """An earlier version was left there: helm may take either."""
    told = chart(tmp_path / "chart", "example.com/team/web:1")
    (told / "Chart.yaml").write_text(
        "apiVersion: v2\nname: told\nversion: 1.0.0\ndependencies: [{name: db, version: '*'}]\n"
    )
    for folder in ("db", "db-1.0.0"):
        (told / "charts" / folder).mkdir(parents=True)
        (told / "charts" / folder / "Chart.yaml").write_text("apiVersion: v2\nname: db\nversion: 1.0.0\n")
    said = "Subchart db is there more than once: charts/db, charts/db-1.0.0. Helm may take another one in the next run"
    assert said in promise.pin("plan", "rel", told, "--no-cluster").stderr
    (told / "charts/db-1.0.0/Chart.yaml").unlink()
    assert "more than once" not in promise.pin("plan", "rel", told, "--no-cluster").stderr


@pytest.mark.parametrize(
    "command", [["template"], ["plan", "-v", "--no-cluster"], ["plan", "-o", "yaml", "--no-cluster"]]
)
def test_control_characters_of_a_chart_reach_no_terminal(command: list[str], promise: Promise, tmp_path: Path) -> None:
    told = chart(
        tmp_path / "chart",
        r'"web:latest\n::stop-commands::x\n\e[31mred\r\u009b2J"',
        annotations=r'a: "\e]0;title\a"',
    )
    done = promise.pin(*command, "rel", told)
    assert done.status == 3
    assert not {"\x1b", "\x07", "\r", "\x9b"} & set(done.stdout + done.stderr)
    assert not any(line.startswith("::") for line in (done.stdout + done.stderr).splitlines())


def test_a_container_that_has_no_image(promise: Promise, tmp_path: Path) -> None:
    told = chart(tmp_path / "chart", "{{ .Values.image }}", values="image:")
    data = promise.plan(told)
    use = {"source": "told/templates/pod.yaml", "kind": "Pod", "name": "rel"}
    path = {"container": "web", "path": "spec.containers.0.image"}
    assert data["withoutImage"] == [{**use, **path, "fault": "has no image"}]
    assert (data["complete"], data["images"]) == (False, [])
    data = promise.plan(told, "--set", "image=example.com/team/web:1.0.0")
    assert (data["complete"], data["withoutImage"]) == (True, [])


def test_what_no_value_carries_is_not_in_a_values_file(promise: Promise, tmp_path: Path) -> None:
    """A values file is complete, or the command refuses; JSON says whether its arguments are."""
    values = "image: {repository: example.com/team/web, tag: 1.0.0}"
    told = chart(tmp_path / "chart", '"{{ .Values.image.repository }}:{{ .Values.image.tag }}"', values=values)
    assert promise.plan(told)["complete"] is True
    (told / "templates/job.yaml").write_text(
        POD.replace("ANNOTATIONS", "").replace("IMAGE", "example.com/team/hard:1").replace("MORE", "")
    )
    done = promise.pin("plan", "rel", told, "--no-cluster", "-o", "values")
    assert (done.status, done.stdout) == (3, ""), done.stderr
    assert "example.com/team/hard:1" in done.stderr
    assert "example.com/team/web" not in done.stderr
    done = promise.pin("plan", "rel", told, "--no-cluster", "-o", "json")
    assert done.status == 0, done.stderr
    assert json.loads(done.stdout)["complete"] is False
    assert "example.com/team/hard:1" in done.stderr
    partial = promise.pin("plan", "rel", told, "--no-cluster", "-o", "values", "--partial")
    assert partial.status == 0, partial.stderr
    assert "example.com/team/hard:1" in partial.stderr
    assert yaml.safe_load(partial.stdout)["image"]["tag"].startswith("1.0.0@sha256:")


def test_followers_are_listed_and_counted(promise: Promise, tmp_path: Path) -> None:
    env = "env: [{name: RELATED_IMAGE_WEB, value: '{{ .Values.image }}'}]"
    followed = chart(tmp_path / "chart", "{{ .Values.image }}", values="image: example.com/team/web:1.0.0", more=env)
    done, plan, _ = promise.forms(followed)
    image = "example.com/team/web:1.0.0"
    found = {(row["kind"], row["name"], row["path"]): row for row in plan["followers"]}
    assert {row.get("image") or row["reference"] for row in found.values()} == {image}
    assert {row["digest"] for row in found.values()} == {promise.content.digest(("example.com", "team/web", "1.0.0"))}
    assert ("Pod", "rel", "spec.containers.0.env.0.value") in found
    assert "1 other place with the same references got the same digests" in done.stderr
