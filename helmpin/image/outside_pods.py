"""Images outside pod specs: in arguments, environment variables, config maps and custom resources.

They are reported, and pinned only on request (`--also`): what looks like a reference there may be something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from helmpin import kube_yaml
from helmpin.errors import HelmFailed
from helmpin.image import find
from helmpin.image.find import ObjectPath
from helmpin.image.reference import InvalidReference, Reference

OPERATORS = "operators"
"""The pattern that stands for the rules in operators.yaml."""
_DIGEST = r"(?:@sha256:[0-9a-f]{64})?"
_TAG = r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_HOST = r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+|localhost)(?::[0-9]+)?"
_CERTAIN = re.compile(
    rf"(?<![\w./:@-])(?![a-z0-9.-]*kubernetes\.io/)"
    rf"({_HOST}/[a-z0-9._/-]+(?:{_TAG}{_DIGEST}|@sha256:[0-9a-f]{{64}}))(?![\w/:@-])"
)
"""A reference that can hardly be anything else: with a host, and a tag or a digest. kubernetes.io is for labels and taints
(`node.kubernetes.io/not-ready:NoExecute`); Kubernetes' images are at registry.k8s.io."""


class Rule(NamedTuple):
    """A place that holds an image: a glob for KIND/path, and for arguments one for the flag's name."""

    path: str
    flag: str = ""


class OutsideImage(NamedTuple):
    """An image outside a pod spec: as written, the leaf that holds it, and its place for people."""

    image: str
    path: ObjectPath
    """The leaf's path; for the n-th reference in a longer text it ends in `#n`."""
    place: str
    asked: bool
    """Whether --also matches it."""


class ExtraImageRules:
    """The patterns of --also: globs for the place (`Prometheus/spec/image`) or for the image as written; the word `operators`
    stands for the rules that ship with helm-pin."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._globs = [p for p in patterns if p != OPERATORS]
        self._rules = rules() if OPERATORS in patterns else []

    def __bool__(self) -> bool:
        return bool(self._globs or self._rules)

    def images(self, item: Any) -> Iterator[OutsideImage]:
        """The images of one object outside its pod specs, whether a pattern matches or not; a policy has none."""
        kind = str(item.get("kind")) if isinstance(item, dict) else ""
        runs = {found.path for found in find.images(item)}
        for path, place, text in _leaves(item, (), kind):
            if path in runs:
                continue
            found = _in_patch(text) if path[-1:] == ("podSpecPatch",) else []
            found = found or [(m[1], m.start(1)) for m in _CERTAIN.finditer(text)]
            rule = any(_matches(r, place, text) for r in self._rules) or any(fnmatchcase(place, g) for g in self._globs)
            if not found and rule:
                image = text.rpartition("=")[2]
                found = [(image, len(text) - len(image))] if _is_reference(image) else []
            for n, (image, start) in enumerate(found):
                asked = rule or any(fnmatchcase(image, g) for g in self._globs)
                yield OutsideImage(
                    image, path if (start, len(image)) == (0, len(text)) else (*path, f"#{n}"), place, asked
                )


@cache
def rules() -> list[Rule]:
    """The rules of operators.yaml."""
    loaded = kube_yaml.read_first(
        (Path(__file__).parent / "operators.yaml").read_text(), what="cannot be read", where="operators.yaml"
    )
    return [Rule(str(entry["path"]), str(entry.get("flag", ""))) for entry in loaded]


def _matches(rule: Rule, place: str, text: str) -> bool:
    return fnmatchcase(place, rule.path) and (not rule.flag or fnmatchcase(text.partition("=")[0], rule.flag))


def _is_reference(text: str) -> bool:
    try:
        Reference.parse(text)
    except InvalidReference:
        return False
    return "/" in text or ":" in text


def _in_patch(text: str) -> list[tuple[str, int]]:
    """The images in an Argo Workflows' patch of a pod spec, which is JSON or YAML in a string, and where they begin."""
    try:
        patch = kube_yaml.read_first(text, what="the patch cannot be read", where="podSpecPatch")
    except HelmFailed:  # it may become YAML only when its parameters are filled in
        return []
    return [(image, text.find(image)) for image, _ in find.images(patch) if _is_reference(image)]


def _leaves(node: Any, path: ObjectPath, place: str) -> Iterator[tuple[ObjectPath, str, str]]:
    """(path, place, text) of the string leaves that can hold a reference."""
    if isinstance(node, dict) and not find.is_policy(node):
        for key, child in node.items():
            if key not in ("annotations", "labels", "description"):
                yield from _leaves(child, (*path, key), f"{place}/{key}")
    elif isinstance(node, list):
        for i, child in enumerate(node):
            yield from _leaves(child, (*path, i), f"{place}/{_called(child, i)}")
    elif isinstance(node, str) and (":" in node or "/" in node):
        yield path, place, node


def _called(item: Any, index: int) -> str:
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) and name else str(index)
