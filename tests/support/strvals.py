"""What Helm computes from --set-string and --set-json, as an oracle that uses none of helm-pin's code.

The grammar is that of pkg/strvals/parser.go: `key`, `listItem`, `valList` and `runesUntil` there are the methods here. The order is
that of pkg/cli/values/options.go: all of --set-json, then all of --set-string, into the user's own values; these are then laid over
the chart's. What Helm refuses or drops raises ValueError.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

MAX_INDEX = 65536
MAX_NESTED_NAME_LEVEL = 30


def computed(chart: dict[str, Any], given: dict[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """The values for a chart with these of its own, those of the user, and these arguments (without null in a map)."""
    pairs = list(zip(words[::2], words[1::2], strict=True))
    if not {flag for flag, _ in pairs} <= {"--set-json", "--set-string"}:
        raise ValueError(f"not read here: {words}")
    base = copy.deepcopy(given)
    for flag in ("--set-json", "--set-string"):
        for line in (line for each, line in pairs if each == flag):
            _Line(line, is_json=flag == "--set-json").into(base)
    return _over(base, copy.deepcopy(chart))


def _over(new: Any, old: Any) -> Any:
    if isinstance(new, dict) and isinstance(old, dict):
        return old | {key: _over(value, old.get(key)) for key, value in new.items()}
    return new


class _Line:
    """Mutable: what is left of one argument."""

    def __init__(self, line: str, *, is_json: bool) -> None:
        if "\0" in line:
            raise ValueError("no argument holds NUL")
        if is_json and line.strip().startswith("{"):
            raise ValueError("Helm 4 takes it for an object")
        self.rest, self.is_json = line, is_json

    def into(self, values: dict[str, Any]) -> None:
        while self.rest:
            self.key(values, 0)

    def until(self, stop: str) -> tuple[str, str]:
        """What comes before a character of `stop`, and that character; '' at the end."""
        out, at = "", 0
        while at < len(self.rest):
            here = self.rest[at]
            at += 1
            if here in stop:
                self.rest = self.rest[at:]
                return out, here
            if here == "\\":
                if at == len(self.rest):
                    break
                here = self.rest[at]
                at += 1
            out += here
        self.rest = ""
        return out, ""

    def key(self, values: dict[str, Any], level: int) -> None:
        name, last = self.until("=[,.")
        if not name or last in ("", ","):
            raise ValueError(f"key {name!r} is empty, or has no value")
        if last == "[":
            values[name] = self.item(values.get(name, []), self.index(), level)
        elif last == "=":
            values[name] = self.value()
        else:
            if level + 1 > MAX_NESTED_NAME_LEVEL:
                raise ValueError("too deep")
            inner = values.setdefault(name, {})
            if not isinstance(inner, dict):
                raise ValueError(f"{name!r} is no map")
            self.key(inner, level + 1)

    def index(self) -> int:
        digits, _ = self.until("]")
        if not (digits.isascii() and digits.isdigit() and int(digits) <= MAX_INDEX):
            raise ValueError(f"index {digits!r}")
        return int(digits)

    def item(self, items: Any, index: int, level: int) -> list[Any]:
        if not isinstance(items, list):
            raise ValueError("no list")
        between, last = self.until("[.=")
        if between or not last:
            raise ValueError(f"{between!r} after an index")
        there = items[index] if index < len(items) else None
        new: Any
        if last == "=":
            new = self.value()
        elif last == "[":
            new = self.item([] if there is None else there, self.index(), level)
        else:
            new = there if isinstance(there, dict) else {}
            self.key(new, level)
        return [*items, *[None] * (index - len(items))][:index] + [new] + items[index + 1 :]

    def value(self) -> Any:
        if self.is_json:
            return self.json_value()
        if self.rest.startswith("{"):
            raise ValueError("a list, not a text")
        return self.until(",")[0]

    def json_value(self) -> Any:
        found, end = json.JSONDecoder().raw_decode(self.rest.lstrip())
        self.rest = self.rest.lstrip()[end:].lstrip()
        self.rest = self.rest.removeprefix(",")
        return found
