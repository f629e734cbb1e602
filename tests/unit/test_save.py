"""Files of the user that are replaced: whole, all or none, and with what belongs to them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from helmpin.errors import OperationFailed
from helmpin.save import alone, is_stream, save


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_mode_and_links_stay(tmp_path: Path) -> None:
    (real := tmp_path / "real.yaml").write_text("a: 1\n")
    real.chmod(0o640)
    (link := tmp_path / "link.yaml").symlink_to(real)
    save("values", {str(link): "a: 2\udcff\n"})
    assert link.is_symlink() and real.read_bytes() == b"a: 2\xff\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert names(tmp_path) == ["link.yaml", "real.yaml"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_stays(tmp_path: Path) -> None:
    (path := tmp_path / "values.yaml").write_text("a: 1\n")
    os.chown(path, 1234, 5678)
    save("values", {str(path): "a: 2\n"})
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 5678)


def test_a_new_file_is_as_others(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    save("values", {str(tmp_path / "values.yaml"): "a: 1\n"})
    assert (tmp_path / "values.yaml").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_link_that_leads_to_itself_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OperationFailed) as failed:
        save("values", {str(tmp_path / "loop"): "a: 2\n"})
    assert failed.value.hint == "remove the link that leads back to where it is"


def test_a_file_that_cannot_be_written_leaves_all_as_they_were(tmp_path: Path) -> None:
    (first := tmp_path / "first.yaml").write_text("a: 1\n")
    with pytest.raises(OperationFailed) as failed:
        save("values", {str(first): "a: 2\n", str(tmp_path / "away/values.yaml"): "b: 2\n"})
    assert failed.value.where == [str(tmp_path / "away/values.yaml")] and "no file was changed" in failed.value.why
    assert first.read_text() == "a: 1\n" and names(tmp_path) == ["first.yaml"]


def test_a_file_that_may_not_be_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though a rename would need the folder's permission alone. (Root may write anything.)"""
    (path := tmp_path / "values.yaml").write_text("a: 1\n")
    path.chmod(0o444)
    if os.geteuid() == 0:
        monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OperationFailed) as failed:
        save("values", {str(path): "a: 2\n"})
    assert failed.value.why.startswith("Permission denied") and path.read_text() == "a: 1\n"


def test_what_was_written_is_said(tmp_path: Path) -> None:
    """The second cannot be renamed over a folder."""
    (first := tmp_path / "first.yaml").write_text("a: 1\n")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OperationFailed) as failed:
        save("values", {str(first): "a: 2\n", str(tmp_path / "folder"): "b: 2\n"})
    assert f"written before: {first}" in failed.value.why
    assert first.read_text() == "a: 2\n" and names(tmp_path) == ["first.yaml", "folder"]


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    """A device, a pipe, a descriptor of this process, whatever links to them."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    (tmp_path / "file").touch()
    streams = [tmp_path / "pipe", tmp_path / "link", "/dev/null", "/dev/stdout", "/dev/../dev/fd/1", "/proc/self/fd/1"]
    assert all(is_stream(str(each)) for each in streams)
    files = [tmp_path / "file", tmp_path / "none", tmp_path, "/dev/shm/none"]
    assert not any(is_stream(str(each)) for each in files)


def test_of_two_runs_each_waits_for_the_other(tmp_path: Path) -> None:
    """Each reads the file, and writes it with a line more: no line is lost."""
    path = tmp_path / "lines"
    path.touch()
    code = (
        "import pathlib, sys, time; from helmpin.save import alone, save; path = pathlib.Path(sys.argv[1])\n"
        "for _ in range(10):\n"
        "    with alone(str(path)):\n"
        "        text = path.read_text(); time.sleep(0.002); save('lines', {str(path): text + 'line\\n'})\n"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(4)]
    assert [run.wait() for run in runs] == [0] * 4
    assert path.read_text() == "line\n" * 40


@pytest.mark.parametrize("name", ["none/file", "file/file"])
def test_where_nothing_can_be_locked_the_block_runs(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KeyError), alone(f"{tmp_path}/{name}"):
        raise KeyError
