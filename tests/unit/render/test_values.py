"""The user's values are read once, in their order, into files that only this user can read."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helmpin.arguments import Given
from helmpin.errors import HelmFailed, HelmStopped, UsageError
from helmpin.helm import Helm
from helmpin.render.values import ValuesInput, read_values
from tests.support.budget import examples

NO_HELM = Helm("never-run")
"""Whatever has no scheme is read without helm."""


def values(*sources: str) -> list[Given]:
    return [Given("--values", source, ("-f", source)) for source in sources]


def set_file(text: str) -> list[Given]:
    return [Given("--set-file", text, ("--set-file", text))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "copies"
    made.mkdir()
    return made


def read(flags: Sequence[Given], folder: Path) -> ValuesInput:
    return read_values(flags, NO_HELM, folder)


def contents(found: ValuesInput) -> list[bytes]:
    return [Path(copy).read_bytes() for copy, _ in found.originals]


def test_files_keep_their_bytes_and_their_order(tmp_path: Path, folder: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(f"{name}: é\r\n".encode() + b"\xff\0")
    flags = [
        *values(f"{tmp_path}/c,{tmp_path}/a"),
        Given("--set", "x=y", ("--set", "x=y")),
        Given("--timeout", "1s", ("--timeout=1s",)),
        *values(f"{tmp_path}/b"),
    ]
    found = read(flags, folder)
    copies = [copy for copy, _ in found.originals]
    assert found.arguments == (
        f"--values={copies[0]}",
        f"--values={copies[1]}",
        "--set",
        "x=y",
        f"--values={copies[2]}",
    )
    assert [source for _, source in found.originals] == [f"{tmp_path}/{name}" for name in "cab"]
    assert contents(found) == [f"{name}: é\r\n".encode() + b"\xff\0" for name in "cab"]


def test_the_copies_are_private(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "a").write_text("password: x\n")
    before = os.umask(0)
    try:
        found = read(values(f"{tmp_path}/a"), folder)
    finally:
        os.umask(before)
    assert [Path(copy).stat().st_mode & 0o777 for copy, _ in found.originals] == [0o600]
    assert all(Path(copy).parent == folder for copy, _ in found.originals)


def test_a_pipe_is_read_once_though_helm_gets_it_often(tmp_path: Path, folder: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("a: b\n",))
    writer.start()
    found = read(values(str(pipe)), folder)
    writer.join()
    assert contents(found) == [b"a: b\n"]


def test_a_process_substitution(folder: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"a: b\n")
    os.close(writing)
    assert contents(read(values(f"/dev/fd/{reading}"), folder)) == [b"a: b\n"]
    os.close(reading)


@pytest.mark.parametrize("name", ["-", " - "])
def test_standard_input_is_read_where_it_is_named(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a: \xff\n")))
    found = read([*values(name), *values("-")], folder)
    assert contents(found) == [b"a: \xff\n", b""], "the second time there is nothing left, as for helm"


def test_nothing_to_read(folder: Path) -> None:
    assert read([Given("--set", "a=b", ("--set=a=b",))], folder) == ValuesInput(("--set=a=b",))
    assert read([Given("--values", "", ("--values=",))], folder) == ValuesInput()


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        ("a.yaml", ["a.yaml"]),
        ("a.yaml,b.yaml", ["a.yaml", "b.yaml"]),
        ('"a,b.yaml"', ["a,b.yaml"]),
        ('"a""b.yaml",c', ['a"b.yaml', "c"]),
        ("a b.yaml", ["a b.yaml"]),
    ],
)
def test_one_flag_is_a_list_of_comma_separated_values(
    sources: str, names: list[str], tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in names:
        (tmp_path / name).write_text(name)
    found = read(values(sources), folder)
    assert contents(found) == [name.encode() for name in names]


@pytest.mark.parametrize("sources", ['"a', '"a"b', 'a"b', '"a" ,b'])
def test_what_helm_cannot_read_as_such_a_list_is_a_usage_error(sources: str, folder: Path) -> None:
    with pytest.raises(UsageError, match="--values"):
        read(values(sources), folder)


@pytest.mark.parametrize("name", ["missing.yaml", ".", "missing/x.yaml"])
def test_a_source_that_cannot_be_read(name: str, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HelmFailed) as failed:
        read(values(name), folder)
    assert failed.value.where == [f"-f {name}"] and failed.value.why


@pytest.mark.parametrize("name", ["a,b", 'a"b', "{a}", "a\\b", " ", "a=b"])
def test_a_folder_for_temporary_files_with_any_name(name: str, tmp_path: Path) -> None:
    """helm reads the names of the copies by the same rules as those of the user's files."""
    folder, source = tmp_path / name, tmp_path / "source"
    folder.mkdir()
    source.write_text("x")
    found = read([*values(str(source)), *set_file(f"k={{{source},{source}}}")], folder)
    by_values, by_set_file = found.arguments
    copies = [copy for copy, _ in found.originals]
    again = read(
        [*values(by_values.removeprefix("--values=")), *set_file(by_set_file.removeprefix("--set-file="))], folder
    )
    assert [source for _, source in again.originals] == copies


