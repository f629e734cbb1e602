"""What verify takes. No helm is started to find out."""

from __future__ import annotations

import pytest

from helmpin.commands import verify
from helmpin.errors import UsageError
from helmpin.helm import Helm
from helmpin.request import understand


@pytest.mark.parametrize(
    ("argv", "what"),
    [
        ([], "verify takes a RELEASE, --manifest FILE or --lock FILE"),
        (["web", "--manifest", "x.yaml"], "a RELEASE and --manifest exclude each other"),
        (["--manifest", "missing.yaml"], "cannot read the manifest"),
        (["--lock", "missing.yaml"], "there is no lock file missing.yaml"),
        (["--lock", "x", "--revision", "1"], "--revision requires a RELEASE"),
        (["web", "-l", "a=b"], "--selector is for --lock alone"),
        (["web", "--registry", "--no-registry"], "--registry and --no-registry exclude each other"),
        (["web", "-v", "--no-registry"], "--verbose asks registries, and --no-registry does not"),
        *((["web", f"--revision={n}"], "--revision takes the number of a revision") for n in ("0", "-1", "one", "¹")),
    ],
)
def test_usage(argv: list[str], what: str) -> None:
    with pytest.raises(UsageError, match=f"^{what}$"):
        verify.run(understand("verify", argv, Helm("/nonexistent/helm")))
