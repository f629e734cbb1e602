"""Where the time of a command went, as --debug prints it."""

from __future__ import annotations

import re
import time

import pytest

from helmpin import env, timeline


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[timeline.Step]:
    monkeypatch.setattr(timeline, "STEPS", [])
    return timeline.STEPS


def test_a_step_is_noted_also_when_it_fails(steps: list[timeline.Step]) -> None:
    began = time.perf_counter() - timeline.STARTED
    with pytest.raises(KeyError), timeline.step("reading"):
        raise KeyError
    (step,) = steps
    assert step.name == "reading"
    assert began <= step.began <= step.began + step.seconds <= time.perf_counter() - timeline.STARTED


@pytest.mark.usefixtures("steps")
def test_printed_with_debug_alone(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(env.ENVIRON, "HELM_DEBUG", "false")
    timeline.note("helm get", timeline.STARTED + 1, 0.2, "helm get values app")
    assert capsys.readouterr().err == ""
    monkeypatch.setitem(env.ENVIRON, "HELM_DEBUG", "true")
    timeline.note("helm get", timeline.STARTED + 1.5, 0.3, "helm get manifest app")
    assert capsys.readouterr().err == "[helm-pin]   1500 +  300 ms  helm get manifest app\n"
    timeline.step("comparing")(lambda: None)()
    assert re.fullmatch(r"\[helm-pin\] +\d+ \+ +\d ms  comparing\n", capsys.readouterr().err)
    timeline.print_total()
    assert re.fullmatch(
        r"\[helm-pin\] time: \d+ ms, of which helm-pin computed \d+; helm get 500 \(2 times\); comparing \d\n",
        capsys.readouterr().err,
    )
