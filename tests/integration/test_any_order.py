"""A chart that prints its objects in Go's random order of maps, as libraries for many workloads do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.support.any_tag import AnyTag
from tests.support.promise import Promise
from tests.support.workstation import Workstation, whichever_helm

CHART = Path(__file__).parents[1] / "cases" / "objects-in-any-order"


def by_name(manifest: str) -> dict[tuple[str, str], Any]:
    """The objects of a manifest by kind and name."""
    return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(manifest)}


@whichever_helm
def test_objects_are_told_apart_by_their_names(workstation: Workstation, content: AnyTag) -> None:
    """Each gets its own digest by its own value, and nothing else changes."""
    promise = Promise(workstation, content)
    plain = by_name(workstation.helm("template", "rel", CHART))
    for _ in range(3):
        done, plan, _ = promise.forms(CHART)
        assert {image["via"] for image in plan["images"]} == {"values"} and plan["renders"] <= 5
        pinned = by_name(done.stdout)
        digests = {image["image"]: image["digest"] for image in plan["images"]}
        for kind, name in pinned:
            spec = pinned[kind, name]["spec"]["template"]["spec"] if kind == "Deployment" else {}
            for container in (*spec.get("initContainers", ()), *spec.get("containers", ())):
                container["image"], _, digest = container["image"].partition("@")
                assert digest == digests[container["image"]]
        assert pinned == plain
