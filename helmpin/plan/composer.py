"""Composing and rendering the chart of each attempt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any

from helmpin.asked import ANNOTATION
from helmpin.chart.setargs import ValuePath, arguments, dotted_key, lookup
from helmpin.chart.stage import Chart
from helmpin.errors import HelmFailed, HelmStopped, Refused
from helmpin.image.reference import pinned_form, split
from helmpin.image.uses import ImageUse, UseKey
from helmpin.plan.jobs import JobFollower
from helmpin.plan.places import Places
from helmpin.plan.rendered import Rendered
from helmpin.plan.varying import Varying
from helmpin.release.record import Record
from helmpin.render.needs import texts
from helmpin.render.output import Render
from helmpin.render.repeatable import PREFIX
from helmpin.search.attempt import Attempt, Facts
from helmpin.search.candidates import candidates
from helmpin.search.declared import with_declared
from helmpin.search.search import Search
from helmpin.search.tried import Tried
from helmpin.search.value_index import ValueIndex, scope_of
from helmpin.templates.hints import TemplateHints, chart_folder
from helmpin.templates.pins import PRINT_FILE, TemplatePin, pinned_template, pinned_text, printer
from helmpin.templates.scan import PRINTED_IMAGE, TemplateScan, chains, has_word, is_written
from helmpin.templates.spelled_out import spelled_out
from helmpin.timeline import step

if TYPE_CHECKING:
    from helmpin.plan.head_start import HeadStart
    from helmpin.search.one_for_all import OneForAll
    from helmpin.search.value_probe import ValueProbe
    from helmpin.search.values_only import ValuesSearch


class Composer:
    """Composes and renders the chart of each attempt. Mutable: it counts its renders."""

    def __init__(
        self,
        rendered: Rendered,
        base: Chart,
        compared: Chart,
        uses: Sequence[ImageUse],
        wanted: Mapping[UseKey, str],
        origins: Mapping[UseKey, ImageUse],
        fixed: Mapping[UseKey, Sequence[JobFollower]],
        hints: TemplateHints,
        head_start: HeadStart | None = None,
    ) -> None:
        """base: the chart that the attempts change. compared: the same with fixed results in place of random ones, from which their
        renders are made. fixed: uses that the template must pin, because they keep a digest while other uses of the same values get
        a new one, each with the other places to pin with it. hints: for the templates of both charts. head_start: the first
        render, if it may have been begun."""
        self._fixed = fixed
        self._rendered, self._wanted, self.origins = rendered, wanted, origins
        self._base, self._compared = base, compared
        self.uses = {use.key: use for use in uses if use.key in wanted}
        """Those to pin."""
        self._hints = hints
        self._templates = self._hints.files
        self._crds = frozenset(base.crd_paths())
        self._values = rendered.origin.values or {}
        self.varying = Varying(rendered, base, compared, self._paths, self._hints.unfixed)
        self._places = Places(rendered.origin.documents, origins, wanted, fixed, self.varying)
        self._head_start = head_start
        self.renders = 0
        """How many renders it has made."""

    def search(self) -> Search:
        """The search for values and templates that pin every wanted use."""
        return Search(
            self._facts,
            self._value_index(),
            self._scan,
            cache(self._reads_on_lines),
            cache(self._reads),
            cache(self._asks),
            cache(self._hashes_all_values),
            cache(self._prints_all_values),
        )

    def set_by(self, uses: Iterable[ImageUse]) -> dict[str, tuple[str, ...]]:
        """For each image whose digest is not known, by its uses: the value paths that appear to set it."""
        found: dict[str, tuple[str, ...]] = {}
        for use in {use.image: use for use in uses}.values():
            origin, values = self.origins.get(use.key, use), self._value_index()
            scope, scan = scope_of(origin.source), self._scan(origin.source)
            ranked = candidates(origin.image, f"sha256:{'0' * 64}", scope, values, scan)
            likely = [some for options in ranked if (some := [c for c in options if not c.by_tag_only])]
            held = [[c for c in some if lookup(values.tree, c.settings[0].path)] or some for some in likely]
            found[use.image] = tuple(sorted({dotted_key(some[0].settings[0].path) for some in held}))
        return found

    def probe(self, attempt: Attempt, tried: Tried) -> ValueProbe:
        """The probe for values that pin what only templates pin in an attempt. tried: what was tried and rejected."""
        from helmpin.search.probe_places import Probed
        from helmpin.search.value_probe import ValueProbe

        reads, alone = cache(self._reads), self._hints.printed_alone
        probed = []
        for fact in self._facts:
            if fact.use.key in attempt.by_template and fact.may_be_set:
                read, folder = reads(fact.origin.source), self._folder(fact.origin.source)
                keys, cuts = self._hints.keys(folder), self._hints.cut_digests(folder)
                probed.append(Probed(fact=fact, reads=read, alone=alone & read, keys=keys, cuts_digests=cuts))
        return ValueProbe(attempt, probed, self._value_index(), tried)

    def one_for_all(self, attempt: Attempt) -> OneForAll:
        """The search for a value that pins all uses of an image, where values and templates each pin some."""
        from helmpin.search.one_for_all import OneForAll

        return OneForAll(attempt, self._facts, self._value_index(), self._scan)

    def values_search(self, attempt: Attempt) -> ValuesSearch:
        """The search for values that pin what only templates pin in an attempt."""
        from helmpin.search.values_only import ValuesSearch

        facts = [fact for fact in self._facts if fact.use.key not in self._fixed]
        return ValuesSearch(attempt, facts, self._value_index(), self._scan)

    def _value_index(self) -> ValueIndex:
        return ValueIndex(self._declared, self._rendered.given, self._rendered.kept)

    @cached_property
    def _declared(self) -> Mapping[str, Any]:
        return with_declared(self._values, self._base)

    @cached_property
    def _facts(self) -> list[Facts]:
        """What is known about each use."""
        facts = []
        for key, use in self.uses.items():
            origin = self.origins.get(key)
            paths = self._paths(origin.source) if origin else []
            literal = bool(paths) and all(self._is_literal(origin, path) for path in paths)
            facts.append(
                Facts(
                    use=use,
                    origin=origin or use,
                    digest=self._wanted[key],
                    is_literal=literal or key in self._fixed,
                    in_template=partial(self._is_found, key, paths),
                    is_in_values=literal and key not in self._fixed and self._may_be_set(origin or use, paths),
                )
            )
        return facts

    def _is_found(self, key: UseKey, paths: Sequence[str]) -> bool:
        return bool(paths) and self._places.of(key) is not None

    def _may_be_set(self, origin: ImageUse, paths: Sequence[str]) -> bool:
        """Whether a value may give an image that its templates hold literally, too: one of these prints images, and a value holds
        one of that name."""
        printing = any(PRINTED_IMAGE.search(self._templates.get(path, "")) for path in paths)
        return printing and _last_part(origin.image) in self._names_in_values

    @cached_property
    def _names_in_values(self) -> set[str]:
        return set(map(_last_part, texts(self._values)))

    def _is_literal(self, origin: ImageUse | None, path: str) -> bool:
        return path in self._crds or (origin is not None and is_written(origin.image, self._templates[path]))

    @step("composing the chart")
    def chart(self, attempt: Attempt, record: Record, *, to_deploy: bool = False) -> Chart:
        """The chart of an attempt, for a render to compare. to_deploy: the chart to deploy instead. Helm renders it once more, and
        fails if a template that may vary prints an image then in another place."""
        base = self._base if to_deploy else self._compared
        templates = base.template_files()
        by_path: dict[str, list[TemplatePin]] = defaultdict(list)
        for key in attempt.by_template:
            for use, pin in self._places.to_pin(key):
                pin = pin._replace(may_become=self._forms_by_values(attempt, use))  # noqa: PLW2901
                for path in self._paths(pin.source):
                    by_path[path].append(pin)
        files: dict[str, str] = {}
        for path, pins in by_path.items():
            if path in templates:
                files[path] = pinned_template(path, templates[path], pins)
                files[PRINT_FILE] = printer(must_find=to_deploy and self.varying.when_deployed())
            else:
                files[path] = pinned_text(base.crd_files()[path], pins)
        return base.with_files(files).annotated(ANNOTATION, record.to_json())

    def _forms_by_values(self, attempt: Attempt, origin: ImageUse) -> tuple[str, ...]:
        """What values may turn this image into, where another use of it is pinned by values. The template pin must count these
        forms as the image. Forms that the plain render already has are left out."""
        name = split(origin.image)[0]
        digests = {
            self._wanted[key]
            for key in attempt.strategies
            if (other := self.origins.get(key)) and other.image == origin.image
        }
        forms = ((pinned_form(origin.image, digest), f"{name}@{digest}") for digest in sorted(digests))
        return tuple(form for pair in forms for form in pair if form not in self._rendered.origin.text)

    def arguments(self, attempt: Attempt) -> list[str]:
        """The --set arguments of an attempt."""
        return arguments(attempt.settings, self._values, self._rendered.given)

    def render(self, attempt: Attempt, record: Record) -> Render:
        """Render the chart of an attempt. Raises HelmFailed."""
        chart, renderer = self.chart(attempt, record), self._rendered.pinning(attempt.settings)
        arguments = self.arguments(attempt)
        begun = self._head_start.take(renderer, chart, arguments) if self._head_start and not self.renders else None
        self.renders += 1
        try:
            render = renderer.render(chart, arguments, begun=begun, meanwhile=self._read_ahead)
        except HelmStopped:
            raise
        except HelmFailed as error:
            if PREFIX in error.why:  # the chart itself fails in its own words
                self.renders += 1
                renderer.render(self.chart(attempt, record, to_deploy=True), arguments)
            raise
        return render

    def render_before_post_renderer(self, attempt: Attempt) -> Render:
        """What the post-renderer gets, with an empty record. Raises HelmFailed."""
        renderer = self._rendered.pinning(attempt.settings)
        self.renders += 1
        return renderer.render(self.chart(attempt, Record("", "", ())), self.arguments(attempt), post_render=False)

    def _read_ahead(self) -> None:
        """Parse what the report will need. Parsed documents stay cached, and most are the same in the pinned render."""
        with suppress(HelmFailed):  # a document is not valid YAML: the report says so
            self._rendered.plain.elsewhere()

    # -- the chart's files -------------------------------------------------------------------------------------------

    def _paths(self, source: str) -> list[str]:
        """The template or CRD files that a source may be; none if a template only printed the `# Source:` line."""
        try:
            found = self._base.source_to_paths(source) if source else []
        except Refused:
            return []
        return [path for path in found if path in self._templates or path in self._crds]

    def _scan(self, source: str) -> TemplateScan:
        """The scan of the templates of the chart that `source` belongs to."""
        return self._hints.scan(self._folder(source))

    def _reads_on_lines(self, source: str, word: str) -> set[ValuePath]:
        """The values that a template reads by their whole path, on the lines that have a word; on any line: ''."""
        spelled = (spelled_out(self._templates.get(path, "")) for path in self._paths(source))
        lines = (line for text in spelled for line in text.splitlines())
        return {chain for line in lines if has_word(line, word) for chain in chains(line)}

    def _asks(self, source: str) -> set[ValuePath]:
        """The values that a template reads by their whole path in a condition, itself or in the named templates that it uses."""
        return {chain for path in self._paths(source) for chain in self._hints.asks(path)}

    def _hashes_all_values(self, source: str, word: str) -> bool:
        """Whether a template prints a hash of all values on a line with a word."""
        return any(self._hints.hashes_all_values(path, word) for path in self._paths(source))

    def _prints_all_values(self, source: str) -> bool:
        """Whether a template prints all values as text."""
        return any(map(self._hints.prints_all_values, self._paths(source)))

    def _folder(self, source: str) -> str:
        """The folder of the chart of `source`."""
        return chart_folder(next(iter(self._paths(source)), ""))

    def _reads(self, source: str) -> set[ValuePath]:
        """The values that a template reads by their whole path, itself or in the named templates that it uses."""
        return {chain for path in self._paths(source) for chain in self._hints.reads(path)}


def _last_part(text: str) -> str:
    """What a text ends with if it is a reference: the last part of its repository."""
    return split(text)[0].rpartition("/")[2]
