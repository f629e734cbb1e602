"""The render that a plan starts from: the chart as plain helm would deploy it, with the values that it would reuse."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from helmpin.arguments import is_on
from helmpin.chart.setargs import dotted_key, lookup
from helmpin.errors import HelmFailed
from helmpin.named_tuple import NamedTuple
from helmpin.output import for_helm
from helmpin.private import write
from helmpin.release.previous import Previous, PreviousReading, chart_defaults, undo_among_defaults
from helmpin.release.undo import (
    changes_a_reused_list,
    comes_back,
    config_without_digests,
    nulls_a_digest,
    restoring,
    with_defaults,
    with_null_default,
    without_digests,
)
from helmpin.render.coalesce import coalesced, holds_list, with_nulls, without_nulls
from helmpin.render.values import ValuesInput, values_flag

if TYPE_CHECKING:
    from helmpin.chart.setargs import Setting
    from helmpin.chart.stage import Chart
    from helmpin.helm import Helm, HelmProcess
    from helmpin.plan.rendered import Rendered
    from helmpin.plan.task import Task
    from helmpin.render.merged_values import MergedValues
    from helmpin.render.needs import Needs
    from helmpin.render.renderer import Renderer

REUSE = "--reset-then-reuse-values"
"""The flag for what helm does by itself if no values are given."""


class Reuse(NamedTuple):
    """How an upgrade reuses the values of the release."""

    flag: str = ""
    """The user's own flag, or one that has the same effect."""
    previous: Previous | None = None
    """The release, if helm-pin may have to change the values that are reused; else None."""
    folder: Path = Path()
    given: Mapping[str, Any] = MappingProxyType({})
    """The user's values."""
    flags: ValuesInput = ValuesInput()
    """The flags with which the user gives them."""
    defaults: str = ""
    """The previous revision's values as JSON, if they become the chart's defaults (--reuse-values)."""
    implied: bool = False
    """Whether helm reuses values because the user gives none."""
    helm: Helm | None = None
    """What merges the user's values; None if there is no `previous`."""

    def arguments_for(self, settings: Sequence[Setting] = ()) -> tuple[list[str], ValuesInput | None]:
        """The flags that come before the values, and the values. None stands for the user's own values; all values, including
        reused ones, are given if Helm cannot be made to merge them as it would without helm-pin. Writes a values file into `folder`
        where digests have to be taken out of those that are reused.

        settings: what is set after the values; with them, Helm needs a flag for the reuse that it would do by itself.
        """
        if self.previous is None:
            flag = REUSE if self.implied and settings else self.flag
            return [flag] if flag else [], None
        paths = {setting.path for setting in settings}
        nulls = nulls_a_digest(self.previous, self.given)
        restored = None
        if not (nulls or changes_a_reused_list(self.previous, self.given, paths)):
            restored = restoring(self.previous, paths)
        if restored is None:
            old = config_without_digests(self.previous)
            whole = coalesced(self.given, old)
            resets = nulls or comes_back(self.previous, with_nulls(whole, self.given), paths)
            if not resets:
                whole = with_nulls(coalesced(self.given, without_nulls(old)), self.given)
            arguments = (self._values_flag_for(whole), *self._whole_numbers())
            return ["--reset-values" if resets else REUSE], ValuesInput(arguments, self.flags.originals)
        flag = REUSE if self.implied and (settings or restored) else self.flag
        return [*([flag] if flag else []), *([self._values_flag_for(restored)] if restored else [])], None

    def _whole_numbers(self) -> list[str]:
        """The flags for the whole numbers that the user gives: by --set, as here, one is an int64, in a file a float64. The user's
        own flags would do more: --set-json replaces a map."""
        from helmpin.render.merged_values import whole_numbers

        if self.helm is None or not any(re.match("--set(=|$)", word) for word in self.flags.arguments):
            return []
        return [f"--set={dotted_key(path)}={number}" for path, number in whole_numbers(self.helm, self.flags)]

    def _values_flag_for(self, values: Mapping[str, Any]) -> str:
        from hashlib import sha256

        text = for_helm(values)
        path = self.folder / f"reused-{sha256(text.encode()).hexdigest()[:16]}.json"
        write(path, text)
        return values_flag(path)


