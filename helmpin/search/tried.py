"""What a search has tried and rejected for each use, so that the next search skips it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from helmpin.chart.setargs import Setting, ValuePath
from helmpin.image.uses import UseKey
from helmpin.search.value_index import inside


class Tried:
    """What a search has tried and rejected for each use. Mutable."""

    def __init__(self) -> None:
        self._paths: dict[UseKey, set[ValuePath]] = defaultdict(set)
        """The values that pin a use but cannot be set: they change something else, feed another image, or are refused."""
        self._settings: dict[UseKey, set[Setting]] = defaultdict(set)
        """The settings that do not pin a use."""
        self._spilling: dict[UseKey, set[ValuePath]] = defaultdict(set)
        self._left: set[tuple[str, ...]] = set()
        """The charts of which nothing can be set."""

    def add(self, settings: Mapping[UseKey, Iterable[Setting]], failing: Collection[UseKey] = ()) -> None:
        """Add what was set for each use. failing: the uses that it did not pin."""
        for key, some in settings.items():
            if key in failing:
                self._settings[key].update(some)
            else:
                self._paths[key].update(setting.path for setting in some)

    def add_spilling(self, key: UseKey, path: ValuePath) -> None:
        """Add a value that was seen elsewhere as a whole, with the digest of a use: it will be seen there whatever else is set."""
        self._spilling[key].add(path)

    def add_chart(self, scope: tuple[str, ...]) -> None:
        """Add a chart that prints all its values, or a hash of them: whatever is set for it shows elsewhere."""
        self._left.add(scope)

    def spills(self, key: UseKey, path: ValuePath) -> bool:
        """Whether a value has been seen elsewhere as a whole, or would be seen there whatever it is."""
        return path in self._spilling[key] or any(inside(path, scope) for scope in self._left)

    def allows(self, key: UseKey, setting: Setting) -> bool:
        """Whether a setting may still pin a use and change nothing else."""
        return setting.path not in self._paths[key] and setting not in self._settings[key]
