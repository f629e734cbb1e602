"""Texts beside an image, one for each chart: each is a whole reference with a tag, and may follow, or it stays.

Which is which, tests/unit/render/test_texts.py has.
"""

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
    "followed by -debug": f"{REF}-debug",
    "preceded by my": f"my{REF}",
    "another tag": f"{NAME}:9",
    "the name": NAME,
    "hashed": '{{ printf "%s:%s" .Values.image.repository .Values.image.tag | sha256sum }}',
}
MAY_FOLLOW = {"json": f'{{\\"image\\":\\"{REF}\\"}}', "in prose": f"run {REF}, then (or) {REF}; wait"}
POD = "spec: {containers: [{name: web, image: IMAGE MORE}]}"
PLACES = {
    "env": POD.replace(" MORE", ", env: [{name: A, value: TEXT}]"),
    "argument": POD.replace(" MORE", ", args: [TEXT]"),
    "data": POD.replace(" MORE", "") + "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: TEXT}",
    "custom": POD.replace(" MORE", "")
    + "\n---\napiVersion: x.io/v1\nkind: X\nmetadata: {name: x}\nspec: {image: TEXT}",
    "comment": POD.replace(" MORE", "") + "\n# TEXT",
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


@pytest.mark.parametrize(("place", "text"), [("argument", TAG), ("data", f"{REF}-debug"), ("custom", f"my{REF}")])
def test_a_text_that_stays_elsewhere(place: str, text: str, promise: Promise, tmp_path: Path) -> None:
    found = promise.holds(chart(tmp_path, text, PLACES[place]))
    assert found is not None and found.followed == []


@pytest.mark.parametrize("text", MAY_FOLLOW.values(), ids=MAY_FOLLOW)
def test_a_text_that_may_follow(text: str, promise: Promise, tmp_path: Path) -> None:
    assert promise.holds(chart(tmp_path, text, PLACES["env"]))


@pytest.mark.parametrize("place", ["argument", "data", "custom"])
def test_a_reference_that_may_follow_elsewhere(place: str, promise: Promise, tmp_path: Path) -> None:
    assert promise.holds(chart(tmp_path, REF, PLACES[place]))


def test_metadata_stays(promise: Promise, tmp_path: Path) -> None:
    found = promise.holds(chart(tmp_path, REF, PLACES["env"].replace("TEXT", "x"), "annotations: {image: TEXT}"))
    assert found is not None and found.followed == []


@pytest.mark.parametrize("text", [REF, f"{REF}-debug"])
def test_a_comment_stays(text: str, promise: Promise, tmp_path: Path) -> None:
    found = promise.holds(chart(tmp_path, text, PLACES["comment"]))
    assert found is not None and found.followed == []
