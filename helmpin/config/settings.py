"""The settings of a whole run, as data."""

from __future__ import annotations

from helmpin.gate import Gate
from helmpin.named_tuple import NamedTuple
from helmpin.registry.types import RegistrySettings


class Exemption(NamedTuple):
    """Images that may stay without a digest, for a reason and until a day."""

    image: str
    """A glob."""
    reason: str
    until: str
    """The last day (UTC), as YYYY-MM-DD."""
    where: str
    """The file, and which entry of it."""

    @property
    def shown(self) -> str:
        """For people."""
        return f"{self.image} (until {self.until}: {' '.join(self.reason.split())})"

    def is_over(self, today: str = "") -> bool:
        """Whether its last day has passed. today: YYYY-MM-DD, '' for today."""
        return (today or _today()) > self.until


class ImageRule(NamedTuple):
    """What applies to the images of some registries or repositories. Only the first rule that matches an image counts."""

    match: str
    """A glob for a registry, or for registry/repository."""
    mutable: str
    """`pin` or `refuse`; '' for the general setting."""
    mutable_tags: tuple[str, ...]
    """Globs of tags that are mutable here too."""
    fixed_tags: tuple[str, ...]
    """Globs of tags that are not mutable here."""
    where: str
    """The file, and which entry of it."""
    never_fixed: tuple[str, ...] = ()
    """Globs of tags that are mutable although they are among fixed_tags: a flag or a variable says so."""


class Settings(NamedTuple):
    """The settings of a whole run."""

    mutable: str
    """`pin` or `refuse`."""
    mutable_tags: tuple[str, ...]
    allow_unpinned: tuple[str, ...]
    """Globs, including those of the exemptions that are not over."""
    also: tuple[str, ...]
    pull_secrets: bool
    registry: RegistrySettings
    lock: str = ""
    """Where digests come from before the registry is asked: a file, or release:…; '' for nowhere."""
    locked: bool = False
    """Whether all digests must come from there."""
    notes: tuple[str, ...] = ()
    """To be reported, one line each: what the settings file makes less strict, exemptions that have ended, misspelt variables."""
    gate: Gate = Gate()
    """The commands that must succeed for each image."""
    platforms: tuple[str, ...] = ()
    """The platforms that every image must have: os/architecture[/variant], or `nodes` for those of the cluster's nodes."""
    platforms_from: str = "--platform"
    """Where these are set: the flag, the variable, or the file and its key."""
    exemptions: tuple[Exemption, ...] = ()
    """All exemptions, including those that are over."""
    rules: tuple[ImageRule, ...] = ()
    allowed_registries: tuple[str, ...] = ()
    """Globs of registries and repositories; none for all."""
    allowed_registries_from: str = ""
    allow_unpinned_from: str = "--allow-unpinned"
    """The flag, the variable, or the file and its key."""
    file: str = ""
    """The settings file; '' if there is none."""

    @property
    def refuses_mutable(self) -> bool:
        """Whether a mutable tag is an error."""
        return self.mutable == "refuse"


def _today() -> str:
    from datetime import datetime, timezone

    return datetime.now(timezone.utc).date().isoformat()
