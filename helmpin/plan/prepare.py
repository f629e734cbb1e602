"""From a request to a plan: what upgrade, install, plan and template share."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from helmpin import env, output
from helmpin.arguments import Given, is_on, words
from helmpin.errors import HelmFailed, Unreadable, UsageError, VerificationFailed
from helmpin.lock.source import LockReading
from helmpin.named_tuple import NamedTuple
from helmpin.plan.plain_render import REUSE, EarlyRender, Reuse, render_plain, start_early
from helmpin.plan.task import PlanRequest, Task
from helmpin.private import Folder
from helmpin.release.previous import Previous, PreviousReading
from helmpin.render.values import REUSE_FLAGS, other_flags, read_values, reuses_values

if TYPE_CHECKING:
    from helmpin.chart.stage import Chart
    from helmpin.config.settings import Settings
    from helmpin.lock import Lock
    from helmpin.plan.head_start import HeadStart
    from helmpin.plan.jobs import KeptJobs
    from helmpin.plan.plan import Plan
    from helmpin.plan.rendered import Rendered
    from helmpin.render.merged_values import MergedValues


class Prepared(NamedTuple):
    """A plan, and the helm command that deploys it."""

    plan: Plan
    command: tuple[str, str]
    """helm's command and the release; `template` if the cluster was not needed and did not answer."""
    arguments: list[str]
    """helm's arguments after the chart."""
    previous: Previous | None
    """The release when the plan was made; None if there was none, or if the cluster was not asked."""
    flags: list[Given]
    """helm's flags, without those for the chart's source and the values."""
    reuse: str | None
    """The flag with which plain helm reuses the same values; '' if it needs none, None if no flag does that."""

    def deployment(self, chart: Chart) -> list[str]:
        """helm's arguments to deploy `chart`."""
        return [*self.command, str(chart.archive()), *self.arguments]


@contextmanager
def prepare(
    asked: PlanRequest,
    release: str,
    chart: str,
    *,
    command: str,
    needs_cluster: bool | None = True,
    lock: Lock | None = None,
    values_only: bool = False,
    cluster_flags: Sequence[str] = (),
    may_deploy: Callable[[Previous | None], None] | None = None,
    will_install: bool = True,
) -> Iterator[Prepared]:
    """Stage the chart, find its images, resolve and pin them. The staged chart exists until the end of the block.

    command: the helm command to plan for: upgrade, install or template. needs_cluster: whether it is an error if the cluster does
    not answer (None: only where the release's values would be reused); otherwise the plan is made with helm template, and a note
    says so. lock: instead of the one in the settings.
    values_only: whether to look further for values where a template would do. cluster_flags: helm template's flags with which it
    asks the cluster. may_deploy: called before a registry is asked; raises HelmFailed if the command cannot deploy this release.
    will_install: whether the plan is for a release, so that helm also creates what lies in crds/.
    Raises HelmPinError. Images that cannot be pinned are in the plan, for the caller to refuse.
    """
    settings = asked.settings
    if not release:
        _check_is_no_release(chart, asked.flags)
    if command == "template" and (flag := _reusing(asked.flags)):
        why, hint = "the cluster is not asked for the release's values", "name the release, and leave out --no-cluster"
        raise UsageError(f"{flag} has no effect here", why=why, hint=hint)
    with ExitStack() as stack:
        started = _start(asked, release, chart, command, cluster_flags, stack)
        task, staged, reading = started.task, started.staged, started.reading
        # now helm reads the release and the values and renders, while Python imports the rest of helm-pin
        from helmpin.plan import notes
        from helmpin.plan.loop import make_plan
        from helmpin.registry import warm_up
        from helmpin.search.declared import look_ahead
        from helmpin.templates.hints import hints_for

        notes.say_repeated(staged)
        if not settings.locked:
            warm_up(settings.registry)
        hints = hints_for(staged, started.compared)
        look_ahead(staged)
        if reading and not _may_read(started, asked.flags, needs_cluster=needs_cluster):
            task, reading = task._replace(command="template"), None
        previous = reading.result() if reading else None
        if may_deploy:
            may_deploy(previous)
        if will_install and _installs_crds(task, previous):
            _refuse_workloads_in_crds(task, staged, settings)
        rendered, reuse = render_plain(task, staged, started.compared, started.early, reading, started.merged)
        notes.say_unmatched(task, rendered)
        taken = None if lock else started.locked.result()
        lock, relock = lock or taken, None
        if lock and not lock.hint:
            from helmpin.plan.lock_command import with_hints

            lock, relock = with_hints(lock, asked, release, chart, command)
        kept_jobs = _kept_jobs(task, rendered, previous)
        plan = make_plan(
            rendered,
            settings,
            release,
            kept_jobs,
            lock,
            namespace=env.namespace(),
            hints=hints,
            values_only=values_only,
            relock=relock,
            head_start=started.head_start,
        )
        notes.say_exemptions(plan, settings)
        notes.say_left_out_tags(plan, settings)
        if previous and rendered.kept:
            given = started.merged.result() if started.merged else {}
            notes.say_reused_digests(plan, given, _reusing(asked.flags) or REUSE)
        if taken:
            notes.say_unlike_lock(plan, taken)
            notes.say_kept_there(plan, taken)
        yield _prepared(task, plan, reuse, previous)


