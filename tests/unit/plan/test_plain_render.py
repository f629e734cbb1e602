"""With which flags and files an upgrade reuses values; that Helm then reuses as without helm-pin is shown in tests/properties."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from helmpin.chart.setargs import Setting
from helmpin.plan.plain_render import REUSE, Reuse
from helmpin.release.record import Undo
from helmpin.release.reused_values import Previous
from tests.support.renders import digest

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
    assert Reuse(flag).for_settings([set_tag()]) == ([flag] if flag else [], None)


@pytest.mark.parametrize("flag", ["", "--reuse-values", REUSE])
def test_without_settings_the_users_flag_is_enough(tmp_path: Path, flag: str) -> None:
    assert reuse(tmp_path, flag, {"debug": True}).for_settings() == ([flag] if flag else [], None)


def test_with_settings_helm_must_be_told_to_reuse(tmp_path: Path) -> None:
    """It reuses by itself only where nothing is set."""
    assert reuse(tmp_path, "", {"debug": True}).for_settings([set_tag()]) == ([REUSE], None)
    assert reuse(tmp_path, "--reuse-values", {"debug": True}).for_settings([set_tag()]) == (["--reuse-values"], None)


def test_a_digest_that_is_set_anew_needs_no_file(tmp_path: Path) -> None:
    before = {"image": {"tag": PINNED}, "debug": True}
    assert reuse(tmp_path, REUSE, before, OWN_TAG).for_settings([set_tag()]) == ([REUSE], None)


def test_what_the_user_had_given_is_restored(tmp_path: Path) -> None:
    flags, whole = reuse(tmp_path, "", {"image": {"tag": PINNED}, "debug": True}, GIVEN_TAG).for_settings()
    assert whole is None
    assert flags[0] == REUSE
    assert [read(flag) for flag in flags[1:]] == [{"image": {"tag": "1"}}]


def test_what_the_user_had_not_given_can_only_be_left_out(tmp_path: Path) -> None:
    """A null in its place would reach the stored values of the revision before."""
    flags, whole = reuse(tmp_path, REUSE, {"image": {"tag": PINNED}, "debug": True}, OWN_TAG).for_settings()
    assert flags == ["--reset-values"]
    assert whole is not None
    assert [read(flag) for flag in whole.arguments] == [{"debug": True}]


def test_beside_what_is_set_again_the_other_values_are_given_whole(tmp_path: Path) -> None:
    """Helm adds the tag of the revision before, which is set anew: no need to keep Helm from reusing."""
    before = {"image": {"tag": PINNED}, "tools": [{"image": f"a:1@{A}"}]}
    flags, whole = reuse(tmp_path, REUSE, before, OWN_TAG, ELEMENT).for_settings([set_tag()])
    assert flags == [REUSE]
    assert whole is not None
    assert [read(flag) for flag in whole.arguments] == [{"tools": [{"image": "a:1"}]}]


def test_a_list_that_is_reused_is_given_whole(tmp_path: Path) -> None:
    """Helm changes no element of it by its index."""
    before = {"tools": [{"image": "a:1"}, {"image": "b:1"}]}
    flags, whole = reuse(tmp_path, REUSE, before).for_settings([Setting(("tools", 0, "image"), f"a:1@{A}")])
    assert flags == [REUSE]
    assert whole is not None
    assert [read(flag) for flag in whole.arguments] == [before]


def test_a_null_over_a_digest_stays_a_null(tmp_path: Path) -> None:
    """Helm would drop it together with the key, and the chart's default would come back."""
    before = {"image": {"tag": PINNED}, "debug": True}
    given = {"image": {"tag": None}}
    flags, whole = reuse(tmp_path, REUSE, before, OWN_TAG, given=given).for_settings()
    assert flags == ["--reset-values"]
    assert whole is not None
    assert [read(flag) for flag in whole.arguments] == [{"image": {"tag": None}, "debug": True}]
