"""The flags of real helms, as their help gives them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from helmpin.helm import Helm
from scripts.devtools.binaries import binary


@pytest.mark.parametrize("which", ["helm3", "helm4"])
def test_real_helms(which: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    helm = Helm(str(binary(which)))
    flags = helm.flags("upgrade")
    takes = {name for name, flag in flags.items() if flag.takes_value}
    assert {"-f", "--values", "--set", "--set-json", "--version", "--post-renderer", "-o", "-n", "--timeout"} <= takes
    assert {
        "-i",
        "--install",
        "--wait",
        "--dry-run",
        "--reuse-values",
        "--force-conflicts" if which == "helm4" else "--force",
    } <= (flags.keys() - takes)
    assert Helm(helm.binary).flags("upgrade") == flags, "what the cache holds is not what helm said"
    assert helm.version[0] == (3 if which == "helm3" else 4)


@pytest.mark.parametrize(
    "content",
    [
        *("[]", "7", "null", '"x"', "", "\x00", '{"temp', "[" * 100_000),
        *('{"template": 7}', '{"template": ""}', '{"template": {}}', '{"upgrade": "x", "template": null}'),
    ],
    ids=lambda content: repr(content[:40]),
)
def test_a_broken_cache_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setenv("HELM_CACHE_HOME", str(tmp_path / "home"))
    program = str(binary("helm4"))
    flags = Helm(program).flags("template")
    (cache,) = (tmp_path / "home/helm-pin").iterdir()
    whole = cache.read_text()
    cache.write_text(content)
    assert Helm(program).flags("template") == flags
    assert json.loads(cache.read_text()) == json.loads(whole)
    assert list(cache.parent.iterdir()) == [cache]


def test_a_script_may_start_another_helm_tomorrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_CACHE_HOME", str(tmp_path / "cache"))
    script, current = tmp_path / "helm", tmp_path / "current"
    script.write_text(f'#!/bin/sh\nexec {current} "$@"\n')
    script.chmod(0o755)
    for which, major, flag in (("helm3", 3, "--force"), ("helm4", 4, "--force-conflicts"), ("helm3", 3, "--force")):
        current.unlink(missing_ok=True)
        current.symlink_to(binary(which))
        helm = Helm(str(script))
        assert helm.version[0] == major and flag in helm.flags("upgrade")


@pytest.mark.parametrize("mode", [0o755, 0o711])
@pytest.mark.parametrize("name", ["helm-4", "launcher"])
def test_what_helm_is_a_link_to(name: str, mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A launcher, as snap and mise have it, is one program for all versions."""
    monkeypatch.setenv("HELM_CACHE_HOME", str(tmp_path / "cache"))
    program = tmp_path / "bin" / name
    program.parent.mkdir()
    shutil.copy(binary("helm4"), program)
    program.chmod(mode)
    (tmp_path / "helm").symlink_to(program)
    assert Helm(str(tmp_path / "helm")).version[0] == 4
    is_readable = os.access(program, os.R_OK)  # always for root
    assert (tmp_path / "cache/helm-pin").exists() == (name == "helm-4" and is_readable)
