"""The lock: which digest each image reference means. Reading, writing and comparing lock files; no I/O.

A lock file is edited as text, line by line, so that its comments and every line that does not change stay as they are. Images.lock
of Helm's distribution tooling is read, never written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from helmpin.errors import HelmFailed, UsageError
from helmpin.image.reference import InvalidReference, Reference, valid_digest

DEFAULT_FILE = "helm-pin.lock.yaml"
VERSION = 1
HEADER = "# The digest of each image, written by `helm pin lock`. One line is one image; edit the digest to move it.\n"
_LINE = re.compile(
    r"(?P<before>\s*-\s+image:\s+)(?P<quote>[\"']?)(?P<image>[^\s\"']+)(?P=quote)(?P<after>\s*(?:\s#.*)?)"
)
_REVISION = re.compile(r"[1-9][0-9]{0,9}")
_START = re.compile(r"images:(?P<empty>[ \t]*\[[ \t]*\])?(?P<after>[ \t]*(?:#.*)?)")


class Lock(NamedTuple):
    """The digest that each reference must get."""

    digests: Mapping[Reference, str]
    origin: str
    """How the record names the origin of these digests: `lock`, or `release`."""
    name: str
    """For people: the file as it was named, or the release and its revision."""
    platforms: Mapping[Reference, Mapping[str, str]] = {}
    """For references of which only the digests of their platforms are known (Images.lock): those, by platform."""
    conflicts: Mapping[Reference, str] = {}
    """References that cannot be taken from here, and why."""
    media_types: Mapping[Reference, str] = {}
    """By reference, as far as they are known."""
    only: bool = False
    """Whether every digest has to come from here (--locked)."""
    hint: Callable[[], str] | None = None
    """Finds out how to add what is missing."""
    is_ours: bool = True
    """Whether it has helm-pin's own format, and can be written."""

    def knows(self, reference: Reference) -> bool:
        """Whether it says anything about a reference."""
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

    def _how_to_add(self) -> str:
        return self.hint() if self.hint else ""

    @property
    def recorded(self) -> str:
        """How the record names the lock: without a path of this machine."""
        return self.name.rpartition("/")[2] if self.origin == "lock" else self.name


class NotLocked(NamedTuple):
    """Why a lock gives no digest for a reference that has to come from it."""

    why: str
    hint: str


class LockChange(NamedTuple):
    """What becomes of one line of a lock file."""

    reference: Reference
    was: str
    """The digest in the file; '' when there is none."""
    now: str
    """The digest that it gets; '' when the line goes."""

    @property
    def kind(self) -> str:
        """added, removed, moved or unchanged."""
        if self.was == self.now:
            return "unchanged"
        return "moved" if self.was and self.now else "added" if self.now else "removed"


class _Invalid(Exception):
    """What is wrong with a file."""


def parse_lock(text: str, name: str) -> Lock:
    """Read a lock file, or an Images.lock. Raises UsageError, with the line, for anything else."""
    from helmpin import kube_yaml

    try:
        content = kube_yaml.read_only(text, what="", where=name)
        if not isinstance(content, dict):
            raise _Invalid("it is empty" if content is None else "it is not a YAML mapping")
        if content.get("kind") == "ImagesLock":
            return _images_lock(content, name)
        return Lock(_digests(content, text), "lock", name)
    except HelmFailed as error:
        why = f"it is not the YAML of a lock: {error.why}"
    except _Invalid as error:
        why = str(error)
    raise UsageError(
        f"{name} is not a valid lock file",
        why=why,
        hint="correct it, or delete it and write it anew with helm pin lock",
    )


def changes(lock: Mapping[Reference, str], wanted: Mapping[Reference, str], *, keep: bool = False) -> list[LockChange]:
    """What becomes of each line of a lock when it gets the wanted digests, sorted. keep: leave references that are not wanted."""
    kept = {reference: digest for reference, digest in lock.items() if keep and reference not in wanted}
    now = {**kept, **wanted}
    return [LockChange(each, lock.get(each, ""), now.get(each, "")) for each in sorted({*lock, *now}, key=str)]


