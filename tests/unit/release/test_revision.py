"""A stored revision beside its record: what differs is told, and nothing that agrees is."""

from __future__ import annotations

import pytest

from helmpin.errors import HelmFailed, VerificationFailed
from helmpin.release import record_checks
from helmpin.release.record import Image, Record
from helmpin.release.record_checks import from_manifest, hosts
from helmpin.release.revision import Revision, checked_record, disagreements, images_of

A, B, C = ("sha256:" + letter * 64 for letter in "abc")
WEB = Image("docker.io/library/web:1", "web:1", A, "application/vnd.oci.image.index.v1+json", "values", ("image.tag",))
MIGRATE = Image(
    "example.com/migrate:2", "example.com/migrate:2", B, "application/vnd.oci.image.manifest.v1+json", "template"
)
RECORD = Record("helm-pin 1.0.0", "2026-01-02T03:04:05Z", (WEB, MIGRATE))
MANIFEST = """\
---
# Source: shop/templates/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      containers:
        - {name: app, image: "IMAGE"}
"""
HOOK = """
---
# Source: shop/templates/migrate.yaml
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec: {template: {spec: {containers: [{name: migrate, image: "IMAGE"}]}}}
"""


def stored(image: str = f"web:1@{A}", hook: str = f"example.com/migrate:2@{B}", record: str | None = None) -> Revision:
    text = RECORD.to_json() if record is None else record
    return Revision("shop", 3, "deployed", text, MANIFEST.replace("IMAGE", image), HOOK.replace("IMAGE", hook))


def test_all_agree() -> None:
    assert disagreements(RECORD, stored()) == []
    assert checked_record(stored(), RECORD) == RECORD


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("web:1", "Deployment/web container app, in shop/templates/deployment.yaml: web:1 has no digest"),
        (f"web:1@{C}", f"web:1@{C} is not in the record"),
        (f"web:1@{B}", f"web:1@{B}: its digest is recorded for example.com/migrate:2"),
        (f"web@{B}", f"web@{B}: its digest is recorded for example.com/migrate:2"),
        (f"other:1@{A}", f"other:1@{A}: its digest is recorded for docker.io/library/web:1"),
        (f"web:2@{A}", f"web:2@{A}: its digest is recorded for docker.io/library/web:1"),
        (f"example.com/web:1@{A}", f"example.com/web:1@{A}: its digest is recorded for docker.io/library/web:1"),
    ],
)
def test_an_image_that_is_not_as_recorded(image: str, told: str) -> None:
    lines = disagreements(RECORD, stored(image))
    assert any(told in line for line in lines), lines


def test_a_hook_counts() -> None:
    (line, unused) = disagreements(RECORD, stored(hook="example.com/migrate:2"))
    assert line.startswith("Job/migrate container migrate")
    assert unused == f"example.com/migrate:2: its recorded digest {B} is not used"


def test_a_recorded_digest_that_nothing_uses() -> None:
    assert disagreements(RECORD, stored()._replace(hooks="")) == [
        f"example.com/migrate:2: its recorded digest {B} is not used"
    ]


def test_an_image_that_was_pinned_outside_a_pod_spec() -> None:
    anywhere = f"---\nkind: ConfigMap\ndata: {{sidecar: 'example.com/migrate:2@{B}'}}\n"
    assert disagreements(RECORD, stored()._replace(hooks=anywhere)) == []


def test_an_image_that_was_let_through() -> None:
    record = RECORD._replace(allowed=("auto",), images=(MIGRATE,))
    assert disagreements(record, stored("auto")) == []
    assert len(disagreements(record, stored("auto:2"))) == 1


def test_another_record_than_the_one_deployed() -> None:
    with pytest.raises(VerificationFailed, match="does not match its record") as caught:
        checked_record(stored(), RECORD._replace(created="2026-01-02T03:04:06Z"))
    assert "is not the one that was deployed" in caught.value.why
    assert caught.value.where == ["release shop, revision 3"]


def test_no_record() -> None:
    with pytest.raises(VerificationFailed, match="no digest record") as caught:
        checked_record(stored(record=""))
    assert "helm pin upgrade" in caught.value.hint


