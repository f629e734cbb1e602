"""What the user asked for: a command line, split into positional arguments, helm's flags and helm-pin's own, with its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from helmpin import config, env
from helmpin.arguments import Given, dry_run, is_on, last, split
from helmpin.command_table import COMMANDS, CONFIG_OPTION, PLATFORM_OPTION, REGISTRY_OPTIONS, Command, Option
from helmpin.config.sources import LOGIN_STDIN
from helmpin.env import FALSE, TRUE
from helmpin.errors import HelmFailed, OperationFailed, UsageError
from helmpin.global_flags import GROUPED, VALUES
from helmpin.helm import Flag
from helmpin.named_tuple import NamedTuple
from helmpin.password import PASSWORD

if TYPE_CHECKING:
    from helmpin.config.settings import Settings
    from helmpin.helm import Helm


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


def understand(name: str, argv: Sequence[str], helm: Helm) -> Request:
    """Split `argv` into positional arguments, helm's flags and ours, and read the settings. Takes the password out of the
    environment, and sets HELM_NAMESPACE for -nNAME. Raises UsageError, HelmFailed, OperationFailed (helm-diff is missing)."""
    secret = {PASSWORD: password} if (password := env.take_password()) else {}
    command = COMMANDS[name]
    if command.subcommands and argv and not argv[0].startswith("-") and argv[0] not in command.subcommands:
        raise _wrong_arguments(name, argv[:1])  # before an error about a plugin that is not needed
    ours = own_flags(command)
    positionals, given = split(argv, _known_flags(command, ours, argv, helm))
    if namespaces := [g for g in given if g.words[0].startswith(GROUPED)]:
        given = [g for g in given if g not in namespaces]
        env.change({VALUES[GROUPED]: namespaces[-1].value or ""})
    _check_positionals(name, command, positionals)
    own = {flag.name for flag in ours.values()}
    options = _options(command, [g for g in given if g.name in own])
    if options.get(LOGIN_STDIN) and any(_reads_stdin(g) for g in given):
        raise UsageError(
            f"--{LOGIN_STDIN} and values from `-` cannot both read standard input",
            hint=f"set the password in {PASSWORD}",
        )
    chart = _on_this_machine(chart_of(command, positionals), given, helm)
    settings = config.read(options, {**env.ENVIRON, **secret}, chart=chart)
    notes = [*settings.notes, *([f"[helm-pin] settings file: {settings.file or 'none'}"] if helm.debug else [])]
    for note in notes:
        from helmpin import output

        output.say(note)
    return Request(
        command=name,
        positionals=positionals,
        flags=[g for g in given if g.name not in own],
        options=options,
        settings=settings,
        helm=helm,
    )


def _known_flags(command: Command, ours: Mapping[str, Flag], argv: Sequence[str], helm: Helm) -> dict[str, Flag]:
    """The flags that a command takes: helm's, those of helm that its help does not show and the command line has, and ours."""
    flags = {
        GROUPED: Flag("--namespace", True),
        **{k: v for which in command.helm for k, v in _flags(helm, which).items()},
        **ours,
    }
    for word in argv:
        name = word.partition("=")[0]
        if name.startswith("--") and len(name) > 2 and name not in flags:
            flags |= helm.hidden_flag(command.helm, name)
    return flags


def _check_positionals(name: str, command: Command, positionals: Sequence[str]) -> None:
    """Raise UsageError for too few or too many words, and for words that are no names."""
    least, most = command.arguments
    if len(positionals) < least or (most >= 0 and len(positionals) > most):
        raise _wrong_arguments(name, positionals)
    if "" in positionals:
        raise UsageError(
            "there is an empty word ('') on the command line",
            hint="leave it out; in a script, a variable may be empty that must not be",
        )
    # after `--` a word may begin with a dash; helm gets it without the `--`, and would read it as a flag
    if flag_like := next((word for word in _names(command, positionals) if word.startswith("-")), ""):
        raise UsageError(f"a name cannot begin with -: {flag_like}", hint=f"see helm pin {name} --help")


def _wrong_arguments(name: str, positionals: Sequence[str]) -> UsageError:
    return UsageError(
        f"helm pin {name} takes {COMMANDS[name].usage.replace('[flags]', '').strip() or 'no arguments'}",
        why=f"got: {' '.join(positionals)}" if positionals else "got no arguments",
        hint=f"see helm pin {name} --help",
    )


def _flags(helm: Helm, which: str) -> dict[str, Flag]:
    """The flags of a helm command. Raises OperationFailed if it is a plugin's, and the plugin is not installed."""
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


def _on_this_machine(chart: str, given: Sequence[Given], helm: Helm) -> str:
    """The chart; '' if a local path of that name is not the chart, whose settings file has no say then."""
    if not (chart and (repository := last(given, "--repo"))):
        return chart
    from helmpin.chart.stage import prefers_repository

    return "" if prefers_repository(repository, helm) else chart


