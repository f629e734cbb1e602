"""helm pin audit: drift over many releases, and between environments."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from helmpin import env, output, parallel, structured
from helmpin.audit.deliver import deliver
from helmpin.audit.environments import side_by_side
from helmpin.audit.findings import DRIFT, KINDS, MIXED, Audit
from helmpin.audit.gather import Snapshot, gather
from helmpin.audit.judge import judge, without_records
from helmpin.audit.report import as_data, page, prometheus, verdict
from helmpin.errors import HelmFailed, UsageError
from helmpin.files import check_is_file
from helmpin.global_flags import take
from helmpin.image.listing import image_lines
from helmpin.kubectl import Kubectl
from helmpin.lifeline import command_line_of_parent
from helmpin.request import Request, refuse_registry_flags
from helmpin.verify.registries import Registries

DIFFERENT = "different"
"""--fail-on: a release is not the same in all the contexts."""
SAME = {True: "same", False: "differs", None: "cannot tell"}
CLUSTERS_AT_ONCE = 4
COLOURS = {"ok": "32", DRIFT: "31"}


def run(request: Request) -> int:
    """Print the audit. Returns 4 if something that --fail-on names was found, else 1 if something could not be read, else 5 if a
    registry did not answer."""
    fail_on = _fail_on(request)
    _check(request)
    registries = Registries(request.settings.registry) if request.options["registry"] else None
    output.progress("reading the releases and what runs …")
    try:
        snapshots = _gathered(request)
    finally:
        output.progress("")
    judged = judge(snapshots, registries, describe=request.options["describe"])
    audits = [
        audit if snapshot.releases_read else audit._replace(releases=without_records(snapshot))
        for snapshot, audit in zip(snapshots, judged, strict=True)
    ]
    text = _text(audits, request.options["output"])
    if request.options["to"]:
        deliver(f"{text}\n", request.options["to"])
    elif text:
        print(text)
    unanswered = _say_what_is_missing(audits)
    if fail_on & _found(audits):
        return 4
    if "none" in fail_on:
        return 0
    if any(audit.unread for audit in audits):
        _say_incomplete(audits, snapshots, everywhere=request.options["all-namespaces"])
        return 1
    return 5 if unanswered else 0


def _check(request: Request) -> None:
    """Raise UsageError for flags that do not belong together."""
    check_is_file("a report", request.options["to"] or "")
    if not request.options["registry"]:
        if request.options["describe"]:
            raise UsageError("--describe requires --registry", hint="add --registry, or leave it out")
        refuse_registry_flags(request, "without --registry")
    if request.options["describe"] and (form := request.options["output"]) in ("table", "prometheus", "images"):
        raise UsageError(f"--describe has no effect with -o {form}", hint="leave it out, or print -o json or html")


def _text(audits: Sequence[Audit], form: str) -> str:
    """The report in one of its forms."""
    forms: dict[str, Callable[[], str]] = {
        "table": lambda: _table(audits),
        "prometheus": lambda: prometheus(audits),
        "html": lambda: page(audits),
        "json": lambda: output.as_json(as_data(audits)),
        "yaml": lambda: structured.as_yaml(as_data(audits)),
        "images": lambda: "\n".join(image_lines(i for a in audits for r in a.releases for i in r.digests)),
    }
    return forms[form]()


def _say_what_is_missing(audits: Sequence[Audit]) -> bool:
    """Report what could not be read, and what registries did not answer. Returns whether one did not."""
    for audit in audits:
        for line in audit.unread:
            output.say(f"Not read{f' in {audit.context}' if audit.context else ''}: {line}")
    unanswered = dict.fromkeys(each for audit in audits for each in audit.unanswered)
    for registry in dict.fromkeys(registry for registry, _ in unanswered):
        reasons = "; ".join(why for each, why in unanswered if each == registry)
        output.say(f"{registry} did not say: {reasons}; not all of its digests and tags are known.")
    return bool(unanswered)


def _say_incomplete(audits: Sequence[Audit], snapshots: Sequence[Snapshot], *, everywhere: bool) -> None:
    """Report where something could not be read, and what to do about it."""
    unread = {audit.context: audit.unread for audit in audits if audit.unread}
    places = ", ".join(filter(None, unread))
    why = "see what is not read above"
    if any(snapshot.unseen or not snapshot.releases_read for snapshot in snapshots):
        from helmpin.cluster_advice import advice

        messages = " ".join(line for lines in unread.values() for line in lines)
        context = next(iter(unread)) if len(unread) == 1 else ""
        why = advice(messages, None if everywhere else env.given_namespace(), context=context)
    output.say(f"The audit is not complete{f' in {places}' if places else ''}: {why}.")


def _fail_on(request: Request) -> set[str]:
    """What makes the exit status 4. Raises UsageError for what is unknown, or could not be found with the other flags."""
    fail_on = {kind for given in request.options["fail-on"] for kind in given.split(",")} or {DRIFT}
    known = (*KINDS, DIFFERENT, "none")
    if unknown := sorted(fail_on - set(known)):
        raise UsageError(f"--fail-on does not know {unknown[0]!r}", hint=f"one of {', '.join(known)}")
    if "moved" in fail_on and not request.options["registry"]:
        raise UsageError("--fail-on moved requires --registry", hint="add --registry, or leave moved out")
    if DIFFERENT in fail_on and len(set(request.options["context"])) < 2:
        raise UsageError(
            f"--fail-on {DIFFERENT} requires two contexts", hint="add --context, once for each, or leave it out"
        )
    return fail_on


def _gathered(request: Request) -> list[Snapshot]:
    everywhere = request.options["all-namespaces"]
    contexts = list(dict.fromkeys(request.options["context"]))
    if contexts and "HELM_KUBECONTEXT" in take(command_line_of_parent())[1]:
        raise UsageError("--kube-context has no effect with --context", hint="leave one out")
    own = bool(contexts) and not everywhere and not _namespace_given(request)

    def read(context: str) -> Snapshot:
        return gather(request.helm, context, everywhere=everywhere, own_namespace=own)

    if len(contexts) < 2:
        return [read(context) for context in contexts or [""]]
    return list(parallel.each(read, contexts, CLUSTERS_AT_ONCE))


def _namespace_given(request: Request) -> bool:
    """Whether the user named a namespace: helm always exports one, by default that of the current context. If that one was named,
    only helm's command line shows it."""
    if "HELM_NAMESPACE" in take(command_line_of_parent())[1]:
        return True
    try:
        return env.given_namespace() != Kubectl(request.helm).own_namespace()
    except HelmFailed:  # no current context
        return env.namespace() != "default"


