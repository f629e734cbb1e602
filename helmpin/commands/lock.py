"""helm pin lock: the digest of every image of a chart, in a file that --lock takes them from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from helmpin import lifeline, output, structured
from helmpin.arguments import with_switch
from helmpin.errors import OperationFailed, RegistryUnavailable, UsageError, VerificationFailed
from helmpin.files import cannot_read, check_is_file, reason
from helmpin.image.reference import Reference
from helmpin.lock import Lock
from helmpin.lock.edit import LockChange, changes, edit, matches
from helmpin.lock.parse import parse_lock
from helmpin.named_tuple import NamedTuple
from helmpin.plan.plan import Plan
from helmpin.plan.prepare import prepare
from helmpin.registry import RegistryError, Resolved, resolve
from helmpin.request import Request, refuse_dry_run, release_and_chart
from helmpin.save import alone, is_stream, save


def run(request: Request) -> int:
    """Write the lock file, or with --check compare it."""
    name, check, globs = (request.options[option] for option in ("file", "check", "update"))
    _check(request)
    text = _read(name, needed=check)
    old = _parsed(text, name)
    if not check:
        lifeline.nothing_yet(f"{name} was not written")
    renewed = {ref for ref in old.digests if check or any(matches(glob, ref) for glob in globs)}
    answers = resolve(renewed, request.settings.registry) if check else {}
    tagless = _not_found(answers)  # the lock still gives them
    renewed -= tagless
    kept = {ref: digest for ref, digest in old.digests.items() if ref not in renewed}
    wanted, jobs, needless = _resolve(request, old._replace(digests=kept, answers=_same_for_the_plan(answers, request)))
    _check_globs(globs, {*old.digests, *wanted})
    if request.options["keep"]:
        wanted |= _resolve_others(renewed - wanted.keys(), request, answers)
    todo = changes(old.digests, wanted, keep=request.options["keep"])
    new = edit(text, todo, name)
    if not check and new != text:
        _write(name, text, new)
    doubtful = [change for change in todo if change.kind == "moved" or change.reference in tagless]
    why = _Why(_gone(doubtful, request) if check else frozenset(), tagless, jobs)
    _show(request.options["output"], name, todo, why, needless)
    if check:
        _refuse_differences(name, todo, why, keep=request.options["keep"])
    output.inform(f"{name} is {'current' if check or new == text else 'written'}: {_count(todo, why)}.")
    return 0


def _check(request: Request) -> None:
    """Raise UsageError for flags that do not belong together, and for a file that cannot be a lock."""
    name, check = request.options["file"], request.options["check"]
    if check and request.options["update"]:
        raise UsageError("--check changes nothing, so it takes no --update", hint="leave one out")
    check_is_file("a lock", name)
    if check:
        return
    refuse_dry_run(request, "--check compares and writes nothing; helm pin plan shows the digests")
    if is_stream(name):
        raise UsageError(
            "a lock that is written cannot be a device or a pipe", where=name, hint="name a file; --check writes none"
        )


def _parsed(text: str, name: str) -> Lock:
    """The lock in a text; an empty one for no text. Raises UsageError for one that is not helm-pin's own."""
    lock = parse_lock(text, name) if text.strip() else Lock({}, "lock", name)
    if not lock.is_ours:
        raise UsageError(
            f"{name} is an Images.lock, which helm-pin only reads",
            hint="name another file with --file, or write this one with helm dt images lock",
        )
    return lock


def _refuse_differences(name: str, todo: Sequence[LockChange], why: _Why, *, keep: bool) -> None:
    """Raise VerificationFailed if the file would change, or has tags that are gone."""
    if all(change.kind == "unchanged" and change.reference not in why.tagless for change in todo):
        return
    tags = "; push a tag that is gone again, or have the chart use another one" if why.tagless else ""
    raise VerificationFailed(
        f"{name} does not match the chart and the registry: {_count(todo, why)}",
        why="\n".join(
            f"{change.reference}: {job} exists already and keeps the digest that it ran with; no --update changes that"
            for change in todo
            if change.kind != "unchanged" and (job := why.jobs.get(change.reference))
        ),
        hint=f"helm pin lock with the same arguments {'adds' if keep else 'adds and removes'} images; "
        f"--update GLOB takes the current digests{tags}",
    )


