"""Reading chart archives that mean harm, and writing what helm reads back."""

from __future__ import annotations

import gzip
import io
import itertools
import os
import re
import socket
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helmpin.chart import archive
from helmpin.chart.archive import Budget, File, pack, read_directory, unpack
from helmpin.errors import HelmFailed
from tests.support.budget import examples


def tgz(*members: tuple[str, bytes] | tarfile.TarInfo, pax: dict[str, str] | None = None) -> bytes:
    """A gzipped tar archive of these members and this global header, by Python's own tarfile."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", pax_headers=pax or {}) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return out.getvalue()


def block(name: str = "x/y", size: int = 0, pax: dict[str, str] | None = None, kind: bytes = tarfile.REGTYPE) -> bytes:
    """The header of one file, by itself."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.pax_headers = size, kind, pax or {}
    return info.tobuf(tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT)


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def names(packed: bytes) -> dict[str, bytes]:
    return {path: file.data for path, file in unpack(packed, Budget("x.tgz"), "x.tgz").items()}


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (tgz(("x/../../etc/passwd", b"")), "points outside"),
        (tgz(("x//etc/passwd", b"")), "points outside"),
        (tgz(("x\\..\\..\\y", b"")), "points outside"),
        (tgz(("x/c:/y", b"")), "points outside"),
        (tgz(("x/..y", b"")), "points outside"),
        (tgz(("x", b"")), "not in a directory"),
        (tgz(("x/.", b"")), "points outside"),
        (tgz(("Chart.yaml", b"")), "not in a directory"),
        (tgz(("values.yaml", b"1")), "'values.yaml' is not in a directory"),
        (tgz(special("x/y", tarfile.CHRTYPE)), "device"),
        (tgz(special("x/y", tarfile.BLKTYPE)), "device"),
        (tgz(special("x/y", tarfile.FIFOTYPE)), "device"),
        (tgz(("x/y", b"1"), ("x/./y", b"2")), "two different files named y"),
        (tgz(), "no files"),
        (tgz(special("x/y", tarfile.DIRTYPE)), "no files"),
        (b"", "no files|not a gzipped"),
        (b"name: x\n", "not a gzipped tar"),
        (gzip.compress(b"name: x\n"), "not a gzipped tar"),
        (tgz(("x/y", os.urandom(9999)))[:-2000], "damaged"),
        (tgz(("x/y", b"1"))[:-1], "damaged"),
        (gzip.compress(gzip.decompress(tgz(("x/y", b"1" * 512), ("x/z", b"2")))[:700]), "damaged"),
        (gzip.compress(gzip.decompress(tgz(("x/y", b"1" * 512)))[:1024] + b"rubbish" * 100), "damaged"),
        (gzip.compress(block(size=-512)), "negative size"),
        (gzip.compress(block(size=-513) + block()), "damaged|negative size"),
        (gzip.compress(block(size=1 << 86, kind=tarfile.GNUTYPE_LONGNAME)), "damaged"),
        (gzip.compress(block() + bytes(512) + block("x/z")), "damaged"),
        (tgz(("x/y", b"22"), pax={"size": "1"}), "global headers: size"),
        (tgz(special("x/y", tarfile.GNUTYPE_SPARSE)), "sparse"),
        *((gzip.compress(block(pax={"mtime": time})), "no valid time") for time in ("nan", "inf", "1e300", "-1e300")),
        (gzip.compress(block(pax={"GNU.sparse.map": "1", "GNU.sparse.size": "2"})), "damaged|sparse"),
    ],
    ids=map(str, itertools.count()),
)
def test_refused(packed: bytes, why: str) -> None:
    with pytest.raises(HelmFailed, match=r"archive cannot be used") as error:
        names(packed)
    assert error.value.where == ["x.tgz"]
    assert re.search(why, error.value.why)


def test_links_are_empty_files_as_helm_has_them() -> None:
    packed = tgz(("x/a", b"1"), special("x/b", tarfile.SYMTYPE, "/etc/passwd"), special("x/c", tarfile.LNKTYPE, "x/a"))
    assert names(packed) == {"a": b"1", "b": b"", "c": b""}


def test_what_git_archive_writes() -> None:
    assert names(tgz(("x/a", b"1"), pax={"comment": "0" * 40})) == {"a": b"1"}