def _names(command: Command, positionals: Sequence[str]) -> Sequence[str]:
    """The positional arguments that are not charts."""
    if "CHART" not in command.usage or command.subcommands:
        return positionals
    return positionals[:-1] if command.arguments[1] >= 0 else ()


def chart_of_request(request: Request) -> str:
    """The one chart of a request; '' if it has none, or several."""
    return chart_of(COMMANDS[request.command], request.positionals)


def own_flags(command: Command) -> dict[str, Flag]:
    """helm-pin's own flags of a command, by each spelling."""
    found = {}
    for option in command.options:
        flag = Flag(option.name, option.kind != "switch")
        found[option.name] = flag
        if option.short:
            found[option.short] = flag
    return found


def _options(command: Command, given: Sequence[Given]) -> dict[str, Any]:
    """As Request has them. Raises UsageError."""
    values: dict[str, Any] = {}
    for option in command.options:
        mine = [g for g in given if g.name == option.name]
        _check_option(option, mine)
        values[option.name.removeprefix("--")] = _value(option, mine)
    return values


def _check_option(option: Option, mine: Sequence[Given]) -> None:
    """Raise UsageError for a value that a flag does not take, or for several of a flag that takes one."""
    for g in mine:
        # an image of one space is a placeholder that OpenShift fills in
        blank = not g.value if option.name == "--allow-unpinned" else not (g.value or "").strip()
        if option.kind != "switch" and blank:
            hint = f"leave the flag out, or give it {option.metavar or 'a value'}"
            raise UsageError(f"{option.name} is empty", hint=hint)
        if option.kind == "switch" and g.value not in (None, *TRUE, *FALSE):
            why = f"got {g.value!r}"
            raise UsageError(f"{option.name} must be true or false", why=why, hint="the flag alone means true")
        if option.choices and g.value not in option.choices:
            raise UsageError(f"{option.name} must be one of {', '.join(option.choices)}", why=f"got {g.value!r}")
    if option.kind == "value" and len({g.value for g in mine}) > 1:
        both = " and ".join(dict.fromkeys(g.value or "" for g in mine))
        raise UsageError(f"{option.name} is given twice", why=f"got {both}", hint="leave one out")


def _value(option: Option, mine: Sequence[Given]) -> Any:
    """What the command line sets an option to. None for a switch that a setting may turn on."""
    if option.kind == "list":
        return tuple(g.value or "" for g in mine)
    if option.kind == "value":
        return mine[-1].value if mine else option.default
    if not mine:
        return None if option.setting else False
    return is_on(mine, option.name)


def own_words(request: Request) -> list[str]:
    """helm-pin's own flags as they were given on the command line, in the order of the help."""
    given: list[str] = []
    for option in COMMANDS[request.command].options:
        value = request.options[option.name.removeprefix("--")]
        if option.kind == "switch":
            given += [option.name] if value else [f"{option.name}=false"] if value is False and option.setting else []
        elif option.kind == "list":
            given += [word for each in value for word in (option.name, each)]
        elif value != option.default:
            given += [option.name, value]
    return given


def release_and_chart(request: Request) -> tuple[str, str]:
    """The positional arguments [RELEASE] CHART; '' for no release."""
    *release, chart = request.positionals
    return (release[0] if release else ""), chart


def refuse_registry_flags(request: Request, when: str) -> None:
    """Raise UsageError for a flag about registries on a command line that asks none. when: completes `has no effect`.

    Settings from the environment and the file apply to all commands, so they are no error.
    """
    # --config is accepted: the settings file has more than registries
    flags = [o.name for o in (PLATFORM_OPTION, *REGISTRY_OPTIONS) if o is not CONFIG_OPTION]
    given = [name for name in flags if request.options.get(name.removeprefix("--"))]
    if given:
        raise UsageError(
            f"{given[0]} has no effect {when}",
            why=f"helm pin {request.command} asks no registry then",
            hint=f"leave out {', '.join(given)}",
        )


def refuse_suggest_when_locked(request: Request) -> None:
    """Raise UsageError for --suggest on a command line whose digests all come from a lock."""
    if request.options["suggest"] and request.settings.locked:
        raise UsageError("--suggest cannot be used with --locked", why="it asks registries", hint="leave one out")


def refuse_dry_run(request: Request, hint: str) -> None:
    """Raise UsageError for --dry-run on a command line that writes a file regardless. hint: what to do instead."""
    if dry_run(request.flags) != "none":
        raise UsageError(
            "--dry-run does not keep this command from writing", why="helm's dry run writes no file of yours", hint=hint
        )


def _reads_stdin(flag: Given) -> bool:
    """Whether helm's own flag reads standard input: `--values -`, `--set-file name=-`."""
    return flag.name in ("--values", "--set-file") and any(
        part.rpartition("=")[2].strip() == "-" for part in (flag.value or "").split(",")
    )