class _Why(NamedTuple):
    """Why an image has the digest that it has."""

    gone: Collection[Reference]
    """The registry does not have the one in the file."""
    tagless: Collection[Reference]
    """The registry does not have the tag any more."""
    jobs: Mapping[Reference, str]
    """The Job that keeps it."""

    def text(self, change: LockChange) -> str:
        """What becomes of a line, for people."""
        text = change.kind
        if change.kind == "moved":
            lacks = ", which the registry lacks" if change.reference in self.gone else ""
            text = f"moved from {output.short(change.was)}{lacks}"
        if change.reference in self.tagless:
            also = ", and the registry lacks the digest" if change.reference in self.gone else ""
            text = f"{'' if change.kind == 'unchanged' else f'{change.kind}, '}tag gone{also}"
        return f"{text}{self.job(change)}"

    def short(self, change: LockChange) -> str:
        """The same in a word or two."""
        return "tag gone" if change.reference in self.tagless and change.kind == "unchanged" else change.kind

    def job(self, change: LockChange) -> str:
        """The Job that keeps the digest of a line, after what becomes of it."""
        job = self.jobs.get(change.reference)
        return f", as {job} ran it" if job else ""


def _resolve(request: Request, lock: Lock) -> tuple[dict[Reference, str], dict[Reference, str], str]:
    """The digest of each image for the lock; the Jobs that keep some of them; and why the chart has none for it, for people. Raises
    HelmPinError if the lock cannot be complete."""
    release, chart = release_and_chart(request)
    command = "upgrade" if release and not request.options["no-cluster"] else "template"
    if command == "upgrade":
        request = request._replace(flags=with_switch(request.flags, "--install"))
    with prepare(request, release, chart, command=command, needs_cluster=None, lock=lock) as prepared:
        plan = prepared.plan
        plan.refuse(mutable=request.settings.refuses_mutable)
        from helmpin.plan.notes import say_without_image

        say_without_image(plan)
        return *_digests(plan), _needless(plan)


def _same_for_the_plan(
    answers: Mapping[Reference, Resolved | RegistryError], request: Request
) -> Mapping[Reference, Resolved | RegistryError]:
    """The answers that need not be asked for again when the chart's images are resolved: with --pull-secrets, it has more
    credentials than this command had."""
    is_final = not request.settings.pull_secrets
    return {ref: answer for ref, answer in answers.items() if is_final or not isinstance(answer, RegistryError)}


def _resolve_others(
    references: Collection[Reference], request: Request, known: Mapping[Reference, Resolved | RegistryError]
) -> dict[Reference, str]:
    """The digest of each image in the file that this chart does not use. known: answers that registries have given already. Raises
    RegistryUnavailable."""
    asked = resolve([ref for ref in references if ref not in known], request.settings.registry)
    answers = {ref: known[ref] if ref in known else asked[ref] for ref in references}
    failed = {ref: answer for ref, answer in answers.items() if isinstance(answer, RegistryError)}
    if failed:
        images, check = output.count(len(failed), "image"), request.options["check"]
        raise RegistryUnavailable(
            f"{images} that this chart does not use cannot be resolved",
            why="\n".join(f"{reference}: {answer}" for reference, answer in failed.items()),
            hint="remove the line if no release needs the image, or "
            + ("leave out --keep" if check else "name others with --update"),
        )
    return {ref: answer.digest for ref, answer in answers.items() if not isinstance(answer, RegistryError)}


def _gone(some: Iterable[LockChange], request: Request) -> frozenset[Reference]:
    """The images whose digest in the file the registry no longer has, so that nobody can pull them."""
    asked = {change.reference: change.reference._replace(digest=change.was) for change in some}
    answers = resolve(asked.values(), request.settings.registry)
    return _not_found({reference: answers[digest] for reference, digest in asked.items()})


def _not_found(answers: Mapping[Reference, Resolved | RegistryError]) -> frozenset[Reference]:
    """The references that the registry does not have."""
    errors = {ref: answer for ref, answer in answers.items() if isinstance(answer, RegistryError)}
    return frozenset(ref for ref, error in errors.items() if error.kind == "not-found")


