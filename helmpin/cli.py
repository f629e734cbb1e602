"""The command line: the table of commands, splitting arguments, and the one place where an error becomes a message.

A command's module is imported only when that command runs.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from helmpin import __version__, env, lifeline
from helmpin.errors import HelmPinError, OperationFailed, UsageError

if TYPE_CHECKING:
    from helmpin.arguments import Given
    from helmpin.config import Settings
    from helmpin.helm import Flag, Helm


class Option(NamedTuple):
    """One flag of helm-pin's own. `kind` is switch, value or list (repeatable); `setting`: the environment (HELM_PIN_…)
    and .helm-pin.yaml can set it too."""

    name: str
    kind: str
    help: str
    metavar: str = ""
    short: str = ""
    choices: tuple[str, ...] = ()
    default: str | None = None
    setting: bool = False
    in_file: bool = True
    """Whether .helm-pin.yaml may set it."""
    words: tuple[str, ...] = ()
    """What a shell offers for its value, where it may be something else too."""


class Command(NamedTuple):
    """One command: its words, its own flags, and the helm commands whose flags it passes on."""

    usage: str
    summary: str
    about: str
    helm: tuple[str, ...]
    options: tuple[Option, ...]
    arguments: tuple[int, int]
    """The fewest and the most positional arguments; -1 for no limit."""
    subcommands: tuple[str, ...] = ()
    """What the first positional argument may be; none for anything."""


class Request(NamedTuple):
    """What the user asked for."""

    command: str
    positionals: list[str]
    flags: list[Given]
    """helm's own flags, in their order."""
    options: Mapping[str, Any]
    """helm-pin's own flags by name without dashes: bool for a switch, str or None for a value, tuple for a list."""
    settings: Settings
    helm: Helm


PLATFORM_OPTION = Option(
    "--platform",
    "list",
    "refuse images that lack one of these: linux/amd64,linux/arm64, or nodes for those of the nodes that the pods may run on",
    "PLATFORM",
    setting=True,
)
REQUIRE_OPTIONS = (
    Option(
        "--require",
        "list",
        "a command that must agree (exit 0) to each image, which stands for {} in it: 'cosign verify --key k.pub {}' (repeatable; "
        "one a line in the environment)",
        "COMMAND",
        setting=True,
        in_file=False,
    ),
    Option(
        "--require-timeout",
        "value",
        "time limit of a required command for one image (default 1m)",
        "DURATION",
        setting=True,
        in_file=False,
    ),
)
PIN_OPTIONS = (
    Option(
        "--mutable",
        "value",
        "what to do with mutable tags: pin them, or refuse (exit 3)",
        "pin|refuse",
        choices=("pin", "refuse"),
        setting=True,
    ),
    Option(
        "--mutable-tag",
        "list",
        "a mutable tag, in addition to latest, stable, main, 1, 1.25 and the like (repeatable)",
        "GLOB",
        setting=True,
    ),
    Option(
        "--allow-unpinned", "list", "let images that match through without a digest (repeatable)", "GLOB", setting=True
    ),
    Option(
        "--allowed-registry",
        "list",
        "refuse images from registries and repositories that match none of these (repeatable)",
        "GLOB",
        setting=True,
    ),
    Option(
        "--also",
        "list",
        "also pin images found outside pod specs, at paths or with names that match (repeatable)",
        "PATTERN",
        setting=True,
    ),
    PLATFORM_OPTION,
    *REQUIRE_OPTIONS,
)
CONFIG_OPTION = Option(
    "--config", "value", "read settings from FILE, not from .helm-pin.yaml; `none` for no file", "FILE"
)
LOCK_OPTIONS = (
    Option(
        "--lock",
        "value",
        "take digests from this lock file, or from what a release runs: release:[CONTEXT/]NAMESPACE/NAME[@REVISION]",
        "FILE|release:…",
        setting=True,
        in_file=False,
    ),
    Option(
        "--locked",
        "switch",
        "refuse images that are not in the lock (default helm-pin.lock.yaml); ask no registry",
        setting=True,
        in_file=False,
    ),
)
REGISTRY_OPTIONS = (
    Option(
        "--registry-mirror",
        "list",
        "use this registry instead of HOST (`*` for all), by containerd's convention (repeatable)",
        "HOST=URL",
        setting=True,
    ),
    Option(
        "--registry-plain-http",
        "list",
        "use plain HTTP for this registry; loopback uses it by default (repeatable)",
        "HOST",
        setting=True,
    ),
    Option(
        "--registry-ca-file",
        "value",
        "trust the certificate authorities in this PEM file for registries",
        "FILE",
        setting=True,
    ),
    Option(
        "--registry-client-cert",
        "value",
        "the client certificate (PEM) for registries that require one",
        "FILE",
        setting=True,
    ),
    Option("--registry-client-key", "value", "its key (PEM, not encrypted)", "FILE", setting=True),
    Option(
        "--registry-username",
        "value",
        "log in to HOST as USER, with the password in $HELM_PIN_REGISTRY_PASSWORD",
        "HOST=USER",
        setting=True,
        in_file=False,
    ),
    Option("--registry-password-stdin", "switch", "read that password from standard input"),
    Option(
        "--registry-timeout",
        "value",
        "time limit for all registry requests of the command (default 30s)",
        "DURATION",
        setting=True,
    ),
    Option("--pull-secrets", "switch", "use the namespace's imagePullSecrets for registries too", setting=True),
    CONFIG_OPTION,
)
_FINDINGS = ("drift", "unpinned", "unmanaged", "pinned-elsewhere", "mixed", "moved", "unknown", "different", "none")
_ANY_NAMESPACE = tuple(option for option in REGISTRY_OPTIONS if option.name != "--pull-secrets")
_OUTPUT = Option(
    "--output", "value", "how to print: table, json or yaml", "FORMAT", "-o", ("table", "json", "yaml"), "table"
)
_OUTPUT_IMAGES = _OUTPUT._replace(
    help="how to print: table, json, yaml or images", choices=("table", "json", "yaml", "images")
)
_DETAILS = "created, version, revision, source, platforms, size"
_SUGGEST = Option(
    "--suggest",
    "switch",
    "for each tag that can move, show the version that has the same digest today (asks registries)",
)
_CHART_HELP = "CHART is anything that helm accepts: a directory, a .tgz, repo/name, a URL or oci://…"

