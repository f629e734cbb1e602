"""helm pin lint on real helms: many charts at once, values that can be read once, and text that means harm."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import pytest
import yaml

from scripts.devtools.binaries import binary
from tests.support.any_tag import any_tag
from tests.support.workstation import CHECKOUT, Finished, Workstation, environment, whichever_helm
from tests.unit.test_output import harmless

pytestmark = whichever_helm

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {containers: [{name: c, image: %s}]}\n"
VALUES = "image: {{ .Values.image | quote }}"
Pin = Callable[..., Finished]


@pytest.fixture(scope="module")
def homes(helm_name: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment that a Helm gives helm-pin; temporary files go to a folder of their own."""
    home = tmp_path_factory.mktemp(helm_name)
    own = {f"HELM_{kind}_HOME": str(home / kind) for kind in ("DATA", "CONFIG", "CACHE")}
    (home / "tmp").mkdir()
    return {
        **environment(),
        **own,
        "HELM_BIN": str(binary(helm_name)),
        "TMPDIR": str(home / "tmp"),
        "HOME": str(home),
    }


@pytest.fixture
def pin(homes: Mapping[str, str], tmp_path: Path) -> Pin:
    """`helm pin ARGS` in tmp_path, however it ends; nothing is left in the temporary folder."""
    machine = Workstation(Path(homes["HELM_BIN"]), homes)

    def run(*args: str, stdin: IO[bytes] | None = None, text: str | None = None) -> Finished:
        if stdin is None and text is None:
            done = machine.forked(*args, cwd=tmp_path)
        else:
            command = [CHECKOUT / "bin/helm-pin", *args]
            into: dict[str, Any] = {"stdin": stdin} if text is None else {"input": text}
            ended = subprocess.run(
                command, cwd=tmp_path, env=homes, capture_output=True, text=True, timeout=120, **into
            )
            done = Finished(ended.returncode, ended.stdout, ended.stderr)
        assert list(Path(homes["TMPDIR"]).iterdir()) == []
        return done

    return run


def make(folder: Path, *templates: str, kind: str = "application", values: str = "") -> Path:
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(f"apiVersion: v2\nname: {folder.name}\nversion: 1.0.0\ntype: {kind}\n")
    (folder / "values.yaml").write_text(values)
    for number, template in enumerate(templates):
        (folder / "templates" / f"{number}.yaml").write_text(template)
    return folder


@pytest.fixture
def charts(tmp_path: Path) -> list[str]:
    """What charts/* of a repository holds, as a shell gives it."""
    folder = tmp_path / "charts"
    make(folder / "broken", "{{ fail `no` }}")
    make(folder / "common", kind="library")
    make(folder / "invalid", "a: [\n")
    make(folder / "last", POD % ("z", "team/z:edge"))
    make(folder / "needs", POD % ("needs", '"team/a:{{ required "give a tag" .Values.tag }}"'))
    make(folder / "pinned", POD % ("p", "team/p:1.2.3"))
    make(folder / "web", POD % ("web", "team/web:latest"))
    (folder / "docs").mkdir()
    (folder / "README.md").write_text("# charts\n")
    (folder / "empty.tgz").touch()
    os.mkfifo(folder / "pipe")
    return sorted(f"charts/{path.name}" for path in folder.iterdir())


FOUND = ["charts/last/templates/0.yaml", "charts/web/templates/0.yaml"]
FAILED = ["charts/broken", "charts/empty.tgz", "charts/invalid", "charts/needs"]
SKIPPED = ["charts/README.md", "charts/common", "charts/docs", "charts/pipe"]


def test_a_folder_of_charts(pin: Pin, charts: Sequence[str]) -> None:
    done = pin("lint", *charts)
    assert done.status == 3
    assert [line.partition(": ")[0] for line in done.stdout.splitlines()] == [f"{file}:4" for file in FOUND]
    lines = done.stderr.splitlines()
    assert sorted(line.split()[1].rstrip(":") for line in lines if line.startswith("Skipped ")) == SKIPPED
    assert sorted(line.split()[1].rstrip(":") for line in lines if line.startswith("Error: ")) == FAILED
    assert "give a tag" in done.stderr and "Traceback" not in done.stderr
    assert lines[-1] == ("2 images with a tag that can move in 3 charts; 4 charts could not be linted; 4 skipped")


def test_a_folder_of_charts_for_programs(pin: Pin, charts: Sequence[str]) -> None:
    """In other forms: tests/unit/lint/test_forms.py. With --no-fail the report is the same, and a chart that does not render still
    fails."""
    assert charts
    strict, done = (pin("lint", "charts/needs", "charts/web", "-o", "json", *flags) for flags in ([], ["--no-fail"]))
    shown = json.loads(strict.stdout)
    assert [(each["file"], each["rule"]) for each in shown] == [
        (FOUND[-1], "mutable-tag"),
        ("charts/needs/templates/0.yaml", "not-linted"),
    ]
    assert shown[0].keys() == shown[1].keys() and "give a tag" in shown[1]["reason"]
    assert (done.stdout, done.stderr) == (strict.stdout, strict.stderr)
    assert (done.status, strict.status) == (1, 3)
    assert pin("lint", "charts/web", "--no-fail").status == 0


WHERE = [
    ("templates/x.yaml", "a: 1\n{{ fail `no` }}\n", "templates/x.yaml:2"),
    ("templates/x.yaml", "{{ if }}", "templates/x.yaml:1"),
    ("templates/x.yaml", "\n\n{{ include `gone` . }}", "templates/x.yaml:3"),
    ("charts/sub/templates/x.yaml", "\n{{ fail `no` }}", "charts/sub/templates/x.yaml:2"),
    ("values.yaml", "a: 1\nb: 2: 3\n", "values.yaml:2"),
    ("ci/x-values.yaml", "a: 1\nb: 2: 3\n", "ci/x-values.yaml:2"),
    ("values.schema.json", '{"required": ["z"]}', "Chart.yaml:1"),
    ("Chart.yaml", "name: web\nversion: 1: 2\n", "Chart.yaml:2"),
]


def test_where_a_chart_fails(pin: Pin, tmp_path: Path) -> None:
    names = [str(number) for number in range(len(WHERE))]
    for name, (file, text, _) in zip(names, WHERE, strict=True):
        chart = make(tmp_path / name)
        (chart / "ci").mkdir()
        if file.startswith("charts/sub"):
            make(chart / "charts/sub")
        (chart / file).write_text(text)
    done = pin("lint", *names, "-o", "json")
    failed = json.loads(done.stdout)
    assert (done.status, {each["rule"] for each in failed}) == (1, {"not-linted"})
    assert [f"{each['file']}:{each['line']}" for each in failed] == [
        f"{name}/{at}" for name, (_, _, at) in zip(names, WHERE, strict=True)
    ], done.stdout


@pytest.mark.parametrize(
    ("names", "status"),
    [
        (["pinned", "common", "README.md"], 0),
        (["common"], 0),
        (["pinned", "needs"], 1),
        (["away", "web"], 3),
        (["away"], 1),
        (["docs", "README.md"], 1),
    ],
)
def test_exit_status(names: Sequence[str], status: int, pin: Pin, charts: Sequence[str]) -> None:
    assert charts
    assert pin("lint", *(f"./charts/{name}" for name in names)).status == status


def test_a_settings_file_stands_for_the_charts_below_it(pin: Pin, charts: Sequence[str], tmp_path: Path) -> None:
    """pre-commit names it when it has changed. Which charts others stand for: tests/unit/lint/test_charts.py."""
    assert charts
    make(tmp_path / "charts/web/charts/sub", POD % ("sub", "team/sub:main"))
    make(tmp_path / ".git/hidden")
    for name in (".helm-pin.yaml", "charts/web/.helm-pin.yaml"):
        (tmp_path / name).write_text("{}\n")
    for name in ("broken", "invalid", "last", "needs"):
        shutil.rmtree(tmp_path / "charts" / name)
    done = pin("lint", ".helm-pin.yaml", "charts/web/.helm-pin.yaml", "charts/web/values.yaml")
    assert [line.partition(": ")[0] for line in done.stdout.splitlines()] == [
        "charts/web/charts/sub/templates/0.yaml:4",
        "charts/web/templates/0.yaml:4",
    ]
    assert done.status == 3 and "in 2 charts" in done.stderr


