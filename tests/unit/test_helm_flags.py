"""What helm's help says of its flags, and what --debug may print."""

from __future__ import annotations

from pathlib import Path

import pytest

from helmpin.errors import HelmFailed
from helmpin.helm import Flag, Helm, hide_secrets, parse_flags
from helmpin.helm_failure import helm_failed

HELP = """
Usage:
  helm upgrade [RELEASE] [CHART] [flags]

Flags:
  -f, --values strings                             specify values in a YAML file (--set x) or a URL
      --dry-run string[="client"]                  simulate an install
      --wait WaitStrategy[=watcher]                wait
  -i, --install                                    if a release by this name doesn't already exist, run an install
      --timeout duration                           time to wait (default 5m0s)
      --a
"""


def test_parse_flags() -> None:
    values, install = Flag("--values", True), Flag("--install", False)
    assert parse_flags(HELP) == {
        "-f": values,
        "--values": values,
        "--dry-run": Flag("--dry-run", False),
        "--wait": Flag("--wait", False),
        "-i": install,
        "--install": install,
        "--timeout": Flag("--timeout", True),
        "--a": Flag("--a", False),
    }


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        (["--password", "secret"], ["--password", "***"]),
        (["--password=secret"], ["--password=***"]),
        (["--set", "a.b=secret"], ["--set", "a.b=***"]),
        (["--set-string=a=secret=x"], ["--set-string=a=***"]),
        (["--set-json", '{"a":"secret"}'], ["--set-json", "***"]),
        (["--set-string", f"tag=1@sha256:{'0' * 64}"], ["--set-string", f"tag=1@sha256:{'0' * 64}"]),
        (["--set", f"a=secret,b=1@sha256:{'0' * 64}"], ["--set", "a=***"]),
        (["--set", f"a=secret=sha256:{'0' * 64}"], ["--set", "a=***"]),
        ([f"--set=image.digest={'0' * 64}"], [f"--set=image.digest={'0' * 64}"]),
        ([f"--set=session.key={'0' * 64}"], ["--set=session.key=***"]),
        (["--repo", "https://me:secret@example.com"], ["--repo", "https://***@example.com"]),
        (["--repo", "https://me:p@secret@example.com"], ["--repo", "https://***@example.com"]),
        (
            ["-f", "https://example.com/v.yaml?ref=1&private_token=secret"],
            ["-f", "https://example.com/v.yaml?ref=1&private_token=***"],
        ),
        (["--set-json", '{"a":"secret=x"}'], ["--set-json", "***"]),
        (["--set-json", "a={}"], ["--set-json", "a=***"]),
        (["--set", "secret,a=1"], ["--set", "***"]),
        (["--post-renderer-args", "--token=secret"], ["--post-renderer-args", "***"]),
        (["--kube-token", "secret"], ["--kube-token", "***"]),
        (["upgrade", "web", "-f", "values.yaml"], ["upgrade", "web", "-f", "values.yaml"]),
    ],
)
def test_hide_secrets(args: list[str], shown: list[str]) -> None:
    assert hide_secrets(args) == shown


@pytest.mark.parametrize("program", ["no-such-program", "/no/such/program"])
def test_a_program_that_is_not_found_is_named(program: str) -> None:
    with pytest.raises(HelmFailed, match="helm template could not be started") as failed:
        Helm(program).run(["template", "x"])
    assert failed.value.why == f"{program}: No such file or directory"
    assert failed.value.hint == ("" if "/" in program else f"set PATH so that {program} is found")


def test_a_program_that_may_not_be_run_is_named(tmp_path: Path) -> None:
    (program := tmp_path / "helm").touch()
    with pytest.raises(HelmFailed) as failed:
        Helm(str(program)).run(["template", "x"])
    assert (failed.value.why, failed.value.hint) == (f"{program}: Permission denied", "")


def test_no_login_of_the_command_line_is_in_a_failure() -> None:
    """Helm repeats it without the scheme by which it could be recognised."""
    error = helm_failed(["pull", "oci://me:secret@example.com/x"], 1, 'Error: invalid registry "me:secret@example.com"')
    assert error.why == 'invalid registry "***@example.com"'
