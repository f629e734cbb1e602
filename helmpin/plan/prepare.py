"""From a request to a plan: what upgrade, install, plan and template share."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from fnmatch import fnmatchcase
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from helmpin import output
from helmpin.arguments import Given, is_on, last, words
from helmpin.errors import HelmFailed, Refused, VerificationFailed
from helmpin.lock_source import LockReading
from helmpin.next_command import helm_command
from helmpin.output import for_helm
from helmpin.private import Folder, write
from helmpin.release.reused_values import (
    Previous,
    PreviousReading,
    changes_a_reused_list,
    coalesced,
    comes_back,
    config_without_digests,
    holds_list,
    nulls_a_digest,
    restoring,
    with_nulls,
    without_digests,
)
from helmpin.render.values import REUSE_FLAGS, VALUE_FLAGS, ValuesInput, read_values, values_flag

if TYPE_CHECKING:
    from helmpin.chart.setargs import Setting
    from helmpin.chart.stage import Chart
    from helmpin.config.settings import Settings
    from helmpin.helm import Helm, HelmProcess
    from helmpin.image.outside_pods import ExtraImageRules
    from helmpin.lock import Lock
    from helmpin.plan.plan import Plan
    from helmpin.plan.rendered import Rendered
    from helmpin.render.renderer import Renderer

REUSE = "--reset-then-reuse-values"
"""What helm does by itself if the user gives no values."""


class Asked(Protocol):
    """The part of a Request that is used here."""

    @property
    def flags(self) -> list[Given]: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def helm(self) -> Helm: ...


class Prepared(NamedTuple):
    """A plan, and the helm command that deploys it."""

    plan: Plan
    command: tuple[str, str]
    """helm's command and the release; `template` where the cluster did not answer and need not."""
    arguments: list[str]
    """helm's arguments after the chart."""
    previous: Previous | None
    """The release when the plan was made; None if there was none, or if the cluster was not asked."""
    flags: list[Given]
    """helm's flags, without those for the chart's source and the values."""
    reuse: str | None
    """The flag with which plain helm reuses the same values; '' if it needs none, None if there is none that would do."""

    def deployment(self, chart: Chart) -> list[str]:
        """helm's arguments to deploy `chart`."""
        return [*self.command, str(chart.archive()), *self.arguments]