def test_the_chart_in_the_working_directory(pin: Pin, tmp_path: Path) -> None:
    done = pin("lint")
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: no chart is named\n  why   the working directory has no Chart.yaml\n")
    for path in make(tmp_path / "web", POD % ("web", "team/web:latest")).iterdir():
        path.rename(tmp_path / path.name)
    assert pin("lint").stdout == "templates/0.yaml:4: Pod/web: team/web:latest: tag latest moves by design\n"


def test_an_empty_image_is_called_so(pin: Pin, tmp_path: Path) -> None:
    make(tmp_path / "web", POD % ("web", '""'))
    shown = pin("lint", "web", "-o", "junit").stdout
    assert "an empty image" in shown and "not an image reference" in shown


@pytest.mark.parametrize(("image", "held"), [("1.25", "an image that YAML reads as 1.25"), ("[a]", "a list")])
def test_what_is_no_text_is_not_called_an_empty_image(pin: Pin, tmp_path: Path, image: str, held: str) -> None:
    make(tmp_path / "web", POD % ("web", image))
    line = pin("lint", "web").stdout
    assert f"Pod/web: no image reference: the container has {held}" in line and "empty" not in line


def test_a_packed_chart(pin: Pin, charts: Sequence[str], tmp_path: Path, homes: Mapping[str, str]) -> None:
    subprocess.run(
        [homes["HELM_BIN"], "package", "charts/web"], cwd=tmp_path, env=homes, check=True, capture_output=True
    )
    done = pin("lint", "web-1.0.0.tgz", *charts[:1])
    assert done.stdout == "web-1.0.0.tgz/templates/0.yaml:4: Pod/web: team/web:latest: tag latest moves by design\n"


@pytest.fixture
def two(tmp_path: Path) -> list[str]:
    """Two charts whose image is a value."""
    for name in ("one", "two"):
        make(tmp_path / name, POD % (name, "{{ .Values.image | quote }}"), values="image: team/app:1.2.3\n")
    return ["one", "two"]


GIVEN = "image: team/app:stable\n"
BOTH = ["one", "two"]


def found(done: Finished) -> list[str]:
    """The charts with the image that was given."""
    assert "Traceback" not in done.stderr
    return [line["chart"] for line in json.loads(done.stdout) if line["image"] == "team/app:stable"]


def test_standard_input_is_read_once(pin: Pin, two: Sequence[str]) -> None:
    """For all charts, and also if it is given twice."""
    assert found(pin("lint", *two, "-o", "json", "-f", "-", "--values=-", text=GIVEN)) == BOTH


@pytest.mark.parametrize("form", ["text", "sarif"])
def test_standard_input_is_no_file(form: str, pin: Pin, two: Sequence[str]) -> None:
    """People read its line; reports for programs name the template."""
    flag = "-" if form == "text" else "/dev/stdin"
    shown = pin("lint", two[0], "-o", form, "-f", flag, text="# given\n" + GIVEN).stdout
    if form == "text":
        assert shown == "standard input:2: Pod/one: team/app:stable: tag stable moves by design (image)\n"
        return
    (run,) = json.loads(shown)["runs"]
    (at,) = (result["locations"][0]["physicalLocation"] for result in run["results"])
    assert (at["artifactLocation"]["uri"], at["region"]) == ("one/templates/0.yaml", {"startLine": 4})
    assert "at standard input:2" in run["results"][0]["message"]["text"]


def test_standard_input_as_one_value(pin: Pin, two: Sequence[str]) -> None:
    flag = "other=/dev/null,image=-"
    assert found(pin("lint", two[0], "-o", "json", "--set-file", flag, text="team/app:stable")) == two[:1]


@pytest.mark.parametrize("path", ["-", "/dev/stdin"])
def test_a_file_as_standard_input(path: str, pin: Pin, two: Sequence[str], tmp_path: Path) -> None:
    (tmp_path / "given.yaml").write_text(GIVEN)
    with (tmp_path / "given.yaml").open("rb") as file:
        assert found(pin("lint", two[0], "-o", "json", "-f", path, stdin=file)) == two[:1]


def test_a_named_pipe_among_files(pin: Pin, two: Sequence[str], tmp_path: Path) -> None:
    pipe = tmp_path / "a pipe, with a comma"
    os.mkfifo(pipe)
    (tmp_path / "first.yaml").write_text("image: team/app:1.0.0\n")
    writer = threading.Thread(target=pipe.write_text, args=(GIVEN,))
    writer.start()
    assert found(pin("lint", *two, "-o", "json", "-f", 'first.yaml,"a pipe, with a comma"')) == BOTH
    writer.join()


def test_values_that_cannot_be_read(pin: Pin, two: Sequence[str]) -> None:
    done = pin("lint", *two, "-f", "/dev/fd/99")
    assert (done.status, done.stdout) == (1, "") and "/dev/fd/99" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "flag", [["--output-dir", "out"], ["--wait"], ["--timeout", "5m"], ["-g"], ["--description", "x"]]
)
def test_flags_without_effect_are_refused(flag: Sequence[str], pin: Pin, two: Sequence[str], tmp_path: Path) -> None:
    done = pin("lint", *two, *flag)
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: --") and "has no effect on lint" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "flag",
    [["--output-dir", "out"], ["--suggest", "--wait"]],
)
def test_fix_writes_nothing_before_a_flag_is_refused(flag: Sequence[str], pin: Pin, web: Path) -> None:
    with any_tag() as content:
        done = pin("lint", "web", "--fix", *flag, "--registry-mirror", content.mirror)
    assert (done.status, done.stdout) == (2, "") and "has no effect on lint" in done.stderr
    assert (web / "values.yaml").read_text() == WEB_VALUES and content.asked == []


def test_flags_that_shape_the_render_work(pin: Pin, two: Sequence[str]) -> None:
    flags = ["--set", "image=team/app:stable", "--kube-version", "1.30.0", "--no-hooks"]
    assert found(pin("lint", two[0], "-o", "json", *flags)) == two[:1]


HOSTILE = r'"web:latest\n::stop-commands::x\n\e[31mred\u202e ##[add-mask]x"'


@pytest.mark.parametrize("form", ["text", "github"])
def test_text_that_means_harm(form: str, pin: Pin, tmp_path: Path) -> None:
    """What programs read, of any text: tests/unit/lint/test_forms.py."""
    make(tmp_path / "evil", POD % (HOSTILE, HOSTILE))
    make(tmp_path / "worse", f"{{{{ fail {HOSTILE} }}}}".replace(r"\e", r"\x1b"))
    done = pin("lint", "evil", "worse", "-o", form)
    assert done.status == 3
    harmless(done.stderr)
    lines = done.stdout.splitlines()
    if form == "github":
        assert len(lines) == 2 and all(line.startswith("::error file=") for line in lines)
    harmless("\n".join(line.removeprefix("::error ") for line in lines))


def test_what_is_no_image_of_a_chart(pin: Pin, tmp_path: Path) -> None:
    policy = "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nmetadata: {name: p}\nspec: {containers: [{image: '*:latest'}]}\n"
    task = "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\nspec: {steps: [{name: s, image: go}, {image: %s}]}\n"
    make(tmp_path / "app", policy, task % "$(params.image)")
    done = pin("lint", "app")
    assert done.stdout.splitlines() == [
        "app/templates/1.yaml:4: Task/t: go: no tag, so latest",
        "app/templates/1.yaml:4: Task/t: $(params.image): not an image yet: Tekton fills in a parameter",
    ]


def test_a_tag_that_is_a_number(pin: Pin, tmp_path: Path) -> None:
    tags = [("exponent", "1234e56"), ("date", "20261125094501"), ("minor", "1.10")]
    pods = [POD % (name, f'"team/app:{{{{ .Values.{name} }}}}"') for name, _ in tags[:2]]
    pods.append(POD % ("minor", '{{ printf "team/app:%s" .Values.minor | quote }}'))
    make(tmp_path / "web", *pods, values="".join(f"{name}: {tag}\n" for name, tag in tags))
    lines = pin("lint", "web").stdout.splitlines()
    for line, (name, _) in zip(lines, tags, strict=True):
        assert f"{name} is read as a number; quote it" in line


