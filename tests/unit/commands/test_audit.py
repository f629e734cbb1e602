"""What an audit found decides how it ends."""

from __future__ import annotations

import pytest

from helmpin.audit.gather import Snapshot
from helmpin.audit.judge import judge
from helmpin.commands import audit
from helmpin.errors import UsageError
from helmpin.helm import Helm
from helmpin.request import understand
from tests.unit.audit.test_audit import POD, A, B, gathered, pod, snapshot

BY_DIGEST = f"example.com/app:1@{A}"
PINNED = snapshot([pod(f"example.com/app@{A}", image=BY_DIGEST)], POD.replace("example.com/app:1", BY_DIGEST))
"""By somebody else."""
MIXED = snapshot([pod(f"example.com/app@{A}"), pod(f"example.com/app@{B}", "elsewhere")])
UNREAD = snapshot([pod(f"example.com/app@{A}")], unread=("pods is forbidden",))


def ended(monkeypatch: pytest.MonkeyPatch, made: Snapshot, *argv: str) -> int:
    monkeypatch.setattr(audit, "gather", lambda *_, **__: made)
    return audit.run(understand("audit", argv, Helm("/nonexistent/helm")))


@pytest.mark.parametrize(
    ("made", "fail_on", "status"),
    [
        (PINNED, "drift", 0),
        (PINNED, "unpinned,mixed", 0),
        (PINNED, "unpinned,pinned-elsewhere", 4),
        (MIXED, "drift", 0),
        (MIXED, "unpinned", 4),
        (MIXED, "mixed", 4),
        (MIXED, "none", 0),
        (snapshot([]), "drift", 4),
        (snapshot([]), "pinned-elsewhere,mixed", 0),
        (UNREAD, "drift", 1),
        (UNREAD, "unpinned", 4),
        (UNREAD, "none", 0),
    ],
)
def test_what_fail_on_names(monkeypatch: pytest.MonkeyPatch, made: Snapshot, fail_on: str, status: int) -> None:
    assert ended(monkeypatch, made, "--fail-on", fail_on) == status


@pytest.mark.parametrize(("fail_on", "status"), [("moved", 5), ("none", 0), ("unpinned", 4)])
def test_a_registry_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, fail_on: str, status: int) -> None:
    audits = [each._replace(unanswered=(("example.com", "refused"),)) for each in judge([MIXED], None)]
    monkeypatch.setattr(audit, "judge", lambda *_, **__: audits)
    assert ended(monkeypatch, MIXED, "--registry", "--fail-on", fail_on) == status


@pytest.mark.parametrize(
    ("fail_on", "says"),
    [
        ("drift,moved", "--fail-on moved requires --registry"),
        ("different", "--fail-on different requires two contexts"),
    ],
)
def test_what_could_not_be_found_is_no_gate(monkeypatch: pytest.MonkeyPatch, fail_on: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        ended(monkeypatch, MIXED, "--fail-on", fail_on)


def test_a_context_beside_helms_own_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "command_line_of_parent", lambda: ["helm", "pin", "audit", "--kube-context", "b"])
    with pytest.raises(UsageError, match="--kube-context has no effect with --context"):
        ended(monkeypatch, MIXED, "--context", "a")
    monkeypatch.setattr(audit, "command_line_of_parent", lambda: ["helm", "pin", "audit"])
    assert ended(monkeypatch, MIXED, "--context", "a") == 0


def test_what_fail_on_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--fail-on does not know 'everything'") as caught:
        ended(monkeypatch, MIXED, "--fail-on", "drift,everything")
    known = "drift, unpinned, unmanaged, pinned-elsewhere, mixed, moved, unknown, different, none"
    assert caught.value.hint == f"one of {known}"


def test_registries_are_described_only_where_they_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--describe requires --registry"):
        ended(monkeypatch, MIXED, "--describe")


def test_a_record_of_a_newer_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (revision,) = MIXED.deployed
    newer = revision.stored._replace(record_text='{"version": 2, "tool": "helm-pin 9.0.0"}')
    assert ended(monkeypatch, gathered(MIXED, [revision._replace(stored=newer)])) == 1
    told = capsys.readouterr().out
    assert "use the helm-pin that wrote it (helm-pin 9.0.0), or a later one" in told
    assert "drift" not in told
