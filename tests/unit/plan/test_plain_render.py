"""With which flags and files an upgrade reuses values, and which of helm's commands renders it.

That Helm then reuses as without helm-pin is shown in tests/properties.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest

from helmpin.arguments import Given
from helmpin.chart.setargs import Setting
from helmpin.errors import HelmFailed
from helmpin.helm import Flag
from helmpin.image.outside_pods import ExtraImageRules
from helmpin.plan.plain_render import REUSE, Reuse, render_plain, start_early
from helmpin.plan.task import Task
from helmpin.release.previous import Previous
from helmpin.release.record import Undo
from helmpin.render.probe import PROBE, UNKNOWN
from helmpin.render.values import ValuesInput
from tests.support.plans import chart
from tests.support.renders import digest, pod, probe

A, B = digest("a"), digest("b")
PINNED = f"1@{A}"
GIVEN_TAG = Undo(("image", "tag"), "1", True, 2)
"""The user had given `image.tag=1`."""
OWN_TAG = Undo(("image", "tag"), "1", False, 0)
"""helm-pin set the tag, and the maps above it."""
ELEMENT = Undo(("tools", 0, "image"), "a:1", True, 3)
"""The user had given the list."""


def reuse(
    folder: Path, flag: str, config: Mapping[str, Any], *undo: Undo, given: Mapping[str, Any] | None = None
) -> Reuse:
    """An upgrade of a release that keeps these values. flag: '' for what helm does where the user gives none."""
    return Reuse(flag, Previous(3, 3, "deployed", config, undo), folder, given or {}, implied=not flag)


def read(flag: str) -> Any:
    """What is in the file of a `--values=FILE`, which nobody else may read: it holds the user's values."""
    name, _, file = flag.partition("=")
    assert name == "--values"
    assert stat.S_IMODE(Path(file).stat().st_mode) == 0o600
    return json.loads(Path(file).read_text())


def set_tag(value: str = f"1@{B}") -> Setting:
    return Setting(("image", "tag"), value)


@pytest.mark.parametrize("flag", ["", "--reset-values", "--reuse-values", REUSE])
def test_nothing_of_ours_is_reused(flag: str) -> None:
    assert Reuse(flag).arguments_for([set_tag()]) == ([flag] if flag else [], None)


@pytest.mark.parametrize("flag", ["", "--reuse-values", REUSE])
def test_without_settings_the_users_flag_is_enough(tmp_path: Path, flag: str) -> None:
    assert reuse(tmp_path, flag, {"debug": True}).arguments_for() == ([flag] if flag else [], None)


def test_with_settings_helm_must_be_told_to_reuse(tmp_path: Path) -> None:
    """It reuses by itself only where nothing is set."""
    assert reuse(tmp_path, "", {"debug": True}).arguments_for([set_tag()]) == ([REUSE], None)
    assert reuse(tmp_path, "--reuse-values", {"debug": True}).arguments_for([set_tag()]) == (["--reuse-values"], None)
    assert Reuse(implied=True).arguments_for([set_tag()]) == ([REUSE], None)
    assert Reuse(implied=True).arguments_for() == ([], None)


@pytest.mark.parametrize(
    ("given", "kind"),
    [((), "server"), (("client",), "client"), (("server",), "server"), (("none",), "server"), (("false",), "server")]
    + [((None,), "client"), (("true",), "client"), (("client", "server"), "server"), (("server", None), "client")],
)
def test_a_dry_run_of_which_nothing_is_said_is_the_clients(
    tmp_path: Path, given: tuple[str | None, ...], kind: str
) -> None:
    flags = [Given("--dry-run", value, ()) for value in given]
    task = Task(cast("Any", None), "upgrade", "web", flags, flags, ValuesInput(()), ExtraImageRules(()), tmp_path)
    assert task.dry_run() == kind


def test_a_digest_that_is_set_anew_needs_no_file(tmp_path: Path) -> None:
    before = {"image": {"tag": PINNED}, "debug": True}
    assert reuse(tmp_path, REUSE, before, OWN_TAG).arguments_for([set_tag()]) == ([REUSE], None)


def test_what_the_user_had_given_is_restored(tmp_path: Path) -> None:
    flags, whole = reuse(tmp_path, "", {"image": {"tag": PINNED}, "debug": True}, GIVEN_TAG).arguments_for()
    assert whole is None
    assert flags[0] == REUSE
    assert [read(flag) for flag in flags[1:]] == [{"image": {"tag": "1"}}]


