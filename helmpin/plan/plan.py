"""The plan: what is pinned and how, in a chart that is ready to be deployed.

`make_plan` holds the one loop that composes a chart, renders it and compares. The chart that the last comparison accepted is the
chart that is deployed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

from helmpin import __version__, env, gate
from helmpin.chart.setargs import Setting, ValuePath, arguments, as_tree, dotted_key, lookup
from helmpin.chart.stage import Chart
from helmpin.config.settings import Settings
from helmpin.errors import HelmFailed, HelmPinError, Refused, RegistryUnavailable
from helmpin.image.hints import let_through, number_hint
from helmpin.image.manifest import Document, ImageUse
from helmpin.image.reference import Reference, pinned_form, split
from helmpin.lock import Lock, NotLocked
from helmpin.lock_source import resolve
from helmpin.plan import names, platforms, template_pins
from helmpin.plan.candidates import ValueIndex
from helmpin.plan.credentials import keychain_of
from helmpin.plan.images import ImagePlan, Problem, plan_images, references_of
from helmpin.plan.jobs import KeptJobs
from helmpin.plan.record_filter import filter_record, may_expose_record
from helmpin.plan.search import Attempt, Facts, Search
from helmpin.plan.template_scan import TemplateScan, is_written
from helmpin.plan.values_only import ValuesSearch
from helmpin.registry import RegistryError, Resolved
from helmpin.release.record import ANNOTATION, Image, Record, Undo
from helmpin.release.reused_values import get
from helmpin.render import nondeterminism
from helmpin.render.diff import Comparison, Follower, Key, Leaf, compare, is_pin, noise
from helmpin.render.output import Render
from helmpin.render.renderer import Renderer

MOST_NOISE_RENDERS = 3
"""Plain renders at most that show what a chart makes at random."""


class Rendered(NamedTuple):
    """The chart as plain helm would deploy it."""

    chart: Chart
    """Without anything of helm-pin's."""
    plain: Render
    """As plain helm would deploy it, after the user's post-renderer, if there is one."""
    origin: Render
    """As the templates print it, before a post-renderer; with helm's computed values."""
    renderer: Renderer
    """The renderer that made `plain`."""
    pinning: Callable[[Sequence[Setting]], Renderer]
    """The renderer to use if these values are set."""
    given: Mapping[str, Any]
    """The values that the user gives now."""
    kept: Mapping[str, Any]
    """The user's values that the release will keep: `given`, and the reused ones."""


