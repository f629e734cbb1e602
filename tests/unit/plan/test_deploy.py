"""What is handed to helm, what is said of it, and what reading the release back may show. No helm runs here: tests/e2e has it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from helmpin import lifeline
from helmpin.arguments import Given
from helmpin.errors import HelmFailed, HelmPinError, Refused, VerificationFailed
from helmpin.plan import deploy as under_test
from helmpin.plan.deploy import GUARD, deploy
from helmpin.plan.images import Problem
from helmpin.plan.plan import Plan
from helmpin.plan.prepare import Prepared
from helmpin.release.outcome import NO_RELEASE, HistoryRow, guard
from helmpin.release.previous import Previous
from helmpin.release.record import Image, Record
from helmpin.release.revision import Revision
from tests.support.history import Helm, Known
from tests.support.plans import A, image, plan
from tests.support.renders import pod

WEB = "docker.io/library/web:1"
RECORD = Record("helm-pin 1", "2026-01-01T00:00:00.000Z", (Image(WEB, "web:1", A, "", "values"),))
FOUR = Previous(4, 3, "failed", {}, ())
DRY = [Given("--dry-run", "server", ("--dry-run=server",))]


def prepared(
    made: Plan, previous: Previous | None = FOUR, flags: Sequence[Given] = (), command: str = "upgrade"
) -> Prepared:
    return Prepared(made, (command, "web"), ["--wait"], previous, [*flags], "")


def planned(folder: Path) -> Plan:
    return plan(folder, image("web:1"))._replace(record=RECORD)


def run(helm: Helm, what: Prepared, *, refuse_mutable: bool = False, baseline: Any = None) -> int:
    return deploy(helm, what, refuse_mutable=refuse_mutable, baseline=baseline)  # type: ignore[arg-type]


def stored(
    number: int = 5, record: Record | None = RECORD, status: str = "deployed", at: str = f"web:1@{A}"
) -> Revision:
    return Revision("web", number, status, record.to_json() if record else "", pod(at), "")


Release = Callable[[Mapping[int, Revision | HelmPinError]], None]


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Release:
    """Says which revisions are stored; the last one is the latest."""

    def says(revisions: Mapping[int, Revision | HelmPinError]) -> None:
        def read(_: object, name: str, number: int | None = None) -> Revision:
            assert name == "web"
            found = revisions[list(revisions)[-1] if number is None else number]
            if isinstance(found, HelmPinError):
                raise found
            return found

        monkeypatch.setattr(under_test, "read_revision", read)

    return says


# -- before helm runs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "refuse_mutable", "what"),
    [
        (image("a:1", Problem("no", "refused")), False, "a:1 cannot be pinned"),
        (image("a:latest", mutable="moves"), True, "1 image has a mutable tag"),
    ],
)
def test_what_is_refused_reaches_no_helm(tmp_path: Path, bad: Any, refuse_mutable: bool, what: str) -> None:
    helm = Helm()
    with pytest.raises(Refused) as refused:
        run(helm, prepared(plan(tmp_path, bad)), refuse_mutable=refuse_mutable)
    assert refused.value.what == what and helm.deployed == []


def test_a_mutable_tag_is_refused_only_where_that_is_asked(tmp_path: Path) -> None:
    helm = Helm()
    assert run(helm, prepared(plan(tmp_path, image("a:latest", mutable="moves")), flags=DRY)) == 0
    assert len(helm.deployed) == 1


@pytest.mark.parametrize(
    ("previous", "baseline", "before", "command"),
    [
        (FOUR, None, HistoryRow(4, "failed", ""), "upgrade"),
        (None, None, NO_RELEASE, "install"),
        (None, HistoryRow(2, "deployed", ""), HistoryRow(2, "deployed", ""), "upgrade"),
        (FOUR, HistoryRow(7, "deployed", ""), HistoryRow(7, "deployed", ""), "upgrade"),
        (FOUR._replace(status="uninstalled"), None, HistoryRow(4, "uninstalled", ""), "upgrade"),
    ],
)
def test_the_chart_checks_that_the_release_is_where_it_was_planned(
    tmp_path: Path,
    release: Release,
    previous: Previous | None,
    baseline: HistoryRow | None,
    before: HistoryRow,
    command: str,
) -> None:
    helm = Helm()
    release({before.revision + 1: stored(before.revision + 1)})
    known = Known(baseline) if baseline else None
    assert run(helm, prepared(planned(tmp_path), previous, command=command), baseline=known) == 0
    ((*words, _, last),) = helm.deployed
    assert words == [command, "web"] and last == "--wait"
    assert helm.files()[GUARD] == guard(before, command)


def test_a_dry_run_checks_nothing_and_says_that_nothing_was_deployed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    helm = Helm()
    assert run(helm, prepared(planned(tmp_path), flags=DRY)) == 0
    assert GUARD not in helm.files()
    printed = capsys.readouterr()
    assert printed.out == "" and "Dry run: nothing was deployed." in printed.err
    assert "IMAGE" in printed.err and "web" in printed.err


# -- after it -----------------------------------------------------------------------------------------------------------


def test_a_helm_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helmpin.kubectl.Kubectl.available", lambda *_: False)
    helm = Helm(1, rows=[HistoryRow(4, "failed", "")])
    with pytest.raises(HelmFailed, match="helm upgrade failed; see its output above") as failed:
        run(helm, prepared(planned(tmp_path)))
    assert "no revision was stored" in failed.value.why


def test_a_dry_run_that_fails_knows_no_revision_by_its_record(tmp_path: Path) -> None:
    """Nothing was stored, so no revision is read: one that is new is somebody else's."""
    helm = Helm(1, rows=[HistoryRow(4, "failed", ""), HistoryRow(5, "deployed", "")])
    with pytest.raises(HelmFailed) as failed:
        run(helm, prepared(planned(tmp_path), flags=DRY))
    assert "revision 5 is deployed" in failed.value.why


