"""The marked copy of a chart, and what its render shows. That Helm prints the marks is shown in tests/integration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from helmpin.chart.setargs import ValuePath
from helmpin.lint.marks import MarkedCopy, Shown, marked_copies
from helmpin.render.output import parse
from tests.support.plans import chart
from tests.support.renders import POD, document

TAG, NAME = ("image", "tag"), ("image", "repository")
VALUES = {"image": {"repository": "web", "tag": "latest"}, "x": 1}


def copies(
    folder: Path, values: Mapping[str, Any] = VALUES, *tries: Sequence[ValuePath], **templates: str
) -> list[MarkedCopy]:
    return list(marked_copies(chart(folder, **templates), values, tries))


# -- the copy ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "commented"),
    [
        ("a: 1\nimage: web\n", "a: 1\nimage: web # helm-pin:0:2\n"),
        ("image: web\r\nb: 1\r\n", "image: web # helm-pin:0:1\r\nb: 1\r\n"),
        ("image: web", "image: web # helm-pin:0:1"),
        ("- image: web  \n", "- image: web # helm-pin:0:1  \n"),
        ("image: web # why\n", "image: web # why # helm-pin:0:1\n"),
        ('{"image": "web"}\n', '{"image": "web"} # helm-pin:0:1\n'),
        ("'image' : web\n", "'image' : web # helm-pin:0:1\n"),
        ("reference: web\n", "reference: web # helm-pin:0:1\n"),
        ("image: a\nimage: b\n", "image: a # helm-pin:0:1\nimage: b # helm-pin:0:2\n"),
        ("image: {{ .Values.image }}\n", "image: {{ .Values.image }} # helm-pin:0:1\n"),
        ("image: {{ .Values.image -}}\nx: 1\n", "image: {{ .Values.image -}}\nx: 1 # helm-pin:0:1\n"),
        ("image: {{ printf\n  .x }}\ny: 1\n", "image: {{ printf\n  .x }} # helm-pin:0:1\ny: 1\n"),
        ("image: {{ printf\n  .x -}}\ny: 1\n", "image: {{ printf\n  .x -}}\ny: 1 # helm-pin:0:1\n"),
        ("image: >-\n  web\n", "image: >- # helm-pin:0:1\n  web\n"),
        ("image: {{ a -}}\nimage: b\n", "image: {{ a -}}\nimage: b # helm-pin:0:2\n"),
        ("{{ $image := .x }}\nimage: b\n", "{{ $image := .x }}\nimage: b # helm-pin:0:2\n"),
        ("{{/* image: a */}}\nimage: b\n", "{{/* image: a */}}\nimage: b # helm-pin:0:2\n"),
        ("{{- /*\nimage: a\n*/}}\nimage: b\n", "{{- /*\nimage: a\n*/}}\nimage: b # helm-pin:0:4\n"),
        ('{{ printf "image: %s" .x }}\n', '{{ printf "image: %s" .x }} # helm-pin:0:1\n'),
    ],
)
def test_each_image_line_of_a_template_has_a_comment(template: str, commented: str, tmp_path: Path) -> None:
    (copy,) = copies(tmp_path, pod=template)
    assert copy.chart.template_files()["templates/pod.yaml"] == commented
    assert (copy.values, copy.paths, copy.places) == ({}, (), ("templates/pod.yaml",))


def test_a_comment_names_its_template(tmp_path: Path) -> None:
    (copy,) = copies(tmp_path, a="image: a\n", b="pullImage : no\n", c="image: c\n")
    assert copy.places == ("templates/a.yaml", "templates/c.yaml")
    assert copy.chart.template_files() == {
        "templates/a.yaml": "image: a # helm-pin:0:1\n",
        "templates/b.yaml": "pullImage : no\n",
        "templates/c.yaml": "image: c # helm-pin:1:1\n",
    }


def test_each_value_has_a_mark_of_its_own(tmp_path: Path) -> None:
    copy, *_ = copies(tmp_path, VALUES, [NAME, TAG, ("new",)])
    assert copy.paths == (NAME, TAG, ("new",))
    assert copy.values == {"image": {"repository": "web-hp0x", "tag": "latest-hp1x"}, "new": "hp2x"}


@pytest.mark.parametrize(
    ("value", "marked"),
    [
        (1.10, "1.1-hp0x"),
        (8.0, "8-hp0x"),
        (None, "hp0x"),
        ("", "hp0x"),
        ("latest\n", "latest-hp0x\n"),
        (True, "true-hp0x"),
    ],
)
def test_a_mark_stands_at_the_end_of_the_text(value: Any, marked: str, tmp_path: Path) -> None:
    copy, *_ = copies(tmp_path, {"tag": value}, [("tag",)])
    assert copy.values == {"tag": marked}


def test_a_mark_in_a_list_gives_the_whole_list(tmp_path: Path) -> None:
    """Helm replaces lists."""
    copy, *_ = copies(tmp_path, {"l": [{"a": 1, "tag": "x"}, 2]}, [("l", 0, "tag")])
    assert copy.values == {"l": [{"a": 1, "tag": "x-hp0x"}, 2]}


def test_fewer_marks_are_tried_at_last_none(tmp_path: Path) -> None:
    assert [copy.paths for copy in copies(tmp_path, VALUES, [NAME, TAG], [TAG])] == [(NAME, TAG), (TAG,), ()]
    assert [copy.paths for copy in copies(tmp_path, VALUES, [TAG], [], [TAG])] == [(TAG,), ()]


def test_a_text_with_image_lines_has_comments_too(tmp_path: Path) -> None:
    values = {"tag": "x", "l": [{"text": "a: 1\nimage: web\n"}], "note": "no line"}
    both, texts, marks, neither = copies(tmp_path, values, [("tag",)], pod="image: a\n")
    commented = {"l": [{"text": "a: 1\nimage: web # helm-pin:1:2\n"}]}
    assert [copy.values for copy in (both, texts, marks, neither)] == [
        {"tag": "x-hp0x", **commented},
        commented,
        {"tag": "x-hp0x"},
        {},
    ]
    assert both.places == ("templates/pod.yaml", ("l", 0, "text"))


# -- its render ----------------------------------------------------------------------------------------------------------

HEAD = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n"


def shown(folder: Path, text: str, *paths: ValuePath) -> tuple[Shown, Any]:
    """What a render of a copy shows, and its first image."""
    copy = MarkedCopy(chart(folder), {}, paths, ("templates/a.yaml", ("text",)))
    render = parse(text)
    return Shown(copy, render), render.images()[0]


@pytest.mark.parametrize(
    ("image", "path"),
    [
        ("web:latest-hp1x", TAG),
        ("web-hp0x:latest-hp1x", TAG),
        ("web-hp0x:latest", NAME),
        ("hp0x", NAME),
        ("web:latest", None),
        ("web:php7x", None),
        ("web:latest-hp1x-alpine", TAG),
    ],
)
def test_the_mark_in_an_image(image: str, path: ValuePath | None, tmp_path: Path) -> None:
    result, use = shown(tmp_path, document(f"{HEAD}  - image: {image}\n"), NAME, TAG)
    assert result.has_marks and result.value(use) == path
    assert result.value(use._replace(source="another")) is None


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        ("  - image: web # helm-pin:0:7\n", ("templates/a.yaml", 7)),
        ("  - image: web # why # helm-pin:1:2\n", (("text",), 2)),
        ('  - image: "web" # helm-pin:0:7\n', ("templates/a.yaml", 7)),
        ('  - {"image": "web"} # helm-pin:0:7\n', ("templates/a.yaml", 7)),
        ("  - image: >- # helm-pin:0:7\n      web\n", ("templates/a.yaml", 7)),
        ("  - image: | # helm-pin:0:7\n      web\n", ("templates/a.yaml", 7)),
        ("  - image:  # helm-pin:0:7\n      web\n", ("templates/a.yaml", 7)),
        ("  - image: web\n    # helm-pin:0:7\n    name: x\n", ("templates/a.yaml", 7)),
        ("  - image: web\n    name: x # helm-pin:0:7\n", None),
        ("  - image: web # helm-pin:9:7\n", None),
        ("  - image: web # helm-pin:x\n", None),
        ("  - image: web#helm-pin:0:7\n", None),
        ("  - image: web\n", None),
        ("  - name: x # helm-pin:0:1\n    image: web # helm-pin:0:2\n", ("templates/a.yaml", 2)),
    ],
)
def test_the_comment_beside_an_image(lines: str, line: tuple[Any, int] | None, tmp_path: Path) -> None:
    result, use = shown(tmp_path, document(HEAD + lines))
    assert result.line(use) == line
    assert not result.has_marks


def test_the_comment_of_an_object_in_a_list(tmp_path: Path) -> None:
    pod = "- {apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: [\n  {image: web} # helm-pin:0:%d\n  ]}}\n"
    text = document(f"apiVersion: v1\nkind: List\nitems:\n{pod % 1}{pod % 2}")
    result, _ = shown(tmp_path, text)
    assert [result.line(use) for use in parse(text).images()] == [("templates/a.yaml", 1), ("templates/a.yaml", 2)]


def test_the_lines_that_one_template_printed(tmp_path: Path) -> None:
    other = "app/templates/other.yaml"
    text = document(f"{HEAD}  - image: a # helm-pin:0:7\n  - image: b\n") + document(
        f"{HEAD}  - image: c # helm-pin:0:9\n", other
    )
    result, _ = shown(tmp_path, text)
    assert result.taken(POD) == {("templates/a.yaml", 7), None}
    assert result.taken(other) == {("templates/a.yaml", 9)}
    assert result.taken("app/templates/none.yaml") == set()
