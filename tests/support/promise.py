"""The promise, on one chart: what helm-pin renders is what helm renders, with digests, or the command refuses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support import strip
from tests.support.any_tag import AnyTag
from tests.support.chart_strategies import RANDOM
from tests.support.workstation import CHECKOUT, Finished, Workstation


class Promise:
    """Renders charts with a helm and with helm-pin, and lets tests/support/strip.py judge."""

    def __init__(self, machine: Workstation, content: AnyTag) -> None:
        binary = str(machine.helm_binary)
        self.machine = machine.with_env(HELM_BIN=binary, HELM_PIN_REGISTRY_MIRROR=content.mirror)
        self.content = content

    def pin(self, *args: object) -> Finished:
        """helm-pin as helm starts it, without the time that helm takes."""
        return self.machine.run(CHECKOUT / "bin/helm-pin", *args)

    def holds(
        self,
        chart: Path,
        given: Sequence[str] = (),
        pin_flags: Sequence[str] = (),
        *,
        allowed: Sequence[str] = (),
        again: bool = False,
        refused: int | None = None,
        to_blame: str = "",
    ) -> None:
        """Every image is pinned and nothing else changed, or the command ends with `refused` and names an image.

        given: flags that plain helm gets too. again: the chart makes something at random. refused: None where it must not refuse;
        to_blame: the one image that it may refuse.
        """
        plain = _stable(self.machine.helm("template", "rel", chart, *given))
        second = _stable(self.machine.helm("template", "rel", chart, *given)) if again else None
        done = self.pin("template", "rel", chart, *given, *pin_flags)
        if refused and done.status == refused:
            assert done.stdout == ""
            assert any(f" {image}" in done.stderr for image in strip.images_of(plain)), done.stderr
            if to_blame:
                plan = json.loads(self.pin("plan", "rel", chart, "-o", "json", *given, *pin_flags).stdout)
                assert [image["image"] for image in plan["unpinned"]] == [to_blame]
            return
        if done.status:
            pytest.fail(done.stderr, pytrace=False)
        pinned = _stable(done.stdout)
        found = strip.strip_and_compare(plain, pinned, self.content.digest, again=second, allowed=allowed)
        if found.followed and not found.problems:
            listed = self.followers(chart, *given, *pin_flags)
            found = strip.strip_and_compare(
                plain, pinned, self.content.digest, again=second, allowed=allowed, listed=listed
            )
        if found.problems:
            pytest.fail("\n".join(found.problems), pytrace=False)

    def followers(self, chart: Path, *flags: str) -> list[strip.Follower] | None:
        """What the plan lists as following; None where it has no such list."""
        plan = json.loads(self.pin("plan", "rel", chart, "-o", "json", *flags).stdout)
        return [_follower(row) for row in plan["followers"]] if "followers" in plan else None


def _follower(row: dict[str, Any]) -> strip.Follower:
    where = (row["source"], row["kind"], row["name"], row["path"].replace("/", "."))
    return strip.Follower(row.get("image") or row["reference"], row["digest"], *where)


def _stable(manifest: str) -> str:
    """A manifest without what the generated charts make at random."""
    return RANDOM.sub("r00000000r", manifest)
