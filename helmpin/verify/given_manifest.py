"""A manifest that the user names. A file that is not one is refused, with the line, and never mistaken for one without images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from helmpin import kube_yaml, yaml_position
from helmpin.errors import HelmFailed, UsageError
from helmpin.image.documents import documents
from helmpin.image.find import BUILT_IN, CONTAINER_LISTS, POD_SPECS
from helmpin.release.revision import Revision, of_manifest
from helmpin.shapes import mapping

_HINT = "name the manifest as it was applied, for example what helm template printed"


def given(name: str, text: str) -> Revision:
    """The manifest, to be verified like a stored revision. name: its file, for people. Raises UsageError, with the line."""
    what = f"{name} is not a manifest of Kubernetes objects"
    try:
        kube_yaml.read_all(text, what=what, where=name)
    except HelmFailed as error:
        raise UsageError(f"{name} is not YAML", why=error.why, hint=_HINT) from None
    end = 0
    for document, own in documents(text):
        start = text.index(own, end)
        end = start + len(own)
        before = text[: text.index(document.text, start)]
        for number, item in enumerate(document.objects()):
            for problem, path in _problems(item):
                line = before.count("\n") + _line(document.text, number, path)
                raise UsageError(what, why=f"line {line}: {problem}", hint=_HINT)
    return of_manifest(name, text)


def _problems(item: Any) -> Iterator[tuple[str, Sequence[str]]]:
    """What is wrong with an object, and its path in the object."""
    if item is None:  # a document of comments
        return
    if not isinstance(item, dict):
        yield f"an object is a mapping, not {_kind_of(item)}", ()
    elif not all(isinstance(item.get(key), str) and item[key] for key in ("apiVersion", "kind")):
        missing = next(key for key in ("apiVersion", "kind") if not (isinstance(item.get(key), str) and item[key]))
        yield f"an object has no {missing}", ()
    elif not isinstance(mapping(item.get("metadata")).get("name", ""), str):
        yield f"the name of this {item['kind']} is not a text: quote it", ("metadata", "name")
    elif item["apiVersion"] in BUILT_IN and item["kind"] in POD_SPECS:
        yield from _pod_problems(item, POD_SPECS[item["kind"]])


def _pod_problems(item: Mapping[str, Any], path: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    spec: Any = item
    for n, part in enumerate(path):
        spec = spec.get(part)
        if not isinstance(spec, dict):
            yield f"{'.'.join(path[: n + 1])} of this {item['kind']} is not a mapping", path[: n + 1]
            return
    for key in CONTAINER_LISTS:
        containers = spec.get(key, () if key != "containers" else None)
        if not isinstance(containers, (list, tuple)) or not all(
            isinstance(each, dict) and isinstance(each.get("image", ""), str) for each in containers
        ):
            yield f"{'.'.join((*path, key))} of this {item['kind']} is not a list of containers", (*path, key)


def _kind_of(value: Any) -> str:
    return "a list" if isinstance(value, list) else "a text or a number"


def _line(text: str, number: int, path: Sequence[str]) -> int:
    """The line, from 1, of the value at a path of a document's object, or else of its nearest parent that exists."""
    node = place = yaml_position.compose(text)
    kind = yaml_position.child(node, "kind")
    of_list = ("items", number) if kind and kind[1].value == "List" else ()
    for part in (*of_list, *path):
        found = yaml_position.child(node, part)
        if found is None:
            break
        node, place = found[1], found[0] or found[1]
    return place.start_mark.line + 1 if place else 1
