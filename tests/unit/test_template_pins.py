"""Templates that are wrapped so that their image lines are pinned: what the wrapper's expressions match, as Go's regexp does.

They are tried with Python's re, on the part of the syntax that both have; tests/charts tries them with helm.
"""

from __future__ import annotations

import re

import pytest
from helmpin.pin.wrap import _LINE, Pins, Wrapper, _anywhere, inner, wrapper

IMAGE = "example.com/t/web:1.2.3"


def pinned(text: str, image: str = IMAGE, *, anywhere: bool = False) -> str:
    if anywhere:
        return re.sub(_anywhere(image), r"\1PINNED\2", text)
    return re.sub(_LINE, lambda m: f"{m[1]}PINNED{m[3]}" if m[2] == image else m[0], text)


@pytest.mark.parametrize(
    "text",
    [
        "image: {}",
        "  - image: {}\n    name: x",
        'image: "{}"',
        "image: '{}'   # why",
        '{{"image":"{}","name":"x"}}',
        "{{name: x, image: {}}}",
        "[{{image: {}, name: x}}]",
        "image: >-\n  {}\nname: x",
        "image: |\n  {}\nname: x",
        "image:\n  {}\nname: x",
        "image: &anchor {}",
        "image: !!str {}",
        "'image' : {}",
        "reference: {}",
        "image: {}\r\n",
        "name: x\nimage: {}",
        "image:\n  image: {}",
        "- image: other\n- image: {}",
        '[{{"image":"other"}},{{"image":"{}"}}]',
    ],
)
def test_image_lines(text: str) -> None:
    assert pinned(text.format(IMAGE)) == text.format("PINNED")


@pytest.mark.parametrize(
    "text",
    [
        f"image: {IMAGE}-alpine",
        f"image: {IMAGE}@sha256:{'0' * 64}",
        f"image: mirror/{IMAGE}",
        f"image: {IMAGE.replace('.', 'x')}",
        f"args: [--image={IMAGE}]",
        f"value: {IMAGE}",
        f"imageName: {IMAGE}",
        f"my-image: {IMAGE}",
        f"# see {IMAGE}",
        f"image:\n  {IMAGE}: x",
    ],
)
def test_other_lines_are_left(text: str) -> None:
    assert pinned(text) == text


@pytest.mark.parametrize("text", ["--image={}", "value: {}", '"{}"', "a = {},b", "{}"])
def test_anywhere(text: str) -> None:
    assert pinned(text.format(IMAGE), anywhere=True) == text.format("PINNED")


@pytest.mark.parametrize("text", [f"x{IMAGE}", f"{IMAGE}-alpine", f"{IMAGE}@sha256:0", f"a/{IMAGE}"])
def test_anywhere_is_the_whole_reference(text: str) -> None:
    assert pinned(text, anywhere=True) == text


class Chart:
    """The files of a chart, as much of one as wrapping needs."""

    def __init__(self, files: dict[str, str]) -> None:
        self.files = files

    def source_to_paths(self, source: str) -> list[str]:
        return [source.partition("/")[2]]

    def rename(self, path: str, new: str) -> None:
        self.files[new] = self.files.pop(path)

    def write(self, path: str, text: str) -> None:
        self.files[path] = text

    def template_files(self) -> dict[str, str]:
        return self.files

    def write_template(self, name: str, text: str) -> None:
        raise NotImplementedError

    def remove_template(self, name: str) -> None:
        raise NotImplementedError


def test_a_file_is_moved_once_and_keeps_every_byte() -> None:
    chart = Chart({"templates/a/x.yaml": "the original"})
    wrap = Wrapper(chart)
    wrap.pin("app/templates/a/x.yaml", "web:1", "web:1@one")
    wrap.pin("app/templates/a/x.yaml", "db:1", "db:1@two")
    wrap.write()
    assert chart.files["templates/a/_helm-pin-x.yaml"] == "the original"
    assert "web:1@one" in chart.files["templates/a/x.yaml"] and "db:1@two" in chart.files["templates/a/x.yaml"]
    assert set(chart.files) == {"templates/a/x.yaml", "templates/a/_helm-pin-x.yaml"}


@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("templates/x.yaml", "/_helm-pin-x.yaml"),
        ("templates/tests/x.yaml", "/tests/_helm-pin-x.yaml"),
        ("charts/db/templates/x.yaml", "/_helm-pin-x.yaml"),
    ],
)
def test_the_wrapper_includes_the_original_by_its_name(path: str, at: str) -> None:
    assert f"include (print $.Template.BasePath `{at}`) ." in wrapper(path, Pins({}, {}))
    assert inner(path).rpartition("/")[0] == path.rpartition("/")[0]
