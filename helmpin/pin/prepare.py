"""From a request to a staged chart that pins every image: what upgrade, install, plan and template share."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from helmpin import __version__
from helmpin.arguments import Given, is_on, words
from helmpin.chart.setargs import Path as ValuePath
from helmpin.chart.setargs import Setting, as_tree, key, lookup
from helmpin.chart.stage import SOURCE_FLAGS, ChartSource, StagedChart, stage
from helmpin.config import Settings
from helmpin.errors import HelmFailed, HelmPinError, Refused, RegistryUnavailable
from helmpin.helm import Helm
from helmpin.image import mutable
from helmpin.image.elsewhere import Also
from helmpin.image.reference import InvalidReference, Reference, valid_digest
from helmpin.output import as_yaml
from helmpin.pin import previous as before
from helmpin.pin.digestset import ANNOTATION, DigestSet, Image, Undo
from helmpin.pin.plan import Outcome, Search, pinned_form
from helmpin.pin.render import PROBE, PROBE_TEXT, ImageUse, Render, parse
from helmpin.pin.scout import Scout, crd_apis
from helmpin.registry import RegistryError, resolve, warm_up

if TYPE_CHECKING:
    from helmpin.registry import Resolved

VALUE_FLAGS = frozenset({"--values", "--set", "--set-string", "--set-json", "--set-file", "--set-literal"})
REUSE_FLAGS = frozenset({"--reuse-values", "--reset-then-reuse-values", "--reset-values"})
NOT_RENDERED = frozenset(
    {
        "--dry-run",
        "--wait",
        "--wait-for-jobs",
        "--no-hooks",
        "--skip-tests",
        "--show-only",
        "--output-dir",
        "--debug",
        "--validate",
    }
)
"""Flags that helm template has too, but that must not shape the renders: every hook and test of the release is pinned."""
PLACEHOLDERS = frozenset({"auto"})
"""Texts that stand for an image which a webhook fills in (Istio's injection templates)."""


class Asked(Protocol):
    """What is needed of the command line's Request."""

    @property
    def flags(self) -> list[Given]: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def helm(self) -> Helm: ...


class Decision(NamedTuple):
    """What was decided for one image of the chart."""

    image: str
    reference: Reference | None
    digest: str
    media_type: str
    mutable: str | None
    via: str
    """values, template, chart, or '' when it is not pinned."""
    strategy: str
    values: tuple[str, ...]
    uses: tuple[ImageUse, ...]
    notes: tuple[str, ...]
    problem: str
    """Why it is not pinned; '' when it is."""
    kind: str
    """Of the problem: registry, refused or allowed."""
    todo: str


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
    renderer: _Renderer

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
            lines.append(f"    set by  {', '.join(d.values) or 'no value: the template itself'}")
            lines.append(f"    now     {d.digest or d.problem}")
        count = (
            "1 image has a tag that can move" if len(moving) == 1 else f"{len(moving)} images have tags that can move"
        )
        raise Refused(
            count + "; nothing was deployed",
            why="\n".join(lines),
            todo="set a digest or a full version, or pin them: --mutable pin",
        )


@contextmanager
def prepare(asked: Asked, release: str, chart: str, *, deploys: str = "") -> Iterator[Plan]:
    """Stage the chart, find its images, resolve and pin them; the staged chart lives as long as the block.

    deploys: `upgrade` or `install` when the plan will be deployed (then values are reused as helm would, and the record is
    written), '' for plan and template.
    Raises HelmPinError; images that cannot be pinned are in the plan, for the caller to refuse.
    """
    helm, settings = asked.helm, asked.settings
    warm_up(settings.registry)
    source = ChartSource(
        chart, tuple(words(f for f in asked.flags if f.name in SOURCE_FLAGS)), is_on(asked.flags, "--dependency-update")
    )
    flags = [f for f in asked.flags if f.name not in SOURCE_FLAGS | {"--dependency-update"}]
    with ExitStack() as stack:
        given = _values(flags, stack)
        rest = [f for f in flags if f.name not in VALUE_FLAGS | REUSE_FLAGS]
        values = _Values(helm, release, flags, given, deploys)
        staged = stack.enter_context(stage(source, helm))
        templates = staged.template_files()
        renderer = _Renderer(helm, staged, release, rest, deploys, templates, values, Also(settings.also))
        plain = renderer.first()
        plan = _decide(plain, staged, renderer, values, settings, release, rest)
        yield plan


class _Values:
    """The user's values, and those of the previous revision where helm would reuse them."""

    def __init__(self, helm: Helm, release: str, flags: list[Given], given: list[str], deploys: str) -> None:
        self.helm, self.release, self.given, self.flags = helm, release, given, flags
        self.reuse = is_on(flags, "--reuse-values")
        self.reset_then = is_on(flags, "--reset-then-reuse-values")
        upgrades = deploys == "upgrade" or self.reuse or self.reset_then
        wanted = upgrades and not is_on(flags, "--reset-values") and (self.reuse or self.reset_then or not given)
        self._reading = before.Reading(helm, release) if wanted else None
        self.arguments = given
        self.exists: bool | None = None
        self.reused: Mapping[str, Any] = {}

    def settle(self, staged: StagedChart, stack_file: Path) -> None:
        """Take over the previous revision's values where helm would."""
        if self._reading is None:
            return
        previous = self._reading.result()
        self._reading = None
        self.exists = previous is not None
        if previous is None:
            return
        config = before.restored(previous.config, previous.undo, defaults=False)
        if self.reuse:
            staged.write_values(as_yaml(before.computed(self.helm, self.release, previous)))
        if not config and not self.reuse:
            return
        stack_file.write_text(as_yaml(config))
        self.reused = config
        self.arguments = ["--values", str(stack_file), *self.given]


class _Renderer:
    """Renders the staged chart, each time the same way."""

    def __init__(
        self,
        helm: Helm,
        staged: StagedChart,
        release: str,
        flags: list[Given],
        deploys: str,
        templates: Mapping[str, str],
        values: _Values,
        also: Also,
    ) -> None:
        self.helm, self.staged, self.release, self.values, self.deploys = helm, staged, release, values, deploys
        known = helm.flags("template")
        kept = [f for f in flags if f.name in known and f.name not in NOT_RENDERED]
        self.arguments = words(kept)
        server = next((f for f in flags if deploys == "" and f.name == "--dry-run" and f.value == "server"), None)
        if server or (deploys == "" and is_on(flags, "--validate")):
            self.arguments.append("--dry-run=server")
        self.texts = list(templates.values())
        self.also = also
        self.seen: Scout | None = None
        cluster = self._mentions(r"\.Capabilities\b") or bool(staged.kube_version)
        if deploys and (cluster or values.given):
            self.seen = Scout(helm, values.given, cluster=cluster)
        self.supplied: Mapping[str, Any] = {}
        self.computed: Mapping[str, Any] = {}

    def _mentions(self, pattern: str) -> bool:
        return any(re.search(pattern, text) for text in self.texts)

    def first(self) -> Render:
        """The plain render, with helm's computed values."""
        self.values.settle(self.staged, self.staged.path.parent / "reused-values.yaml")
        self.supplied = self.values.reused
        if self.seen is not None:
            seen = self.seen.result()
            self.supplied = seen.values if not self.supplied else {**self.supplied, **seen.values}
            self.arguments += self._with_crds(seen.capabilities)
        if self._is_upgrade():
            self.arguments.append("--is-upgrade")
        self.staged.write_template(PROBE, PROBE_TEXT)
        lookup_server = ["--dry-run=server"] if self.deploys and self._mentions(r"\blookup\b") else []
        try:
            try:
                render = self([], extra_flags=lookup_server)
                self.arguments += lookup_server
            except HelmFailed:
                if not lookup_server:
                    raise
                render = self([])  # a server-side render needs the chart's own CRDs to be there already
        finally:
            self.staged.remove_template(PROBE)
        if render.values is None:
            raise HelmFailed(
                "helm did not print the chart's values",
                why="the post-renderer took them out",
                todo="let objects that it does not know pass",
            )
        self.computed = render.values
        return render

    def _is_upgrade(self) -> bool:
        if self.deploys != "upgrade":
            return False
        if not any(f.name == "--install" for f in self.values.flags):
            return True
        if self.values.exists is None and self._mentions(r"\.Release\.Is(Upgrade|Install)\b"):
            try:
                self.helm.run(["status", self.release])
                return True
            except HelmFailed:
                return False
        return bool(self.values.exists)

    def _with_crds(self, capabilities: list[str]) -> list[str]:
        apis = crd_apis(self.staged.crd_files()) if capabilities else []
        return capabilities + (["--api-versions", ",".join(apis)] if apis else [])

    def __call__(self, extra: Sequence[str], extra_flags: Sequence[str] = ()) -> Render:
        name = [self.release] if self.release else []
        return parse(
            self.helm.run(
                [
                    "template",
                    *name,
                    str(self.staged.path),
                    *self.arguments,
                    *extra_flags,
                    *self.values.arguments,
                    *extra,
                ]
            ),
            self.also,
        )


def _values(flags: list[Given], stack: ExitStack) -> list[str]:
    """The user's value flags; `-f -` is read once, for all the renders."""
    out: list[str] = []
    for flag in flags:
        if flag.name == "--values" and flag.value and "-" in flag.value.split(","):
            import tempfile

            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="helm-pin-stdin-"))
            file = Path(folder) / "values.yaml"
            file.write_text(sys.stdin.read())
            out += ["--values", ",".join(str(file) if part == "-" else part for part in flag.value.split(","))]
        elif flag.name in VALUE_FLAGS:
            out += flag.words
    return out


