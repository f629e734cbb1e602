"""What an audit makes of what was read, without a cluster: comparing contexts, and metrics that cannot be forged."""

from __future__ import annotations

from typing import Any

import pytest

from helmpin.audit.environments import chart_name, side_by_side
from helmpin.audit.findings import Audit, AuditFinding, Release
from helmpin.audit.gather import Snapshot, stored_objects
from helmpin.audit.judge import judge
from helmpin.audit.report import page, prometheus
from helmpin.release.record import Image, Record
from helmpin.release.revision import Revision
from helmpin.release.storage import RevisionInfo

A, B = (f"sha256:{letter * 64}" for letter in "ab")
APP = "example.com/app:1"


def release(name: str = "shop", namespace: str = "prod", chart: str = "shop-1.0.0", **images: str) -> Release:
    return Release("", namespace, name, 1, "deployed", chart, "", "abc" if images else "", images, 0, [], ())


def audits(*contexts: list[Release]) -> list[Audit]:
    return [Audit(f"context-{i}", releases, [], ()) for i, releases in enumerate(contexts)]


class TestSideBySide:
    def test_one_context_is_compared_with_nothing(self) -> None:
        assert side_by_side(audits([release(app=A)])) == []

    def test_the_same_images(self) -> None:
        (row,) = side_by_side(audits([release(app=A)], [release(app=A)]))
        assert (row.name, row.same, row.differing) == ("shop", True, {})

    def test_another_digest(self) -> None:
        (row,) = side_by_side(audits([release(app=A, db=A)], [release(app=B, db=A)]))
        assert (row.same, row.differing) == (False, {"app": (A, B)})

    def test_an_image_that_only_one_has(self) -> None:
        (row,) = side_by_side(audits([release(app=A, db=A)], [release(app=A)]))
        assert (row.same, row.differing) == (False, {"db": (A, None)})

    def test_without_a_digest_nothing_is_the_same(self) -> None:
        (row,) = side_by_side(audits([release(app="")], [release(app="")]))
        assert (row.same, row.differing) == (False, {"app": ("", "")})

    def test_namespaces_that_are_named_differently(self) -> None:
        (row,) = side_by_side(audits([release(namespace="staging", app=A)], [release(namespace="live", app=A)]))
        assert row.same

    def test_the_same_namespace_goes_first(self) -> None:
        left = [release(namespace="one", app=A), release(namespace="two", app=B)]
        right = [release(namespace="two", app=B)]
        rows = side_by_side(audits(left, right))
        assert sorted((row.same, [side and side.namespace for side in row.sides]) for row in rows) == [
            (False, ["one", None]),
            (True, ["two", "two"]),
        ]

    def test_releases_that_are_named_differently(self) -> None:
        left, right = [release("shop-staging", app=A)], [release("shop-live", chart="shop-2.0.0", app=B)]
        (row,) = side_by_side(audits(left, right))
        assert (row.name, row.differing) == ("shop", {"app": (A, B)})

    def test_what_is_ambiguous_stays_apart(self) -> None:
        left = [release("shop-a", app=A), release("shop-b", app=A)]
        assert len(side_by_side(audits(left, [release("shop-c", app=A)]))) == 3

    def test_three_contexts(self) -> None:
        (row,) = side_by_side(audits([release(app=A)], [], [release(namespace="other", app=A)]))
        assert [bool(side) for side in row.sides] == [True, False, True]
        assert not row.same

    def test_what_was_not_read_is_not_different(self) -> None:
        """Unless those that were read differ already."""
        mine, dead = audits([release(app=A)], []), Audit("dead", [], [], ("the connection was refused",))
        assert [row.same for row in side_by_side([*mine[:1], dead])] == [None]
        assert [row.same for row in side_by_side([*mine, dead])] == [False]
        assert [row.same for row in side_by_side([*audits([release(app=A)], [release(app=B)]), dead])] == [False]
        assert [row.same for row in side_by_side([*audits([release(app="")]), dead])] == [None]
        assert [row.same for row in side_by_side([*audits([release(app="")], [release(app="")]), dead])] == [False]

    def test_what_differs_comes_first(self) -> None:
        left = [release("a", app=A), release("b", app=A)]
        rows = side_by_side(audits(left, [release("a", app=A), release("b", app=B)]))
        assert [row.name for row in rows] == ["b", "a"]