def test_an_empty_repository_is_named_where_its_key_has_no_value(pin: Pin, tmp_path: Path) -> None:
    """Helm's values do not have it, but the template reads it."""
    image = '"{{ .Values.image.repository }}:{{ .Values.image.tag }}"'
    make(tmp_path / "web", POD % ("web", image), values='image: {repository: , tag: "1"}')
    assert "the repository is empty: set image.repository" in pin("lint", "web").stdout


def test_what_is_no_reference(pin: Pin, tmp_path: Path) -> None:
    images = {
        "example.com/:1.0": "there is no repository; the repository is empty: set the value that names it",
        "Web:1.0": "repository must be lowercase",
        "web:1.0:2": "tag cannot contain ':'; it has two tags, 1.0 and 2: take one out of the values",
    }
    pods = [POD % (f"web-{n}", f"{{{{ .Values.image{n} | quote }}}}") for n in range(len(images))]
    make(tmp_path / "web", *pods, values="".join(f"image{n}: {image}\n" for n, image in enumerate(images)))
    done = pin("lint", "web")
    assert done.status == 3
    for n, (line, says) in enumerate(zip(done.stdout.splitlines(), images.values(), strict=True)):
        assert f"not an image reference: {says} (image{n})" in line


WEB = """\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: web
      image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
    - name: whole
      image: {{ .Values.side.image }}
    - name: hard
      image: busybox
    {{- with .Values.extra }}
    - name: extra
      image: {{ . }}
    {{- end }}
"""
WEB_VALUES = """\
# of the web
image:
  repository: team/web   # here
  tag: latest  # this moves
side: {image: 'team/side:edge'}
"""
DB = """\
apiVersion: v1
kind: Pod
metadata: {name: db}
spec: {containers: [{name: c, image: {{ include "db.image" . }}}]}
"""
DB_HELPER = """\
{{- define "db.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
"""


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A chart with values, hard-coded images and a subchart."""
    chart = make(tmp_path / "web", WEB, values=WEB_VALUES)
    db = make(chart / "charts/db", DB, values="image:\n  repository: team/db\n  tag: '16'\n")
    (db / "templates/_helpers.tpl").write_text(DB_HELPER)
    return chart


@pytest.fixture
def web_with_ci(web: Path) -> Path:
    """The same with ci values."""
    (web / "ci").mkdir()
    (web / "ci/extra-values.yaml").write_text("# more\nextra: team/extra:main\n")
    return web


@pytest.fixture
def one_image(tmp_path: Path) -> Path:
    """A chart of the first of its images alone."""
    return make(tmp_path / "web", WEB.partition("    - name: whole")[0], values=WEB_VALUES)


def places(done: Finished) -> dict[str, str]:
    """Each image, and where its finding is."""
    shown = json.loads(done.stdout)
    return {each["image"]: f"{each['file']}:{each['line']} {each['value'] or ''}".strip() for each in shown}


PLACES = {
    "team/db:16": "web/charts/db/values.yaml:3 db.image.tag",
    "team/web:latest": "web/values.yaml:4 image.tag",
    "team/side:edge": "web/values.yaml:5 side.image",
    "busybox": "web/templates/0.yaml:11",
    "team/extra:main": "web/ci/extra-values.yaml:2 extra",
}


def test_the_place_of_each_finding(pin: Pin, web_with_ci: Path) -> None:
    assert web_with_ci.exists()
    assert places(pin("lint", "web", "-o", "json")) == PLACES


def test_paths_without_detours(pin: Pin, parts: Path) -> None:
    """The same report, fingerprints included, however a chart and a file are named."""
    plain = pin("lint", "a", "-f", "tag.yaml", "-o", "sarif")
    detours = pin("lint", "./a/", "up/../a", f"{parts}/a", "-f", "up/../tag.yaml", "-o", "sarif")
    assert plain.status == 3 and "tag.yaml" in plain.stdout
    assert (detours.stdout, detours.stderr) == (plain.stdout, plain.stderr)


def test_paths_in_the_working_directory(pin: Pin, parts: Path) -> None:
    (parts / "linked").symlink_to(parts / "up/charts", target_is_directory=True)
    for path in (parts / "a").iterdir():
        path.rename(parts / path.name)
    assert places(pin("lint", "a/..", "-o", "json")) == {"team/a:latest": "values.yaml:3 image.tag"}
    (shown,) = places(pin("lint", "linked/../charts/a", "-o", "json")).values()
    assert shown == "linked/../charts/a/values.yaml:3 image.tag"  # which is not charts/a


def test_fix_of_a_file_that_is_named_with_detours(pin: Pin, parts: Path) -> None:
    with any_tag() as content:
        content.one_image, content.tags = {"team/a"}, ["main", "1.2.3"]
        flags = ["-f", "up/../tag.yaml", "--fix", "--suggest", "--registry-mirror", content.mirror]
        done = pin("lint", f"{parts}/a", *flags)
    assert (parts / "tag.yaml").read_text() == "image: {tag: 1.2.3}\n", done.stderr


def test_the_place_where_one_template_is_shown(pin: Pin, web: Path) -> None:
    assert web.exists()
    shown = places(pin("lint", "web", "-o", "json", "--show-only", "templates/0.yaml"))
    assert shown == {image: PLACES[image] for image in ("team/web:latest", "team/side:edge", "busybox")}


def test_the_file_that_wins(pin: Pin, web: Path, tmp_path: Path) -> None:
    (tmp_path / "prod.yaml").write_text("db:\n  image: {tag: '17'}\n")
    (web / "values.yaml").write_text(WEB_VALUES + "db:\n  image:\n    tag: 15\n")
    assert places(pin("lint", "web", "-o", "json"))["team/db:15"] == "web/values.yaml:8 db.image.tag"
    given = places(pin("lint", "web", "-o", "json", "-f", "prod.yaml", "--set", "image.tag=main"))
    assert given["team/db:17"] == "prod.yaml:2 db.image.tag"
    assert given["team/web:main"] == "web/templates/0.yaml:7"  # no file sets it


def test_values_that_no_mark_can_stand_in(pin: Pin, tmp_path: Path) -> None:
    """The chart checks its tag, so what matches is reported."""
    checked = "{{ if ne .Values.image.tag `latest` }}{{ fail `no` }}{{ end }}" + WEB.partition("    - name: whole")[0]
    make(tmp_path / "web", checked, values=WEB_VALUES)
    assert places(pin("lint", "web", "-o", "json")) == {"team/web:latest": "web/values.yaml:4 image.tag"}


def test_an_image_in_a_packed_subchart(pin: Pin, web: Path, homes: Mapping[str, str]) -> None:
    command = [homes["HELM_BIN"], "package", "db"]
    subprocess.run(command, cwd=web / "charts", env=homes, check=True, capture_output=True)
    shutil.rmtree(web / "charts/db")
    packed = "web/charts/db-1.0.0.tgz"
    assert places(pin("lint", "web", "-o", "json"))["team/db:16"] == f"{packed}/values.yaml:3 db.image.tag"


def test_a_chart_that_needs_its_ci_values(pin: Pin, tmp_path: Path) -> None:
    chart = make(tmp_path / "web", POD % ("web", 'team/a:{{ required "give a tag" .Values.tag }}'))
    (chart / "ci").mkdir()
    (chart / "ci/a-values.yaml").write_text("tag: 1.2.3\n")
    (chart / "ci/b-values.yaml").write_text("tag: main\n")
    done = pin("lint", "web")
    assert done.stdout.startswith("web/ci/b-values.yaml:1: Pod/web: team/a:main: ")
    assert "with ci/b-values.yaml" in done.stdout and "does not render with its defaults; linted" in done.stderr


def test_two_objects_of_one_template_with_one_value(pin: Pin, tmp_path: Path) -> None:
    pods = "---\n".join(POD % (f"{{{{ .Values.name }}}}-{n}", "{{ .Values.image }}") for n in "ab")
    chart = make(tmp_path / "web", pods, values="image: team/a:main\nname: web\n")
    (chart / "ci").mkdir()
    (chart / "ci/x-values.yaml").write_text("name: other\n")
    found = json.loads(pin("lint", "web", "-o", "json").stdout)
    assert [(each["name"], each["values"]) for each in found] == [(f"web-{n}", ["ci/x-values.yaml"]) for n in "ab"]
    assert len({each["fingerprint"] for each in found}) == 2


def fingerprints(done: Finished) -> dict[str, str]:
    """That of each image, by its name."""
    return {each["image"].partition(":")[0]: each["fingerprint"] for each in json.loads(done.stdout)}


def test_fingerprints_when_a_chart_is_changed(pin: Pin, tmp_path: Path) -> None:
    """A container, an object and lines before it, another tag, a value in place of a text; names are random, or hold the tag."""
    head = "apiVersion: v1\nkind: Pod\nmetadata: {name: '%s'}\nspec:\n  containers:\n"
    container = "  - {name: '%s', image: '%s'}\n"
    pods = [
        head % "p" + container % ("a", "team/a:main"),
        head % "{{ randAlpha 8 }}" + container % ("r", "team/r:main"),
        head % "web-{{ .Values.tag }}" + container % ("t", "team/t:{{ .Values.tag }}"),
        head % "two" + container % ("x", "team/x:main") + "---\n" + head % "two" + container % ("x", "team/x:edge"),
    ]
    chart = make(tmp_path / "web", *pods, values="tag: main\n")
    before = pin("lint", "web", "-o", "json")
    assert fingerprints(before) == fingerprints(pin("lint", "web", "-o", "json"))
    more = container % ("first", "team/first:1.2.3")
    changed = pods[0].replace(head % "p", "# more\n" + POD % ("before", "team/b:1.2.3") + "---\n" + head % "p" + more)
    (chart / "templates/0.yaml").write_text(changed.replace("team/a:main", "{{ .Values.a }}"))
    (chart / "values.yaml").write_text("a: team/a:edge\ntag: stable\n")
    after = pin("lint", "web", "-o", "json")
    assert fingerprints(before) == fingerprints(after)
    assert len({each["fingerprint"] for each in json.loads(after.stdout)}) == 5


SECOND = [
    "image: team/b:main",
    "image: 'team/b:main'  # its comment",
    "image: >-\n      team/b:main",
    "image: |-\n      team/b:main",
    "image:\n      team/b:main",
    'image: "team/{{ .Values.b | default "b" }}:main"',
    'image: {{ printf "team/%s:main"\n    "b" }}',
    "image: {{/* }} */ -}}\n      {{ `team/b:main` | quote }}",
]


def test_the_line_of_the_second_image_of_a_template(pin: Pin, tmp_path: Path) -> None:
    head = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n"
    pods = [f"{head}  - name: a\n    image: team/a:main\n  - name: b\n    {second}\n" for second in SECOND]
    make(tmp_path / "web", *(pod.replace("name: web", f"name: web-{n}") for n, pod in enumerate(pods)))
    done = pin("lint", "web", "-o", "json")
    found = [f"{each['file']}:{each['line']}" for each in json.loads(done.stdout) if each["image"] == "team/b:main"]
    assert found == [f"web/templates/{n}.yaml:9" for n in range(len(SECOND))]


BLOCKS = """\
first: |
  team/first:main
