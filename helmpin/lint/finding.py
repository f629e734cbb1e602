"""What lint finds, as data."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from helmpin.chart.setargs import ValuePath
from helmpin.errors import HelmPinError
from helmpin.image.find import dotted
from helmpin.image.hints import named
from helmpin.image.reference import split
from helmpin.image.uses import ImageUse
from helmpin.lint.rules import MUTABLE_TAG, NOT_LINTED, Rule
from helmpin.named_tuple import NamedTuple
from helmpin.output import mask_urls


def path_here(name: str) -> str:
    """The path of a file or folder for reports: normalised, and relative to the working directory if it is below that or was given
    so. What does not exist there (a URL, a chart of a repository) is returned as it is."""
    try:
        path = os.path.relpath(name)
        if Path(name).is_absolute() and Path(path).parts[:1] == (os.pardir,):
            path = os.path.normpath(name)
        is_same = Path(name).samefile(path)  # not where `..` follows a link
    except (OSError, ValueError):
        return name
    return path if is_same and not path.startswith("-") else name


def inside(chart: str, path: str) -> str:
    """The path of a file in a chart, for reports."""
    return path if chart == os.curdir else f"{chart.rstrip('/')}/{path}"


class Location(NamedTuple):
    """A place in a file; lines and columns count from 1."""

    file: str
    line: int = 1
    column: int = 0
    """0 if only the line is known."""
    end_column: int = 0
    value: str = ""
    """The value that stands there, as --set names it; '' for a line of a template."""
    path: ValuePath = ()
    """The value's path in that file."""
    instead: tuple[str, int] | None = None
    """The template and line that print the value, if `file` is no file: standard input, a pipe, a URL."""


class Exempt(NamedTuple):
    """What exempts an image."""

    image: str
    """A glob."""
    text: str
    """All of it, for people."""
    reason: str = ""
    until: str = ""
    """The last day, as YYYY-MM-DD."""


class Finding(NamedTuple):
    """One use of an image that breaks a rule: mostly, its tag can move."""

    chart: str
    use: ImageUse
    reason: str
    at: Location
    values: tuple[str, ...] = ()
    """The values files of the chart's ci folder with which it appears; '' stands for the chart's defaults."""
    exemption: Exempt | None = None
    version: str = ""
    """The tag with a full version that has the same digest today, with --suggest."""
    no_version: str = ""
    """Why the registry could not tell the version."""
    rule: Rule = MUTABLE_TAG
    is_named: bool = True
    """Whether its object has the same name in each render, whatever the tags."""
    is_text: bool = True
    """Whether its container has a text as its image, which may be empty."""
    twin: int = 0
    """How many findings of the chart before it are the same, but for their places and tags."""

    @property
    def image(self) -> str:
        """The image, for people."""
        return named(self.use.image) if self.is_text else "no image reference"

    @property
    def text(self) -> str:
        """What was found, in one sentence."""
        return f"{self.image} in {self.use.kind}/{self.use.name}, {self.container}: {self.why}{self.by_value}"

    @property
    def by_value(self) -> str:
        """The value that sets it, after a sentence; '' if none is known."""
        return f" ({self.at.value})" if self.at.value else ""

    @property
    def container(self) -> str:
        """Which container of its object: its name, or the path of the image if it has none."""
        return f"container {self.use.container}" if self.use.container else dotted(self.use.path)

    @property
    def why(self) -> str:
        """The reason, what to write instead if that is known, and what exempts it."""
        instead = f"; today it is {self.version}" if self.version else ""
        exempt = f"; exempt by {self.exemption.text}" if self.exemption else ""
        return f"{self.reason}{instead}{exempt}"

    @property
    def subject(self) -> tuple[str, ...]:
        """What it is about: the object, the container and the repository, and not where they stand nor which tag it is."""
        use = self.use
        name = use.name if self.is_named else use.source
        return (self.chart, self.rule.id, use.kind, name, self.container, split(use.image)[0])

    @property
    def fingerprint(self) -> str:
        """Identifies the finding, even if lines and objects move or the tag changes."""
        return _hash(*self.subject, str(self.twin))


class Linted(NamedTuple):
    """The result for one chart."""

    chart: str
    findings: tuple[Finding, ...] = ()
    exempt: tuple[Finding, ...] = ()
    error: HelmPinError | None = None
    """Why it could not be linted."""
    error_at: Location | None = None
    """Where the reason stands, if it is known better than by the chart's name."""
    skipped: str = ""
    """Why there is nothing to lint."""
    is_chart: bool = True
    notes: tuple[str, ...] = ()


class Failed(NamedTuple):
    """A chart that could not be linted."""

    chart: str
    error: HelmPinError
    at: Location

    @property
    def fingerprint(self) -> str:
        """Identifies the chart among those that could not be linted."""
        return _hash(NOT_LINTED.id, self.chart)


class Report(NamedTuple):
    """What was found in all charts."""

    charts: tuple[Linted, ...]

    def without_logins(self) -> Report:
        """The report as it may be printed: a chart or a values file may be named by a URL with a login."""
        return Report(tuple(map(_without_logins, self.charts)))

    @property
    def findings(self) -> list[Finding]:
        """Those of all charts, in their order."""
        return [finding for chart in self.charts for finding in chart.findings]

    @property
    def exempt(self) -> list[Finding]:
        """Those that are exempt."""
        return [finding for chart in self.charts for finding in chart.exempt]

    @property
    def failed(self) -> list[Failed]:
        """The charts that could not be linted."""
        return [Failed(c.chart, c.error, c.error_at or Location(c.chart)) for c in self.charts if c.error]

    @property
    def skipped(self) -> int:
        """How many were skipped."""
        return sum(1 for chart in self.charts if chart.skipped)

    @property
    def linted(self) -> int:
        """How many were linted."""
        return len(self.charts) - len(self.failed) - self.skipped


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()


def _without_logins(linted: Linted) -> Linted:
    def elsewhere(at: Location) -> Location:
        instead = (mask_urls(at.instead[0]), at.instead[1]) if at.instead else None
        return at._replace(file=mask_urls(at.file), instead=instead)

    def masked(finding: Finding) -> Finding:
        return finding._replace(chart=mask_urls(finding.chart), at=elsewhere(finding.at))

    return linted._replace(
        chart=mask_urls(linted.chart),
        error_at=linted.error_at and elsewhere(linted.error_at),
        findings=tuple(map(masked, linted.findings)),
        exempt=tuple(map(masked, linted.exempt)),
    )
