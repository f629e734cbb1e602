"""The owners between custom resources and pods that nobody reads anyway."""

from __future__ import annotations

from typing import Any, cast

import pytest

from helmpin.cluster.owners import with_owners
from helmpin.cluster.pods import Pods
from helmpin.cluster.workloads import Object
from helmpin.kubectl import Kubectl, Objects, Resource

CUSTOM = "serving.example.com/v1"


def made(kind: str, owner: str = "", version: str = CUSTOM) -> Object:
    """An object of a kind, whose UID is its kind, owned by the one of another kind."""
    reference = {"apiVersion": CUSTOM, "kind": owner, "name": "x", "uid": owner, "controller": True}
    metadata = {"name": "x", "namespace": "shop", "uid": kind, **({"ownerReferences": [reference]} if owner else {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


SERVICE = made("Service")
BETWEEN = {"Configuration": made("Configuration", "Service"), "Revision": made("Revision", "Configuration")}
READ = [SERVICE, made("Deployment", "Revision", "apps/v1"), made("Pod", "Deployment", "v1")]


class Cluster:
    """A kubectl that lists the objects in between, and is refused what is in `forbidden`."""

    def __init__(self, *forbidden: str) -> None:
        self.forbidden, self.listed = forbidden, list[tuple[str, str | None]]()

    def resources(self, _: set[str]) -> tuple[dict[tuple[str, str], Resource], dict[str, tuple[str, ...]]]:
        return {(CUSTOM, kind): Resource(f"{CUSTOM}/{kind.lower()}s", True) for kind in BETWEEN}, {}

    def lists(self, names: list[str], namespace: str | None) -> dict[str, Objects]:
        self.listed += [(name, namespace) for name in names]
        kinds = {f"{CUSTOM}/{kind.lower()}s": kind for kind in BETWEEN}
        return {
            name: Objects([], ("(Forbidden)",)) if kinds[name] in self.forbidden else Objects([BETWEEN[kinds[name]]])
            for name in names
        }


@pytest.mark.parametrize(("everywhere", "namespace"), [(False, "shop"), (True, None)])
def test_they_are_read_level_after_level(everywhere: bool, namespace: str | None) -> None:
    cluster = Cluster()
    found, errors = with_owners(cast("Kubectl", cluster), READ, [SERVICE], everywhere=everywhere)
    assert [item["kind"] for item in Pods(found).of(SERVICE)] == ["Pod"]
    assert errors == ()
    assert cluster.listed == [(f"{CUSTOM}/revisions", namespace), (f"{CUSTOM}/configurations", namespace)]


def test_what_may_not_be_read_is_named() -> None:
    found, errors = with_owners(cast("Kubectl", Cluster("Revision")), READ, [SERVICE])
    assert (found, errors) == (READ, ("(Forbidden)",))


@pytest.mark.parametrize(
    "tops", [[], [made("Deployment", version="apps/v1")], [made("Pod", version=CUSTOM)], [READ[1]]]
)
def test_nothing_is_read_where_every_custom_resource_has_its_pods(tops: list[Any]) -> None:
    cluster = Cluster()
    assert with_owners(cast("Kubectl", cluster), READ, tops) == (READ, ())
    assert cluster.listed == []