@contextmanager
def prepare(
    asked: Asked,
    release: str,
    chart: str,
    *,
    command: str,
    needs_cluster: bool = True,
    lock: Lock | None = None,
    values_only: bool = False,
    check: Callable[[Previous | None], None] | None = None,
) -> Iterator[Prepared]:
    """Stage the chart, find its images, resolve and pin them. The staged chart exists as long as the block.

    command: the helm command to plan for: upgrade, install or template. needs_cluster: whether it is an error if the cluster does
    not answer; otherwise the plan is made with helm template, and a note says so. lock: instead of the one in the settings.
    values_only: whether to look further for values where a template would do. check: called before a registry is asked; raises
    HelmFailed if the command cannot deploy this release.
    Raises HelmPinError. Images that cannot be pinned are in the plan, for the caller to refuse.
    """
    helm, settings = asked.helm, asked.settings
    if not release:
        _check_is_no_release(chart, asked.flags)
    with ExitStack() as stack:
        folder = stack.enter_context(Folder())
        values = read_values(asked.flags, helm, folder)
        locked = LockReading(settings, helm)
        reading = PreviousReading(helm, release) if command == "upgrade" else None
        from helmpin.render.helm_probe import MergedValues

        merged = MergedValues(helm, values.arguments) if values.arguments else None
        from helmpin.chart.stage import SOURCE_FLAGS, ChartSource, stage
        from helmpin.image.outside_pods import ExtraImageRules

        source = ChartSource(
            chart,
            tuple(words(f for f in asked.flags if f.name in SOURCE_FLAGS)),
            is_on(asked.flags, "--dependency-update"),
        )
        used = SOURCE_FLAGS | VALUE_FLAGS | REUSE_FLAGS | {"--dependency-update"}
        flags = [flag for flag in asked.flags if flag.name not in used]
        staged = stack.enter_context(stage(source, helm))
        task = _Task(helm, command, release, asked.flags, flags, values, ExtraImageRules(settings.also), folder)
        begun = _begin(task, staged)
        stack.callback(begun.process.stop, grace=0)
        # helm reads the release and the values and renders now, while Python reads the rest of helm-pin
        from helmpin.image.manifest import unmatched
        from helmpin.plan.loop import make_plan
        from helmpin.plan.template_hints import TemplateHints
        from helmpin.registry import warm_up

        if not settings.locked:
            warm_up(settings.registry)
        hints = TemplateHints(staged.template_files())
        if reading and not needs_cluster and not _answers(reading):
            task, reading = task._replace(command="template"), None
        rendered, reuse = _render_plain(task, staged, begun, reading, merged)
        for pattern in unmatched(rendered.plain.documents, task.also):
            output.say(f"--also {shlex.quote(pattern)} matches no image outside pod specs.")
        previous = reading.result() if reading else None
        if check:
            check(previous)
        taken = None if lock else locked.result()
        lock, relock = lock or taken, None
        if lock and not lock.hint:
            locking = partial(_locking, asked, release, chart, lock.name)
            lock = lock._replace(hint=lambda: f"add it: {locking('--keep', asks_cluster=command != 'template')}")
            relock = partial(_relocking, locking)
        kept_jobs = _kept_jobs(task, rendered, previous)
        plan = make_plan(
            rendered, settings, release, kept_jobs, lock, values_only=values_only, hints=hints, relock=relock
        )
        _say_exemptions(plan, settings)
        if taken:
            _say_unlike_lock(plan, taken)
        before, whole = reuse.way(plan.settings)
        arguments = [*words(flags), *before, *(whole or values).arguments, *plan.set_arguments]
        by_flag = not whole and not reuse.defaults and all(word in REUSE_FLAGS for word in before)
        yield Prepared(
            plan=plan,
            command=(task.command, release),
            arguments=arguments,
            previous=previous,
            flags=flags,
            reuse="".join(before) if by_flag else None,
        )


def _check_is_no_release(chart: str, flags: Collection[Given]) -> None:
    """Raises HelmFailed for one name, without a release, that no chart can have: it may be the release."""
    here = os.path.exists(chart.strip() or ".")  # noqa: PTH110 (Path has errors for a name that is too long)
    if here or "/" in chart or any(flag.name == "--repo" for flag in flags):
        return
    raise HelmFailed(
        "chart not found",
        where=chart,
        why="there is no such file or directory",
        hint=f"if {chart} is the release, name its chart too: RELEASE CHART",
    )


def _say_exemptions(plan: Plan, settings: Settings) -> None:
    """Report the exemptions that let an image through."""
    let_through = [image.image for image in plan.images if image.problem and image.problem.kind == "allowed"]
    for each in settings.exemptions:
        if not each.is_over() and any(fnmatchcase(image, each.image) for image in let_through):
            output.say(f"{each.where}: exempt {each.shown}")


def _say_unlike_lock(plan: Plan, lock: Lock) -> None:
    """Report the images that stay as an existing Job ran them, although the lock has another digest."""
    for image in plan.images:
        locked = lock.digests.get(image.reference) if image.reference and image.kept_for else None
        if locked and image.digest != locked and not image.problem:
            output.say(f"{image.image} stays at {image.digest}, as {image.kept_for} ran it; {lock.name} has {locked}.")


