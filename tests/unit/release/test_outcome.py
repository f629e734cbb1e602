"""What is made of the revisions of a release before and after helm deploys."""

from __future__ import annotations

import json
import random
import re
import signal
from typing import Any

import pytest

from helmpin import lifeline
from helmpin.asked import ANNOTATION
from helmpin.chart import OWN_FOLDER
from helmpin.errors import HelmFailed, HelmStopped, NoRelease
from helmpin.foreground import Ended
from helmpin.helm_failure import IN_PROGRESS, helm_failed
from helmpin.release.damaged import Damaged
from helmpin.release.outcome import NO_RELEASE, Baseline, HistoryRow, failure, guard, moved, state, stop_if_asked
from helmpin.release.revision import Revision
from tests.support.history import Helm

FOUR = HistoryRow(4, "deployed", "Upgrade complete")


@pytest.mark.parametrize(
    ("before", "command", "revision"),
    [
        (FOUR, "upgrade", 5),
        (HistoryRow(4, "failed", ""), "upgrade", 5),
        (NO_RELEASE, "upgrade", 1),  # --install
        (NO_RELEASE, "install", 1),
        (HistoryRow(4, "uninstalled", ""), "upgrade", 1),  # --install renders anew, whatever number it gets
        (HistoryRow(4, "uninstalled", ""), "install", 1),  # --replace
    ],
)
def test_the_guard_expects_the_next_revision(before: HistoryRow, command: str, revision: int) -> None:
    why = "helm-pin: the release got another revision after the plan was made, so nothing is deployed"
    assert guard(before, command) == f'{{{{ if ne .Release.Revision {revision} }}}}{{{{ fail "{why}" }}}}{{{{ end }}}}'


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (FOUR, ""),
        (FOUR._replace(description="another text"), ""),
        (HistoryRow(5, "pending-upgrade", ""), "revision 5 was made by somebody else"),
        (HistoryRow(4, "uninstalled", ""), "revision 4, which was deployed, became uninstalled"),
        (HistoryRow(1, "deployed", ""), "revision 1 was made by somebody else"),
        (NO_RELEASE, "release web was uninstalled by somebody else"),
    ],
)
def test_how_a_release_moved(now: HistoryRow, told: str) -> None:
    assert moved("web", FOUR, now) == told


# -- what is read of the history ----------------------------------------------------------------------------------------

THREE = HistoryRow(3, "superseded", "Upgrade complete")
NONE = NoRelease("helm history failed", why="release: not found")
LOST = HelmFailed("helm history failed", why="no route to host")


def reading(history: Helm) -> Any:
    """A helm that only its history is asked of."""
    return history


def test_the_latest_revision_is_the_one_for_which_a_plan_is_made() -> None:
    history = Helm(rows=[FOUR])
    assert Baseline(reading(history), "web").latest() == FOUR
    assert history.started == [["history", "web", "--max", "1", "--output", "json"]]
    assert Baseline(reading(Helm(rows=[THREE, FOUR])), "web").latest() == FOUR
    assert Baseline(reading(Helm(rows=NONE)), "web").latest() == NO_RELEASE
    assert Baseline(reading(Helm()), "web").latest() == NO_RELEASE


def test_a_history_that_cannot_be_read_is_read_once_more() -> None:
    assert Baseline(reading(Helm(rows=LOST, then=[[FOUR]])), "web").latest() == FOUR
    with pytest.raises(HelmFailed, match="release web cannot be read") as failed:
        Baseline(reading(Helm(rows=LOST)), "web").latest()
    assert failed.value.why == "no route to host"


@pytest.mark.parametrize(
    ("rows", "before", "told"),
    [
        ([THREE, FOUR], FOUR, "revision 4 is still the latest"),
        ([], NO_RELEASE, "there is no release web"),
        (NONE, NO_RELEASE, "there is no release web"),
        ([FOUR, HistoryRow(5, "failed", "timed out")], FOUR, "revision 5 is failed: timed out"),
        (
            [FOUR, HistoryRow(5, "failed", "a"), HistoryRow(6, "deployed", "b")],
            FOUR,
            "revision 5 is failed: a; revision 6 is deployed: b",
        ),
        (LOST, FOUR, "the state of release web cannot be read: no route to host"),
        (
            [FOUR, HistoryRow(5, "pending-upgrade", "Preparing upgrade")],
            FOUR,
            "revision 5 is pending-upgrade: Preparing upgrade; helm pin rollback web 4 goes back",
        ),
        (
            [THREE, FOUR, HistoryRow(5, "pending-rollback", "Rollback to 3")],
            FOUR,
            "revision 5 is pending-rollback: Rollback to 3; helm pin rollback web 3 continues it",
        ),
        (
            [HistoryRow(1, "pending-install", "Initial install underway")],
            NO_RELEASE,
            "revision 1 is pending-install: Initial install underway",
        ),
    ],
)
def test_the_state_that_a_stopped_helm_left(rows: Any, before: HistoryRow, told: str) -> None:
    assert state(reading(Helm(rows=rows)), "web", before) == told