def edit(text: str, edits: Iterable[LockChange], name: str) -> str:
    """The text of a lock file with these changes, its lines sorted. Comments stay: those directly above a line, and at its end,
    belong to it. An empty text becomes a new file. Raises UsageError if the images are not on one line each."""
    if not text.strip():
        text = f"{HEADER}version: {VERSION}\nimages: []\n"
    head, entries, tail = _split(text, name)
    newline = "\r\n" if "\r\n" in text else "\n"
    before = next((entry.before.rstrip("\"'") for entry in entries.values()), "- image: ")
    for change in edits:
        quote = '"' if str(change.reference).startswith("[") else ""  # an IPv6 address, which YAML reads as a list
        entry = entries.get(
            change.reference,
            _Entry(above=[], before=before + quote, image="", after=quote, newline=newline),
        )
        if change.now:
            same = change.was == change.now and change.reference in entries
            image = entry.image if same else str(change.reference._replace(digest=change.now))
            entries[change.reference] = entry._replace(image=image)
        elif change.reference in entries:
            tail = [*_apart(entries.pop(change.reference).above), *tail]
    start = _START.match(head[-1])
    assert start is not None
    head[-1] = (
        f"images:{'' if entries else start['empty'] or ' []'}{head[-1][start.end('empty') if start['empty'] else 7 :]}"
    )
    lines = [line for reference in sorted(entries, key=str) for line in entries[reference].lines()]
    return "".join([*head, *lines, *tail])


def matches(glob: str, reference: Reference) -> bool:
    """Whether a glob matches a reference, with or without its tag; on Docker Hub also in the usual short form."""
    from fnmatch import fnmatchcase

    names = [reference.name]
    for implied in ("docker.io/", "docker.io/library/"):
        names += [reference.name.removeprefix(implied)] if reference.name.startswith(implied) else []
    return any(fnmatchcase(text, glob) for name in names for text in (name, f"{name}:{reference.tag}"))


def release_name(text: str) -> tuple[str, str, str, int | None]:
    """(context, namespace, release, revision) of `release:[CONTEXT/]NAMESPACE/NAME[@REVISION]`. The context may contain slashes, as
    some clouds' contexts do. Raises UsageError."""
    *context, namespace, last = text.removeprefix("release:").rsplit("/", 2) if text.count("/") else ("", "")
    name, at, revision = last.partition("@")
    is_wrong = bool(at) and not _REVISION.fullmatch(revision)
    if not (namespace and name) or "" in context or is_wrong or name.startswith("-"):  # helm takes that for a flag
        raise UsageError(
            "a lock from a release is release:[CONTEXT/]NAMESPACE/NAME[@REVISION]",
            where=f"--lock {text}",
            why=f"{_shown(revision)} is not the number of a revision" if is_wrong else "",
            hint="for example release:staging/web, or release:staging-cluster/web/web@12",
        )
    return (context[0] if context else ""), namespace, name, int(revision) if at else None


# -- reading --------------------------------------------------------------------------------------------------------------


def _digests(content: Mapping[str, Any], text: str) -> dict[Reference, str]:
    version = content.get("version")
    if version != VERSION or isinstance(version, bool):
        raise _Invalid(
            f"its version is {version!r}; this helm-pin reads version {VERSION}"
            if "version" in content
            else f"it has no version: the first line must be `version: {VERSION}`"
        )
    if unknown := sorted(set(content) - {"version", "images"}):
        raise _Invalid(f"unknown key: {unknown[0]}")
    items, lines = _items(content), _item_lines(text)
    found: dict[Reference, str] = {}
    where: dict[Reference, int] = {}
    for item, line in zip(items, lines, strict=True):
        try:
            reference, digest = _pin(item)
        except _Invalid as error:
            raise _Invalid(f"line {line}: {error}") from None
        if reference in found:
            raise _Invalid(
                f"line {line}: {reference} is on line {where[reference]} already; one reference has one digest"
            )
        found[reference], where[reference] = digest, line
    return found


def _items(content: Mapping[str, Any]) -> list[Any]:
    items = content.get("images")
    if not isinstance(items, list):
        raise _Invalid("`images` is not a list" if "images" in content else "it has no `images`")
    return items


def _pin(item: Any) -> tuple[Reference, str]:
    """A line's reference, and its digest."""
    if not isinstance(item, dict) or not isinstance(item.get("image"), str):
        raise _Invalid("an image is written as `- image: name:tag@sha256:…`")
    if unknown := sorted(set(item) - {"image"}):
        raise _Invalid(f"unknown key: {unknown[0]}")
    try:
        reference = Reference.parse(item["image"])
    except InvalidReference as error:
        raise _Invalid(f"{_shown(item['image'])} is not an image reference: {error}") from None
    if not reference.digest:
        raise _Invalid(f"{_shown(item['image'])} has no digest")
    if not reference.tag:
        raise _Invalid(f"{_shown(item['image'])} has no tag; the tag is what the digest is looked up by")
    return reference._replace(digest=None), reference.digest