@pytest.mark.parametrize(
    ("chart", "name"),
    [
        ("web-1.2.3", "web"),
        ("kube-prometheus-stack-1.2.3-beta.1", "kube-prometheus-stack"),
        ("s3-proxy-0.1.0+build-2", "s3-proxy"),
        ("log4j-2-exporter-1.0.0", "log4j-2-exporter"),
        ("cert-manager-v1.13.3", "cert-manager"),
        ("app-v2-1.0.0", "app-v2"),
        ("plain", "plain"),
    ],
)
def test_chart_name(chart: str, name: str) -> None:
    assert chart_name(release(chart=chart)) == name


HOSTILE = 'a"} 1\nhelm_pin_fake 1\n</script><script>alert(1)</script>\x1b[2J\\'


def test_metrics_cannot_be_forged() -> None:
    text = prometheus([Audit(HOSTILE, [release(HOSTILE, HOSTILE, HOSTILE)], [], ())])
    assert not any(line.startswith("helm_pin_fake") for line in text.splitlines())
    assert r"a\"} 1\nhelm_pin_fake 1\n" in text
    assert "\x1b" not in text  # it may be printed on a terminal


def test_the_page_holds_no_markup_of_others() -> None:
    found = release(HOSTILE)._replace(findings=[AuditFinding("drift", HOSTILE)], notes=(HOSTILE,))
    text = page([Audit(HOSTILE, [found], [], (HOSTILE,))])
    assert text.count("</script>") == 2  # its own: the data's and the program's
    assert "alert(1)</script>" not in text


POD = """\
---
# Source: web/templates/pod.yaml
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: app, image: "example.com/app:1"}]}
"""


DAEMON_SET = """\
---
# Source: web/templates/daemon.yaml
apiVersion: v1
kind: DaemonSet
metadata: {name: web}
spec: {template: {spec: {containers: [{name: app, image: "example.com/app:1"}]}}}
"""


def snapshot(
    pods: list[dict[str, Any]], manifest: str = POD, status: str = "deployed", unread: tuple[str, ...] = ()
) -> Snapshot:
    from helmpin.cluster.workloads import identity, with_images

    revision = RevisionInfo(Revision("web", 1, status, "", manifest, ""), "prod", "", "web-1.0.0", "1", "")
    key = ("prod", "web")
    live = {identity(pod, ""): pod for pod in pods}
    unseen = frozenset({("", "v1", "Pod")} if unread else ())
    return Snapshot(
        "", [revision], {key: [revision]}, {key: with_images(manifest)}, live, pods, pods, unread, unseen, True
    )


def pod(image_id: str, name: str = "web", image: str = "example.com/app:1") -> dict[str, Any]:
    status = {"name": "app", "imageID": image_id, "state": {"running": {}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "prod", "uid": name},
        "spec": {"containers": [{"name": "app", "image": image}]},
        "status": {"phase": "Running", "containerStatuses": [status]},
    }


def judged(made: Snapshot) -> tuple[Audit, Release]:
    (audit,) = judge([made], None)
    return audit, audit.releases[0]


JOB = """\
---
# Source: web/templates/job.yaml
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec: {template: {spec: {containers: [{name: app, image: "example.com/app:1@%s"}]}}}
"""