@pytest.mark.parametrize("status", [0, 1])
def test_a_signal_meanwhile_stops_with_the_state_of_the_release(
    tmp_path: Path, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[Any] = []
    monkeypatch.setattr(lifeline, "if_stopped", left.append)
    helm = Helm(status, signal.SIGTERM, [HistoryRow(5, "deployed", "Upgrade complete")])
    with pytest.raises(lifeline.Stopped):
        run(helm, prepared(planned(tmp_path)))
    assert left == ["revision 5 is deployed: Upgrade complete"]


@pytest.mark.parametrize(("images", "count"), [(0, "0 images"), (1, "1 image"), (2, "2 images")])
def test_what_was_read_back_is_said(
    tmp_path: Path, release: Release, capsys: pytest.CaptureFixture[str], images: int, count: str
) -> None:
    names = [f"docker.io/library/web:{n}" for n in range(images)]
    record = RECORD._replace(images=tuple(Image(name, name, A, "", "values") for name in names))
    revision = stored(record=record)._replace(manifest="".join(pod(f"{name}@{A}") for name in names))
    release({5: revision})
    assert run(Helm(), prepared(plan(tmp_path)._replace(record=record))) == 0
    said = capsys.readouterr().err
    assert f"Revision 5: {count} pinned by digest (set {record.set_id}), confirmed by reading the release back." in said
    assert "somebody else" not in said


def test_a_stopped_reading_says_that_it_is_deployed_and_not_verified(
    tmp_path: Path, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[Any] = []
    monkeypatch.setattr(lifeline, "if_stopped", left.append)
    release({5: stored()})
    run(Helm(), prepared(planned(tmp_path)))
    assert [each() for each in left] == ["Revision 5 is deployed, not verified; helm pin verify web verifies it"]


def test_a_release_that_cannot_be_read_is_deployed_and_not_verified(tmp_path: Path, release: Release) -> None:
    release({5: HelmFailed("helm get failed", where="release web", why="no route")})
    with pytest.raises(HelmFailed, match="Revision 5 is deployed, not verified: helm get failed") as failed:
        run(Helm(), prepared(planned(tmp_path)))
    error = failed.value
    assert (error.where, error.why) == (["release web"], "no route")
    assert error.hint == "helm pin verify web verifies it"


@pytest.mark.parametrize(
    "wrong",
    [stored(record=None), stored(at="web:1"), stored(record=RECORD._replace(created="2026-01-01T00:00:00.001Z"))],
)
def test_a_revision_that_is_not_as_planned(tmp_path: Path, release: Release, wrong: Revision) -> None:
    release({5: wrong})
    with pytest.raises(VerificationFailed):
        run(Helm(), prepared(planned(tmp_path)))


OTHER = RECORD._replace(tool="somebody else's")
GONE = HelmFailed("there is no revision 5 of release web")


@pytest.mark.parametrize(
    ("revisions", "own"),
    [
        ({5: stored(status="superseded"), 6: stored(6, OTHER), 7: stored(7, None, "failed")}, 5),
        ({5: GONE, 6: stored(6), 7: stored(7, OTHER, "failed")}, 6),
        ({5: stored(5, OTHER), 6: stored(6), 7: stored(7, OTHER, "failed")}, 6),
    ],
)
def test_the_revision_of_this_command_is_found_though_somebody_else_deployed_too(
    tmp_path: Path,
    release: Release,
    capsys: pytest.CaptureFixture[str],
    revisions: Mapping[int, Revision | HelmPinError],
    own: int,
) -> None:
    release(revisions)
    assert run(Helm(), prepared(planned(tmp_path))) == 0
    said = capsys.readouterr().err
    assert f"Revision {own}: 1 image pinned" in said
    assert f"Note: revision {max(revisions)} (failed) was made by somebody else since then." in said


def test_as_long_as_it_is_the_deployed_one_nobody_looks_for_a_later_one(tmp_path: Path, release: Release) -> None:
    """To find the latest revision, helm reads them all."""
    release({5: stored(), 6: HelmFailed("another revision was read")})
    assert run(Helm(), prepared(planned(tmp_path))) == 0


def test_the_latest_revision_may_have_a_greater_number_than_expected(
    tmp_path: Path, release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    release({5: stored(5, OTHER), 6: stored(6)})
    run(Helm(), prepared(planned(tmp_path)))
    said = capsys.readouterr().err
    assert "Revision 6: 1 image pinned" in said and "somebody else" not in said


def test_a_revision_that_is_not_in_the_history(tmp_path: Path, release: Release) -> None:
    release({5: GONE, 6: stored(6, OTHER, "superseded"), 7: stored(7, OTHER)})
    with pytest.raises(VerificationFailed, match="is not in the history of release web") as failed:
        run(Helm(), prepared(planned(tmp_path)))
    assert "revision 7 (deployed)" in failed.value.why and "helm pin history web" in failed.value.hint
