"""The version with the digest that a tag has today, for lint's findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial

from helmpin import output
from helmpin.config.settings import Settings
from helmpin.image.reference import InvalidReference, Reference
from helmpin.lint.finding import Finding, Report
from helmpin.lint.rules import REGISTRY
from helmpin.policy import is_fixed
from helmpin.registry import RegistryError, Resolved, resolve
from helmpin.registry import suggest as versions_of

Versions = Mapping[str, str | RegistryError]
"""The version of each image, '' if there is none, or why the registry could not answer."""


def suggested(report: Report, settings: Settings) -> Report:
    """The report with the version of each finding about a tag, as far as registries know it, and the settings take it for a fixed
    one. What registries do not answer is reported."""
    return with_versions(report, _versions((each.use.image for each in report.findings if _is_asked(each)), settings))


def with_versions(report: Report, versions: Versions) -> Report:
    """The report with the version of each finding about a tag, or why there is none."""

    def with_version(finding: Finding) -> Finding:
        found = versions.get(finding.use.image, "") if _is_asked(finding) else ""
        if isinstance(found, RegistryError):
            return finding._replace(no_version=str(found))
        return finding._replace(version=found)

    return Report(tuple(c._replace(findings=tuple(map(with_version, c.findings))) for c in report.charts))


def _is_asked(finding: Finding) -> bool:
    """Whether a version would help: it does not change where an image comes from."""
    return finding.rule != REGISTRY


def _versions(images: Iterable[str], settings: Settings) -> Versions:
    references: dict[str, Reference] = {}
    for image in images:
        with suppress(InvalidReference):
            references[image] = Reference.parse(image)
    answers = resolve(references.values(), settings.registry)
    now = {r: r._replace(digest=a.digest) for r, a in answers.items() if isinstance(a, Resolved) and not r.digest}
    versions = versions_of(now.values(), settings.registry, may_write=partial(is_fixed, settings)) if now else {}
    for error in (*answers.values(), *versions.values()):
        if isinstance(error, RegistryError):
            output.say(f"No suggestion for {error.reference}: {error}")
    found: dict[str, str | RegistryError] = {}
    for image, reference in references.items():
        answer = versions.get(now[reference], "") if reference in now else answers[reference]
        found[image] = "" if isinstance(answer, Resolved) else answer
    return found