class Plan(NamedTuple):
    """What is pinned and how. `set_arguments` follow the user's own arguments."""

    release: str
    chart: Chart
    """With the record and the template pins, as it is deployed."""
    images: list[ImagePlan]
    set_arguments: list[str]
    settings: tuple[Setting, ...]
    followers: tuple[Follower, ...]
    render: Render
    renders: int
    record: Record
    rendered: Rendered

    @property
    def namespace(self) -> str:
        """The namespace of the release, as helm passes it."""
        return env.namespace()

    def print_with(self, flags: Sequence[str]) -> str:
        """What helm template prints for the pinned chart with these additional flags."""
        renderer = self.rendered.pinning(self.settings)
        return renderer.render(self.chart, [*self.set_arguments, *flags]).text

    def beyond_values(self) -> list[ImagePlan]:
        """The pinned images for which --set arguments or a values file are not enough."""
        return [image for image in self.images if not image.problem and not image.by_values_alone]

    def values_file(self, *, named: bool = False) -> dict[str, Any]:
        """The values that pin, as a tree for `helm upgrade -f`. named: with registry, repository and tag beside each digest."""
        values = self.rendered.origin.values or {}
        settings = [*self._names(values), *self.settings] if named else self.settings
        return as_tree(settings, values)

    def _names(self, values: Mapping[str, Any]) -> list[Setting]:
        tags = names.missing_tags(self.settings, values, self.images)
        if tags and self.print_with(arguments(tags, values)) != self.render.text:
            tags = []
        return [*(Setting(*name) for name in names.beside(self.settings, values)), *tags]

    def lists_of_the_user(self) -> list[ImagePlan]:
        """The images in a list of the user's values, which a values file could only repeat whole."""
        in_lists = {
            key for key in map(_list_path, self.settings) if key and isinstance(get(self.rendered.given, key), list)
        }
        names = {dotted_key(path) for path in in_lists}
        return [i for i in self.images if not i.problem and any(v.partition("[")[0] in names for v in i.values)]

    def refuse_problems(self, *, outcome: str = "", shows_tries: bool = False) -> None:
        """Raise for the images that cannot be pinned: RegistryUnavailable if a registry failed for one, else Refused.
        outcome: added to the first line, such as `; nothing was deployed`. shows_tries: whether it is printed what was tried."""
        bad = [i for i in self.images if i.problem and i.problem.kind != "allowed"]
        if not bad:
            return
        lines, hints = [], []
        for i in bad:
            assert i.problem is not None
            lines.append(f"{i.image}: {i.problem.text}")
            lines += [f"    used by {use.place()}" for use in i.uses[:3]]
            lines += [f"    and {len(i.uses) - 3} more"] if len(i.uses) > 3 else []
            hints += [i.problem.hint] if i.problem.hint else []
        if not shows_tries and any(i.notes and i.problem and i.problem.kind == "refused" for i in bad):
            hints.append("helm pin plan -v, with the same arguments, shows what was tried")
        by_registry = any(i.problem and i.problem.kind == "registry" for i in bad)
        error: type[HelmPinError] = RegistryUnavailable if by_registry else Refused
        count = f"{len(bad)} of {len(self.images)} images" if len(bad) > 1 else bad[0].image
        raise error(f"{count} cannot be pinned{outcome}", why="\n".join(lines), hint="\n".join(dict.fromkeys(hints)))

    def refuse_mutable(self, *, outcome: str = "") -> None:
        """Raise Refused for the images with a mutable tag (--mutable refuse)."""
        moving = [
            i for i in self.images if i.mutable and i.is_refused and not (i.problem and i.problem.kind == "allowed")
        ]
        if not moving:
            return
        lines = []
        for i in moving:
            lines.append(f"{i.image}: {i.mutable}")
            lines += [f"    used by {use.place()}" for use in i.uses]
            lines.append(f"    set by  {', '.join(self._set_by(i)) or 'no value: hard-coded in the template'}")
            lines.append(f"    now     {i.digest or (i.problem and i.problem.text)}")
        count = "1 image has a mutable tag" if len(moving) == 1 else f"{len(moving)} images have mutable tags"
        raise Refused(
            count + outcome,
            why="\n".join(lines),
            hint="set a digest or a full version, or pin them: --mutable pin",
        )

    def _set_by(self, image: ImagePlan) -> Iterable[str]:
        """The values that set an image today: a digest key that is still empty does not, but the tag beside it."""
        values, tag = self.rendered.origin.values or {}, split(image.image)[1]
        found: list[ValuePath] = []
        for path in (setting.path for setting in self.settings if dotted_key(setting.path) in image.values):
            above, held = get(values, path[:-1]), get(values, path)
            tags = [key for key, value in above.items() if str(value) == tag] if isinstance(above, dict) else []
            found += [(*path[:-1], key) for key in tags] if held in (None, "") and tags else [path]
        return sorted(set(map(dotted_key, found))) or image.values or image.set_by


