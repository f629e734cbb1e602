"""Which revision helm pin rollback goes back to, and what it says of the one that it made."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import helmpin.helm
from helmpin import env, lifeline
from helmpin.commands import rollback
from helmpin.errors import HelmFailed, HelmPinError, UsageError, VerificationFailed
from helmpin.release.outcome import HistoryRow
from helmpin.release.revision import Revision
from helmpin.request import own_words, understand
from tests.support.history import Helm
from tests.unit.verify.test_restore import A, stored

NOT_THERE = helmpin.helm.Helm("/never/run")
ONE = HistoryRow(1, "deployed", "Install complete")
FAILED = [HistoryRow(number, "failed", 'Upgrade "web" failed: no') for number in (2, 3, 4)]
OURS, THEIRS = HistoryRow(2, "superseded", "Rollback to 1"), HistoryRow(3, "deployed", "Upgrade complete")
LATER = "Note: after this rollback revision 3 was made by somebody else.\n"


def roll_back(helm: Helm, *args: str) -> int:
    request = understand("rollback", ["web", *args], NOT_THERE)
    return rollback.run(request._replace(helm=helm))  # type: ignore[arg-type]


def refused(rows: Sequence[HistoryRow], *args: str) -> HelmPinError:
    helm = Helm(rows=rows)
    with pytest.raises(HelmPinError) as caught:
        roll_back(helm, *args)
    assert helm.deployed == []
    return caught.value


@pytest.fixture(autouse=True)
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is stored can be read, and helm rollback has no flags that are given here."""
    monkeypatch.setattr("helmpin.release.damaged.hidden", lambda *_: [])
    monkeypatch.setattr(helmpin.helm.Helm, "flags", lambda *_: {})
    monkeypatch.setattr(lifeline, "if_stopped", lambda _: None)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The revisions that were read back, each with a record."""
    numbers: list[int] = []

    def reading(_: object, __: str, number: int) -> Revision:
        numbers.append(number)
        return stored(number, A, "deployed")

    monkeypatch.setattr(rollback, "read_revision", reading)
    return numbers


# -- which one ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proof", [[], ["--verify"]])
@pytest.mark.parametrize("named", [[], ["0"]])
def test_none_is_before_the_only_one(named: list[str], proof: list[str]) -> None:
    error = refused([ONE], *named, *proof)
    assert (type(error), error.what) == (HelmFailed, "release web has no revision to roll back to")
    assert error.why == "it has only one"
    assert error.hint == "helm pin verify web shows what runs"
    kept = refused([ONE._replace(status="uninstalled")], *named, *proof)
    assert kept.hint == "helm pin rollback web 1 goes back to the last revision that ran"


@pytest.mark.parametrize("proof", [[], ["--verify"]])
@pytest.mark.parametrize("named", [[], ["0"]])
def test_the_one_before_is_not_kept(named: list[str], proof: list[str]) -> None:
    error = refused([ONE, FAILED[-1]], *named, *proof)
    assert (type(error), error.why) == (HelmFailed, "its history has 1 (deployed), 4 (failed)")
    assert error.what == "revision 3 of release web, the one before the last, is not in its history"
    assert error.hint == "helm pin rollback web 1 goes back to the last revision that ran"


@pytest.mark.parametrize("named", [[], ["0"]])
def test_the_one_before_never_ran(named: list[str]) -> None:
    error = refused([ONE, *FAILED], *named, "--verify")
    assert type(error) is VerificationFailed
    assert error.what == "the revision before the last never ran"
    assert lifeline.untouched() == "nothing was changed"
    assert error.why == "revision 3 has status failed: it never deployed successfully"
    assert error.hint == (
        "helm pin rollback web 1 --verify goes back to the last revision that ran; helm pin rollback web 3 --verify goes to "
        "revision 3 anyway"
    )


STOPPED = HistoryRow(3, "pending-rollback", "Rollback to 1")
CONFLICT = HistoryRow(3, "failed", 'Rollback "web" failed: conflict with "kubectl"')


@pytest.mark.parametrize(
    ("last", "hint"),
    [
        (STOPPED, "name the revision to go to: helm pin rollback web 1 --verify"),
        (
            CONFLICT,
            "name the revision to go to: helm pin rollback web REVISION --verify; helm pin history web shows the revisions",
        ),
    ],
)
@pytest.mark.parametrize("named", [[], ["0"]])
def test_the_one_before_is_where_a_rollback_came_from(named: list[str], last: HistoryRow, hint: str) -> None:
    error = refused([ONE, HistoryRow(2, "deployed", "Upgrade complete"), last], *named, "--verify")
    assert type(error) is VerificationFailed
    assert error.why == "revision 3 is a rollback that has not ended well, and it was to leave revision 2"
    assert error.hint == hint


def test_no_number() -> None:
    for proof in ([], ["--verify"]):
        error = refused([ONE], "first", *proof)
        assert (type(error), error.what) == (UsageError, "REVISION is a number")


def test_what_is_allowed_where_nothing_is_verified() -> None:
    assert refused([ONE], "1", "--allow-unverified").what == "--allow-unverified requires --verify"


# -- what it says of it, without proof --------------------------------------------------------------------------------------


def test_ours_is_read_and_not_the_latest(read: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    helm = Helm(rows=[ONE], then=[[ONE, OURS, THEIRS]])
    assert roll_back(helm, "1") == 0
    assert (helm.deployed, read) == ([["rollback", "web", "1"]], [2])
    said = capsys.readouterr().err
    assert said.startswith("Revision 2 has the digests of set ") and said.endswith(LATER)


def test_of_two_with_one_description_the_first_is_ours(read: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    assert roll_back(Helm(rows=[ONE], then=[[ONE, OURS, OURS._replace(revision=3)]]), "1") == 0
    assert read == [2] and capsys.readouterr().err.endswith(LATER)


@pytest.mark.parametrize("after", [[THEIRS], HelmFailed("helm history failed", why="no answer", hint="look at it")])
def test_nothing_of_it_can_be_read(
    after: list[HistoryRow] | HelmFailed, read: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no failure of the rollback; with proof it is one."""
    assert roll_back(Helm(rows=[ONE], then=[after]), "1") == 0
    told = (
        "helm rolled back release web; the revision that it made is not in the history any more: somebody else has deployed "
        "since. helm pin history web shows the revisions, helm pin verify web checks what is deployed.\n"
        if isinstance(after, list)
        else "Revision 2 is deployed, not verified: "
    )
    assert capsys.readouterr().err.startswith(told) and read == []


def test_with_proof_nothing_of_it_can_be_read(read: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollback, "_preflight", lambda *_: stored(1, A).record())
    with pytest.raises(HelmFailed, match="the revision that it made is not in the history any more") as caught:
        roll_back(Helm(rows=[ONE], then=[[ONE], [THEIRS]]), "1", "--verify")
    assert caught.value.exit_status == 1 and read == [1]


def test_quietly(read: list[int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env, "is_quiet", lambda: True)
    assert roll_back(Helm(rows=[ONE], then=[[ONE, OURS]]), "1") == 0
    assert (capsys.readouterr().err, read) == ("", [2])


@pytest.mark.parametrize(
    "own",
    [
        [],
        ["--verify"],
        ["--verify", "--allow-unverified", "--registry-mirror", "a=https://b", "--registry-mirror", "c=https://d"],
        ["--verify", "--require", "true {}", "--registry-timeout", "5s", "--config", "none"],
    ],
)
def test_the_same_command_has_helm_pins_own_flags(own: list[str]) -> None:
    request = understand("rollback", ["web", "1", *own], NOT_THERE)
    again = own_words(request)
    assert sorted(again) == sorted(own)
    assert understand("rollback", ["web", "1", *again], NOT_THERE).options == request.options
