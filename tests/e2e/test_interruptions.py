"""A release that is stopped in the middle is what plain helm would have left, or untouched; nothing else is left, and it is said.

Every stage, signal, receiver and command, with HELM_PIN_TEST_LONG=1; else some of each.
"""

from __future__ import annotations

import os
import pty
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from scripts.devtools import images
from scripts.devtools.api import Cluster
from tests.conftest import HELMS, own_namespace
from tests.support.interruptions import CHART, Stage, eventually, running, silence
from tests.support.twins import UNVALIDATED
from tests.support.workstation import Workstation

ALL = bool(os.environ.get("HELM_PIN_TEST_LONG"))
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
TARGETS = ("group", "helm-pin", "helm")
COMMANDS = ("upgrade", "install", "rollback")
_ends: dict[tuple[Path, Case, bool], list[str]] = {}
"""How plain helm's releases ended that were interrupted so far."""


class Case(NamedTuple):
    """One interruption."""

    command: str
    stage: str
    signum: signal.Signals
    target: str
    atomic: bool = False

    def __str__(self) -> str:
        return f"{self.command}{'-atomic' * self.atomic}-{self.stage}-{self.signum.name}-{self.target}"


def before_it_deploys() -> Iterator[Case]:
    for target in TARGETS:
        for signum in SIGNALS:
            yield Case("upgrade", "asks-registry", signum, target)
            yield Case("install", "renders", signum, target)


def while_it_deploys() -> Iterator[Case]:
    for target in TARGETS:
        for signum in SIGNALS:
            for command in COMMANDS:
                for stage in ("waits", "runs-hook"):
                    yield Case(command, stage, signum, target)
                    if command != "rollback":
                        yield Case(command, stage, signum, target, atomic=True)


SOME = {
    "helm3": [
        Case("upgrade", "asks-registry", signal.SIGTERM, "helm"),
        Case("upgrade", "asks-registry", signal.SIGINT, "group"),
        Case("install", "renders", signal.SIGKILL, "helm-pin"),
        Case("upgrade", "waits", signal.SIGTERM, "helm-pin"),
        Case("upgrade", "runs-hook", signal.SIGKILL, "helm-pin"),
        Case("upgrade", "waits", signal.SIGINT, "group", atomic=True),
        Case("install", "waits", signal.SIGTERM, "helm", atomic=True),
        Case("rollback", "runs-hook", signal.SIGTERM, "group"),
    ],
    "helm4": [
        Case("upgrade", "asks-registry", signal.SIGKILL, "helm"),
        Case("upgrade", "asks-registry", signal.SIGTERM, "group"),
        Case("install", "renders", signal.SIGKILL, "group"),
        Case("upgrade", "waits", signal.SIGINT, "group"),
        Case("upgrade", "waits", signal.SIGHUP, "helm-pin"),
        Case("upgrade", "waits", signal.SIGKILL, "helm"),
        Case("upgrade", "runs-hook", signal.SIGINT, "group", atomic=True),
        Case("rollback", "waits", signal.SIGKILL, "helm-pin"),
    ],
}


def cases(generated: Callable[[], Iterator[Case]]) -> pytest.MarkDecorator:
    """All of them with each helm, or some."""
    these = list(generated())
    chosen = [(helm, case) for helm in HELMS for case in (these if ALL else [c for c in SOME[helm] if c in these])]
    return pytest.mark.parametrize(("helm_name", "case"), chosen, indirect=["helm_name"], ids=str)


@pytest.fixture(scope="module")
def chart(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chart") / "web"
    images.push(cluster.registry, "interrupted", "latest", "A")
    for name, text in CHART.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.replace("REPOSITORY", f"{cluster.registry}/interrupted"))
    return folder


@pytest.fixture
def stage(in_cluster: Workstation, cluster: Cluster, unique: str, chart: Path) -> Stage:
    return Stage(in_cluster, cluster, unique, chart, pin=True)


@cases(before_it_deploys)
def test_before_it_deploys(stage: Stage, tmp_path: Path, case: Case) -> None:
    """Nothing is deployed: not then, and not later."""
    if case.command == "upgrade":
        stage._replace(pin=False).must("upgrade", "--install", "web", str(stage.chart))
    before, scratch = stage.statuses(), tmp_path / "scratch"
    with silence() as (registry, asked):
        slow = [f"--set=other={registry}/x:1"] if case.stage == "asks-registry" else ["--set=rounds=1000000"]
        with running(stage.machine, scratch, ["pin", case.command, "web", str(stage.chart), UNVALIDATED, *slow]) as run:
            if case.stage == "asks-registry":
                connection = asked()
            else:
                eventually(lambda: run.inner("template"))
            run.signal(case.target, case.signum)
            run.end(10)
            if case.stage == "asks-registry":
                connection.close()
    assert stage.statuses() == before
    assert "Traceback" not in run.said
    if case.signum != signal.SIGKILL and case.target != "helm":
        assert "Stopped: nothing was deployed." in run.said
    nothing_is_left(stage, case, scratch)