def _digests(plan: Plan) -> tuple[dict[Reference, str], dict[Reference, str]]:
    """What the plan pins, by reference, and the Jobs that keep it. What the chart itself pins needs no lock. The digest that a Job
    keeps counts only if nothing else uses the image."""
    images = [i for i in plan.images if i.via in ("values", "template") and i.reference]
    chosen = {i.reference: i for i in sorted(images, key=lambda i: not i.kept_for) if i.reference}
    return {ref: i.digest for ref, i in chosen.items()}, {ref: i.kept_for for ref, i in chosen.items() if i.kept_for}


def _needless(plan: Plan) -> str:
    """Why the chart has no image to lock, for people."""
    pinned = sum(image.via == "chart" for image in plan.images)
    exempt = sum(image.is_let_through for image in plan.images)
    counted = [f"{output.count(pinned, 'image')} pinned by the chart itself"] if pinned else []
    counted += [f"{output.count(exempt, 'image')} exempt (allow-unpinned)"] if exempt else []
    return ", ".join(counted) or "the chart uses no images"


def _check_globs(globs: Sequence[str], references: set[Reference]) -> None:
    for glob in globs:
        if references and not any(matches(glob, reference) for reference in references):
            raise UsageError(
                f"no image matches --update {glob}",
                why="the images are " + ", ".join(sorted(map(str, references))),
                hint="'*' is all of them",
            )


def _read(name: str, *, needed: bool) -> str:
    try:
        return Path(name).read_bytes().decode()
    except FileNotFoundError as error:
        if not needed:
            return ""
        hint = f"helm pin lock with the same arguments, without --check, writes {name}"
        raise UsageError("cannot read the lock file", where=name, why=reason(error), hint=hint) from None
    except (OSError, UnicodeDecodeError) as error:
        raise cannot_read("the lock file", name, error) from None


def _write(name: str, before: str, text: str) -> None:
    """Write the lock, unless it has changed since it was read: two commands at once would lose lines."""
    with alone(name):
        if _read(name, needed=False) != before:
            what = "the lock file was changed by somebody else while this ran"
            raise OperationFailed(what, where=name, hint="run it again")
        lifeline.if_stopped("")
        save("the lock file", {name: text})


def _show(form: str, name: str, todo: Sequence[LockChange], why: _Why, needless: str) -> None:
    if form == "table":
        rows = [(str(c.reference), output.short(c.now or c.was), why.text(c)) for c in todo]
        output.write(
            output.table(("IMAGE", "DIGEST", "CHANGE"), rows) if rows else f"There is nothing to lock: {needless}."
        )
    elif form == "markdown":
        output.write(_markdown(name, todo, why))
    else:
        structured.show({"file": name, "images": [_as_data(change, why) for change in todo]}, form)


def _as_data(change: LockChange, why: _Why) -> Mapping[str, Any]:
    return {
        "reference": str(change.reference),
        "digest": change.now or None,
        "was": change.was or None,
        "change": change.kind,
        "gone": change.reference in why.gone,
        "tagGone": change.reference in why.tagless,
        "keptFor": why.jobs.get(change.reference),
    }


def _markdown(name: str, todo: Sequence[LockChange], why: _Why) -> str:
    """What changes, as the body of a pull request."""
    moving = [change for change in todo if change.kind != "unchanged" or change.reference in why.tagless]
    rows = [f"| `{c.reference}` | {why.short(c)}{why.job(c)} | {_code(c.was)} | {_code(c.now)} |" for c in moving]
    table = ["", "| Image | Change | Old | New |", "| --- | --- | --- | --- |", *rows] if rows else []
    return "\n".join([f"**{name}**: {_count(todo, why)}", *table])


def _code(digest: str) -> str:
    return f"`{digest}`" if digest else ""


def _count(todo: Sequence[LockChange], why: _Why) -> str:
    counts = Counter(change.kind for change in todo)
    parts = [f"{counts[kind]} {kind}" for kind in ("added", "removed", "moved", "unchanged") if counts[kind]]
    if tagless := sum(change.reference in why.tagless for change in todo):
        parts.append(f"{output.count(tagless, 'tag')} gone")
    return ", ".join(parts) or "no images"
