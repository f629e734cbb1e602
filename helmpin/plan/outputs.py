"""What a plan supplies with one more render: a part of the manifest, or values with names beside their digests."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from helmpin.chart.setargs import Setting, ValuePath, arguments, as_tree
from helmpin.errors import HelmFailed
from helmpin.plan import names
from helmpin.plan.plan import Plan
from helmpin.policy import is_allowed
from helmpin.render.output import Render

if TYPE_CHECKING:
    from helmpin.chart.stage import Chart


def manifest(plan: Plan, flags: Sequence[str], allowed: Collection[str] = ()) -> str:
    """The pinned manifest, or the part of it that helm template prints with these flags.

    allowed: globs of the images that may be unpinned. Raises HelmFailed, also if it has an image that the compared render does not
    have: the cluster may have changed since.
    """
    printed = _rendered(plan, plan.chart, flags)
    compared = {use.image for use in plan.render.images()}
    images = dict.fromkeys(use.image for use in printed.images() if use.image not in compared)
    if others := [image for image in images if not is_allowed(image, allowed)]:
        raise HelmFailed(
            "the chart's images changed between two renders; nothing was printed",
            why=f"now it has {', '.join(others)}",
            hint="run it again; if it repeats, fix the values that the chart derives from the cluster or the time",
        )
    return printed.text


def values_file(plan: Plan, *, named: bool = False) -> dict[str, Any]:
    """The values that pin, as a tree for `helm upgrade -f`, without the lists of the user's own values, which may hold secrets.
    named: with registry, repository and tag beside each digest. Raises HelmFailed."""
    values, left_out = plan.rendered.origin.values or {}, plan.settings_in_user_lists()
    settings = [setting for setting in plan.settings if setting not in left_out]
    return as_tree([*(_names(plan, settings, values) if named else ()), *settings], values)


def _names(plan: Plan, settings: Sequence[Setting], values: Mapping[str, Any]) -> list[tuple[ValuePath, Any]]:
    tags = names.missing_tags(settings, values, plan.images)
    if tags and _rendered(plan, plan.compared, arguments(tags, values)).text != plan.render.text:
        tags = []
    return [*names.beside(settings, values), *tags]


def _rendered(plan: Plan, chart: Chart, more: Sequence[str]) -> Render:
    """The pinned chart, rendered with these arguments after all others."""
    return plan.rendered.pinning(plan.settings).render(chart, [*plan.set_arguments, *more])