def _installs_crds(task: Task, previous: Previous | None) -> bool:
    """Whether helm will install the files of crds/: with a first revision only."""
    is_first = task.command == "template" or previous is None or previous.installs_anew
    return is_first and not is_on(task.flags, "--skip-crds")


def _refuse_workloads_in_crds(task: Task, staged: Chart, settings: Settings) -> None:
    """Raise Refused if crds/ would run images by tag, HelmFailed if it cannot be read."""
    if staged.crd_paths():
        from helmpin.plan.crd_workloads import refuse_workloads

        refuse_workloads(task, staged, settings)


def _may_read(started: _Started, flags: Sequence[Given], *, needs_cluster: bool | None) -> bool:
    """Whether to plan with the release: not if the cluster does not answer, unless that is an error (see prepare). Raises
    HelmFailed if it is one."""
    assert started.reading
    if needs_cluster:
        return True
    given = started.merged.result() if started.merged and needs_cluster is None else {}
    if (flag := _reusing(flags)) or (needs_cluster is None and reuses_values(flags, given)):
        _check_answers(started.reading, f"leave out {flag}" if flag else "--no-cluster, or --reset-values")
        return True
    return _answers(started.reading)


def _reusing(flags: Sequence[Given]) -> str:
    """The flag with which the user has the release's values reused; '' for none."""
    if is_on(flags, "--reset-values"):  # helm lets it win
        return ""
    return next((name for name in ("--reuse-values", REUSE) if is_on(flags, name)), "")


class _Started(NamedTuple):
    """A chart that is staged, and all that helm is reading meanwhile."""

    task: Task
    staged: Chart
    compared: Chart
    """As Rendered has it."""
    early: EarlyRender | None
    reading: PreviousReading | None
    merged: MergedValues | None
    locked: LockReading
    head_start: HeadStart | None


def _start(
    asked: PlanRequest, release: str, chart: str, command: str, cluster_flags: Sequence[str], stack: ExitStack
) -> _Started:
    """Start each helm as soon as it can run, and import what the next one needs meanwhile. stack: ends what is started."""
    helm = asked.helm
    folder = stack.enter_context(Folder())
    values = read_values(asked.flags, helm, folder)

    def writing_lock(file: str) -> str:
        from helmpin.plan.lock_command import writing

        return writing(asked, release, chart, file, "write it", asks_cluster=command != "template")

    locked = LockReading(asked.settings, helm, writing_lock)
    reading = PreviousReading(helm, release) if command == "upgrade" else None
    from helmpin.render.merged_values import MergedValues

    merged = MergedValues(helm, values) if values.arguments else None
    from helmpin.chart.stage import ChartSource, stage
    from helmpin.image.outside_pods import ExtraImageRules
    from helmpin.render.repeatable import repeatable

    flags = [flag for flag in other_flags(asked.flags) if flag.name not in REUSE_FLAGS]
    staged = stack.enter_context(stage(ChartSource.of(chart, asked.flags), helm))
    task = Task(
        helm=helm,
        command=command,
        release=release,
        all_flags=asked.flags,
        flags=flags,
        values=values,
        also=ExtraImageRules(asked.settings.also),
        folder=folder,
        cluster_flags=tuple(cluster_flags),
    )
    compared = repeatable(staged)
    early = start_early(task, staged, compared)
    if early:
        stack.callback(early.process.stop, grace=0)
    head_start = None
    if early and not early.renderer.post_renderer:
        from helmpin.plan.head_start import HeadStart

        head_start = HeadStart(early.renderer, compared)
        stack.callback(head_start.stop)
    return _Started(
        task=task,
        staged=staged,
        compared=compared,
        early=early,
        reading=reading,
        merged=merged,
        locked=locked,
        head_start=head_start,
    )


