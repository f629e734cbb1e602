"""Texts beside an image, one for each chart: each is a whole reference with a tag, and may follow, or it stays.

Which is which, tests/unit/render/test_texts.py has.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.promise import Promise
from tests.support.twins import written
from tests.support.workstation import whichever_helm

pytestmark = whichever_helm

NAME, TAG = "{{ .Values.image.repository }}", "{{ .Values.image.tag }}"
REF = f"{NAME}:{TAG}"
STAY = {
    "followed by -debug": [f"{REF}-debug"],
    "another tag, and the name": [f"{NAME}:9", NAME],
    "hashed": ['{{ printf "%s:%s" .Values.image.repository .Values.image.tag | sha256sum }}'],
}
MAY_FOLLOW = [f'{{\\"image\\":\\"{REF}\\"}}', f"run {REF}, then (or) {REF}; wait"]
POD = "spec: {containers: [{name: web, image: IMAGE MORE}]}"
DATA = "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: TEXT}"
CUSTOM = "\n---\napiVersion: x.io/v1\nkind: X\nmetadata: {name: x}\nspec: {image: TEXT}"
PLACES = {
    "argument": POD.replace(" MORE", ", args: [TEXT]"),
    "data": POD.replace(" MORE", "") + DATA,
    "custom": POD.replace(" MORE", "") + CUSTOM,
    "comment": POD.replace(" MORE", "") + "\n# TEXT",
}


def chart(folder: Path, text: str, place: str, metadata: str = "labels: {}") -> Path:
    """A chart of one pod, with a text in one place."""
    pod = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: web, {metadata}}}\n{place}\n"
    quoted = f'"{text}"' if "# TEXT" not in place else text
    pod = pod.replace("IMAGE", f'"{REF}"').replace("TEXT", quoted)
    values = "image: {repository: example.com/team/app, tag: v1.25}\n"
    return written(folder / "chart", {"values.yaml": values, "templates/pod.yaml": pod})


def variables(*texts: str) -> str:
    """A pod whose container has these texts in its environment."""
    env = ", ".join(f'{{name: A{n}, value: "{text}"}}' for n, text in enumerate(texts))
    return POD.replace(" MORE", f", env: [{env}]")


@pytest.mark.parametrize("texts", STAY.values(), ids=STAY)
def test_a_text_that_stays(texts: list[str], promise: Promise, tmp_path: Path) -> None:
    found = promise.holds(chart(tmp_path, "", variables(*texts)))
    assert found is not None and found.followed == []


@pytest.mark.parametrize(("place", "text"), [("argument", TAG), ("data", f"{REF}-debug"), ("custom", f"my{REF}")])
def test_a_text_that_stays_elsewhere(place: str, text: str, promise: Promise, tmp_path: Path) -> None:
    found = promise.holds(chart(tmp_path, text, PLACES[place]))
    assert found is not None and found.followed == []


def test_texts_that_may_follow(promise: Promise, tmp_path: Path) -> None:
    """In any place."""
    place = variables(*MAY_FOLLOW).replace(", env:", ", args: [TEXT], env:") + DATA + CUSTOM
    assert promise.holds(chart(tmp_path, REF, place))


def test_metadata_stays(promise: Promise, tmp_path: Path) -> None:
    found = promise.holds(chart(tmp_path, REF, variables("x"), "annotations: {image: TEXT}"))
    assert found is not None and found.followed == []


def test_a_comment_stays(promise: Promise, tmp_path: Path) -> None:
    found = promise.holds(chart(tmp_path, REF, PLACES["comment"]))
    assert found is not None and found.followed == []
