"""helm pin upgrade where the system lets it open few files at once, on a real API server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.test_history import chart, push  # noqa: F401  fixtures
from tests.support import kube
from tests.support.twins import UNVALIDATED
from tests.support.workstation import Workstation, whichever_helm

pytestmark = whichever_helm


@pytest.mark.parametrize("files", [12, 13, 14, 15, 17, 30])
def test_an_upgrade_says_what_it_has_done(
    in_cluster: Workstation,
    chart: Path,  # noqa: F811
    push: Callable[[str], str],  # noqa: F811
    tmp_path: Path,
    files: int,
) -> None:
    """It deploys and ends with 0, or says in one message that it has not, and why; no folder stays."""
    push("A")
    (folder := tmp_path / "tmp").mkdir()
    script = 'ulimit -n "$1" && TMPDIR="$2" exec "$0" pin upgrade --install web "$3" "$4"'
    done = in_cluster.run("sh", "-c", script, in_cluster.helm_binary, files, folder, chart, UNVALIDATED)
    revisions = kube.revisions(in_cluster, "web")
    assert list(folder.iterdir()) == []
    if done.status:
        assert (done.status, revisions) == (1, []), done.stderr
        assert (
            f"Error: too many open files; nothing was deployed\n  why   this process may have {files} " in done.stderr
        )
    else:
        assert revisions == [(1, "deployed")] and "confirmed by reading the release back" in done.stderr
    assert files > 13 or done.status == 1
    assert files < 30 or done.status == 0
