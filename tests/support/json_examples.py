"""The examples of docs/json.md, and how what a command prints differs from them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.support.workstation import CHECKOUT

OPTIONAL = frozenset({"details", "lock", "was"})
"""Keys that a flag or a change brings."""
CONTEXTS = frozenset({"staging", "prod"})


def example(name: str) -> Any:
    """The example of a command's JSON."""
    match = re.search(rf"(?s)<!-- keys: {name} -->\n```json\n(.*?)```", (CHECKOUT / "docs/json.md").read_text())
    assert match
    return json.loads(match[1])


def unlike(printed: Any, documented: Any, place: str = "$") -> Iterator[str]:
    """Where keys or types differ; null stands for any type, and the first element of a list for all."""
    if printed is None or documented is None:
        return
    if type(printed) is not type(documented):
        yield f"{place}: {type(printed).__name__} is printed, {type(documented).__name__} is documented"
    elif isinstance(printed, list):
        if printed and not documented:
            yield f"{place}: the elements are not documented"
        for number, each in enumerate(printed):
            yield from unlike(each, documented[0], f"{place}[{number}]") if documented else ()
    elif isinstance(printed, dict):
        if _is_data(documented):
            for key, value in printed.items():
                yield from unlike(value, next(iter(documented.values())), f"{place}.{key}")
            return
        for key in sorted((printed.keys() ^ documented.keys()) - (OPTIONAL & documented.keys())):
            yield f"{place}.{key} is {'printed' if key in printed else 'documented'} alone"
        for key in printed.keys() & documented.keys():
            yield from unlike(printed[key], documented[key], f"{place}.{key}")


def _is_data(documented: dict[str, Any]) -> bool:
    """Whether the keys are images, digests or contexts."""
    return bool(documented) and all(re.search(r"[:/@]", key) or key in CONTEXTS for key in documented)