# -- --set-file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sources", "shape"),
    [
        ("a=x", ["x"], "a=@"),
        ("a.b[0]=x,c=y", ["x", "y"], "a.b[0]=@,c=@"),
        ("a={x,y}", ["x", "y"], "a={@,@}"),
        ("a={x,y},b=z", ["x", "y", "z"], "a={@,@},b=@"),
        ("a={x}b=z", ["x", "z"], "a={@}b=@"),
        (r"a=x\,y", ["x,y"], "a=@"),
        (r"a={x\},y\,z}", ["x}", "y,z"], "a={@,@}"),
        (r"a\=b=x", ["x"], r"a\=b=@"),
        (r"a\.b\,c=x", ["x"], r"a\.b\,c=@"),
        ("a=x=y", ["x=y"], "a=@"),
        ("a=x}", ["x}"], "a=@"),
        ("a=", [], "a="),
        ("a={}", [], "a={}"),
        ("a={x", ["x"], "a={@"),
        ("a", [], "a"),
        ("", [], ""),
        ("a=x,", ["x"], "a=@,"),
    ],
)
def test_files_in_set_file(
    text: str, sources: list[str], shape: str, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for source in sources:
        (tmp_path / source).write_bytes(f"in {source}\n".encode())
    found = read(set_file(text), folder)
    assert contents(found) == [f"in {source}\n".encode() for source in sources]
    (argument,) = found.arguments
    for copy, _ in found.originals:
        argument = argument.replace(copy, "@", 1)
    assert argument == f"--set-file={shape}"


NAMES = st.text("ab,=}{\\. ", min_size=1, max_size=4).map(lambda name: f"f{name}")


def escaped(name: str) -> str:
    return "".join("\\" + c if c in "\\,{}" else c for c in name)


@given(st.lists(st.lists(NAMES, min_size=1, max_size=3), min_size=1, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(40))
def test_whatever_the_files_are_called(monkeypatch: pytest.MonkeyPatch, groups: list[list[str]]) -> None:
    with TemporaryDirectory() as home, TemporaryDirectory() as folder:
        monkeypatch.chdir(home)
        for name in (name for group in groups for name in group):
            Path(name).write_bytes(name.encode())
        text = ",".join(f"k{i}={{{','.join(map(escaped, group))}}}" for i, group in enumerate(groups))
        found = read(set_file(text), Path(folder))
        assert contents(found) == [name.encode() for group in groups for name in group]


# -- messages -----------------------------------------------------------------------------------------------------------


def test_helms_words_name_the_users_own_sources(tmp_path: Path, folder: Path) -> None:
    for i in range(12):
        (tmp_path / f"v{i}").touch()
    found = read(values(*(f"{tmp_path}/v{i}" for i in range(12))), folder)
    copy = found.originals[11][0]
    error = found.in_users_words(
        HelmStopped("helm failed", where="x", why=f"failed to parse {copy}: no", hint="correct it")
    )
    assert (type(error), error.what, error.where, error.hint) == (HelmStopped, "helm failed", ["x"], "correct it")
    assert error.why == f"failed to parse {tmp_path}/v11: no"


def test_a_source_with_a_scheme_that_is_a_file_is_a_file(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a:b").write_text("x")
    assert contents(read(values("a:b"), folder)) == [b"x"]


def test_what_only_helm_can_read_is_asked_of_helm(folder: Path) -> None:
    with pytest.raises(HelmFailed, match="could not be started"):
        read(values("https://127.0.0.1:1/values.yaml"), folder)


def test_importing_it_starts_nothing() -> None:
    code = "import sys, helmpin.render.values; print('yaml' in sys.modules, 'urllib3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


@pytest.mark.parametrize(
    ("name", "why"), [("none.yaml", "No such file or directory"), ("a\0b", "embedded null byte"), ("", None)]
)
def test_why_a_file_cannot_be_read_is_said_in_words(tmp_path: Path, folder: Path, name: str, why: str | None) -> None:
    source = str(tmp_path / name)
    with pytest.raises(HelmFailed, match="values cannot be read") as failed:
        read(set_file(f"a={source}"), folder)
    assert failed.value.why == (why or "Is a directory") and failed.value.where == [f"--set-file {source}"]


def test_lists_of_files_one_after_the_other(tmp_path: Path, folder: Path) -> None:
    for name in "xyz":
        (tmp_path / name).write_text(name)
    at = str(tmp_path)
    found = read(set_file(f"a={{{at}/x,{at}/y}},b={at}/z,c={{{at}/x}}"), folder)
    x, y, z, again = (copy for copy, _ in found.originals)
    assert found.arguments == (f"--set-file=a={{{x},{y}}},b={z},c={{{again}}}",)
    assert contents(found) == [b"x", b"y", b"z", b"x"]
