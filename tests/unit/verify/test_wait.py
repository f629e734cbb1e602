"""Waiting for pods: as long as time can help, and no longer."""

from __future__ import annotations

import time

import pytest

from helmpin.verify import wait as settle
from helmpin.verify.check import FAILED, OK, UNKNOWN, Check

STAYS = "Pod/db-0 is of an older revision: db:1; it is replaced only when it is deleted (updateStrategy OnDelete)"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "PAUSE", 0.01)


def waited(*checks: Check) -> tuple[Check, int]:
    """The verdict, and how often was looked; the last check is what is seen from then on."""
    looks = iter(checks)
    seen = 0

    def look() -> Check:
        nonlocal seen
        seen += 1
        return next(looks, checks[-1])

    return settle.wait(look, time.monotonic() + 0.2), seen


def settling(*staying: str) -> Check:
    return Check("pods", UNKNOWN, "1 point open", ("app has not started", *staying), may_change=True, staying=staying)


@pytest.mark.parametrize("verdict", [OK, FAILED])
def test_until_the_verdict(verdict: str) -> None:
    check, looks = waited(settling(), settling(), Check("pods", verdict, ""))
    assert (check.verdict, looks) == (verdict, 3)


def test_until_the_deadline(capsys: pytest.CaptureFixture[str]) -> None:
    """Each change is said once, for a log."""
    later = settling()._replace(summary="2 points open")
    check, looks = waited(settling(), settling(), later)
    assert check.may_change and looks > 3
    told = [f"waiting for pods: {each.summary}; app has not started" for each in (settling(), later)]
    assert capsys.readouterr().err.splitlines() == told


def test_not_for_what_stays(capsys: pytest.CaptureFixture[str]) -> None:
    check, looks = waited(Check("pods", UNKNOWN, "1 point open", (STAYS,), staying=(STAYS,)))
    assert (check.may_change, looks) == (False, 1)
    assert capsys.readouterr().err == f"{STAYS}\n"


def test_what_stays_is_said_at_once_while_others_are_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    waited(settling(STAYS), settling(STAYS), Check("pods", UNKNOWN, "", (STAYS,), staying=(STAYS,)))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == STAYS
    assert lines.count(STAYS) == 1
