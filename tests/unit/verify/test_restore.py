"""What `rollback --verify` proves and says, by what the registry, the cluster and the stored revisions answer."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from helmpin import env
from helmpin.config.settings import Settings
from helmpin.errors import HelmFailed, HelmPinError, Refused, RegistryUnavailable, VerificationFailed
from helmpin.gate import Gate
from helmpin.helm import Helm
from helmpin.image.reference import Reference
from helmpin.kubectl import Kubectl
from helmpin.registry import RegistryError, RegistrySettings, Resolved
from helmpin.release.outcome import HistoryRow
from helmpin.release.record import Image, Record
from helmpin.release.revision import Revision
from helmpin.release.storage import RevisionInfo, Revisions
from helmpin.verify import registries, restore
from helmpin.verify.check import FAILED, OK, UNKNOWN, Check
from helmpin.verify.live import Live, OtherJob, other_jobs

A, B, C = ("sha256:" + letter * 64 for letter in "abc")
KUBECTL = Kubectl(Helm("/never/run"))
SETTINGS = Settings("pin", (), (), (), False, RegistrySettings())
LATER = [HistoryRow(5, "deployed", "theirs")]


def stored(
    number: int, digest: str, status: str = "superseded", *, is_pinned: bool = True, required: Any = ()
) -> Revision:
    image = Image("docker.io/library/web:1", "web:1", digest, "", "values")
    record = Record("helm-pin 1.0.0", "2026-01-02T03:04:05Z", (image,), required=required)
    pod = f"---\nkind: Pod\nmetadata: {{name: web}}\nspec: {{containers: [{{name: app, image: web:1@{digest}}}]}}\n"
    return Revision("web", number, status, record.to_json() if is_pinned else "", pod, "")


def test_a_container_that_somebody_added_to_a_job_stops_no_rollback() -> None:
    """Helm leaves it, and changes nothing in the Job."""

    def job(*names: str, digest: str = A) -> dict[str, Any]:
        containers = [{"name": name, "image": f"{name}:1@{digest}"} for name in names]
        fields = {f'k:{{"name":"{name}"}}': {"f:image": {}} for name in names}
        owned = {"f:spec": {"f:template": {"f:spec": {"f:containers": fields}}}}
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "m", "managedFields": [{"manager": "kubectl-replace", "fieldsV1": owned}]},
            "spec": {"template": {"spec": {"containers": containers}}},
        }

    def others(now: dict[str, Any]) -> list[OtherJob]:
        return other_jobs(Live(stored(3, A), [(job("app"), now)]), KUBECTL)

    assert others(job("app", "more")) == []
    (other,) = others(job("app", "more", digest=B))
    assert [line.partition(",")[0] for line in other.differences] == [f"Job/m app has app:1@{B}"]


class World:
    """What is answered. Mutable."""

    def __init__(self) -> None:
        self.errors: dict[str, str] = {}
        """By digest, the kind of the registry's error."""
        self.children: list[str] = []
        self.silent: list[tuple[Reference, RegistryError]] = []
        self.live = Live(stored(3, A), [])
        self.revisions: list[Revision] = []
        self.rows: list[HistoryRow] = []
        self.histories = 0
        """How often helm was asked for its history."""
        self.checks = [Check("workloads", OK, "2 as in the manifest", matched=2), Check("pods", OK, "3", matched=3)]
        self.unreadable = ""

    def gone(self, record: Record, *_: object) -> tuple[list[str], list[Any]]:
        """What is gone of an index: of A alone."""
        return (self.children if any(image.digest == A for image in record.images) else []), self.silent

    def resolve(self, references: Iterable[Reference], *_: object) -> dict[Reference, Any]:
        return {
            r: RegistryError(r, kind, "why")
            if (kind := self.errors.get(r.digest or ""))
            else Resolved(r.digest or "", "")  # type: ignore[arg-type]
            for r in references
        }

    def history(self, *_: object) -> list[HistoryRow]:
        self.histories += 1
        return self.rows

    def read_live(self, *_: object) -> Live:
        if self.unreadable:
            raise HelmFailed(self.unreadable, why="no answer", hint="look at it")
        return self.live


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(registries, "resolve", made.resolve)
    monkeypatch.setattr(restore, "read_live", made.read_live)
    monkeypatch.setattr(restore, "live_check", lambda *_: made.checks[0])
    monkeypatch.setattr(restore, "pods_check", lambda *_: made.checks[1])
    monkeypatch.setattr(restore.children, "gone", made.gone)
    monkeypatch.setattr(restore.revisions, "history", made.history)
    infos = lambda *_: Revisions([RevisionInfo(r, "default", "", "", "", "") for r in made.revisions])  # noqa: E731
    monkeypatch.setattr(restore.revisions, "read_all", infos)
    monkeypatch.setattr(Kubectl, "available", lambda *_: True)
    return made


