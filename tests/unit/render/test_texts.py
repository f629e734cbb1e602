"""Texts beside an image whose tag gets a digest: each is a whole reference with a tag, and follows, or it must not change."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from urllib.parse import quote_plus

import pytest

from helmpin.render.diff import Comparison, compare
from helmpin.render.output import parse
from tests.support.renders import digest, document

DIGEST = digest("a")
NAME, TAG = "example.com/team/app", "v1.25"
Text = Callable[[str, str], str]
"""A text, made of the name and the tag."""
STAY: dict[str, Text] = {
    **{
        f"followed by {text}": lambda name, tag, text=text: f"{name}:{tag}{text}"
        for text in ("-debug", ".1", "_x", "x", "/bin", ":8080", "@x")
    },
    **{
        f"preceded by {text}": lambda name, tag, text=text: f"{text}{name}:{tag}"
        for text in ("my", "x/", "other.example/", "x.", "x-", "x_", "1", "user@", "host:")
    },
    "the tag": lambda _, tag: tag,
    "the tag in a text": lambda _, tag: f"v{tag}-x",
    "name and tag apart": lambda name, tag: f"{name} {tag}",
    "upper case": lambda _, tag: tag.upper(),
    "cut": lambda name, tag: f"{name}:{tag}"[: len(f"{NAME}:{TAG}") + 12],
    "hashed": lambda name, tag: sha256(f"{name}:{tag}".encode()).hexdigest(),
    "a length": lambda name, tag: str(len(f"{name}:{tag}")),
    "encoded": lambda name, tag: b64encode(f"{name}:{tag}".encode()).decode(),
    "as a query": lambda name, tag: quote_plus(f"{name}:{tag}"),
}
FOLLOW: dict[str, Text] = {
    "alone": lambda name, tag: f"{name}:{tag}",
    "an argument": lambda name, tag: f"--image={name}:{tag}",
    "two": lambda name, tag: f"{name}:{tag},{name}:{tag}",
    "a pair": lambda name, tag: f"a={name}:{tag};b={name}:{tag}",
    "quoted": lambda name, tag: f"'{name}:{tag}' or \\\"{name}:{tag}\\\"",
    "json": lambda name, tag: f'{{\\"image\\":\\"{name}:{tag}\\"}}',
    "in prose": lambda name, tag: f"run {name}:{tag}, then (or) {name}:{tag}; wait",
    "a word beside it": lambda name, tag: f"{name}:{tag} app {name}:{tag}",
}
POD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{name: web, image: IMAGE MORE}]}}}
"""
PLACES = {
    "env": POD.replace(" MORE", ", env: [{name: A, value: TEXT}]"),
    "argument": POD.replace(" MORE", ", args: [TEXT]"),
    "data": POD.replace(" MORE", "") + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: TEXT}\n",
    "custom": POD.replace(" MORE", "")
    + "---\napiVersion: x.io/v1\nkind: X\nmetadata: {name: x}\nspec: {image: TEXT}\n",
}
METADATA = {
    "label": "labels: {a: TEXT}",
    "annotation": "annotations: {image: TEXT}",
    "namespace": "namespace: TEXT",
    "owner": "ownerReferences: [{kind: X, name: TEXT}]",
    "finalizer": "finalizers: [TEXT]",
}


def compared(text: Text, place: str) -> Comparison:
    """The comparison of a render with the one whose tag has the digest, wherever it is printed."""
    before, after = (
        document(place.replace("IMAGE", f'"{NAME}:{tag}"').replace("TEXT", f'"{text(NAME, tag)}"'))
        for tag in (TAG, f"{TAG}@{DIGEST}")
    )
    plain = parse(before, None)
    return compare(plain, parse(after, plain.also), {use.key: DIGEST for use in plain.images()})


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("text", STAY.values(), ids=STAY)
def test_a_text_that_must_not_change(text: Text, place: str) -> None:
    found = compared(text, place)
    assert len(found.collateral) == 1 and found.followers == () and not found.failing


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("text", FOLLOW.values(), ids=FOLLOW)
def test_a_text_that_follows(text: Text, place: str) -> None:
    found = compared(text, place)
    assert found.collateral == [] and len(found.followers) == 1 and not found.failing


@pytest.mark.parametrize("metadata", METADATA.values(), ids=METADATA)
def test_metadata_must_not_change(metadata: str) -> None:
    found = compared(FOLLOW["alone"], POD.replace(" MORE", "").replace("{name: web}", f"{{name: web, {metadata}}}"))
    assert len(found.collateral) == 1 and found.followers == () and not found.failing


@pytest.mark.parametrize("name", ["alone", "followed by -debug", "preceded by my", "the tag"])
def test_a_comment_must_not_change(name: str) -> None:
    found = compared({**STAY, **FOLLOW}[name], POD.replace(" MORE", "") + "# TEXT\n")
    assert len(found.collateral) == 1 and found.followers == () and not found.failing