def test_what_the_user_had_not_given_can_only_be_left_out(tmp_path: Path) -> None:
    """A null in its place would reach the stored values of the revision before."""
    flags, whole = reuse(tmp_path, REUSE, {"image": {"tag": PINNED}, "debug": True}, OWN_TAG).arguments_for()
    assert flags == ["--reset-values"]
    assert whole is not None
    assert [read(flag) for flag in whole.arguments] == [{"debug": True}]


def test_beside_what_is_set_again_the_other_values_are_given_whole(tmp_path: Path) -> None:
    """Helm adds the tag of the revision before, which is set anew: no need to keep Helm from reusing."""
    before = {"image": {"tag": PINNED}, "tools": [{"image": f"a:1@{A}"}]}
    flags, whole = reuse(tmp_path, REUSE, before, OWN_TAG, ELEMENT).arguments_for([set_tag()])
    assert flags == [REUSE]
    assert whole is not None
    assert [read(flag) for flag in whole.arguments] == [{"tools": [{"image": "a:1"}]}]


def test_a_list_that_is_reused_is_given_whole(tmp_path: Path) -> None:
    """Helm changes no element of it by its index."""
    before = {"tools": [{"image": "a:1"}, {"image": "b:1"}]}
    flags, whole = reuse(tmp_path, REUSE, before).arguments_for([Setting(("tools", 0, "image"), f"a:1@{A}")])
    assert flags == [REUSE]
    assert whole is not None
    assert [read(flag) for flag in whole.arguments] == [before]


def test_a_null_over_a_digest_stays_a_null(tmp_path: Path) -> None:
    """Helm would drop it together with the key, and the chart's default would come back."""
    before = {"image": {"tag": PINNED}, "debug": True}
    given = {"image": {"tag": None}}
    flags, whole = reuse(tmp_path, REUSE, before, OWN_TAG, given=given).arguments_for()
    assert flags == ["--reset-values"]
    assert whole is not None
    assert [read(flag) for flag in whole.arguments] == [{"image": {"tag": None}, "debug": True}]


# -- which command renders ----------------------------------------------------------------------------------------------


class Failing:
    """A helm that notes what is started, read and stopped, and fails each time, unless a template renders to `prints`."""

    version = (4, 0, 0)

    def __init__(self, prints: str = "") -> None:
        self.prints = prints
        self.started: list[str] = []
        self.read: list[str] = []
        self.stopped: list[str] = []

    def flags(self, _: str) -> dict[str, Flag]:
        return {}

    def start(self, args: Sequence[str]) -> FailingProcess:
        asks = " asking the cluster" if "--is-upgrade" in args else ""
        self.started.append("the dry run" if "--output=json" in args else f"helm {args[0]}{asks}")
        return FailingProcess(self, self.started[-1])


class FailingProcess(NamedTuple):
    helm: Failing
    name: str

    def output(self) -> str:
        self.helm.read.append(self.name)
        if self.helm.prints and "template" in self.name:
            return self.helm.prints
        raise HelmFailed("helm failed", why="as always")

    def stop(self, grace: float = 2) -> None:
        assert not grace
        if self.name not in self.helm.read:
            self.helm.stopped.append(self.name)


class Read(NamedTuple):
    """What helm has read already."""

    what: Any

    def result(self) -> Any:
        return self.what


def ran(
    folder: Path,
    text: str,
    previous: Previous | None,
    command: str = "upgrade",
    flags: Sequence[Given] = (),
    given: Mapping[str, Any] | None = None,
    then: str = "",
    prints: str = "",
) -> Failing:
    """How helm was run for the plain render of a chart with this template. then: the command that it is rendered for in the end.
    prints: what `helm template` makes of it, which is not enough."""
    helm, made = Failing(prints), chart(folder, x=text)
    task = Task(cast("Any", helm), command, "web", flags, flags, ValuesInput(()), ExtraImageRules(()), folder)
    early, task = start_early(task, made, made), task._replace(command=then or command)
    reading = None if task.command == "template" else cast("Any", Read(previous))
    with pytest.raises(HelmFailed):
        render_plain(task, made, made, early, reading, cast("Any", Read(given or {})))
    assert sorted(helm.started) == sorted({*helm.read, *helm.stopped}), "what is not read is stopped"
    return helm