def _reuse(task: Task, chart: Chart, previous: Previous | None, given: Mapping[str, Any]) -> tuple[Reuse, bool]:
    """How values are reused, and whether any are (pkg/action/upgrade.go, reuseValues)."""
    flag = next((name for name in ("--reset-values", "--reuse-values", REUSE) if is_on(task.all_flags, name)), "")
    if previous is None or previous.installs_anew or flag == "--reset-values" or (given and not flag):
        return Reuse(flag), False
    if previous.bad_record:
        raise previous.bad_record
    implied = not flag
    if flag != "--reuse-values" and not config_without_digests(previous):
        return Reuse("--reset-values"), False  # nothing but our own digests, which are resolved again
    defaults, is_among_them = _all_values(task, chart, previous) if flag == "--reuse-values" else ("", False)
    if not (previous.undo or holds_list(previous.config) or is_among_them):
        return Reuse(flag, implied=implied), bool(previous.config) or flag == "--reuse-values"
    flag = REUSE if defaults else flag
    folder = task.folder
    reuse = Reuse(
        flag=flag,
        previous=previous,
        folder=folder,
        given=given,
        flags=task.values,
        defaults=defaults,
        implied=implied,
        helm=task.helm,
    )
    return reuse, True


def _all_values(task: Task, chart: Chart, previous: Previous) -> tuple[str, bool]:
    """All values of the release, the chart's too, without helm-pin's digests, as JSON; and whether one was where the user's values
    have nothing."""
    at = ["--all", "--revision", str(previous.revision), "--output=json"]
    values = json.loads(task.helm.run(["get", "values", task.release, *at])) or {}
    undo, defaults = previous.undo, cache(partial(chart_defaults, task.helm, task.release))
    if previous.is_undo_of_earlier:
        undo = tuple(with_defaults(previous, defaults(previous.revision)))
    values = without_digests(values, undo)
    nulls = [entry for entry in undo if entry.was is None]
    for entry in nulls if task.helm.version < (4, 0, 0) else ():
        is_reused = lookup(defaults(previous.revision), entry.path) is not None  # plain helm has made ours the chart's
        values = with_null_default(values, entry, defaults(previous.recorded if is_reused else previous.revision))
    chart_values = "\n".join(text for *_, text in chart.values_files())
    among_defaults = undo_among_defaults(task.helm, task.release, previous, values, chart_values)
    return for_helm(without_digests(values, among_defaults)), bool(among_defaults)


class EarlyRender(NamedTuple):
    """A render by helm template, begun before it is known whether it will be used."""

    needs: Needs
    """What it knows."""
    probe: str
    """The text of the probe in it."""
    renderer: Renderer
    process: HelmProcess


def start_early(task: Task, chart: Chart, compared: Chart) -> EarlyRender | None:
    """Start `helm template`, which most commands need; None where only the dry run will do. chart, compared: as Rendered has them.
    Raises HelmFailed when helm cannot be started."""
    from helmpin.render.needs import Needs, needs

    return _start_early(task, compared, needs(chart, ()) if task.command != "template" else Needs.NOTHING)


def _start_early(task: Task, compared: Chart, need: Needs) -> EarlyRender | None:
    from helmpin.render.needs import Needs
    from helmpin.render.probe import HOOK_TEXT, PROBE, hiding
    from helmpin.render.renderer import renderer_for

    as_upgrade = need is Needs.CLUSTER
    if need is Needs.RELEASE or (as_upgrade and (task.command != "upgrade" or task.dry_run() != "server")):
        return None
    renderer = renderer_for(
        task.helm,
        "template",
        task.release,
        task.flags,
        task.values,
        task.also,
        as_upgrade=as_upgrade,
        more=task.cluster_flags,
    )
    renderer = renderer._replace(asks_cluster=as_upgrade or bool(task.cluster_flags))
    probe = HOOK_TEXT
    if task.command != "template":  # no template names these, and one may reach them still: toYaml ., range $
        probe = hiding(("Revision",) if as_upgrade else ("Revision", "IsInstall", "IsUpgrade")) + probe
    return EarlyRender(need, probe, renderer, renderer.start(compared.with_files({PROBE: probe})))


