"""Pinning what no value reaches: the template file that renders the image is wrapped in the staged chart.

`templates/x.yaml` is renamed to `templates/_helm-pin-x.yaml`: helm does not render a file whose base name starts with `_`, but
parses it as the named template of its path (pkg/engine/render.go). A new `templates/x.yaml` includes it and puts the pinned
reference in its `image:` lines. So helm itself carries the pin, in hooks and subcharts too, whatever helper, range or
library wrote the line, and nothing else of the file changes.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections import defaultdict
from typing import Protocol

PREFIX = "_helm-pin-"


class Templates(Protocol):
    """What is needed of a staged chart."""

    def template_files(self) -> dict[str, str]: ...
    def write_template(self, name: str, text: str) -> None: ...
    def remove_template(self, name: str) -> None: ...
    def source_to_path(self, source: str) -> str: ...
    def rename(self, path: str, new: str) -> None: ...
    def write(self, path: str, text: str) -> None: ...


class Wrapper:
    """The wrapped template files of one staged chart."""

    def __init__(self, staged: Templates) -> None:
        self._staged = staged
        self._pins: dict[str, dict[str, str]] = defaultdict(dict)
        """path → {pattern: pinned reference}"""

    def pin(self, source: str, image: str, pinned: str, *, anywhere: bool = False) -> None:
        """Have the template `source` (as helm prints it after `# Source:`) write `pinned` where it writes `image`: in `image:`
        lines, or anywhere."""
        path = self._staged.source_to_path(source)
        pins = self._pins[path]
        if not pins:
            self._staged.rename(path, inner(path))
        pattern = _anywhere(image) if anywhere else _line(image)
        if pins.get(pattern) != pinned:
            pins[pattern] = pinned
            self._staged.write(path, wrapper(path, pins))


def inner(path: str) -> str:
    """Where the original of a wrapped template goes."""
    return posixpath.join(posixpath.dirname(path), PREFIX + posixpath.basename(path))


def wrapper(path: str, pins: dict[str, str]) -> str:
    """The text of the template that wraps `path`."""
    within = (
        inner(path).rpartition("/templates/")[2] if "/templates/" in path else inner(path).removeprefix("templates/")
    )
    steps = "".join(
        f"{{{{- $text = regexReplaceAll {_go(pattern)} $text {_go('${1}' + pinned + '${2}')} }}}}\n"
        for pattern, pinned in sorted(pins.items())
    )
    return f"{{{{- $text := include (print $.Template.BasePath {_go('/' + within)}) . }}}}\n{steps}{{{{- $text }}}}"


def _line(image: str) -> str:
    """RE2: the value of an `image` (or an image volume's `reference`) key, in any YAML style, on its line or the next."""
    return (
        r"""((?m:^|[\s,{\[])["']?(?:image|reference)["']?[ \t]*:[ \t]*"""
        r"""(?:[&!][^\s]+[ \t]+)*(?:(?:[>|][+-]?)?[ \t]*\r?\n[ \t]+)?["']?)"""
        + _literal(image)
        + r"""(["']?(?:[\s,}\]]|$))"""
    )


def _anywhere(image: str) -> str:
    """RE2: the reference wherever it stands by itself."""
    return r"(^|[^\w./:@-])" + _literal(image) + r"([^\w./:@-]|$)"


def _literal(text: str) -> str:
    """RE2 for exactly `text` (Python's re.escape also escapes what RE2 forbids to escape)."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)


def _go(text: str) -> str:
    """A string literal of a Go template."""
    return "`" + text + "`" if "`" not in text and "\n" not in text else json.dumps(text)
