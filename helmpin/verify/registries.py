"""Whether the registries still have the recorded digests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from helmpin.config.settings import Settings
from helmpin.errors import RegistryUnavailable, VerificationFailed
from helmpin.image.documents import read
from helmpin.image.reference import Reference
from helmpin.kubectl import Kubectl
from helmpin.named_tuple import NamedTuple
from helmpin.output import count
from helmpin.registry import RegistryError, RegistrySettings, Resolved, resolve
from helmpin.release import record_checks
from helmpin.release.record import Image, Record
from helmpin.release.revision import Revision
from helmpin.verify.check import FAILED, OK, UNKNOWN, Check

if TYPE_CHECKING:
    from helmpin.registry.keychain import Keychain


class Registries(NamedTuple):
    """How to ask registries."""

    settings: RegistrySettings
    keychain: Keychain | None = None
    """None for this machine's own credentials."""


def registries_for(settings: Settings, stored: Revision, kubectl: Kubectl) -> Registries:
    """How to ask the registries of a stored revision: with --pull-secrets, with the credentials of its pods.

    Raises HelmFailed.
    """
    if not settings.pull_secrets:
        return Registries(settings.registry)
    from helmpin.cluster import pull_secrets

    return Registries(
        settings.registry,
        pull_secrets.keychain(read(f"{stored.manifest}\n{stored.hooks}"), kubectl, settings.registry),
    )


class Missing(NamedTuple):
    """What the registries do not have, and what they did not answer: (reference with digest, why)."""

    gone: list[tuple[Reference, RegistryError]]
    silent: list[tuple[Reference, RegistryError]]


def registry_check(record: Record, stored: Revision, registries: Registries) -> Check:
    """registry_has() for the recorded images, at registries that the revision itself names. Raises HelmFailed if the manifest
    cannot be read."""
    return registry_has(_askable(record, stored), registries)


def registry_has(images: Iterable[Image], registries: Registries) -> Check:
    """Whether the registries still have every digest. A tag that has moved, or of which that is unknown, is reported, but is not a
    failure."""
    images = list(images)
    by_tag = {i.reference: Reference.parse(i.reference) for i in images if i.via != "chart"}
    pinned = [_pinned(image) for image in images]
    answers = resolve([*pinned, *by_tag.values()], *registries)
    missing = missing_of(pinned, answers)
    moved, unknown = [], []
    for image, reference in zip(images, pinned, strict=True):
        now = answers.get(by_tag[image.reference]) if image.reference in by_tag else None
        if isinstance(now, Resolved) and now.digest != image.digest:
            moved.append(f"{image.reference} has moved since: it points to {now.digest} now")
        elif isinstance(now, RegistryError) and isinstance(answers[reference], Resolved):
            if now.kind == "not-found":
                moved.append(f"{image.reference} is gone, but not its digest")
            else:
                unknown.append(f"whether {image.reference} has moved is unknown: {now}")
    gone = [f"{r.name}@{r.digest}: {e.reason}" for r, e in missing.gone]
    silent = tuple(f"{r.name}@{r.digest}: {e}" for r, e in missing.silent)
    tags = (*moved, *unknown)
    if gone:
        return Check(
            name="registry",
            verdict=FAILED,
            summary=f"{count(len(gone), 'digest')} gone",
            details=(*gone, *tags),
            unread=silent,
        )
    if silent:
        return Check(name="registry", verdict=UNKNOWN, summary="a registry did not say", details=tags, unread=silent)
    note = f"; {count(len(moved), 'tag')} moved since" if moved else ""
    note += f"; {count(len(unknown), 'tag')} unknown" if unknown else ""
    return Check("registry", OK, f"has {count(len(set(pinned)), 'digest')}{note}", tags)


def askable(record: Record, stored: Revision, images: Iterable[str] | None = None) -> list[Reference]:
    """The recorded images, by digest, at registries that the revision's own images name. A forged record must not send requests
    elsewhere. images: those of the revision, if they have been read. Raises HelmFailed if they cannot be."""
    return [_pinned(image) for image in _askable(record, stored, images)]


def _askable(record: Record, stored: Revision, images: Iterable[str] | None = None) -> list[Image]:
    images = (use.image for use in stored.uses()) if images is None else images
    named = record_checks.hosts(images, stored.manifest + stored.hooks)
    return [image for image in record.images if Reference.parse(image.reference).registry in named]


def _pinned(image: Image) -> Reference:
    return Reference.parse(image.reference).with_digest(image.digest)


def at_registry(pinned: Iterable[list[Reference]], registries: Registries) -> list[Missing]:
    """For each list of references with digests, what the registries do not have of it; all are requested at once."""
    pinned = list(pinned)
    answers = resolve([reference for references in pinned for reference in references], *registries)
    return [missing_of(references, answers) for references in pinned]


def missing_of(pinned: list[Reference], answers: Mapping[Reference, object]) -> Missing:
    """What the registries do not have of these references, by their answers."""
    failures = [(r, a) for r in dict.fromkeys(pinned) if isinstance(a := answers[r], RegistryError)]
    return Missing([f for f in failures if f[1].kind == "not-found"], [f for f in failures if f[1].kind != "not-found"])


def refuse_missing(missing: Missing, where: str, hint: str) -> None:
    """Raise VerificationFailed for digests that are gone, RegistryUnavailable for registries that could not answer."""
    if missing.gone:
        gone = list(
            dict.fromkeys(f"{r.name}@{r.digest}: {e.reason}" for r, e in missing.gone)
        )  # two tags may share one
        verb = "is" if len(gone) == 1 else "are"
        raise VerificationFailed(
            f"{count(len(gone), 'recorded digest')} {verb} gone from the registry",
            where=where,
            why="\n".join(gone),
            hint=hint,
        )
    if missing.silent:
        raise RegistryUnavailable(
            "the registry could not confirm the recorded digests",
            where=where,
            why="\n".join(dict.fromkeys(f"{r.name}@{r.digest}: {e}" for r, e in missing.silent)),
            hint="\n".join(
                dict.fromkeys(
                    [
                        *(e.hint for _, e in missing.silent if e.hint),
                        "or roll back without --verify, which asks no registry",
                    ]
                )
            ),
        )