class TestJudge:
    @pytest.mark.parametrize(("of_job", "rest"), [(A, B), (B, A)])
    def test_a_digest_that_a_job_keeps_stands_beside_the_one_that_the_rest_has(self, of_job: str, rest: str) -> None:
        """It is printed and counted, and makes no difference between contexts."""
        record = Record("x", "2026-01-02T03:04:05Z", tuple(Image(APP, APP, each, "", "values") for each in (A, B)))
        manifest = POD.replace(APP, f"{APP}@{rest}") + JOB % of_job
        made = snapshot([], manifest)
        key, (revision,) = ("prod", "web"), made.deployed
        mine = revision._replace(stored=revision.stored._replace(record_text=record.to_json()))
        made = made._replace(deployed=[mine], revisions={key: [mine]})
        _, found = judged(made)
        assert (found.images, found.kept) == ({APP: rest}, ((APP, of_job),))
        assert found.digests == [(APP, rest), (APP, of_job)] and found.pinned == 2
        (row,) = side_by_side(audits([found], [release("web", chart="web-1.0.0")._replace(images={APP: rest})]))
        assert row.same

    def test_a_release_without_record(self) -> None:
        _, found = judged(snapshot([pod(f"example.com/app@{A}")]))
        assert found.kinds == ["unpinned", "unmanaged"]
        assert found.images == {"example.com/app:1": ""}

    def test_one_tag_as_two_digests_is_told_of_the_releases_that_run_it(self) -> None:
        others = pod(f"docker-pullable://example.com/app@{B}", "elsewhere")
        audit, found = judged(snapshot([pod(f"example.com/app@{A}"), others]))
        assert "mixed" in found.kinds
        (mixed,) = audit.mixed
        assert mixed.pods == {A: ["prod/web"], B: ["prod/elsewhere"]}

    def test_pods_that_are_being_deleted_do_not_count(self) -> None:
        others = pod(f"example.com/app@{B}", "elsewhere")
        others["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        assert judged(snapshot([pod(f"example.com/app@{A}"), others]))[0].mixed == []

    def test_an_object_that_is_gone(self) -> None:
        assert "drift" in judged(snapshot([]))[1].kinds

    def test_an_object_that_may_only_not_have_been_seen(self) -> None:
        _, found = judged(snapshot([], unread=("pods is forbidden",)))
        assert "drift" not in found.kinds
        assert "Pod/web was not found, but not everything could be read" in [f.text for f in found.findings]

    def test_what_else_could_not_be_read_hides_nothing(self) -> None:
        made = snapshot([], unread=("proxies is forbidden",))._replace(
            unseen=frozenset({("", "example.com/v1", "Proxy")})
        )
        assert "drift" in judged(made)[1].kinds
        elsewhere = made._replace(unseen=frozenset({("other", "v1", "Pod")}))
        assert "drift" in judged(elsewhere)[1].kinds
        here = made._replace(unseen=frozenset({("prod", "v1", "Pod")}))
        assert "drift" not in judged(here)[1].kinds

    def test_an_object_of_no_namespace(self) -> None:
        mine = pod(f"example.com/app@{A}")
        del mine["metadata"]["namespace"]
        assert "drift" not in judged(snapshot([mine]))[1].kinds

    def test_a_failed_revision_is_compared_all_the_same(self) -> None:
        _, found = judged(snapshot([pod("", image="example.com/app:2")], status="failed"))
        assert {"unknown", "drift"} <= set(found.kinds)

    def test_one_digest_under_the_names_that_nodes_have_for_it(self) -> None:
        pinned = f"example.com/app:1@{A}"
        others = pod(f"docker://{B}", "elsewhere", image=pinned)  # the configuration's digest, say
        assert judged(snapshot([pod(f"example.com/app@{A}", image=pinned), others]))[0].mixed == []

    def test_nothing_is_deployed(self) -> None:
        _, found = judged(snapshot([], status="pending-install"))
        assert "revision 1 is pending-install: no revision is deployed" in [f.text for f in found.findings]
        assert "drift" not in found.kinds

    def test_no_record_but_every_image_by_digest(self) -> None:
        pinned = f"example.com/app:1@{A}"
        made = snapshot([pod(f"example.com/app@{A}", image=pinned)], POD.replace("example.com/app:1", pinned))
        _, found = judged(made)
        assert (found.kinds, found.containers, found.images) == (["pinned-elsewhere"], 1, {pinned: A})

    def test_pods_that_have_ended_run_nothing(self) -> None:
        others = pod(f"example.com/app@{B}", "elsewhere")
        for phase in ("Succeeded", "Failed"):
            others["status"]["phase"] = phase
            assert judged(snapshot([pod(f"example.com/app@{A}"), others]))[0].mixed == []

    def test_a_pod_that_only_deleting_replaces(self) -> None:
        live = {
            "apiVersion": "v1",
            "kind": "DaemonSet",
            "metadata": {
                "name": "web",
                "namespace": "prod",
                "uid": "ds",
                "annotations": {"deprecated.daemonset.template.generation": "2"},
            },
            "spec": {
                "updateStrategy": {"type": "OnDelete"},
                "template": {"spec": {"containers": [{"name": "app", "image": "example.com/app:1"}]}},
            },
        }
        older = pod("", image="example.com/app:0")
        older["metadata"] |= {"labels": {"pod-template-generation": "1"}, "ownerReferences": [{"uid": "ds"}]}
        made = snapshot([live], DAEMON_SET)._replace(pods=[older], population=[live, older])
        _, found = judged(made)
        assert "drift" not in found.kinds
        assert any("updateStrategy OnDelete" in f.text for f in found.findings if f.kind == "unknown")


UNREADABLE = {
    "no YAML": {"manifest": POD.replace("{name: web}", "{name: [web")},
    "an integer that is none": {"manifest": POD.replace("kind: Pod", "kind: Pod\nn: !!int 0x_")},
    "no YAML in a text without images": {"manifest": POD + "---\nkind: ConfigMap\ndata: {image: [}\n"},
    "too deep": {"manifest": POD.replace("kind: Pod", f"kind: Pod\na: {'[' * 100_000}")},
    "an object without a name": {"manifest": POD.replace("{name: web}", "[]")},
    "hooks that are no YAML": {"hooks": "---\nimage: [\n"},
    "not a release": {"problem": "Secret prod/x is not a valid release: Incorrect padding", "manifest": ""},
    "a newer record": {"record_text": '{"version": 2, "tool": "helm-pin 9"}'},
}


@pytest.mark.parametrize("change", UNREADABLE.values(), ids=UNREADABLE)
def test_one_bad_release_is_its_own_problem(change: dict[str, str]) -> None:
    """Gathered and judged beside a good one, which is judged as if it were alone."""
    good = snapshot([pod(f"example.com/app@{A}")])
    (revision,) = good.deployed
    stored = revision.stored._replace(release="bad", **change)
    (audit,) = judge([gathered(good, [revision, revision._replace(stored=stored)])], None)
    bad, web = sorted(audit.releases, key=lambda r: r.name)
    assert web == judged(good)[1]
    assert "unknown" in bad.kinds
    assert "drift" not in bad.kinds
    assert len(audit.unread) == (0 if "problem" in change else 1)
    assert all("prod/bad" in line for line in audit.unread)


def test_a_record_that_is_broken_is_drift() -> None:
    good = snapshot([pod(f"example.com/app@{A}")])
    (revision,) = good.deployed
    broken = revision._replace(stored=revision.stored._replace(record_text="{"))
    audit, found = judged(gathered(good, [broken]))
    assert "drift" in found.kinds
    assert audit.unread == ()


def gathered(made: Snapshot, deployed: list[RevisionInfo]) -> Snapshot:
    """A snapshot of other deployed revisions, as gather() makes it."""
    wanted, unreadable = stored_objects(deployed)
    revisions = {(r.namespace, r.stored.release): [r] for r in deployed}
    return made._replace(deployed=deployed, revisions=revisions, wanted=wanted, unreadable=unreadable)