COMMANDS: dict[str, Command] = {
    "upgrade": Command(
        "RELEASE CHART [flags]",
        "upgrade a release with every image pinned to its digest",
        "Renders the chart, pins every image reference that is not a digest yet, records the digests in the release, and runs\n"
        f"helm upgrade with the same chart and your flags. {_CHART_HELP}",
        ("upgrade",),
        PIN_OPTIONS + LOCK_OPTIONS + REGISTRY_OPTIONS,
        (2, 2),
    ),
    "install": Command(
        "[RELEASE] CHART [flags]",
        "install a release with every image pinned to its digest",
        f"As helm pin upgrade, for a new release. {_CHART_HELP}",
        ("install",),
        PIN_OPTIONS + LOCK_OPTIONS + REGISTRY_OPTIONS,
        (1, 2),
    ),
    "rollback": Command(
        "RELEASE [REVISION] [flags]",
        "roll back; with --verify check that the restored revision has its recorded digests",
        "With --verify the target is checked first: its record, its manifest, and that the registry still has every digest.\n"
        "Then helm rollback runs with your flags, and the new revision and the cluster are read back and compared.",
        ("rollback",),
        (
            Option("--verify", "switch", "check before, read back after; refuse what cannot be verified"),
            Option("--allow-unverified", "switch", "with --verify: continue although the target has no usable record"),
            *REQUIRE_OPTIONS,
            *REGISTRY_OPTIONS,
        ),
        (1, 2),
    ),
    "history": Command(
        "RELEASE [flags]",
        "show the revisions with their digest sets and what changed",
        "Each revision as helm history shows it, with the number of pinned images, its digest set, and what changed since the\n"
        "previous revision. Revisions that helm-pin did not make are marked. -o images prints one name:tag@digest a line, of all\n"
        "revisions.",
        (),
        (
            _OUTPUT_IMAGES,
            Option("--max", "value", "show at most N revisions (default 256)", "N"),
            Option("--describe", "switch", f"also ask registries what each image is: {_DETAILS}"),
            *_ANY_NAMESPACE,
        ),
        (1, 1),
    ),
    "verify": Command(
        "[RELEASE] [flags]",
        "check that what runs is what was recorded, or what a manifest or a lock says",
        "Five checks, one verdict each: the record, the stored manifest, the registry, the live workloads, the pods.\n"
        "A release without a record is verified against its own manifest if every image there has a digest. Where there is no\n"
        "release (Argo CD, kubectl apply), --manifest FILE names the objects, or --lock FILE alone the digests of all that runs\n"
        "in the namespace. The exit status is 4 if a check failed, and 1 if the cluster did not show something. A registry that\n"
        "does not answer is reported, but is not a failure. -o images prints the images, one name:tag@digest a line.",
        (),
        (
            Option("--revision", "value", "the revision to verify (default: the deployed one)", "N"),
            Option(
                "--manifest", "value", "verify the objects of this manifest, as they were applied; `-` reads it", "FILE"
            ),
            Option(
                "--lock",
                "value",
                "compare with the digests of this lock file, or of a release: release:[CONTEXT/]NAMESPACE/NAME[@REVISION]",
                "FILE|release:…",
            ),
            Option(
                "--selector",
                "value",
                "with --lock alone: only workloads that have these labels themselves, whatever their pods have",
                "LABELS",
                "-l",
            ),
            _OUTPUT_IMAGES,
            Option("--verbose", "switch", f"also show what each image is: {_DETAILS}", short="-v"),
            PLATFORM_OPTION._replace(
                help="fail if an image was not built for one of these, or a registry no longer has it"
            ),
            Option("--no-registry", "switch", "do not ask the registry"),
            Option("--registry", "switch", "require the registry to answer: exit status 5 if it does not"),
            *REGISTRY_OPTIONS,
        ),
        (0, 1),
    ),
    "audit": Command(
        "[flags]",
        "find drift over many releases, and between environments",
        "Reads every release of the namespace (or of all, with -A) in one pass and compares record, specs and running pods.\n"
        "With several contexts it also compares each release side by side. The exit status is 4 on drift (see --fail-on), else 1\n"
        "if something could not be read, else 5 if a registry did not answer.",
        (),
        (
            Option("--all-namespaces", "switch", "every namespace", short="-A"),
            Option("--context", "list", "a kubeconfig context; several are compared side by side (repeatable)", "NAME"),
            Option(
                "--output",
                "value",
                "how to print: table, json, yaml, prometheus, html or images (one name:tag@digest a line)",
                "FORMAT",
                "-o",
                ("table", "json", "yaml", "prometheus", "html", "images"),
                "table",
            ),
            Option(
                "--fail-on",
                "list",
                f"findings that cause exit status 4 (default drift): {', '.join(_FINDINGS)}",
                "KIND",
                words=_FINDINGS,
            ),
            Option("--to", "value", "write to this file or Pushgateway URL, not to standard output", "FILE|URL"),
            Option("--registry", "switch", "also ask registries: digests that are gone, tags that have moved"),
            Option("--describe", "switch", f"with --registry: for json, yaml and html, what each image is: {_DETAILS}"),
            *_ANY_NAMESPACE,
        ),
        (0, 0),
    ),
    "outdated": Command(
        "[RELEASE] [flags]",
        "show which tags have moved since a release was deployed",
        "Asks registries once for each tag that the deployed releases of the namespace (of all, with -A) were deployed from, and\n"
        "shows those that are another digest now: what the next upgrade would bring. The exit status is 0 whether there are any\n"
        "or not (helm pin audit --registry --fail-on moved is for pipelines), 1 if a release could not be read, and 5 if a\n"
        "registry did not answer.",
        (),
        (
            Option("--all-namespaces", "switch", "every namespace", short="-A"),
            _OUTPUT,
            *_ANY_NAMESPACE,
        ),
        (0, 1),
    ),
    "plan": Command(
        "RELEASE CHART [flags]",
        "show what would be pinned and how, changing nothing",
        "Does what upgrade would do, up to the deployment, and compares with what is deployed: same, new, or moved from a digest.\n"
        f"{_CHART_HELP}\n"
        "For other deployers: -o values prints a values file that pins (helm upgrade -f, GitOps), -o kustomize the images of a\n"
        "kustomization (Flux, kustomize), -o images one name:tag@digest a line. They hold every image, or are refused.",
        ("upgrade", "template"),
        (
            Option(
                "--output",
                "value",
                "how to print: table, json, yaml, values, kustomize or images",
                "FORMAT",
                "-o",
                ("table", "json", "yaml", "values", "kustomize", "images"),
                "table",
            ),
            Option(
                "--verbose",
                "switch",
                "also show what each image is, where it is used, and why it is not pinned in another way",
                short="-v",
            ),
            _SUGGEST,
            Option("--check", "switch", "exit status 4 if an upgrade would change an image of the release"),
            Option("--no-cluster", "switch", "do not ask the cluster for the release; plan as for a new one"),
            Option("--values-only", "switch", "look further for values that pin, where a template would do"),
            Option(
                "--names", "switch", "with -o values: registry, repository and tag beside each digest, for update bots"
            ),
            Option(
                "--partial",
                "switch",
                "with -o values and kustomize: print what they can carry, even if not every image",
            ),
            *PIN_OPTIONS,
            *LOCK_OPTIONS,
            *REGISTRY_OPTIONS,
        ),
        (1, 2),
    ),
    "diff": Command(
        "upgrade|rollback RELEASE [CHART|REVISION] [flags]",
        "what an upgrade or rollback would change, by the helm-diff plugin",
        "diff upgrade hands helm-diff the chart as helm pin upgrade would deploy it, with your flags; diff rollback hands it the\n"
        "arguments as they are. The flags, the output and the exit status are helm-diff's (github.com/databus23/helm-diff), whose\n"
        "2 says that something would change: a usage error of helm-pin's is 1 here.",
        ("upgrade", "diff upgrade"),
        PIN_OPTIONS + LOCK_OPTIONS + REGISTRY_OPTIONS,
        (2, 3),
        ("upgrade", "rollback"),
    ),
    "template": Command(
        "[RELEASE] CHART [flags]",
        "print the manifest with every image pinned, for GitOps",
        f"As helm template, pinned. {_CHART_HELP}",
        ("template",),
        PIN_OPTIONS + LOCK_OPTIONS + REGISTRY_OPTIONS,
        (1, 2),
    ),
    "lock": Command(
        "[RELEASE] CHART [flags]",
        "write the digest of every image into a lock file, for --lock",
        "Adds the images that the file lacks and removes those that the chart does not use. What is in the file stays as it is,\n"
        "unless --update names it. --check changes nothing and exits with status 4 if the chart or the registry differ from the\n"
        f"file. Pass the flags and values of the deployment. {_CHART_HELP}",
        ("upgrade", "template"),
        (
            Option(
                "--file", "value", "the lock file (default helm-pin.lock.yaml)", "FILE", default="helm-pin.lock.yaml"
            ),
            Option(
                "--update",
                "list",
                "resolve matching images again, by name with or without tag; '*' for all (repeatable)",
                "GLOB",
            ),
            Option("--check", "switch", "write nothing; exit status 4 if chart or registry differ from the file"),
            Option(
                "--keep", "switch", "keep images that this chart does not use, for a file that several releases share"
            ),
            Option(
                "--output",
                "value",
                "how to print the changes: table, json, yaml or markdown",
                "FORMAT",
                "-o",
                ("table", "json", "yaml", "markdown"),
                "table",
            ),
            Option("--no-cluster", "switch", "do not ask the cluster for the release; resolve for a new one"),
            *PIN_OPTIONS,
            *REGISTRY_OPTIONS,
        ),
        (1, 2),
    ),
    "config": Command(
        "[CHART] [flags]",
        "show which settings are in force, and where each comes from",
        "Flags, then HELM_PIN_… in the environment, then the settings file: the one that --config or HELM_PIN_CONFIG names,\n"
        "else the nearest .helm-pin.yaml from CHART up to the root of its repository, else from the working directory up.\n"
        "--schema prints the JSON Schema of the file, for editors.",
        (),
        (
            _OUTPUT,
            Option("--schema", "switch", "print the JSON Schema of .helm-pin.yaml"),
            *PIN_OPTIONS,
            *LOCK_OPTIONS,
            *REGISTRY_OPTIONS,
        ),
        (0, 1),
    ),
    "keep": Command(
        "RELEASE [flags]",
        "tag what rollbacks need, so that registries keep it",
        "Gives the recorded digests of the release's revisions a tag of their own (keep-RELEASE_NAMESPACE_…), where the login may\n"
        "push: registries that delete untagged images then keep them when their tags move. Manifests are read and written again,\n"
        "no layers. --prune removes the tags that no kept revision needs. The exit status is 5 if a registry refused.",
        (),
        (
            Option(
                "--revisions",
                "value",
                "keep the digests of the last N revisions that ran, and of later ones; always what a rollback needs",
                "N",
            ),
            Option("--prune", "switch", "remove the tags of the release that no kept revision needs"),
            _OUTPUT,
            *_ANY_NAMESPACE,
        ),
        (1, 1),
    ),
    "lint": Command(
        "CHART… [flags]",
        "report mutable image tags, for CI",
        "Renders each chart with its defaults and with each of its ci/*-values.yaml, and reports every image with a mutable tag,\n"
        "at the file and line of the value that sets it, or of the template. The exit status is 3 if there is one, else 1 if a\n"
        "chart could not be linted. Library charts, and files and folders that are not charts, are skipped. Values from standard\n"
        "input or a pipe are read once, for all charts. helm template's flags that do not change what it renders are refused.\n"
        "Asks no registry, except for --fix and --suggest. With --lock, an image that the lock has is pinned; with --locked,\n"
        "every other one is reported. --fix writes a value where no other image depends on it, and nothing that --set gives.",
        ("template",),
        (
            Option(
                "--output",
                "value",
                "how to print: text, json, sarif, github, gitlab (code quality) or junit",
                "FORMAT",
                "-o",
                ("text", "json", "sarif", "github", "gitlab", "junit"),
                "text",
            ),
            _SUGGEST,
            Option(
                "--fix",
                "switch",
                "write digests (with --suggest versions) into the values files, then report what is left; asks registries",
            ),
            *PIN_OPTIONS[1:4],
            *LOCK_OPTIONS,
            *_ANY_NAMESPACE,
        ),
        (1, -1),
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status. Every error becomes one message on standard error.

    Raises BrokenPipeError if the reader of standard output is gone, lifeline.Stopped if a signal stops it.
    """
    lifeline.listen()
    try:
        return run(list(sys.argv[1:] if argv is None else argv))
    except HelmPinError as error:
        return _report(error.message(), error.exit_status)
    except BrokenPipeError:
        raise
    except Exception as error:
        if env.debugging():
            raise
        return _report(*_unforeseen(error))


def _unforeseen(error: Exception) -> tuple[str, int]:
    """The message and exit status for an unexpected error."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = str(error.filename or env.temporary_folder())
        full = OperationFailed("cannot write a file", where=where, why=error.strerror or str(error))
        return full.message(), full.exit_status
    if isinstance(error, RecursionError):
        return "the chart, its values or a response is nested too deeply", 1
    return (
        f"internal error: {type(error).__name__}: {error}\n"
        "  next  run it again with --debug and report the output; helm history shows whether the cluster was changed"
    ), 1


def _report(message: str, status: int) -> int:
    print(f"Error: {message}", file=sys.stderr)
    return status


def run(argv: list[str]) -> int:
    """Find the command, split its arguments, and run it. Raises HelmPinError."""
    from helmpin import global_flags

    argv = global_flags.take(argv, env.ENVIRON)
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(overview() if len(argv) < 2 or argv[1] not in COMMANDS else command_help(argv[1]))
        return 0
    if argv[0] in ("--version", "version"):
        print(f"helm-pin {__version__}")
        return 0
    name = argv[0]
    if name not in COMMANDS:
        raise UsageError(f"unknown command: {name}", hint=f"one of {', '.join(COMMANDS)}; see helm pin --help")
    end = argv.index("--") if "--" in argv else len(argv)
    if any(word in ("-h", "--help") for word in argv[1:end]):
        print(command_help(name))
        return 0
    from importlib import import_module

    from helmpin.helm import Helm

    lifeline.watch_parent()
    helm = Helm.find()
    try:
        request = understand(name, argv[1:], helm)
        module = import_module(f"helmpin.commands.{name}")
        status = int(module.run(request))
        if helm.unread and not status:  # as it would have ended helm, which was spared it
            raise BrokenPipeError
        return status
    except UsageError as error:
        if name != "diff":
            raise
        # exit status 2 is helm-diff's for "there are changes", and programs that call it deploy then
        raise OperationFailed(error.what, where=error.where, why=error.why, hint=error.hint) from None
    finally:
        helm.stop()
        if helm.debug:
            helm.tell_time()


def understand(name: str, argv: Sequence[str], helm: Helm) -> Request:
    """Split `argv` into positional arguments, helm's flags and ours, and read the settings. Raises UsageError."""
    from helmpin import config
    from helmpin.arguments import split
    from helmpin.global_flags import GROUPED, VALUES
    from helmpin.helm import Flag

    command = COMMANDS[name]
    if command.subcommands and argv and not argv[0].startswith("-") and argv[0] not in command.subcommands:
        raise _wrong_arguments(name, argv[:1])  # before a plugin is missed
    ours = own_flags(command)
    flags = {
        GROUPED: Flag("--namespace", True),
        **{k: v for which in command.helm for k, v in _flags(helm, which).items()},
        **ours,
    }
    for word in argv:
        given_name = word.partition("=")[0]
        if given_name.startswith("--") and len(given_name) > 2 and given_name not in flags:
            flags |= helm.hidden_flag(command.helm, given_name)
    positionals, given = split(argv, flags)
    for namespace in (g for g in given if g.words[0].startswith(GROUPED)):
        env.ENVIRON[VALUES[GROUPED]] = namespace.value or ""
        given = [g for g in given if g is not namespace]
    least, most = command.arguments
    if len(positionals) < least or (most >= 0 and len(positionals) > most):
        raise _wrong_arguments(name, positionals)
    own = {flag.name for flag in ours.values()}
    options = _options(command, [g for g in given if g.name in own])
    if options.get(config.LOGIN_STDIN) and any(_reads_stdin(g) for g in given):
        raise UsageError(
            f"--{config.LOGIN_STDIN} and values from `-` cannot both read standard input",
            hint=f"set the password in {config.PASSWORD}",
        )
    settings = config.read(options, chart=chart_of(command, positionals))
    for note in settings.notes:
        from helmpin import output

        output.say(note)
    if helm.debug:
        print(f"[helm-pin] settings file: {settings.file or 'none'}", file=sys.stderr)
    env.ENVIRON.pop(config.PASSWORD, None)  # programs that start from here on must not inherit it
    return Request(name, positionals, [g for g in given if g.name not in own], options, settings, helm)


def _wrong_arguments(name: str, positionals: Sequence[str]) -> UsageError:
    return UsageError(
        f"helm pin {name} takes {COMMANDS[name].usage.replace('[flags]', '').strip() or 'no arguments'}",
        why=f"got: {' '.join(positionals)}" if positionals else "got no arguments",
        hint=f"see helm pin {name} --help",
    )


def _flags(helm: Helm, which: str) -> dict[str, Flag]:
    """The flags of a helm command. Raises OperationFailed if it is a plugin's, and the plugin is not installed."""
    from helmpin.errors import HelmFailed

    try:
        return helm.flags(which)
    except HelmFailed as error:
        if "unknown command" not in error.why:
            raise
        raise OperationFailed(
            "the helm-diff plugin is not installed",
            why=error.why.splitlines()[0],
            hint="helm plugin install https://github.com/databus23/helm-diff (Helm 4: add --verify=false)",
        ) from None


def chart_of(command: Command, positionals: Sequence[str]) -> str:
    """The one chart of a command line; '' if it has none, or several."""
    named = [word for word in command.usage.split() if "CHART" in word]
    several = command.arguments[1] < 0
    return positionals[-1] if named and positionals and not (several and len(positionals) > 1) else ""


def chart_of_request(request: Request) -> str:
    """The one chart of a request; '' if it has none, or several."""
    return chart_of(COMMANDS[request.command], request.positionals)


def own_flags(command: Command) -> dict[str, Flag]:
    """helm-pin's own flags of a command, by each spelling."""
    from helmpin.helm import Flag

    found = {}
    for option in command.options:
        flag = Flag(option.name, option.kind != "switch")
        found[option.name] = flag
        if option.short:
            found[option.short] = flag
    return found


def _options(command: Command, given: Sequence[Given]) -> dict[str, Any]:
    from helmpin.arguments import is_on

    values: dict[str, Any] = {}
    for option in command.options:
        key = option.name.removeprefix("--")
        mine = [g for g in given if g.name == option.name]
        for g in mine:
            blank = not g.value if option.name == "--allow-unpinned" else not (g.value or "").strip()
            if option.kind != "switch" and blank:  # a space is an image that OpenShift fills in
                raise UsageError(
                    f"the {option.metavar or 'value'} of {option.name} is empty", hint="leave the flag out, or name one"
                )
            if option.choices and g.value not in option.choices:
                raise UsageError(f"{option.name} must be one of {', '.join(option.choices)}", why=f"got {g.value!r}")
        if option.kind == "switch":
            values[key] = is_on(mine, option.name) if mine else None if option.setting else False
        elif option.kind == "list":
            values[key] = tuple(g.value or "" for g in mine)
        else:
            values[key] = mine[-1].value if mine else option.default
    return values


def refuse_registry_flags(request: Request, when: str) -> None:
    """Raise UsageError for a flag about registries, or what they hold, on a command line that asks none.

    Settings from the environment and the file are for all commands, so they are no error.
    """
    given = [o.name for o in (PLATFORM_OPTION, *REGISTRY_OPTIONS) if request.options.get(o.name.removeprefix("--"))]
    if given:
        raise UsageError(
            f"{given[0]} has no effect {when}",
            why=f"helm pin {request.command} asks no registry then",
            hint=f"leave out {', '.join(given)}",
        )


def _reads_stdin(flag: Given) -> bool:
    """Whether helm's own flag reads standard input: `--values -`, `--set-file name=-`."""
    return flag.name in ("--values", "--set-file") and any(
        part.rpartition("=")[2].strip() == "-" for part in (flag.value or "").split(",")
    )


def overview() -> str:
    """What `helm pin --help` prints."""
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items())
    return (
        "helm-pin makes helm upgrade and helm rollback reproducible: every image by digest, recorded, verified.\n\n"
        f"Usage:\n  helm pin COMMAND [flags]\n\nCommands:\n{commands}\n\n"
        "Exit status: 0 done; 1 helm or the cluster failed; 2 usage; 3 refused; 4 verification failed or drift; 5 registry.\n"
        "For every command, before or after its name: --quiet (only results and what needs attention), --color=WHEN (always,\n"
        "auto, never), --no-color (NO_COLOR and HELM_COLOR count too), and Helm's global flags (-n, --kube-context, --debug, …).\n"
        "helm pin COMMAND --help describes each command; helm pin --version prints the version."
    )


def command_help(name: str) -> str:
    """What `helm pin NAME --help` prints."""
    command = COMMANDS[name]
    rows = [
        (", ".join(filter(None, (o.short, o.name))) + (f" {o.metavar}" if o.metavar else ""), o.help)
        for o in command.options
    ]
    width = max(len(left) for left, _ in rows)
    flags = "\n".join(f"  {left:<{width}}  {right}" for left, right in rows)
    settings = (
        "\n\nSettings can also come from HELM_PIN_NAME in the environment (lists separated by spaces), or from `name:` in\n"
        ".helm-pin.yaml; a flag beats the environment, which beats the file. Settings: "
        + ", ".join(
            o.name.removeprefix("--") + ("" if o.in_file else " (not from the file)")
            for o in command.options
            if o.setting
        )
        if any(o.setting for o in command.options)
        else ""
    )
    passes = " and ".join(f"helm {which}" for which in command.helm)
    helms = (
        f"Every flag of {passes} works too (helm {command.helm[0]} --help)."
        if command.helm
        else "Helm's global flags for the cluster work too (-n, --kube-context, --kubeconfig, --debug, …)."
    )
    return (
        f"{command.summary[0].upper()}{command.summary[1:]}.\n\n{command.about}\n\nUsage:\n  helm pin {name} {command.usage}\n\n"
        f"Flags:\n{flags}\n\n{helms}{settings}"
    )
