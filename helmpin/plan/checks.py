"""What is checked beside the images and the manifests: the values that the release keeps, the record, and the chart itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from helmpin.asked import ANNOTATION
from helmpin.chart.setargs import Setting, ValuePath, dotted_key
from helmpin.errors import HelmFailed, Refused
from helmpin.plan.composer import Composer
from helmpin.plan.noise import Noise
from helmpin.plan.rendered import Rendered
from helmpin.plan.varying import Varying
from helmpin.release.record import Record
from helmpin.render.needs import evaluates_text, texts
from helmpin.render.output import Render
from helmpin.search.attempt import Attempt
from helmpin.templates.record_filter import may_expose_record

_ABSENT = object()
SORT_IT = (
    "have the template sort what it lists with keys or values (sortAlpha): its order differs from render to render"
)
"""The hint where a template lists a map in any order."""


def check_values_stay(
    plain: Mapping[str, Any] | None, pinned: Mapping[str, Any] | None, settings: Iterable[Setting]
) -> None:
    """Raise HelmFailed if the release would keep other values than without the pins, which a manifest need not show.

    plain, pinned: the values that the release would keep without and with the pins; None where helm was not asked.
    """
    if plain is None or pinned is None:
        return
    paths = [setting.path for setting in settings]

    def is_set(path: ValuePath) -> bool:
        return any(path[: len(each)] == each[: len(path)] for each in paths)

    lists = [path[:i] for path in paths for i, part in enumerate(path) if isinstance(part, int)]
    before, after = ({path: value for path, value in _ends(tree) if not is_set(path)} for tree in (plain, pinned))
    changed = [path for path, value in before.items() if after.get(path, _ABSENT) != value]
    gained = after.keys() - before.keys()  # of a list of the chart with a pin in it, the release keeps all
    changed += [path for path in after if path in gained and not any(path[: len(whole)] == whole for whole in lists)]
    if changed:
        raise HelmFailed(
            "the pins would change other values of the release",
            where=[dotted_key(path) for path in changed[:5]],
            why="with the pins, the release would keep other values at these paths than without them",
            hint="pass all values with -f or --reuse-values, and report this as a defect of helm-pin",
        )


def _ends(node: Any, path: ValuePath = ()) -> Iterator[tuple[ValuePath, Any]]:
    """The leaves of a tree of values, its empty maps and lists included, with their paths."""
    if isinstance(node, (dict, list)) and node:
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _ends(child, (*path, key))
    elif path:
        yield path, node


def check_still_renders(rendered: Rendered, noise: Noise, varying: Varying) -> None:
    """After nothing could be pinned: raise HelmFailed if the chart itself no longer renders as it did. Then the cluster, helm or a
    template is to blame, not the images."""
    again = noise.render_again()
    changed = {(use.key, use.image) for use in again.images()} ^ {
        (use.key, use.image) for use in rendered.plain.images()
    }
    if not changed:
        return
    changing = {key[0] for key, _ in changed} & varying.unfixed
    hint = "run it again; if it repeats, fix the values that the chart derives from the cluster or the time"
    if changing & varying.unordered:
        hint = SORT_IT
    elif changing:
        hint = (
            "have the template print the same images each time: it derives them from random values or the current time"
        )
    raise HelmFailed(
        "the chart's images changed between two renders",
        where=sorted(changing),
        why=f"the first render had {_images(rendered.plain)}\nthe next had {_images(again)}",
        hint=hint,
    )


def _images(render: Render) -> str:
    return ", ".join(dict.fromkeys(use.image for use in render.images())) or "none"


def check_record_stays_out(
    rendered: Rendered, composer: Composer, noise: Noise, nothing: Attempt, record: Record
) -> None:
    """Raise Refused if the templates print the record, or anything that depends on it.

    nothing: an attempt without pins.
    """
    if not may_expose_record(_evaluated(rendered)):
        return
    render = composer.render(nothing, record)
    refuse_exposed_record(rendered, render)
    if collateral := noise.compared(render, {}).collateral:
        raise _exposed(rendered, f"or a hash of it: {collateral[0]}")


def _evaluated(rendered: Rendered) -> Iterator[str]:
    """The templates of the chart, and the texts that they may evaluate."""
    templates = rendered.chart.template_files()
    yield from templates.values()
    if evaluates_text(templates):
        yield from texts(rendered.origin.values or {})
        yield from rendered.chart.other_files()


def refuse_exposed_record(rendered: Rendered, render: Render) -> None:
    """Raise Refused if a render shows the record."""
    if ANNOTATION in render.text and ANNOTATION not in rendered.plain.text:
        raise _exposed(rendered, f"with the annotation {ANNOTATION}")


def _exposed(rendered: Rendered, how: str) -> Refused:
    images = dict.fromkeys(use.image for use in rendered.plain.images())
    left = f".\nAs long as they do, these images cannot be pinned: {', '.join(images)}" if images else ""
    return Refused(
        "the chart prints helm-pin's record",
        why=f"its templates print all of .Chart, {how}{left}",
        hint="have them print only what they need: .Chart.Name, .Chart.Version, .Chart.Annotations",
    )
