"""The flags that every command takes, anywhere before `--`: Helm's global ones, colour and --quiet.

Helm removes nearly all of its own from a plugin's arguments and passes them on through the environment
(pkg/cmd/load_plugins.go, processParent). A helm-pin that was not started by helm does the same. (As in helm, the value of another
flag must not look like one of these.)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from helmpin.env import FALSE, TRUE
from helmpin.errors import UsageError

VALUES = {
    "--namespace": "HELM_NAMESPACE",
    "-n": "HELM_NAMESPACE",
    "--kube-context": "HELM_KUBECONTEXT",
    "--kubeconfig": "KUBECONFIG",
    "--kube-apiserver": "HELM_KUBEAPISERVER",
    "--kube-as-group": "HELM_KUBEASGROUPS",
    "--kube-as-user": "HELM_KUBEASUSER",
    "--kube-ca-file": "HELM_KUBECAFILE",
    "--kube-tls-server-name": "HELM_KUBETLS_SERVER_NAME",
    "--kube-token": "HELM_KUBETOKEN",
    "--registry-config": "HELM_REGISTRY_CONFIG",
    "--repository-config": "HELM_REPOSITORY_CONFIG",
    "--repository-cache": "HELM_REPOSITORY_CACHE",
    "--content-cache": "HELM_CONTENT_CACHE",
    "--burst-limit": "HELM_BURST_LIMIT",
    "--qps": "HELM_QPS",
}
"""Helm's global flags with a value, and the variable that replaces each (pkg/cli/environment.go)."""
SWITCHES = {"--debug": "HELM_DEBUG", "--kube-insecure-skip-tls-verify": "HELM_KUBEINSECURE_SKIP_TLS_VERIFY"}
GROUPED = "-n"
"""The one global flag with a short form: its value may follow at once (`-nargo`), and it may end a group of switches (`-in x`)."""
COLOUR = ("--color", "--colour")
WHEN = ("never", "auto", "always")
QUIET = "HELM_PIN_QUIET"
LISTS = frozenset({"--kube-as-group"})
"""Flags that may be given several times."""


def take(argv: Sequence[str]) -> tuple[list[str], dict[str, str | None]]:
    """The command line without the flags that every command takes, and the variables that replace those; None removes a variable.
    Raises UsageError."""
    rest: list[str] = []
    words = list(argv)
    environ: dict[str, str | None] = {}
    while words:
        word = words.pop(0)
        name, equals, value = _parts(word)
        if word == "--":
            return [*rest, word, *words], environ
        if name in VALUES:
            if not equals and not words:
                raise no_value(word)
            value = value if equals else words.pop(0)
            before = environ.get(VALUES[name]) if name in LISTS else None
            environ[VALUES[name]] = f"{before},{value}" if before else value
        elif name in SWITCHES:
            environ[SWITCHES[name]] = value if equals else "true"
        elif name in COLOUR:
            if not equals:
                value = words.pop(0) if words and words[0] in WHEN else "always"
            environ |= _colour(_when(name, value))
        elif name in ("--no-color", "--no-colour"):
            environ |= _colour("never" if _is_true(name, value or "true") else "auto")
        elif name == "--quiet":
            environ[QUIET] = "1" if _is_true(name, value or "true") else ""
        else:
            rest.append(word)
    return rest, environ


def check_none_is_lost(command_line: Sequence[str]) -> None:
    """Raise UsageError if Helm has left out words: it hands a plugin neither an empty word nor the one after it, unless they belong
    to a flag of its own.

    command_line: that of the helm which started helm-pin; empty if it is not known.
    """
    words = list(command_line)
    ours = words[words.index("pin") :] if "pin" in words else []
    for before, word in pairwise(ours):
        if not word and before not in VALUES:
            raise UsageError(
                "there is an empty word ('') on the command line",
                where=f"after {before}" if before else "",
                why="helm passes neither it nor the next word to a plugin, so a different command would run",
                hint="leave it out, or write an empty value as --flag=; in a script, a variable may be empty that must not be",
            )


def _is_true(name: str, value: str) -> bool:
    """The value of a switch. Raises UsageError."""
    if value not in (*TRUE, *FALSE):
        raise UsageError(f"{name} must be true or false", why=f"got {value!r}")
    return value in TRUE


def _when(name: str, value: str) -> str:
    """The value of a flag about colours. Raises UsageError."""
    if value not in WHEN:
        raise UsageError(f"{name} must be one of {', '.join(WHEN)}", why=f"got {value!r}")
    return value


def _parts(word: str) -> tuple[str, str, str]:
    """A flag's name, `=` if its value is in the word too, and that value."""
    name, equals, value = word.partition("=")
    if word.startswith(GROUPED) and name != GROUPED:
        return GROUPED, "=", word.removeprefix(GROUPED)
    return name, equals, value


def no_value(flag: str) -> UsageError:
    """The error for a flag that needs a value and has none."""
    why = "nothing follows it, or an empty word (''), which helm does not pass to plugins"
    return UsageError(f"flag needs an argument: {flag}", why=why)


def _colour(when: str) -> dict[str, str | None]:
    """HELM_COLOR, which Helm 4 reads too. A flag beats NO_COLOR, here as in helm."""
    return {"HELM_COLOR": when, "NO_COLOR": "1" if when == "never" else None}
