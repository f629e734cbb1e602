"""What to say when a helm fails: its own message, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from helmpin import env
from helmpin.cluster_advice import advice
from helmpin.errors import HelmFailed, HelmStopped, NoRelease
from helmpin.next_command import helm_command
from helmpin.process import ending, without_trace

IN_PROGRESS = "another operation (install/upgrade/rollback) is in progress"
"""helm's message when the latest revision is pending: somebody is deploying, or was killed while deploying
(pkg/action/upgrade.go)."""

NOT_FOUND = "release: not found"
"""helm's message about a release, or a revision, that is not stored (pkg/storage/driver/driver.go)."""
LONGEST = 4000
"""The most characters of a line of helm's messages that are shown."""


def _without_logins(args: Sequence[str], text: str) -> str:
    """helm's message without the logins of URLs that it was given, which it may repeat without their URL."""
    for login in {match[1] for arg in args for match in re.finditer(r"\w://([^\s/]+)@(?!sha(?:256|512):)", arg)}:
        text = text.replace(f"{login}@", "***@")
    return text


def _shortened(line: str) -> str:
    """A line without its middle if it is very long, as where a template includes itself a thousand times."""
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} … {line[-LONGEST // 2 :]}"


def helm_failed(args: Sequence[str], status: int, stderr: str) -> HelmFailed:
    """The error for a helm that ended with `status`: helm's own message, without its `Error: `."""
    lines = without_trace([line for line in _without_logins(args, stderr).splitlines() if line.strip()])
    # helm's --debug shows the YAML; helm-pin's does not
    words = [
        _shortened(line)
        for line in lines
        if not line.startswith(("WARNING:", "coalesce.go", "walk.go", "Use --debug flag"))
    ]
    words = [line for line in words if not line.startswith("level=")] or words  # Helm 4 logs its errors too
    if "Usage:" in words[1:] and words[0].startswith("Error: "):  # of a plugin: cobra prints its help after the error
        words = words[: words.index("Usage:")]
    why = re.sub(r"^Error: ", "", "\n".join(words[-40:]), flags=re.MULTILINE)
    if status < 0:
        why = "\n".join(filter(None, (why, f"helm {ending(status)}")))
    why = why or f"helm {ending(status)} and printed nothing"
    if re.search(r"(?i)release name is invalid|invalid release name", why):
        hint = "a release name has lower-case letters, digits, `-` and `.`, and at most 53 characters"
        return HelmFailed("the release name is invalid", why=why, hint=hint)
    command = f"{args[0]} --dry-run" if any(arg.startswith("--dry-run=") for arg in args) else args[0]
    kind = HelmStopped if status < 0 or IN_PROGRESS in why else NoRelease if NOT_FOUND in why else HelmFailed
    return kind(f"helm {command} failed", why=why, hint=_advice(args, why))


_HINTS = (
    (r"execution error at \(", "give the value that the chart asks for: --set, or -f FILE"),
    (r"while running post render", "run the post-renderer by hand on what helm template prints"),
    (r"^invalid argument ", "correct the flag"),
    (r"failed parsing --set", "correct the flag; quote it for the shell, and write a comma inside a value as \\,"),
    (r"missing in charts/ directory", "fetch them with helm dependency build, or with --dependency-update here"),
    (r"cannot load \S+\.yaml: ", "correct that file of the chart"),
    (r"^validation: chart\.metadata", "correct Chart.yaml"),
    (r"following chart\(s\):\n\S+:\n(?!- )", "correct the chart's values.schema.json"),
    (
        r"don't meet the specifications of the schema",
        "give the values that the chart's schema asks for: --set, or -f FILE",
    ),
    (r"parse error at \(|cannot parse template", "correct the template there"),
    (
        r"no template \".*\" associated|template \".*\" not defined",
        "correct the name, or get the chart that defines it: helm dependency build",
    ),
    (
        r"no matches for kind|ensure CRDs are installed",
        "install the CRDs of these kinds first; those in a chart's crds/: helm show crds CHART | kubectl apply --server-side -f -",
    ),
    (r"nil pointer evaluating", "set the value that the template reads: --set, or -f FILE"),
    (
        r"YAML parse error on",
        "correct the template, or the value it prints; helm template --debug, with the same chart and values, shows the YAML",
    ),
    (r"\S:\d+:\d+(?::|\n) *executing", "correct the template there, or the value that it reads"),
    (r"^failed to parse \S+: .*(?:unmarshal|converting)", "correct that file: values are a map, in YAML and UTF-8"),
    (r"library charts are not installable", "name a chart that uses it: a library has no objects of its own"),
    (
        r"chart requires kubeVersion",
        "take another --version of the chart; where no cluster is asked, --kube-version names that of yours",
    ),
    (r"could not find template", "give the path as helm prints it after `# Source:`, without the chart's name"),
)
"""What to do about helm's messages; the first that matches counts."""
_FETCH_HINTS = (
    (r"chart reference and version mismatch", "leave out --version, or the tag after the chart's name"),
    (r"server gave HTTP response to HTTPS client", "if the registry uses plain HTTP, add --plain-http"),
    (r"non-absolute URLs should be in form", "name a directory, an archive, REPO/CHART or oci://…, or add --repo URL"),
    (r"^repo \S+ not found", "add the repository: helm repo add NAME URL; helm repo list shows those that there are"),
    (
        r"(?i)\b40[13]\b|unauthorized|forbidden|denied",
        "log in (helm registry login HOST, or --username and --password), or check the name",
    ),
    (r"(?i)\b404\b|not found", "check the chart's name and --version"),
    (
        r"(?i)dial tcp|no such host|connection refused|timeout|x509|cannot be reached",
        "check the address, the network and the proxy",
    ),
)
"""The same for the commands that fetch a chart: about names and networks."""
_ADDED_HINTS = (
    (
        r"no cached repo found|chart \S+ (?:matching|version) .*not found",
        "helm repo update reads what the repositories have",
    ),
)
"""The same for charts in repositories that were added, whose indexes helm keeps."""
_FETCHING = ("pull", "show", "dependency")


def _advice(args: Sequence[str], why: str) -> str:
    if IN_PROGRESS in why:
        history, back = helm_command(f"history {args[1]}"), helm_command(f"rollback {args[1]} REVISION")
        return (
            f"if no other helm is at work on it, {back} goes back to the last revision that was deployed, or "
            f"{helm_command(f'uninstall {args[1]}')} removes it if none was; see {history}"
        )
    if re.search(r"cluster unreachable|server API group list|context .* does not exist|context was not found", why):
        return advice(why, env.namespace())
    added = () if any(arg.partition("=")[0] == "--repo" for arg in args) else _ADDED_HINTS
    hints = (*_HINTS, *added, *_FETCH_HINTS) if args[0] in _FETCHING else _HINTS
    return next((hint for message, hint in hints if re.search(message, why, re.MULTILINE)), "")
