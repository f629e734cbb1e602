"""The lock: which digest each image reference means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from helmpin.image.reference import Reference
from helmpin.named_tuple import NamedTuple

if TYPE_CHECKING:
    from helmpin.registry import RegistryError, Resolved

PIPED = "the lock"
"""The name of a lock that was read from a pipe, which has none of its own."""


class Lock(NamedTuple):
    """The digest that each reference must get."""

    digests: Mapping[Reference, str]
    kind: str
    """What the digests come from, as the record names it: `lock`, or `release`."""
    name: str
    """For people: the file as it was named, or the release and its revision."""
    platforms: Mapping[Reference, Mapping[str, str]] = MappingProxyType({})
    """For references of which only the digests of their platforms are known (Images.lock): those, by platform."""
    conflicts: Mapping[Reference, str] = MappingProxyType({})
    """References that cannot be taken from here, and why."""
    kept: Mapping[Reference, frozenset[str]] = MappingProxyType({})
    """Further digests of a reference: the Jobs of the release that it was read from keep those that they ran with."""
    media_types: Mapping[Reference, str] = MappingProxyType({})
    """By reference, as far as they are known."""
    only: bool = False
    """Whether every digest has to come from here (--locked)."""
    hint: Callable[[], str] | None = None
    """Finds out how to add what is missing."""
    is_ours: bool = True
    """Whether it has helm-pin's own format, and can be written."""
    answers: Mapping[Reference, Resolved | RegistryError] = MappingProxyType({})
    """What registries have just said of references that it has no digest for, so that they are not asked again."""

    def knows(self, reference: Reference) -> bool:
        """Whether it has an entry for a reference, even an unusable one."""
        return reference in self.digests or reference in self.platforms or reference in self.conflicts

    def refusal(self, reference: Reference) -> NotLocked | None:
        """Why the digest of a reference cannot be taken from here, where nothing else may be asked; None when it can."""
        bare = reference._replace(digest=None)
        if why := self.conflicts.get(bare):
            return NotLocked(f"{self.name} has {why}", "write a lock file with the digest that you mean, and use that")
        if not self.only:
            return None
        if reference.digest:
            own = self.digests.get(bare, reference.digest)
            why = f"the chart pins it to {reference.digest}, {self.name} has {own}"
            return NotLocked(why, self._how_to_add()) if own != reference.digest else None
        if several := self.platforms.get(reference):
            why = f"{self.name} has a digest for each platform ({', '.join(several)}) and none for the whole image"
            return NotLocked(why, "leave out --locked: then the registry is asked for the image of these platforms")
        return None if reference in self.digests else NotLocked(f"not in {self.name}", self._how_to_add())

    def instead_of(self, reference: Reference) -> str:
        """What it has of the repository of an image whose digest has replaced its tag, as it does in many templates; '' if it has
        that digest, or may have it."""
        known = {each: digest for each, digest in self.digests.items() if each.name == reference.name}
        unknown = any(each.name == reference.name for each in (*self.platforms, *self.conflicts))
        if reference.tag or unknown or reference.digest in known.values():
            return ""
        return ", ".join(f"{each}@{digest}" for each, digest in sorted(known.items(), key=lambda item: str(item[0])))

    def _how_to_add(self) -> str:
        return self.hint() if self.hint else ""

    @property
    def recorded(self) -> str:
        """How the record names the lock: without a path of this machine."""
        return self.name.rpartition("/")[2] if self.kind == "lock" else self.name


class NotLocked(NamedTuple):
    """Why a lock gives no digest for a reference that has to come from it."""

    why: str
    hint: str
