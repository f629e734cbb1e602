"""Shell completion for Helm: completion.yaml, which names commands and flags, and plugin.complete, which completes the rest.

Both are files of the plugin (helm.sh, The Helm Plugins Guide), written by scripts/docs from the table of commands. Helm loads the
first at every TAB and runs the second; that asks helm again, for releases, revisions, charts, contexts and its own flags.
"""

from __future__ import annotations

from collections.abc import Iterable

from helmpin.command_table import COMMANDS, Option

LIKE = {
    "upgrade": "upgrade",
    "install": "install",
    "rollback": "rollback",
    "history": "history",
    "verify": "status",
    "plan": "upgrade",
    "template": "template",
    "lock": "upgrade",
}
"""The helm command whose arguments are completed alike."""
EVERYWHERE = ("--quiet", "--no-color")
SCRIPT = r"""#!/bin/sh
# Completes what completion.yaml does not: releases, revisions, charts, contexts, namespaces, helm's own flags, values of flags.
# Written by scripts/docs from the table of commands. helm runs it with the words after `helm pin`, the last one to be completed,
# and reads candidates, then a directive: 0 for files as well, 4 for nothing else (github.com/spf13/cobra, ShellCompDirective).
helm=${HELM_BIN:-helm}
export HELM_NO_PLUGINS=1
command=$1 before='' word='' skip=''
[ $# -gt 0 ] && shift
for each; do before=$word word=$each; done
last=$word
case $word in --*=*) before=${word%%=*} word=${word#*=} ;; esac # shells put what stands before the = back
# the words for helm: without helm-pin's own flags, and without the word to be completed
count=$# n=0
for each; do
  n=$((n + 1))
  shift
  [ $n -lt "$count" ] || break
  if [ -n "$skip" ]; then skip=''; continue; fi
  case "$command $each" in
VALUED
SWITCHES
    *) set -- "$@" "$each" ;;
  esac
done

ask() {
  "$helm" __complete "$@" 2>/dev/null || echo :4
}

case "$command $before" in
CHOICES
  'audit --context') ask --kube-context "$word"; exit ;;
  'verify --revision') ask rollback "$@" "$word"; exit ;;
FILES
OTHERS
esac
case $command in
LIKE
  lint | config) echo :0 ;;
  *) echo :4 ;;
esac
"""


def completion_yaml() -> str:
    """The commands and helm-pin's own long flags. (Short ones need a long one each, by their order; helm has the others.
    Right behind a flag that stands before the command, helm offers no commands.)"""
    lines = ["# Written by scripts/docs from the table of commands.", "name: pin", "flags:"]
    lines += [f"- {flag.removeprefix('--')}" for flag in EVERYWHERE]  # so that helm finds the command behind them
    lines += ["commands:"]
    for name, command in COMMANDS.items():
        flags = [option.name for option in command.options] + list(EVERYWHERE)
        lines += [f"- name: {name}", "  flags:"]
        lines += [f"  - {flag.removeprefix('--')}" for flag in flags]
    return "\n".join(lines) + "\n"


def plugin_complete() -> str:
    """The script that completes arguments and values of flags."""
    valued, switches, files, others = [], [], [], []
    choices: dict[tuple[str, ...], list[str]] = {}
    for name, command in COMMANDS.items():
        for option in command.options:
            forms = [f"'{name} {form}'" for form in (option.short, option.name) if form]
            if option.kind == "switch":
                switches += forms
                continue
            valued += forms
            switches += [f"'{name} {option.name}='*"]
            if words := option.choices or option.words:
                choices.setdefault(words, []).extend(forms)
            elif _is_file(option):
                files += forms
            elif not _is_asked(name, option):
                others += forms
    switches += [f"*' {flag}'" for flag in EVERYWHERE]
    shown = [f"  {' | '.join(forms)})\n    {_printed(words)}\n    exit ;;" for words, forms in sorted(choices.items())]
    like = [f'  {name}) ask {helm} "$@" "$last" ;;' for name, helm in LIKE.items()]
    like += [
        f'  {name}) if [ $# -gt 0 ]; then ask "$@" "$last"; else {_printed(command.subcommands)}; fi ;;'
        for name, command in COMMANDS.items()
        if command.subcommands
    ]
    text = SCRIPT.replace("VALUED", f"    {' | '.join(valued)}) skip=1 ;;")
    text = text.replace("SWITCHES", f"    {' | '.join(switches)}) ;;").replace("CHOICES", "\n".join(shown))
    text = text.replace("FILES", f"  {' | '.join(files)}) echo :0; exit ;;")
    return text.replace("OTHERS", f"  {' | '.join(others)}) echo :4; exit ;;").replace("LIKE", "\n".join(like))


def _printed(words: Iterable[str]) -> str:
    return f"printf '%s\\n' {' '.join(words)} :4"


def _is_file(option: Option) -> bool:
    return "FILE" in option.metavar


def _is_asked(command: str, option: Option) -> bool:
    return (command, option.name) in (("audit", "--context"), ("verify", "--revision"))
