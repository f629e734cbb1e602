"""The flags of real helms, as their help gives them."""

from __future__ import annotations

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