def _decide(
    plain: Render,
    staged: StagedChart,
    renderer: _Renderer,
    values: _Values,
    settings: Settings,
    release: str,
    flags: list[Given],
) -> Plan:
    uses = plain.images()
    references, problems = _references(uses, settings)
    keychain = None
    if settings.pull_secrets:
        from helmpin.kubectl import Kubectl
        from helmpin.pin import pullsecrets

        keychain = pullsecrets.keychain(plain, Kubectl(renderer.helm), settings.registry)
    answers = resolve(references.values(), settings.registry, keychain)
    resolved: dict[str, Resolved] = {}
    for image, reference in references.items():
        answer = answers[reference]
        if isinstance(answer, RegistryError):
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
            for d in _decisions(uses, references, resolved, problems, outcome, settings)
            if d.digest and d.reference and not d.problem
        )
        allowed = tuple(image for image, (_, kind, _) in problems.items() if kind == "allowed")
        return DigestSet(
            f"helm-pin {__version__}", created, images, tuple(outcome.arguments), undo_of(outcome.settings), allowed
        )

    def prepare_render(outcome: Outcome) -> None:
        staged.annotate(ANNOTATION, record(outcome).to_json())

    outcome = Outcome((), [], frozenset(), {}, {}, {}, plain, 1)
    if to_pin:
        outcome = Search(plain, to_pin, digests, staged, renderer, prepare_render).run()
    final = record(outcome)
    staged.annotate(ANNOTATION, final.to_json())
    decisions = _decisions(uses, references, resolved, problems, outcome, settings)
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