def _locking(asked: Asked, release: str, chart: str, file: str, *more: str, asks_cluster: bool) -> str:
    """The command that writes a lock file for this chart. What must not be printed, such as the values of --set, is left out, and
    a remark behind the command says so."""
    from helmpin.helm import hide_secrets

    settings = asked.settings
    hidden = [flag for flag in asked.flags if hide_secrets(flag.words) != list(flag.words)]
    flags = words(flag for flag in asked.flags if flag not in hidden)
    flags += ["--no-cluster"] if release and not asks_cluster else []
    flags += [f"--also={pattern}" for pattern in settings.also]
    flags += [f"--allow-unpinned={glob}" for glob in settings.allow_unpinned]
    command = ["pin", "lock", *filter(None, [release, chart]), *flags, "--file", file, *more]
    yours = ", ".join(dict.fromkeys(flag.name for flag in hidden))
    return helm_command(shlex.join(command)) + (f" (with your {yours})" if yours else "")


def _relocking(locking: Callable[..., str]) -> str:
    """How a lock file gets the digest that a Job of the release runs."""
    return f"have the lock hold what the Job runs: {locking('--keep', asks_cluster=True)}"


def _answers(reading: PreviousReading) -> bool:
    """Whether the cluster could be asked for the release."""
    try:
        reading.result()
    except HelmFailed as error:
        why = error.why.splitlines()[0] if error.why else error.what
        output.say(f"Planned without the cluster, as a new release: {why}")
        return False
    return True


class _Task(NamedTuple):
    """What to render, and how."""

    helm: Helm
    command: str
    release: str
    all_flags: Sequence[Given]
    flags: Sequence[Given]
    """Without those about the chart's source and the values."""
    values: ValuesInput
    also: ExtraImageRules
    folder: Path

    def dry_run(self) -> str:
        """The kind of dry run that sees what the command will see."""
        given = last(self.flags, "--dry-run") if is_on(self.flags, "--dry-run") else None
        return given if given in ("client", "server") else "server"


class _Reuse(NamedTuple):
    """How an upgrade reuses the values of the release."""

    flag: str = ""
    """The user's own flag, or one that has the same effect."""
    previous: Previous | None = None
    """The release, if helm-pin may have to change the values that are reused; else None."""
    folder: Path = Path()
    given: Mapping[str, Any] = MappingProxyType({})
    """The user's values."""
    defaults: str = ""
    """The previous revision's values as JSON, if they become the chart's defaults (--reuse-values)."""
    implied: bool = False
    """Whether helm reuses values because the user gives none."""

    def way(self, settings: Sequence[Setting] = ()) -> tuple[list[str], ValuesInput | None]:
        """The flags that come before the values. And all values, reused ones too, in the cases in which Helm cannot be made to
        merge them as it would without helm-pin; else None, for the user's own.

        settings: what is set after the values; with them, Helm needs a flag for the reuse that it would do by itself.
        """
        if self.previous is None:
            return [self.flag] if self.flag else [], None
        paths = {setting.path for setting in settings}
        nulls = nulls_a_digest(self.previous, self.given)
        restored = None
        if not (nulls or changes_a_reused_list(self.previous, self.given, paths)):
            restored = restoring(self.previous, paths)
        if restored is None:
            whole = coalesced(self.given, config_without_digests(self.previous))
            merged = with_nulls(whole, self.given)
            if nulls or comes_back(self.previous, merged, paths):
                return ["--reset-values"], ValuesInput((self._file(whole),))
            return [REUSE], ValuesInput((self._file(merged),))
        flag = REUSE if self.implied and (settings or restored) else self.flag
        return [*([flag] if flag else []), *([self._file(restored)] if restored else [])], None

    def _file(self, values: Mapping[str, Any]) -> str:
        text = for_helm(values)
        path = self.folder / f"reused-{sha256(text.encode()).hexdigest()[:16]}.json"
        write(path, text)
        return values_flag(path)


