"""Jobs that are there already keep what they ran with, or stop the upgrade before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from helmpin.plan.images import ImagePlan
from helmpin.plan.jobs import JobDigests, KeptJobs, Locked, UpgradedRevision
from helmpin.render.output import ImageUse, parse
from tests.support.renders import digest, document

OLD, NEW = digest("a"), digest("b")
SOURCE = "app/templates/job.yaml"
WEB = "example.com/web:1"


def job(image: str, *, name: str = "migrate", more: str = "", metadata: str = "", side: str = "") -> str:
    containers = f"[{{name: a, image: '{image}'{more}}}" + (f", {{name: b, image: '{side}'}}]" if side else "]")
    pod = f"{{metadata: {{{metadata}}}, spec: {{containers: {containers}}}}}"
    return document(f"apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec: {{template: {pod}}}\n", SOURCE)


def jobs(plain: str, stored: str, *, live: bool = True, references: tuple[tuple[str, str], ...] = ()) -> KeptJobs:
    return KeptJobs(
        parse(plain), lambda: UpgradedRevision([stored], frozenset(references)), lambda item: item if live else None
    )


def kept(plain: str, stored: str, **more: Any) -> JobDigests:
    uses = [use for use in parse(plain).images() if "@" not in use.image]
    return jobs(plain, stored, **more).digests(uses)


def digests(plain: str, stored: str, **more: Any) -> list[str]:
    """The digests that are kept; no image has a problem."""
    found = kept(plain, stored, **more)
    assert found.problems == {} and found.wanted.keys() == found.jobs.keys()
    return list(found.wanted.values())


@pytest.mark.parametrize(
    ("now", "keeps"),
    [
        (f"{WEB}@{OLD}", OLD),
        (f"{WEB}@{NEW}", NEW),
        (f"mirror.example.com/web:1@{NEW}", OLD),
        (f"example.com/web:0@{OLD}", ""),
        (f"example.com/web@{OLD}", ""),
    ],
)
def test_a_revision_that_failed_counts_only_if_it_has_made_the_job(now: str, keeps: str) -> None:
    """The API server may have refused to change the one that is there."""
    failed, deployed = job(f"{WEB}@{OLD}"), job(f"example.com/web:0@{OLD}")
    ((document_,), (use,)) = (parse(job(now)).documents, parse(job(WEB)).images())
    revisions = UpgradedRevision([deployed, failed])
    found = KeptJobs(parse(job(WEB)), lambda: revisions, lambda _: document_.objects()[0]).digests([use])
    assert list(found.wanted.values()) == ([keeps] if keeps else [])


def test_a_revision_that_failed_counts_for_all_containers_of_a_job_or_for_none() -> None:
    side = "example.com/side:1"
    new, failed = (job(WEB, side=side), job(f"{WEB}@{OLD}", side=f"{side}@{OLD}"))
    deployed = job(f"example.com/web:0@{OLD}", side=f"{side}@{OLD}")
    (live,) = parse(deployed).documents[0].objects()
    revisions, uses = UpgradedRevision([deployed, failed]), parse(new).images()
    assert len(uses) == 2
    assert KeptJobs(parse(new), lambda: revisions, lambda _: live).digests(uses).wanted == {}
    (made,) = parse(failed).documents[0].objects()
    assert len(KeptJobs(parse(new), lambda: revisions, lambda _: made).digests(uses).wanted) == 2


@pytest.mark.parametrize("has_run", [True, False])
def test_a_first_revision_that_failed_may_not_have_made_the_job_either(has_run: bool) -> None:
    """An earlier attempt has made it, with another tag."""
    (live,) = parse(job(f"example.com/web:0@{OLD}")).documents[0].objects()
    revisions = UpgradedRevision([job(f"{WEB}@{NEW}")], has_run=has_run)
    found = KeptJobs(parse(job(WEB)), lambda: revisions, lambda _: live).digests(parse(job(WEB)).images())
    assert list(found.wanted.values()) == ([NEW] if has_run else [])


@pytest.mark.parametrize(("now", "keeps"), [(NEW, NEW), (OLD, "")])
def test_where_the_chart_leaves_the_tag_out_the_records_tell(now: str, keeps: str) -> None:
    (document_,) = parse(job(f"example.com/web@{now}")).documents
    (use,) = parse(job(WEB)).images()
    revisions = UpgradedRevision(
        [job(f"example.com/web@{OLD}", more=", args: [x]"), job(f"example.com/web@{NEW}")],
        frozenset({(WEB, NEW), ("example.com/web:0", OLD)}),
    )
    found = KeptJobs(parse(job(WEB)), lambda: revisions, lambda _: document_.objects()[0]).digests([use])
    assert list(found.wanted.values()) == ([keeps] if keeps else [])


# -- what is kept -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plain", "stored"),
    [
        (job(WEB), job(f"{WEB}@{OLD}")),
        (job("web"), job(f"web:latest@{OLD}")),
        (job("web:latest"), job(f"web:latest@{OLD}")),
        (
            job(WEB, metadata="annotations: {checksum/a: x}"),
            job(f"{WEB}@{OLD}", metadata="annotations: {checksum/a: y}"),
        ),
        (
            job(WEB, metadata="annotations: {checksum/a: []}"),
            job(f"{WEB}@{OLD}", metadata="annotations: {checksum/a: y}"),
        ),
        (job(WEB) + job("other:1", name="x"), job(f"{WEB}@{OLD}")),
        (job(WEB), job("other:1", name="x") + job(f"{WEB}@{OLD}")),
        (job(WEB, more=", args: [--a, 1]"), job(f"{WEB}@{OLD}", more=", args: [--a, 1]")),
    ],
)
def test_a_job_that_plain_helm_would_not_change_keeps_its_digest(plain: str, stored: str) -> None:
    found = kept(plain, stored)
    assert list(found.wanted.values()) == [OLD]
    assert list(found.jobs.values()) == ["Job/migrate"]


@pytest.mark.parametrize(("now", "digest"), [(f"{WEB}@{NEW}", NEW), (f"{WEB}@{OLD}", OLD), ("other:2", OLD)])
def test_the_digest_is_that_of_the_live_job(now: str, digest: str) -> None:
    """A revision that failed may have made it again. The API server adds fields, and a webhook containers."""
    more = ", args: ['--image=%s']"
    (document_,) = parse(job(now, more=more % now + ", tty: false", side="proxy:1")).documents
    (live,) = document_.objects()
    plain, stored = job(WEB, more=more % WEB), job(f"{WEB}@{OLD}", more=more % f"{WEB}@{OLD}")
    found = KeptJobs(parse(plain), lambda: UpgradedRevision([stored], frozenset()), lambda _: live)
    made = found.digests(parse(plain).images())
    assert list(made.wanted.values()) == [digest]
    ((follower,),) = made.followers.values()
    assert follower.digest == digest
    (use,) = parse(plain).images()
    planned = [plan_of(use)]
    pinned = parse(job(f"{WEB}@{digest}", more=more % f"{WEB}@{digest}"))
    assert found.checked(planned, pinned) == planned


@pytest.mark.parametrize("deployed", ["", job("other:1"), job(WEB.replace(":1", ":2"))])
def test_a_job_that_a_failed_revision_has_made_is_kept_too(deployed: str) -> None:
    """The deployed revision has none, or another one."""
    plain, failed = job(WEB), [job(f"{WEB}@{OLD}"), job(f"other:1@{NEW}")]
    made = KeptJobs(parse(plain), lambda: UpgradedRevision([deployed, *failed]), lambda item: item)
    assert list(made.digests(parse(plain).images()).wanted.values()) == [OLD]


def test_a_live_job_that_runs_by_tag_is_refused() -> None:
    """Whatever the stored revision says: its pod template cannot change."""
    (live,) = parse(job(WEB)).documents[0].objects()
    stored = job(f"{WEB}@{OLD}")
    made = KeptJobs(parse(job(WEB)), lambda: UpgradedRevision([stored], frozenset()), lambda _: live)
    assert "runs it by tag" in made.digests(parse(job(WEB)).images()).problems[WEB].text


def test_what_follows_the_image_of_a_job_keeps_its_digest_too() -> None:
    """Whichever reference it is, and however often it stands in one text."""
    more = ", args: [--a, '{0} x {0}', {1}], env: [{{name: I, value: '{0}'}}, {{name: J, value: z}}]"
    side = "example.com/side:2"
    plain = job(WEB, more=more.format(WEB, side), side=side)
    stored = job(f"{WEB}@{OLD}", more=more.format(f"{WEB}@{OLD}", f"{side}@{NEW}"), side=f"{side}@{NEW}")
    for followers in kept(plain, stored).followers.values():
        assert [(place.path[4:], place.image, nth, digest) for place, nth, digest in followers] == [
            ((0, "args", 1), WEB, 0, OLD),
            ((0, "args", 1), WEB, 1, OLD),
            ((0, "args", 2), side, 0, NEW),
            ((0, "env", 0, "value"), WEB, 0, OLD),
        ]


@pytest.mark.parametrize(
    "stored",
    [
        job(f"example.com/web:2@{OLD}"),
        job(f"example.com/other:1@{OLD}"),
        job(f"{WEB}@{OLD}", more=", args: [x]"),
        job(f"{WEB}@{OLD}", more=", args: []"),
        job(f"{WEB}@{OLD}", metadata="labels: {a: b}"),
        job(f"{WEB}@{OLD}", side="x:1"),
        job(f"{WEB}@{OLD}", name="other"),
        job(f"{WEB}@{OLD}").replace("kind: Job", "kind: CronJob"),
        job(f"{WEB}@{OLD}").replace("batch/v1", "batch.volcano.sh/v1alpha1"),
        "",
    ],
)
def test_a_job_that_plain_helm_would_change_or_make_is_pinned_anew(stored: str) -> None:
    assert digests(job(WEB), stored) == []


@pytest.mark.parametrize("place", ["template: {spec: POD}", "spec: [POD]"])
def test_a_job_without_a_spec_keeps_nothing(place: str) -> None:
    text = f"apiVersion: batch/v1\nkind: Job\nmetadata: {{name: migrate}}\n{place}\n"
    plain, stored = (
        document(text.replace("POD", f"{{containers: [{{name: a, image: '{image}'}}]}}"), SOURCE)
        for image in (WEB, f"{WEB}@{OLD}")
    )
    assert [use.image for use in parse(plain).images()] == [WEB]
    assert digests(plain, stored) == []


SHAPES = ("text", "1", "true", "null", "[1]", "[a]", "[a, b]", "{a: b}", "{a: c}", "{}", "[]")


@pytest.mark.parametrize("old", SHAPES)
@pytest.mark.parametrize("new", SHAPES)
def test_only_a_template_of_the_same_shape_is_the_same(new: str, old: str) -> None:
    plain, stored = job(WEB, more=f", x: {new}"), job(f"{WEB}@{OLD}", more=f", x: {old}")
    assert digests(plain, stored) == [OLD] * (new == old)


def test_a_job_that_is_not_there_any_more_is_pinned_anew() -> None:
    assert digests(job(WEB), job(f"{WEB}@{OLD}"), live=False) == []


def test_hooks_are_made_anew_each_time() -> None:
    hook = "kind: Job\nmetadata: {annotations: {helm.sh/hook: test}, "
    plain, stored = (text.replace("kind: Job\nmetadata: {", hook) for text in (job(WEB), job(f"{WEB}@{OLD}")))
    assert digests(plain, stored) == []


def test_what_is_stored_is_read_only_where_there_is_a_job() -> None:
    def read() -> UpgradedRevision:
        raise AssertionError("nothing has to be read")

    plain = parse(document(f"kind: Pod\nspec: {{containers: [{{image: '{WEB}'}}]}}\n"))
    assert KeptJobs(plain, read, lambda item: item).digests(plain.images()) == JobDigests({}, {}, {})


def test_each_container_keeps_its_own() -> None:
    assert digests(job(WEB, side="x:1"), job(f"{WEB}@{OLD}", side=f"x:1@{NEW}")) == [OLD, NEW]


def test_jobs_in_a_list() -> None:
    def listed(text: str) -> str:
        return document(
            "kind: List\nitems:\n- " + text.partition(".yaml\n")[2].replace("\n", "\n  ").strip() + "\n", SOURCE
        )

    assert digests(listed(job(WEB)), listed(job(f"{WEB}@{OLD}"))) == [OLD]


# -- a digest without its tag -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "recorded", "same"),
    [
        (WEB, (("example.com/web:1", OLD),), True),
        ("example.com/web:2", (("example.com/web:1", OLD),), False),
        (WEB, (("example.com/web:1", NEW),), False),
        (WEB, (("example.com/other:1", OLD),), False),
        (WEB, (), False),
        ("web", (("docker.io/library/web:latest", OLD),), True),
    ],
)
def test_where_the_chart_leaves_the_tag_out_the_record_says_which_it_was(
    image: str, recorded: tuple[tuple[str, str], ...], same: bool
) -> None:
    """A Job that ran 1 by digest must not run it as 2."""
    stored = job(f"{image.partition(':')[0]}@{OLD}")
    assert digests(job(image), stored, references=recorded) == [OLD] * same


# -- what cannot be pinned ----------------------------------------------------------------------------------------------


def test_a_job_that_runs_by_tag_cannot_get_a_digest() -> None:
    found = kept(job(WEB), job(WEB))
    assert found.wanted == {}
    problem = found.problems[WEB]
    assert problem.kind == "refused" and "Job/migrate" in problem.text
    assert "(kubectl delete job migrate)" in problem.hint and f"--allow-unpinned {WEB}" in problem.hint


@pytest.mark.parametrize("own", ["", "of-its-own"])
def test_the_job_to_delete_is_the_one_in_its_namespace(own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, the command would delete a Job of that name in another namespace."""
    monkeypatch.setenv("HELM_NAMESPACE", "jobs")
    text = job(WEB).replace("{name: migrate}", f"{{name: migrate, namespace: '{own}'}}")
    hint = kept(text, text).problems[WEB].hint
    assert f"(kubectl delete job migrate --namespace {own or 'jobs'})" in hint