second: >
  team/second:main
raw: |  # a manifest

  apiVersion: v1
  kind: Pod
  metadata: {name: q}
  spec:
    containers:
    - name: c
      image: team/raw:main
quoted: "apiVersion: v1\\nkind: Pod\\nmetadata: {name: r}\\nspec: {containers: [{name: c, image: 'team/quoted:main'}]}\\n"
"""


@pytest.mark.parametrize("checks", ["", "{{ if contains `hp` .Values.first }}{{ fail `no marks` }}{{ end }}"])
def test_the_lines_of_values_that_are_blocks_of_text(checks: str, pin: Pin, tmp_path: Path) -> None:
    head = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n"
    images = "".join(
        f"  - name: {n}\n    image: {image}\n"
        for n, image in [("a", "team/a:main"), ("b", "{{ .Values.first }}"), ("c", "{{ .Values.second }}")]
    )
    printed = "---\n{{ tpl .Values.raw . }}\n---\n{{ tpl .Values.quoted . }}\n"
    make(tmp_path / "web", checks + head + images + printed, values=BLOCKS)
    found = places(pin("lint", "web", "-o", "json"))
    assert found == {
        "team/a:main": "web/templates/0.yaml:7",
        "team/first:main": "web/values.yaml:1 first",
        "team/second:main": "web/values.yaml:3 second",
        "team/raw:main": "web/values.yaml:13 raw",
        "team/quoted:main": "web/values.yaml:14 quoted",
    }


def test_the_line_that_prints_a_text_which_no_file_gives(pin: Pin, tmp_path: Path) -> None:
    (tmp_path / "raw.txt").write_text(POD % ("q", "team/q:main"))
    make(tmp_path / "web", POD % ("p", "team/p:main") + "---\n{{ tpl .Values.raw . }}\n", values="raw: ''\n")
    found = places(pin("lint", "web", "-o", "json", "--set-file", "raw=raw.txt"))
    assert found == {"team/p:main": "web/templates/0.yaml:4", "team/q:main": "web/templates/0.yaml:6"}


def test_the_lines_of_images_in_flow_style(pin: Pin, tmp_path: Path) -> None:
    pods = [POD % (f"p{n}", f'"team/{n}:{{{{ .Values.tag | default `main` }}}}"') for n in "ab"]
    make(tmp_path / "web", "---\n".join(pods))
    found = places(pin("lint", "web", "-o", "json"))
    assert found == {"team/a:main": "web/templates/0.yaml:4", "team/b:main": "web/templates/0.yaml:9"}


def test_each_kind_of_finding_has_a_rule(pin: Pin, tmp_path: Path) -> None:
    images = ("team/a:main", "ghcr.io/team/b:1.2.3", "team/c:1.2.3", "'team/d:'")
    make(tmp_path / "web", *(POD % (f"p{n}", image) for n, image in enumerate(images)))
    lock = "version: 1\nimages:\n- image: docker.io/team/a:main@sha256:%s\n"
    (tmp_path / "helm-pin.lock.yaml").write_text(lock % ("0" * 64))

    def rules(*flags: str) -> list[str]:
        return [each["rule"] for each in json.loads(pin("lint", "web", "-o", "json", *flags).stdout)]

    docker = "--allowed-registry=docker.io"
    assert rules(docker) == ["mutable-tag", "registry-not-allowed", "not-a-reference"]
    (run,) = json.loads(pin("lint", "web", "-o", "sarif", docker, "--locked").stdout)["runs"]
    known = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    broken = [result["ruleId"] for result in run["results"]]
    assert broken == ["registry-not-allowed", "not-in-lock", "not-in-lock", "not-a-reference"]
    assert [known[result["ruleIndex"]] for result in run["results"]] == broken
    said = pin("lint", "web", docker, "--locked").stderr.splitlines()[-1]
    assert said.startswith("1 image from a registry that is not allowed, 2 images that the lock does not pin, 1 image ")


def test_a_container_without_an_image_is_no_reference(pin: Pin, tmp_path: Path) -> None:
    """Quoted or not, null, a number, or no key at all: helm pin upgrade refuses all of them."""
    values = "quoted: ''\nimage:\nnumber: 1.25\n"
    images = ("{{ .Values.quoted | quote }}", "{{ .Values.image }}", "{{ .Values.number }}")
    tail = "---\n" + (POD % ("none", "")).replace("name: c, image: ", "name: bare")
    make(tmp_path / "web", "---\n".join(POD % (f"p{n}", image) for n, image in enumerate(images)) + tail, values=values)
    done = pin("lint", "web", "-o", "json")
    shown = json.loads(done.stdout)
    found = [(each["rule"], each["name"], f"{each['file']}:{each['line']}", each["value"]) for each in shown]
    assert (done.status, found) == (
        3,
        [
            ("not-a-reference", "p0", "web/values.yaml:1", "quoted"),
            ("not-a-reference", "p1", "web/templates/0.yaml:9", None),
            ("not-a-reference", "p2", "web/templates/0.yaml:14", None),
            ("not-a-reference", "none", "web/templates/0.yaml:19", None),
        ],
    )
    assert len({each["fingerprint"] for each in shown}) == 4
    assert pin("lint", "web").stderr == "4 images without a valid reference in 1 chart\n"
    assert pin("lint", "web", "--allow-unpinned", '""').status == 0


def test_each_rule_that_an_image_breaks(pin: Pin, parts: Path) -> None:
    """A version is for the tag. Also if something exempts from one of them: tests/unit/lint/test_judge.py."""
    assert parts.exists()
    with any_tag() as content:
        content.one_image, content.tags = {"team/a"}, ["latest", "1.2.3"]
        flags = ["--allowed-registry=ghcr.io", "--suggest", "--registry-mirror", content.mirror]
        shown = json.loads(pin("lint", "a", "-o", "json", *flags).stdout)
    assert [each["rule"] for each in shown] == ["registry-not-allowed", "mutable-tag"]
    assert len({each["fingerprint"] for each in shown}) == 2
    assert {f"{each['file']}:{each['line']}" for each in shown} == {"a/values.yaml:3"}
    assert [each.get("suggestion") for each in shown] == [None, "1.2.3"]


def test_a_glob_that_matches_a_name_and_no_tag(pin: Pin, one_image: Path) -> None:
    assert one_image.exists()
    said = pin("lint", "web", "--allow-unpinned", "team/web").stdout
    assert "tag latest moves by design (allow-unpinned team/web matches no tag: write team/web:*)" in said


def test_an_exemption_ends(pin: Pin, one_image: Path, tmp_path: Path) -> None:
    assert one_image.exists()
    entry = "allow-unpinned: [{image: 'team/*', reason: ours, until: %s}, busybox]\n"
    (tmp_path / ".helm-pin.yaml").write_text(entry % "2999-12-31")
    done = pin("lint", "web")
    assert (done.status, done.stdout) == (0, "")
    assert "Exempt: web/values.yaml:4: team/web:latest, by team/* (until 2999-12-31: ours)" in done.stderr
    (tmp_path / ".helm-pin.yaml").write_text(entry % "2020-12-31")
    done = pin("lint", "web")
    assert done.status == 3 and "the exemption of team/* ended on 2020-12-31 and no longer counts" in done.stderr
    assert "moves by design (its exemption ended on 2020-12-31: ours)" in done.stdout


NOTE = ".helm-pin.yaml sets allow-unpinned: team/web:*"


@pytest.mark.parametrize("more", [["docs", "--quiet"], ["--fix"]])
def test_what_a_settings_file_of_one_of_several_charts_makes_less_strict(
    more: Sequence[str], pin: Pin, two: Sequence[str], tmp_path: Path
) -> None:
    make(tmp_path / "web", POD % ("web", "team/web:latest"))
    (tmp_path / "docs").mkdir()
    rules = "rules: [{match: '*/team/db', fixed-tag: [latest]}]\n"
    for name, text in (("web", "allow-unpinned: ['team/web:*']\n"), ("one", rules), ("docs", "no-such-key: 1\n")):
        (tmp_path / name / ".helm-pin.yaml").write_text(text)
    done = pin("lint", "web", two[0], *more)
    assert (done.status, done.stdout) == (0, "")
    assert [line for line in done.stderr.splitlines() if " sets allow-unpinned" in line] == [f"{tmp_path}/web/{NOTE}"]
    assert done.stderr.count("one/.helm-pin.yaml, key rules, entry 1") == 1
    exempt = "Exempt: web/templates/0.yaml:4: team/web:latest, by allow-unpinned 'team/web:*'\n"
    assert (exempt in done.stderr) is ("--quiet" not in more)


def test_a_plain_glob_is_shown_where_it_is_used(pin: Pin, tmp_path: Path) -> None:
    """To programs if they ask for it. In all forms: tests/unit/lint/test_forms.py."""
    make(tmp_path / "web", POD % ("web", "team/web:latest"))
    flags = ["--allow-unpinned", "team/web:*"]
    done = pin("lint", "web", *flags)
    assert (done.status, done.stdout) == (0, "")
    assert "Exempt: web/templates/0.yaml:4: team/web:latest, by allow-unpinned 'team/web:*'\n" in done.stderr
    assert done.stderr.endswith("; 1 exempt\n")
    assert json.loads(pin("lint", "web", *flags, "-o", "json").stdout) == []
    done = pin("lint", "web", *flags, "-o", "json", "--show-exempt")
    (shown,) = json.loads(done.stdout)
    assert done.status == 0
    assert shown["exemption"] == {"image": "team/web:*", "reason": None, "until": None}


@pytest.mark.parametrize("command", [["lint", "web"], ["plan", "--no-cluster", "./web"]])
def test_an_exemption_is_shown_where_it_is_used(command: Sequence[str], pin: Pin, tmp_path: Path) -> None:
    entries = "".join(f"- {{image: '{i}', reason: ours, until: 2999-12-31}}\n" for i in ("team/web", "team/s*"))
    (tmp_path / ".helm-pin.yaml").write_text(f"allow-unpinned:\n{entries}")
    make(tmp_path / "web", WEB, values=WEB_VALUES)
    with any_tag() as content:
        done = pin(*command, *(["--registry-mirror", content.mirror] if command[0] == "plan" else []))
    assert "team/s* (until 2999-12-31: ours)" in done.stderr and "team/web (until" not in done.stderr
    if command[0] == "lint":
        assert "tag latest moves by design (the exemption of team/web matches no tag: write team/web:*)" in done.stdout


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["lint", "nope"], "there is no such file or directory"),
        (["lint", "charts/nope"], "there is no such file or directory, and repo charts not found"),
        (["plan", "web", "nope", "--no-cluster"], "a chart is a folder, an archive, "),
        (["plan", "web"], "if web is the release, name its chart too: RELEASE CHART"),
        (["template", "web"], "if web is the release, name its chart too: RELEASE CHART"),
    ],
)
def test_a_chart_that_is_not_there(args: Sequence[str], says: str, pin: Pin) -> None:
    done = pin(*args)
    assert done.status == 1 and says in done.stderr
    assert "chart not found" in done.stderr and "helm pull" not in done.stderr


def test_a_file_below_the_working_directory_stands_for_the_chart_above(
    web: Path, homes: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(web / "templates")
    command = [sys.executable, CHECKOUT / "helmpin", "lint", "0.yaml", "-o", "json"]
    done = subprocess.run(command, env=homes, capture_output=True, timeout=120)
    found = {each["file"] for each in json.loads(done.stdout)}
    assert done.returncode == 3 and "../values.yaml" in found and "../templates/0.yaml" in found


def test_fix_changes_digests_alone(pin: Pin, web_with_ci: Path) -> None:
    web = web_with_ci
    with any_tag() as content:
        done = pin("lint", "web", "--fix", "--registry-mirror", content.mirror, "-o", "json")
        digest = {name: content.digest(("docker.io", f"team/{name}", tag)) for name, tag in IMAGES.items()}
    assert list(places(done)) == ["busybox"], done.stderr
    assert (
        "Not fixed: web/templates/0.yaml: busybox: no value carries its digest" in done.stderr
        and "Note:" not in done.stderr
    )
    assert (web / "values.yaml").read_text() == WEB_VALUES.replace(
        "tag: latest", f'tag: "latest@{digest["web"]}"'
    ).replace("team/side:edge", f"team/side:edge@{digest['side']}")
    assert (web / "charts/db/values.yaml").read_text() == (
        f"image:\n  repository: team/db\n  tag: '16@{digest['db']}'\n"
    )
    extra = (web / "ci/extra-values.yaml").read_text()
    assert extra == f'# more\nextra: "team/extra:main@{digest["extra"]}"\n'


IMAGES = {"web": "latest", "side": "edge", "db": "16", "extra": "main"}


def test_fix_that_cannot_reach_a_registry(pin: Pin, parts: Path) -> None:
    done = pin("lint", "a", "--fix", "--registry-mirror", "*=http://127.0.0.1:1")
    assert done.status == 3 and (parts / "a/values.yaml").read_text() == TEAM_A
    assert "Not fixed: a/templates/0.yaml: team/a:latest: " in done.stderr


def on_a_terminal(command: Sequence[str | Path], cwd: Path, env: Mapping[str, str]) -> tuple[int, str]:
    """The exit status of a command, and what its standard error shows."""
    ours, its = pty.openpty()
    with subprocess.Popen(command, cwd=cwd, env={**env, "TERM": "xterm"}, stdout=subprocess.DEVNULL, stderr=its) as run:
        os.close(its)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:  # Linux, when the other end is closed
            pass
        os.close(ours)
    return run.returncode, shown.decode()


AT_ONCE = f"""
import runpy, sys
sys.path.insert(0, {str(CHECKOUT)!r})
from helmpin import output
output.Progress.AFTER = 0.0
runpy.run_path({str(CHECKOUT / "helmpin")!r}, run_name="__main__")
"""


def test_fix_shows_its_progress_on_a_terminal(tmp_path: Path, homes: Mapping[str, str]) -> None:
    """From the beginning, not after a second. Messages stand on lines of their own."""
    make(tmp_path / "one", POD % ("one", "{{ .Values.image }}"), values="image: team/app:latest\n")
    make(tmp_path / "two", POD % ("two", "team/hard:main"))
    with any_tag() as content:
        command = [sys.executable, "-c", AT_ONCE, "lint", "one", "two", "--fix", "--registry-mirror", content.mirror]
        status, shown = on_a_terminal(command, tmp_path, homes)
    assert status == 3
    lines = [re.split(r"\r|\x1b\[K", line)[-1] for line in shown.replace("\r\n", "\n").split("\n")]
    assert "2 of 2 sets of values to pin" in shown and "2 of 2 renders checked" in shown
    says = (
        "Not fixed: two/templates/0.yaml: team/hard:main: no value carries its digest: it is hard-coded in a template"
    )
    assert lines[:2] == [says, "Fixed one/values.yaml"], shown


def test_registries_are_for_fix(pin: Pin, web: Path) -> None:
    done = pin("lint", str(web), "--registry-timeout", "1s")
    assert done.status == 2 and "has no effect without --fix" in done.stderr


SLIM = '"team/web:{{ .Values.tag | trunc 9 }}{{ if .Values.slim }}-slim{{ end }}{{ with .Values.digest }}@{{ . }}{{ end }}"'


def test_fix_writes_no_digest_that_would_serve_two_tags(pin: Pin, tmp_path: Path) -> None:
    """A template adds a suffix to the tag where another value says so, and one digest key serves both."""
    before = "repository: team/web\ntag: latest\nslim: false\ndigest: ''\n"
    web = make(tmp_path / "web", POD % ("web", SLIM), values=before)
    (web / "ci").mkdir()
    (web / "ci/extra-values.yaml").write_text("slim: true\n")
    with any_tag() as content:
        done = pin("lint", "web", "--fix", "--registry-mirror", content.mirror)
    assert done.status == 3 and (web / "values.yaml").read_text() == before
    assert "Not fixed: web/values.yaml: digest: its image depends on other values, so that it would need" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small file system of its own")
def test_fix_on_a_full_disk_changes_no_file(two: Sequence[str], tmp_path: Path, homes: Mapping[str, str]) -> None:
    """There is room for the first file and not for the second."""
    (tmp_path / "two/values.yaml").write_text("image: team/app:1.2.3\n" + 2048 * "# more\n")
    for name in two:
        values = (tmp_path / name / "values.yaml").read_text()
        (tmp_path / name / "values.yaml").write_text(values.replace("1.2.3", "latest"))
    (small := tmp_path / "small").mkdir()
    script = (
        'mount -t tmpfs -o size=256k none "$1" && cp -r one two "$1" && cd "$1" || exit 99; '
        "dd if=/dev/zero of=rest bs=4k 2>/dev/null; truncate -s -8k rest; "
        '"$0" lint one two --fix --registry-mirror "$2"; status=$?; '
        "cmp one/values.yaml ../one/values.yaml && cmp two/values.yaml ../two/values.yaml || exit 98; "
        "ls -A one two >&2; exit $status"
    )
    with any_tag() as content:
        words = ["unshare", "-rm", "sh", "-c", script, CHECKOUT / "bin/helm-pin", small, content.mirror]
        done = subprocess.run(words, cwd=tmp_path, env=homes, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith(
        "Error: cannot write values\n  at    two/values.yaml\n  why   No space left on device\n"
    )
    assert "Fixed" not in done.stderr and ".values.yaml" not in done.stderr


PARTS = '"{{ .Values.image.repository }}:{{ .Values.image.tag }}"'
TEAM_A = "image:\n  repository: team/a\n  tag: latest # moves\n"


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Charts whose image is a repository and a tag: a, which has team/a; b, which has team/b; and up, which gives its subchart a
    another repository."""
    make(tmp_path / "a", POD % ("a", PARTS), values=TEAM_A)
    make(tmp_path / "b", POD % ("b", PARTS), values=TEAM_A.replace("/a", "/b"))
    make(tmp_path / "up", values="a:\n  image:\n    repository: team/b\n")
    shutil.copytree(tmp_path / "a", tmp_path / "up/charts/a")
    make(tmp_path / "whole", POD % ("whole", VALUES.removeprefix("image: ")), values="image: team/a:latest\n")
    (tmp_path / "repository.yaml").write_text("image: {repository: team/b}\n")
    (tmp_path / "tag.yaml").write_text("image: {tag: main}\n")
    return tmp_path


def texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.yaml")}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["whole", "--set", "image=team/b:main"], "--set gives a part of it"),
        (["a", "b", "-f", "tag.yaml", "--suggest"], "other values: team/b:main would become team/b:1.2.3"),
    ],
)
def test_fix_writes_nothing_of_another_image(args: Sequence[str], says: str, pin: Pin, parts: Path) -> None:
    """Neither a digest nor a version; that of team/a is 1.2.3 for every tag."""
    before = texts(parts)
    with any_tag() as content:
        content.one_image = {"team/a"}
        content.tags = ["latest", "main", "1.2.3"]
        done = pin("lint", *args, "--fix", "--registry-mirror", content.mirror)
    assert done.status == 3 and says in done.stderr and "Traceback" not in done.stderr
    assert texts(parts) == before


@pytest.mark.parametrize(
    ("args", "changed"),
    [
        (["a", "-f", "repository.yaml"], {"repository.yaml": 'image: {tag: "latest@B", repository: team/b}\n'}),
        (
            ["b", "up"],
            {
                "b/values.yaml": TEAM_A.replace("/a", "/b").replace("latest", '"latest@B"'),
                "up/values.yaml": 'a:\n  image:\n    repository: team/b\n    tag: "latest@B"\n',
            },
        ),
    ],
)
def test_fix_writes_where_the_image_is_given(
    args: Sequence[str], changed: Mapping[str, str], pin: Pin, parts: Path
) -> None:
    before = texts(parts)
    with any_tag() as content:
        done = pin("lint", *args, "--fix", "--registry-mirror", content.mirror)
        digest = {name: content.digest(("docker.io", f"team/{name.lower()}", "latest")) for name in "AB"}
    assert done.status == 0, done.stderr
    assert texts(parts) == {
        **before,
        **{
            name: text.replace("@A", f"@{digest['A']}").replace("@B", f"@{digest['B']}")
            for name, text in changed.items()
        },
    }