def test_a_record_that_was_changed_by_hand() -> None:
    with pytest.raises(VerificationFailed, match="record is not valid") as caught:
        checked_record(stored(record=RECORD.to_json().replace(A, C)))
    assert "the record was edited" in caught.value.why


def test_which_revision_has_an_image() -> None:
    two, four = stored("web:2")._replace(revision=2), stored("web:4")._replace(revision=4, status="failed")
    broken = stored()._replace(
        revision=5, manifest="---\n# Source: shop/templates/pod.yaml\nkind: Pod\nspec: {containers: [{image: x"
    )
    found = images_of([four, broken, two])
    assert found["web:2"] == "as revision 2 (deployed) says"
    assert found["web:4"] == "as revision 4 (failed) says"
    assert found[f"example.com/migrate:2@{B}"] == "as revision 4 (failed) says"


class TestTagsOfOneRepository:
    """web:1 is A and web:2 is C: an image agrees by its whole reference, not by repository and digest."""

    record = Record(
        "helm-pin 1.0.0",
        "2026-01-02T03:04:05Z",
        (WEB, WEB._replace(reference=f"{WEB.reference[:-1]}2", image="web:2", digest=C)),
    )

    def lines(self, first: str, second: str) -> list[str]:
        return disagreements(self.record, stored(first, second, self.record.to_json()))

    def test_as_recorded(self) -> None:
        assert self.lines(f"web:1@{A}", f"web:2@{C}") == []
        assert self.lines(f"docker.io/library/web:1@{A}", f"index.docker.io/web:2@{C}") == []

    def test_their_digests_are_swapped(self) -> None:
        one, two = self.lines(f"web:1@{C}", f"web:2@{A}")
        assert f"web:1@{C}: its digest is recorded for docker.io/library/web:2" in one
        assert f"web:2@{A}: its digest is recorded for docker.io/library/web:1" in two

    def test_a_template_may_leave_the_tag_out(self) -> None:
        assert self.lines(f"web@{C}", f"web@{A}") == []

    def test_an_untagged_image_is_latest(self) -> None:
        record = self.record._replace(images=(WEB._replace(reference="docker.io/library/web:latest", image="web"),))
        for image in (f"web:latest@{A}", f"web@{A}"):
            assert disagreements(record, stored(image, image)) == []
        assert disagreements(record, stored(f"web:1@{A}", f"web:latest@{A}")) != []

    def test_what_the_chart_pinned(self) -> None:
        """Without a tag the recorded reference has none."""
        own = Image("example.com/own", f"example.com/own@{C}", C, "", "chart")
        record = self.record._replace(images=(own,))
        assert disagreements(record, stored(f"example.com/own@{C}", f"example.com/own@{C}")) == []
        assert disagreements(record, stored(f"example.com/own:1@{C}", f"example.com/own@{C}")) != []


class TestHosts:
    def test_of_image_uses_and_of_whatever_has_a_digest(self) -> None:
        text = f"data: {{a: '--x=quay.io/a/b:1@{A}', b: 'docker://[::1]:5000/c@{B}', c: evil.example/x:1}}\n"
        assert hosts(["web:1", "not an image"], text) == {"docker.io", "quay.io", "[::1]:5000"}

    def test_a_long_text_is_no_reference(self) -> None:
        """And reading it takes no time to speak of."""
        assert hosts([], f"{'x' * 2_000_000}@{A}" * 3) == set()

    def test_a_record_that_names_another_host(self) -> None:
        evil = Image("evil.example/web:1", "evil.example/web:1", A, "", "values")
        record = RECORD._replace(images=(*RECORD.images, evil))
        assert disagreements(record, stored()) == ["evil.example/web:1: no image of the release is at evil.example"]


class TestFollowers:
    """web:1 is also in a config map, which got its digest."""

    place = "ConfigMap/settings data.image"
    record = RECORD._replace(images=(WEB._replace(followers=(place,)), MIGRATE))

    def lines(self, text: str, name: str = "settings") -> list[str]:
        more = f"---\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{image: '{text}'}}\n"
        made = stored(record=self.record.to_json())
        return disagreements(self.record, made._replace(manifest=made.manifest + more))

    @pytest.mark.parametrize(
        "text", [f"web:1@{A}", f"--image=docker.io/library/web:1@{A} --x", f"a web:1@{A}, b:2@{B}"]
    )
    def test_as_recorded(self, text: str) -> None:
        assert self.lines(text) == []
        assert self.lines(text, "settings-x7f2k") == []  # a name that is random

    @pytest.mark.parametrize(
        ("text", "held"),
        [(f"web:1@{B}", B), (f"web:2@{A}", "no digest"), ("web:1", "no digest"), (f"x:1@{A}", "no digest")],
    )
    def test_another_digest(self, text: str, held: str) -> None:
        assert self.lines(text) == [f"{self.place}: docker.io/library/web:1 has {held}, but {A} is recorded"]