def test_the_state_is_read_although_each_ctrl_c_ends_the_helm_that_reads_it() -> None:
    killed = HelmStopped("helm history failed", why="helm was killed by SIGINT")
    history = Helm(rows=killed, then=[killed, killed, [FOUR]])
    assert state(reading(history), "web", FOUR) == "revision 4 is still the latest"
    assert "cannot be read: helm was killed by SIGINT" in state(reading(Helm(rows=killed)), "web", FOUR)


@pytest.mark.parametrize(
    ("description", "to"),
    [("Rollback to 12", 12), ("of mine", 0), ('Rollback "web" failed: conflict', 0), ("Rollback to you", 0)],
)
def test_where_a_rollback_goes(description: str, to: int) -> None:
    assert HistoryRow(3, "pending-rollback", description).rolls_back_to == to


def test_only_a_signal_unwinds(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[str] = []
    monkeypatch.setattr(lifeline, "if_stopped", left.append)
    history = reading(Helm(rows=[FOUR]))
    stop_if_asked(history, "web", FOUR, Ended(1, 0, False))
    assert left == []
    with pytest.raises(lifeline.Stopped) as stopped:
        stop_if_asked(history, "web", FOUR, Ended(0, signal.SIGINT, False))
    assert left == ["revision 4 is still the latest"] and stopped.value.status == 128 + signal.SIGINT


# -- what is said where helm failed -------------------------------------------------------------------------------------

UPGRADE = ["upgrade", "web", "chart.tgz"]
GOES_BACK = "helm rollback web 4 goes back to the last revision that was deployed"
AGAIN = "correct what helm reports above, and run it again"
SEE = f"{AGAIN}; or helm rollback web 4 goes back to the last revision that was deployed"


@pytest.fixture(autouse=True)
def no_kubectl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helmpin.kubectl.Kubectl.available", lambda *_: False)
    monkeypatch.setattr("helmpin.kubectl.Kubectl.no_namespace", lambda *_: ())


def failed(rows: Any, before: HistoryRow = FOUR, status: int = 1, **more: Any) -> HelmFailed:
    error = failure(reading(Helm(rows=rows, **more)), UPGRADE, before, status)
    assert error.where == ["release web"]
    return error


@pytest.mark.parametrize(
    ("rows", "before", "why", "hint"),
    [
        ([FOUR, HistoryRow(5, "failed", "timed out")], FOUR, "revision 5 is failed", SEE),
        (
            [FOUR, HistoryRow(5, "failed", "x"), HistoryRow(6, "failed", "y")],
            FOUR,
            "revision 5 is failed\nrevision 6 is failed",
            SEE,
        ),
        (
            [HistoryRow(4, "superseded", ""), HistoryRow(5, "failed", "x"), HistoryRow(6, "deployed", "Rollback to 4")],
            FOUR,
            "revision 5 is failed\nrevision 6 is deployed: Rollback to 4",
            AGAIN,
        ),
        ([FOUR], FOUR, "no revision was stored", "correct what helm reports above, and run it again"),
        ([], NO_RELEASE, "no revision was stored", "correct what helm reports above, and run it again"),
        (
            [FOUR, HistoryRow(5, "pending-upgrade", "Preparing")],
            FOUR,
            "revision 5 is pending-upgrade",
            f"helm ended before it had finished; {GOES_BACK}",
        ),
        (
            [HistoryRow(1, "pending-install", "")],
            NO_RELEASE,
            "revision 1 is pending-install",
            f"helm ended before it had finished; {GOES_BACK.replace('4', 'REVISION')}; see helm history web",
        ),
        (
            [FOUR, HistoryRow(5, "pending-upgrade", "")],
            HistoryRow(5, "pending-upgrade", ""),
            "no revision was stored",
            f"revision 5 is pending-upgrade: if no other helm is at work on it, {GOES_BACK}",
        ),
        (
            [THREE, FOUR, HistoryRow(5, "failed", "Job web: field is immutable")],
            FOUR,
            "revision 5 is failed",
            "delete the immutable object; or, if only a digest changes in it, let the image through: --allow-unpinned IMAGE:TAG",
        ),
    ],
)
def test_what_is_stored_after_a_failure_and_the_way_on(rows: Any, before: HistoryRow, why: str, hint: str) -> None:
    error = failed(rows, before)
    assert error.what == "helm upgrade failed; see its output above"
    assert (error.why, error.hint) == (why, hint)


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--rollback-on-failure"], "no revision is stored; --rollback-on-failure uninstalls a first one that fails"),
        (["--atomic=true"], "no revision is stored; --atomic=true uninstalls a first one that fails"),
        (["--atomic=false"], "no revision was stored"),
        ([], "no revision was stored"),
    ],
)
def test_a_first_revision_that_helm_may_have_uninstalled(flags: list[str], why: str) -> None:
    assert failure(reading(Helm(rows=[])), [*UPGRADE, *flags], NO_RELEASE, 1).why.startswith(why)
    assert failure(reading(Helm(rows=[FOUR])), [*UPGRADE, *flags], FOUR, 1).why == "no revision was stored"