def make_plan(
    rendered: Rendered,
    settings: Settings,
    release: str,
    kept_jobs: KeptJobs,
    lock: Lock | None = None,
    *,
    values_only: bool = False,
) -> Plan:
    """Resolve the images of a render and find how to pin them.

    lock: where digests come from before the registry is asked. values_only: whether to look further for values that pin what the
    templates can pin.
    Images that cannot be pinned are in the plan with their problem, for the caller to refuse. Raises HelmPinError.
    """
    uses = rendered.plain.images()
    references, problems = references_of(uses, settings, rendered.origin.values or {})
    resolved = _resolve(rendered, references, problems, settings, lock)
    problems.update(platforms.problems(rendered, resolved, references, settings))
    digests = {image: answer.digest for image, answer in resolved.items() if references[image].digest is None}
    kept = kept_jobs.digests([use for use in uses if use.image in digests])
    problems.update(kept.problems)
    problems.update(_ask_gate(settings, uses, references, resolved, kept.wanted, problems))
    wanted = {
        use.key: kept.wanted.get(use.key) or digests[use.image]
        for use in uses
        if use.image in digests and use.image not in problems
    }
    annotated = isinstance(rendered.chart.metadata.get("annotations"), dict)
    base = rendered.chart.with_files(filter_record(rendered.chart.template_files(), has_annotations=annotated))
    origins = _origins(rendered, uses)
    composer = _Composer(rendered, base, uses, wanted, origins, kept.jobs)
    search = composer.search()
    created = datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")

    def planned(attempt: Attempt, followers: tuple[Follower, ...] = ()) -> list[ImagePlan]:
        images = plan_images(
            uses,
            wanted,
            references,
            resolved,
            problems,
            attempt,
            followers=followers,
            set_by=search.set_by,
            kept=kept.jobs,
            settings=settings,
            explained=composer.explanations,
        )
        return [i._replace(source=lock.origin) if lock and _is_from(lock, i) else i for i in images]

    def record(attempt: Attempt, followers: tuple[Follower, ...] = ()) -> Record:
        images = tuple(
            Image(
                reference=str(i.reference._replace(digest=None)),
                image=i.image,
                digest=i.digest,
                media_type=i.media_type,
                via=i.via,
                values=i.values,
                followers=tuple(f.place() for f in i.followers),
                source=i.source,
            )
            for i in planned(attempt, followers)
            if i.digest and i.reference and not i.problem
        )
        allowed = tuple(image for image, problem in problems.items() if problem.kind == "allowed")
        name = lock.recorded if lock and any(image.source for image in images) else ""
        undo, required = _undo(attempt.settings, rendered), settings.gate.shown
        return Record(f"helm-pin {__version__}", created, images, undo, allowed, name, required)

    renders, render, found = 1, rendered.plain, Comparison({}, frozenset(), (), [])
    attempt = nothing = Attempt((), frozenset(), {}, {}, {})
    while wanted and (next_attempt := search.next()):
        attempt = next_attempt
        renders += 1
        left = {key: digest for key, digest in wanted.items() if key not in attempt.failed}
        try:
            render = composer.render(attempt, record(attempt))
        except HelmFailed as error:
            if composer.drops_second_pass(error.why):
                continue
            search.learn(attempt, error.why)
            continue
        _refuse_exposed_record(rendered, render)
        found = compare(rendered.plain, render, left, composer.noise)
        while found.collateral and composer.may_be_noise(found):
            renders += 1
            found = compare(rendered.plain, render, left, composer.learn_noise())
        search.learn(attempt, composer.explained(attempt, found))
    if wanted and search.result is None:
        attempt, found = search.unsettled(), Comparison({}, frozenset(), (), [])
    elif values_only and attempt.by_template:
        attempt, render, found, more = composer.by_values(attempt, render, found, record)
        renders += more
    final = record(attempt, found.followers)
    chart = composer.chart(attempt, final)
    if not wanted:  # else the comparison shows that the record stays out
        renders += _check_record_stays_out(rendered, chart)
    images = planned(attempt, found.followers)
    if search.result is not None:
        images = kept_jobs.checked(images, render)
    return Plan(
        release=release,
        chart=chart,
        images=images,
        set_arguments=composer.arguments(attempt),
        settings=attempt.settings,
        followers=found.followers,
        render=render if attempt is not nothing else rendered.plain,
        renders=renders,
        record=final,
        rendered=rendered,
    )


