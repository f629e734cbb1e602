"""The promise, on one chart: what helm-pin renders is what helm renders, with digests, or the command refuses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest

from tests.support import all_forms, strip
from tests.support.any_tag import AnyTag
from tests.support.chart_strategies import RANDOM
from tests.support.workstation import Finished, Workstation


class Forms(NamedTuple):
    """One plan, in each form."""

    done: Finished
    """`helm pin template`."""
    plan: Any
    """What `-o json` prints; None where there is no plan."""
    values: str | None
    """What `-o values` prints; None where that is refused."""


class Planned(NamedTuple):
    """What a helm renders of a chart, and helm-pin's plan of it."""

    plain: str
    again: str | None
    """A second render, where the chart makes something at random."""
    forms: Forms
    kustomization: str | None
    """What `-o kustomize` prints; None where that is refused."""


class Promise:
    """Renders charts with a helm and with helm-pin, and lets tests/support/strip.py judge."""

    def __init__(self, machine: Workstation, content: AnyTag) -> None:
        binary = str(machine.helm_binary)
        self.machine = machine.with_env(HELM_BIN=binary, HELM_PIN_REGISTRY_MIRROR=content.mirror)
        self.content = content

    def pin(self, *args: object) -> Finished:
        """helm-pin, without the time that its start takes."""
        return self.machine.forked(*args)

    def forms(self, chart: Path, *flags: str) -> Forms:
        """`helm pin template` of a chart, and what `helm pin plan` would print of the same plan."""
        return self._all_forms(chart, *flags)[0]

    def _all_forms(self, chart: Path, *flags: str) -> tuple[Forms, str | None]:
        """Those, and a kustomization."""
        with TemporaryDirectory() as folder:
            file = Path(folder) / "forms.json"
            machine = self.machine.with_env(ALL_FORMS=str(file))
            done = machine.forked("template", "rel", chart, *flags, main=all_forms.__file__)
            forms = json.loads(file.read_text()) if file.exists() else {"json": "null", "values": None}
            return Forms(done, json.loads(forms["json"]), forms["values"]), forms.get("kustomize")

    def planned(
        self, chart: Path, given: Sequence[str] = (), pin_flags: Sequence[str] = (), *, again: bool = False
    ) -> Planned:
        """What helm and helm-pin make of a chart. given: flags that plain helm gets too. again: it makes something at random."""
        plain = self.machine.helm("template", "rel", chart, *given)
        second = self.machine.helm("template", "rel", chart, *given) if again else None
        return Planned(plain, second, *self._all_forms(chart, *given, *pin_flags))

    def holds(
        self,
        chart: Path,
        given: Sequence[str] = (),
        pin_flags: Sequence[str] = (),
        *,
        allowed: Sequence[str] = (),
        again: bool = False,
        may_refuse: Sequence[str] = (),
    ) -> strip.Stripped | None:
        """Every image is pinned and nothing else changed, or the command refuses and names an image; None where it did.

        given: flags that plain helm gets too. allowed: images that may stay as they are. again: it makes something at random.
        may_refuse: images that may be refused, and are then to blame alone.
        """
        return self.judged(self.planned(chart, given, pin_flags, again=again), allowed=allowed, may_refuse=may_refuse)

    def judged(
        self, planned: Planned, *, allowed: Sequence[str] = (), may_refuse: Sequence[str] = ()
    ) -> strip.Stripped | None:
        """As `holds`, of what was rendered and planned before."""
        plain = _stable(planned.plain)
        second = planned.again if planned.again is None else _stable(planned.again)
        done, plan, _ = planned.forms
        if may_refuse and done.status == 3:
            assert done.stdout == ""
            assert any(f" {image}" in done.stderr for image in strip.images_of(plain)), done.stderr
            unpinned = [image["image"] for image in plan["unpinned"]]
            assert set(unpinned) <= set(may_refuse), f"{unpinned} are refused, though not to blame:\n{done.stderr}"
            return None
        if done.status:
            pytest.fail(done.stderr, pytrace=False)
        pinned = _stable(done.stdout)
        found = strip.strip_and_compare(plain, pinned, self.content.digest, again=second, allowed=allowed)
        if found.followed and not found.problems:
            found = strip.strip_and_compare(
                plain, pinned, self.content.digest, again=second, allowed=allowed, listed=listed(plan)
            )
        if found.problems:
            pytest.fail("\n".join(found.problems), pytrace=False)
        return found

    def plan(self, chart: Path, *flags: str) -> Any:
        """`helm pin plan -o json`, pinned or refused."""
        done = self.pin("plan", "rel", chart, "--no-cluster", "-o", "json", *flags)
        assert done.status in (0, 3), done.stderr
        return json.loads(done.stdout)


def listed(plan: dict[str, Any]) -> list[strip.Follower]:
    """The followers that a plan lists."""
    return [_follower(row) for row in plan["followers"]]


def _follower(row: dict[str, Any]) -> strip.Follower:
    where = (row["source"], row["kind"], row["name"], row["path"].replace("/", "."))
    return strip.Follower(row.get("image") or row["reference"], row["digest"], *where)


def _stable(printed: str) -> str:
    """A manifest without what the generated charts make at random, nor the empty line that helm prints for no objects at all."""
    return RANDOM.sub("r00000000r", printed.removeprefix("\n"))
