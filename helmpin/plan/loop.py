"""The loop that finds how to pin: it composes a chart, renders it and compares.

The chart that the last comparison accepted is the chart that is deployed, with guards that print nothing, and the followers in the
record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from helmpin.config.settings import Settings
from helmpin.errors import HelmFailed
from helmpin.image.uses import ImageUse, UseKey, without_image
from helmpin.lock import Lock
from helmpin.named_tuple import NamedTuple
from helmpin.plan.chance import ended, refuse_chance, start_again, start_others
from helmpin.plan.checks import (
    SORT_IT,
    check_record_stays_out,
    check_still_renders,
    check_values_stay,
    refuse_exposed_record,
)
from helmpin.plan.composer import Composer
from helmpin.plan.digests import ResolvedImages, digests_of
from helmpin.plan.explain import Explainer
from helmpin.plan.images import Problem
from helmpin.plan.jobs import JobFollower, KeptJobs
from helmpin.plan.noise import Noise
from helmpin.plan.origins import origins_of
from helmpin.plan.outcomes import Outcomes
from helmpin.plan.plan import Plan
from helmpin.plan.rendered import Rendered
from helmpin.policy import is_allowed
from helmpin.release.record import Record, now
from helmpin.render.diff import Comparison, compare
from helmpin.render.needs import Needs, needs
from helmpin.render.output import Render
from helmpin.search.attempt import NO_PINS, Attempt
from helmpin.search.only_needed import OnlyNeeded
from helmpin.search.search import Search
from helmpin.templates.hints import TemplateHints, hints_for
from helmpin.templates.record_filter import filter_record

if TYPE_CHECKING:
    from helmpin.chart.stage import Chart
    from helmpin.plan.head_start import HeadStart
    from helmpin.search.one_for_all import OneForAll
    from helmpin.search.value_probe import ValueProbe
    from helmpin.search.values_only import ValuesSearch


def make_plan(
    rendered: Rendered,
    settings: Settings,
    release: str,
    kept_jobs: KeptJobs,
    lock: Lock | None = None,
    *,
    namespace: str = "default",
    hints: TemplateHints | None = None,
    values_only: bool = False,
    relock: Callable[[], str] | None = None,
    head_start: HeadStart | None = None,
) -> Plan:
    """Resolve the images of a render and find how to pin them.

    namespace: that of the release.
    lock: where digests come from before the registry is asked. hints: for the templates of `rendered.chart`, if they are known
    already. values_only: whether to search further for values where a template pin would do. relock: finds out how the lock gets
    the digest of a Job. head_start: the first attempt's render, if it may have been begun.
    Images that cannot be pinned are in the plan with their problem, for the caller to refuse. Raises HelmPinError.
    """
    hints = hints or hints_for(rendered.chart, rendered.compared)
    uses = rendered.plain.images()
    with ended(start_others(rendered, hints)) as others:
        known = digests_of(rendered, uses, settings, kept_jobs, lock, relock)
        refuse_chance(rendered, others, settings.allow_unpinned)
    composer = _composer(rendered, uses, known, hints, head_start)
    with ended(start_again(rendered, composer.varying.unfixed)) as again:
        refuse_chance(rendered, again, settings.allow_unpinned)
    noise = Noise(rendered, known.wanted.values(), composer.varying.unfixed)
    created = head_start.created if head_start else now()
    outcomes = Outcomes(rendered=rendered, settings=settings, lock=lock, uses=uses, known=known, created=created)
    tried, outcomes = _found(composer, noise, outcomes, values_only=values_only)
    followers = tried.found.followers if tried.found else ()
    images = outcomes.images(tried.attempt, followers)
    record = outcomes.record(tried.attempt, images)
    _check(tried, composer, noise, outcomes, record)
    chart = composer.chart(tried.attempt, record, to_deploy=True)
    return Plan(
        release=release,
        namespace=namespace,
        chart=chart,
        compared=chart if rendered.compared is rendered.chart else composer.chart(tried.attempt, record),
        images=kept_jobs.checked(images, tried.render) if tried.found else images,
        set_arguments=composer.arguments(tried.attempt),
        settings=tried.attempt.settings,
        followers=followers,
        render=tried.render,
        renders=1 + len(others) + len(again) + composer.renders + noise.renders,
        record=record,
        rendered=rendered,
        without_image=() if is_allowed("", settings.allow_unpinned) else tuple(without_image(rendered.plain.documents)),
    )


def _composer(
    rendered: Rendered,
    uses: Sequence[ImageUse],
    known: ResolvedImages,
    hints: TemplateHints,
    head_start: HeadStart | None,
) -> Composer:
    """What composes the chart of each attempt. Its templates do not print the record. hints: for the templates of the chart."""
    base, compared = (_without_record(chart) for chart in (rendered.chart, rendered.compared))
    base = compared if rendered.compared is rendered.chart else base
    origins = origins_of(rendered, uses)
    hints = hints if base.template_files() == hints.files else hints_for(base, compared)
    return Composer(rendered, base, compared, uses, known.wanted, origins, _kept_apart(known, uses), hints, head_start)


def _without_record(chart: Chart) -> Chart:
    """The chart, whose templates do not print the record."""
    annotated = isinstance(chart.metadata.get("annotations"), dict)
    return chart.with_files(filter_record(chart.template_files(), has_annotations=annotated))


def _found(composer: Composer, noise: Noise, outcomes: Outcomes, *, values_only: bool) -> tuple[_Tried, Outcomes]:
    """The best way to pin that was found, and the outcomes with all that was learnt on the way."""
    wanted = outcomes.known.wanted
    explainer = Explainer(
        composer=composer,
        uses=composer.uses,
        origins=composer.origins,
        wanted=wanted,
        post_renderer=outcomes.rendered.renderer.post_renderer,
    )
    search = composer.search()
    unknown = [
        use for use in outcomes.uses if use.image in outcomes.known.problems and use.image in outcomes.known.references
    ]
    set_by = {**composer.set_by(unknown), **search.set_by}
    outcomes = outcomes._replace(set_by=set_by, explained=explainer.unreachable())
    tried, outcomes = _searched(composer, search, noise, explainer, outcomes)
    if tried.found and any(each.doubtful for each in search.pinned()) and _shows_all(outcomes.rendered):
        tried = _by_values(tried, OnlyNeeded(tried.attempt, search.pinned()), composer, noise, outcomes)
    if tried.found and tried.attempt.by_template and tried.attempt.strategies:
        tried = _by_values(tried, composer.one_for_all(tried.attempt), composer, noise, outcomes)
    if tried.found and tried.attempt.by_template:
        probe = composer.probe(tried.attempt, search.tried)
        tried = _by_values(tried, probe, composer, noise, outcomes)
        tried = tried._replace(attempt=probe.noted(tried.attempt))
    if values_only and tried.attempt.by_template:
        tried = _by_values(tried, composer.values_search(tried.attempt), composer, noise, outcomes)
    by_chance = {
        key: Problem(f"no way to pin it was found: {why}", "refused", hint=SORT_IT)
        for key, why in tried.attempt.failed.items()
        if key[0] in composer.varying.unordered
    }
    return tried, outcomes._replace(explained={**by_chance, **outcomes.explained})


def _shows_all(rendered: Rendered) -> bool:
    """Whether the render shows all that these values are for: without the cluster, a chart that asks for it may print less."""
    return rendered.renderer.asks_cluster or needs(rendered.chart, [rendered.kept]) is Needs.NOTHING


def _check(tried: _Tried, composer: Composer, noise: Noise, outcomes: Outcomes, record: Record) -> None:
    """Raise HelmFailed or Refused for what a comparison does not show."""
    rendered, wanted = outcomes.rendered, outcomes.known.wanted
    if tried.found:
        check_values_stay(rendered.plain.config, tried.render.config, tried.attempt.settings)
    nothing_pinned = wanted.keys() <= tried.attempt.failed.keys()
    if wanted and nothing_pinned:
        check_still_renders(rendered, noise, composer.varying)
    if nothing_pinned:  # otherwise the comparison has shown it
        check_record_stays_out(rendered, composer, noise, tried.attempt, record)


class _Tried(NamedTuple):
    """An attempt, its render, and how that differs from the plain one."""

    attempt: Attempt
    render: Render
    found: Comparison | None
    """None if nothing was compared."""


def _searched(
    composer: Composer, search: Search, noise: Noise, explainer: Explainer, outcomes: Outcomes
) -> tuple[_Tried, Outcomes]:
    """What the search ends with, and the outcomes with all that was learnt about them."""
    rendered, wanted = outcomes.rendered, outcomes.known.wanted
    tried = _Tried(NO_PINS, rendered.plain, None)
    if not wanted:
        return tried, outcomes
    while attempt := search.next():
        left = {key: digest for key, digest in wanted.items() if key not in attempt.failed}
        try:
            render = composer.render(attempt, outcomes.record(attempt))
        except HelmFailed as error:
            noise.check_attempt_failed(error)
            search.learn(attempt, error.why)
            continue
        refuse_exposed_record(rendered, render)
        found = noise.compared(render, left)
        tried = _Tried(attempt, render, found)
        outcomes = outcomes._replace(explained={**outcomes.explained, **explainer.failed_pins(attempt, found)})
        search.learn(attempt, found)
    return (tried if search.result else _Tried(search.unsettled(), tried.render, None)), outcomes


def _by_values(
    tried: _Tried,
    search: OnlyNeeded | OneForAll | ValueProbe | ValuesSearch,
    composer: Composer,
    noise: Noise,
    outcomes: Outcomes,
) -> _Tried:
    """The same with other values, or with values in place of template pins, as far as a search finds them."""
    wanted = {key: digest for key, digest in outcomes.known.wanted.items() if key not in tried.attempt.failed}
    while attempt := search.next():
        try:
            render = composer.render(attempt, outcomes.record(attempt))
            found = compare(outcomes.rendered.plain, render, wanted, noise.leaves)
        except HelmFailed as error:  # helm fails, or renders what is not YAML: `{image: team/a:}` with an emptied tag
            noise.check_attempt_failed(error)
            search.learn(attempt, error.why)
            continue
        search.learn(attempt, found)
        if search.result is attempt:
            tried = _Tried(attempt, render, found)
    return tried


def _kept_apart(known: ResolvedImages, uses: Sequence[ImageUse]) -> dict[UseKey, Sequence[JobFollower]]:
    """The uses that keep a Job's digest while another use of the image gets another one, each with what follows it in the Job."""
    digests: dict[str, set[str]] = defaultdict(set)
    for use in uses:
        if use.key in known.wanted:
            digests[use.image].add(known.wanted[use.key])
    return {
        use.key: known.job_followers.get(use.key, ())
        for use in uses
        if use.key in known.jobs and len(digests[use.image]) > 1
    }