def test_names_as_helm_has_them() -> None:
    packed = tgz(
        ("x/a", b"1"),
        ("y/./b//c", b"2"),
        ("x\\d\\e", b"3"),
        ("x/d\\b", b"6"),
        ("x/a", b"1"),
        ("../f", b"4"),
        ("x/" + "long/" * 60 + "g", b"5"),
    )
    assert names(packed) == {"a": b"1", "b/c": b"2", "d/e": b"3", "b": b"6", "f": b"4", "long/" * 60 + "g": b"5"}


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 1 << 20)
    bomb = tgz(("x/a", bytes(600_000)), ("x/b", bytes(600_000)))
    with pytest.raises(HelmFailed, match="larger than helm-pin reads"):
        names(bomb)
    zeros = gzip.compress(tarfile.TarInfo("x/a").tobuf() + bytes(64 << 20))
    assert names(zeros) == {"a": b""}


def test_too_many_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(archive, "MAX_FILES", 3)
    with pytest.raises(HelmFailed, match="larger than helm-pin reads"):
        names(tgz(*((f"x/{i}", b"") for i in range(4))))
    (tmp_path / "more").symlink_to(".")  # a directory that holds itself
    (tmp_path / "again").symlink_to(".")
    (tmp_path / "file").touch()
    with pytest.raises(HelmFailed, match=r"larger than helm-pin reads|cannot be read"):
        read_directory(tmp_path, Budget("x"), bool)


@settings(deadline=None, max_examples=examples(50))
@given(
    st.dictionaries(
        st.lists(
            st.text("ab.éñ 🚀", min_size=1, max_size=60).filter(lambda part: not part.startswith(".")),
            min_size=1,
            max_size=4,
        ).map("/".join),
        st.builds(File, st.binary(max_size=2000), st.integers(0, 1 << 33)),
        min_size=1,
        max_size=8,
    ),
    st.integers(0, 9),
)
def test_what_is_packed_comes_back(files: dict[str, File], level: int) -> None:
    assert unpack(b"".join(pack(files, level)), Budget("x"), "x") == files


def test_directory(tmp_path: Path) -> None:
    chart, outside = tmp_path / "chart", tmp_path / "outside"
    (chart / "templates/tests").mkdir(parents=True)
    outside.mkdir()
    for path in (
        "Chart.yaml",
        "z.txt",
        "secret.txt",
        "templates/a.yaml",
        "templates/.hidden",
        "templates/tests/t.yaml",
        "../outside/linked.yaml",
    ):
        (chart / path).write_text(path)
    (chart / ".helmignore").write_text("secret*\n*.pipe\n")
    (chart / "templates/link.yaml").symlink_to(outside / "linked.yaml")
    (chart / "files").symlink_to(outside)
    os.mkfifo(chart / "ignored.pipe")
    found = read_directory(chart, Budget("x"), bool)
    assert list(found) == [
        ".helmignore",
        "Chart.yaml",
        "files/linked.yaml",
        "templates/a.yaml",
        "templates/link.yaml",
        "templates/tests/t.yaml",
        "z.txt",
    ]
    assert found["templates/link.yaml"].data == b"../outside/linked.yaml"


def test_directory_that_cannot_be_read(tmp_path: Path) -> None:
    def why() -> str:
        with pytest.raises(HelmFailed) as error:
            read_directory(tmp_path, Budget("x"), bool)
        return f"{error.value.where[0].removeprefix(str(tmp_path))}: {error.value.why}"

    (tmp_path / "broken").symlink_to("nowhere")
    assert why() == "/broken: No such file or directory"
    (tmp_path / "broken").unlink()
    os.mkfifo(tmp_path / "pipe")
    assert why() == "/pipe: it is a device, a pipe or a socket, not a file"
    (tmp_path / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        assert why() == "/s: it is a device, a pipe or a socket, not a file"
    (tmp_path / "s").unlink()
    (tmp_path / "..data").touch()
    assert why().startswith("/..data: a chart archive cannot hold names")
    (tmp_path / "..data").unlink()
    (tmp_path / ".helmignore").write_text("a/**\n")
    assert why() == "/.helmignore: double-star (**) syntax is not supported"
