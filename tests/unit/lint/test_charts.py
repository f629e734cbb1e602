"""Which charts a command line of lint means, and the settings of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from helmpin.config import read
from helmpin.errors import UsageError
from helmpin.helm import Helm
from helmpin.lint.chart_settings import say_allowances, with_settings_of
from helmpin.lint.charts import NotAChart, chart_here, check_is_chart, ci_values, local_charts, set_name
from helmpin.request import Request

FILE = ".helm-pin.yaml"
NAMED_LIKE_ONE = ("charts/a.tgz", "b.tar.gz")


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: charts `web` (with a subchart `db`) and `team/x y`, and what is no chart."""
    root = tmp_path / "repository"
    for chart in ("charts/web", "charts/web/charts/db", "charts/team/x y", "charts/.old"):
        (root / chart / "templates").mkdir(parents=True)
        (root / chart / "Chart.yaml").touch()
        (root / chart / "templates/x.yaml").touch()
    (root / "charts/docs").mkdir()
    for file in ("README.md", f"charts/{FILE}", f"charts/docs/{FILE}", "charts/a.tgz", "charts/web/charts/b-1.tgz"):
        (root / file).touch()
    monkeypatch.chdir(root)
    return root


@pytest.mark.parametrize(
    ("names", "charts"),
    [
        (["charts/web"], ["charts/web"]),
        (["./charts/../charts/web/"], ["charts/web"]),
        (["charts/web", "charts/web/"], ["charts/web"]),
        (["charts/web/templates/x.yaml", "charts/web/Chart.yaml"], ["charts/web"]),
        (["charts/web/charts/db/templates/x.yaml"], ["charts/web"]),
        (["charts/web/charts/db"], ["charts/web/charts/db"]),
        (["charts/team/x y/Chart.yaml"], ["charts/team/x y"]),
        ([f"charts/{FILE}"], ["charts/team/x y", "charts/web"]),
        ([f"charts/{FILE}", "charts/web"], ["charts/team/x y", "charts/web"]),
        (["charts/web", f"charts/{FILE}"], ["charts/web", "charts/team/x y"]),
        ([f"charts/docs/{FILE}"], [f"charts/docs/{FILE}"]),
        ([f"charts/gone/{FILE}"], [f"charts/gone/{FILE}"]),
        (["charts/a.tgz", "charts/web/charts/b-1.tgz"], ["charts/a.tgz", "charts/web/charts/b-1.tgz"]),
        (["README.md"], ["README.md"]),
        (["oci://r.example/web", "repo/web", ""], ["oci://r.example/web", "repo/web", ""]),
    ],
)
def test_which_charts_are_meant(names: Sequence[str], charts: Sequence[str]) -> None:
    assert local_charts(names) == charts


def test_a_file_below_the_working_directory_of_a_chart(monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    monkeypatch.chdir(repository / "charts/web/templates")
    assert local_charts(["x.yaml"]) == [".."]
    assert local_charts([f"{repository}/charts/web/Chart.yaml"]) == [f"{repository}/charts/web"]


def test_the_chart_in_the_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no chart is named"):
        chart_here()
    monkeypatch.chdir("charts/web")
    assert local_charts([chart_here()]) == ["."]


@pytest.mark.parametrize(
    "name", ["charts/web", " charts/web ", "charts/gone", "oci://r.example/web", "packed", *NAMED_LIKE_ONE]
)
def test_what_may_be_a_chart(name: str) -> None:
    """Also a file that is empty or damaged: a broken download must not pass for something else."""
    Path("packed").write_bytes(b"\x1f\x8b\x08")
    Path("b.tar.gz").write_text("not found")
    check_is_chart(name)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("charts", "there is no Chart.yaml in it"),
        ("README.md", "it is not a chart"),
        ("c" * 5000, "File name too long"),
    ],
)
def test_what_is_no_chart(name: str, why: str) -> None:
    with pytest.raises(NotAChart, match=f"^{why}$"):
        check_is_chart(name)


def test_ci_values() -> None:
    """As chart-testing takes them."""
    folder = Path("charts/web/ci")
    assert ci_values("charts/web") == []
    folder.mkdir()
    for name in ("b-values.yaml", "a-values.yaml", "values.yaml", "c-values.yml", "-values.yaml"):
        (folder / name).touch()
    (folder / "d-values.yaml").mkdir()
    assert [path.name for path in ci_values(" charts/web")] == ["-values.yaml", "a-values.yaml", "b-values.yaml"]
    assert list(map(set_name, [None, folder / "a-values.yaml"])) == ["", "ci/a-values.yaml"]


# -- settings ------------------------------------------------------------------------------------------------------------


def request(**options: object) -> Request:
    """A request whose settings no file gives, unless an option names one."""
    settings = read(options, {}, chart="")
    return Request("lint", [], [], options=options, settings=settings, helm=Helm("never-run"))


def test_each_chart_may_have_settings_of_its_own(repository: Path) -> None:
    (repository / ".git").mkdir()
    Path("charts/web", FILE).write_text("mutable-tag: [of-web]\n")
    Path("charts", FILE).write_text("mutable-tag: [of-all]\n")
    asked = request()
    of = {chart: with_settings_of(chart, asked).settings for chart in ("charts/web", "charts/team/x y", "README.md")}
    assert [settings.mutable_tags for settings in of.values()] == [("of-web",), ("of-all",), ()]


def test_a_named_file_is_for_all_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("charts/web", FILE).write_text("mutable-tag: [of-web]\n")
    Path("named.yaml").write_text("mutable-tag: [named]\n")
    named = with_settings_of("charts/web", request(config="named.yaml"))
    assert named.settings.mutable_tags == ("named",)
    asked = request()
    monkeypatch.setenv("HELM_PIN_CONFIG", "named.yaml")
    assert with_settings_of("charts/web", asked).settings == asked.settings


def test_registries_are_those_of_the_whole_command() -> None:
    """The login is read once, and standard input too; how long to wait is for each chart's file to say."""
    Path("charts/web", FILE).write_text("registry-timeout: 3s\nmutable-tag: [x]\n")
    asked = request()
    own = with_settings_of("charts/web", asked).settings
    assert own.registry == asked.settings.registry._replace(timeout=3.0) and own.mutable_tags == ("x",)


def test_what_is_less_strict_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    for chart in ("charts/web", "charts/team/x y"):
        Path(chart, FILE).write_text("allow-unpinned: [team/web]\n")
    say_allowances(["charts/web", "README.md", "charts/docs", "charts/web", "charts/team/x y"], request())
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(set(lines)) == 2
    assert [f"{chart}/{FILE}" in line for chart, line in zip(("web", "x y"), lines, strict=True)] == [True, True]


def test_an_invalid_settings_file_ends_the_command() -> None:
    Path("charts/web", FILE).write_text("unknown: 1\n")
    with pytest.raises(UsageError):
        say_allowances(["charts/web"], request())
