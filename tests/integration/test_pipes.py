"""Bytes and pipes: what helm prints comes through as it is, and standard output may be closed, full, slow, or without a reader."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from scripts.devtools import images
from tests.support.charts import write_chart
from tests.support.registry_servers import Server
from tests.support.workstation import CHECKOUT, Workstation, whichever_helm

LATIN_1_CRD = b"""\
# caf\xe9 \xff\xfe
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  names: {kind: Thing, plural: things}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, properties: {image: {type: string}}}}
"""
COMMANDS = [
    ["--version"],
    ["--help"],
    ["template", "x", "CHART"],
    ["plan", "x", "CHART", "-o", "json"],
    ["lint", "CHART"],
]
EACH_WAY = pytest.mark.parametrize("command", COMMANDS[::2], ids=lambda c: c[0])
"""One prints by itself, one what helm prints, and one has an exit status of its own: all commands write to the same streams."""


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory, registry: Server) -> Path:
    """Forty pods of one image, some 80 KB: more than a pipe holds."""
    digest = images.push(registry.host, "pipes/many", "latest", "A")
    assert digest
    pods = "{{ range until 40 }}\n---\napiVersion: v1\nkind: Pod\n"
    pods += "metadata: {name: 'p{{ . }}', annotations: {long: '{{ repeat 2000 \"y\" }}'}}\n"
    pods += "spec: {containers: [{name: a, image: '{{ $.Values.image }}'}]}\n{{ end }}"
    folder = tmp_path_factory.mktemp("charts") / "many"
    return write_chart(folder, pods, f"image: {registry.host}/pipes/many:latest\n")


def shell(machine: Workstation, script: str, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    """Run a script, with helm as $0."""
    command = ["bash", "-o", "pipefail", "-c", script, machine.helm_binary, *arguments]
    return subprocess.run([str(part) for part in command], env=machine.env, capture_output=True, timeout=60)


def with_chart(command: list[str], chart: Path) -> list[str]:
    return [str(chart) if word == "CHART" else word for word in command]


@whichever_helm
class TestStandardOutput:
    @pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c[0])
    def test_a_full_one_is_an_error(self, workstation: Workstation, chart: Path, command: list[str]) -> None:
        done = shell(workstation, '"$0" pin "$@" >/dev/full', *with_chart(command, chart))
        assert b"Error: cannot write to standard output\n  why   No space left on device\n" in done.stderr
        assert done.returncode in (1, 3)  # lint has found something as well
        assert b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr

    @EACH_WAY
    def test_a_closed_one_is_an_error(self, workstation: Workstation, chart: Path, command: list[str]) -> None:
        """Where it comes closed, that is: a program that is written in Go opens it for what it starts."""
        machine = workstation.with_env(HELM_BIN=str(workstation.helm_binary))
        done = shell(machine, '"$1/bin/helm-pin" "${@:2}" >&-', CHECKOUT, *with_chart(command, chart))
        assert b"Error: cannot write to standard output\n  why   Bad file descriptor\n" in done.stderr
        assert done.returncode in (1, 3)
        assert b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr

    @EACH_WAY
    def test_one_without_a_reader_ends_it_quietly(
        self, workstation: Workstation, chart: Path, command: list[str]
    ) -> None:
        """As it ends helm: 128 and SIGPIPE. That lint has found something counts more."""
        machine = workstation.with_env(HELM_BIN=str(workstation.helm_binary))
        here, there = os.pipe()
        os.close(here)
        try:
            done = subprocess.run(
                [CHECKOUT / "bin/helm-pin", *with_chart(command, chart)], env=machine.env, stdout=there, stderr=-1
            )
        finally:
            os.close(there)
        assert done.returncode == (3 if command[0] == "lint" else 141)
        assert b"Error" not in done.stderr and b"Traceback" not in done.stderr and b"ignored" not in done.stderr

    @EACH_WAY
    def test_messages_that_cannot_be_written_are_no_failure(
        self, workstation: Workstation, chart: Path, command: list[str]
    ) -> None:
        """In whatever way, where there are some."""
        machine = workstation.with_env(HELM_BIN=str(workstation.helm_binary))
        whole = shell(machine, '"$1/bin/helm-pin" "${@:2}"', CHECKOUT, *with_chart(command, chart))
        for how in ("2>/dev/full", "2>&-", "2> >(true)") if command[0] == "template" else ("2>/dev/full",):
            done = shell(machine, f'"$1/bin/helm-pin" "${{@:2}}" {how}', CHECKOUT, *with_chart(command, chart))
            assert (done.returncode, done.stdout) == (whole.returncode, whole.stdout), how


def test_head_takes_a_line(workstation: Workstation, chart: Path) -> None:
    done = shell(workstation, '"$0" pin template x "$1" | head -1; echo "${PIPESTATUS[@]}"', chart)
    assert done.stdout == b"---\n141 0\n"
    assert b"Traceback" not in done.stderr


@whichever_helm
def test_a_slow_reader_of_a_pipe_that_does_not_block(workstation: Workstation, chart: Path) -> None:
    """As node.js leaves it for those who share its pipes."""
    block = "import os, sys; os.set_blocking(1, False); os.execvp(sys.argv[1], sys.argv[1:])"
    slow = 'python3 -c "$1" "$0" pin template x "$2" | (sleep 3; cat)'
    done = shell(workstation, slow, block, chart)
    assert (done.returncode, done.stdout.count(b"kind: Pod")) == (0, 40), done.stderr


def test_bytes_that_are_not_utf8(workstation: Workstation, tmp_path: Path) -> None:
    chart = write_chart(tmp_path / "crd", "")
    (chart / "crds").mkdir()
    (chart / "crds/things.yaml").write_bytes(LATIN_1_CRD)
    plain = shell(workstation, '"$0" template x "$1" --include-crds', chart)
    pinned = shell(workstation, '"$0" pin template x "$1" --include-crds', chart)
    assert b"caf\xe9 \xff\xfe" in plain.stdout
    assert (pinned.returncode, pinned.stdout.rstrip()) == (0, plain.stdout.rstrip()), pinned.stderr


@whichever_helm
def test_a_line_of_nine_megabytes(workstation: Workstation, tmp_path: Path) -> None:
    line = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: long}\ndata: {x: '{{ repeat 9000000 \"y\" }}'}\n"
    chart = write_chart(tmp_path / "long", line)
    done = shell(workstation, '"$0" pin template x "$1"', chart)
    assert (done.returncode, done.stdout.count(b"y" * 9_000_000)) == (0, 1), done.stderr


@whichever_helm
def test_no_standard_input(workstation: Workstation, chart: Path) -> None:
    done = shell(workstation, '"$0" pin template x "$1" <&-', chart)
    assert (done.returncode, done.stdout.count(b"kind: Pod")) == (0, 40), done.stderr


@whichever_helm
@pytest.mark.parametrize("flags", [[], ["--include-crds"]], ids=["", "crds"])
@pytest.mark.parametrize(
    "template", ["", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n\n"], ids=["nothing", "some"]
)
def test_a_chart_without_images_is_printed_as_helm_prints_it(
    workstation: Workstation, tmp_path: Path, template: str, flags: list[str]
) -> None:
    chart = write_chart(tmp_path / "none", template)
    (chart / "crds").mkdir()
    (chart / "crds/things.yaml").write_bytes(LATIN_1_CRD.decode("latin-1").encode())
    plain = workstation.helm("template", "x", chart, *flags)
    done = workstation.pin("template", "x", chart, *flags)
    assert (done.status, done.stdout) == (0, plain), done.stderr