def _ask_gate(
    settings: Settings,
    uses: Sequence[ImageUse],
    references: Mapping[str, Reference],
    resolved: Mapping[str, Resolved],
    kept: Mapping[Key, str],
    problems: Mapping[str, Problem],
) -> dict[str, Problem]:
    """The problem of each image that a required command does not agree to, at each digest that it will have."""
    asked: dict[str, str] = {}
    for use in uses if settings.gate.commands else ():
        if use.image in resolved and use.image not in problems:
            digest = kept.get(use.key) or resolved[use.image].digest
            asked[str(references[use.image]._replace(digest=digest))] = use.image
    refused = gate.ask(settings.gate, asked)
    hint = "let nothing through that was not agreed to: sign or correct the image, or deploy another one"
    return {asked[pinned]: Problem(why, "refused", hint) for pinned, why in refused.items()}


def _check_record_stays_out(rendered: Rendered, chart: Chart) -> int:
    """Raise Refused where the templates print the record; how many renders it took to know."""
    if not may_expose_record(chart.template_files()):
        return 0
    _refuse_exposed_record(rendered, rendered.renderer.render(chart))
    return 1


def _refuse_exposed_record(rendered: Rendered, render: Render) -> None:
    if ANNOTATION in render.text and ANNOTATION not in rendered.plain.text:
        images = dict.fromkeys(use.image for use in rendered.plain.images())
        raise Refused(
            "the chart prints helm-pin's record",
            why=f"its templates print all of .Chart, with the annotation {ANNOTATION}.\n"
            f"As long as they do, these images cannot be pinned: {', '.join(images)}",
            hint="have them print what they need of it: .Chart.Name, .Chart.Version, .Chart.Annotations",
        )


def _is_from(lock: Lock, image: ImagePlan) -> bool:
    """Whether the digest of an image came from the lock."""
    return (
        image.via in ("values", "template")
        and not image.kept_for
        and image.reference in {*lock.digests, *lock.platforms}
    )


def _resolve(
    rendered: Rendered,
    references: Mapping[str, Reference],
    problems: dict[str, Problem],
    settings: Settings,
    lock: Lock | None,
) -> dict[str, Resolved]:
    """Each image resolved, by the lock or else by its registry. A problem is added for each that cannot be resolved."""
    keychain = None if settings.locked else keychain_of(rendered, settings)
    answers = resolve(lock, references.values(), settings.registry, keychain)
    uses: dict[str, list[ImageUse]] = defaultdict(list)
    for use in rendered.plain.images():
        uses[use.image].append(use)
    resolved: dict[str, Resolved] = {}
    for image, reference in references.items():
        answer = answers[reference]
        if isinstance(answer, NotLocked):
            problems[image] = Problem(answer.why, "refused", answer.hint)
        elif isinstance(answer, RegistryError) and reference.digest and answer.kind != "not-found":
            # the chart pinned it: the digest is known, and runtimes check it themselves
            resolved[image] = Resolved(reference.digest, "")
        elif isinstance(answer, RegistryError):
            problems[image] = _unresolved(image, answer, uses[image])
        else:
            resolved[image] = answer
    return resolved


def _unresolved(image: str, error: RegistryError, uses: Sequence[ImageUse]) -> Problem:
    """The problem of an image that was not resolved, with a hint that fits its uses."""
    hint = "\n".join(filter(None, (error.hint, number_hint(image) if error.kind == "not-found" else "")))
    if all("test" in use.hook for use in uses):
        hint = f"only a test hook uses it; if you do not run that, let it through: {let_through(image)}\n{hint}"
    elif all(use.pull_policy == "Never" for use in uses):
        hint = (
            f"its pull policy is Never, so it was loaded into the nodes and cannot run by digest; let it through: "
            f"{let_through(image)}"
        )
    return Problem(str(error), "registry", hint)


