"""The ways in which charts use values files: what changes in a file must be right in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from helmpin.arguments import Given
from helmpin.chart.stage import ChartSource, stage
from helmpin.errors import UsageError
from helmpin.helm import Helm
from helmpin.lint.opened import Opened, Target, opened
from helmpin.lint.usage import given_values, usages
from helmpin.lint.values_files import ValuesFile
from helmpin.request import Request
from tests.support.findings import SETTINGS

F, G, CI = Path("/v/f.yaml"), Path("/v/g.yaml"), Path("/v/ci.yaml")


def values(*names: str) -> list[Given]:
    """--values with each of these."""
    return [Given("--values", name, (f"--values={name}",)) for name in names]


SET = Given("--set", "a=1", ("--set", "a=1"))
NAMESPACE = Given("--namespace", "x", ("-n", "x"))


@pytest.mark.parametrize(
    ("flags", "ci", "sets"),
    [
        ([], None, [()]),
        ([], CI, [(CI,)]),
        ([NAMESPACE], None, [()]),
        ([SET], None, [(SET.words,), ()]),
        (values(str(F)), None, [(F,), ()]),
        (values(str(F), str(G)), None, [(F, G), (), (F,)]),
        (values(f"{F},{G}"), None, [(F, G), (), (F,)]),
        ([*values(str(F)), SET, *values(str(G))], CI, [(CI, F, SET.words, G), (CI,), (CI, F), (CI, F, G)]),
    ],
)
def test_what_is_given_and_less_of_it(
    flags: list[Given], ci: Path | None, sets: list[tuple[Path | tuple[str, ...], ...]]
) -> None:
    """Somebody may use the first files of a command without the later ones."""
    assert given_values(flags, ci) == sets


def make(folder: Path, **more: str) -> Path:
    """A chart with values, and these files, with `__` for `/`."""
    files = {"Chart.yaml": f"apiVersion: v2\nname: {folder.name}\nversion: 1.0.0\n", "values.yaml": "a: 1\n"}
    files |= {f"{name.replace('__', '/')}.yaml": text for name, text in more.items()}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def target(chart: Path | str, *flags: Given, ci: Sequence[Path] = ()) -> Target:
    request = Request(
        command="lint",
        positionals=[str(chart)],
        flags=list(flags),
        options={},
        settings=SETTINGS,
        helm=Helm("never-run"),
    )
    return Target(str(chart), request, ci)


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A chart `app` in the working directory, with a subchart `db` that has one itself."""
    monkeypatch.chdir(tmp_path)
    inner = "charts__db__charts__cache"
    folder = make(
        tmp_path / "app",
        charts__db__Chart="name: db\nversion: 1.0.0\n",
        charts__db__values="b: 1\n",
        **{f"{inner}__Chart": "name: cache\nversion: 1.0.0\n", f"{inner}__values": "c: 1\n"},
    )
    return folder.relative_to(tmp_path)


def names(parent: Path, files: list[Path], *flags: Given, ci: Sequence[Path] = ()) -> list[str]:
    given = target(parent, *flags, ci=ci)
    with ExitStack() as stack:
        staged = stack.enter_context(stage(ChartSource(given.chart), given.request.helm))
        one = Opened(given, staged, ValuesFile("--set", "", writable=False))
        return [each.name for each in usages([one], files, stack)]


def test_subcharts_that_read_a_file_are_tried_by_themselves(parent: Path) -> None:
    db, cache = (parent / path / "values.yaml" for path in ("charts/db", "charts/db/charts/cache"))
    assert names(parent, [(parent / "values.yaml").resolve()]) == ["app"]
    assert names(parent, [db.resolve()]) == ["app", "app/charts/db by itself"]
    assert names(parent, [cache.resolve()]) == [
        "app",
        "app/charts/db by itself",
        "app/charts/db/charts/cache by itself",
    ]


def test_the_files_of_a_usage(parent: Path) -> None:
    own = {path: (parent / path).resolve() for path in ("values.yaml", "charts/db/values.yaml")}
    given = make(Path("other")).resolve() / "values.yaml"
    files = [own["charts/db/values.yaml"], given]
    with ExitStack() as stack:
        whole, fewer, alone = usages(
            opened([target(parent, *values("other/values.yaml"), NAMESPACE)], stack), files, stack
        )
        assert alone.chart.name == "db"
    assert [whole.own[file] for file in own.values()] == list(own)
    assert (whole.given, fewer.given, alone.given) == ((given,), (), ())
    assert whole.flags == NAMESPACE.words
    assert alone.own[own["charts/db/values.yaml"]] == "values.yaml"
    assert [[each.reads(file) for file in files] for each in (whole, fewer, alone)] == [
        [True, True],
        [True, False],
        [True, False],
    ]
    assert not alone.reads(own["values.yaml"])


def test_the_names_of_usages(parent: Path) -> None:
    ci = parent / "ci/small-values.yaml"
    make(parent, **{"ci__small-values": "a: 2\n"})
    assert names(parent, [], *values("app/values.yaml"), SET, ci=[ci]) == [
        "app with values.yaml, --set",
        "app",
        "app with values.yaml",
        "app with small-values.yaml, values.yaml, --set",
        "app with small-values.yaml",
        "app with small-values.yaml, values.yaml",
    ]


def test_a_file_that_is_not_there_yet_is_used(tmp_path: Path) -> None:
    chart = make(tmp_path / "app")
    (chart / "values.yaml").unlink()
    with ExitStack() as stack:
        (one,) = opened([target(chart)], stack)
        (usage,) = usages([one], [], stack)
        (flags, own) = one.files(None)
    assert usage.reads((chart / "values.yaml").resolve())
    assert (flags.name, own.name, own.text) == ("--set", f"{chart}/values.yaml", "")


def test_the_files_of_a_chart_in_the_order_in_which_they_win(parent: Path) -> None:
    for name in ("f", "g", "ci"):
        Path(f"{name}.yaml").write_text(f"of: {name}\n")
    with ExitStack() as stack:
        (one,) = opened([target(parent, *values("f.yaml", "g.yaml"))], stack)
        files = one.files(Path("ci.yaml"))
    own = ["values.yaml", "charts/db/values.yaml", "charts/db/charts/cache/values.yaml"]
    assert [file.name for file in files] == ["--set", "g.yaml", "f.yaml", "ci.yaml", *(f"app/{path}" for path in own)]
    assert not files[0].writable and all(file.writable for file in files[1:])


def test_what_cannot_be_fixed(parent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken/Chart.yaml").mkdir(parents=True)
    Path("packed.tgz").touch()
    with ExitStack() as stack:
        charts = opened([target(each) for each in ("broken", "packed.tgz", "oci://r.example/x", parent)], stack)
        assert [one.target.chart for one in charts] == ["app"]
    err = capsys.readouterr().err
    assert err.startswith("Not fixed: broken: ") and "\nNot fixed: packed.tgz: it is packed\n" in err
    assert "\nNot fixed: oci://r.example/x: it is not on this machine\n" in err


@pytest.mark.parametrize("source", ["-", "https://x.example/v.yaml", "/dev/null"])
def test_values_that_no_file_holds(parent: Path, source: str) -> None:
    with ExitStack() as stack, pytest.raises(UsageError, match=f"^--fix cannot write to {source}$"):
        opened([target(parent, *values(source))], stack)