def _images_lock(content: Mapping[str, Any], name: str) -> Lock:
    """Images.lock, apiVersion v0: the digests of an image's platforms, or of the image itself where it has only one."""
    if content.get("apiVersion") != "v0":
        raise _Invalid(f"it is an ImagesLock with apiVersion {content.get('apiVersion')!r}; this helm-pin reads v0")
    found: dict[Reference, dict[str, str]] = {}
    for item in _items(content):
        image = item.get("image") if isinstance(item, dict) else None
        if not isinstance(image, str):
            raise _Invalid("an entry of `images` has no `image`")
        try:
            reference = Reference.parse(image)
        except InvalidReference as error:
            raise _Invalid(f"{_shown(image)} is not an image reference: {error}") from None
        digests = _platforms(item, image)
        if reference.digest:  # pinned by the chart itself
            continue
        if found.setdefault(reference, digests) != digests:
            raise _Invalid(f"{image} is listed twice, with different digests")
    alone = {reference: next(iter(each.values())) for reference, each in found.items() if len(each) == 1}
    several = {reference: each for reference, each in found.items() if len(each) > 1}

    def hint() -> str:
        return "write it anew (helm dt images lock), or use a lock file of helm pin lock"

    return Lock(alone, "lock", name, several, hint=hint, is_ours=False)


def _platforms(item: Mapping[str, Any], image: str) -> dict[str, str]:
    digests = item.get("digests")
    if not isinstance(digests, list) or not digests:
        raise _Invalid(f"{image} has no digests")
    found: dict[str, str] = {}
    for each in digests:
        digest, platform = (each.get("digest"), each.get("arch")) if isinstance(each, dict) else (None, None)
        if not isinstance(digest, str) or not valid_digest(digest):
            raise _Invalid(f"{image}: {_shown(digest)} is not a digest")
        # variants of one architecture (arm/v6, arm/v7) have the same name in this format
        found[f"{platform}" if f"{platform}" not in found else f"{platform} {len(found)}"] = digest
    return found


def _item_lines(text: str) -> list[int]:
    """The line of each image, counted from 1."""
    from helmpin import yaml_position

    root: Any = yaml_position.compose(text)
    images = next((value for key, value in reversed(root.value) if key.value == "images"), None)
    if images is None:
        raise _Invalid("unknown key: <<")
    return [item.start_mark.line + 1 for item in images.value]


def _shown(value: Any) -> str:
    text = str(value)
    return ascii(text if len(text) <= 200 else text[:197] + "...")


# -- writing --------------------------------------------------------------------------------------------------------------


class _Entry(NamedTuple):
    above: list[str]
    """Comments and blank lines above the line."""
    before: str
    """Up to the reference, with its quote."""
    image: str
    """As written; '' in a new line."""
    after: str
    """From the quote to the end of the line."""
    newline: str

    def lines(self) -> list[str]:
        return [*self.above, f"{self.before}{self.image}{self.after}{self.newline}"]


def _split(text: str, name: str) -> tuple[list[str], dict[Reference, _Entry], list[str]]:
    """The lines up to `images:`, each image with the comments above it, and what is left below."""
    lines = re.findall(r"[^\n]*\n|[^\n]+", text if text.endswith("\n") else f"{text}\n")
    start = next((i for i, line in enumerate(lines) if _START.fullmatch(line.rstrip("\r\n"))), None)
    entries: dict[Reference, _Entry] = {}
    above: list[str] = []
    rest = [] if start is None else lines[start + 1 :]
    for line in rest:
        body = line.rstrip("\r\n")
        match = _LINE.fullmatch(body)
        if match and (reference := _written(match["image"])):
            opened = match["before"] + match["quote"]
            after = match["quote"] + match["after"]
            entries[reference] = _Entry(
                above=above, before=opened, image=match["image"], after=after, newline=line[len(body) :]
            )
            above = []
        else:
            above.append(line)
    head = lines[: (start or 0) + 1]
    if start is None or not all(_is_comment(line) for line in above) or not _reads_alike(text, entries, name):
        raise UsageError(
            f"{name} cannot be edited without losing something",
            why="its images are not each on a line of their own, below `images:` as its last key",
            hint="write each image as `- image: name:tag@sha256:…` on a line of its own",
        )
    return head, entries, above


def _written(image: str) -> Reference | None:
    """The reference of a line; None if it is not one, such as the `>-` of a block scalar."""
    try:
        return Reference.parse(image)._replace(digest=None)
    except InvalidReference:
        return None


def _reads_alike(text: str, entries: Mapping[Reference, _Entry], name: str) -> bool:
    """Whether the lines that were found are all that YAML reads in the file."""
    found = {reference: Reference.parse(entry.image).digest for reference, entry in entries.items()}
    return found == dict(parse_lock(text, name).digests)


def _apart(above: list[str]) -> list[str]:
    """The comments above a line that a blank line separates from it."""
    last = max((i for i, line in enumerate(above) if not line.strip()), default=-1)
    return above[: last + 1] if any(line.strip() for line in above[: last + 1]) else []


def _is_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")
