"""The table of commands: what each is called with, and its own flags.

Command-line splitting, --help, completion and the settings' schema are derived from it.
"""

from __future__ import annotations

from helmpin.named_tuple import NamedTuple


class Option(NamedTuple):
    """One flag of helm-pin's own. `kind` is switch, value or list (repeatable). `setting`: whether the environment (HELM_PIN_…)
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
    """The values that a shell offers, although others are valid too."""


class Command(NamedTuple):
    """One command: its help, its own flags, and the helm commands whose flags it passes on."""

    usage: str
    summary: str
    about: str
    helm: tuple[str, ...]
    options: tuple[Option, ...]
    arguments: tuple[int, int]
    """The fewest and the most positional arguments; -1 for no limit."""
    subcommands: tuple[str, ...] = ()
    """The values of the first positional argument; none if it may be anything."""


PLATFORM_OPTION = Option(
    "--platform",
    "list",
    "refuse images that lack one of these: linux/amd64,linux/arm64, or `nodes` for those of the nodes that their pods may run on",
    "PLATFORM",
    setting=True,
)
REQUIRE_OPTIONS = (
    Option(
        "--require",
        "list",
        "a command that must succeed (exit 0) for each image, with {} for the image: 'cosign verify --key k.pub {}' (repeatable; "
        "one per line in the environment)",
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
_WHICH_IMAGES = (
    Option(
        "--mutable-tag",
        "list",
        "a mutable tag, in addition to latest, stable, main, 1, 1.25 and the like (repeatable)",
        "GLOB",
        setting=True,
    ),
    Option("--allow-unpinned", "list", "let matching images stay without a digest (repeatable)", "GLOB", setting=True),
    Option(
        "--allowed-registry",
        "list",
        "refuse images from registries and repositories that match none of these (repeatable)",
        "GLOB",
        setting=True,
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
    *_WHICH_IMAGES,
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
        "time limit for each round of registry requests (default 30s)",
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
        "With --verify the target is checked first: its record, its manifest, that the registry still has every digest, and that\n"
        "nothing in the cluster stands in its way. Then helm rollback runs with your flags, and the new revision and the\n"
        "cluster are read back and compared.",
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
        "previous revision. Revisions that helm-pin did not make are marked. -o images prints one name:tag@digest per line, for\n"
        "all revisions.",
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
        "in the namespace. The exit status is 4 if a check failed, and 1 if the cluster could not be read. A registry that does\n"
        "not answer is reported, but is not a failure. -o images prints the images, one name:tag@digest per line.",
        (),
        (
            Option("--revision", "value", "the revision to verify (default: the deployed one)", "N"),
            Option(
                "--manifest",
                "value",
                "verify the objects of this manifest, as they were applied; `-` reads it",
                "FILE",
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
                "with --lock alone: only workloads that carry these labels themselves (pod labels do not count)",
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
                "how to print: table, json, yaml, prometheus, html or images (one name:tag@digest per line)",
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
        "Asks registries about each tag that the deployed releases of the namespace (of all, with -A) were deployed from, and\n"
        "shows those that point to another digest now: what the next upgrade would bring. The exit status is 0 whether there are\n"
        "any or not (helm pin audit --registry --fail-on moved is for pipelines), 1 if a release could not be read, and 5 if a\n"
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
        "kustomization (Flux, kustomize), -o images one name:tag@digest per line. They hold every image, or are refused.",
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
        "upgrade|rollback RELEASE CHART|REVISION [flags]",
        "what an upgrade or rollback would change, by the helm-diff plugin",
        "diff upgrade hands helm-diff the chart as helm pin upgrade would deploy it, with your flags; diff rollback hands it the\n"
        "arguments as they are. The flags, the output and the exit status are helm-diff's (github.com/databus23/helm-diff), whose\n"
        "2 says that something would change; so a usage error of helm-pin exits with 1 here.",
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
                "--file",
                "value",
                "the lock file (default helm-pin.lock.yaml)",
                "FILE",
                default="helm-pin.lock.yaml",
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
        "no layers. --prune removes the tags that no kept revision needs, in the repositories that the revisions use; nothing if\n"
        "a record cannot be read. It looks at one cluster: do not prune where several push to the same repositories for a release\n"
        "of the same name and namespace. The exit status is 1 if a revision cannot be read, and 5 if a registry refused, or has "
        "more tags than could be listed.",
        (),
        (
            Option(
                "--revisions",
                "value",
                "keep the digests of the last N revisions that ran, and of any later ones; what a rollback needs is always kept",
                "N",
            ),
            Option("--prune", "switch", "remove the tags of the release that no kept revision needs"),
            _OUTPUT,
            *_ANY_NAMESPACE,
        ),
        (1, 1),
    ),
    "lint": Command(
        "[CHART…] [flags]",
        "report mutable image tags, for CI",
        "Renders each chart with its defaults and with each of its ci/*-values.yaml, and reports every image with a mutable tag,\n"
        "at the file and line of the value that sets it, or of the template. Without CHART, the one in the working directory.\n"
        "The exit status is 3 if there is a finding, else 1 if a chart could not be linted. Library charts, and files and folders\n"
        "that are not charts, are skipped. Values from standard input or a pipe are read once, for all charts. helm template's\n"
        "flags that do not change what it renders are refused. Asks no registry, except for --fix and --suggest. With --lock, an\n"
        "image that the lock has is pinned; with --locked, every other one is reported. --fix writes a value only if no other\n"
        "image depends on it, and never one that --set gives.",
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
            Option(
                "--no-fail",
                "switch",
                "exit status 0 although there are findings; still 1 if a chart could not be linted",
            ),
            Option(
                "--show-exempt",
                "switch",
                "with -o json and gitlab, list exempt findings too, and what exempts them; the other forms always do",
            ),
            *_WHICH_IMAGES,
            *LOCK_OPTIONS,
            *_ANY_NAMESPACE,
        ),
        (0, -1),
    ),
}
