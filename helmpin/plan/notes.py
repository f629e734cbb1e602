"""What is said of a plan beside the images themselves: of its chart, its settings, its lock, and what it leaves alone."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from helmpin import output
from helmpin.chart.setargs import dotted_key, lookup
from helmpin.chart.value_keys import DIGEST_KEY, last_key
from helmpin.image.reference import split
from helmpin.image.uses import unmatched
from helmpin.policy import is_allowed, left_out_tag
from helmpin.search.value_index import leaves

if TYPE_CHECKING:
    from helmpin.chart.stage import Chart
    from helmpin.config.settings import Settings
    from helmpin.lock import Lock
    from helmpin.plan.plan import Plan
    from helmpin.plan.rendered import Rendered
    from helmpin.plan.task import Task


def say_repeated(staged: Chart) -> None:
    """Report subcharts that lie in charts/ more than once."""
    for name, charts in staged.repeated():
        output.say(
            f"Subchart {name} is there more than once: {', '.join(charts)}. Helm may take another one in the next run: "
            "remove the copies that Chart.yaml does not list."
        )


def say_unmatched(task: Task, rendered: Rendered) -> None:
    """Report the patterns of --also that match nothing."""
    for pattern in unmatched(rendered.plain.documents, task.also):
        output.say(f"--also {shlex.quote(pattern)} matches no image outside pod specs.")


def say_exemptions(plan: Plan, settings: Settings) -> None:
    """Report the exemptions that an image needs."""
    exempt = [image.image for image in plan.images if image.is_let_through]
    for each in settings.exemptions:
        if not each.is_over() and any(is_allowed(image, [each.image]) for image in exempt):
            output.say(f"{each.where}: exempt {each.shown}")


def say_left_out_tags(plan: Plan, settings: Settings) -> None:
    """Report what seems to be meant to let an image through, and leaves out its tag."""
    images = [image.image for image in plan.images if not is_allowed(image.image, settings.allow_unpinned)]
    for why in dict.fromkeys(left_out_tag(image, settings) for image in images):
        if why:
            output.say(why)


def say_unlike_lock(plan: Plan, lock: Lock) -> None:
    """Report the images that keep the digest of an existing Job, although the lock has another one."""
    for image in plan.images:
        locked = lock.digests.get(image.reference) if image.reference and image.kept_for else None
        if locked and image.digest != locked and not image.problem:
            output.say(f"{image.image} stays at {image.digest}, as {image.kept_for} ran it; {lock.name} has {locked}.")


def say_kept_there(plan: Plan, lock: Lock) -> None:
    """Report the images that a Job of the lock's release keeps at another digest than they get here."""
    for image in plan.images:
        older = sorted(lock.kept.get(image.reference, ())) if image.reference and image.source else []
        if older and image.digest not in older:
            output.say(f"{image.image} gets {image.digest}; in {lock.name} a Job keeps {', '.join(older)}.")


def say_reused_digests(plan: Plan, given: Mapping[str, Any], reuse: str) -> None:
    """Report the images whose digest stands in the values that the release keeps, beside the tag: another tag changes nothing then.

    given: the values of this command. reuse: the flag with which it reuses the others. The digests of helm-pin's own record are not
    among these.
    """
    reused = [(path, text) for path, text in leaves(plan.rendered.kept) if lookup(given, path) is None]
    for image in plan.images:
        digests = {image.digest, image.digest.partition(":")[2]}
        paths = [path for path, text in reused if text in digests and DIGEST_KEY.search(last_key(path))]
        if image.via != "chart" or not split(image.image)[1] or not paths:
            continue
        lists = {
            dotted_key(path[: at[0]]) for path in paths if (at := [i for i, p in enumerate(path) if isinstance(p, int)])
        }
        # a null would not do: with --reuse-values, Helm has made the reused values the chart's own
        empty = [f"--set {shlex.quote(dotted_key(path))}=" for path in paths if all(isinstance(p, str) for p in path)]
        ways = [
            *([" ".join([reuse, *empty])] if empty else []),
            *(f"give {name} again without it" for name in sorted(lists)),
        ]
        output.say(
            f"{image.image}: the digest is in the values that the release keeps ({', '.join(map(dotted_key, paths))}), so no tag "
            f"changes it. To take the tag's again: {', '.join(ways)}"
        )


def say_outside(plan: Plan) -> None:
    """Report how many images are outside pod specs, and how many references follow the pinned images."""
    outside = {use.image for use in [*plan.outside(), *(found.use for found in plan.for_operators())]}
    if outside:
        images, verb = output.count(len(outside), "image"), "is" if len(outside) == 1 else "are"
        output.inform(f"{images} outside pod specs {verb} not pinned; helm pin plan lists them, --also pins them.")
    if plan.followers:
        places = output.count(len(plan.followers), "other place")
        output.inform(f"{places} with the same references got the same digests; helm pin plan lists them.")
    say_lock(plan)


def say_default_lists(plan: Plan) -> None:
    """Report the lists of the chart's defaults that are set as a whole."""
    if lists := plan.default_lists():
        output.inform(
            f"Set as a whole, because an image stands in it: {', '.join(lists)}. Where a newer chart has another list there, "
            "plain helm keeps this one."
        )


def say_lock(plan: Plan) -> None:
    """Report how many digests came from the lock."""
    if plan.record.lock:
        named = sum(1 for image in plan.images if image.source)
        output.inform(f"Digests from {plan.record.lock}: {named} of {len(plan.images)} images.")


def say_without_image(plan: Plan) -> None:
    """Report the containers that have no image."""
    for use, fault in plan.without_image:
        output.say(f"{use.place()}, {fault}: helm pin upgrade would refuse it.")
