"""What is asked of helm, and answers that no real helm gives. What helm makes of it is in tests/integration/test_helm_probe.py."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest

from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from helmpin.render.helm_probe import capabilities, read_source
from helmpin.render.merged_values import MergedValues
from helmpin.render.probe import PROBE
from helmpin.render.values import ValuesInput
from tests.support.renders import probe


class Printed(NamedTuple):
    """What was started, and what it prints."""

    text: str

    def output(self) -> str:
        return self.text


class Asked:
    """Notes how helm is run, with the chart's one template, and prints these values."""

    def __init__(self, values: Any = None, version: tuple[int, int, int] = (4, 0, 0)) -> None:
        self._text = "" if values is None else probe(PROBE, {"values": values})
        self.version = version
        self.folders: list[Path] = []
        self.templates: list[str] = []
        self.flags: list[list[str]] = []

    def run(self, args: Sequence[str]) -> str:
        command, release, chart, *flags = args
        assert (command, release) == ("template", "probe")
        assert "name: probe" in (Path(chart) / "Chart.yaml").read_text(), "else helm takes it for no chart"
        self.folders.append(Path(chart))
        self.templates.append((Path(chart) / PROBE).read_text())
        self.flags.append(flags)
        return self._text

    def start(self, args: Sequence[str]) -> Printed:
        return Printed(self.run(args))

    @property
    def helm(self) -> Helm:
        return cast("Helm", self)

    def left(self) -> list[Path]:
        """The charts that are still there."""
        return [folder for folder in self.folders if folder.exists()]


def test_merged_values_are_read_once_and_leave_nothing() -> None:
    asked = Asked({"a": None})
    merged = MergedValues(asked.helm, ValuesInput(("--set", "a=null")))
    assert asked.left() == asked.folders and asked.flags == [["--set", "a=null"]]
    assert merged.result() == {"a": None} and merged.result() is merged.result()
    assert asked.left() == [] and len(asked.folders) == 1


def test_values_that_helm_did_not_print_are_none() -> None:
    asked = Asked()
    merged = MergedValues(asked.helm, ValuesInput())
    assert merged.result() == {} and merged.result() is merged.result()


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("https://example.com/values.yaml", "https://example.com/values.yaml"),
        ("secrets://a,b", "secrets://a\\,b"),
        ("plug://a\\b", "plug://a\\\\b"),
        ("{a}://b", "\\{a}://b"),
    ],
)
def test_a_source_is_one_text_for_set_file(source: str, written: str) -> None:
    asked = Asked({"content": base64.b64encode(b"\xff\x00x").decode()})
    assert read_source(asked.helm, source) == b"\xff\x00x"
    assert asked.flags == [[f"--set-file=content={written}"]]
    assert "b64enc .Values.content" in asked.templates[0] and asked.left() == []


def test_a_source_of_nothing_is_empty_and_none_is_an_error() -> None:
    assert read_source(Asked({"content": ""}).helm, "x://y") == b""
    asked = Asked()
    with pytest.raises(HelmFailed, match="values cannot be read") as failed:
        read_source(asked.helm, "x://y")
    assert failed.value.where == ["x://y"] and asked.left() == []


@pytest.mark.parametrize(
    ("version", "built_in", "flags"),
    [
        ((4, 0, 0), False, ["--dry-run=server"]),
        ((4, 1, 3), False, ["--dry-run=server"]),
        ((3, 99, 9), False, ["--validate"]),
        ((3, 17, 0), True, []),
        ((4, 0, 0), True, []),
    ],
)
def test_each_helm_is_asked_for_the_clusters_capabilities_in_its_own_way(
    version: tuple[int, int, int], built_in: bool, flags: list[str]
) -> None:
    shown = {"capabilities": {"KubeVersion": {"Version": "v1.31.0", "Major": "1"}, "APIVersions": ["v1", "apps/v1"]}}
    asked = Asked(shown, version)
    assert capabilities(asked.helm, built_in=built_in) == ("v1.31.0", ["v1", "apps/v1"])
    assert asked.flags == [flags] and ".Capabilities" in asked.templates[0] and asked.left() == []


def test_the_cluster_is_asked_unless_something_else_is_said() -> None:
    asked = Asked({})
    capabilities(asked.helm)
    assert asked.flags == [["--dry-run=server"]]


@pytest.mark.parametrize(
    "shown",
    [
        None,
        {},
        {"capabilities": None},
        {"capabilities": {}},
        {"capabilities": {"KubeVersion": None, "APIVersions": None}},
    ],
)
def test_what_helm_does_not_say_is_empty(shown: Any) -> None:
    assert capabilities(Asked(shown).helm) == ("", [])
