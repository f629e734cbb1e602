"""What is made of the revisions of a release before and after helm deploys."""

from __future__ import annotations

import pytest

from helmpin.arguments import Given
from helmpin.errors import HelmFailed
from helmpin.helm import IN_PROGRESS, helm_failed
from helmpin.plan.deploy import is_dry_run
from helmpin.release.outcome import NO_RELEASE, Row, guard, moved

FOUR = Row(4, "deployed", "Upgrade complete")


@pytest.mark.parametrize(
    ("before", "command", "revision"),
    [
        (FOUR, "upgrade", 5),
        (Row(4, "failed", ""), "upgrade", 5),
        (NO_RELEASE, "upgrade", 1),  # --install
        (NO_RELEASE, "install", 1),
        (Row(4, "uninstalled", ""), "upgrade", 1),  # --install renders anew, whatever number it gets
        (Row(4, "uninstalled", ""), "install", 1),  # --replace
    ],
)
def test_the_guard_expects_the_next_revision(before: Row, command: str, revision: int) -> None:
    assert guard(before, command) == (
        f'{{{{ if ne .Release.Revision {revision} }}}}{{{{ fail "the release has moved" }}}}{{{{ end }}}}'
    )


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (FOUR, ""),
        (FOUR._replace(description="another text"), ""),
        (Row(5, "pending-upgrade", ""), "revision 5 was made by somebody else"),
        (Row(4, "uninstalled", ""), "revision 4, which was deployed, became uninstalled"),
        (Row(1, "deployed", ""), "revision 1 was made by somebody else"),
        (NO_RELEASE, "release web was uninstalled by somebody else"),
    ],
)
def test_how_a_release_moved(now: Row, told: str) -> None:
    assert moved("web", FOUR, now) == told


@pytest.mark.parametrize(
    ("values", "is_one"),
    [
        ([], False),
        ([None], True),
        (["client"], True),
        (["server"], True),
        (["none"], False),
        (["server", "none"], False),
    ],
)
def test_what_a_dry_run_is(values: list[str | None], is_one: bool) -> None:
    flags = [Given("--dry-run", value, ()) for value in values]
    assert is_dry_run([Given("--wait", None, ()), *flags]) is is_one


def test_another_operation_in_progress_has_a_way_on() -> None:
    failed = helm_failed(["upgrade", "web"], 1, f"Error: UPGRADE FAILED: {IN_PROGRESS}\n")
    assert isinstance(failed, HelmFailed)
    assert "helm rollback web REVISION goes back" in failed.hint
    assert helm_failed(["upgrade", "web"], 1, "Error: UPGRADE FAILED: timed out\n").hint == ""


def test_a_helm_that_prints_nothing() -> None:
    usage = "Usage:\n" + "  --flag   x\n" * 60 + 'Error: plugin "diff" exited with error\n'
    assert helm_failed(["diff"], 1, f"Error: unknown flag: --nonsense\n{usage}").why == "unknown flag: --nonsense"
    assert helm_failed(["get"], 3, "").why == "helm exited with status 3 and printed nothing"


def test_a_helm_that_a_signal_killed() -> None:
    assert helm_failed(["template"], -9, "").why.startswith(
        "helm was killed by SIGKILL (out of memory, or over a limit"
    )
    assert helm_failed(["template"], -15, "Error: half\n").why == "half\nhelm was killed by SIGTERM"
    assert helm_failed(["template"], -63, "").why == "helm was killed by signal 63"


PANIC = """\
WARNING: Kubernetes configuration file is group-readable
panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x1e35b24]

goroutine 1 [running]:
main.getReleaseHistory({0x3f7c95c0e0c0, 0x3f7c95ad13c8?, 0x8?})
\thelm.sh/helm/v3@v3.22.0/cmd/helm/history.go:140 +0xc4
"""


@pytest.mark.parametrize(
    ("stderr", "why"),
    [
        (PANIC, "panic: runtime error: invalid memory address or nil pointer dereference"),
        (f"Error: before\n{PANIC}{'x' * 40}\n" + "\tdeep.go:1\n" * 60, None),
        ("panic: a chart's own message\nand its second line\n", "panic: a chart's own message\nand its second line"),
    ],
)
def test_a_panic_is_its_first_line_without_the_trace(stderr: str, why: str | None) -> None:
    first = "panic: runtime error: invalid memory address or nil pointer dereference"
    assert helm_failed(["history"], 2, stderr).why == (why or f"before\n{first}")
