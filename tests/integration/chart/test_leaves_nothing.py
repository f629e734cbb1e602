"""Nothing of a staged chart stays behind, however the command ends."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from helmpin.chart.stage import ChartSource, stage
from helmpin.helm import Helm
from tests.support.charts import MakeChart
from tests.support.uncounted import UNCOUNTED

ROOT = Path(__file__).parents[3]


def wait_for(what: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """process: what must not end before."""
    for _ in range(200):
        if what():
            return
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("it did not come so far in ten seconds")


def start(helm: Helm, scratch: Path, *arguments: str) -> subprocess.Popen[str]:
    """helm-pin in a process group of its own, as a shell would start it, with a TMPDIR of its own."""
    scratch.mkdir()
    env = {**UNCOUNTED, "HELM_BIN": helm.binary, "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "helmpin", *arguments],
        env=env,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("to_all", [True, False], ids=["whole group", "helm-pin alone"])
def test_a_signal_while_helm_pulls(helm: Helm, tmp_path: Path, signum: signal.Signals, to_all: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the request, never answers
        silent.settimeout(10)
        process = start(helm, tmp_path / "tmp", "template", "x", f"http://127.0.0.1:{silent.getsockname()[1]}/x.tgz")
        connection, _ = silent.accept()
        with connection:
            wait_for(lambda: list((tmp_path / "tmp").glob("helm-pin-*")), process)
            (os.killpg if to_all else os.kill)(process.pid, signum)
            out, err = process.communicate(timeout=10)
    assert process.returncode == 128 + signum
    assert "Traceback" not in err
    assert out == ""
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_signal_while_helm_renders(helm: Helm, make_chart: MakeChart, tmp_path: Path) -> None:
    chart = make_chart("slow")
    (chart / "templates/slow.yaml").write_text("{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}")
    process = start(helm, tmp_path / "tmp", "template", "x", str(chart))
    wait_for(lambda: list((tmp_path / "tmp").glob("helm-pin-*/*.tgz")), process)
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130
    assert list((tmp_path / "tmp").iterdir()) == []


def test_an_impatient_user(helm: Helm, make_chart: MakeChart, tmp_path: Path) -> None:
    chart = make_chart("big")
    for i in range(1000):
        (chart / f"templates/x{i}.yaml").write_text("# x\n" * 1000)
    for pause in (0.0, 0.01, 0.03):
        process = start(helm, tmp_path / f"tmp{pause}", "template", "x", str(chart))
        wait_for(lambda: list(tmp_path.glob("tmp*/helm-pin-*/*.tgz")), process)
        for _ in range(5):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
            time.sleep(pause)
        process.communicate(timeout=20)
        wait_for(lambda scratch=tmp_path / f"tmp{pause}": not any(scratch.iterdir()))  # by the guard, at the latest


def test_an_error_is_told_though_the_copy_is_gone(helm: Helm, make_chart: MakeChart) -> None:
    def fail() -> None:
        with stage(ChartSource(str(make_chart("x"))), helm) as staged:
            shutil.rmtree(staged.archive().parent)
            raise LookupError("the reason")

    with pytest.raises(LookupError, match="the reason"):
        fail()


def test_an_error_in_the_middle(helm: Helm, make_chart: MakeChart) -> None:
    kept: list[Path] = []

    def fail() -> None:
        with stage(ChartSource(str(make_chart("x"))), helm) as staged:
            kept.append(staged.archive())
            kept.append(staged.annotated("a", "b").archive())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert kept[0].name != kept[1].name
    assert not kept[0].parent.exists()
