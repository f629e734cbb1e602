"""The uses of one image that the same values may pin, and the candidates that are left for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from helmpin.chart.setargs import Setting, ValuePath, dotted_key
from helmpin.image.reference import split
from helmpin.image.uses import ImageUse
from helmpin.search.candidate import Candidate
from helmpin.search.value_index import inside


class Group:
    """Mutable. The uses of one image by the templates of one chart or subchart, and the candidates that are left for them."""

    def __init__(self, image: str, digest: str, scope: tuple[str, ...], ranked: list[list[Candidate]]) -> None:
        """scope: the names of the subcharts down to that of the templates. ranked: for each anchor in the values, its candidates,
        best first."""
        self.image, self.digest, self.scope = image, digest, scope
        self.ranked = ranked
        self.uses: list[ImageUse] = []
        self.proven = False
        """Whether a render showed that the current candidates pin every use."""
        self.changes = 0
        """How often its candidates have changed."""

    def current(self) -> list[Candidate]:
        """The best candidate that is left at each anchor."""
        return [options[0] for options in self.ranked]

    def settings(self) -> list[Setting]:
        """What the current candidates set."""
        return [setting for candidate in self.current() for setting in candidate.settings]

    def paths(self) -> set[ValuePath]:
        """The paths that the current candidates set."""
        return {setting.path for setting in self.settings()}

    def read_among(self, read: Collection[ValuePath]) -> set[ValuePath]:
        """Those of its paths that templates read, themselves or their map. read: what templates of its chart read."""
        return {path for path in self.paths() if self.is_read(path, read)}

    def is_read(self, path: ValuePath, read: Collection[ValuePath]) -> bool:
        """Whether a path, or the map that it is in, is among those that a template of its chart reads."""
        depth = len(self.scope)
        inner = path[depth:] if path[:depth] == self.scope else path
        return inner in read or inner[:-1] in read

    def spare(self) -> list[Candidate]:
        """The candidates for uses that the current ones do not pin, at other paths."""
        used = self.paths()
        return [c for options in self.ranked for c in options if c.is_spare and not used & {s.path for s in c.settings}]

    def advance(self, banned: set[Candidate]) -> None:
        """Drop the current candidates (or those in `banned`) for the next ones."""
        self._keep([options[1:] if not banned or options[0] in banned else options for options in self.ranked])

    def drop_anchors(self, some: Collection[Candidate]) -> None:
        """Drop all candidates at the anchors with these current ones if other anchors are left, or else those in the same maps if
        others are."""
        maps = {setting.path[:-1] for candidate in some for setting in candidate.settings} - {()}
        elsewhere = [
            [c for c in options if options[0] not in some or all(s.path[:-1] not in maps for s in c.settings)]
            for options in self.ranked
        ]
        left = [options for options in self.ranked if options[0] not in some] or list(filter(None, elsewhere))
        if some and left:
            self._keep(left)

    def fail(self, images: Iterable[str]) -> None:
        """Drop the current candidates, which rendered these images. If the digest appeared, try the next form; if it did not,
        skip every form at these paths. If it replaced a tag that must stay, or came out at another name, skip whatever uses one of
        them."""
        images, name = list(images), split(self.image)[0]
        appeared = any(self.digest.partition(":")[2] in image for image in images)
        if appeared and any(image.startswith(name) and image != f"{name}@{self.digest}" for image in images):
            self._keep([[*self._without_prefix(first, images), *others] for first, *others in self.ranked])
            return
        if appeared:
            self.leave_paths()
            return
        tried = [{setting.path for setting in candidate.settings} for candidate in self.current()]
        self._keep(
            [
                [c for c in options if {s.path for s in c.settings} != paths]
                for options, paths in zip(self.ranked, tried, strict=True)
            ]
        )

    def _without_prefix(self, candidate: Candidate, images: Iterable[str]) -> list[Candidate]:
        """A candidate without what the template writes before it, as the images show: `release-{{ .tag }}`. None if it has no such
        form."""
        *_, last = candidate.settings
        for image in images:
            before = image.removesuffix(last.value)
            if image != before and last.value.endswith(f"@{self.digest}") and self.image.startswith(before):
                value = f"{self.image.removeprefix(before)}@{self.digest}"
                if len(value) < len(last.value):
                    return [candidate._replace(settings=(*candidate.settings[:-1], last._replace(value=value)))]
        return []

    def leave_paths(self, some: Collection[ValuePath] = ()) -> None:
        """Drop every candidate that uses a path of the current ones, or some of them: they pin the image but have side effects."""
        used = self.paths()
        used = used.intersection(some) or used
        self._keep([[c for c in options if not used & {s.path for s in c.settings}] for options in self.ranked])

    def leave_map(self, above: ValuePath) -> None:
        """Drop every candidate that sets a path under another."""
        depth = len(above)
        self._keep(
            [[c for c in options if all(s.path[:depth] != above for s in c.settings)] for options in self.ranked]
        )

    def leave_seen(self, scope: tuple[str, ...]) -> None:
        """Drop every candidate that sets what the templates of a chart see."""
        self._keep(
            [[c for c in options if not any(inside(s.path, scope) for s in c.settings)] for options in self.ranked]
        )

    def restore(self, ranked: list[list[Candidate]]) -> None:
        """Try these candidates again."""
        self._keep(ranked)

    def _keep(self, ranked: list[list[Candidate]]) -> None:
        self.proven = False
        left = [options for options in ranked if options]
        self.changes += left != self.ranked
        self.ranked = left


def shown(some: Iterable[Candidate]) -> str:
    """The first of some candidates, for people."""
    each = sorted({f"{candidate.strategy} at {dotted_key(candidate.settings[0].path)}" for candidate in some})
    return "; ".join(each[:3])
