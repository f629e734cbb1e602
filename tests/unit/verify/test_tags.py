"""Which tags have moved, and the tags that keep digests."""

from __future__ import annotations

import pytest

from helmpin.image.reference import Reference
from helmpin.registry import RegistryError, Resolved
from helmpin.release.record import Image, Record
from helmpin.release.revision import Revision
from helmpin.verify.tags import Moved, Tag, keep_prefix, keep_tag, moved, tags
from tests.support.renders import document, pod

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
WEB = Reference.parse("quay.io/t/web:main")
WHEN = "2026-11-26T00:30:47Z"


def image(digest: str = A, via: str = "values", source: str = "", reference: str = str(WEB)) -> Image:
    return Image(reference, reference, digest, "", via, source=source)


def named(*images: Image, created: str = WHEN) -> list[Tag]:
    """The tags of a record of these images."""
    manifest = "".join(f"image: {each.reference}@{each.digest}\n" for each in images)
    stored = Revision("app", 1, "deployed", "", manifest, "")
    return tags(Record("", created, images), stored, [f"{each.reference}@{each.digest}" for each in images])


def test_the_tags_of_a_record() -> None:
    assert named(image()) == [Tag(WEB, (A,), WHEN)]
    assert named(image(), image(B)) == [Tag(WEB, (A, B), WHEN)]
    assert named(image(source="lock")) == [Tag(WEB, (A,), "")]
    assert named(image(reference="quay.io/t/web")) == []


@pytest.mark.parametrize(("of_job", "order"), [(A, (B, A)), (B, (A, B))])
def test_what_only_a_job_keeps_comes_last(of_job: str, order: tuple[str, str]) -> None:
    job = document(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate}\n"
        f"spec: {{template: {{spec: {{containers: [{{name: a, image: '{WEB}@{of_job}'}}]}}}}}}\n"
    )
    manifest = job + pod(f"{WEB}@{A if of_job == B else B}")
    stored = Revision("app", 1, "deployed", "", manifest, "")
    (found,) = tags(Record("", WHEN, (image(), image(B))), stored, [f"{WEB}@{A}", f"{WEB}@{B}"])
    assert (found.digests, found.since) == (order, WHEN)
    (alone,) = tags(Record("", WHEN, (image(of_job),)), stored._replace(manifest=job), [f"{WEB}@{of_job}"])
    assert (alone.digests, alone.since) == ((of_job,), "")
    hook = job.replace("{name: migrate}", "{name: migrate, annotations: {helm.sh/hook: pre-upgrade}}")
    both = stored._replace(manifest=job.replace(of_job, C), hooks=hook)
    (anew,) = tags(Record("", WHEN, (image(of_job),)), both, [f"{WEB}@{of_job}"])
    assert anew.since == WHEN


def test_what_the_chart_pins_counts_only_without_a_record() -> None:
    assert named(image(via="chart")) == []
    assert named(image(via="chart"), created="") == [Tag(WEB, (A,), "")]


def test_a_record_sends_nobody_elsewhere() -> None:
    stored = Revision("app", 1, "deployed", "", "", "")
    assert tags(Record("", WHEN, (image(),)), stored, ["ghcr.io/t/web:main"]) == []


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (Resolved(A, ""), []),
        (Resolved(B, ""), []),
        (Resolved(C, ""), [Moved(str(WEB), A, C, WHEN)]),
        (RegistryError(WEB, "not-found", "no such tag"), [Moved(str(WEB), A, "", WHEN)]),
        (RegistryError(WEB, "timeout", "too slow"), []),
        (None, []),
    ],
)
def test_moved(answer: object, found: list[Moved]) -> None:
    assert moved([Tag(WEB, (A, B), WHEN)], {WEB: answer}) == found


def test_for_people() -> None:
    assert Moved(str(WEB), A, C, WHEN).text == f"{WEB} has moved since {WHEN}: it points to {C} now"
    assert Moved(str(WEB), A, C, "").text == f"{WEB} has moved since: it points to {C} now"
    assert Moved(str(WEB), A, "", "").text == f"{WEB} is gone"


def test_a_tag_that_keeps() -> None:
    tag = keep_tag("web.v2", "prod", A)
    assert tag == f"keep-web.v2_prod_{'a' * 16}"
    assert tag.startswith(keep_prefix("web.v2", "prod"))
    assert not keep_tag("a-b", "c", A).startswith(keep_prefix("a", "b-c"))
    longest = keep_tag("r" * 53, "n" * 63, A)
    assert str(Reference.parse(f"quay.io/t/web:{longest}")).endswith(longest)
    assert not longest.startswith(keep_prefix("r" * 53, "n" * 62))
    assert Moved(str(WEB), A, C, "").kept_by("web", "prod") == WEB._replace(tag=keep_tag("web", "prod", A))
