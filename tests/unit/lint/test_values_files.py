"""Which values files a chart is rendered with, which of them wins, and what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helmpin.chart.archive import File, pack
from helmpin.chart.setargs import ValuePath
from helmpin.chart.stage import ChartSource, stage
from helmpin.helm import Helm
from helmpin.lint.values_files import ValuesFile, own_values_files, read, values_files
from helmpin.render.values import ValuesInput
from tests.support.plans import chart

TAG = ("image", "tag")


@pytest.mark.parametrize(
    ("prefix", "path", "inner"),
    [
        ((), TAG, TAG),
        (("db",), ("db", *TAG), TAG),
        (("db",), TAG, None),
        (("db",), ("dbs", *TAG), None),
        (("db",), ("global", *TAG), ("global", *TAG)),
        (("a", "b"), ("a", *TAG), None),
        (("a", "b"), ("a", "b", "l", 0), ("l", 0)),
    ],
)
def test_the_path_in_a_file(prefix: ValuePath, path: ValuePath, inner: ValuePath | None) -> None:
    assert ValuesFile("v", "", prefix).inner(path) == inner


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("image:\n  tag: latest # moves\n", "latest"),
        ("image:\r\n  tag: latest\r\n", "latest"),
        ("\ufeffimage: {tag: latest}\n", "latest"),
        ("image: {tag: 1.10}\n", "1.1"),
        ('image: {tag: "1.10"}\n', "1.10"),
        ("image: {tag: 010}\n", "8"),
        ("image: {tag: 2024-01-02}\n", "2024-01-02"),
        ("image: {tag: on}\n", "true"),
        ("image: {tag: |-\n  latest}\n", ""),
        ("image:\n  tag: |\n    latest\n", "latest\n"),
        ("image: {tag: a}\nimage: {tag: b}\n", "b"),
        ("x: &x {tag: a}\nimage: *x\n", "a"),
        ("x: &x {tag: a}\nimage:\n  <<: *x\n", "a"),
        ("image: {tag: ~}\n", ""),
        ("image: {}\n", ""),
        ("image: latest\n", ""),
        ("image: {tag: a}\n---\nimage: {tag: b}\n", "a"),
        ("", ""),
        ("a: [\n", ""),
    ],
)
def test_the_text_at_a_path(text: str, held: str) -> None:
    """As a template prints it."""
    assert ValuesFile("v", text).held_text(TAG) == held


@pytest.mark.parametrize(
    ("text", "path", "is_unclear"),
    [
        ("image: {tag: a}\n---\nimage: {}\n", TAG, True),
        ("x: 1\n---\nimage: {tag: b}\n", TAG, True),
        ("image: {tag: a}\n---\nx: 1\n", TAG, False),
        ("image: {tag: a}\n---\n# nothing\n", TAG, False),
        ("image: {tag: a}\n---\n- image\n", TAG, False),
        ("image: {tag: a}\n", TAG, False),
        ("a: 1\n---\nb: 2\n", (), False),
    ],
)
def test_a_later_document_may_give_the_value_too(text: str, path: ValuePath, is_unclear: bool) -> None:
    """Helm 4 merges the documents of a file, and Helm 3 reads the first."""
    assert ValuesFile("v", text).is_unclear(path) is is_unclear


PARTS = {
    "values.yaml": "own: 1\n",
    "charts/db/Chart.yaml": "name: db\n",
    "charts/db/values.yaml": "of: db\n",
    "charts/db/charts/x/Chart.yaml": "name: x\n",
    "charts/db/charts/x/values.yaml": "of: x\n",
}


def shown(files: list[ValuesFile]) -> list[tuple[Any, ...]]:
    return [(file.name, file.prefix, file.writable, file.is_file) for file in files]


def test_the_files_of_a_chart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = chart(tmp_path, PARTS)
    inner = {"charts/db/values.yaml": ("db",), "charts/db/charts/x/values.yaml": ("db", "x")}
    outside = own_values_files("app", made)
    assert shown(outside) == [(f"app/{path}", inner.get(path, ()), False, True) for path in ("values.yaml", *inner)]
    (tmp_path / "app").mkdir()
    assert shown(own_values_files("app/", made)) == [(*file[:2], True, True) for file in shown(outside)]
    monkeypatch.chdir(tmp_path / "app")
    assert [file.name for file in own_values_files(".", made)] == ["values.yaml", *inner]


def test_a_file_in_an_archive_is_not_written(tmp_path: Path) -> None:
    data = {"Chart.yaml": b"name: db\nversion: 1.0.0\n", "values.yaml": b"image: a\n"}
    archive = b"".join(pack({path: File(text, 0) for path, text in data.items()}, 0))
    (tmp_path / "charts").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: app\nversion: 1.0.0\n")
    (tmp_path / "charts/db-1.0.0.tgz").write_bytes(archive)
    with stage(ChartSource(str(tmp_path)), Helm("never-run")) as staged:
        (file,) = own_values_files(str(tmp_path), staged)
    assert (file.name, file.prefix, file.writable) == (f"{tmp_path}/charts/db-1.0.0.tgz/values.yaml", ("db",), False)


def test_what_is_given_last_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.yaml", "b.yaml", "ci.yaml", "copy-1", "copy-2", "copy-3", "copy-4"):
        Path(name).write_text(f"of: {name}\n")
    values = ValuesInput(
        arguments=("--values=copy-1", "--set-file=x=copy-2", "--values=copy-3", "--values=copy-4"),
        originals=(("copy-1", "./a.yaml"), ("copy-2", "text.txt"), ("copy-3", "-"), ("copy-4", "https://x.example/v")),
    )
    files = values_files("app", chart(tmp_path, PARTS), values, Path("ci.yaml"))
    assert shown(files[:4]) == [
        ("https://x.example/v", (), False, False),
        ("standard input", (), False, False),
        ("a.yaml", (), True, True),
        ("ci.yaml", (), True, True),
    ]
    assert [file.text for file in files[:5]] == [
        f"of: {name}\n" for name in ("copy-4", "copy-3", "copy-1", "ci.yaml")
    ] + ["own: 1\n"]


def test_every_byte_is_kept(tmp_path: Path) -> None:
    data = b"a: \xff\r\nb: \xc3\xa9\r\n"
    (tmp_path / "v.yaml").write_bytes(data)
    assert read(str(tmp_path / "v.yaml")).text.encode(errors="surrogateescape") == data