class _Composer:
    """Composes and renders the chart of each attempt. Mutable: it learns about randomness and post-renderers."""

    def __init__(
        self,
        rendered: Rendered,
        base: Chart,
        uses: Sequence[ImageUse],
        wanted: Mapping[Key, str],
        origins: Mapping[Key, ImageUse],
        fixed: Collection[Key],
    ) -> None:
        """fixed: uses that the template must pin, because they keep a digest while other uses of the same values get a new one."""
        self._fixed = fixed
        self._rendered, self._base, self._wanted, self._origins = rendered, base, wanted, origins
        self._uses = {use.key: use for use in uses if use.key in wanted}
        self._templates = base.template_files()
        self._crds = base.crd_files()
        self._documents: dict[str, list[Document]] = defaultdict(list)
        for document in rendered.origin.documents:
            self._documents[document.source].append(document)
        self._pins: dict[Key, template_pins.TemplatePin | None] = {}
        same: Counter[Any] = Counter()
        for key, origin in origins.items():
            leaf = (origin.image, *origin.key[:-1], *(part for part in origin.path if not str(part).startswith("#")))
            if key in wanted:
                pinned = pinned_form(origin.image, wanted[key])
                documents = self._documents[origin.source]
                self._pins[key] = template_pins.locate(origin, documents, pinned, same[leaf])
            same[leaf] += 1
        self._second_pass = self._random_sources()
        self._values = rendered.origin.values or {}
        self._scans: dict[str, TemplateScan] = {}
        self.noise: Mapping[Leaf, Any] = {}
        self._noise_renders = 0
        self.explanations: dict[Key, Problem] = {
            key: Problem(
                "the post-renderer prints it, so no value and no template reaches it",
                "refused",
                f"write its digest in the post-renderer, or let it through: {let_through(self._uses[key].image)}",
            )
            for key in wanted
            if key not in origins
        }
        """Why a use failed, if the search cannot know."""

    def search(self) -> Search:
        """The search for values and templates that pin every wanted use."""
        return Search(self._facts(), self._value_index(), self._scan)

    def by_values(
        self, attempt: Attempt, render: Render, found: Comparison, record: Callable[[Attempt], Record]
    ) -> tuple[Attempt, Render, Comparison, int]:
        """The attempt, its render and its comparison, with values in place of templates as far as they can be found; and how many
        renders that took."""
        facts = [fact for fact in self._facts() if fact.use.key not in self._fixed]
        search = ValuesSearch(attempt, facts, self._value_index(), self._scan)
        wanted = {key: digest for key, digest in self._wanted.items() if key not in attempt.failed}
        renders = 0
        while tried := search.next():
            renders += 1
            try:
                rendered = self.render(tried, record(tried))
            except HelmFailed as error:
                search.learn(tried, error.why)
                continue
            comparison = compare(self._rendered.plain, rendered, wanted, self.noise)
            search.learn(tried, comparison)
            if search.result is tried:
                attempt, render, found = tried, rendered, comparison
        return attempt, render, found, renders

    def _value_index(self) -> ValueIndex:
        return ValueIndex(self._values, self._rendered.given, self._rendered.kept)

    def _facts(self) -> list[Facts]:
        facts = []
        for key, use in self._uses.items():
            origin = self._origins.get(key)
            paths = self._paths(origin.source) if origin else []
            literal = bool(paths) and all(self._is_literal(origin, path) for path in paths)
            in_template = bool(paths) and self._pins.get(key) is not None
            facts.append(
                Facts(
                    use=use,
                    origin=origin or use,
                    digest=self._wanted[key],
                    is_literal=literal or key in self._fixed,
                    in_template=in_template,
                )
            )
        return facts

    def _is_literal(self, origin: ImageUse | None, path: str) -> bool:
        return path in self._crds or (origin is not None and is_written(origin.image, self._templates[path]))

    def chart(self, attempt: Attempt, record: Record) -> Chart:
        """The chart of an attempt, as it would be deployed."""
        by_path: dict[str, list[template_pins.TemplatePin]] = defaultdict(list)
        for key in attempt.by_template:
            pin = self._pins[key]
            assert pin is not None
            pin = pin._replace(may_become=self._forms_by_values(attempt, self._origins[key]))
            for path in self._paths(pin.source):
                by_path[path].append(pin)
        files: dict[str, str | None] = {}
        for path, pins in by_path.items():
            if path in self._templates:
                files[path] = template_pins.pinned_template(path, self._templates[path], pins)
                files[template_pins.PRINT_FILE] = template_pins.PRINT
            else:
                files[path] = template_pins.pinned_text(self._crds[path], pins)
        return self._base.with_files(files).annotated(ANNOTATION, record.to_json())

    def _forms_by_values(self, attempt: Attempt, origin: ImageUse) -> tuple[str, ...]:
        """What values may make of the image where the same file uses it again: the places are counted as in the plain render."""
        name = split(origin.image)[0]
        digests = {
            self._wanted[key]
            for key in attempt.strategies
            if (other := self._origins.get(key)) and (other.image, other.source) == (origin.image, origin.source)
        }
        forms = ((pinned_form(origin.image, digest), f"{name}@{digest}") for digest in sorted(digests))
        return tuple(form for pair in forms for form in pair)

    def arguments(self, attempt: Attempt) -> list[str]:
        """The --set arguments of an attempt."""
        return arguments(attempt.settings, self._values, self._rendered.given)

    def render(self, attempt: Attempt, record: Record) -> Render:
        """Render the chart of an attempt. Raises HelmFailed."""
        chart, renderer = self.chart(attempt, record), self._rendered.pinning(attempt.settings)
        if self._second_pass:
            text = nondeterminism.template(self._second_pass, hook=bool(renderer.dry_run))
            chart = chart.with_files({nondeterminism.TEMPLATE: text})
        return renderer.render(chart, self.arguments(attempt))

    # -- randomness --------------------------------------------------------------------------------------------------

    def _random_sources(self) -> set[str]:
        paths = nondeterminism.may_be_random(self._templates)
        if not paths or self._rendered.renderer.post_renderer:
            return set()
        return {source for source in self._documents if source and not paths.isdisjoint(self._paths(source))}

    def drops_second_pass(self, why: str) -> bool:
        """Whether the second pass made the render fail. If so, it is omitted from now on."""
        failed = bool(self._second_pass) and nondeterminism.TEMPLATE.removeprefix("templates/") in why
        if failed:
            self._second_pass = set()
        return failed

    def may_be_noise(self, found: Comparison) -> bool:
        """Whether another plain render may explain a difference: not every one shows a digest, and either none was made yet, or the
        templates make something random, of which two samples can be equal by chance."""
        digests = [digest.partition(":")[2][:12] for digest in self._wanted.values()]
        most = MOST_NOISE_RENDERS if self._second_pass else 1
        enough = self._noise_renders >= most
        return not enough and not all(any(d in str(each.after) for d in digests) for each in found.collateral)

    def learn_noise(self) -> Mapping[Leaf, Any]:
        """The leaves that differ in another plain render."""
        self._noise_renders += 1
        self.noise = {**self.noise, **noise(self._rendered.plain, self._rendered.renderer.render(self._rendered.chart))}
        return self.noise

    # -- post-renderers ----------------------------------------------------------------------------------------------

    def explained(self, attempt: Attempt, found: Comparison) -> Comparison:
        """The comparison; a post-renderer that removes digests is noted."""
        renderer = self._rendered.renderer
        failing = [key for key in found.failing if key in attempt.by_template]
        if failing and renderer.post_renderer:
            images = {use.key: use.image for use in self._before_post_renderer(attempt).images()}
            for key in failing:
                origin = self._origins[key]
                if is_pin(origin, images.get(origin.key, ""), self._wanted[key]):
                    does = "changes" if split(found.images.get(key, ""))[2] else "removes"
                    self.explanations[key] = Problem(
                        f"the post-renderer ({' '.join(renderer.post_renderer)}) {does} its digest: "
                        f"it prints {found.images.get(key)!r}",
                        "refused",
                        "have the post-renderer keep digests as they are, or leave it out",
                    )
        return found

    def _before_post_renderer(self, attempt: Attempt) -> Render:
        empty = Record("", "", ())
        renderer = self._rendered.pinning(attempt.settings)
        return renderer.render(self.chart(attempt, empty), self.arguments(attempt), post_render=False)

    # -- the chart's files -------------------------------------------------------------------------------------------

    def _paths(self, source: str) -> list[str]:
        """The template or CRD file of a source, and copies of it; none if a template only printed the `# Source:` line."""
        try:
            found = self._base.source_to_paths(source) if source else []
        except Refused:
            return []
        return [path for path in found if path in self._templates or path in self._crds]

    def _scan(self, source: str) -> TemplateScan:
        """The scan of the templates of the chart that `source` belongs to."""
        path = next(iter(self._paths(source)), "")
        return self._scan_folder(path[: path.rfind("templates/")] if path else "")

    def _scan_folder(self, folder: str) -> TemplateScan:
        if folder not in self._scans:
            own = [text for name, text in self._templates.items() if name.startswith(f"{folder}templates/")]
            library = [
                text
                for name, text in self._templates.items()
                if name.startswith(f"{folder}charts/") and name.rpartition("/")[2].startswith("_")
            ]
            self._scans[folder] = TemplateScan(own, library)
        return self._scans[folder]


