"""A file that cannot be used is named as the user named it, with what the system says and what to do; nothing of Python's."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from helmpin import cli, config
from helmpin.commands import lock, verify
from helmpin.errors import HelmPinError, UsageError
from helmpin.files import cannot_read, read_hint, reason, write_hint
from helmpin.helm import Helm
from helmpin.lock.source import read_file
from helmpin.request import understand
from helmpin.save import save

FORBIDDEN = PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/home/me/.helm-pin.lock.yaml.29039")


def test_what_the_system_says() -> None:
    error = cannot_read("the lock file", "lock.yaml", FORBIDDEN)
    assert (error.what, error.where, error.why) == ("cannot read the lock file", ["lock.yaml"], "Permission denied")
    assert error.hint == "let this account read it, or name another file"
    assert reason(FORBIDDEN) == "Permission denied"
    assert write_hint(FORBIDDEN) == "let this account write to it and its folder, or name another file"
    assert write_hint(FileNotFoundError(errno.ENOENT, "No such file or directory")).startswith("make its folder first")


def test_a_link_to_nothing_says_so(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").symlink_to("../LICENSE")
    with pytest.raises(FileNotFoundError) as failed:
        (tmp_path / "LICENSE").read_bytes()
    assert read_hint(failed.value).startswith("it is a link to ../LICENSE, which does not exist")
    failed.value.filename = str(tmp_path / "none")
    assert read_hint(failed.value) == "check the path"


@pytest.mark.parametrize("kind", ["missing", "folder", "bytes"])
@pytest.mark.parametrize("use", ["lock", "--lock", "manifest", "settings"])
def test_real_files(kind: str, use: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Helm, "flags", lambda *_: {})
    helm = Helm("/nonexistent/helm")
    path = tmp_path / ".helm-pin.yaml"
    if kind == "folder":
        path.mkdir()
    elif kind == "bytes":
        path.write_bytes(b"a: \xff\n")
    if (kind, use) == ("missing", "settings"):
        return  # no file is no error
    with pytest.raises(UsageError) as caught:
        {
            "lock": lambda: lock.run(understand("lock", ["./chart", "--check", "--file", str(path)], helm)),
            "--lock": lambda: read_file(str(path)),
            "manifest": lambda: verify.run(understand("verify", ["--manifest", str(path)], helm)),
            "settings": lambda: config.read({}, {}, tmp_path),
        }[use]()
    message = caught.value.message()
    assert str(path) in message and "  next  " in message
    assert "Errno" not in message and "codec" not in message


def test_a_lock_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    helm = Helm("/nonexistent/helm")
    monkeypatch.setattr(Helm, "flags", lambda *_: {})
    for read in (
        lambda: read_file("-"),
        lambda: lock.run(understand("lock", ["web", "./chart", "--file", "-"], helm)),
        lambda: verify.run(understand("verify", ["web", "--lock", "-"], helm)),
    ):
        with pytest.raises(UsageError, match="a lock must be a file: - is not accepted"):
            read()
    assert not [*tmp_path.iterdir()]


def test_a_lock_that_cannot_be_written(tmp_path: Path) -> None:
    for name, why in (("none/lock.yaml", "No such file or directory"), ("file/lock.yaml", "Not a directory")):
        (tmp_path / "file").touch()
        with pytest.raises(HelmPinError) as caught:
            save("the lock file", {str(tmp_path / name): "text"})
        assert (caught.value.where, caught.value.why) == ([str(tmp_path / name)], why)
        assert caught.value.exit_status == 1


@pytest.mark.parametrize("name", ["a" * 300, b"a" * 300])
def test_a_name_that_is_too_long_is_no_internal_error(name: str | bytes) -> None:
    with pytest.raises(OSError, match="too long") as failed:
        os.stat(name)  # noqa: PTH116
    error = cli.unforeseen(failed.value)
    assert error.message().startswith("a file or folder cannot be used\n  at    aaa") and error.exit_status == 1
