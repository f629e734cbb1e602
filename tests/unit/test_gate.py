"""Commands that must agree to images: how they are read, run, limited, and shown."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pytest

from helmpin import config, gate
from helmpin.errors import UsageError
from helmpin.gate import Gate

A, B = "quay.io/t/app:1@sha256:" + "a" * 64, "quay.io/t/app:2@sha256:" + "b" * 64


def program(folder: Path, text: str) -> str:
    """A program in Python."""
    path = folder / f"program-{len(list(folder.iterdir()))}"
    path.write_text(f"#!{sys.executable}\nimport os, sys, time, subprocess\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_each_image_is_asked_for(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = program(tmp_path, f"open({str(log)!r}, 'a').write(sys.argv[1] + '|' + sys.argv[2] + '\\n')")
    assert gate.ask(Gate((f"{command} '--name=$HOME; {{}}' {{}}",)), [A, B, A]) == {}
    assert sorted(log.read_text().splitlines()) == [f"--name=$HOME; {image}|{image}" for image in (A, B)]


def test_the_output_of_a_refusal(tmp_path: Path) -> None:
    command = program(
        tmp_path, "print('a word'); print('no signature', file=sys.stderr); sys.exit(3 if ':2@' in sys.argv[1] else 0)"
    )
    other = program(tmp_path, "sys.exit(1)")
    found = gate.ask(Gate((f"{command} {{}}",)), [A, B])
    assert list(found) == [B]
    assert found[B].splitlines()[0] == f"`{command} {B}` rejected the image (exit status 3)"
    assert sorted(found[B].splitlines()[1:]) == ["    | a word", "    | no signature"]
    both = gate.ask(Gate((f"{command} {{}}", f"{other} {{}}")), [B])[B]
    assert both.count("rejected the image") == 2


def test_in_parallel_and_within_a_time(tmp_path: Path) -> None:
    command = program(tmp_path, "time.sleep(1)")
    started = time.monotonic()
    assert gate.ask(Gate((f"{command} {{}}",)), [f"quay.io/t/app:{n}" for n in range(8)]) == {}
    assert time.monotonic() - started < 6
    slow = program(tmp_path, "subprocess.Popen(['sleep', '60']); print('begun', flush=True); time.sleep(60)")
    started = time.monotonic()
    found = gate.ask(Gate((f"{slow} {{}}",), 1.5), [A])
    assert time.monotonic() - started < 20
    assert found[A] == f"`{slow} {A}` did not finish within 1.5 s (raise --require-timeout)\n    | begun"


def test_no_output_is_lost(tmp_path: Path) -> None:
    """However many end at once."""
    command = program(tmp_path, "os.write(1, b'word\\n' * 12_000 + b'no signature\\n'); os._exit(1)")
    images = [f"quay.io/t/app:{n}" for n in range(40)]
    first, *others = gate.ask(Gate((f"{command} {{}}",)), images).values()
    assert first.splitlines()[-1] == "    | no signature"
    assert others == [
        f"`{command} {image}` rejected the image (exit status 1), in the same words" for image in images[1:]
    ]


def test_the_end_of_a_long_output_is_shown(tmp_path: Path) -> None:
    command = program(tmp_path, "sys.stdout.write('word\\n' * 1_000_000 + 'no signature\\n'); sys.exit(1)")
    lines = gate.ask(Gate((f"{command} {{}}",)), [A])[A].splitlines()
    assert lines[-2:] == ["    | word", "    | no signature"]


def test_output_is_shown_once(tmp_path: Path) -> None:
    """Also where each names its own image; and an error that is printed twice, as cosign does."""
    twice = "Error: no signatures: none\\nerror during command execution: no signatures: none"
    text = f"print('checking', sys.argv[1])\nif ':3@' not in sys.argv[1]: print('{twice}')\nsys.exit(10)"
    command = program(tmp_path, text)
    other = "quay.io/t/app:3@sha256:" + "c" * 64
    found = gate.ask(Gate((f"{command} {{}}", f"{command} {{}}")), [A, B, other])
    assert found[A].splitlines()[:3] == [
        f"`{command} {A}` rejected the image (exit status 10)",
        f"    | checking {A}",
        "    | Error: no signatures: none",
    ]
    assert found[B] == "\n".join([f"`{command} {B}` rejected the image (exit status 10), in the same words"] * 2)
    assert found[other].splitlines()[:2] == [
        f"`{command} {other}` rejected the image (exit status 10)",
        f"    | checking {other}",
    ]


def test_long_output_is_cut_and_odd_bytes_are_shown(tmp_path: Path) -> None:
    command = program(tmp_path, "sys.stdout.buffer.write(b'\\xff\\n' + b'line\\n' * 100); sys.exit(1)")
    assert len(gate.ask(Gate((f"{command} {{}}",)), [A])[A].splitlines()) == gate.MOST_LINES + 1


def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/nonexistent/interpreter\n")
    broken.chmod(0o755)
    assert "could not be started" in gate.ask(Gate((f"{broken} {{}}",)), [A])[A]


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("true", "must have {}"),
        ("true '{}", "cannot be read"),
        ("/nonexistent/x {}", "there is no program that can be run at /nonexistent/x"),
        ("./gate.sh {}", "there is no program that can be run at ./gate.sh"),
        ("'/opt/my tools/check' {}", "there is no program that can be run at '/opt/my tools/check'"),
        ("gate.sh {}", "there is no program gate.sh on PATH"),
        ("", "must have {}"),
    ],
)
def test_what_is_no_command(command: str, why: str) -> None:
    with pytest.raises(UsageError) as refused:
        gate.check([command], "--require")
    assert why in f"{refused.value.what}: {refused.value.why}"


SECRETS = [
    ("scan --registry-token S --k8s-password=S {}", "scan --registry-token *** --k8s-password=*** {}"),
    ("scan --password 'my S' {}", "scan --password *** {}"),
    ('scan --password="my S" {}', "scan --password=*** {}"),
    ("scan '--token=my S'  {}", "scan --token=***  {}"),
    ("scan '--token' my\\ S {}", "scan '--token' *** {}"),
    ("scan --oauth2-bearer S -p S {}", "scan --oauth2-bearer *** -p *** {}"),
    ("env GH_PAT='my S' scan image {}", "env GH_PAT=*** scan image {}"),
    ("curl -H 'Authorization: Bearer S' {}", "curl -H *** {}"),
    ("curl '-HAuthorization: S' --header='X-Auth: S' {}", "curl -H*** --header=*** {}"),
    ("curl -u me:S {} --user=me:S", "curl -u *** {} --user=***"),
    ("curl -ume:S -fsSu me:S {}", "curl -u*** -f*** *** {}"),
    ("curl https://me:S@example.com/{}", "curl ***{}"),
    ("curl --url=https://example.com/?image={}&access_key=S", "curl --url=***{}***"),
    ("sh -c 'scan --token S \"$1\"' _ {}", "sh -c *** _ {}"),
    ("sh -c 'TOKEN=S scan \"$1\"' _ {}", "sh -c TOKEN=*** _ {}"),
    ("scan S {}", "scan *** {}"),
    ("scan --key S {}", "scan --key *** {}"),
]


@pytest.mark.parametrize(("typed", "shown"), SECRETS)
def test_what_may_be_a_secret_is_hidden(typed: str, shown: str) -> None:
    assert Gate((re.sub(r"\bS\b", "hunter2", typed),)).shown == (shown,)


@pytest.mark.parametrize(
    "command",
    [
        "cosign verify --certificate-identity-regexp '.*@example.com$' --certificate-oidc-issuer=https://example.com {}",
        "trivy image --exit-code 1 --severity CRITICAL,HIGH --ignore-unfixed {}",
        "grype --fail-on high docker:{}",
        "skopeo inspect docker://{}",
        "/opt/scan -q {}",
    ],
)
def test_what_a_command_demands_is_shown(command: str) -> None:
    assert Gate((command,)).shown == (command,)


def test_files_are_shown(tmp_path: Path) -> None:
    key = tmp_path / "my key.pub"
    key.touch()
    command = f"cosign verify --key '{key}' --certificate-chain='{key}' {{}}"
    assert Gate((command,)).shown == (command,)
    key.unlink()
    assert Gate((command,)).shown == ("cosign verify --key *** --certificate-chain=*** {}",)


@pytest.mark.parametrize("command", ["scan --token=secret", "TOKEN=secret scan {}", "scan --token='secret {}"])
def test_an_error_shows_no_secret(command: str) -> None:
    with pytest.raises(UsageError) as failed:
        gate.check([command], "--require")
    assert "secret" not in failed.value.message()


class TestSettings:
    def read(self, tmp_path: Path, options: dict[str, object], **environ: str) -> Gate:
        return config.read({"require": (), "require-timeout": None, **options}, environ, tmp_path).gate

    def test_an_empty_command_is_no_wish_for_none(self, tmp_path: Path) -> None:
        for options, environ in (
            ({"require": ("",)}, {}),
            ({"require": (" ",)}, {}),
            ({}, {"HELM_PIN_REQUIRE": " \n"}),
        ):
            with pytest.raises(UsageError, match="a required command is empty"):
                self.read(tmp_path, {**options}, **environ)
        assert self.read(tmp_path, {}, HELM_PIN_REQUIRE="") == Gate()

    def test_flag_and_environment(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, {}) == Gate()
        both = self.read(tmp_path, {}, HELM_PIN_REQUIRE="true {}\n\nfalse a {}\n", HELM_PIN_REQUIRE_TIMEOUT="5s")
        assert both == Gate(("true {}", "false a {}"), 5.0)
        assert self.read(tmp_path, {"require": ("true {}",)}, HELM_PIN_REQUIRE="false {}").commands == ("true {}",)

    def test_never_the_file(self, tmp_path: Path) -> None:
        (tmp_path / ".helm-pin.yaml").write_text("require: ['true {}']\n")
        with pytest.raises(UsageError, match="require cannot be set in") as failed:
            self.read(tmp_path, {})
        assert failed.value.hint == "use --require or HELM_PIN_REQUIRE"

    def test_a_command_without_the_flag(self, tmp_path: Path) -> None:
        assert config.read({}, {"HELM_PIN_REQUIRE": "nonsense"}, tmp_path).gate == Gate()
