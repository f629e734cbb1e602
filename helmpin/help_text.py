"""What --help prints, made from the table of commands."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import fill

from helmpin.command_table import COMMANDS, Option


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
    settings = _settings(command.options)
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


def _settings(options: Iterable[Option]) -> str:
    """Which options are settings too, and where they may stand."""
    settings = [option for option in options if option.setting]
    if not settings:
        return ""
    anywhere, not_in_file = (
        ", ".join(each.name.removeprefix("--") for each in settings if each.in_file == in_file)
        for in_file in (True, False)
    )
    text = (
        "Settings can also come from HELM_PIN_NAME in the environment (lists separated by spaces), or from `name:` in "
        f".helm-pin.yaml; a flag beats the environment, which beats the file: {anywhere}."
    )
    text += f" From flags and the environment only: {not_in_file}." if not_in_file else ""
    return "\n\n" + fill(text, 120, break_on_hyphens=False)