def _reuse(task: _Task, previous: Previous | None, given: Mapping[str, Any]) -> tuple[_Reuse, bool]:
    """How values are reused, and whether any are (pkg/action/upgrade.go, reuseValues)."""
    flag = next((name for name in ("--reset-values", "--reuse-values", REUSE) if is_on(task.all_flags, name)), "")
    if previous is None or previous.installs_anew or flag == "--reset-values" or (given and not flag):
        return _Reuse(flag), False
    if previous.bad_record:
        raise previous.bad_record
    implied = not flag
    if flag != "--reuse-values" and not config_without_digests(previous):
        return _Reuse("--reset-values"), False  # nothing but our own digests, which are resolved again
    if not previous.undo and not holds_list(previous.config):
        return _Reuse(flag, implied=implied), bool(previous.config) or flag == "--reuse-values"
    defaults = ""
    if flag == "--reuse-values":
        at = ["--all", "--revision", str(previous.revision), "--output=json"]
        values = json.loads(task.helm.run(["get", "values", task.release, *at])) or {}
        defaults, flag = for_helm(without_digests(values, previous.undo)), REUSE
    return _Reuse(flag, previous, task.folder, given, defaults, implied), True


class _Begun(NamedTuple):
    """A render by helm template, begun before it is known whether it is the one that counts."""

    probed: Chart
    renderer: Renderer
    process: HelmProcess


def _begin(task: _Task, chart: Chart) -> _Begun:
    from helmpin.render.probe import PROBE, PROBE_TEXT
    from helmpin.render.renderer import renderer_for

    renderer = renderer_for(task.helm, "template", task.release, task.flags, task.values, task.also)
    probed = chart.with_files({PROBE: PROBE_TEXT})
    return _Begun(probed, renderer, renderer.start(probed))


def _render_plain(
    task: _Task, chart: Chart, begun: _Begun, reading: PreviousReading | None, merged: Any
) -> tuple[Rendered, _Reuse]:
    """Render the chart as plain helm would deploy it: by Helm's own dry run if values are reused, or if the chart may depend on
    what only the running upgrade knows; else by helm template."""
    from helmpin.render.nondeterminism import as_hook
    from helmpin.render.probe import PROBE, PROBE_TEXT
    from helmpin.render.renderer import asks_cluster, renderer_for

    deploys = task.command != "template"
    reuse, reuses = _Reuse(), False
    given: Mapping[str, Any] = merged.result() if merged else {}
    previous = reading.result() if reading else None
    if reading:
        reuse, reuses = _reuse(task, previous, given)
    config = previous.config if previous is not None and reuses else {}
    if not deploys or not (reuses or asks_cluster(chart, [given, config])):
        try:
            return _rendered(chart, begun.probed, begun.renderer, begun.process, given, given), reuse
        except HelmFailed:
            if not deploys:  # else the dry run may succeed
                raise
    begun.process.stop(grace=0)
    if reuse.defaults:
        chart = chart.with_files({"values.yaml": reuse.defaults})
    probed = chart.with_files({PROBE: as_hook(PROBE_TEXT)})

    def live_renderer(settings: Sequence[Setting] = ()) -> Renderer:
        before, whole = reuse.way(settings)
        return renderer_for(
            task.helm,
            task.command,
            task.release,
            task.flags,
            whole or task.values,
            task.also,
            dry_run=task.dry_run(),
            reuse=before,
        )

    try:
        found = _rendered(chart, probed, live_renderer(), None, given, {})
    except HelmFailed as error:
        if reuses or not (chart.crd_files() and re.search(r"no matches for kind|ensure CRDs are installed", error.why)):
            raise
        return _rendered_before_crds(task, chart, probed, given), reuse
    kept = found.origin.config or {}
    if reuse.previous:
        found = found._replace(given=kept)  # lists are changed by index: see changes_a_reused_list
    return found._replace(pinning=live_renderer, kept=kept), reuse


def _rendered(
    chart: Chart,
    probed: Chart,
    renderer: Renderer,
    begun: HelmProcess | None,
    given: Mapping[str, Any],
    kept: Mapping[str, Any],
) -> Rendered:
    from helmpin.plan.rendered import Rendered

    origin = renderer.render(probed, post_render=False, begun=begun)
    if origin.values is None:
        raise HelmFailed("cannot read the chart's values", why="the chart dropped or renamed helm-pin's ConfigMap")
    plain = renderer.render(chart) if renderer.post_renderer else origin
    return Rendered(
        chart=chart,
        plain=plain,
        origin=origin,
        renderer=renderer,
        pinning=lambda _: renderer,
        given=given,
        kept=kept,
    )