def is_allowed(image: str, globs: Sequence[str]) -> bool:
    """Whether --allow-unpinned lets an image through: a glob matches it as written."""
    return any(fnmatchcase(image, glob) for glob in globs)


def _references(
    uses: list[ImageUse], settings: Settings
) -> tuple[dict[str, Reference], dict[str, tuple[str, str, str]]]:
    """The reference of each image, and (problem, kind, todo) for what is none or is let through."""
    references: dict[str, Reference] = {}
    problems: dict[str, tuple[str, str, str]] = {}
    for image in dict.fromkeys(use.image for use in uses):
        if is_allowed(image, settings.allow_unpinned):
            problems[image] = ("allowed by --allow-unpinned", "allowed", "")
        elif image in PLACEHOLDERS:
            problems[image] = ("not an image: a webhook fills it in", "refused", f"--allow-unpinned {image}")
        else:
            try:
                references[image] = Reference.parse(image)
            except InvalidReference as error:
                problems[image] = (
                    f"not an image reference: {error}",
                    "refused",
                    f"correct the values that make it, or --allow-unpinned {image!r}",
                )
    return references, problems


def _decisions(
    uses: list[ImageUse],
    references: Mapping[str, Reference],
    resolved: Mapping[str, Resolved],
    problems: Mapping[str, tuple[str, str, str]],
    outcome: Outcome,
    settings: Settings,
) -> list[Decision]:
    found = []
    by_image: dict[str, list[ImageUse]] = {}
    for use in uses:
        by_image.setdefault(use.image, []).append(use)
    for image, mine in by_image.items():
        reference, answer = references.get(image), resolved.get(image)
        problem, kind, todo = problems.get(image, ("", "", ""))
        failed = [use for use in mine if use.key in outcome.failed]
        if failed and not problem:
            problem, kind = (
                f"it cannot be pinned without changing something else: {outcome.failed[failed[0].key]}",
                "refused",
            )
            todo = "see helm pin plan -v for what was tried; set its digest in your values"
        strategies = sorted({outcome.strategies[use.key][0] for use in mine if use.key in outcome.strategies})
        settings_used: dict[Setting, None] = {}
        for use in mine:
            settings_used.update(dict.fromkeys(outcome.strategies.get(use.key, ("", ()))[1]))
        by_template = any(use.key in outcome.by_template for use in mine)
        if reference is None or problem:
            via = ""
        elif valid_digest(reference.digest or ""):
            via, strategies = "chart", ["already pinned"]
        else:
            via = "template" if by_template else "values"
            strategies += ["staged template"] if by_template else []
        notes = tuple(dict.fromkeys(note for use in mine for note in outcome.notes.get(use.key, ())))
        found.append(
            Decision(
                image,
                reference,
                answer.digest if answer else "",
                answer.media_type if answer else "",
                mutable.reason(_tag_as_written(image), reference.digest, settings.mutable_tags) if reference else None,
                via,
                ", ".join(strategies),
                tuple(sorted({key(s.path) for s in settings_used if s.value})),
                tuple(mine),
                notes,
                problem,
                kind,
                todo,
            )
        )
    return found


def _tag_as_written(image: str) -> str | None:
    from helmpin.image.reference import split

    return split(image)[1]


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


def pinned(decision: Decision) -> str:
    """The reference as it will be deployed (the chart's template may leave the tag out)."""
    return decision.image if decision.via == "chart" else pinned_form(decision.image, decision.digest)
