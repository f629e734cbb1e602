"""The record: stable to write, strict to read, small."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helmpin.errors import VerificationFailed
from helmpin.image.reference import Reference
from helmpin.release.record import Image, Record, Undo, parse

A, B = ("sha256:" + letter * 64 for letter in "ab")
WEB = Image("docker.io/library/web:1", "web:1", A, "application/vnd.oci.image.index.v1+json", "values", ("image.tag",))
DB = Image(
    "example.com/db:2",
    "example.com/db:2",
    B,
    "application/vnd.oci.image.manifest.v1+json",
    "template",
    followers=("ConfigMap/settings data.image",),
    source="lock",
)
SET = Record(
    "helm-pin 1.0.0",
    "2026-01-02T03:04:05Z",
    (WEB, DB),
    (Undo(("image", "tag"), "1", True, 1), Undo(("list", 0), None, False)),
    ("auto",),
    "prod.lock",
)


def changed(**changes: Any) -> str:
    return json.dumps({**json.loads(SET.to_json()), **changes})


def test_read_back() -> None:
    assert parse(SET.to_json(), "x") == SET


def test_the_text_is_compact_sorted_and_the_same_for_any_order() -> None:
    text = SET.to_json()
    assert text == json.dumps(json.loads(text), separators=(",", ":"), sort_keys=True)
    assert SET._replace(images=(DB, WEB)).to_json() == text


TEXTS = st.text(max_size=8)
PATHS = st.lists(TEXTS | st.integers(0, 9), min_size=1, max_size=4).map(tuple)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
IMAGES = st.builds(
    Image,
    reference=st.sampled_from(["docker.io/library/a:1", "example.com:5000/b/c:x", "[::1]:5000/d:latest"]),
    image=TEXTS,
    digest=st.text("0123456789abcdef", min_size=64, max_size=64).map("sha256:{}".format),
    media_type=TEXTS,
    via=TEXTS,
    values=st.lists(TEXTS).map(tuple),
    followers=st.lists(TEXTS).map(tuple),
    source=TEXTS,
)
UNDO = PATHS.flatmap(
    lambda path: st.builds(
        Undo, path=st.just(path), was=SCALARS, supplied=st.booleans(), user_depth=st.integers(0, len(path) - 1)
    )
)
RECORDS = st.builds(
    Record,
    tool=TEXTS,
    created=TEXTS,
    images=st.lists(IMAGES, max_size=3).map(lambda images: tuple(sorted(images))),
    undo=st.lists(UNDO, max_size=3).map(tuple),
    allowed=st.lists(TEXTS, max_size=3).map(lambda texts: tuple(sorted(texts))),
    lock=TEXTS,
)


def test_an_image_with_one_digest_counts_once_however_it_is_pinned() -> None:
    image = Image("team/web:1", "team/web:1", A, "", "values", ("tag",))
    record = Record("", "", (image, image._replace(via="template", values=()), image._replace(digest=B)))
    assert record.size == 2


@given(RECORDS)
def test_every_record_reads_back(record: Record) -> None:
    assert parse(record.to_json(), "x") == record
    assert parse(record.to_json(), "x").to_json() == record.to_json()
    assert [type(undo.was) for undo in parse(record.to_json(), "x").undo] == [type(undo.was) for undo in record.undo]


@given(RECORDS, st.data())
def test_a_record_that_lost_a_part_is_an_error_or_another_record(record: Record, data: st.DataObject) -> None:
    text = record.to_json()
    start = data.draw(st.integers(0, len(text) - 1))
    cut = text[:start] + text[start + data.draw(st.integers(1, 20)) :]
    try:
        found = parse(cut, "x")
    except VerificationFailed:
        return
    assert found.set_id == record.set_id or json.loads(cut)["set"] == found.set_id


# -- the set's name -----------------------------------------------------------------------------------------------------


def test_set_id_is_of_the_images_alone() -> None:
    lines = f"docker.io/library/web:1@{A}\nexample.com/db:2@{B}\n"
    assert SET.set_id == hashlib.sha256(lines.encode()).hexdigest()[:12]
    assert SET._replace(images=(DB, WEB, WEB), created="later", undo=()).set_id == SET.set_id
    assert SET._replace(images=(WEB,)).set_id != SET.set_id
    assert SET._replace(images=(WEB, DB._replace(digest=A))).set_id != SET.set_id


@given(st.permutations([WEB, DB, WEB._replace(via="template"), WEB._replace(image="docker.io/web:1")]))
def test_set_id_does_not_depend_on_order_or_on_how_it_was_done(images: list[Image]) -> None:
    assert Record("x", "y", tuple(images)).set_id == SET.set_id


# -- size ---------------------------------------------------------------------------------------------------------------


def stored(record: str, images: list[str]) -> int:
    """Bytes of a release as helm stores it (pkg/storage/driver/util.go), with a manifest that runs these images, and a Secret's own
    base64."""
    manifest = "".join(f"---\nkind: Pod\nmetadata: {{name: x{i}}}\nimage: {image}\n" for i, image in enumerate(images))
    release = {"manifest": manifest, "chart": {"metadata": {"annotations": {"helm-pin/digests": record}}}}
    return len(base64.b64encode(base64.b64encode(gzip.compress(json.dumps(release).encode(), 9))))


def test_what_the_record_costs() -> None:
    """The digests stand in the manifest already; what the record adds to a stored release is little."""
    count = 100
    digests = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(count)]
    names = [f"registry.example.com/team-{i % 7}/service-{i}:{i % 9}.{i % 11}.3" for i in range(count)]
    pinned = [f"{name}@sha256:{at}" for name, at in zip(names, digests, strict=True)]
    images = tuple(
        Image(name, name, f"sha256:{at}", WEB.media_type, "values", (f"service{i}.image.tag",))
        for i, (name, at) in enumerate(zip(names, digests, strict=True))
    )
    undo = tuple(Undo((f"service{i}", "image", "tag"), names[i].rpartition(":")[2], False) for i in range(count))
    record = Record("helm-pin 1.0.0", "2026-01-02T03:04:05Z", images, undo).to_json()
    assert (stored(record, pinned) - stored("", pinned)) / count <= 120


def test_what_is_left_out_where_it_says_nothing() -> None:
    text = Record("helm-pin 1.0.0", "2026-01-02T03:04:05Z", (WEB._replace(values=()),)).to_json()
    assert not {"values", "followers", "source"} & json.loads(text)["images"][0].keys()
    assert not {"undo", "allowed", "injected", "lock"} & json.loads(text).keys()
    entry = json.loads(Record("", "", (), (Undo(("a",), None, False),)).to_json())["undo"]
    assert entry == [{"path": ["a"]}]


# -- other versions -----------------------------------------------------------------------------------------------------


def test_images_without_a_digest_for_people() -> None:
    allowed = ("b:1", "a:1", *(f"x{number}:1" for number in range(4)))
    assert Record("", "", ()).let_through == ""
    assert Record("", "", (), allowed=allowed[:2]).let_through == "; 2 images let through without a digest: a:1, b:1"
    said = "; 6 images let through without a digest: a:1, b:1, x0:1, x1:1, x2:1, …"
    assert Record("", "", (), allowed=allowed).let_through == said


def test_unknown_keys_are_accepted() -> None:
    images = [{**image, "later": 1} for image in json.loads(SET.to_json())["images"]]
    assert parse(changed(later={"x": 1}, images=images), "x") == SET


def test_what_may_be_left_out() -> None:
    record = json.loads(SET.to_json())
    del record["undo"], record["allowed"], record["lock"]
    assert parse(json.dumps(record), "x") == SET._replace(undo=(), allowed=(), lock="")


def test_what_version_0_1_0_wrote() -> None:
    """It recorded the --set arguments and whole lists, and knew no followers."""
    old = {
        "version": 1,
        "tool": "helm-pin 0.1.0",
        "created": "2025-06-07T08:09:10Z",
        "set": Record("", "", (WEB,)).set_id,
        "injected": ["--set-json", f'pods=[{{"image":"web:1@{A}"}}]'],
        "images": [
            {
                "reference": WEB.reference,
                "image": "web:1",
                "digest": A,
                "mediaType": WEB.media_type,
                "via": "values",
                "values": ["pods"],
            }
        ],
        "undo": [{"path": ["pods"], "was": [{"image": "web:1"}]}, {"path": ["x"], "was": None, "supplied": True}],
    }
    found = parse(json.dumps(old), "x")
    assert found.images == (WEB._replace(values=("pods",)),)
    assert found.undo == (Undo(("pods",), [{"image": "web:1"}], False), Undo(("x",), None, True))


# -- what is no record --------------------------------------------------------------------------------------------------


def broken_image(**changes: Any) -> str:
    first, *rest = json.loads(SET.to_json())["images"]
    return changed(images=[{**first, **changes}, *rest])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is not valid JSON (line 1, column 1)"),
        ("{", "it is not valid JSON"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        (changed(version=2), "version is 2; this helm-pin reads version 1"),
        (changed(version=None), "version is null"),
        (changed(version="1"), 'version is "1"'),
        (changed(version=True), "version is true"),
        ("{}", "version is missing"),
        (changed(set="0" * 12), "the record was edited"),
        (changed(set=None), "the record was edited"),
        (changed(images=[]), "the record was edited"),
        (changed(images=None), "'images' is missing or not a list"),
        (changed(images=["x"]), "not an object"),
        (changed(tool=1), "'tool' is missing"),
        (changed(created=None), "'created' is missing"),
        (changed(lock=None), "'lock' is missing"),
        (broken_image(source=1), "'source' is missing"),
        (changed(undo=5), "'undo' is missing or not a list"),
        (changed(undo=[{}]), "'path' is missing"),
        (broken_image(digest="sha256:abc"), "'sha256:abc' is not a digest"),
        (broken_image(digest=A.upper()), "is not a digest"),
        (broken_image(digest=None), "'digest' is missing"),
        (broken_image(reference="a b"), "is not a reference"),
        (broken_image(digest=B), "the record was edited"),
        ("[" * 100000, "it is nested too deeply"),
        (SET.to_json().replace('"version":1', f'"version":{"1" * 5000}'), "a number in it is too long"),
    ],
)
def test_a_bad_record_is_an_error_and_never_a_guess(text: str, why: str) -> None:
    with pytest.raises(VerificationFailed) as failed:
        parse(text, "release web, revision 3")
    assert why in failed.value.why
    assert failed.value.where == ["release web, revision 3"]
    assert "helm pin upgrade" in failed.value.hint
    assert ("the helm-pin that wrote it" in failed.value.hint) is ("version" in why)


@pytest.mark.parametrize(
    "undo",
    [
        1,
        "x",
        {"path": []},
        [1],
        ["x"],
        [None],
        [{"path": []}],
        [{"path": "a"}],
        [{"path": ["a"], "kept": 1}],
        [{"path": ["a"], "kept": -1}],
        [{"path": ["a"], "kept": "0"}],
        [{"path": ["a"], "kept": None}],
        [{"path": [{}]}],
        [{"path": [-1]}],
        [{"path": ["a", True]}],
        [{"path": ["a", 1.5]}],
    ],
)
def test_a_bad_undo_is_an_error(undo: Any) -> None:
    with pytest.raises(VerificationFailed):
        parse(changed(undo=undo), "x")


@pytest.mark.parametrize("name", ["values", "followers", "allowed"])
@pytest.mark.parametrize("value", [1, True, None, "text", [1], [None], {"a": "b"}])
def test_a_bad_list_is_an_error(name: str, value: Any) -> None:
    with pytest.raises(VerificationFailed):
        parse(changed(allowed=value) if name == "allowed" else broken_image(**{name: value}), "x")


@given(st.recursive(SCALARS, lambda b: st.lists(b, max_size=3) | st.dictionaries(TEXTS, b, max_size=3)))
def test_whatever_else_stands_there_is_an_error_of_that_kind(data: Any) -> None:
    for text in (json.dumps(data), changed(images=data), changed(undo=data), changed(allowed=data), changed(set=data)):
        try:
            found = parse(text, "x")
        except VerificationFailed:
            continue
        assert found.images == SET.images and all(Reference.parse(image.reference) for image in found.images)


PYTHONS_WORDS = (
    "' object",
    "NoneType",
    "None",
    "sys.",
    "recursion depth",
    "subscriptable",
    "iterable",
    "codec",
    "Expecting",
)
"""Of Python's exceptions, whose readers would have to know what helm-pin is written in."""
RAW = (
    st.recursive(SCALARS, lambda b: st.lists(b, max_size=3) | st.dictionaries(TEXTS, b, max_size=3)).map(json.dumps)
    | st.sampled_from(["9" * 5000, "[" * 100000, "NaN", "-Infinity", "1e999", '"\\ud800"', '"' + "x" * 500 + '"', "", "'a'"])
)  # fmt: skip


def places(node: Any) -> list[tuple[Any, Any]]:
    """Everything in some JSON, as (what holds it, its key)."""
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    return [place for key in keys for place in ((node, key), *places(node[key]))]


@given(st.integers(0, len(places(json.loads(SET.to_json()))) - 1), RAW)
def test_no_message_about_a_record_has_pythons_words(number: int, raw: str) -> None:
    record = json.loads(SET.to_json())
    holder, key = places(record)[number]
    holder[key] = "put it here"
    try:
        parse(json.dumps(record).replace('"put it here"', raw), "x")
    except VerificationFailed as error:
        message = error.message()
        assert not [word for word in PYTHONS_WORDS if word in message], message[:500]
        assert len(message) < 2000
