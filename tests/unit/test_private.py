"""Temporary folders go when they are no longer needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from helmpin import lifeline
from helmpin.private import PREFIX, Folder, sweep
from tests.support.workstation import CHECKOUT

FULL = """\
import os, resource, sys
from helmpin import private
folder = private.Folder()
os.makedirs(folder.path / "chart" / "charts" / "inner")
os.symlink("/nowhere", folder.path / "chart" / "a link")
os.symlink("/etc", folder.path / "chart" / "a link to a folder")
for place in ("chart", "chart/charts/inner"):
    (folder.path / place / "values.yaml").write_text("a: b")
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
held = []
try:
    while True:
        held.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    folder.remove()
os._exit(0)
"""


def test_a_folder_that_is_swept_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the same place."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    opened, real = list[str](), os.open

    def swept_once(path: str | Path, *how: int) -> int:
        opened.append(str(path))
        if len(opened) == 1:
            Path(path).rmdir()
        return real(path, *how)

    monkeypatch.setattr(os, "open", swept_once)
    with Folder() as folder:
        assert folder.parent == tmp_path and str(folder) == opened[1] != opened[0]


def test_a_sweep_goes_on_after_what_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for name in "abcd":
        (tmp_path / f"{PREFIX}{name}").mkdir()
    (tmp_path / f"{PREFIX}b0").write_text("x")
    (tmp_path / f"{PREFIX}c0").symlink_to("/nowhere")
    sweep()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{PREFIX}b0", f"{PREFIX}c0"]


def test_a_folder_goes_even_where_no_more_files_can_be_opened(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL],
        cwd=CHECKOUT,
        env={"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
    assert Path("/etc").is_dir()


def test_a_folder_is_known_to_what_removes_it_before_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is killed in between leaves nothing."""
    told: list[bool] = []
    monkeypatch.setattr(lifeline, "remove_if_killed", lambda folder: told.append(folder.exists()))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with Folder() as folder:
        assert told == [False] and folder.exists()