def test_the_command_to_delete_it_is_of_one_word() -> None:
    """A chart's name must not add a command to one that people paste."""
    text = job(WEB).replace("{name: migrate}", "{name: 'x; reboot'}")
    assert "(kubectl delete job 'x; reboot')" in kept(text, text).problems[WEB].hint


@pytest.mark.parametrize(("locked", "refused"), [({WEB: NEW}, True), ({WEB: OLD}, False), ({}, False)])
def test_where_every_digest_comes_from_a_lock_a_job_keeps_no_other(locked: dict[str, str], refused: bool) -> None:
    [use] = parse(job(WEB)).images()
    found = jobs(job(WEB), job(f"{WEB}@{OLD}")).digests([use], Locked(locked, "l.yaml", relock=lambda: "write l.yaml"))
    assert list(found.wanted.values()) == ([] if refused else [OLD])
    assert list(found.problems) == ([WEB] if refused else [])
    if refused:
        problem = found.problems[WEB]
        assert "(kubectl delete job migrate)" in problem.hint
        assert f"Job/migrate exists already and runs it at {OLD}, l.yaml has {NEW}" in problem.text
        assert problem.hint.endswith("or rename it\nor write l.yaml")


def test_a_new_lock_does_not_help_where_something_else_uses_the_image() -> None:
    plain = f"{job(WEB)}---\n{job(WEB).replace('kind: Job', 'kind: CronJob')}"
    uses = parse(plain).images()
    found = jobs(plain, job(f"{WEB}@{OLD}")).digests(uses, Locked({WEB: NEW}, "l.yaml", relock=lambda: "write l.yaml"))
    assert "write l.yaml" not in found.problems[WEB].hint