def test_fix_of_a_value_that_another_chart_uses_with_its_own(pin: Pin, parts: Path) -> None:
    """The other chart's image has a full version, so that nothing is wanted for it; the digest would go there all the same."""
    (parts / "b/templates/0.yaml").write_text(
        POD % ("b", '"team/b:1.2.3{{ with .Values.image.digest }}@{{ . }}{{ end }}"')
    )
    (parts / "a/templates/0.yaml").write_text(
        POD % ("a", '"team/a:{{ .Values.image.tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}"')
    )
    (parts / "tag.yaml").write_text("image: {tag: main, digest: ''}\n")
    before = texts(parts)
    with any_tag() as content:
        done = pin("lint", "a", "b", "-f", "tag.yaml", "--fix", "--registry-mirror", content.mirror)
    assert done.status == 3 and texts(parts) == before
    assert "depends on other values: team/b:1.2.3 would become team/b:1.2.3@sha256:" in done.stderr
    assert ", in b with tag.yaml" in done.stderr


def test_fix_of_a_subchart_whose_image_the_chart_above_changes(pin: Pin, parts: Path) -> None:
    """By itself the subchart has another image, which its values file must not pin to the digest of this one."""
    template = POD % ("a", '"{{ (.Values.global).name | default .Values.image.repository }}:{{ .Values.image.tag }}"')
    (parts / "up/charts/a/templates/0.yaml").write_text(template)
    (parts / "up/values.yaml").write_text("global: {name: team/b}\n")
    before = texts(parts)
    with any_tag() as content:
        done = pin("lint", "up", "--fix", "--registry-mirror", content.mirror)
    assert done.status == 3 and texts(parts) == before
    assert "its image depends on other values: team/a:latest would become team/a:latest@sha256:" in done.stderr
    assert ", in up/charts/a by itself" in done.stderr


