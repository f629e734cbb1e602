"""What a settings file says about certain images: rules, exemptions, and which of them make helm-pin less strict."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from helmpin.config.file import load
from helmpin.config.settings import Exemption, ImageRule
from helmpin.config.sources import RULES, Sources
from helmpin.errors import UsageError

DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
RULE_KEYS = frozenset({"match", "mutable", "mutable-tag", "fixed-tag"})


def allowed_unpinned(sources: Sources) -> tuple[tuple[str, ...], tuple[Exemption, ...]]:
    """The globs of allow-unpinned, and its entries with a reason and an end. Raises UsageError."""
    value, where = sources("allow-unpinned")
    if not isinstance(value, list) or not any(isinstance(item, dict) for item in value):
        return sources.texts("allow-unpinned"), ()
    globs = tuple(item for item in value if not isinstance(item, dict))
    if not all(isinstance(item, str) for item in globs):
        raise UsageError(f"expected a list of strings, got {value!r}", where=where)
    items = [(f"{where}, entry {n}", item) for n, item in enumerate(value, 1) if isinstance(item, dict)]
    return globs, tuple(_exemption(item, at) for at, item in items)


def _exemption(item: Mapping[str, Any], where: str) -> Exemption:
    names = ("image", "reason", "until")
    if set(item) != set(names) or not all(isinstance(item[name], str) and item[name].strip() for name in names):
        hint = "for example {image: 'team/app:*', reason: built on each node, until: 2027-01-31}; quote `y` and plain numbers"
        raise UsageError("an exemption needs an image, a reason and an end, each a string", where=where, hint=hint)
    from datetime import date

    try:
        if not re.fullmatch(DAY, item["until"]):  # ends are compared as texts, and Python reads other forms too
            raise ValueError
        date.fromisoformat(item["until"])
    except ValueError:
        raise UsageError(f"not a day: {item['until']!r}", where=where, hint="write it as YYYY-MM-DD") from None
    return Exemption(item["image"], item["reason"], item["until"], where)


def rules_of(sources: Sources) -> tuple[ImageRule, ...]:
    """The rules of the file, as far as no flag or variable beats them. Raises UsageError."""
    value, where = sources(RULES)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise UsageError(f"expected a list of rules, got {value!r}", where=where)
    rules = [_rule(item, f"{where}, entry {n}") for n, item in enumerate(value, 1)]
    if sources.beats_file("mutable"):
        rules = [rule._replace(mutable="") for rule in rules]
    if sources.beats_file("mutable-tag"):
        rules = [rule._replace(never_fixed=sources.texts("mutable-tag")) for rule in rules]
    return tuple(rules)


def _rule(item: Any, where: str) -> ImageRule:
    if not isinstance(item, dict) or not isinstance(item.get("match"), str) or not item["match"]:
        hint = "for example {match: 'ghcr.io/team/*', mutable: refuse}"
        raise UsageError(
            "a rule needs the one registry or repository that it matches, as a string", where=where, hint=hint
        )
    if unknown := sorted(set(item) - RULE_KEYS):
        hint = f"valid keys: {', '.join(sorted(RULE_KEYS))}"
        raise UsageError(f"unknown key in a rule: {', '.join(unknown)}", where=where, hint=hint)
    if item.get("mutable", "pin") not in ("pin", "refuse"):
        raise UsageError(f"mutable must be pin or refuse, not {item['mutable']!r}", where=where)
    globs = {}
    for name in ("mutable-tag", "fixed-tag"):
        given = item.get(name, [])
        globs[name] = (given,) if isinstance(given, str) else given
        if not isinstance(globs[name], (list, tuple)) or not all(isinstance(each, str) for each in globs[name]):
            raise UsageError(f"expected a list of strings, got {given!r}", where=f"{where}, key {name}")
    return ImageRule(
        match=item["match"],
        mutable=item.get("mutable") or "",
        mutable_tags=tuple(globs["mutable-tag"]),
        fixed_tags=tuple(globs["fixed-tag"]),
        where=where,
    )


def ended(exemptions: Iterable[Exemption]) -> Iterator[str]:
    """A line for each exemption whose last day has passed."""
    for each in exemptions:
        if each.is_over():
            yield f"{each.where}: the exemption of {each.image} ended on {each.until} and no longer counts ({each.reason})"


def passed_over(sources: Sources, others: Iterable[Path]) -> Iterator[str]:
    """What settings files make stricter that would be read if the one that counts were not nearer to the chart, unless that one, a
    flag or the environment sets it too."""
    for other in others:
        try:
            loaded = load(other, named=True)
        except UsageError:  # it does not count
            continue
        lost = [
            name
            for name in ("mutable", "mutable-tag", "allowed-registry", "platform", RULES)
            if loaded.get(name) not in (None, "pin", [])
            and sources.file.get(name) in (None, "pin")
            and not sources.beats_file(name)
        ]
        if lost:
            yield f"{sources.path} is read, and not {other}, which sets {', '.join(lost)}"


def allowances(sources: Sources, allowed: Sequence[str]) -> Iterator[str]:
    """What the file makes less strict, unless a flag or the environment overrides it."""
    if allowed and "allow-unpinned" in sources.file and not sources.beats_file("allow-unpinned"):
        yield f"{sources.path} sets allow-unpinned: {', '.join(allowed)}"
    if sources.file.get("mutable") == "pin" and not sources.beats_file("mutable"):
        yield f"{sources.path} sets mutable: pin"
    for rule in rules_of(sources):
        shown = ["pin"] if rule.mutable == "pin" else []
        shown += [f"fixed {', '.join(rule.fixed_tags)}"] if rule.fixed_tags else []
        if shown:
            yield f"{rule.where}: for {rule.match}, {'; '.join(shown)}"
