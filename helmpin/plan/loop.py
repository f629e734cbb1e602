"""The loop that finds how to pin: it composes a chart, renders it and compares.

The chart that the last comparison accepted is the chart that is deployed, with guards that print nothing, and the followers in the
record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from helmpin import __version__
from helmpin.chart.setargs import Setting, ValuePath, dotted_key, lookup
from helmpin.config.settings import Settings
from helmpin.errors import HelmFailed, Refused
from helmpin.image.manifest import ImageUse, UseKey, without_image
from helmpin.image.reference import Reference
from helmpin.lock import Lock
from helmpin.plan.chance import ended, refuse_chance, start_again, start_others
from helmpin.plan.composer import Composer
from helmpin.plan.digests import ResolvedImages, digests_of
from helmpin.plan.explain import Explainer
from helmpin.plan.images import Decided, ImagePlan, Problem, plan_images
from helmpin.plan.jobs import JobFollower, KeptJobs
from helmpin.plan.noise import Noise
from helmpin.plan.origins import origins_of
from helmpin.plan.plan import Plan
from helmpin.plan.record_filter import filter_record, may_expose_record
from helmpin.plan.rendered import Rendered
from helmpin.plan.search import NOTHING, Attempt, Search
from helmpin.plan.template_hints import TemplateHints, hints_for
from helmpin.policy import is_allowed
from helmpin.release.record import ANNOTATION, Image, Record, Undo
from helmpin.render.diff import Comparison, Follower, compare
from helmpin.render.output import Render
from helmpin.render.renderer import evaluates_text, texts

if TYPE_CHECKING:
    from helmpin.chart.stage import Chart
    from helmpin.plan.value_probe import ValueProbe
    from helmpin.plan.values_only import ValuesSearch

_ABSENT = object()
SORT_IT = (
    "have the template sort what it lists with keys or values (sortAlpha): its order differs from render to render"
)


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
) -> Plan:
    """Resolve the images of a render and find how to pin them.

    namespace: that of the release.
    lock: where digests come from before the registry is asked. hints: for the templates of `rendered.chart`, if they are known
    already. values_only: whether to search further for values where a template pin would do. relock: finds out how the lock gets
    the digest of a Job.
    Images that cannot be pinned are in the plan with their problem, for the caller to refuse. Raises HelmPinError.
    """
    hints = hints or hints_for(rendered.chart, rendered.compared)
    uses = rendered.plain.images()
    with ended(start_others(rendered, hints)) as others:
        known = digests_of(rendered, uses, settings, kept_jobs, lock, relock)
        refuse_chance(rendered, others, settings.allow_unpinned)
    composer = _composer(rendered, uses, known, hints)
    with ended(start_again(rendered, composer.unfixed)) as again:
        refuse_chance(rendered, again, settings.allow_unpinned)
    noise = Noise(rendered, known.wanted.values(), composer.unfixed)
    created = datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
    outcomes = _Outcomes(rendered=rendered, settings=settings, lock=lock, uses=uses, known=known, created=created)
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


def _composer(rendered: Rendered, uses: Sequence[ImageUse], known: ResolvedImages, hints: TemplateHints) -> Composer:
    """What composes the chart of each attempt. Its templates do not print the record. hints: for the templates of the chart."""
    base, compared = (_without_record(chart) for chart in (rendered.chart, rendered.compared))
    base = compared if rendered.compared is rendered.chart else base
    origins = origins_of(rendered, uses)
    unchanged = hints if base.template_files() == hints.files else None
    return Composer(rendered, base, compared, uses, known.wanted, origins, _kept_apart(known, uses), unchanged)


def _without_record(chart: Chart) -> Chart:
    """The chart, whose templates do not print the record."""
    annotated = isinstance(chart.metadata.get("annotations"), dict)
    return chart.with_files(filter_record(chart.template_files(), has_annotations=annotated))


def _found(composer: Composer, noise: Noise, outcomes: _Outcomes, *, values_only: bool) -> tuple[_Tried, _Outcomes]:
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
    outcomes = outcomes._replace(set_by=search.set_by, explained=explainer.unreachable())
    tried, outcomes = _searched(composer, search, noise, explainer, outcomes)
    if tried.found and tried.attempt.by_template:
        tried = _by_values(tried, composer.probe(tried.attempt, search.tried), composer, noise, outcomes)
    if values_only and tried.attempt.by_template:
        tried = _by_values(tried, composer.values_search(tried.attempt), composer, noise, outcomes)
    by_chance = {
        key: Problem(f"no way to pin it was found: {why}", "refused", hint=SORT_IT)
        for key, why in tried.attempt.failed.items()
        if key[0] in composer.unordered
    }
    return tried, outcomes._replace(explained={**by_chance, **outcomes.explained})


def _check(tried: _Tried, composer: Composer, noise: Noise, outcomes: _Outcomes, record: Record) -> None:
    """Raise HelmFailed or Refused for what a comparison does not show."""
    rendered, wanted = outcomes.rendered, outcomes.known.wanted
    if tried.found:
        check_values_stay(rendered.plain.config, tried.render.config, tried.attempt.settings)
    nothing_pinned = wanted.keys() <= tried.attempt.failed.keys()
    if wanted and nothing_pinned:
        _check_still_renders(rendered, noise, composer.unfixed, composer.unordered)
    if nothing_pinned:  # otherwise the comparison has shown it
        _check_record_stays_out(rendered, composer, noise, tried.attempt, record)


class _Tried(NamedTuple):
    """An attempt, its render, and how that differs from the plain one."""

    attempt: Attempt
    render: Render
    found: Comparison | None
    """None if nothing was compared."""


class _Outcomes(NamedTuple):
    """What an attempt, if it is the last, makes of each image and of the record."""

    rendered: Rendered
    settings: Settings
    lock: Lock | None
    uses: Sequence[ImageUse]
    known: ResolvedImages
    created: str
    """When the record is made (RFC 3339)."""
    set_by: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    explained: Mapping[UseKey, Problem] = MappingProxyType({})

    def images(self, attempt: Attempt, followers: tuple[Follower, ...] = ()) -> list[ImagePlan]:
        """The plan for each image."""
        decided = Decided(
            known=self.known,
            attempt=attempt,
            settings=self.settings,
            lock=self.lock,
            set_by=self.set_by,
            followers=followers,
            explained=self.explained,
        )
        planned, lock = plan_images(self.uses, decided), self.lock
        return [image._replace(source=lock.kind) if lock and _is_from(lock, image) else image for image in planned]

    def record(self, attempt: Attempt, images: Sequence[ImagePlan] | None = None) -> Record:
        """The record of the release. images: the plan for each, if it is known already."""
        images = self.images(attempt) if images is None else images
        return Record(
            tool=f"helm-pin {__version__}",
            created=self.created,
            images=tuple(
                _recorded(image, image.reference)
                for image in images
                if image.digest and image.reference and not image.problem
            ),
            undo=_undo(attempt.settings, self.rendered),
            allowed=tuple(image for image, problem in self.known.problems.items() if problem.kind == "allowed"),
            lock=self.lock.recorded if self.lock and any(image.source for image in images) else "",
            required=self.settings.gate.shown,
        )


def _searched(
    composer: Composer, search: Search, noise: Noise, explainer: Explainer, outcomes: _Outcomes
) -> tuple[_Tried, _Outcomes]:
    """What the search ends with, and the outcomes with all that was learnt about them."""
    rendered, wanted = outcomes.rendered, outcomes.known.wanted
    tried = _Tried(NOTHING, rendered.plain, None)
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
        _refuse_exposed_record(rendered, render)
        found = noise.compared(render, left)
        tried = _Tried(attempt, render, found)
        outcomes = outcomes._replace(explained={**outcomes.explained, **explainer.failed_pins(attempt, found)})
        search.learn(attempt, found)
    return (tried if search.result else _Tried(search.unsettled(), tried.render, None)), outcomes


def _by_values(
    tried: _Tried, search: ValueProbe | ValuesSearch, composer: Composer, noise: Noise, outcomes: _Outcomes
) -> _Tried:
    """The same with values in place of template pins, as far as a search finds them."""
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


def _recorded(image: ImagePlan, reference: Reference) -> Image:
    """A planned image as the record has it."""
    return Image(
        reference=str(reference._replace(digest=None)),
        image=image.image,
        digest=image.digest,
        media_type=image.media_type,
        via=image.via,
        values=image.values,
        followers=tuple(follower.place() for follower in image.followers),
        source=image.source,
    )


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


def _check_still_renders(
    rendered: Rendered, noise: Noise, unfixed: Collection[str], unordered: Collection[str]
) -> None:
    """After nothing could be pinned: raise HelmFailed if the chart itself no longer renders as it did. Then the cluster, helm or a
    template is to blame, not the images. unfixed, unordered: as Composer has them."""
    again = noise.render_again()
    changed = {(use.key, use.image) for use in again.images()} ^ {
        (use.key, use.image) for use in rendered.plain.images()
    }
    if not changed:
        return
    changing = {key[0] for key, _ in changed} & {*unfixed}
    hint = "run it again; if it repeats, fix the values that the chart derives from the cluster or the time"
    if changing & {*unordered}:
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


def _check_record_stays_out(
    rendered: Rendered, composer: Composer, noise: Noise, nothing: Attempt, record: Record
) -> None:
    """Raise Refused if the templates print the record, or anything that depends on it.

    nothing: an attempt without pins.
    """
    if not may_expose_record(_evaluated(rendered)):
        return
    render = composer.render(nothing, record)
    _refuse_exposed_record(rendered, render)
    if collateral := noise.compared(render, {}).collateral:
        raise _exposed(rendered, f"or a hash of it: {collateral[0]}")


def _evaluated(rendered: Rendered) -> Iterator[str]:
    """The templates of the chart, and the texts that they may evaluate."""
    templates = rendered.chart.template_files()
    yield from templates.values()
    if evaluates_text(templates):
        yield from texts(rendered.origin.values or {})
        yield from rendered.chart.other_files()


def _refuse_exposed_record(rendered: Rendered, render: Render) -> None:
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


def _is_from(lock: Lock, image: ImagePlan) -> bool:
    """Whether the digest of an image came from the lock."""
    return (
        image.via in ("values", "template")
        and not image.kept_for
        and image.reference in {*lock.digests, *lock.platforms}
    )


def _undo(settings: Iterable[Setting], rendered: Rendered) -> tuple[Undo, ...]:
    """What stood at each path that is set, so that these values can be reused later without the digests."""
    values, kept = rendered.origin.values or {}, rendered.kept
    entries = []
    for path in sorted({setting.path for setting in settings}, key=lambda p: [str(part) for part in p]):
        depth = next(
            (i for i in range(len(path)) if not isinstance(lookup(kept, path[: i + 1]), (dict, list))), len(path) - 1
        )
        supplied = lookup(kept, path) is not None
        entries.append(Undo(path, lookup(values, path), supplied, depth))
    return tuple(entries)
