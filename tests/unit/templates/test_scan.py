"""What templates say of values, read as text."""

from __future__ import annotations

import pytest

from helmpin.chart.value_keys import last_key
from helmpin.templates.scan import TemplateScan, is_literal, is_written

HEX = "c" * 64
DIGEST = f"sha256:{HEX}"


def scan(*texts: str, library: tuple[str, ...] = ()) -> TemplateScan:
    return TemplateScan(texts, library)


# -- the keys of a map --------------------------------------------------------------------------------------------------


def test_keys_read_by_the_whole_path_come_first() -> None:
    found = scan("{{ .Values.web.image.rel }} {{ .Values.db.image.tag }} {{ .sha256 }}").after(("web", "image"))
    assert found == ["rel", "tag", "sha256"]
    found = scan("{{ .Values.web.image.tag }} {{ .Values.db.image.digest }}").after(("web", "image"))
    assert found == ["tag", "digest"], "not in the order of the alphabet"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{{ .Values.image.tag }}", ["tag"]),
        ("{{ $.Values.image.tag }}", ["tag"]),
        ("{{ $image.tag }}", ["tag"]),
        ("{{ $image.rel }}", ["rel"]),
        ("{{ ((.Values.image).rel) }}", ["rel"]),
        ("{{ (((.Values.image)).tag) }}", ["tag"]),
        ("{{ with .Values.image }}{{ .digest }}{{ end }}", ["digest"]),
        ("{{ .imageRoot.tag }}{{ .imageRoot.digest }}", ["digest", "tag"]),
        ("{{ .dbImage.tag }}", []),
        ("{{ .root.tag }}", ["tag"]),
        ("{{ .Chart.tag }}", []),
        ("{{ .Values.other }}", []),
        ("", []),
    ],
)
def test_keys_of_an_image(text: str, found: list[str]) -> None:
    assert scan(text).after(("image",)) == found


def test_a_helper_may_name_what_it_is_given_as_it_likes() -> None:
    assert scan('{{ define "x" }}{{ .what.tag }}{{ .what.pullPolicy }}{{ end }}').after(("web", "image")) == ["tag"]


def test_a_variable_may_have_the_name_of_a_value() -> None:
    text = "{{ range $name, $service := .Values.services }}{{ $service.image }}:{{ $service.imageTag }}{{ end }}"
    for other in ("", "{{ .Values.service }}"):
        assert scan(text, other).after(("services", "a"), "image") == ["image", "imageTag"]


def test_maps_for_images_are_those_that_a_tag_is_read_after() -> None:
    text = "{{ .part.webImage.tag }}{{ .part.image.tag }}{{ .part.imageRoot.name }}{{ .part.other.tag }}"
    assert scan(text).image_maps == ["image", "webImage"]


def test_lists_count_by_their_last_key() -> None:
    assert scan("{{ range .Values.images }}{{ .tag }}{{ end }}").after(("images", 0)) == ["tag"]
    assert last_key(("images", 0)) == "images" and last_key((0,)) == ""


# -- what is read beside a name -----------------------------------------------------------------------------------------


def test_beside_a_path_or_a_name_on_one_line() -> None:
    text = '{{ .Values.repo }}:{{ .Values.rel }}\n{{ printf "%s:%s" "t/web" .Values.appTag }}\n{{ .Values.far }}\n'
    assert scan(text).beside([("repo",)]) == ([("repo",), ("rel",)], [])
    assert scan(text).beside(["t/web"]) == ([("appTag",)], [])
    assert scan(text).beside([("repo",), "t/web"]) == ([("repo",), ("rel",), ("appTag",)], [])
    assert scan(text).beside([("unknown",), "other"]) == ([], [])


def test_beside_in_one_named_template() -> None:
    text = '{{ define "a" }}\n{{ .Values.repo }}\n{{ .Values.rel }}\n{{ end }}{{- define "b" }}\n{{ .Values.far }}\n{{ end }}'
    assert scan(text, "{{ .Values.repo }}{{ .Values.near }}").beside([("repo",)]) == (
        [("repo",), ("near",)],
        [("repo",), ("rel",)],
    )


def test_a_word_in_a_sentence_is_no_name() -> None:
    assert scan('# "t/web" is the name\nimage: t/web {{ .Values.x }}').beside(["t/web"]) == ([], [])


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        ("image: {{ .Values.image }}", True),
        ("image: {{ .Values.image | quote }}", True),
        ("image: {{ .Values.image }}:{{ .Values.tag }}", False),
        ("image: {{ .Values.image }}:{{ .Values.tag }}\nother: {{ .Values.image }}", True),
        ("image: {{ .Values.image.name }}", False),
        ("image: {{ .Values.images }}", False),
        ("image: x", False),
    ],
)
def test_stands_alone(text: str, alone: bool) -> None:
    assert scan(text).stands_alone(("image",)) is alone


# -- the form of a digest -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "first"),
    [
        ("", "digest", DIGEST),
        ("", "sha", HEX),
        ("", "imageDigest", DIGEST),
        ("", "sha256", HEX),
        ("@sha256:{{ .Values.image.digest }}", "digest", HEX),
        ('{{ printf "%s@sha256:%s" .n .Values.image.digest }}', "digest", HEX),
        ("@{{ .Values.image.sha }}", "sha", DIGEST),
        ('{{ printf "%s@%s" .n .Values.image.sha }}', "sha", DIGEST),
        ("@sha256:{{ .Values.image.tag }}", "digest", DIGEST),
    ],
)
def test_forms(text: str, key: str, first: str) -> None:
    assert scan(text).forms(key, DIGEST) == [first, HEX if first == DIGEST else DIGEST]


def test_a_library_counts_where_the_charts_own_templates_are_silent() -> None:
    library = ("@sha256:{{ .image.digest }}",)
    assert scan("{{ .Values.x }}", library=library).forms("digest", DIGEST)[0] == HEX
    assert scan("@{{ .Values.image.digest }}", library=library).forms("digest", DIGEST)[0] == DIGEST


# -- an image that no value can change ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("image: t/web:1", True),
        ("  - image: t/web:1", True),
        ('  image: "t/web:1"', True),
        ("image: 't/web:1'  # why", True),
        ("image: t/web:1-alpine", False),
        ("image: t/web:12", False),
        ("image: mirror/t/web:1", False),
        ("image: {{ .Values.image }}", False),
        ("image: t/web:{{ .Values.tag }}", False),
        ('image: "t/web:1', False),
        ("my-image: t/web:1", False),
        ("args: [--image=t/web:1]", False),
    ],
)
def test_is_written(line: str, written: bool) -> None:
    assert is_written("t/web:1", f"kind: Pod\n{line}\nx: y") is written


def test_no_character_of_an_image_is_a_pattern() -> None:
    assert not is_written("t/web:1.2", "image: t/web:1x2")


@pytest.mark.parametrize(
    ("image", "template", "literal"),
    [
        ("t/web:1", "image: t/web:1\n", True),
        ("t/web:1", "args: [--image=t/web:1]\n", True),
        ("t/web", "image: t/web # why\n", True),
        ("t/web", "args: [--image=t/web]\n", False),
        ("t/web:1", "image: {{ .Values.image }}\n", False),
        ("t/web:1", 'image: {{ .Values.image | default "t/web:1" }}', False),
        ("t/web:1", 'args: ["t/web:1"]', True),
    ],
)
def test_an_image_that_a_template_holds(image: str, template: str, literal: bool) -> None:
    """A name without a tag may be anything."""
    assert is_literal(image, ["kind: Pod\n", template]) is literal
    assert not is_literal(image, [])
