"""Strip and compare: take the digests off a pinned manifest, and what is left is the plain one, byte for byte.

The digests of container images, and of the text that the plan lists as following one of them. The judge (tests/support/strip.py)
shares no code with helm-pin. HELM_PIN_TEST_CORPUS=FOLDER adds every chart under that folder.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from tests.support import strip
from tests.support.budget import examples_within
from tests.support.chart_strategies import Made, charts
from tests.support.promise import Promise

CORPUS = Path(os.environ.get("HELM_PIN_TEST_CORPUS") or "/nowhere")
FOUND = sorted(
    str(path.parent.relative_to(CORPUS))
    for path in CORPUS.rglob("Chart.yaml")
    if not (path.parents[2] / "Chart.yaml").exists()  # a subchart is rendered with its parent
)


@given(made=charts(), is_one_image=st.booleans())
@examples_within(20, seconds=40, long=800)
def test_charts_full_of_their_own_words(made: Made, is_one_image: bool, promise: Promise) -> None:
    """Each tag of a repository is an image of its own, or all are one."""
    promise.content.one_image = Everything() if is_one_image else set()
    with tempfile.TemporaryDirectory() as folder:
        promise.holds(written(made, Path(folder)), may_refuse=[made.hashed] if made.hashed else [])


if FOUND:  # without a corpus there is no such test, and none that is skipped

    @pytest.mark.parametrize("name", FOUND)
    def test_a_corpus(name: str, promise: Promise) -> None:
        rendered = promise.machine.run(promise.machine.helm_binary, "template", "rel", CORPUS / name)
        if rendered.status == 0:  # many need values
            promise.content.any_digest = True
            images = strip.images_of(rendered.stdout)
            promise.holds(CORPUS / name, again=True, may_refuse=images)


def written(made: Made, folder: Path) -> Path:
    """A generated chart as a folder; a failure shows its files."""
    for name, text in sorted(made.files.items()):
        note(f"--- {name}\n{text}")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


class Everything(set[str]):
    """The set of all texts."""

    def __contains__(self, _: object) -> bool:
        return True
