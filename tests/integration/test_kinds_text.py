"""Texts beside an image, one for each chart: each is a whole reference with a tag, and may follow, or it stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.any_tag import AnyTag, any_tag
from tests.support.promise import Promise
from tests.support.twins import written
from tests.support.workstation import Workstation, whichever_helm

pytestmark = whichever_helm

NAME, TAG = "{{ .Values.image.repository }}", "{{ .Values.image.tag }}"
REF = f"{NAME}:{TAG}"
STAY = {
    **{f"followed by {text}": REF + text for text in ("-debug", ".1", "_x", "x", "/bin", ":8080", "@x")},
    **{
        f"preceded by {text}": text + REF
        for text in ("my", "x/", "other.example/", "x.", "x-", "x_", "1", "user@", "host:")
    },
    "another tag": f"{NAME}:9",
    "the tag": TAG,
    "the tag in a text": f"v{TAG}-x",
    "the name": NAME,
    "the last word": "app",
    "name and tag apart": f"{NAME} {TAG}",
    "upper case": "{{ .Values.image.tag | upper }}",
    "cut": '{{ printf "%s:%s" .Values.image.repository .Values.image.tag | trunc 12 }}',
    "hashed": '{{ printf "%s:%s" .Values.image.repository .Values.image.tag | sha256sum }}',
    "a length": '{{ printf "%s:%s" .Values.image.repository .Values.image.tag | len }}',
    "encoded": '{{ printf "%s:%s" .Values.image.repository .Values.image.tag | b64enc }}',
    "as a query": '{{ printf "%s:%s" .Values.image.repository .Values.image.tag | urlquery }}',
}
MAY_FOLLOW = {
    "alone": REF,
    "an argument": f"--image={REF}",
    "two": f"{REF},{REF}",
    "a pair": f"a={REF};b={REF}",
    "quoted": f"'{REF}' or \\\"{REF}\\\"",
    "json": f'{{\\"image\\":\\"{REF}\\"}}',
    "in prose": f"run {REF}, then (or) {REF}; wait",
    "a word beside it": f"{REF} app {REF}",
}
POD = "spec: {containers: [{name: web, image: IMAGE MORE}]}"
PLACES = {
    "env": POD.replace(" MORE", ", env: [{name: A, value: TEXT}]"),
    "argument": POD.replace(" MORE", ", args: [TEXT]"),
    "data": POD.replace(" MORE", "") + "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: TEXT}",
    "custom": POD.replace(" MORE", "")
    + "\n---\napiVersion: x.io/v1\nkind: X\nmetadata: {name: x}\nspec: {image: TEXT}",
    "comment": POD.replace(" MORE", "") + "\n# TEXT",
}
NEVER = {
    "label": "labels: {a: TEXT}",
    "annotation": "annotations: {image: TEXT}",
    "namespace": "namespace: TEXT",
    "owner": "ownerReferences: [{kind: X, name: TEXT}]",
    "finalizer": "finalizers: [TEXT]",
}


@pytest.fixture(scope="module")
def content() -> Iterator[AnyTag]:
    """What every registry holds."""
    with any_tag() as started:
        yield started


@pytest.fixture
def promise(workstation: Workstation, content: AnyTag) -> Promise:
    """The promise, on Helm 3, then on Helm 4."""
    return Promise(workstation, content)


def chart(folder: Path, text: str, place: str, metadata: str = "labels: {}") -> Path:
    """A chart of one pod, with a text in one place."""
    pod = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: web, {metadata}}}\n{place}\n"
    quoted = f'"{text}"' if "# TEXT" not in place else text
    pod = pod.replace("IMAGE", f'"{REF}"').replace("TEXT", quoted)
    values = "image: {repository: example.com/team/app, tag: v1.25}\n"
    return written(folder / "chart", {"values.yaml": values, "templates/pod.yaml": pod})


@pytest.mark.parametrize("text", STAY.values(), ids=STAY)
def test_a_text_that_stays(text: str, promise: Promise, tmp_path: Path) -> None:
    found = promise.holds(chart(tmp_path, text, PLACES["env"]))
    assert found is not None and found.followed == []


@pytest.mark.parametrize("place", ["argument", "data", "custom"])
@pytest.mark.parametrize("text", [f"{REF}-debug", f"my{REF}", TAG])
def test_a_text_that_stays_elsewhere(text: str, place: str, promise: Promise, tmp_path: Path) -> None:
    found = promise.holds(chart(tmp_path, text, PLACES[place]))
    assert found is not None and found.followed == []


@pytest.mark.parametrize("text", MAY_FOLLOW.values(), ids=MAY_FOLLOW)
def test_a_text_that_may_follow(text: str, promise: Promise, tmp_path: Path) -> None:
    assert promise.holds(chart(tmp_path, text, PLACES["env"]))


@pytest.mark.parametrize("place", ["argument", "data", "custom"])
def test_a_reference_that_may_follow_elsewhere(place: str, promise: Promise, tmp_path: Path) -> None:
    assert promise.holds(chart(tmp_path, REF, PLACES[place]))


@pytest.mark.parametrize("metadata", NEVER.values(), ids=NEVER)
def test_metadata_stays(metadata: str, promise: Promise, tmp_path: Path) -> None:
    found = promise.holds(chart(tmp_path, REF, PLACES["env"].replace("TEXT", "x"), metadata))
    assert found is not None and found.followed == []


@pytest.mark.parametrize("text", [REF, f"{REF}-debug", f"my{REF}", TAG])
def test_a_comment_stays(text: str, promise: Promise, tmp_path: Path) -> None:
    found = promise.holds(chart(tmp_path, text, PLACES["comment"]))
    assert found is not None and found.followed == []