@cases(while_it_deploys)
def test_while_it_deploys(stage: Stage, tmp_path: Path, case: Case) -> None:
    """The release ends as that of a plain helm which gets the signal that the deploying helm gets."""
    said, scratch = interrupt(stage, case, tmp_path / "scratch")
    survives = case.target == "helm-pin" and case.signum == signal.SIGKILL
    passed_on = signal.SIGTERM if case.target == "helm" or case.signum == signal.SIGHUP else case.signum
    same = case._replace(target="helm", signum=case.signum if case.target == "group" else passed_on)
    ends = [as_plain_helm(stage, same, tmp_path, to_the_end=survives)]
    if case.signum == signal.SIGHUP and case.target == "group":
        # SIGHUP kills helm at once, and helm-pin asks it to stop at the same time: it may just manage to say how it ended
        ends.append([status if "pending" not in status else "failed" for status in ends[0]])
    assert stage.statuses() in ends
    assert stage.false_records(since=2 if case.command == "upgrade" and not case.atomic else 1) == []
    assert "Traceback" not in said
    if case.signum != signal.SIGKILL and case.target != "helm":
        number = {"install": 1, "upgrade": 2, "rollback": 3}[case.command]
        assert f"Stopped: {f'revision {number} is' if stage.statuses() else 'there is no release web.'}" in said
    nothing_is_left(stage, case, scratch)


def test_ctrl_c_where_helm_leads_the_terminal(stage: Stage) -> None:
    """As by `ssh -t HOST helm …`: the helm that the user started dies of it at once, and the kernel then hangs up on the others.
    The next upgrade goes on from there."""
    install = ["upgrade", "--install", "web", str(stage.chart), UNVALIDATED]
    helm, arguments = str(stage.machine.helm_binary), ["pin", *install, "--set=hook=true", "--timeout=60s"]
    leader, terminal = pty.fork()
    if not leader:
        os.execve(helm, [helm, *arguments], dict(stage.machine.env))
    try:
        eventually(stage.has_hook)
        time.sleep(0.5)
        os.write(terminal, b"\x03")
        os.waitpid(leader, 0)
        eventually(lambda: stage.statuses() == ["failed"])
    finally:
        os.close(terminal)
    stage.must("upgrade", "--install", "web", str(stage.chart), "--reset-values")
    assert stage.statuses() == ["superseded", "deployed"]


def as_plain_helm(stage: Stage, case: Case, folder: Path, *, to_the_end: bool) -> list[str]:
    """How the same ends in another namespace, for helm without helm-pin: each is tried once."""
    key = (stage.machine.helm_binary, case, to_the_end)
    if key not in _ends:
        name = f"{stage.namespace}-plain"
        with own_namespace(stage.machine, stage.cluster, name, folder / "plain") as machine:
            plain = Stage(machine, stage.cluster, name, stage.chart, pin=False)
            interrupt(plain, case, folder / "scratch-plain", to_the_end=to_the_end)
            _ends[key] = plain.statuses()
    return _ends[key]


def interrupt(stage: Stage, case: Case, scratch: Path, *, to_the_end: bool = False) -> tuple[str, Path]:
    """Deploy, and send the signal when it has come to the stage; or, to_the_end, none."""
    chart, hook = str(stage.chart), ["--set=hook=true"] if case.stage == "runs-hook" else []
    stuck = ["--set=turn=2", *(hook or ["--set=gated=true"])]
    if case.command == "rollback":
        stage.must("upgrade", "--install", "web", chart, *stuck, *(["--no-hooks"] if hook else []))
        stage.must("upgrade", "web", chart, "--reset-values", "--set=turn=3")
        eventually(lambda: not stage.waits("2"))
        arguments = ["rollback", "web", "1", "--wait", "--timeout=60s"]
    else:
        if case.command == "upgrade":
            first = stage if case.atomic else stage._replace(pin=False)  # an atomic one goes back to it
            first.must("upgrade", "--install", "web", chart)
        atomic = ["--rollback-on-failure" if stage.machine.helm4 else "--atomic"] if case.atomic else []
        arguments = [case.command, "web", chart, UNVALIDATED, *stuck, "--wait", "--timeout=60s", *atomic]
    with running(stage.machine, scratch, [*stage.tool, *arguments]) as run:
        eventually(stage.has_hook if hook else lambda: stage.waits("2") and "pending" in stage.statuses()[-1])
        time.sleep(0.5)
        if not to_the_end:
            run.signal(case.target, case.signum)
        if to_the_end or (stage.pin and case.signum == signal.SIGKILL and case.target == "helm-pin"):
            time.sleep(0.5)
            stage.open_gates()
        run.end()
    return run.said, scratch


def nothing_is_left(stage: Stage, case: Case, scratch: Path) -> None:
    """No file: or, when all was killed, none after the next run."""
    if case.signum == signal.SIGKILL and case.target == "group":
        stage.machine.with_env(TMPDIR=str(scratch)).helm("pin", "template", "web", str(stage.chart))
    eventually(lambda: list(scratch.iterdir()) == [], 5)