def test_fix_says_once_that_a_chart_does_not_render(pin: Pin, tmp_path: Path) -> None:
    chart = make(tmp_path / "c", "{{ fail `no` }}")
    (chart / "ci").mkdir()
    (chart / "ci/x-values.yaml").write_text("n: 1\n")
    with any_tag() as content:
        done = pin("lint", "c", "--fix", "--registry-mirror", content.mirror)
    assert done.status == 1 and done.stderr.count("Not fixed: c: ") == 1
    assert done.stderr.count("execution error at") == 1, done.stderr


def test_fix_names_each_chart_with_an_image_that_it_cannot_fix(pin: Pin, tmp_path: Path) -> None:
    for name in ("one", "two"):
        make(tmp_path / name, POD % (name, "team/hard:main"))
    with any_tag() as content:
        done = pin("lint", "one", "two", "--fix", "--registry-mirror", content.mirror)
    lines = [line for line in done.stderr.splitlines() if line.startswith("Not fixed: ")]
    assert [line.split()[2] for line in lines] == ["one/templates/0.yaml:", "two/templates/0.yaml:"], done.stderr


def test_two_containers_with_one_image(pin: Pin, tmp_path: Path) -> None:
    more = "}, {name: d, image: team/a:main}, {name: e, image: team/b:main}]}"
    make(tmp_path / "c", (POD % ("p", "team/a:main")).replace("}]}", more))
    lines = pin("lint", "c").stdout.splitlines()
    at = "c/templates/0.yaml:4: Pod/p"
    assert [line.rpartition(": ")[0] for line in lines] == [
        f"{at}, container c: team/a:main",
        f"{at}, container d: team/a:main",
        f"{at}: team/b:main",
    ]


def test_fix_writes_around_what_cannot_be_written(pin: Pin, tmp_path: Path) -> None:
    pod = (POD % ("a", "{{ .Values.a }}")).replace("c, image", "a, image")
    names = "bcd"
    more = "".join(f", {{name: {n}, image: {{{{ .Values.{n} }}}}}}" for n in names)
    make(tmp_path / "c", pod.replace("}]}", "}" + more + "]}"))
    values = tmp_path / "c/values.yaml"
    values.write_text("a: team/a:latest\nb: |- # why\n  team/b:main\nc: &y team/c:main\nd: *y\n")
    with any_tag() as content:
        done = pin("lint", "c", "--fix", "--registry-mirror", content.mirror)
        digest = {n: content.digest(("docker.io", f"team/{n}", tag)) for n, tag in [("a", "latest"), ("c", "main")]}
    assert done.status == 3 and done.stdout.startswith("c/values.yaml:2: Pod/a: team/b:main")
    assert "Not fixed: c/values.yaml: b: b is a block scalar with a comment" in done.stderr
    assert values.read_text() == (
        f'a: "team/a:latest@{digest["a"]}"\nb: |- # why\n  team/b:main\nc: &y "team/c:main@{digest["c"]}"\nd: *y\n'
    )


def test_fix_says_why_no_value_carries_a_digest(pin: Pin, tmp_path: Path) -> None:
    tagged = "team/%s:{{ .Values.global.tag }}"
    two = (POD % ("two", tagged % "a")).replace("}]}", "}, {name: d, image: " + tagged % "b" + "}]}")
    beside = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {tag: {{ .Values.tag }}}\n"
    follower = POD % ("f", "team/f:{{ .Values.tag }}") + "---\n" + beside
    chart = make(tmp_path / "c", two, follower, POD % ("h", "team/h:main"), values="global: {tag: main}\ntag: edge\n")
    before = (chart / "values.yaml").read_text()
    with any_tag() as content:
        done = pin("lint", "c", "--fix", "--registry-mirror", content.mirror)
    assert done.status == 3 and (chart / "values.yaml").read_text() == before
    for why in (
        "team/a:main: no value carries its digest: tag@digest at global.tag: another image needs the same value",
        "team/f:edge: no value carries its digest: tag@digest at tag: c/templates/1.yaml: data.tag: '…' would become",
        "team/h:main: no value carries its digest: it is hard-coded in a template",
    ):
        assert re.search(rf"^Not fixed: c/templates/\d\.yaml: {re.escape(why)}", done.stderr, re.MULTILINE), done.stderr


def test_fix_pins_the_uses_of_an_image_that_values_reach(pin: Pin, parts: Path) -> None:
    """The same image is hard-coded in another container, and in another template."""
    beside = (POD % ("a", PARTS)).replace("}]}", "}, {name: d, image: team/a:latest}]}")
    (parts / "a/templates/0.yaml").write_text(beside)
    (parts / "a/templates/1.yaml").write_text(POD % ("hard", "team/a:latest"))
    with any_tag() as content:
        done = pin("lint", "a", "--fix", "-o", "json", "--registry-mirror", content.mirror)
        digest = content.digest(("docker.io", "team/a", "latest"))
    assert (parts / "a/values.yaml").read_text() == TEAM_A.replace("latest", f'"latest@{digest}"'), done.stderr
    assert [each["container"] for each in json.loads(done.stdout)] == ["d", "c"]
    says = "Not fixed: a/templates/0.yaml: team/a:latest: no value carries its digest everywhere: it is hard-coded in a template"
    assert says in done.stderr


def test_fix_of_a_tag_from_a_merge(pin: Pin, parts: Path) -> None:
    values = "base: &base\n  repository: team/a\n  tag: main\nimage:\n  <<: *base\n  port: 80\n"
    (parts / "a/values.yaml").write_text(values)
    with any_tag() as content:
        content.one_image, content.tags = {"team/a"}, ["main", "1.2.3"]
        done = pin("lint", "a", "--fix", "--suggest", "--registry-mirror", content.mirror)
    assert done.status == 0 and done.stderr.startswith("Fixed a/values.yaml\n"), done.stderr
    assert (parts / "a/values.yaml").read_text() == f"{values}  tag: 1.2.3\n"


def test_fix_of_a_tag_that_the_app_version_sets(pin: Pin, tmp_path: Path) -> None:
    """Which tags are noted: tests/unit/lint/test_digests.py and test_versions.py."""
    image = '"{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"'
    chart = make(tmp_path / "web", POD % ("web", image), values="image:\n  repository: team/a\n  tag: ''\n")
    with (chart / "Chart.yaml").open("a") as file:
        file.write("appVersion: '1.2'\n")
    with any_tag() as content:
        done = pin("lint", "web", "--fix", "--registry-mirror", content.mirror)
    assert done.status == 0, done.stderr
    note = (
        "Note: web/values.yaml: image.tag: from now on this value sets the tag of team/a:1.2, not the chart's appVersion or "
        "what else set it before\n"
    )
    assert note in done.stderr


