"""What a search works on: what is known about each use of an image before it, and what to try."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from helmpin.chart.setargs import Setting
from helmpin.image.uses import ImageUse, UseKey
from helmpin.named_tuple import NamedTuple
from helmpin.search.value_index import scope_of


class Facts(NamedTuple):
    """What is known about one image use before the search."""

    use: ImageUse
    origin: ImageUse
    """The use as its template prints it, which a post-renderer may have changed."""
    digest: str
    """The digest to pin it to."""
    is_literal: bool
    """Whether the template holds the image literally, so that no value can change it."""
    in_template: Callable[[], bool]
    """Finds out whether the template can pin it: whether its place in the output is known."""
    is_in_values: bool = False
    """Whether a value may give the image even so: the literal may be in a branch that is not taken."""

    @property
    def scope(self) -> tuple[str, ...]:
        """The names of the subcharts down to that of its template."""
        return scope_of(self.origin.source)

    @property
    def may_be_set(self) -> bool:
        """Whether a value may reach it."""
        return self.is_in_values or not self.is_literal

    @property
    def names(self) -> set[str]:
        """The names of its container and object, in lower case."""
        return {name.lower() for name in (self.origin.container, self.origin.name) if name}


NO_RENDER_LEFT = "other values: no render was left to try them"
"""Why what may pin a use was not tried, for people."""


class Attempt(NamedTuple):
    """What to try: the values to set, and the uses that their templates pin."""

    settings: tuple[Setting, ...]
    by_template: frozenset[UseKey]
    strategies: Mapping[UseKey, tuple[str, tuple[Setting, ...]]]
    """For each use pinned by values: the strategies' names and the settings."""
    failed: Mapping[UseKey, str]
    """The uses that are left out, and why they cannot be pinned."""
    notes: Mapping[UseKey, tuple[str, ...]]
    """For each use, what was tried before and why it was rejected."""
    nulled: Mapping[UseKey, str] = MappingProxyType({})
    """For each use whose value the user has set to null: which, for people."""

    def with_values(self, pins: Mapping[UseKey, tuple[str, tuple[Setting, ...]]]) -> Attempt:
        """The same with values in place of template pins: for each use the strategies' names and the settings."""
        added = (setting for _, settings in pins.values() for setting in settings)
        return self._replace(
            settings=tuple(dict.fromkeys([*self.settings, *added])),
            by_template=self.by_template - pins.keys(),
            strategies={**self.strategies, **pins},
        )


NO_PINS = Attempt(settings=(), by_template=frozenset(), strategies={}, failed={}, notes={})
"""The attempt that pins nothing."""
