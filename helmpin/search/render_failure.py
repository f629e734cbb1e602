"""What Helm's message about a failed render names: values, templates, charts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from helmpin.chart.setargs import Setting
from helmpin.search.value_index import inside, scope_of


def scopes_of(why: str) -> list[tuple[str, ...]]:
    """The charts of the templates that a message names, in its order; the chart itself if it names none."""
    return [scope_of(named) for named in re.findall(r"[\w.-]+(?:/charts/[\w.-]+)*/templates/", why)] or [()]


def names_value(why: str, setting: Setting, charts: Collection[tuple[str, ...]]) -> bool:
    """Whether a message names the value of a setting, as an error of values.schema.json or of a template. charts: the scopes of the
    charts that have images."""
    return any(_schema_errors(why, setting, charts)) or _is_in_template_error(why, setting, scopes_of(why)[0])


def ends_in_a_colon(why: str) -> bool:
    """Whether helm's message is about a line such as `image: name:`, as an emptied tag leaves it."""
    return "mapping values are not allowed" in why


def refuses_version(why: str) -> bool:
    """Whether a template failed because a text is not a semantic version, as a tag with a digest never is (sprig, semver.go)."""
    return "error calling semver" in why


def reason(why: str, settings: Iterable[Setting] = (), charts: Collection[tuple[str, ...]] = ()) -> str:
    """The reason in helm's message: the first error of a schema that names one of these settings, or else its last line. It begins
    with the place and ends with the error. charts: as for names_value()."""
    lines = [line for line in why.splitlines() if line.strip()] or ["helm failed"]
    of_schema = (line for setting in settings for line in _schema_errors(why, setting, charts))
    line = next(of_schema, lines[-1])
    return line if len(line) <= 200 else f"{line[:100]}…{line[-99:]}"


def _schema_errors(why: str, setting: Setting, scopes: Collection[tuple[str, ...]]) -> Iterator[str]:
    """The lines of a values.schema.json error that name the setting, below the name of its chart: `- image.tag: …`,
    `- at '/image/tag': …` (pkg/chart/common/util, ValidateAgainstSchema).

    scopes: those of the subcharts that have images.
    """
    parts = [str(part) for part in setting.path]
    inner = parts
    for line in why.splitlines():
        if heading := re.fullmatch(r"([^\s:]+):", line):
            inner = _under(heading[1], parts, scopes)
        match = re.match(r"\s*- (?:at '/?([^']*)'|([^:\s]+)):", line)
        if match and not line.endswith("validation failed"):  # only a heading for the lines below
            named = (match[1] or match[2] or "").replace("/", ".")
            tail = [p for p in named.split(".") if p and p != "(root)"]
            refuses_key = not tail and inner and "dditional propert" in line
            names_key = refuses_key and re.search(rf"[' ]{re.escape(inner[-1])}[' ]", line)
            if names_key or (tail and inner[: len(tail)] == tail):
                yield line


def _under(chart: str, parts: list[str], scopes: Collection[tuple[str, ...]]) -> list[str]:
    """The path inside the chart of this name or alias; [] if the chart is another one. An unknown name counts as the chart
    itself."""
    if chart in parts:
        return parts[parts.index(chart) + 1 :]
    return [] if any(scope and scope[-1] == chart for scope in scopes) else parts


def _is_in_template_error(why: str, setting: Setting, scope: tuple[str, ...]) -> bool:
    """Whether a template error shows the setting (`at <semverCompare ">=1.2" .Values.image.tag>: error calling …`), or the chart's
    own words do (`execution error at (…): image.tag is no longer supported`).

    scope: that of the template that failed, which helm names first. What it includes is executed with its values.
    """
    chain = inside(setting.path, scope)
    if not chain:
        return False
    path = rf"{re.escape('.'.join(map(str, chain)))}(?!\w|\.\w)"
    words = why.partition("execution error at ")[2] if len(chain) > 1 else ""
    return bool(re.search(rf"\.Values\.{path}", why) or re.search(rf"(?<![\w.]){path}", words))
