"""What scripts/binaries, the tests and the demo say before they build programs, and while they do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts.devtools import binaries
from scripts.devtools.binaries import RECIPES, WHEEL, Job, Recipe, announce, binary, rounded, time_left


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with an empty cache and without any program; its cache."""
    monkeypatch.setenv("HELM_PIN_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setattr(binaries, "jobs", {})
    return tmp_path


def test_everything_is_said_before_anything_begins(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    announce(["kubectl", "etcd", "kube-apiserver"])
    first, *rows, last = capsys.readouterr().err.splitlines()
    assert first.startswith(f"[helm-pin] to be made once, in {bare} (")
    assert " GB are free there; Go puts" in first
    assert [row.split()[1:4] for row in rows[:-1]] == [
        [RECIPES["kubectl"].file, "10", "s"],
        [RECIPES["etcd"].file, "60", "s"],
        [RECIPES["kube-apiserver"].file, "7", "min"],
    ]
    assert rows[0].endswith(WHEEL)
    assert rows[1].endswith("Go, and its module proxy")
    assert " is not here: it is fetched from " in rows[-1]
    assert last.startswith("[helm-pin] about 7 min on two cores; ")
    announce(["etcd"])
    assert capsys.readouterr().err == "", "once is enough"


def test_what_is_there_is_not_announced(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bare / "bin").mkdir()
    (bare / "bin" / RECIPES["crane"].file).touch()
    announce(["crane"])
    assert capsys.readouterr().err == ""


def test_a_program_is_announced_made_and_done(
    bare: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(target: Path) -> None:
        target.write_text("x")

    monkeypatch.setitem(RECIPES, "made", Recipe("made-1", "20 s", build))
    assert binary("made") == bare / "bin/made-1"
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == ["to", "made-1", "about", "made-1"]
    assert binaries.jobs == {}


def test_while_it_runs_the_time_left_is_said(
    bare: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "EVERY", 0.05)
    binaries.jobs["x"] = Job(600, in_turn=True)
    binaries.run([sys.executable, "-c", "import time; time.sleep(1)"], bare)
    assert "s; about 10 min left" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("jobs", "seconds"),
    [
        ([], 0),
        ([Job(60, False)], 60),
        ([Job(60, False), Job(60, False), Job(60, False)], 90),
        ([Job(420, True), Job(180, True), Job(60, False)], 600),
        ([Job(60, False, started=70)], 30),
        ([Job(60, False, started=0)], 6),
    ],
)
def test_the_time_left(jobs: list[Job], seconds: float) -> None:
    assert time_left(jobs, now=100) == seconds


@pytest.mark.parametrize(("seconds", "text"), [(1, "10 s"), (44, "40 s"), (89, "90 s"), (91, "2 min"), (860, "14 min")])
def test_a_duration_for_people(seconds: float, text: str) -> None:
    assert rounded(seconds) == text


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_how_long_it_takes(name: str) -> None:
    assert RECIPES[name].seconds >= 10