def _found(audits: Sequence[Audit]) -> set[str]:
    kinds = {kind for audit in audits for release in audit.releases for kind in release.kinds}
    kinds |= {MIXED for audit in audits if audit.mixed}
    return kinds | {DIFFERENT for row in side_by_side(list(audits)) if row.same is False}


def _table(audits: Sequence[Audit]) -> str:
    several = len(audits) > 1
    asked = any(r.moved is not None for audit in audits for r in audit.releases)
    rows = []
    for audit in audits:
        for r in audit.releases:
            row = (
                r.namespace,
                r.name,
                str(r.revision or "?"),
                r.chart,
                f"{r.pinned}/{len(r.digests)}",
                r.set_id or "-",
            )
            moved = () if not asked else ("-" if r.moved is None else str(len(r.moved)),)
            rows.append((*([audit.context] if several else []), *row, *moved, verdict(r)))
    headers = ("NAMESPACE", "RELEASE", "REVISION", "CHART", "PINNED", "SET", *(("MOVED",) if asked else ()), "VERDICT")
    nothing = "No release could be read." if any(audit.unread for audit in audits) else "No releases."
    lines = [output.table(("CONTEXT", *headers) if several else headers, rows) if rows else nothing]
    for audit in audits:
        for r in audit.releases:
            if r.findings:
                where = f"{audit.context}  " if several else ""
                colour = COLOURS.get(r.kinds[0], "33")
                lines += ["", output.colour(f"{where}{r.namespace}/{r.name}", colour)]
                width = max(len(finding.kind) for finding in r.findings)
                lines += [output.printable(f"  {finding.kind:<{width}} {finding.text}") for finding in r.findings]
    return "\n".join([*lines, *_comparison(audits)])


def _comparison(audits: Sequence[Audit]) -> list[str]:
    rows = side_by_side(list(audits))
    if not rows:
        return []
    headers = ("RELEASE", "CHART", *(audit.context for audit in audits), "")
    sets = [[(side.set_id or "no record") if side else "-" for side in row.sides] for row in rows]
    cells = [(row.name, row.chart, *s, SAME[row.same]) for row, s in zip(rows, sets, strict=True)]
    lines = ["", output.table(headers, cells)]
    for row in rows:
        if row.same is False and None not in row.sides:
            lines += [
                output.printable(f"  {row.name}: {image}: {' | '.join(map(_short, d))}")
                for image, d in row.differing.items()
            ]
    return lines


def _short(digest: str | None) -> str:
    return "not used" if digest is None else output.short(digest) or "no digest"
