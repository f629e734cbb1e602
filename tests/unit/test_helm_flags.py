"""What helm's help says of its flags, and what --debug may print."""

from __future__ import annotations

from pathlib import Path

import pytest

from helmpin.errors import HelmFailed
from helmpin.helm import Flag, Helm, hide_secrets, parse_flags

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
