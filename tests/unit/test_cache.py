"""Files that make the next run faster: private, whole, and never an error."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from helmpin import cache


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HELM_CACHE_HOME", str(tmp_path / "helm"))
    return tmp_path / "helm"


def test_it_is_in_helms_cache_and_private(home: Path) -> None:
    file = cache.folder() / "deep" / "x.json"
    cache.write(file, "é \udcff")
    assert file.is_relative_to(home)
    assert file.read_bytes() == "é ".encode() + b"\xff"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    cache.write(file, "again")
    assert file.read_text() == "again"
    assert list(file.parent.iterdir()) == [file]


def test_where_nothing_can_be_written_nothing_happens(home: Path) -> None:
    home.write_text("a file")
    cache.write(cache.folder() / "x.json", "text")
    assert home.read_text() == "a file"


def test_what_cannot_be_replaced_leaves_nothing_beside_it() -> None:
    file = cache.folder() / "x.json"
    (file / "inside").mkdir(parents=True)
    cache.write(file, "text")
    assert list(file.parent.iterdir()) == [file]


def test_writers_at_once_leave_one_whole_text() -> None:
    file = cache.folder() / "x.json"
    texts = [str(i) * 100_000 for i in range(8)]
    writers = [threading.Thread(target=cache.write, args=(file, text)) for text in texts]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert file.read_text() in texts
    assert list(file.parent.iterdir()) == [file]


def test_what_was_written_is_read() -> None:
    file = cache.folder() / "x.json"
    assert cache.read(file) == ""
    cache.write(file, "é \udcff")
    assert cache.read(file) == "é \udcff"


def test_what_is_no_plain_file_or_too_large_is_not_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    os.mkfifo(home / "pipe")
    (home / "zero").symlink_to("/dev/zero")
    (home / "large").write_text("12345")
    monkeypatch.setattr(cache, "LARGEST", 5)
    assert cache.read(home / "large") == "12345"
    monkeypatch.setattr(cache, "LARGEST", 4)
    assert [cache.read(home / name) for name in ("pipe", "zero", "large", "")] == ["", "", "", ""]