def preflight(target: Revision, settings: Settings = SETTINGS) -> Record:
    return restore.preflight(target, KUBECTL, settings)


def refused(kind: type[HelmPinError], target: Revision, settings: Settings = SETTINGS) -> HelmPinError:
    with pytest.raises(kind) as caught:
        preflight(target, settings)
    assert type(caught.value) is kind
    return caught.value


# -- before anything is changed -------------------------------------------------------------------------------------------


def test_all_is_well(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.revisions = [stored(1, B)]
    assert preflight(stored(3, A)) == stored(3, A).record()
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_without_a_record(world: World) -> None:
    world.live = Live(stored(3, A), [])
    error = refused(VerificationFailed, stored(3, A, is_pinned=False))
    assert error.what == "the revision has no digest record"
    assert (error.where, error.why) == (["release web, revision 3"], "helm-pin did not deploy it")
    assert error.hint == (
        "roll back to another revision that helm pin history web shows with a digest set, or add --allow-unverified to continue "
        "without proof"
    )


def test_without_kubectl(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    del world
    monkeypatch.setattr(Kubectl, "available", lambda *_: False)
    assert refused(HelmFailed, stored(3, A)).what.startswith("kubectl not found")


def test_a_digest_that_is_gone(world: World) -> None:
    """The nearest earlier revision that ran, has a record and is complete is offered."""
    world.errors = {A: "not-found", C: "unreachable"}
    world.revisions = [
        stored(1, B),
        stored(2, B),
        stored(3, B, "failed"),
        stored(4, B, is_pinned=False),
        stored(5, A),
        stored(6, C),
        stored(7, A),
        stored(8, B),
        stored(9, B, "deployed"),
    ]
    error = refused(VerificationFailed, stored(7, A))
    assert error.what.startswith("1 recorded digest is gone from the registry")
    assert error.hint == "revision 2 can be restored: helm pin rollback web 2 --verify"


@pytest.mark.parametrize(
    ("others", "offered"),
    [
        ([stored(2, A), stored(4, B), stored(5, B), stored(6, B, "deployed")], 4),
        ([stored(2, B), stored(4, B), stored(6, B, "deployed")], 2),
        ([stored(4, A), stored(5, B), stored(6, B, "failed")], 5),
    ],
)
def test_a_later_revision_is_offered_where_no_earlier_one_is_complete(
    world: World, others: list[Revision], offered: int
) -> None:
    world.errors, world.revisions = {A: "not-found"}, [stored(3, A), *others]
    hint = f"revision {offered} can be restored: helm pin rollback web {offered} --verify"
    assert refused(VerificationFailed, stored(3, A)).hint == hint


def test_a_digest_that_is_gone_everywhere(world: World) -> None:
    world.errors, world.revisions = {A: "not-found"}, [stored(1, A)]
    hint = "push the image again, or deploy another version: no other revision can be restored"
    assert refused(VerificationFailed, stored(3, A)).hint == hint


def test_a_registry_that_does_not_answer(world: World) -> None:
    world.errors, world.revisions = {A: "unreachable"}, [stored(1, B)]
    assert "revision 1" not in refused(RegistryUnavailable, stored(3, A)).hint


def test_a_platform_that_is_gone(world: World) -> None:
    world.children, world.revisions = ["web: its image for linux/arm64 is gone"], [stored(1, B)]
    error = refused(VerificationFailed, stored(3, A))
    assert error.what == "1 platform is gone from the registry"
    assert (error.where, error.why) == (["release web, revision 3"], world.children[0])
    assert error.hint.endswith("helm pin rollback web 1 --verify")
    world.revisions = [stored(1, A), stored(2, A), stored(4, A), stored(5, B, "deployed")]
    assert refused(VerificationFailed, stored(3, A)).hint.endswith("no other revision can be restored")


def test_a_platform_for_which_the_registry_does_not_answer(world: World) -> None:
    child = Reference.parse(f"web@{B}")
    world.silent = [(child, RegistryError(child, "rate-limited", "rate limited (HTTP 429)", "wait"))]
    error = refused(RegistryUnavailable, stored(3, A))
    assert error.what == "the registry could not confirm the recorded digests"
    assert (error.why, error.hint) == (
        f"docker.io/library/web@{B}: docker.io: rate limited (HTTP 429)",
        "wait\nor roll back without --verify, which asks no registry",
    )


def test_a_required_command_that_does_not_agree(world: World) -> None:
    del world
    error = refused(Refused, stored(3, A), SETTINGS._replace(gate=Gate(("false {}",))))
    assert error.what == "1 image refused by a required command"
    assert error.why.startswith(f"docker.io/library/web:1@{A}: ") and error.where == ["release web, revision 3"]


def test_a_command_that_is_not_required_any_more(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    del world
    target = stored(3, A, required=("true {}", "cosign verify {}"))
    preflight(target, SETTINGS._replace(gate=Gate(("true {}",))))
    told = "Not run now, although revision 3 was deployed with it: --require cosign verify {}\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    ("unread", "unknown", "hint"),
    [
        (("forbidden",), (), "roll back with an account that may read them, or without --verify"),
        ((), ("no matches for kind",), "install these CustomResourceDefinitions first"),
        (("forbidden",), ("no matches for kind",), "roll back with an account that may read them"),
    ],
)
def test_a_cluster_that_does_not_show_all(
    world: World, unread: tuple[str, ...], unknown: tuple[str, ...], hint: str
) -> None:
    world.live = world.live._replace(unread=unread, unknown_kinds=unknown)
    error = refused(HelmFailed, stored(3, A))
    assert (error.why, error.where) == ("\n".join((*unread, *unknown)), ["release web, revision 3"])
    assert error.hint.startswith(hint)


def a_job(digest: str, kind: str = "Job", setter: str = "") -> dict[str, Any]:
    """setter: the field manager that has made it; none is known where it is empty."""
    fields = {"f:metadata": {"f:annotations": {"f:meta.helm.sh/release-name": {}}}}
    return {
        "apiVersion": "batch/v1",
        "kind": kind,
        "metadata": {"name": "migrate", "managedFields": [{"manager": setter, "fieldsV1": fields}] if setter else []},
        "spec": {"template": {"spec": {"containers": [{"name": "main", "image": f"web:1@{digest}"}]}}},
    }


def test_a_job_that_cannot_become_what_it_was(world: World) -> None:
    world.live = world.live._replace(pairs=[(a_job(A), a_job(B))])
    error = refused(HelmFailed, stored(3, A))
    assert error.why == f"Job/migrate main has web:1@{B}, the release says web:1@{A}: changed by hand, or at admission"
    assert error.hint.startswith("kubectl delete job migrate; ")


@pytest.mark.parametrize(
    ("target", "live"),
    [
        (a_job(A), a_job(A)),
        (a_job(A), None),
        (a_job(A, "CronJob"), a_job(B, "CronJob")),
        (
            a_job(A) | {"apiVersion": "batch.volcano.sh/v1alpha1"},
            a_job(B) | {"apiVersion": "batch.volcano.sh/v1alpha1"},
        ),
        (a_job(A), a_job(B, setter="helm")),
    ],
    ids=["as it was", "gone", "a CronJob", "another group's", "changed at admission alone"],
)
def test_what_helm_can_change(world: World, target: dict[str, Any], live: dict[str, Any] | None) -> None:
    world.live = world.live._replace(pairs=[(target, live)])
    assert preflight(stored(3, A))


# -- afterwards -----------------------------------------------------------------------------------------------------------


def test_the_new_revision_is_what_the_target_was() -> None:
    record = stored(3, A).record()
    assert record
    restore.check_stored(stored(6, A, "deployed"), record, 3)
    with pytest.raises(VerificationFailed, match="Revision 6 is deployed, but is not what revision 3 was: ") as caught:
        restore.check_stored(stored(6, B, "deployed"), record, 3)
    assert caught.value.where == ["release web, revision 6"] and caught.value.hint and caught.value.why


def compare(*, later: Sequence[HistoryRow] = (), pods: bool = True) -> dict[str, int]:
    deadline = time.monotonic() if pods else None
    return restore.compare_with_cluster(stored(4, A, "deployed"), KUBECTL, SETTINGS, later, deadline)


def test_a_cluster_that_matches(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.checks[1] = world.checks[1]._replace(details=("Pod/a is new", "Pod/db-0 stays"), staying=("Pod/db-0 stays",))
    assert compare() == {"workloads": 2, "pods": 3}
    said = capsys.readouterr().err.splitlines()
    # what stays is said once, by what waits
    assert said == ["Pod/db-0 stays", "workloads: ok, 2 as in the manifest", "pods: ok, 3", "  Pod/a is new"]


def test_pods_are_not_looked_at_without_a_deadline(world: World) -> None:
    world.checks[1] = Check("pods", FAILED, "1 wrong")
    assert compare(pods=False) == {"workloads": 2}


def test_what_somebody_deployed_since_does_not_matter_where_all_matches(world: World) -> None:
    world.rows = LATER
    assert compare() == compare(later=LATER) == {"workloads": 2, "pods": 3}
    assert world.histories == 0


def test_a_cluster_that_cannot_be_read(world: World) -> None:
    world.unreadable = "kubectl get failed"
    with pytest.raises(HelmFailed, match="Revision 4 is deployed, not verified: kubectl get failed") as caught:
        compare()
    assert (caught.value.why, caught.value.hint) == ("no answer", "helm pin verify web verifies it; look at it")


WRONG = Check("workloads", FAILED, "1 wrong", ("Pod/web has web:2",), ("forbidden",))
SLOW = Check("pods", UNKNOWN, "1 open", ("Pod/web has not started",), may_change=True)
UNREAD = Check("pods", UNKNOWN, "1 open", ("Pod/web has not started",), ("forbidden",))
AGAIN = "helm pin verify web checks again"


@pytest.mark.parametrize("check", [WRONG, SLOW], ids=["failed", "may change"])
@pytest.mark.parametrize("when", ["known", "found out"])
def test_somebody_else_explains_it(world: World, check: Check, when: str) -> None:
    world.checks[check is SLOW], world.rows = check, [HistoryRow(4, "superseded", "ours"), *LATER]
    with pytest.raises(HelmFailed) as caught:
        compare(later=LATER if when == "known" else ())
    error = caught.value
    assert error.what == (
        "Revision 4 is deployed, verified in record and manifest; then revision 5 was made by somebody else"
    )
    assert world.histories == (when == "found out")
    why = "\n".join((*check.details, *check.unread))
    assert error.why == f"the {check.name} are not those of revision 4 any more:\n{why}"
    assert error.where == ["release web, revision 4"]
    assert error.hint == f"helm pin history web shows what changed; {AGAIN}"


def test_nobody_else_explains_it(world: World) -> None:
    world.checks[0], world.rows = WRONG, [HistoryRow(4, "deployed", "ours")]
    with pytest.raises(VerificationFailed) as caught:
        compare()
    error = caught.value
    assert error.what == "Revision 4 is deployed, but the workloads do not match it"
    assert (error.why, error.hint, error.where) == (
        "Pod/web has web:2\nforbidden",
        f"correct what differs; {AGAIN}",
        ["release web, revision 4"],
    )


def test_a_history_that_cannot_be_read_explains_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> list[HistoryRow]:
        raise HelmFailed("helm history failed")

    monkeypatch.setattr(restore.revisions, "history", fail)
    world.checks[0] = WRONG
    with pytest.raises(VerificationFailed, match="the workloads do not match it"):
        compare()


def test_pods_that_are_not_ready_in_time(world: World) -> None:
    world.checks[1] = SLOW
    with pytest.raises(VerificationFailed) as caught:
        compare()
    error = caught.value
    assert error.what == "Revision 4 is deployed, but its pods were not ready before --timeout"
    assert (error.why, error.hint, error.where) == (
        "Pod/web has not started",
        AGAIN,
        ["release web, revision 4"],
    )


@pytest.mark.parametrize("later", [[], LATER])
def test_pods_that_cannot_be_read(world: World, later: Sequence[HistoryRow]) -> None:
    world.checks[1] = UNREAD
    with pytest.raises(HelmFailed) as caught:
        compare(later=later)
    error = caught.value
    assert error.what == "Revision 4 is deployed, not verified: the pods cannot be read"
    assert error.why == "Pod/web has not started\nforbidden" and error.where == ["release web, revision 4"]


def test_quietly(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env, "is_quiet", lambda: True)
    compare()
    assert capsys.readouterr().err == ""
    world.checks[1] = Check("pods", UNKNOWN, "1 open")
    compare()
    assert capsys.readouterr().err == "pods: cannot tell, 1 open\n"


def test_what_is_unknown_and_stays_so_is_said(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.checks[1] = Check("pods", UNKNOWN, "1 open", ("Pod/web does not say what runs",))
    assert compare() == {"workloads": 2}
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "pods: cannot tell, 1 open",
        "  Pod/web does not say what runs",
    ]