UNREADABLE = {
    "no YAML": "kind: Pod\nspec: {containers: [{image: x",
    "a key that is none": "kind: Pod\n? [a]\n: 1\nspec: {containers: [{name: a, image: x}]}",
    "too deep for libyaml": "image: " + "[" * 200_000,
    "too deep for Python": "image: x\na: " + "[" * 990 + "]" * 990,
    "an integer that is none": "kind: Pod\nn: !!int 0x_\nspec: {containers: [{name: a, image: x}]}",
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_a_manifest_that_cannot_be_read(text: str) -> None:
    broken = stored()._replace(manifest=f"---\n# Source: shop/templates/pod.yaml\n{text}\n")
    for read in (broken.uses, broken.objects):
        with pytest.raises(HelmFailed, match="the stored manifest cannot be read") as caught:
            read()
        assert caught.value.where[0] == "release shop, revision 3"
        assert caught.value.why


@pytest.mark.parametrize("metadata", ["", "metadata: {}", "metadata: [1]", "metadata: {namespace: x}"])
def test_an_object_that_nothing_can_find(metadata: str) -> None:
    broken = stored()._replace(manifest=f"---\nkind: Pod\n{metadata}\nspec: {{containers: [{{name: a, image: x}}]}}\n")
    assert broken.uses()[0].image == "x"
    with pytest.raises(HelmFailed, match="cannot be read") as caught:
        broken.objects()
    assert caught.value.why == "a Pod has no name"


def test_a_revision_with_a_problem_is_not_read() -> None:
    broken = stored()._replace(problem="it unpacks to more than 32 MiB")
    for read in (broken.uses, broken.objects, broken.record):
        with pytest.raises(HelmFailed, match="the stored release cannot be read") as caught:
            read()
        assert caught.value.why == "it unpacks to more than 32 MiB"


class TestRecord:
    def test_one_that_contradicts_itself(self) -> None:
        """Its digest set is that of its images: whoever changed it has made that anew."""
        text = RECORD._replace(images=(WEB._replace(reference="evil.example/web:1"), MIGRATE)).to_json()
        with pytest.raises(VerificationFailed, match="not valid") as caught:
            stored(record=text).record()
        assert caught.value.why == "image web:1 is docker.io/library/web:1, not evil.example/web:1"

    def test_one_that_is_too_long(self) -> None:
        with pytest.raises(VerificationFailed, match="not valid") as caught:
            stored(record=RECORD.to_json() + " " * record_checks.LONGEST).record()
        assert f"more than {record_checks.LONGEST:,}" in caught.value.why

    def test_a_newer_one(self) -> None:
        text = RECORD.to_json().replace('"version":1', '"version":2').replace("1.0.0", "9.0.0")
        with pytest.raises(VerificationFailed, match="not valid") as caught:
            stored(record=text).record()
        assert caught.value.hint == "use the helm-pin that wrote it (helm-pin 9.0.0), or a later one"


class TestFromManifest:
    def test_every_image_by_digest(self) -> None:
        found = from_manifest(stored(f"web@{A}").uses())
        assert found
        assert [(i.reference, i.image, i.digest, i.via) for i in found.images] == [
            ("docker.io/library/web", f"web@{A}", A, "chart"),
            ("example.com/migrate:2", f"example.com/migrate:2@{B}", B, "chart"),
        ]
        assert disagreements(found, stored(f"web@{A}")) == []

    @pytest.mark.parametrize("image", ["web:1", "not an image", f"web:1@{A[:-1]}"])
    def test_one_without(self, image: str) -> None:
        assert from_manifest(stored(image).uses()) is None

    def test_no_images(self) -> None:
        assert from_manifest([]) is None
