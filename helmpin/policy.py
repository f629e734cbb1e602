"""What the settings mean for one image: whether its tag is mutable, whether that is refused, whether its registry is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from helmpin.config.settings import ImageRule, Settings
from helmpin.image import mutable
from helmpin.image.hints import EMPTY
from helmpin.image.reference import Reference, split
from helmpin.named_tuple import NamedTuple


class Refusal(NamedTuple):
    """Why the settings refuse an image, and what to do."""

    text: str
    hint: str


def mutable_reason(image: str, settings: Settings) -> str | None:
    """Why an image's tag is mutable, for people; None if it is not."""
    _, tag, digest = split(image)
    rule = _rule(image, settings)
    if rule and tag and not digest and _any_matches(tag, rule.fixed_tags) and not _any_matches(tag, rule.never_fixed):
        return None
    globs = (*(rule.mutable_tags if rule else ()), *settings.mutable_tags)
    return mutable.reason(tag, digest, globs)


def is_fixed(settings: Settings, reference: Reference) -> bool:
    """Whether the settings take the tag of a reference for a fixed one."""
    return mutable_reason(str(reference), settings) is None


def is_allowed(image: str, globs: Iterable[str]) -> bool:
    """Whether --allow-unpinned allows an image without a digest: a glob matches it as written, or EMPTY an empty one."""
    return _any_matches(image or EMPTY, globs)


def left_out_tag(image: str, settings: Settings) -> str:
    """The exemption or glob that seems meant for an image but lacks its tag, and so does not match; '' if there is none."""
    name, _, digest = split(image)
    globs = [("the exemption of", each.image) for each in settings.exemptions]
    globs += [("allow-unpinned", glob) for glob in settings.allow_unpinned]
    for what, glob in globs:
        if not digest and is_allowed(name, [glob]) and not is_allowed(image, [glob]):
            return f"{what} {glob} matches no tag: write {glob}:*"
    return ""


def refuses_mutable(image: str, settings: Settings) -> bool:
    """Whether a mutable tag of this image is refused, not pinned."""
    rule = _rule(image, settings)
    return (rule.mutable if rule and rule.mutable else settings.mutable) == "refuse"


def refusal_by_rule(image: str, settings: Settings) -> Refusal | None:
    """Why a rule refuses an image although the setting for all would pin it."""
    rule = _rule(image, settings)
    if rule and rule.mutable == "refuse" and settings.mutable != "refuse":
        why = mutable_reason(image, settings)
        return Refusal(f"{why}, and {rule.where} refuses it", "use a full version or a digest") if why else None
    return None


def registry_refusal(image: str, settings: Settings) -> Refusal | None:
    """Why an image's registry is not allowed; None if it is, or if the text is no reference."""
    name = _name(image)
    allowed, where = settings.allowed_registries, settings.allowed_registries_from
    if not allowed or not name or any(_matches(name, glob) for glob in allowed):
        return None
    return Refusal(
        f"not from an allowed registry ({where}: {', '.join(allowed)})", "use an image of an allowed registry"
    )


def _rule(image: str, settings: Settings) -> ImageRule | None:
    """The first rule that matches; the others do not count."""
    if not settings.rules or not (name := _name(image)):
        return None
    return next((rule for rule in settings.rules if _matches(name, rule.match)), None)


def _name(image: str) -> str:
    """registry/repository; '' if the text is not a reference."""
    reference = Reference.read(image)
    return reference.name if reference else ""


def _matches(name: str, glob: str) -> bool:
    """Whether a glob matches a registry and all that is in it (`ghcr.io`), or a repository (`ghcr.io/team/*`)."""
    return fnmatchcase(name, glob) or fnmatchcase(name.partition("/")[0], glob)


def _any_matches(text: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs)