def render_plain(
    task: Task,
    chart: Chart,
    compared: Chart,
    early: EarlyRender | None,
    reading: PreviousReading | None,
    merged: MergedValues | None,
) -> tuple[Rendered, Reuse]:
    """Render the chart as plain helm would deploy it: by Helm's own dry run if values are reused, if the chart may depend on what
    only the running upgrade knows or prints it, or if it asks the cluster and is installed; else by helm template. Raises
    HelmFailed, Refused, and VerificationFailed if the digests in reused values are not known.

    chart, compared: as Rendered has them. early: the render by helm template, if start_early() started it; it is used if it knows
    what this one needs. reading, merged: the release and the user's values, which helm is reading; None where there is none.
    """
    from helmpin.render.needs import Needs, needs

    deploys = task.command != "template"
    reuse, reuses = Reuse(), False
    given: Mapping[str, Any] = merged.result() if merged else {}
    previous = reading.result() if reading else None
    if reading:
        reuse, reuses = _reuse(task, chart, previous, given)
    config = previous.config if previous is not None and reuses else {}
    need = Needs.NOTHING if not deploys or reuses else needs(chart, [given, config])
    upgrades = previous is not None and not previous.installs_anew
    by_template = not deploys or (not reuses and (upgrades or need is Needs.NOTHING))
    if by_template:
        if early is None or early.needs is not need:
            _stop(early)
            early = _start_early(task, compared, need)
        if early and (found := _by_template(chart, compared, early, given, deploys=deploys)):
            return found, reuse
    _stop(early)
    if upgrades:  # else helm reads all revisions twice
        task = task._replace(flags=[flag for flag in task.flags if flag.name != "--install"])
    elif need:
        from helmpin.plan.own_crds import rendered_instead_of_a_dry_run

        if instead := rendered_instead_of_a_dry_run(task, chart, compared, given):
            return instead, reuse
    return _by_dry_run(task, chart, compared, reuse, given, installs=not upgrades), reuse


def _by_template(
    chart: Chart, compared: Chart, early: EarlyRender, given: Mapping[str, Any], *, deploys: bool
) -> Rendered | None:
    """What helm template renders; None if the dry run of a command that deploys may do better: it fails, or prints what only the
    running upgrade knows. Raises HelmFailed."""
    from helmpin.plan.rendered import render_with_probe
    from helmpin.render.probe import UNKNOWN

    try:
        found = render_with_probe(chart, compared, early.probe, early.renderer, early.process, given, given)
    except HelmFailed:
        if not deploys:
            raise
        return None
    return None if deploys and UNKNOWN in found.origin.text else found


def _stop(early: EarlyRender | None) -> None:
    if early:
        early.process.stop(grace=0)


def _by_dry_run(
    task: Task, chart: Chart, compared: Chart, reuse: Reuse, given: Mapping[str, Any], *, installs: bool
) -> Rendered:
    """installs: whether Helm installs the chart's own CRDs before it renders. An upgrade does not."""
    from helmpin.plan.rendered import LACKS_KIND, render_with_probe
    from helmpin.render.probe import HOOK_TEXT
    from helmpin.render.renderer import renderer_for

    if reuse.defaults:
        is_same, defaults = compared is chart, {"values.yaml": reuse.defaults}
        chart = chart.with_files(defaults)
        compared = chart if is_same else compared.with_files(defaults)

    def live_renderer(settings: Sequence[Setting] = ()) -> Renderer:
        before, whole = reuse.arguments_for(settings)
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
        found = render_with_probe(chart, compared, HOOK_TEXT, live_renderer(), None, given, {})
    except HelmFailed as error:
        if not (installs and chart.crd_files() and LACKS_KIND.search(error.why)):
            raise
        from helmpin.plan.own_crds import rendered_before_crds

        return rendered_before_crds(task, chart, compared, given)
    kept = found.origin.config or {}
    if reuse.previous:
        found = found._replace(given=kept)  # lists are changed by index: see changes_a_reused_list
    return found._replace(pinning=live_renderer, kept=kept)