@pytest.mark.parametrize(
    ("image", "values", "fixed"),
    [
        ("{{ tpl .Values.ref . }}", "ref: 'team/a:{{ .Chart.AppVersion }}'", ""),
        (
            "{{ tpl .Values.ref . }}",
            "ref: 'team/a:{{ .Chart.Version | trunc 3 }}{{ .Chart.Version | trunc -2 | replace `.0` ` ` | trim }}'",
            "",
        ),
        ("team/a:{{ .Chart.AppVersion }}{{ with .Values.digest }}@{{ . }}{{ end }}", "digest: ''", ""),
        (
            "{{ .Values.i.repository }}:{{ .Values.i.tag | default .Chart.AppVersion }}{{ with .Values.i.digest }}@{{.}}{{ end }}",
            "i:\n  repository: team/a\n  tag: # none\n  digest:",
            'i:\n  repository: team/a\n  tag: "1.2" # none\n  digest: "DIGEST"',
        ),
        ("team/a:{{ .Values.tag | default .Chart.AppVersion }}", "tag:", 'tag: "1.2@DIGEST"'),
        (
            "{{with .Values.i}}{{.name}}{{with .digest}}@{{.}}{{else}}:{{.tag | default $.Chart.AppVersion}}{{end}}{{end}}",
            "i:\n  name: team/a\n  tag: ''\n  digest: ''",
            "i:\n  name: team/a\n  tag: '1.2'\n  digest: 'DIGEST'",
        ),
        (
            "{{ with .Values.i }}{{ .name }}{{ with .digest }}@{{ . }}{{ else }}:{{ $.Chart.AppVersion }}{{ end }}{{ end }}",
            "i:\n  name: team/a\n  digest: ''",
            "",
        ),
        (
            "{{ $v := semver .Chart.AppVersion }}team/a:{{ $v.Major }}{{ with .Values.digest }}@{{.}}{{ end }}",
            "digest:",
            "",
        ),
        (
            "team/a:1.2{{ with .Values.digest }}@{{ . }}{{ end }} # {{ .Chart.AppVersion }}",
            "schemaVersion: ''\ndigest: ''",
            "schemaVersion: ''\ndigest: 'DIGEST'",
        ),
        ("team/a:1.2{{ with .Values.digest }}@{{ . }}{{ end }} # AppVersion", "digest:", 'digest: "DIGEST"'),
    ],
)
def test_no_digest_is_written_that_would_stay_beside_the_next_app_version(
    image: str, values: str, fixed: str, pin: Pin, tmp_path: Path
) -> None:
    """The next release of the chart would run the program of this one under its own tag."""
    pod = POD.replace("%s}]}", "%s\n  }]}")
    chart = make(tmp_path / "web", pod % ("web", image), values=f"{values}\n")
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 1.2.0\nappVersion: '1.2'\n")
    with any_tag() as content:
        done = pin("lint", "web", "--fix", "--registry-mirror", content.mirror)
        digest = content.digest(("docker.io", "team/a", "1.2"))
    assert (chart / "values.yaml").read_text() == (fixed.replace("DIGEST", digest) or values) + "\n", done.stderr
    assert done.status == (0 if fixed else 3)
    stays = r"Not fixed: web/values\.yaml: .*: it would stay when the chart's appVersion changes: team/a:2[.\d]* would become "
    refused = re.search(stays, done.stderr)
    assert bool(refused) is (not fixed), done.stderr


def test_a_tag_whose_key_says_nothing_of_it(pin: Pin, tmp_path: Path) -> None:
    """It is found and fixed by what the renders show: replicas and a text hold the same number and stay."""
    deployment = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, labels: {n: 'n{{ .Values.other }}'}}\n"
        "spec:\n  replicas: {{ .Values.replicas }}\n"
        "  template: {spec: {containers: [{name: c, image: 'team/a:{{ .Values.build }}'}]}}\n"
    )
    values = "other: 7\nreplicas: 7\nbuild: 7 # moves\n"
    chart = make(tmp_path / "c", deployment, values=values)
    assert places(pin("lint", "c", "-o", "json")) == {"team/a:7": "c/values.yaml:3 build"}
    (chart / "templates/checks.yaml").write_text("{{ if gt (add .Values.replicas 0.0) 9 }}{{ fail `no` }}{{ end }}")
    with any_tag() as content:
        done = pin("lint", "c", "--fix", "--registry-mirror", content.mirror)
        digest = content.digest(("docker.io", "team/a", "7"))
    assert done.status == 0, done.stderr
    assert (chart / "values.yaml").read_text() == values.replace("build: 7", f'build: "7@{digest}"')


UNTAGGED = """\
foo: busybox
images: [alpine, "team/z:1.2.3"]
map: {web: nginx, db: team/db}
part: team/part
name: redis
"""
UNTAGGED_POD = """\
apiVersion: v1
kind: Pod
metadata: {name: {{ .Values.name }}, labels: {app: alpine}}
spec:
  containers:
  - {name: a, image: {{ .Values.foo }}}
  - {name: b, image: {{ index .Values.images 0 }}}
  - {name: c, image: {{ .Values.map.web }}}
  - {name: d, image: {{ .Values.map.db }}}
  - {name: e, image: quay.io/{{ .Values.part }}}
  - {name: f, image: {{ .Values.name }}}
"""
UNTAGGED_AT = {
    "busybox": "c/values.yaml:1 foo",
    "alpine": "c/values.yaml:2 images[0]",
    "nginx": "c/values.yaml:3 map.web",
    "team/db": "c/values.yaml:3 map.db",
    "quay.io/team/part": "c/values.yaml:4 part",
    "redis": "c/values.yaml:5 name",
}


def test_a_name_without_a_tag_whose_key_says_nothing_of_it(pin: Pin, tmp_path: Path) -> None:
    """It is found and fixed by what the renders show; a value that is the object's name too stays."""
    chart = make(tmp_path / "c", UNTAGGED_POD, values=UNTAGGED)
    assert places(pin("lint", "c", "-o", "json")) == UNTAGGED_AT
    names = ["busybox", "alpine", "nginx", "team/db", "team/part"]
    with any_tag() as content:
        done = pin("lint", "c", "--fix", "-o", "json", "--registry-mirror", content.mirror)
    assert list(places(done)) == ["redis"], done.stderr
    before, after = yaml.safe_load(UNTAGGED), yaml.safe_load((chart / "values.yaml").read_text())
    written = [after["foo"], after["images"][0], *after["map"].values(), after["part"]]
    assert [re.sub(":latest@sha256:[0-9a-f]{64}$", "", each) for each in written] == names
    assert (after["images"][1], after["name"]) == (before["images"][1], "redis")


def test_suggest_says_once_that_a_registry_did_not_answer(pin: Pin, tmp_path: Path) -> None:
    """Two containers read the value: two findings, and one thing to do."""
    chart = make(tmp_path / "c", POD % ("one", PARTS), POD % ("two", PARTS), values=TEAM_A)
    done = pin("lint", "c", "--fix", "--suggest", "--registry-mirror", "*=http://127.0.0.1:1")
    assert done.status == 3 and (chart / "values.yaml").read_text() == TEAM_A
    assert done.stdout.count("team/a:latest") == 2
    assert "no version with the digest" not in done.stderr
    (line,) = (
        line for line in done.stderr.splitlines() if line.startswith("Not fixed: c/values.yaml:3: team/a:latest: ")
    )
    assert "127.0.0.1:1" in line


DOCUMENTS = "image: {repository: team/a, tag: %s}\nside: team/side:edge\n---\nimage: {repository: team/b, tag: %s}\n"


@pytest.mark.parametrize(
    ("given", "tags", "suggest"),
    [((), ("latest", "1.2.3"), []), (("-f", "given.yaml"), ("latest", "latest"), ["--suggest"])],
)
def test_values_in_several_documents(
    given: Sequence[str], tags: tuple[str, str], suggest: Sequence[str], pin: Pin, tmp_path: Path
) -> None:
    """Helm 4 merges them, Helm 3 reads the first. What both might read is at no line of them, and no digest goes there."""
    pod = (POD % ("a", PARTS)).replace("}]}", "}, {name: side, image: {{ .Values.side }}}]}")
    chart = make(tmp_path / "c", pod, values=DOCUMENTS % tags)
    if given:
        (tmp_path / "given.yaml").write_text(DOCUMENTS % tags)
        (chart / "values.yaml").write_text("image: {repository: team/b, tag: latest}\n")
    before = texts(tmp_path)
    with any_tag() as content:
        content.one_image, content.tags = {"team/side"}, ["edge", "1.2.3"]
        done = pin("lint", "c", *given, "-o", "json", "--fix", *suggest, "--registry-mirror", content.mirror)
    file = "given.yaml" if given else "c/values.yaml"
    assert done.status == 3 and texts(tmp_path) == before
    where = places(done)
    assert where.pop("team/side:edge") == f"{file}:2 side"
    assert set(where.values()) <= {"c/templates/0.yaml:4"}
    assert f"Not fixed: {file}: side: it holds several YAML documents" in done.stderr
