"""The plan: what is pinned and how, in a staged chart that is ready to be deployed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

from helmpin import __version__
from helmpin.arguments import Given
from helmpin.chart.setargs import Path as ValuePath
from helmpin.chart.setargs import Setting, as_tree, lookup
from helmpin.chart.stage import StagedChart
from helmpin.config import Settings
from helmpin.errors import HelmPinError, Refused, RegistryUnavailable
from helmpin.pin.decisions import Decision, decide, references_of
from helmpin.pin.digestset import ANNOTATION, DigestSet, Image, Undo
from helmpin.pin.render import Render
from helmpin.pin.rendering import Renderer
from helmpin.pin.search import Outcome, Search
from helmpin.pin.unseen import hide_record, may_print_all
from helmpin.pin.values import Values
from helmpin.registry import RegistryError, Resolved, resolve


class Plan(NamedTuple):
    """The staged chart and what was found: the upgrade's arguments are `set_arguments`, after the user's own."""

    release: str
    staged: StagedChart
    decisions: list[Decision]
    set_arguments: list[str]
    settings: tuple[Setting, ...]
    render: Render
    renders: int
    record: DigestSet | None
    value_arguments: list[str]
    """What stands for the user's value flags (reused values included)."""
    flags: list[Given]
    """helm's other flags, chart source and value flags left out."""
    renderer: Renderer

    @property
    def namespace(self) -> str:
        """The namespace of the release, as helm told it."""
        return os.environ.get("HELM_NAMESPACE") or "default"

    def print_with(self, flags: Sequence[str]) -> str:
        """What helm template prints of the pinned chart with these further flags."""
        return self.renderer(self.set_arguments, flags).text

    def values_file(self) -> dict[str, Any]:
        """The values that pin, as a tree for `helm upgrade -f`."""
        return as_tree(self.settings, self.renderer.computed)

    def refuse_problems(self) -> None:
        """Raise for the images that cannot be pinned: RegistryUnavailable when a registry is to blame for one, else Refused."""
        bad = [d for d in self.decisions if d.problem and d.kind != "allowed"]
        if not bad:
            return
        lines = []
        for d in bad:
            lines.append(f"{d.image}: {d.problem}")
            lines += [f"    used by {use.place()}" for use in d.uses[:3]]
            lines += [f"    and {len(d.uses) - 3} more"] if len(d.uses) > 3 else []
        error: type[HelmPinError] = RegistryUnavailable if any(d.kind == "registry" for d in bad) else Refused
        what = (
            f"{len(bad)} of {len(self.decisions)} images cannot be pinned"
            if len(bad) > 1
            else f"{bad[0].image} cannot be pinned"
        )
        todo = "\n".join(dict.fromkeys(d.todo for d in bad if d.todo))
        raise error(what + "; nothing was deployed", why="\n".join(lines), todo=todo)

    def refuse_mutable(self) -> None:
        """Raise Refused for the images whose tag can move (--mutable refuse)."""
        moving = [d for d in self.decisions if d.mutable and d.kind != "allowed"]
        if not moving:
            return
        lines = []
        for d in moving:
            lines.append(f"{d.image}: {d.mutable}")
            lines += [f"    used by {use.place()}" for use in d.uses]
            lines.append(f"    set by  {', '.join(d.values or d.set_by) or 'no value: the template itself'}")
            lines.append(f"    now     {d.digest or d.problem}")
        count = (
            "1 image has a tag that can move" if len(moving) == 1 else f"{len(moving)} images have tags that can move"
        )
        raise Refused(
            count + "; nothing was deployed",
            why="\n".join(lines),
            todo="set a digest or a full version, or pin them: --mutable pin",
        )


def make_plan(
    plain: Render,
    staged: StagedChart,
    renderer: Renderer,
    values: Values,
    settings: Settings,
    release: str,
    flags: list[Given],
) -> Plan:
    uses = plain.images()
    references, problems = references_of(uses, settings)
    keychain = None
    if settings.pull_secrets:
        from helmpin.kubectl import Kubectl
        from helmpin.pin import pullsecrets

        keychain = pullsecrets.keychain(plain, Kubectl(renderer.helm), settings.registry)
    answers = resolve(references.values(), settings.registry, keychain)
    resolved: dict[str, Resolved] = {}
    for image, reference in references.items():
        answer = answers[reference]
        if isinstance(answer, RegistryError) and reference.digest and answer.kind != "not-found":
            # the chart pinned it: runtimes check the digest themselves, and what it is does not depend on the registry's word
            resolved[image] = Resolved(reference.digest, "")
        elif isinstance(answer, RegistryError):
            problems[image] = (str(answer), "registry", answer.todo)
        else:
            resolved[image] = answer
    digests = {image: answer.digest for image, answer in resolved.items() if references[image].digest is None}
    to_pin = [use for use in uses if use.image in digests]
    created = datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
    undo_of = _Undo(plain.values or {}, renderer.supplied)

    def record(outcome: Outcome) -> DigestSet:
        images = tuple(
            Image(str(d.reference._replace(digest=None)), d.image, d.digest, d.media_type, d.via, d.values)
            for d in decide(uses, references, resolved, problems, outcome, settings)
            if d.digest and d.reference and not d.problem
        )
        allowed = tuple(image for image, (_, kind, _) in problems.items() if kind == "allowed")
        return DigestSet(
            f"helm-pin {__version__}", created, images, tuple(outcome.arguments), undo_of(outcome.settings), allowed
        )

    def prepare_render(outcome: Outcome | None) -> None:
        if outcome is None:
            staged.remove_annotations()
        else:
            staged.annotate(ANNOTATION, record(outcome).to_json())

    hide_record(staged)
    outcome = Outcome((), [], frozenset(), {}, {}, {}, plain, 1, {})
    if to_pin:
        outcome = Search(plain, to_pin, digests, staged, renderer, prepare_render).run()
    final = record(outcome)
    staged.annotate(ANNOTATION, final.to_json())
    # the search proves that the record stays out of the manifest; where there is nothing to search, this does
    if not to_pin and may_print_all(staged):
        outcome = outcome._replace(renders=outcome.renders + 1)
        if ANNOTATION in renderer([]).text:
            raise Refused(
                "the chart prints helm-pin's record; nothing was deployed",
                why=f"its templates print all of .Chart, with the annotation {ANNOTATION}",
                todo="have them print what they need of it: .Chart.Name, .Chart.Version, .Chart.Annotations",
            )
    decisions = decide(uses, references, resolved, problems, outcome, settings)
    return Plan(
        release,
        staged,
        decisions,
        outcome.arguments,
        outcome.settings,
        outcome.render,
        outcome.renders,
        final,
        values.arguments,
        flags,
        renderer,
    )


class _Undo:
    """What stood at each injected path before, for reusing these values one day without the digests."""

    def __init__(self, values: Mapping[str, Any], supplied: Mapping[str, Any]) -> None:
        self._values, self._supplied = values, supplied

    def __call__(self, settings: Sequence[Setting]) -> tuple[Undo, ...]:
        paths: dict[ValuePath, None] = {}
        for setting in settings:
            index = next((i for i, part in enumerate(setting.path) if isinstance(part, int)), len(setting.path))
            paths[setting.path[:index]] = None
        return tuple(
            Undo(path, lookup(self._values, path), lookup(self._supplied, path) is not None)
            for path in sorted(paths, key=lambda p: [str(part) for part in p])
        )
