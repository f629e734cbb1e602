"""A person's machine: one real helm with helm-pin installed, homes of its own, and nothing of the real machine's."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scripts.devtools.binaries import tools
from tests.support.fork_server import MAIN
from tests.support.forked import fork_server

CHECKOUT = Path(__file__).parents[2]
GLOBAL = (
    "-n",
    "--namespace",
    "--kube",
    "--debug",
    "--registry-config",
    "--repository-",
    "--burst",
    "--qps",
    "--colo",
    "--content",
)
"""How helm's global flags begin (`helm --help`)."""
FOREIGN = ("HELM_", "KUBECONFIG", "DOCKER_", "REGISTRY_")
"""How the names of variables begin that would let the machine's own settings in."""


whichever_helm = pytest.mark.whichever_helm
"""
For what Helm's version has no part in: how a thing that was read is judged and told. Each case of such a test runs on one Helm,
about as many on either; on all with HELM_PIN_TEST_LONG=1. What is Helm's own runs on all: the main job, faults, flags, plugins,
packages, and, as properties, reused values and what a render changes.
"""


class Finished(NamedTuple):
    """A command that ended."""

    status: int
    stdout: str
    stderr: str


class Workstation(NamedTuple):
    """Runs helm, `helm pin` and kubectl in one environment."""

    helm_binary: Path
    env: Mapping[str, str]
    is_forked: bool = False
    """Whether `pin` spares the start of helm and Python."""
    is_counted: bool = False
    """Whether the branches that a forked helm-pin takes are counted."""

    @property
    def helm4(self) -> bool:
        """Whether this is Helm 4."""
        return "helm-4" in self.helm_binary.name

    def run(self, *command: object, cwd: Path | None = None, timeout: float = 120) -> Finished:
        """Run any command, with nothing on its standard input."""
        done = subprocess.run(
            [str(part) for part in command],
            env=self.env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def pin(self, *args: object, cwd: Path | None = None) -> Finished:
        """`helm pin ARGS`, however it ends."""
        # flags of helm itself before and after the command are for it to read
        if self.is_forked and not any(str(arg).startswith(GLOBAL) for arg in args):
            return self.with_env(**_handed_on(self, cwd)).forked(*args, cwd=cwd)
        return self.run(self.helm_binary, "pin", *args, cwd=cwd)

    def forked(self, *args: object, cwd: Path | None = None, timeout: float = 120, main: str = MAIN) -> Finished:
        """`helm pin ARGS` without the time that helm and Python's imports take, however it ends: see tests/support/forked.py."""
        # without the machine's own authorities, which take a quarter of what helm-pin computes and which no server here needs
        own = {"HELM_BIN": str(self.helm_binary), "SSL_CERT_FILE": os.devnull}
        env, argv = {**own, **self.env}, [str(arg) for arg in args]
        status, out, err = fork_server(is_counted=self.is_counted).run(argv, env, cwd, timeout, main)
        return Finished(status, out.decode(), err.decode())

    def helm(self, *args: object) -> str:
        """`helm ARGS`, which must succeed; its standard output."""
        return self._must(self.helm_binary, *args)

    def kubectl(self, *args: object) -> str:
        """`kubectl ARGS`, which must succeed; its standard output."""
        return self._must("kubectl", *args)

    def _must(self, *command: object) -> str:
        done = self.run(*command)
        assert done.status == 0, f"{' '.join(map(str, command))} ended with {done.status}:\n{done.stderr}{done.stdout}"
        return done.stdout

    def with_env(self, **more: str) -> Workstation:
        """The same machine with more in its environment."""
        return self._replace(env={**self.env, **more})


def _handed_on(machine: Workstation, cwd: Path | None) -> dict[str, str]:
    """What a helm hands on to its plugins, which is what it says of itself.

    Of a kubeconfig it takes the namespace alone, and of helm-pin's settings nothing: it is asked once for all that differ in these.
    """
    env = {name: value for name, value in machine.env.items() if not name.startswith("HELM_PIN_")}
    chosen = {"HELM_NAMESPACE", "HELM_KUBECONTEXT"} & env.keys()
    namespace = "" if chosen else _namespace_of_the_only_context(env.get("KUBECONFIG", ""))
    if namespace:
        env["KUBECONFIG"] = os.devnull
    told = _said_of_itself(machine.helm_binary, frozenset(env.items()), cwd)
    return {**told, "HELM_NAMESPACE": namespace} if namespace else told


def _namespace_of_the_only_context(kubeconfig: str) -> str:
    """'' for another kubeconfig than those that tests write (Cluster.write_kubeconfig), and where there is none."""
    try:
        config = json.loads(Path(kubeconfig).read_text())
        ((name, context),) = [(each["name"], each["context"]) for each in config["contexts"]]
        return str(context["namespace"]) if name == config["current-context"] else ""
    except (OSError, ValueError, LookupError, TypeError):
        return ""


@cache
def _said_of_itself(helm_binary: Path, env: frozenset[tuple[str, str]], cwd: Path | None) -> dict[str, str]:
    told = Workstation(helm_binary, dict(env)).run(helm_binary, "env", cwd=cwd)
    assert told.status == 0, told.stderr
    rows = (line.partition("=") for line in told.stdout.splitlines())
    return {name: value.strip('"') for name, _, value in rows}


def environment() -> dict[str, str]:
    """This process's environment without what would let the machine's own settings in."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(FOREIGN) or name == "HELM_PIN_CACHE"
    }


def install(helm_binary: Path, home: Path) -> Workstation:
    """A new machine in a folder, on which helm-pin is installed from this checkout by `helm plugin install`."""
    env = environment()
    env |= {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("DATA", "CONFIG", "CACHE")}
    env |= {"PATH": f"{tools()}:{os.environ['PATH']}", "KUBECONFIG": str(home / "no-kubeconfig")}
    machine = Workstation(helm_binary, env)
    machine.helm("plugin", "install", CHECKOUT)
    # Only now: what pip downloaded for the install comes from the cache of the real home.
    return machine.with_env(HOME=str(home))


def without_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user is one who has no home: neither HOME nor an entry in the password database, as in some containers."""

    def unknown(uid: int) -> Any:
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
