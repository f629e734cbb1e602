"""A stored revision beside its record: what differs is told, and nothing that agrees is."""

from __future__ import annotations

import pytest

from helmpin.errors import VerificationFailed
from helmpin.pin.digestset import DigestSet, Image
from helmpin.pin.release import Stored, check, disagreements, images_of

A, B, C = ("sha256:" + letter * 64 for letter in "abc")
WEB = Image("docker.io/library/web:1", "web:1", A, "application/vnd.oci.image.index.v1+json", "values", ("image.tag",))
MIGRATE = Image(
    "example.com/migrate:2", "example.com/migrate:2", B, "application/vnd.oci.image.manifest.v1+json", "template"
)
RECORD = DigestSet("helm-pin 1.0.0", "2026-01-02T03:04:05Z", (WEB, MIGRATE))
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


def stored(image: str = f"web:1@{A}", hook: str = f"example.com/migrate:2@{B}", record: str | None = None) -> Stored:
    text = RECORD.to_json() if record is None else record
    return Stored("shop", 3, "deployed", text, MANIFEST.replace("IMAGE", image), HOOK.replace("IMAGE", hook))


def test_all_agree() -> None:
    assert disagreements(RECORD, stored()) == []
    assert check(stored(), RECORD) == RECORD


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("web:1", "Deployment/web container app, in shop/templates/deployment.yaml: web:1 has no digest"),
        (f"web:1@{C}", f"web:1@{C} is not in the record"),
        (f"web:1@{B}", f"web:1@{B} is recorded for another repository"),
        (f"other:1@{A}", f"other:1@{A} is recorded for another repository"),
    ],
)
def test_an_image_that_is_not_as_recorded(image: str, told: str) -> None:
    lines = disagreements(RECORD, stored(image))
    assert any(told in line for line in lines), lines


def test_a_hook_counts() -> None:
    (line, unused) = disagreements(RECORD, stored(hook="example.com/migrate:2"))
    assert line.startswith("Job/migrate container migrate")
    assert unused == f"example.com/migrate:2: its recorded digest {B} is used nowhere"


def test_a_recorded_digest_that_nothing_uses() -> None:
    assert disagreements(RECORD, stored()._replace(hooks="")) == [
        f"example.com/migrate:2: its recorded digest {B} is used nowhere"
    ]


def test_an_image_that_was_pinned_outside_a_pod_spec() -> None:
    anywhere = f"---\nkind: ConfigMap\ndata: {{sidecar: 'example.com/migrate:2@{B}'}}\n"
    assert disagreements(RECORD, stored()._replace(hooks=anywhere)) == []


def test_an_image_that_was_let_through() -> None:
    record = RECORD._replace(allowed=("auto",), images=(MIGRATE,))
    assert disagreements(record, stored("auto")) == []
    assert len(disagreements(record, stored("auto:2"))) == 1


def test_another_record_than_the_one_deployed() -> None:
    with pytest.raises(VerificationFailed, match="not what its record says") as caught:
        check(stored(), RECORD._replace(created="2026-01-02T03:04:06Z"))
    assert "is not the one that was deployed" in caught.value.why
    assert caught.value.where == ["release shop, revision 3"]


def test_no_record() -> None:
    with pytest.raises(VerificationFailed, match="no digest record") as caught:
        check(stored(record=""))
    assert "helm pin upgrade" in caught.value.todo


def test_a_record_that_was_changed_by_hand() -> None:
    with pytest.raises(VerificationFailed, match="record is not valid") as caught:
        check(stored(record=RECORD.to_json().replace(A, C)))
    assert "changed by hand" in caught.value.why


def test_which_revision_has_an_image() -> None:
    two, four = stored("web:2")._replace(revision=2), stored("web:4")._replace(revision=4, status="failed")
    broken = stored()._replace(
        revision=5, manifest="---\n# Source: shop/templates/pod.yaml\nkind: Pod\nspec: {containers: [{image: x"
    )
    found = images_of([four, broken, two])
    assert found["web:2"] == "as revision 2 (deployed) says"
    assert found["web:4"] == "as revision 4 (failed) says"
    assert found[f"example.com/migrate:2@{B}"] == "as revision 4 (failed) says"
