"""A flag that a command would ignore is a usage error that names it. No helm is started to find out."""

from __future__ import annotations

from pathlib import Path

import pytest

from helmpin.command_table import COMMANDS
from helmpin.commands import audit, diff, lint, lock, plan, rollback, verify
from helmpin.errors import HelmFailed, UsageError
from helmpin.helm import Flag, Helm
from helmpin.help_text import command_help
from helmpin.request import understand

NOT_THERE = Helm("/nonexistent/helm")


@pytest.mark.parametrize("command", ["verify", "history", "audit"])
@pytest.mark.parametrize(
    "flag",
    [
        "--show-resources",
        "--show-desc",
        "--show-rollback-revision",
        "--burst-limit=5",
        "--qps=1",
        "--color=never",
    ],
)
def test_helms_flags_that_are_not_passed_on(command: str, flag: str) -> None:
    release = [] if command == "audit" else ["web"]
    with pytest.raises(UsageError, match=f"unknown flag: {flag.partition('=')[0]}"):
        understand(command, [*release, flag], NOT_THERE)


def test_help_promises_only_what_is_passed_on() -> None:
    for name, command in COMMANDS.items():
        assert ("Every flag of helm" in command_help(name)) is bool(command.helm)


REGISTRY = [
    ["--registry-mirror", "docker.io=https://mirror.example"],
    ["--registry-plain-http", "registry.example"],
    ["--registry-ca-file", "ca.pem"],
    ["--registry-timeout", "3s"],
]


@pytest.mark.parametrize("flags", REGISTRY, ids=lambda flags: flags[0])
def test_registry_flags_where_no_registry_is_asked(flags: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Helm, "flags", lambda *_: {})  # of helm rollback: none is given
    for run, name, argv in (
        (rollback.run, "rollback", ["web", *flags]),
        (verify.run, "verify", ["web", "--no-registry", *flags]),
        (audit.run, "audit", flags),
        (lint.run, "lint", ["chart", *flags]),
    ):
        with pytest.raises(UsageError, match=f"{flags[0]} has no effect with"):
            run(understand(name, argv, NOT_THERE))


@pytest.mark.parametrize(
    ("argv", "what"),
    [
        (["--wait"], "--wait has no effect on lint"),
        (["--fix", "--generate-name"], "--generate-name has no effect on lint"),
        (["--suggest", "--locked"], "--suggest cannot be used with --locked"),
        (["--fix", "--suggest", "--locked"], "--suggest cannot be used with --locked"),
    ],
)
def test_flags_of_lint(argv: list[str], what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Helm, "flags", lambda *_: {name: Flag(name, False) for name in ("--wait", "--generate-name")})
    with pytest.raises(UsageError, match=f"^{what}$"):
        lint.run(understand("lint", ["chart", *argv], NOT_THERE))


@pytest.mark.parametrize(
    "argv", [["--names"], ["--partial", "-o", "json"], ["--names", "-o", "kustomize"], ["--partial", "-o", "images"]]
)
def test_flags_of_what_plan_prints_for_others(argv: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Helm, "flags", lambda *_: {})
    with pytest.raises(UsageError, match=f"^{argv[0]} has no effect without -o values"):
        plan.run(understand("plan", ["./chart", *argv], NOT_THERE))


def test_platforms_are_asked_of_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--platform has no effect with --no-registry"):
        verify.run(understand("verify", ["web", "--no-registry", "--platform", "linux/arm64"], NOT_THERE))
    monkeypatch.setattr(Helm, "flags", lambda *_: {})
    with pytest.raises(UsageError, match="--platform has no effect on diff rollback"):
        diff.run(understand("diff", ["rollback", "web", "--platform", "linux/arm64"], NOT_THERE))


@pytest.mark.parametrize(
    ("command", "flag"),
    [("verify", "--lock"), ("verify", "--manifest"), ("lock", "--file"), ("lint", "--lock"), ("plan", "--lock")],
)
def test_one_file_to_judge_by(command: str, flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two, none is passed over without a word; the same twice, as an alias may have it, is one."""
    monkeypatch.setattr(Helm, "flags", lambda *_: {})
    with pytest.raises(UsageError, match=f"{flag} is given twice") as caught:
        understand(command, ["web", flag, "a", f"{flag}=b"], NOT_THERE)
    assert caught.value.why == "got a and b"
    assert understand(command, ["web", flag, "a", flag, "a"], NOT_THERE).options[flag.removeprefix("--")] == "a"


def test_no_value_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one could open a gate that a wrapper has closed."""
    monkeypatch.setattr(Helm, "flags", lambda *_: {})
    with pytest.raises(UsageError, match="--mutable is given twice"):
        understand("plan", ["web", "./chart", "--mutable", "refuse", "--mutable=pin"], NOT_THERE)


def test_pull_secrets_are_of_one_namespace() -> None:
    with pytest.raises(UsageError, match="unknown flag: --pull-secrets"):
        understand("audit", ["--registry", "--pull-secrets"], NOT_THERE)


def test_settings_of_the_environment_are_for_all_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_PIN_REGISTRY_MIRROR", "docker.io=https://mirror.example")
    monkeypatch.setenv("HELM_PIN_PULL_SECRETS", "true")
    request = understand("audit", [], NOT_THERE)
    assert request.settings.registry.mirrors == (("docker.io", "https://mirror.example"),)
    with pytest.raises(HelmFailed, match="could not be started"):  # it went on as far as that
        verify.run(understand("verify", ["web", "--no-registry"], NOT_THERE))


@pytest.mark.parametrize("value", ["no", "off", "maybe", "", "FaLsE"])
def test_a_switch_with_another_value_than_pflag_takes(value: str) -> None:
    """It must not count as on: --fix and --prune write and delete."""
    with pytest.raises(UsageError, match="--prune must be true or false"):
        understand("keep", ["web", f"--prune={value}"], NOT_THERE)
    assert not understand("keep", ["web", "--prune=F"], NOT_THERE).options["prune"]


def test_a_dry_run_of_what_writes_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Helm, "flags", lambda *_: {"--dry-run": Flag("--dry-run", False)})
    monkeypatch.chdir(tmp_path)
    for flag in ("--dry-run", "--dry-run=server"):
        for run, argv in ((lock.run, ["lock", "./chart"]), (lint.run, ["lint", "--fix", "./chart"])):
            with pytest.raises(UsageError, match="--dry-run does not keep this command from writing"):
                run(understand(argv[0], [*argv[1:], flag], NOT_THERE))
    with pytest.raises(HelmFailed):  # the chart is not there
        lock.run(understand("lock", ["./chart", "--no-cluster", "--dry-run=none"], NOT_THERE))


@pytest.mark.parametrize("name", ["/dev/null", "-"])
def test_a_lock_is_a_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Helm, "flags", lambda *_: {})
    with pytest.raises(UsageError, match="a lock"):
        lock.run(understand("lock", ["./chart", "--file", name], NOT_THERE))
