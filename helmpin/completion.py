"""Shell completion for Helm: completion.yaml, which names commands and flags, and plugin.complete, which completes the rest.

Both are files of the plugin (helm.sh, The Helm Plugins Guide), written by scripts/docs from the table of commands. Helm loads the
first at every TAB and runs the second; that asks helm again, for releases, revisions, charts, contexts and its own flags.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from helmpin.command_table import COMMANDS, Option
from helmpin.global_flags import VALUES

LIKE = {
    "upgrade": "upgrade",
    "install": "install",
    "rollback": "rollback",
    "history": "history",
    "verify": "status",
    "keep": "status",
    "outdated": "status",
    "plan": "upgrade",
    "template": "template",
    "lock": "upgrade",
}
"""The helm command that completes the arguments of each of these commands."""
EVERYWHERE = ("--quiet", "--no-color")
ASKED = (("'audit", "--context"), ("'verify", "--revision"))
"""The options whose values the script asks helm for."""
SCRIPT = r"""#!/bin/sh
# Completes what completion.yaml does not: releases, revisions, charts, contexts, namespaces, helm's own flags, values of flags.
# Written by scripts/docs from the table of commands. helm runs it with the words after `helm pin`, the last one to be completed,
# and reads candidates, then a directive: 0 for files as well, 4 for nothing else (github.com/spf13/cobra, ShellCompDirective).
helm=${HELM_BIN:-helm}
export HELM_NO_PLUGINS=1
command=$1 before='' word='' skip='' taken='' prior=''
[ $# -gt 0 ] && shift
for each; do before=$word word=$each; done
last=$word
case $word in
  --*=*) before=${word%%=*} word=${word#*=} ;; # shells put what stands before the = back
  -*) ;;
  *) # helm takes its global flags out, so that one before the word stands in helm's own command line alone
    set -f
    line=$(ps -ww -o args= -p $PPID 2>/dev/null)
    for each in ${line%"$word"}; do taken=$each; done
    case $taken in GLOBAL) before=$taken ;; esac
    ;;
esac
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
  'audit --context') ask --kube-context "$word"; exit ;;
  'verify --revision') if [ $# -gt 0 ]; then ask rollback "$@" "$word"; else echo :4; fi; exit ;; # of the release
ANSWERS
esac
case $before in GLOBAL) ask "$before" "$word"; exit ;; esac
case $command in
LIKE
  lint) # each argument is a chart or a file of one; its flags are those of helm template
    for each; do prior=$each; done
    case $last:$prior in
      -*) ask template "$last" ;;
      *:-*=*) echo :0 ;;
      *:-*) ask template x "$prior" "$last" ;;
      *) echo :0 ;;
    esac
    ;;
  config) echo :0 ;;
  *) echo :4 ;;
esac
"""


def completion_yaml() -> str:
    """The commands and helm-pin's own long flags. (Helm pairs short flags with long ones by their order, so they are left out; its
    own flags it knows. Directly after a flag that precedes the command, helm offers no commands.)"""
    lines = ["# Written by scripts/docs from the table of commands.", "name: pin", "flags:"]
    lines += [f"- {flag.removeprefix('--')}" for flag in EVERYWHERE]  # so that helm finds the command after them
    lines += ["commands:"]
    for name, command in COMMANDS.items():
        flags = [option.name for option in command.options] + list(EVERYWHERE)
        lines += [f"- name: {name}", "  flags:"]
        lines += [f"  - {flag.removeprefix('--')}" for flag in flags]
    return "\n".join(lines) + "\n"


def plugin_complete() -> str:
    """The script that completes arguments and values of flags."""
    valued: list[str] = []
    switches = [f"*' {flag}'" for flag in EVERYWHERE]
    answers: dict[str, list[str]] = defaultdict(list)
    for option, commands in _by_commands().items():
        forms = [f"{each} {form}'" for each in commands for form in (option.short, option.name) if form]
        if option.kind == "switch":
            switches += forms
            continue
        valued += forms
        switches += [f"{each} {option.name}='*" for each in commands]
        if words := option.choices or option.words:
            answers[f"\n    {_printed(words)}\n    exit"] += forms
        elif _is_file(option):
            answers[" echo :0; exit"] += forms
        elif not any((each, option.name) in ASKED for each in commands):
            answers[" echo :4; exit"] += forms
    shown = [f"  {_patterns(forms)}){answer} ;;" for answer, forms in sorted(answers.items())]
    like = [f'  {name}) ask {helm} "$@" "$last" ;;' for name, helm in LIKE.items()]
    like += [
        f'  {name}) if [ $# -gt 0 ]; then ask "$@" "$last"; else {_printed(command.subcommands)}; fi ;;'
        for name, command in COMMANDS.items()
        if command.subcommands
    ]
    text = SCRIPT.replace("VALUED", f"    {_patterns(valued)}) skip=1 ;;").replace("ANSWERS", "\n".join(shown))
    text = text.replace("GLOBAL", " | ".join(VALUES))
    return text.replace("SWITCHES", f"    {_patterns(switches)}) ;;").replace("LIKE", "\n".join(like))


def _by_commands() -> dict[Option, list[str]]:
    """Each option, and how the patterns for the commands that have it begin: one for any command, where several share it."""
    having: dict[Option, list[str]] = defaultdict(list)
    for name, command in COMMANDS.items():
        for option in command.options:
            having[option].append(f"'{name}")
    return {
        option: ["*'"] if len(names) > 1 and option.name != "--output" else names for option, names in having.items()
    }


def _patterns(forms: list[str]) -> str:
    """The patterns of a case, without those that one for any command covers."""
    shared = {form.removeprefix("*") for form in forms if form.startswith("*")}
    return " | ".join(form for form in forms if form.startswith("*") or f"'{form[form.index(' ') :]}" not in shared)


def _printed(words: Iterable[str]) -> str:
    return f"printf '%s\\n' {' '.join(words)} :4"


def _is_file(option: Option) -> bool:
    return "FILE" in option.metavar
