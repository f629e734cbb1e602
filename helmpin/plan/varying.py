"""Which templates of a chart may print something else in each render, although random functions give fixed results."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from functools import cached_property

from helmpin.chart.stage import Chart
from helmpin.plan.rendered import Rendered
from helmpin.render import nondeterminism
from helmpin.render.needs import evaluates_text, texts
from helmpin.render.repeatable import own_files

_EVALUATES_FILES = re.compile(r"\btpl\b[^}]*\.Files|\.Files[^}]*\|\s*tpl\b")


class Varying:
    """What may vary, as far as the text of templates and values shows. Each answer is found when it is first needed: mostly, both
    renders are the same."""

    def __init__(
        self,
        rendered: Rendered,
        base: Chart,
        compared: Chart,
        paths: Callable[[str], Collection[str]],
        unfixed: Collection[str] = (),
    ) -> None:
        """base, compared: the charts that attempts are made from, as Composer has them. paths: gives the template files that a
        source may be. unfixed: those that are known to make something random in spite of fixed results."""
        self._rendered, self._base, self._compared, self._paths = rendered, base, compared, paths
        self._known = frozenset(unfixed)

    @cached_property
    def unfixed(self) -> frozenset[str]:
        """The sources that may make something random, or list a map in any order, in spite of fixed results."""
        return self._sources_of(self._unfixed_paths)

    @cached_property
    def unordered(self) -> frozenset[str]:
        """The sources that may list a map in any order when the chart is deployed."""
        files = self._base.template_files()
        return self._sources_of(nondeterminism.may_be_in_any_order(files, tpl=self._evaluates_random_text))

    def when_deployed(self) -> bool:
        """Whether a template may print something else when the chart is deployed."""
        return self._compared is not self._base or bool(self._unfixed_paths)

    def _sources_of(self, paths: Collection[str]) -> frozenset[str]:
        """The sources that these template files may be; none after a post-renderer, which may have moved what they print."""
        if not paths or self._rendered.renderer.post_renderer:
            return frozenset()
        among = frozenset(paths)
        sources = dict.fromkeys(document.source for document in self._rendered.origin.documents)
        return frozenset(s for s in sources if s and not among.isdisjoint(self._paths(s)))

    @cached_property
    def _unfixed_paths(self) -> frozenset[str]:
        """The template files that may do so."""
        if self._rendered.is_fixed and not self._evaluates_random_text:
            return self._known
        files = own_files(self._compared.template_files())
        return frozenset(nondeterminism.may_be_random(files, tpl=self._evaluates_random_text))

    @cached_property
    def _evaluates_random_text(self) -> bool:
        """Whether `tpl` may evaluate text that makes something random, or lists a map in any order."""
        return evaluates_text(self._base.template_files()) and any(
            nondeterminism.is_random(text) for text in self._evaluated() if "{{" in text
        )

    def _evaluated(self) -> Iterator[str]:
        """The texts that `tpl` may evaluate: values, and the files that templates read."""
        yield from texts(self._rendered.origin.values or {})
        if any(_EVALUATES_FILES.search(text) for text in self._base.template_files().values() if ".Files" in text):
            yield from self._base.other_files()
