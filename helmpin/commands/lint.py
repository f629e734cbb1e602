"""helm pin lint: image tags that can move, for CI. Renders each chart once and asks no registry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from helmpin import __version__, output
from helmpin.arguments import words
from helmpin.chart.stage import SOURCE_FLAGS, ChartSource, stage
from helmpin.cli import Request
from helmpin.image import mutable
from helmpin.image.reference import InvalidReference, Reference, split
from helmpin.pin.images import is_allowed
from helmpin.pin.render import ImageUse, parse

RULE = "mutable-tag"


class Finding(NamedTuple):
    """One use of an image whose tag can move."""

    chart: str
    use: ImageUse
    reason: str

    @property
    def file(self) -> str:
        """The template's path from the working directory, as far as it can be told from the chart's."""
        return f"{self.chart.rstrip('/')}/{self.use.source.partition('/')[2]}" if self.use.source else self.chart


def run(request: Request) -> int:
    """Report the findings; 3 when there are any."""
    found = [finding for chart in request.positionals for finding in lint(chart, request)]
    form = request.options["output"]
    if form == "json":
        print(output.as_json([_as_data(f) for f in found]))
    elif form == "sarif":
        print(output.as_json(_sarif(found)))
    elif form == "github":
        for f in found:
            print(
                f"::error file={f.file},title=mutable image tag::{f.use.image} in {f.use.kind}/{f.use.name}: {f.reason}"
            )
    else:
        for f in found:
            print(f"{f.file}: {f.use.kind}/{f.use.name}: {f.use.image}: {f.reason}")
        count = f"{len(found)} image{'s' if len(found) != 1 else ''} with a tag that can move"
        output.say(f"{count} in {len(request.positionals)} chart{'s' if len(request.positionals) != 1 else ''}")
    return 3 if found else 0


def lint(chart: str, request: Request) -> Iterator[Finding]:
    """The findings of one chart. Raises HelmFailed when it does not render."""
    source = ChartSource(chart, tuple(words(f for f in request.flags if f.name in SOURCE_FLAGS)))
    rest = words(f for f in request.flags if f.name not in SOURCE_FLAGS)
    with stage(source, request.helm) as staged:
        render = parse(request.helm.run(["template", "lint", str(staged.archive()), *rest]))
    for use in render.images():
        why = _reason(use.image, request)
        if why:
            yield Finding(chart, use, why)


def _reason(image: str, request: Request) -> str | None:
    if is_allowed(image, request.settings.allow_unpinned):
        return None
    try:
        digest = Reference.parse(image).digest
    except InvalidReference as error:
        return f"not an image reference: {error}"
    return mutable.reason(split(image)[1], digest, request.settings.mutable_tags)


def _as_data(f: Finding) -> dict[str, Any]:
    return {
        "chart": f.chart,
        "file": f.file,
        "image": f.use.image,
        "reason": f.reason,
        "kind": f.use.kind,
        "name": f.use.name,
        "container": f.use.container,
        "path": ".".join(map(str, f.use.path)),
    }


def _sarif(found: list[Finding]) -> dict[str, Any]:
    """SARIF 2.1.0 (OASIS, section 3): one rule, a result for each finding."""
    rule = {
        "id": RULE,
        "shortDescription": {"text": "An image tag that can move"},
        "help": {
            "text": "The same chart runs different containers on different days. Pin it: helm pin upgrade, or set a digest."
        },
    }
    results = [
        {
            "ruleId": RULE,
            "level": "error",
            "message": {"text": f"{f.use.image} in {f.use.kind}/{f.use.name}: {f.reason}"},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": f.file}, "region": {"startLine": 1}}}],
        }
        for f in found
    ]
    driver = {"name": "helm-pin", "version": __version__, "rules": [rule]}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
