"""The record: stable to write, strict to read."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from helmpin.errors import VerificationFailed
from helmpin.release.record import DigestSet, Image, Undo, parse

A, B = ("sha256:" + letter * 64 for letter in "ab")
WEB = Image("docker.io/library/web:1", "web:1", A, "application/vnd.oci.image.index.v1+json", "values", ("image.tag",))
DB = Image("example.com/db:2", "example.com/db:2", B, "application/vnd.oci.image.manifest.v1+json", "template")
SET = DigestSet(
    "helm-pin 1.0.0",
    "2026-01-02T03:04:05Z",
    (WEB, DB),
    ("--set-string", f"image.tag=1@{A}"),
    (Undo(("image", "tag"), "1", False), Undo(("list", 0), None, True)),
    ("auto",),
)


def changed(**changes: Any) -> str:
    return json.dumps({**json.loads(SET.to_json()), **changes})


def test_read_back() -> None:
    assert parse(SET.to_json(), "x") == SET


def test_the_text_is_compact_sorted_and_the_same_for_any_order() -> None:
    text = SET.to_json()
    assert text == json.dumps(json.loads(text), separators=(",", ":"), sort_keys=True)
    assert SET._replace(images=(DB, WEB)).to_json() == text


def test_set_id_is_of_the_images_alone() -> None:
    lines = f"docker.io/library/web:1@{A}\nexample.com/db:2@{B}\n"
    assert SET.set_id == hashlib.sha256(lines.encode()).hexdigest()[:12]
    assert SET._replace(images=(DB, WEB, WEB), created="later", injected=()).set_id == SET.set_id
    assert SET._replace(images=(WEB,)).set_id != SET.set_id
    assert SET._replace(images=(WEB, DB._replace(digest=A))).set_id != SET.set_id


def test_unknown_keys_are_accepted() -> None:
    images = [{**image, "later": 1} for image in json.loads(SET.to_json())["images"]]
    assert parse(changed(later={"x": 1}, images=images), "x") == SET


def test_what_may_be_left_out() -> None:
    record = json.loads(SET.to_json())
    del record["undo"], record["allowed"]
    assert parse(json.dumps(record), "x") == SET._replace(undo=(), allowed=())


def broken_image(**changes: Any) -> str:
    first, *rest = json.loads(SET.to_json())["images"]
    return changed(images=[{**first, **changes}, *rest])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        (changed(version=2), "version is 2; this helm-pin reads version 1"),
        (changed(version=None), "version is None"),
        (changed(version="1"), "version is '1'"),
        (changed(set="0" * 12), "changed by hand"),
        (changed(images=[]), "changed by hand"),
        (changed(images=None), "'images' is missing or not a list"),
        (changed(images=["x"]), "not an object"),
        (changed(injected="x"), "'injected' is missing"),
        (changed(tool=1), "'tool' is missing"),
        (changed(undo=[{}]), "'path' is missing"),
        (broken_image(digest="sha256:abc"), "'sha256:abc' is not a digest"),
        (broken_image(digest=A.upper()), "is not a digest"),
        (broken_image(digest=None), "'digest' is missing"),
        (broken_image(reference="a b"), "is not a reference"),
        (broken_image(digest=B), "changed by hand"),
        ("[" * 100000, ""),
    ],
)
def test_a_bad_record_is_an_error_and_never_a_guess(text: str, why: str) -> None:
    with pytest.raises(VerificationFailed) as failed:
        parse(text, "release web, revision 3")
    assert why in failed.value.why
    assert failed.value.where == ["release web, revision 3"]
    assert "helm pin upgrade" in failed.value.todo
    assert ("the helm-pin that wrote it" in failed.value.todo) is ("version" in why)


@pytest.mark.parametrize("undo", [1, "x", {"path": []}, [1], ["x"], [None]])
def test_a_bad_undo_is_an_error(undo: Any) -> None:
    with pytest.raises(VerificationFailed):
        parse(changed(undo=undo), "x")


@pytest.mark.parametrize("name", ["values", "allowed"])
@pytest.mark.parametrize("value", [1, True])
def test_a_bad_list_is_an_error(name: str, value: Any) -> None:
    with pytest.raises(VerificationFailed):
        parse(broken_image(values=value) if name == "values" else changed(allowed=value), "x")
