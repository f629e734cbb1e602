"""The objects between custom resources and their pods that are of no kind which is read anyway: a Knative Service owns a
Configuration, that a Revision, that a Deployment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from helmpin.cluster.pods import Pods, controlling_owner
from helmpin.cluster.workloads import Object
from helmpin.image.find import BUILT_IN
from helmpin.kubectl import Kubectl

MOST_LEVELS = 5
"""How many objects may stand between a custom resource and what is read anyway."""


def with_owners(
    kubectl: Kubectl, population: Sequence[Object], tops: Iterable[Object], *, everywhere: bool = False
) -> tuple[list[Object], tuple[str, ...]]:
    """A population and, if one of `tops` is a custom resource to which no pod of it belongs, the owners that are not in it, and
    theirs; and what could not be read, one line each.

    everywhere: read all namespaces, each kind once, in place of those of the owned objects.
    """
    found, errors = [*population], list[str]()
    pods = Pods(found)
    if all(top.get("apiVersion") in BUILT_IN or pods.of(top) for top in tops):
        return found, ()
    asked: set[tuple[str, str, str]] = set()
    for _ in range(MOST_LEVELS):
        missing = _missing(found, everywhere=everywhere) - asked
        if not missing:
            break
        asked |= missing
        known, failed = kubectl.resources({version for _, version, _ in missing})
        errors += [error for some in failed.values() for error in some]
        by_namespace: dict[str, list[str]] = defaultdict(list)
        for namespace, version, kind in sorted(missing):
            if resource := known.get((version, kind)):
                by_namespace[namespace if resource.namespaced else ""].append(resource.name)
        for namespace, names in by_namespace.items():
            for answer in kubectl.lists(names, namespace or None).values():
                found += answer.items
                errors += answer.errors
    return found, tuple(dict.fromkeys(errors))


def _missing(population: Iterable[Object], *, everywhere: bool) -> set[tuple[str, str, str]]:
    """(namespace, apiVersion, kind) of the owners that are not in a population; the nodes that own static pods do not count."""
    items = list(population)
    known = {item["metadata"].get("uid") for item in items}
    missing = set()
    for item in items:
        owner = controlling_owner(item)
        if owner and owner.get("uid") not in known and owner.get("kind") != "Node":
            namespace = "" if everywhere else str(item["metadata"].get("namespace", ""))
            missing.add((namespace, str(owner.get("apiVersion")), str(owner.get("kind"))))
    return missing