def _origins(rendered: Rendered, uses: Sequence[ImageUse]) -> dict[Key, ImageUse]:
    """For each use, the use that its template printed. A post-renderer may have moved, renamed and rewritten it."""
    if not rendered.renderer.post_renderer:
        return {use.key: use for use in uses}
    printed = rendered.origin.images()
    found: dict[Key, ImageUse] = {}
    taken: set[Key] = set()
    for use in uses:
        likely = max(printed, key=lambda one: _likeness(use, one, one.key in taken), default=None)
        if likely is not None and _likeness(use, likely, False)[0]:
            found[use.key] = likely
            taken.add(likely.key)
    return found


def _likeness(use: ImageUse, printed: ImageUse, is_taken: bool) -> tuple[bool, ...]:
    """How similar an image use is to one that a template printed, the strongest sign first."""
    parts = [image.partition("@")[0].split("/") for image in (use.image, printed.image)]
    same_name = parts[0][-1].partition(":")[0] == parts[1][-1].partition(":")[0]
    same_place = (use.kind, use.path) == (printed.kind, printed.path)
    named = bool(use.name) and (printed.name in use.name or use.name in printed.name)
    return (
        use.kind == printed.kind and same_name,
        use.image == printed.image,
        not is_taken,
        parts[0][-1] == parts[1][-1],
        same_name,
        use.source == printed.source,
        same_place,
        named,
        parts[0][1:] == parts[1][1:],
    )


def _undo(settings: Iterable[Setting], rendered: Rendered) -> tuple[Undo, ...]:
    """What stood at each path that is set, so that these values can be reused later without the digests."""
    values, kept = rendered.origin.values or {}, rendered.kept
    entries = []
    for path in sorted({setting.path for setting in settings}, key=lambda p: [str(part) for part in p]):
        depth = next(
            (i for i in range(len(path)) if not isinstance(get(kept, path[: i + 1]), (dict, list))), len(path) - 1
        )
        supplied = get(kept, path) is not None
        entries.append(Undo(path, lookup(values, path), supplied, min(depth, len(path) - 1)))
    return tuple(entries)


def _list_path(setting: Setting) -> ValuePath:
    """The path of the outermost list that a setting goes into; () if none."""
    return setting.path[: next((i for i, part in enumerate(setting.path) if isinstance(part, int)), 0)]
