"""Which of the wanted values are written, given what they would do to images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from helmpin import kube_yaml
from helmpin.chart.setargs import Setting, dotted_key
from helmpin.lint.accept import accepted, agreed, texts_with
from helmpin.lint.trial import Wrong
from helmpin.lint.values_files import ValuesFile
from helmpin.lint.wanted import Wanted
from tests.support.renders import digest

A, B = digest("a"), digest("b")
WHY = "its image depends on other values"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def want(name: str, text: str, **values: str) -> Wanted:
    """Values to write into a file, by their keys."""
    return Wanted(ValuesFile(name, text), tuple(Setting((key,), value) for key, value in values.items()))


def keys(wanted: list[Wanted]) -> list[str]:
    return [dotted_key(setting.path) for each in wanted for setting in each.settings]


# -- values that agree ---------------------------------------------------------------------------------------------------


def test_a_value_that_several_sets_of_values_want_is_wanted_once() -> None:
    said: list[str] = []
    assert agreed([want("v", "a: 1\n", a=A), want("v", "a: 1\n", a=A), want("v", "a: 1\n", b=B)], said.append) == [
        want("v", "a: 1\n", a=A),
        want("v", "a: 1\n", b=B),
    ]
    assert said == []


def test_a_value_that_would_need_two_texts_is_left_and_named_once() -> None:
    said: list[str] = []
    other = want("w", "", a=B)
    assert agreed([want("v", "", a=A), want("./v", "", a=B), want("v", "", a=A), other], said.append) == [other]
    assert said == [f"{name}: a: {WHY}, so that it would need several digests" for name in ("v", "./v")]


def test_what_belongs_together_is_left_together() -> None:
    said: list[str] = []
    assert agreed([want("v", "", image=A, tag=""), want("v", "", tag="main")], said.append) == []
    assert said == [f"v: tag: {WHY}, so that it would need several digests"]


# -- values that change no other image -----------------------------------------------------------------------------------


class Uses:
    """Images by the values that they depend on: each is right when all of its values say the same of it."""

    def __init__(self, **images: dict[str, str]) -> None:
        """images: for each, the digest that is right for each value that can give it one."""
        self._images = images
        self.asked = 0

    def wrong(self, texts: Mapping[Path, str]) -> list[Wrong]:
        self.asked += 1
        values = {
            k: str(v) for text in texts.values() for k, v in kube_yaml.read_first(text, what="", where="").items()
        }
        return [
            Wrong("app", f"{image}:latest", f"{image}@{values[key]}")
            for image, right in self._images.items()
            for key, fits in right.items()
            if values.get(key, "1") not in ("1", fits)
        ]


def test_what_is_right_is_kept() -> None:
    uses, said = Uses(web={"a": A}, db={"b": B}), list[str]()
    wanted = [want("v", "a: 1\nb: 1\n", a=A), want("v", "a: 1\nb: 1\n", b=B)]
    assert accepted(wanted, uses.wrong, said.append) == wanted
    assert (said, uses.asked) == ([], 1)


def test_what_shows_in_a_wrong_image_is_left() -> None:
    """The image of db reads the tag of web too."""
    uses, said = Uses(web={"a": A}, db={"a": B, "b": B}), list[str]()
    text = "a: 1\nb: 1\n"
    assert keys(accepted([want("v", text, a=A), want("v", text, b=B)], uses.wrong, said.append)) == ["b"]
    assert said == [f"v: a: {WHY}: db:latest would become db@{A}, in app"]
    assert uses.asked == 3, "with both, without a, and once more for a"


def test_what_was_left_with_others_is_tried_again() -> None:
    """Both values show the same digest, and only one of them is wrong."""
    uses, said = Uses(web={"a": A}, db={"b": B}), list[str]()
    text = "a: 1\nb: 1\n"
    assert keys(accepted([want("v", text, b=A), want("v", text, a=A)], uses.wrong, said.append)) == ["a"]
    assert said == [f"v: b: {WHY}: db:latest would become db@{A}, in app"]


def test_the_order_stays() -> None:
    uses = Uses(web={"a": A}, db={"b": B})
    text = "a: 1\nb: 1\nc: 1\n"
    wanted = [want("v", text, a=A), want("v", text, b=A), want("v", text, c=B)]
    assert keys(accepted(wanted, uses.wrong, lambda _: None)) == ["a", "c"]


def test_nothing_is_kept_where_the_chart_does_not_render() -> None:
    """The message shows none of the values."""
    said: list[str] = []

    def wrong(texts: Mapping[Path, str]) -> list[Wrong]:
        return [Wrong("app", "", "helm failed")] if any(A in text for text in texts.values()) else []

    text = "a: 1\nb: 1\n"
    assert keys(accepted([want("v", text, a=A), want("v", text, b=B)], wrong, said.append)) == ["b"]
    assert said == [f"v: a: {WHY}: helm failed, in app"]


def test_an_emptied_value_is_not_blamed() -> None:
    """'' is in every image."""
    uses, said = Uses(web={"a": A}, db={"b": B}), list[str]()
    text = "a: 1\nb: 1\nt: main\n"
    wanted = [want("v", text, a=A, t=""), want("v", text, b=f"x:{B}")]
    assert keys(accepted(wanted, uses.wrong, said.append)) == ["a", "t"]
    assert uses.asked == 3, "with both, without b, and once more for b"


# -- the texts -----------------------------------------------------------------------------------------------------------


def test_one_file_by_two_names() -> None:
    texts = texts_with([want("v", "a: 1\nb: 1\n", a=A), want("./v", "a: 1\nb: 1\n", b=B)])
    assert texts == {Path("v").resolve(): f'a: "{A}"\nb: "{B}"\n'}


def test_what_cannot_be_written_there_is_named() -> None:
    said: list[str] = []
    text = "x: &x r\na: *x\nb: 1\n"
    assert texts_with([want("v", text, a=A), want("v", text, b=B)], said.append) == {
        Path("v").resolve(): text.replace("b: 1", f'b: "{B}"')
    }
    assert said == ["v: a: a is an alias"]
    said.clear()
    assert texts_with([want("v", "a: 1\n---\nb: 1\n", a=A)]) == {Path("v").resolve(): "a: 1\n---\nb: 1\n"}
    assert said == []
