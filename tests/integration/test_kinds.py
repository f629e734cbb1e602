"""Kinds of charts on which pinning is easily wrong, each with the right result, on real helms.

A folder of tests/cases holds one chart and its case.yaml:

promise: what must hold, for people
pinned: every image that is pinned, as the chart writes it
given: further arguments, for plain helm too
may_refuse: images that may be refused instead (exit 3), and are then the only ones
says: words of which the refusal has one
refused: images that must be refused until the flag that the message names lets them through
left: images that stay as they are
written: pinned references without their digests, all of them
followers: paths of the leaves that follow an image, all of them (left out: any that may)
one_image: repositories whose tags all mean one image
via: how every image must be pinned
by_template: the images that templates pin, all of them
renders: in how many renders at most
random: the chart makes something at random
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import strip
from tests.support.for_others import Kustomize, all_pinned
from tests.support.promise import Planned, Promise
from tests.support.workstation import whichever_helm

pytestmark = whichever_helm

CASES = Path(__file__).parents[1] / "cases"
CASE = {path.parent.name: yaml.safe_load(path.read_text()) for path in sorted(CASES.glob("*/case.yaml"))}


@pytest.fixture(scope="module")
def kustomize() -> Kustomize:
    """kustomize, for all charts."""
    return Kustomize()


@pytest.mark.parametrize(("name", "case"), CASE.items(), ids=CASE)
def test_kind(name: str, case: Mapping[str, Any], promise: Promise, kustomize: Kustomize, tmp_path: Path) -> None:
    promise.content.one_image = set(case.get("one_image", []))
    chart, given = CASES / name, case.get("given", [])
    let_through = [f"--allow-unpinned={image}" for image in case.get("refused", [])]
    if let_through:
        refused(promise, chart, case)
    allowed = [*case.get("refused", []), *case.get("left", [])]
    may_refuse = case.get("may_refuse", [])
    planned = promise.planned(chart, given, let_through, again=case.get("random", False))
    found = promise.judged(planned, allowed=allowed, may_refuse=may_refuse)
    others_pin(planned, promise, chart, given, allowed, kustomize, tmp_path)
    if found is None:
        stderr = planned.forms.done.stderr
        assert not case.get("says") or any(word in stderr for word in case["says"]), stderr
        return
    assert sorted(set(found.images) - set(case.get("left", []))) == sorted(case["pinned"])
    if "followers" in case:
        assert [follower.path for follower in found.followed] == case["followers"]
    if "written" in case:
        pinned = planned.forms.done.stdout
        assert {image.partition("@")[0] for image in strip.images_of(pinned)} == set(case["written"])
    plan = planned.forms.plan
    if "via" in case:
        assert {image["via"] for image in plan["images"]} == {case["via"]}
    if "by_template" in case:
        assert {image["image"] for image in plan["images"] if image["via"] == "template"} == set(case["by_template"])
    assert plan["renders"] <= case.get("renders", plan["renders"])


@pytest.mark.parametrize("name", sorted({path.parent.name for path in CASES.glob("*/Chart.yaml")} - CASE.keys()))
def test_outputs_for_other_deployers_pin_every_case_chart(
    name: str, promise: Promise, kustomize: Kustomize, tmp_path: Path
) -> None:
    others_pin(promise.planned(CASES / name), promise, CASES / name, [], [], kustomize, tmp_path)


def others_pin(
    planned: Planned,
    promise: Promise,
    chart: Path,
    given: Sequence[str],
    left: Sequence[str],
    kustomize: Kustomize,
    folder: Path,
) -> None:
    """What is printed for other deployers pins every image that does not stay, and nothing else: a kustomization, for each form of
    manifest that the charts have, and a values file, for each chart. Or it is refused."""
    kustomize.pins(planned.kustomization, planned.plain, promise.content.digest, left, folder)
    if planned.forms.values is not None:
        (folder / "pins.yaml").write_text(planned.forms.values)
        pinned = promise.machine.helm("template", "rel", chart, *given, "-f", folder / "pins.yaml")
        all_pinned(pinned, left)
        assert len(strip.images_of(pinned)) == len(strip.images_of(planned.plain))


def refused(promise: Promise, chart: Path, case: Mapping[str, Any]) -> None:
    """Each of the images is refused, and the way out is said with the flag."""
    done, plan, values = promise.forms(chart)
    assert (done.status, done.stdout, values) == (3, "", None)
    assert sorted({image["image"] for image in plan["unpinned"]}) == sorted(case["refused"])
    assert sorted(image["image"] for image in plan["images"] if image["pinned"]) == sorted(case["pinned"])
    for image in case["refused"]:
        assert re.search(rf"--allow-unpinned '?{re.escape(image)}", done.stderr), done.stderr
