"""Which render is begun, and which is taken. Helm is not run: what is started is written down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from helmpin.asked import ANNOTATION
from helmpin.errors import HelmFailed
from helmpin.plan.head_start import HeadStart
from helmpin.render.renderer import Renderer
from helmpin.render.values import ValuesInput
from tests.support.plans import ALSO, annotations
from tests.support.plans import chart as chart_in

SET = ["--set-string", "image.tag=1@sha256:aa"]


class Begun:
    """A render that is running."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.arguments, self.is_stopped = list(arguments), False

    def stop(self, grace: float) -> None:
        assert grace == 0
        self.is_stopped = True


class Starts:
    """Stands for helm: it starts nothing."""

    binary = "helm"

    def __init__(self) -> None:
        self.begun: list[Begun] = []
        self.fails: Exception | None = None

    def start(self, arguments: Sequence[str]) -> Begun:
        if self.fails:
            raise self.fails
        self.begun.append(Begun(arguments))
        return self.begun[-1]


@pytest.fixture
def helm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Starts:
    monkeypatch.setenv("HELM_CACHE_HOME", str(tmp_path / "cache"))
    return Starts()


NO_VALUES = ValuesInput()


def renderer(helm: Starts, values: ValuesInput = NO_VALUES, **changes: Any) -> Renderer:
    made = Renderer(
        helm=cast("Any", helm),
        command=("template", "web"),
        flags=(),
        post_renderer=(),
        values=values,
        reuse=(),
        dry_run="",
        asks_cluster=False,
        also=ALSO,
    )
    return made._replace(**changes)


@pytest.fixture
def chart(tmp_path: Path) -> Any:
    return chart_in(tmp_path, pod="image: x\n")


def plan(
    begins: Renderer,
    chart: Any,
    arguments: Sequence[str] = SET,
    text: str = "image: y\n",
    renders: Renderer | None = None,
) -> Begun | None:
    """One plan, whose first attempt changes a template, and has a record with the time. renders: what renders it after all."""
    ahead = HeadStart(begins, chart)
    attempt = chart.with_files({"templates/pod.yaml": text}).annotated(ANNOTATION, f"made {ahead.created}")
    taken = ahead.take(renders or begins, attempt, arguments)
    ahead.stop()
    return cast("Any", taken)


def test_the_first_time_nothing_is_begun(helm: Starts, chart: Any) -> None:
    assert plan(renderer(helm), chart) is None
    assert not helm.begun


def test_the_next_time_it_is_begun_with_that_chart_and_those_arguments(helm: Starts, chart: Any) -> None:
    plan(renderer(helm), chart)
    taken = plan(renderer(helm), chart)
    assert taken is helm.begun[0] and len(helm.begun) == 1
    command, release, archive, *rest = taken.arguments
    assert (command, release, rest) == ("template", "web", SET)
    assert Path(archive).is_file()
    assert not taken.is_stopped


def test_the_record_has_the_time_of_this_plan(helm: Starts, chart: Any) -> None:
    plan(renderer(helm), chart)
    first, second = (HeadStart(renderer(helm), chart) for _ in range(2))
    assert first.created != second.created
    assert first._kept is not None and second._kept is not None
    assert first.created in first._kept.files["Chart.yaml"]
    assert second.created in second._kept.files["Chart.yaml"]
    made = chart.with_files(second._kept.files)
    assert annotations(made)[ANNOTATION] == f"made {second.created}"


@pytest.mark.parametrize("changed", [{"arguments": ["--set-string", "image.tag=2"]}, {"text": "image: z\n"}])
def test_another_attempt_ends_it_and_is_begun_the_next_time(helm: Starts, chart: Any, changed: Any) -> None:
    plan(renderer(helm), chart)
    assert plan(renderer(helm), chart, **changed) is None
    assert [each.is_stopped for each in helm.begun] == [True]
    assert plan(renderer(helm), chart, **changed) is helm.begun[1]


def test_a_file_that_the_attempt_does_not_change_counts_too(helm: Starts, chart: Any) -> None:
    plan(renderer(helm), chart)
    ahead = HeadStart(renderer(helm), chart)
    other = chart.with_files({"templates/pod.yaml": "image: y\n", "values.yaml": "a: 1\n"})
    assert ahead.take(renderer(helm), other.annotated(ANNOTATION, f"made {ahead.created}"), SET) is None


def test_what_renders_otherwise_does_not_take_it_and_leaves_what_is_kept(helm: Starts, chart: Any) -> None:
    plan(renderer(helm), chart)
    assert plan(renderer(helm), chart, arguments=["--set", "a=b"], renders=renderer(helm, dry_run="server")) is None
    assert [each.is_stopped for each in helm.begun] == [True]
    assert plan(renderer(helm), chart) is helm.begun[1]


def test_without_an_attempt_it_is_ended(helm: Starts, chart: Any) -> None:
    plan(renderer(helm), chart)
    ahead = HeadStart(renderer(helm), chart)
    ahead.stop()
    ahead.stop()
    assert [each.is_stopped for each in helm.begun] == [True]


def test_a_value_that_is_set_whole_is_not_kept(helm: Starts, chart: Any) -> None:
    for _ in range(2):
        plan(renderer(helm), chart, arguments=["--set-json", 'a={"password":"hunter2"}'])
    assert not helm.begun


@pytest.mark.parametrize(
    "error", [HelmFailed("helm template could not be started"), OSError(24, "Too many open files"), ValueError("\0")]
)
def test_helm_that_cannot_be_started_is_for_the_attempt_to_say(helm: Starts, chart: Any, error: Exception) -> None:
    plan(renderer(helm), chart)
    helm.fails = error
    assert plan(renderer(helm), chart) is None


def test_the_command_the_values_and_the_version_tell_plans_apart(
    helm: Starts, chart: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "values-1.yaml"
    copy.write_text("a: 1\n")
    given = ValuesInput((f"--values={copy}", "--set=a=1"), ((str(copy), "mine.yaml"),))
    plan(renderer(helm, given), chart)
    others = [
        renderer(helm, given, command=("template", "other")),
        renderer(helm, given, flags=("--api-versions=x",)),
        renderer(helm, given._replace(arguments=(f"--values={copy}", "--set=a=2"))),
    ]
    for other in others:
        HeadStart(other, chart)
    HeadStart(renderer(helm, given), chart.with_files({"Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.1\n"}))
    copy.write_text("a: 2\n")
    HeadStart(renderer(helm, given), chart)
    copy.write_text("a: 1\n")
    monkeypatch.setenv("HELM_NAMESPACE", "other")
    HeadStart(renderer(helm, given), chart)
    monkeypatch.delenv("HELM_NAMESPACE")
    assert not helm.begun
    moved = copy.rename(tmp_path / "values-2.yaml")  # where the copy lies is another place each time
    HeadStart(renderer(helm, ValuesInput((f"--values={moved}", "--set=a=1"), ((str(moved), "mine.yaml"),))), chart)
    assert len(helm.begun) == 1
