"""A record that contradicts itself is found, and none that agrees with itself is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helmpin.chart.setargs import MAX_INDEX
from helmpin.image.reference import Reference
from helmpin.release.record import VERSION, Image, Record, Undo
from helmpin.release.record_checks import newer, problems

A, B = ("sha256:" + letter * 64 for letter in "ab")
WEB = Image("docker.io/library/web:1", "web:1", A, "", "values", ("image.tag",))
OWN = Image("example.com/own", f"example.com/own@{B}", B, "", "chart")


def record(*images: Image, **more: Any) -> Record:
    return Record("helm-pin 1.0.0", "2026-01-02T03:04:05Z", images, **more)


names = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)
written = st.builds(
    lambda host, path, name, tag, digest: f"{host}{path}{name}{tag}{digest}",
    st.sampled_from(["", "docker.io/", "index.docker.io/", "quay.io/", "127.0.0.1:5000/", "localhost/"]),
    st.sampled_from(["", "library/", "team/a/"]),
    names,
    st.sampled_from(["", ":1", ":latest", ":v1.2.3-rc.1"]),
    st.sampled_from(["", f"@{A}"]),
)


@given(written, st.sampled_from(["values", "template"]))
def test_what_helm_pin_writes_agrees_with_itself(text: str, via: str) -> None:
    reference = Reference.parse(text)
    image = Image(
        str(reference._replace(digest=None)), text, reference.digest or B, "", "chart" if reference.digest else via
    )
    assert problems(record(image)) == []


@given(written, written)
def test_a_reference_of_another_image_never_does(text: str, other: str) -> None:
    mine, its = (Reference.parse(each) for each in (text, other))
    image = Image(str(mine._replace(digest=None)), other, its.digest or B, "", "chart" if its.digest else "values")
    assert bool(problems(record(image))) is (mine._replace(digest=None) != its._replace(digest=None))


@pytest.mark.parametrize(
    ("images", "why"),
    [
        (
            [WEB._replace(reference="evil.example/web:1")],
            "image web:1 is docker.io/library/web:1, not evil.example/web:1",
        ),
        ([WEB._replace(reference="docker.io/library/web:2")], "not docker.io/library/web:2"),
        ([WEB._replace(reference="web:1")], "not web:1"),  # not normalised
        ([WEB._replace(image="a b")], "image 'a b' is not a valid reference"),
        ([OWN._replace(digest=A)], "does not have the recorded digest"),
        ([OWN._replace(image="example.com/own:latest", reference="example.com/own:latest")], "has no digest"),
        ([WEB._replace(values=(f"list[{MAX_INDEX + 1}].tag",))], "index 65537 of a list is out of range"),
        ([WEB._replace(values=(f"list[{'9' * 5000}].tag",))], "of a list is out of range"),
    ],
)
def test_what_contradicts_itself(images: list[Image], why: str) -> None:
    (line,) = problems(record(*images))
    assert why in line


@pytest.mark.parametrize("index", [-1, MAX_INDEX + 1, 10**30])
def test_an_index_that_no_list_has(index: int) -> None:
    (line,) = problems(record(WEB, undo=(Undo(("list", index), None, True),)))
    assert "out of range" in line
    assert problems(record(WEB, undo=(Undo(("list", MAX_INDEX), None, True),))) == []


def test_a_job_may_keep_another_digest_of_a_reference() -> None:
    assert problems(record(WEB, WEB._replace(digest=B))) == []


def test_a_chart_may_have_two_digests_of_one_name() -> None:
    other = Image("example.com/own", f"example.com/own@{A}", A, "", "chart")
    assert problems(record(OWN, other)) == []


def test_a_key_with_brackets_is_no_index() -> None:
    assert problems(record(WEB._replace(values=(r"list\[99999999].tag",)))) == []


@pytest.mark.parametrize(
    ("text", "tool"),
    [
        (f'{{"version": {VERSION + 1}, "tool": "helm-pin 9.0.0"}}', "helm-pin 9.0.0"),
        (f'{{"version": {VERSION + 1}}}', "helm-pin"),
        (f'{{"version": {VERSION}, "tool": "helm-pin 9.0.0"}}', ""),
        ('{"version": "9"}', ""),
        ("[]", ""),
        ("{", ""),
        ("[" * 100_000, ""),
    ],
)
def test_which_record_is_newer(text: str, tool: str) -> None:
    assert newer(text) == tool
