"""Reading one revision: what helm is asked, and what is made of its answer. The release is the test's word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from helmpin.errors import HelmFailed, NoRelease
from helmpin.release.reading import Reading, read_revision
from helmpin.release.revision import LARGEST, Revision
from tests.support.history import Printed

HEAD, RECORD = "{{ .Release.Version }} {{ .Release.Info.Status }}", "Annotations"


class Helm:
    """Stands where helm fills in a template: the head, the record, the manifest and the hooks of a revision, in this order."""

    def __init__(self, *parts: str, fails: HelmFailed | None = None) -> None:
        self._parts, self._fails = parts, fails
        self.asked: list[list[str]] = []

    def start(self, args: Sequence[str]) -> Printed:
        """Fill it in: what is between the actions stays."""
        assert args[-2] == "--template"
        self.asked.append([*args[:-2]])
        if self._fails:
            return Printed(self._fails)
        head, between, rest = args[-1].partition(HEAD)[2].partition("\n{{ index")
        assert not head.startswith("{{") and between and RECORD in rest
        return Printed((head + "\n").join([*self._parts, ""]))


def read(*parts: str, revision: int | None = None, flags: Sequence[str] = ()) -> tuple[Revision, Helm]:
    helm = Helm(*parts)
    return Reading(cast("Any", helm), "web", revision, flags).result(), helm


def test_the_parts_of_a_revision() -> None:
    found, helm = read("3 deployed", '{"version": 1}', "kind: Pod\n", "\n---\n# Source: a\nkind: Job\n")
    assert helm.asked == [["get", "all", "web"]]
    assert found == Revision(
        release="web",
        revision=3,
        status="deployed",
        record_text='{"version": 1}',
        manifest="kind: Pod\n",
        hooks="\n---\n# Source: a\nkind: Job\n",
        problem="",
    )


@pytest.mark.parametrize("record", ["", "\n", "<no value>", " <no value>\n"])
def test_a_release_without_the_annotation_has_no_record(record: str) -> None:
    assert read("3 deployed", record, "", "")[0].record_text == ""


def test_a_status_of_several_words_stays_whole() -> None:
    assert read("12 pending upgrade", "", "", "")[0].status == "pending upgrade"


def test_a_revision_and_a_place_are_asked_for() -> None:
    _, helm = read("2 failed", "", "", "", revision=2, flags=["--namespace=shop"])
    assert helm.asked == [["get", "all", "web", "--revision", "2", "--namespace=shop"]]


def test_what_is_larger_than_a_release_can_be_is_named() -> None:
    assert read("1 deployed", "", "x" * (LARGEST - 1000), "")[0].problem == ""
    assert read("1 deployed", "", "x" * LARGEST, "")[0].problem == f"it has more than {LARGEST // 1024 // 1024} MiB"


def test_what_stands_between_the_parts_is_never_the_same() -> None:
    """A manifest cannot end a part."""
    assert _between() != _between()


def _between() -> str:
    templates: list[str] = []

    class Asked(Helm):
        def start(self, args: Sequence[str]) -> Printed:
            templates.append(args[-1])
            return Printed("")

    Reading(cast("Any", Asked()), "web")
    return templates[0].partition(HEAD)[2].partition("{{")[0]


def test_helms_error_says_which_release_and_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helmpin.next_command.usual_namespace", lambda _: "default")
    helm = Helm(fails=NoRelease("helm get failed", why="release: not found"))
    with pytest.raises(HelmFailed, match="there is no revision 2 of release web") as caught:
        read_revision(cast("Any", helm), "web", 2)
    assert "namespace default" in str(caught.value.where)
