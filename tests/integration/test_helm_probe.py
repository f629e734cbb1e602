"""What only helm knows: merged values, the bytes of a source, and that copies of sources mean what the sources meant."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from helmpin.arguments import Given
from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from helmpin.render.helm_probe import read_source
from helmpin.render.merged_values import MergedValues, whole_numbers
from helmpin.render.values import ValuesInput, read_values
from scripts.devtools.binaries import binary

BYTES = bytes(range(256)) + "é🚀\r\n---\n{{ .Values }}\n".encode()


@pytest.fixture(scope="module", params=["helm-old", "helm3", "helm4"])
def helm(request: pytest.FixtureRequest) -> Helm:
    """The oldest Helm that is supported, Helm 3, then Helm 4."""
    return Helm(str(binary(request.param)))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The URL of a server of the files in tmp_path/served."""
    (tmp_path / "served").mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def test_values_are_merged_as_helm_merges_them(helm: Helm, tmp_path: Path) -> None:
    for name, text in (("a", "x: {v: 1, z: [1, 2]}\nn: 08\n"), ("b", "x: {v: null, z: [3]}\n")):
        (tmp_path / name).write_text(text)
    arguments = [f"--values={tmp_path}/a", f"--values={tmp_path}/b", "--set", "x.w={p,q}", "--set-string", "s=1"]
    merged = MergedValues(helm, ValuesInput(tuple(arguments)))
    assert merged.result() == {"x": {"v": None, "z": [3], "w": ["p", "q"]}, "false": 8, "s": "1"}
    assert merged.result() is merged.result()


def test_whole_numbers_are_what_set_gives(helm: Helm, tmp_path: Path) -> None:
    """Not those of files and JSON, nor what only looks like one."""
    (tmp_path / "a").write_text("x: {v: 1, w: 2}\n")
    texts = ["x.v=3,l={1,b},m[0].n=9007199254740993,text=05,float=1.5,none=null,is=true", r"a\.b.c\,d=7"]
    given = [f"--values={tmp_path}/a", *(part for text in texts for part in ("--set", text))]
    found = whole_numbers(helm, ValuesInput((*given, "--set-json", 'j={"n": 4}', "--set-string", "s=1")))
    wanted = {("x", "v"): 3, ("l", 0): 1, ("m", 0, "n"): 2**53 + 1, ("a.b", "c,d"): 7}
    assert dict(found) == wanted


def test_values_that_helm_refuses(helm: Helm) -> None:
    with pytest.raises(HelmFailed, match="helm template failed"):
        MergedValues(helm, ValuesInput(("--set-json", "a={"))).result()


@pytest.mark.parametrize("name", ["a,b.yaml", "{a}.yaml"])
def test_the_bytes_of_a_url(helm: Helm, server: str, tmp_path: Path, name: str) -> None:
    (tmp_path / "served" / name).write_bytes(BYTES)
    assert read_source(helm, f"{server}/{name}") == BYTES


def test_a_url_that_is_not_there_is_helms_failure(helm: Helm, server: str) -> None:
    with pytest.raises(HelmFailed) as failed:
        read_source(helm, f"{server}/none.yaml", f"-f {server}/none.yaml")
    assert failed.value.where == [f"-f {server}/none.yaml"]
    assert "404" in failed.value.why and "--set-file" not in failed.value.message()


@pytest.mark.parametrize(
    "name", ["v%zz.yaml", "v%20.yaml", "1a:b.yaml", "a:b.yaml", "a:b%z.yaml", "a/1:b", "v%00.yaml", "v\t.yaml"]
)
def test_a_file_whose_name_is_a_bad_url(helm: Helm, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """helm takes every name for a URL first, and refuses a bad one."""
    monkeypatch.chdir(tmp_path)
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text("a: 1\n")
    try:
        plain = MergedValues(helm, ValuesInput((f"--values={name}",))).result()
    except HelmFailed:
        with pytest.raises(HelmFailed, match="values cannot be read"):
            read_values([Given("--values", name, ())], helm, tmp_path)
    else:
        assert (
            MergedValues(helm, read_values([Given("--values", name, ())], helm, tmp_path)).result() == plain == {"a": 1}
        )


NAMES = st.text('ab,=}{\\." ', min_size=1, max_size=4).map(lambda name: f"f{name}")
FEW = settings(
    max_examples=6,
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


Sources = tuple[list[tuple[bool, list[str]]], list[str]]
"""Groups of names for a --set-file, lists or single ones, and names for a --values."""


@pytest.fixture(scope="module")
def generated() -> list[Sources]:
    """Examples, with names of any kind."""
    examples: list[Sources] = []

    @given(
        st.lists(st.tuples(st.booleans(), st.lists(NAMES, min_size=1, max_size=3)), min_size=1, max_size=4),
        st.lists(NAMES, min_size=1, max_size=3),
    )
    @FEW
    def generate(groups: list[tuple[bool, list[str]]], files: list[str]) -> None:
        examples.append((groups, files))

    generate()
    return examples


def set_file(number: int, groups: list[tuple[bool, list[str]]]) -> str:
    """The value of a --set-file that names these files, in lists or alone."""
    texts = []
    for i, (is_list, names) in enumerate(groups):
        escaped = ["".join("\\" + c if c in "\\,{}" else c for c in name) for name in names]
        texts.append(f"k{number}_{i}={{{','.join(escaped)}}}" if is_list else f"k{number}_{i}={escaped[0]}")
    return ",".join(texts)


def test_copies_mean_what_the_sources_mean(
    helm: Helm, tmp_path_factory: pytest.TempPathFactory, generated: list[Sources]
) -> None:
    """Of all examples at once: each has flags of its own."""
    home = tmp_path_factory.mktemp("sources")
    assert len(generated) == 6
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        every = {
            *(name for groups, files in generated for names in (files, *(each for _, each in groups)) for name in names)
        }
        for i, name in enumerate(sorted(every)):
            (home / name).write_text(f"v{i}: {i}\n")
        flags = []
        for number, (groups, files) in enumerate(generated):
            quoted = ",".join('"' + name.replace('"', '""') + '"' for name in files)
            contents = set_file(number, groups)
            flags += [
                Given("--values", quoted, ("--values", quoted)),
                Given("--set-file", contents, ("--set-file", contents)),
            ]
        plain = MergedValues(helm, ValuesInput(tuple(word for flag in flags for word in flag.words))).result()
        copies = read_values(flags, helm, tmp_path_factory.mktemp("a,{b}"))
        assert len(plain) > len(generated)
        assert MergedValues(helm, copies).result() == plain
