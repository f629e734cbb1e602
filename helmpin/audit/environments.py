"""The same release in several environments (contexts), side by side, by digest set and by image."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable

from helmpin.audit.findings import Audit, Release
from helmpin.named_tuple import NamedTuple


class EnvironmentRow(NamedTuple):
    """One release, or one chart where releases are named differently, across the contexts."""

    name: str
    chart: str
    """The chart's name, without its version."""
    sides: tuple[Release | None, ...]
    """By context; None if the release is not there, or was not read there."""
    unread: tuple[bool, ...]
    """By context, whether something could not be read there."""

    @property
    def same(self) -> bool | None:
        """Whether every context has it with the same images, all by digest, at the same digests; None if that is unknown,
        because a context was not read. A digest that only a Job keeps does not count."""
        images = [side.images for side in self.sides if side]
        missing = [unread for side, unread in zip(self.sides, self.unread, strict=True) if side is None]
        if not all(missing) or any(other != images[0] for other in images):
            return False
        if len(images) > 1 and not all(images[0].values()):  # two may run anything
            return False
        return None if missing else True

    @property
    def differing(self) -> dict[str, tuple[str | None, ...]]:
        """For each image that is not the same everywhere: its digest by context; '' without a digest, None if it is not used."""
        references = sorted({reference for side in self.sides if side for reference in side.images})
        by_image = {r: tuple(side.images.get(r) if side else None for side in self.sides) for r in references}
        return {r: digests for r, digests in by_image.items() if len(set(digests)) > 1 or "" in digests}


def side_by_side(audits: list[Audit]) -> list[EnvironmentRow]:
    """The releases across contexts, those that differ first. Nothing if there is only one context.

    Releases belong together if they have the same chart, namespace and name; or else the same chart and name, if that is
    unambiguous; or else only the same chart, if each context has one of it left.
    """
    if len(audits) < 2:
        return []
    groups: list[dict[int, Release]] = [{place: release} for place, a in enumerate(audits) for release in a.releases]
    for key in (_by_place, _by_name, chart_name):
        groups = _joined(groups, key)
    rows = []
    for group in groups:
        names = {release.name for release in group.values()}
        chart = chart_name(next(iter(group.values())))
        rows.append(
            EnvironmentRow(
                name=names.pop() if len(names) == 1 else chart,
                chart=chart,
                sides=tuple(map(group.get, range(len(audits)))),
                unread=tuple(bool(audit.unread) for audit in audits),
            )
        )
    return sorted(rows, key=lambda row: (row.same is True, row.name))


def _joined(groups: list[dict[int, Release]], key: Callable[[Release], object]) -> list[dict[int, Release]]:
    """Join the groups whose releases have the same key, unless two of them are in the same context."""
    by_key: dict[object, list[dict[int, Release]]] = defaultdict(list)
    for group in groups:
        by_key[key(next(iter(group.values())))].append(group)
    out: list[dict[int, Release]] = []
    for some in by_key.values():
        places = [place for group in some for place in group]
        ambiguous = len(set(places)) < len(places)
        out += some if ambiguous else [{place: release for group in some for place, release in group.items()}]
    return out


def _by_place(release: Release) -> object:
    return (chart_name(release), release.namespace, release.name)


def _by_name(release: Release) -> object:
    return (chart_name(release), release.name)


def chart_name(release: Release) -> str:
    """The chart's name without its version (`web` of `web-1.2.3-beta.1` and of `web-v1.2.3`)."""
    return re.split(r"-v?\d+\.", release.chart, maxsplit=1)[0]