def _prepared(task: Task, plan: Plan, reuse: Reuse, previous: Previous | None) -> Prepared:
    """The plan with helm's arguments."""
    before, whole = reuse.arguments_for(plan.settings)
    by_flag = not whole and not reuse.defaults and all(word in REUSE_FLAGS for word in before)
    return Prepared(
        plan=plan,
        command=(task.command, task.release),
        arguments=[*words(task.flags), *before, *(whole or task.values).arguments, *plan.set_arguments],
        previous=previous,
        flags=list(task.flags),
        reuse="".join(before) if by_flag else None,
    )


def _check_is_no_release(chart: str, flags: Collection[Given]) -> None:
    """Raise HelmFailed if the one name given cannot be a chart: it may be meant as the release."""
    here = os.path.exists(chart.strip() or ".")  # noqa: PTH110 (Path has errors for a name that is too long)
    if here or "/" in chart or any(flag.name == "--repo" for flag in flags):
        return
    raise HelmFailed(
        "chart not found",
        where=chart,
        why="there is no such file or directory",
        hint=f"if {chart} is the release, name its chart too: RELEASE CHART",
    )


def _check_answers(reading: PreviousReading, instead: str) -> None:
    """Raise HelmFailed if the cluster cannot be asked for the release. instead: what to do without its values."""
    try:
        reading.result()
    except Unreadable:
        raise
    except HelmFailed as error:
        hint = "\n".join(filter(None, (error.hint, f"or do without the values of the release: {instead}")))
        raise HelmFailed(error.what, where=error.where, why=error.why, hint=hint) from None


def _answers(reading: PreviousReading) -> bool:
    """Whether the cluster could be asked for the release. Raises Unreadable."""
    try:
        reading.result()
    except Unreadable:
        raise
    except HelmFailed as error:
        why = error.why.splitlines()[0] if error.why else error.what
        if "elease name is invalid" in why:  # helm template reports it in more detail
            return False
        output.say(f"Planned without the cluster, as a new release: {why}")
        return False
    return True


def _kept_jobs(task: Task, rendered: Rendered, previous: Previous | None) -> KeptJobs:
    from helmpin.plan.jobs import KeptJobs, UpgradedRevision

    def before() -> UpgradedRevision:
        from helmpin.release.reading import read_revision

        if previous is None or previous.installs_anew:
            return UpgradedRevision()
        stored = [read_revision(task.helm, task.release, previous.revision)]
        if previous.last != previous.revision:
            from helmpin.release import revisions

            later = revisions.read_all(task.helm, task.release, previous.last - previous.revision).found
            stored += [info.stored for info in later if info.stored.revision > previous.revision]
        digests = set()
        for one in stored:
            with suppress(VerificationFailed):  # without a usable record, it is unknown which tags ran
                record = one.record()
                digests |= {(image.reference, image.digest) for image in (record.images if record else ())}
        return UpgradedRevision([one.manifest for one in stored], frozenset(digests), previous.has_run)

    def live(item: dict[str, Any]) -> dict[str, Any] | None:
        from helmpin.kubectl import Kubectl

        if not Kubectl.available():
            return item
        kubectl = Kubectl(task.helm)
        answer = kubectl.get_these([item], str(item["metadata"].get("namespace") or kubectl.namespace))
        return next(iter(answer.items), item if answer.errors else None)

    return KeptJobs(rendered.plain, before, live)