def test_fields_of_another_manager_can_be_taken_over_where_helm_has_a_flag_for_that() -> None:
    rows = [FOUR, HistoryRow(5, "failed", "Apply failed with 1 conflict: conflict with x")]
    assert "add --force-conflicts" in failed(rows, flags=["--force-conflicts"]).hint
    assert failed(rows).hint == SEE


def test_after_a_first_revision_that_failed_there_is_nothing_to_go_back_to() -> None:
    first = [HistoryRow(1, "failed", "timed out")]
    assert failed(first, NO_RELEASE).hint == AGAIN
    error = failure(reading(Helm(rows=first)), ["install", "web", "./chart"], NO_RELEASE, 1)
    assert error.hint == "correct what helm reports above, and run helm pin upgrade --install with the same arguments"


def test_a_revision_that_helm_cannot_read_and_cannot_write_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """helm plans revision 5 and finds that its Secret exists."""
    damaged = [Damaged("secret/sh.helm.release.v1.web.v5", "it is not gzip")]
    monkeypatch.setattr("helmpin.release.damaged.hidden", lambda *_: damaged)
    assert failed([FOUR]).hint.startswith("restore it from a backup, or delete it, and helm continues")


def test_a_killed_helm_is_named_first() -> None:
    (first, second) = failed([FOUR], status=-9).why.splitlines()
    assert first.startswith("helm was killed by SIGKILL (out of memory")
    assert second == "no revision was stored"
    assert failed([FOUR], status=-63).why == "helm was killed by signal 63\nno revision was stored"
    assert failed(LOST, status=-15).why == (
        "helm was killed by SIGTERM\nthe state of the release cannot be read: no route to host"
    )


def test_a_state_that_cannot_be_read_is_checked_later() -> None:
    error = failed(LOST)
    assert error.why == "the state of the release cannot be read: no route to host"
    assert error.hint == "check it later with helm history web"


@pytest.mark.parametrize(
    ("rows", "what", "hint"),
    [
        ([], "release web was uninstalled by somebody else while this ran", "check helm's output above"),
        (
            [HistoryRow(4, "uninstalled", "")],
            "revision 4, which was deployed, became uninstalled while this ran; nothing was deployed",
            "run it again",
        ),
        (
            [HistoryRow(1, "deployed", "")],
            "revision 1 was made by somebody else while this ran; nothing was deployed",
            "run it again",
        ),
    ],
)
def test_a_release_that_moved_meanwhile(rows: Any, what: str, hint: str) -> None:
    error = failed(rows)
    assert error.what == what and error.hint.startswith(hint)


@pytest.mark.parametrize("own", [True, False])
def test_a_revision_is_this_commands_by_its_record(own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    five = Revision("web", 5, "failed", "mine" if own else "other", "", "")
    monkeypatch.setattr("helmpin.release.reading.read_revision", lambda *_: five)
    error = failure(reading(Helm(rows=[FOUR, HistoryRow(5, "failed", "x")])), UPGRADE, FOUR, 1, "mine")
    if own:
        assert error.why == "revision 5 is failed"
    else:
        assert error.what == "revision 5 was made by somebody else while this ran; nothing was deployed"


def test_helms_own_rollback_is_named_though_its_record_is_an_older_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_: Any, name: str, number: int) -> Revision:
        return Revision(name, number, "", "mine" if number == 5 else "older", "", "")

    monkeypatch.setattr("helmpin.release.reading.read_revision", read)
    rows = [THREE, HistoryRow(5, "failed", "x"), HistoryRow(6, "deployed", "Rollback to 3")]
    error = failure(reading(Helm(rows=rows)), UPGRADE, FOUR, 1, "mine")
    assert (error.why, error.hint) == ("revision 5 is failed\nrevision 6 is deployed: Rollback to 3", AGAIN)


