"""What went wrong, told from the text that came out."""

from __future__ import annotations

import shlex
from fnmatch import fnmatchcase

import pytest

from helmpin import policy
from helmpin.image.hints import EMPTY, allow_flag, filled_in, invalid_hint, named, number_hint

NAMES = ["app", "example.com:5000/team/app"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "tag",
    ["1.234e+56", "6.1e+10", "2.0261125094501e+13", "1e+06", "1e-07", "1e+100", "%!s(float64=1.25)", "%!s(int64=83)"]
    + ["%!s(float64=6.1e+10)", "%!q(float64=1)"],
)
def test_a_number(name: str, tag: str) -> None:
    assert number_hint(f"{name}:{tag}") == "the value is read as a number; quote it"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tag", ["83", "1.1", "20261125", "0", "1.25"])
def test_a_number_that_a_value_is(name: str, tag: str) -> None:
    assert number_hint(f"{name}:{tag}", {tag, "7"}) == "the value is read as a number; quote it"
    assert number_hint(f"{name}:{tag}", {"7"}) == number_hint(f"{name}:{tag}") == ""


@pytest.mark.parametrize("image", ["app:true", "app:false", "app:%!s(bool=true)"])
def test_a_boolean(image: str) -> None:
    assert number_hint(image) == "the value is read as true or false; quote it"


@pytest.mark.parametrize(
    "image", ["app:<nil>", "app:%!s(<nil>)", "%!s(<nil>)/app:%!s(<nil>)", "app:<no value>", "<nil>"]
)
def test_nothing(image: str) -> None:
    assert number_hint(image) == "the value is null or missing; set it"


@pytest.mark.parametrize(
    "image",
    ["", "app", "app:latest", "app:1.2.3", "app:v83", "app:1e10", "app:83-alpine", "app83", "app:1.2.3e+1", "app:e+10"]
    + ["app:1.0", "app:1.10", "app:007", "app:truely", "nil", "app@sha256:" + "1" * 64, "team/app:1.25-rc1"],
)
def test_no_hint(image: str) -> None:
    assert number_hint(image) == ""


@pytest.mark.parametrize(
    ("image", "by"),
    [
        ("{{workflow.parameters.image}}", "Argo"),
        ("example.com/app:{{inputs.parameters.tag}}", "Argo"),
        ("{{=sprig.trim(inputs.parameters.image)}}", "Argo"),
        ("$(params.image)", "Tekton"),
        ("example.com/app:$(params['tool.version'])", "Tekton"),
        ("$(params.images[*])", "Tekton"),
        ("${schema.spec.image}", "kro"),
        ("${REGISTRY}/app:${TAG}", "OpenShift"),
        ("auto", "webhook"),
        (" ", "webhook"),
    ],
)
def test_filled_in_later(image: str, by: str) -> None:
    assert by in filled_in(image)


@pytest.mark.parametrize(
    "image", ["app:1", "auto:1", "example.com/auto", "$app", "{app}", "()", "", "%!s(<nil>)", "{{ .Values.image }}"]
)
def test_not_filled_in(image: str) -> None:
    assert filled_in(image) == ""


@pytest.mark.parametrize(
    ("image", "hint"),
    [
        (":1.0", "the repository is empty: set image.repository"),
        ("example.com/:1.0", "the repository is empty: set image.repository"),
        ("", "the repository is empty: set image.repository"),
        ("/team/app:1.0", "nothing stands before its first slash: set the value that names the registry"),
        ("example.com//app:1.0", "nothing stands between two of its slashes: set the value"),
        ("app:1.0@sha256:abc", "write a digest as sha256: and 64 hexadecimal digits"),
        ("app:1.0@", "write a digest as sha256: and 64 hexadecimal digits"),
        ("app:1.0\n", "it ends in a line break: write `|-` or `>-` in place of `|` or `>`"),
        ("app:v1\n", "it ends in a line break: write `|-` or `>-` in place of `|` or `>`"),
        (" app:1.0", "there are spaces around it"),
        ("app:%!s(float64=1.5)", "the value is read as a number; quote it"),
        ("<nil>:1.0", "the value is null or missing; set it"),
        ("map[repository:app tag:1]:1", "the template prints a whole map of values"),
        ("docker.io/map[repository:app]", "the template prints a whole map of values"),
        (":<nil>", "the value is null or missing; set it"),
        ("app:1e+06", "the value is read as a number; quote it"),
        ("{{ .Values.image }}", "nothing evaluates the template in it"),
        ("{{.Values.global.registry}}/app:1", "nothing evaluates the template in it"),
        ('app:{{ default "latest" $.Chart.AppVersion }}', "nothing evaluates the template in it"),
        ('{{- include "app.image" . -}}', "nothing evaluates the template in it"),
        ("app:", "the tag is empty: set the value that names it"),
        ("app:sha256:" + "a" * 64, "that is a digest, not a tag: write @ before sha256"),
        ("app:1.0:2", "it has two tags, 1.0 and 2: take one out"),
        ("app:1.0@sha256:" + "a" * 64 + ":2", "a tag goes before the digest"),
    ],
)
def test_each_kind_of_invalid_reference_has_its_own_advice(image: str, hint: str) -> None:
    assert invalid_hint(image, ("image.repository",)).startswith(hint)


@pytest.mark.parametrize(
    "image", ["APP:1.0", "a b", "A@sha256:abc", "docker://app:2", "example.com:80x/app:1", "app:1.0_{", "app::1"]
)
def test_where_the_error_says_all_nothing_else_is_blamed(image: str) -> None:
    """Not a number at the end, either: it is no reason for what is wrong before it."""
    assert invalid_hint(image) == ""


@pytest.mark.parametrize(
    "image", ["auto", " ", "{{inputs.image}}", "hard/trail:1\n", "a[b]*:1?", "a'b", "$(params.x)", ":1", ":"]
)
def test_the_flag_that_lets_an_image_through_is_for_a_shell(image: str) -> None:
    flag, glob = shlex.split(allow_flag(image))
    assert flag == "--allow-unpinned" and fnmatchcase(image, glob) and glob.isprintable()
    assert "\n" not in allow_flag(image)


def test_an_image_that_cannot_be_seen_is_named_and_let_through() -> None:
    assert [named(image) for image in ("web:1", "", " ", "web:1\n")] == ["web:1", "an empty image", '" "', '"web:1\n"']
    assert [named(image) for image in (":", ":1", "$(params.x)")] == ["an empty image", '":1"', "$(params.x)"]
    assert allow_flag(":") == "--allow-unpinned ':'"
    assert shlex.split(allow_flag("")) == ["--allow-unpinned", EMPTY]
    assert policy.is_allowed("", [EMPTY]) and not policy.is_allowed("web:1", [EMPTY])