def test_a_job_may_keep_what_the_release_of_the_lock_keeps() -> None:
    [use] = parse(job(WEB)).images()
    locked = Locked({WEB: NEW}, "release:shop/web", {WEB: {OLD}})
    found = jobs(job(WEB), job(f"{WEB}@{OLD}")).digests([use], locked)
    assert (list(found.wanted.values()), found.problems) == ([OLD], {})


def plan_of(use: ImageUse) -> ImagePlan:
    empty: Mapping[str, Any] = {"problem": None, "set_by": (), "followers": (), "by_values_alone": False}
    return ImagePlan(
        image=use.image, reference=None, digest=OLD, media_type="", mutable=None, via="template", strategy="", values=(),
        uses=(use,), notes=(), **empty,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pinned", "refused"),
    [
        (job(f"{WEB}@{OLD}"), False),
        (job(f"{WEB}@{OLD}", more=", args: [x]"), True),
        (job(f"{WEB}@{NEW}"), True),
        ("", True),
    ],
)
def test_a_job_whose_template_would_change_all_the_same_is_refused(pinned: str, refused: bool) -> None:
    found = jobs(job(WEB), job(f"{WEB}@{OLD}"))
    (use,) = parse(job(WEB)).images()
    found.digests([use])
    (plan,) = found.checked([plan_of(use)], parse(pinned))
    assert (plan.problem is not None) is refused
    if plan.problem:
        assert "Job/migrate" in plan.problem.text and "(kubectl delete job migrate)" in plan.problem.hint


def test_other_images_are_not_refused_with_it() -> None:
    found = jobs(job(WEB), job(f"{WEB}@{OLD}"))
    (use,) = parse(job(WEB)).images()
    found.digests([use])
    elsewhere = plan_of(use._replace(source="app/templates/other.yaml", kind="Pod"))
    assert found.checked([elsewhere], parse("")) == [elsewhere]


def test_another_job_than_kubernetes_own_is_pinned_anew() -> None:
    """One of Volcano, whose pods are in tasks."""
    text = (
        "apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nmetadata: {name: train}\n"
        "spec: {tasks: [{template: {spec: {containers: [{name: a, image: 'IMAGE'}]}}}]}\n"
    )
    plain, stored = (document(text.replace("IMAGE", image), SOURCE) for image in (WEB, f"{WEB}@{OLD}"))
    assert [use.image for use in parse(plain).images()] == [WEB]
    assert kept(plain, stored) == JobDigests({}, {}, {})