def release(size: int) -> str:
    """What a dry run prints, with a record of so many random digits."""
    digits = random.Random(1).randbytes(size // 2).hex()
    return json.dumps({"manifest": "x", "chart": {"metadata": {"annotations": {ANNOTATION: digits}}}})


@pytest.mark.parametrize("driver", ["", "configmap", "sql"])
def test_a_release_that_is_too_big_to_be_stored(driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_DRIVER", driver)
    big = release(2_000_000)
    hint = failed([FOUR], dry_run=big).hint
    assert ("a Secret can hold 1048576" in hint) == (driver != "sql")
    if driver != "sql":
        size, added = (int(number) for number in re.findall(r"(\d+) bytes, (\d+) of them", hint)[0])
        assert 1_048_576 < added < size < added + 200
        assert "templates" not in hint
        template = {"name": f"{OWN_FOLDER}x.tpl", "data": random.Random(2).randbytes(100_000).hex()}
        whole = json.loads(big)
        whole["chart"]["templates"] = [template, {"name": "templates/a.yaml", "data": ""}]
        hint = failed([FOUR], dry_run=json.dumps(whole)).hint
        (record, templates) = re.findall(r"(\d+) of them helm-pin's record and (\d+) its templates", hint)[0]
        assert abs(int(record) - added) < 2_000 and 100_000 < int(templates) < 200_000
        assert "Have values set the images" in hint
    for small in (release(10), "{}", "no JSON"):
        assert failed([FOUR], dry_run=small).hint == "correct what helm reports above, and run it again"
    assert failed([FOUR, HistoryRow(5, "failed", "x")], dry_run=big).hint == SEE, "it was stored"
    assert ("a Secret can hold" in failed([], NO_RELEASE, dry_run=big).hint) == (driver != "sql")


# -- what helm says of itself -------------------------------------------------------------------------------------------


def test_another_operation_in_progress_has_a_way_on() -> None:
    failed = helm_failed(["upgrade", "web"], 1, f"Error: UPGRADE FAILED: {IN_PROGRESS}\n")
    assert isinstance(failed, HelmStopped)
    assert "helm rollback web REVISION goes back" in failed.hint
    other = helm_failed(["upgrade", "web", "--dry-run=server"], 1, "Error: UPGRADE FAILED: timed out\n")
    assert (type(other), other.what, other.hint) == (HelmFailed, "helm upgrade --dry-run failed", "")


@pytest.mark.parametrize(
    ("why", "hint"),
    [
        ('no matches for kind "Foo" in version "a/v1"\nensure CRDs are installed first', "install the CRDs"),
        (
            'template: web/templates/a.yaml:3:9: executing "x" at <index>: error calling index',
            "correct the template there",
        ),
        ('template: web/templates/a.yaml:3:9: executing "x" at <.a.b>: nil pointer evaluating', "set the value"),
        ("execution error at (web/templates/a.yaml:3:9): no", "give the value that the chart asks for"),
    ],
)
def test_what_to_do_when_a_chart_does_not_render(why: str, hint: str) -> None:
    assert helm_failed(["upgrade", "web", "--dry-run=server"], 1, f"Error: UPGRADE FAILED: {why}\n").hint.startswith(
        hint
    )


def test_a_helm_that_prints_nothing() -> None:
    usage = "Usage:\n" + "  --flag   x\n" * 60 + 'Error: plugin "diff" exited with error\n'
    assert helm_failed(["diff"], 1, f"Error: unknown flag: --nonsense\n{usage}").why == "unknown flag: --nonsense"
    assert helm_failed(["get"], 3, "").why == "helm exited with status 3 and printed nothing"
    invalid = "YAML parse error on web/templates/x.yaml: mapping values are not allowed"
    failed = helm_failed(["template"], 1, f"Error: {invalid}\n\nUse --debug flag to render out invalid YAML\n")
    assert failed.why == invalid and "helm template --debug" in failed.hint


@pytest.mark.parametrize(
    ("flags", "hint"), [([], "helm repo update"), (["--repo=https://x"], "check the chart's name")]
)
def test_only_the_indexes_of_added_repositories_can_be_stale(flags: list[str], hint: str) -> None:
    why = 'chart "web" version "99" not found in https://charts.example.com repository\n'
    assert helm_failed(["pull", *flags, "web"], 1, f"Error: {why}").hint.startswith(hint)


def test_a_helm_that_a_signal_killed() -> None:
    assert helm_failed(["template"], -9, "").why.startswith(
        "helm was killed by SIGKILL (out of memory, or over a limit"
    )
    assert helm_failed(["template"], -15, "Error: half\n").why == "half\nhelm was killed by SIGTERM"
    assert helm_failed(["template"], -63, "").why == "helm was killed by signal 63"
    assert isinstance(helm_failed(["template"], -9, ""), HelmStopped)


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