TEMPLATE, AS_UPGRADE, DRY_RUN = "helm template", "helm template asking the cluster", "the dry run"
DEPLOYED = Previous(3, 3, "deployed", {}, ())
UNINSTALLED = DEPLOYED._replace(status="uninstalled")
REUSED = DEPLOYED._replace(config={"debug": True})
ASKS_NOTHING, ASKS_CLUSTER, ASKS_RELEASE = "{{ .Values.x }}", "{{ .Capabilities }}", "{{ .Release.Revision }}"


@pytest.mark.parametrize(
    ("text", "previous", "by", "stopped"),
    [
        pytest.param(ASKS_NOTHING, DEPLOYED, TEMPLATE, [], id="the chart alone"),
        pytest.param(ASKS_NOTHING, None, TEMPLATE, [], id="the chart alone, installed"),
        pytest.param(ASKS_NOTHING, REUSED, DRY_RUN, [TEMPLATE], id="the chart and reused values"),
        pytest.param(ASKS_CLUSTER, DEPLOYED, AS_UPGRADE, [], id="the cluster"),
        pytest.param(ASKS_CLUSTER, None, DRY_RUN, [AS_UPGRADE], id="the cluster, installed"),
        pytest.param(ASKS_CLUSTER, UNINSTALLED, DRY_RUN, [AS_UPGRADE], id="the cluster, installed anew"),
        pytest.param(ASKS_CLUSTER, REUSED, DRY_RUN, [AS_UPGRADE], id="the cluster and reused values"),
        pytest.param(ASKS_RELEASE, DEPLOYED, DRY_RUN, [], id="the revision"),
    ],
)
def test_an_upgrade_is_rendered_by_what_knows_enough(
    tmp_path: Path, text: str, previous: Previous | None, by: str, stopped: list[str]
) -> None:
    """If helm template fails, the dry run may go well."""
    helm = ran(tmp_path, text, previous)
    assert helm.read == ([by] if by == DRY_RUN else [by, DRY_RUN])
    assert helm.stopped == stopped


@pytest.mark.parametrize(
    ("asked", "by", "stopped"),
    [(ASKS_NOTHING, TEMPLATE, []), (ASKS_CLUSTER, AS_UPGRADE, [TEMPLATE]), (ASKS_RELEASE, DRY_RUN, [TEMPLATE])],
)
def test_what_a_value_asks_is_known_once_values_are_read(
    tmp_path: Path, asked: str, by: str, stopped: list[str]
) -> None:
    helm = ran(tmp_path, "{{ tpl .Values.x . }}", DEPLOYED, given={"x": asked})
    assert helm.read[0] == by
    assert helm.stopped == stopped


@pytest.mark.parametrize(("text", "by"), [(ASKS_NOTHING, TEMPLATE), (ASKS_CLUSTER, AS_UPGRADE)])
def test_what_prints_a_part_of_the_release_that_is_not_known_is_rendered_by_the_dry_run(
    tmp_path: Path, text: str, by: str
) -> None:
    """Whatever way to it the template has found."""
    prints = probe(PROBE, {"values": {}}) + pod(f"web:{UNKNOWN}")
    assert ran(tmp_path, text, DEPLOYED, prints=prints).read == [by, DRY_RUN]


def test_other_commands_than_an_upgrade_are_not_rendered_as_one(tmp_path: Path) -> None:
    assert ran(tmp_path, ASKS_RELEASE, None, "template").read == [TEMPLATE]
    assert ran(tmp_path, ASKS_CLUSTER, None, "install").read == [DRY_RUN]


def test_a_plan_that_turns_out_to_be_without_the_cluster_does_not_ask_it(tmp_path: Path) -> None:
    """What was early asks a cluster that does not answer."""
    helm = ran(tmp_path, ASKS_CLUSTER, None, "upgrade", then="template")
    assert (helm.read, helm.stopped) == ([TEMPLATE], [AS_UPGRADE])


def test_a_dry_run_without_the_cluster_stays_one(tmp_path: Path) -> None:
    """helm upgrade --dry-run=client asks for the cluster's version, and not for its objects."""
    flags = [Given("--dry-run", "client", ("--dry-run=client",))]
    assert ran(tmp_path, ASKS_CLUSTER, DEPLOYED, flags=flags).started == [DRY_RUN]
