"""A chart that never changes: what adds to it gives another."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from helmpin.chart.archive import Budget, File, pack
from helmpin.chart.stage import Chart, ChartSource
from helmpin.chart.tree import Tree
from helmpin.errors import HelmFailed

METADATA = "apiVersion: v2\nname: app\nversion: 1.0.0\nappVersion: 7\n"


def chart(folder: Path, **more: str | bytes) -> Chart:
    """A chart with a template, values, a CRD, a packed dependency, and these files, with `__` for `/` and `_` for `.`."""
    db = {
        "Chart.yaml": "name: db\nversion: 2.0.0\n",
        "templates/db.yaml": "db",
        "crds/db.json": "{}",
        "note.txt": "db's",
    }
    files: dict[str, str | bytes] = {
        "Chart.yaml": METADATA,
        "values.yaml": "a: b\n",
        "templates/x.yaml": "x",
        "templates/_helpers.tpl": "h",
        "crds/x.yaml": "kind: CustomResourceDefinition\n",
        "crds/README.md": "read me",
        "files/templates/x.tpl": "{{ now }}",
        "charts/db-2.0.0.tgz": b"".join(pack({path: File(text.encode(), 0) for path, text in db.items()}, 0)),
        **{name.replace("__", "/").replace("_", "."): text for name, text in more.items()},
    }
    data = {path: File(text if isinstance(text, bytes) else text.encode(), 0) for path, text in files.items()}
    return Chart(Tree(data, Budget("app")), folder)


def names(made: Chart) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(made.archive().read_bytes())) as archive:
        return archive.getnames()


def test_what_a_chart_says_of_itself(tmp_path: Path) -> None:
    made = chart(tmp_path)
    assert (made.name, made.version) == ("app", "1.0.0")
    bare = chart(tmp_path, Chart_yaml="annotations: {a: true}\n")
    assert (bare.name, bare.version) == ("", "")


def test_files_by_what_they_are(tmp_path: Path) -> None:
    made = chart(tmp_path)
    db = "charts/db-2.0.0.tgz/"
    assert made.template_files() == {
        "templates/x.yaml": "x",
        "templates/_helpers.tpl": "h",
        f"{db}templates/db.yaml": "db",
    }
    assert made.crd_files() == {"crds/x.yaml": "kind: CustomResourceDefinition\n", f"{db}crds/db.json": "{}"}
    others = list(made.other_files())
    crds = made.crd_files().values()
    assert sorted(others) == sorted(
        [METADATA, "a: b\n", "{{ now }}", "name: db\nversion: 2.0.0\n", "db's", "read me", *crds]
    )


def test_changes_give_another_chart(tmp_path: Path) -> None:
    made = chart(tmp_path)
    db = "charts/db-2.0.0.tgz/templates/db.yaml"
    other = made.with_files({"templates/x.yaml": "y", "templates/new.yaml": "n", db: "d"})
    assert made.template_files()["templates/x.yaml"] == "x" and made.template_files()[db] == "db"
    helpers = {"templates/_helpers.tpl": "h"}
    assert other.template_files() == {"templates/x.yaml": "y", "templates/new.yaml": "n", db: "d", **helpers}
    assert made.with_files({}) is made


def test_bytes_that_are_no_text_stay(tmp_path: Path) -> None:
    made = chart(tmp_path, templates__x_yaml=b"\xff: {{ a }}")
    again = made.with_files(dict(made.template_files()))
    assert again.template_files() == made.template_files()
    with tarfile.open(fileobj=io.BytesIO(again.archive().read_bytes())) as archive:
        file = archive.extractfile("chart/templates/x.yaml") or archive.extractfile("app/templates/x.yaml")
        assert file is not None and file.read() == b"\xff: {{ a }}"


def test_annotations_are_added_to_the_text(tmp_path: Path) -> None:
    made = chart(tmp_path, Chart_yaml=f"# first\n{METADATA}")
    annotated = made.annotated("helm-pin/digests", '{"a": "é"}')
    assert (
        annotated.metadata["annotations"] == {"helm-pin/digests": '{"a": "é"}'} and "annotations" not in made.metadata
    )
    assert annotated.annotated("helm-pin/digests", "{}").metadata["annotations"] == {"helm-pin/digests": "{}"}


def test_a_chart_yaml_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HelmFailed, match="cannot be annotated"):
        chart(tmp_path, Chart_yaml=b"name: \xff\n").annotated("a", "b")


def test_the_archive_is_written_once_and_for_this_user(tmp_path: Path) -> None:
    made = chart(tmp_path)
    first = made.archive()
    written = first.read_bytes()
    assert made.archive() == first and first.stat().st_mode & 0o777 == 0o600
    other = made.with_files({"templates/x.yaml": "y"})
    assert other.archive() != first and first.read_bytes() == written
    assert sorted(names(made)) == sorted(names(other))


def test_a_source_is_shown_without_its_flags() -> None:
    assert repr(ChartSource("app", ("--password", "secret"))) == "ChartSource('app')"
