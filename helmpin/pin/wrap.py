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
from typing import NamedTuple, Protocol

PREFIX = "_helm-pin-"


class Templates(Protocol):
    """What is needed of a staged chart."""

    def template_files(self) -> dict[str, str]: ...
    def write_template(self, name: str, text: str) -> None: ...
    def remove_template(self, name: str) -> None: ...
    def source_to_paths(self, source: str) -> list[str]: ...
    def rename(self, path: str, new: str) -> None: ...
    def write(self, path: str, text: str) -> None: ...


class Pins(NamedTuple):
    """{image: pinned reference} for one template file: in `image:` lines, and anywhere."""

    lines: dict[str, str]
    anywhere: dict[str, str]


class Wrapper:
    """The wrapped template files of one staged chart."""

    def __init__(self, staged: Templates) -> None:
        self._staged = staged
        self._pins: dict[str, Pins] = {}
        self._changed: set[str] = set()

    def pin(self, source: str, image: str, pinned: str, *, anywhere: bool = False) -> None:
        """Have the template `source` (as helm prints it after `# Source:`) write `pinned` where it writes `image`: in `image:`
        lines, or anywhere. Takes effect with `write`. Of copies that cannot be told apart each is given it, for helm takes any."""
        for path in self._staged.source_to_paths(source):
            if path not in self._pins:
                self._staged.rename(path, inner(path))
                self._staged.write(path, "")  # a file of that name goes on being there
            pins = self._pins.setdefault(path, Pins({}, {}))
            (pins.anywhere if anywhere else pins.lines)[image] = pinned
            self._changed.add(path)

    def write(self) -> None:
        """Write the wrapping templates that have changed."""
        for path in self._changed:
            self._staged.write(path, wrapper(path, self._pins[path]))
        self._changed.clear()


def inner(path: str) -> str:
    """Where the original of a wrapped template goes."""
    return posixpath.join(posixpath.dirname(path), PREFIX + posixpath.basename(path))


def wrapper(path: str, pins: Pins) -> str:
    """The text of the template that wraps `path`.

    The image lines are found all at once, and what is in them is looked up: a replacement for each image would read the whole
    text for each.
    """
    within = (
        inner(path).rpartition("/templates/")[2] if "/templates/" in path else inner(path).removeprefix("templates/")
    )
    known = "".join(f" {_go(image)} {_go(pinned)}" for image, pinned in sorted(pins.lines.items()))
    anywhere = "".join(
        f"{{{{- $text = regexReplaceAll {_go(_anywhere(image))} $text {_go('${1}' + pinned + '${2}')} }}}}\n"
        for image, pinned in sorted(pins.anywhere.items())
    )
    return (
        f"{{{{- $text := include (print $.Template.BasePath {_go('/' + within)}) . }}}}\n"
        + (f"{{{{- $pins := dict{known} }}}}\n{_REPLACE}" if known else "")
        + anywhere
        + "{{- $text }}"
    )


_LINE = (
    r"""((?m:^|[\s,{\[])["']?(?:image|reference)["']?[ \t]*:[ \t]*"""
    r"""(?:[&!][^\s]+[ \t]+)*(?:(?:[>|][+-]?)?[ \t]*\r?\n[ \t]+)?["']?)"""
    r"""([^\s"',}\]]*[^\s"',}\]:])"""
    r"""(["']?(?:[\s,}\]]|$))"""
)
"""RE2: an `image` (or an image volume's `reference`) key, its value in any YAML style on its line or the next, and what ends it."""
_REPLACE = f"""\
{{{{- $line := `{_LINE}` }}}}
{{{{- $between := regexSplit $line $text -1 }}}}
{{{{- $parts := list (first $between) }}}}
{{{{- range $i, $match := regexFindAll $line $text -1 }}}}
{{{{- $image := regexReplaceAll $line $match "${{2}}" }}}}
{{{{- if hasKey $pins $image }}}}
{{{{- $match = regexReplaceAll $line $match (print "${{1}}" (get $pins $image) "${{3}}") }}}}
{{{{- end }}}}
{{{{- $parts = append (append $parts $match) (index $between (add1 $i)) }}}}
{{{{- end }}}}
{{{{- $text = join "" $parts }}}}
"""


def _anywhere(image: str) -> str:
    """RE2: the reference wherever it stands by itself."""
    return r"(^|[^\w./:@-])" + _literal(image) + r"([^\w./:@-]|$)"


def _literal(text: str) -> str:
    """RE2 for exactly `text` (Python's re.escape also escapes what RE2 forbids to escape)."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)


def _go(text: str) -> str:
    """A string literal of a Go template."""
    return "`" + text + "`" if "`" not in text and "\n" not in text else json.dumps(text)