def _rendered_before_crds(task: _Task, chart: Chart, probed: Chart, given: Mapping[str, Any]) -> Rendered:
    """The plain render if the chart's own CRDs are not in the cluster yet, so that a dry run rejects its objects: by helm template,
    with the cluster's version and APIs and those of the CRDs."""
    from helmpin.render.helm_probe import capabilities
    from helmpin.render.renderer import crd_apis, renderer_for

    version, apis = capabilities(task.helm)
    known = [*apis, *crd_apis(chart.crd_files().values())]
    more = ["--kube-version", version, "--api-versions", ",".join(known)]
    renderer = renderer_for(task.helm, "template", task.release, task.flags, task.values, task.also, more=more)
    rendered = _rendered(chart, probed, renderer, None, given, given)
    assumed = set(capabilities(task.helm, built_in=True)[1]).difference(known)
    _refuse_assumed_apis(rendered, assumed)
    return rendered


def _refuse_assumed_apis(rendered: Rendered, assumed: Collection[str]) -> None:
    """Raise Refused if the images depend on APIs that helm template assumes and the cluster does not have: no flag takes them away,
    so the chart is rendered once more with templates that ask for something else instead."""
    asked = re.compile("|".join(f'"{re.escape(api)}"' for api in sorted(assumed)) or r"(?!)")
    texts = rendered.chart.template_files()
    changed: dict[str, str | None] = {
        path: asked.sub('"none.invalid/v0"', text) for path, text in texts.items() if asked.search(text)
    }
    if not changed:
        return
    without = rendered.renderer.render(rendered.chart.with_files(changed))
    images = [{(use.source, use.image) for use in render.images()} for render in (rendered.plain, without)]
    if images[0] != images[1]:
        raise Refused(
            "what the chart runs depends on APIs that this cluster lacks, and cannot be rendered before its CRDs are installed",
            why="\n".join(sorted(f"{image}, in {source}" for source, image in images[0] ^ images[1])),
            hint="install the CRDs first: helm show crds CHART | kubectl apply --server-side -f -, then run it again",
        )


def _kept_jobs(task: _Task, rendered: Rendered, previous: Previous | None) -> Any:
    from helmpin.plan.jobs import Before, KeptJobs

    def before() -> Before:
        from helmpin.release.revision import read_revision

        if previous is None or previous.installs_anew:
            return Before()
        stored = read_revision(task.helm, task.release, previous.revision)
        record = None
        with suppress(VerificationFailed):  # without a usable record, nothing says which tags ran
            record = stored.record()
        images = record.images if record else ()
        return Before(stored.manifest, frozenset((image.reference, image.digest) for image in images))

    def is_live(item: dict[str, Any]) -> bool:
        from helmpin.kubectl import Kubectl

        if not Kubectl.available():
            return True
        kubectl = Kubectl(task.helm)
        answer = kubectl.get_these([item], str(item["metadata"].get("namespace") or kubectl.namespace))
        return bool(answer.items) or bool(answer.errors)

    return KeptJobs(rendered.plain, before, is_live)


def say_outside(plan: Plan) -> None:
    """Report how many images are outside pod specs, and how many references follow the pinned images."""
    outside = {use.image for use in plan.render.elsewhere()}
    if outside:
        count = f"{len(outside)} image{'s' if len(outside) > 1 else ''}"
        output.inform(f"{count} outside pod specs not pinned; helm pin plan lists them, --also pins them.")
    if plan.followers:
        leaves = f"{len(plan.followers)} other place{'s' if len(plan.followers) > 1 else ''}"
        output.inform(f"{leaves} with the same references got the same digests; helm pin plan lists them.")
    say_lock(plan)


def say_lock(plan: Plan) -> None:
    """Report how many digests came from the lock."""
    if plan.record.lock:
        named = sum(1 for image in plan.images if image.source)
        output.inform(f"Digests from {plan.record.lock}: {named} of {len(plan.images)} images.")
