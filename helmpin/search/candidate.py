"""One way to pin an image by values, and the image that it is for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from helmpin.chart.setargs import Setting, ValuePath, lookup
from helmpin.chart.value_keys import last_key
from helmpin.image.reference import pinned_form, split
from helmpin.named_tuple import NamedTuple
from helmpin.search.value_index import ValueIndex, is_template
from helmpin.shapes import text_of
from helmpin.templates.scan import TemplateScan

_NO_WORD = re.compile(r"[^a-z0-9]+")
Misfit = tuple[int, bool]
"""How little values are about an image: how many characters of its name they do not hold (`redis` may be a part of `team/redis`),
and how many a registry beside them has that is not the image's; and whether the tag there is another one."""


class Candidate(NamedTuple):
    """One way to pin an image: the values to set, and the name of the strategy."""

    strategy: str
    settings: tuple[Setting, ...]
    by_tag_only: bool = False
    """Whether only a tag matches, with no image name beside it. It yields to a candidate that has one."""
    is_spare: bool = False
    """Whether it may pin uses that the other candidates do not: only the text suggests an image there, not the key; or several
    values are read beside the image's name."""
    misfit: Misfit = (0, False)
    """How little the values there are about the image."""


def is_of_component(candidate: Candidate, names: Collection[str]) -> bool:
    """Whether a map that a candidate sets something in is called as one of these names ends, of containers and objects: `webServer`
    for `my-web-server`."""
    ends = [_NO_WORD.sub("", name.lower()) for name in names]
    maps = {part for setting in candidate.settings for part in setting.path[:-1] if isinstance(part, str)}
    return any(
        part and end.endswith(part) for part in (_NO_WORD.sub("", each.lower()) for each in maps) for end in ends
    )


class Sought(NamedTuple):
    """An image to find values for."""

    image: str
    digest: str
    scope: tuple[str, ...]
    """The path of subchart names whose template uses it; () for the chart itself."""
    values: ValueIndex
    scan: TemplateScan
    """Of the templates of that chart."""
    uses: int = 1
    """How many containers of that chart run it."""

    @property
    def tag(self) -> str:
        """Its tag; '' if it has none."""
        return split(self.image)[1] or ""

    @property
    def words(self) -> set[str]:
        """Those of its name, in lower case."""
        return set(re.split(r"[^a-z0-9]+", split(self.image)[0].lower()))

    def sees(self, path: ValuePath) -> bool:
        """Whether a path is among the values of its chart."""
        return path[: len(self.scope)] == self.scope

    def chain(self, path: ValuePath) -> ValuePath:
        """A path as the templates of its chart read it."""
        return path[len(self.scope) :]

    def tagged(self, path: ValuePath, tag: str = "", *, by_tag_only: bool = False, is_spare: bool = False) -> Candidate:
        """The candidate to put the tag (or another form of it) with the digest at a path."""
        setting = Setting(path, f"{tag or self.tag or 'latest'}@{self.digest}")
        return Candidate("tag@digest", (setting,), by_tag_only, is_spare)

    def digests(self, path: ValuePath) -> Iterator[Candidate]:
        """The candidates to put the digest alone at a path."""
        for form in self.scan.forms(last_key(path), self.digest):
            yield Candidate("digest key", (Setting(path, form),))

    def whole(self, path: ValuePath, *, is_spare: bool = False) -> Candidate:
        """The candidate to pin the whole reference that stands at a path, or to put it there."""
        text = text_of(lookup(self.values.tree, path))
        held = text.strip() or self.image
        # what a template prints has the tag, wherever in it that is
        pinned = f"{held}@{self.digest}" if self.tag and is_template(held) else pinned_form(held, self.digest)
        if "\n" in held:  # lines, of which the last one must end: what is printed after it would move up
            pinned = text.replace(held, pinned)
        return Candidate("reference", (Setting(path, pinned),), is_spare=is_spare)


def forms(tag: str) -> list[str]:
    """The forms of a tag that a value may need where it is empty: a template may write the `v` of a version before it."""
    return [tag, tag[1:]] if re.match(r"v\d", tag) else [tag]
