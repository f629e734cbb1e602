"""What may change objects when they are admitted to the cluster: mutating webhooks and policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from helmpin.kubectl import Kubectl
from helmpin.pin.live import Object

_ROOM = "admissionregistration.k8s.io/v1"
_WEBHOOKS = f"{_ROOM}/mutatingwebhookconfigurations"
_POLICIES = f"{_ROOM}/mutatingadmissionpolicies"


def suspects(kubectl: Kubectl, changed: Iterable[Object]) -> tuple[str, ...]:
    """One line for each webhook or policy whose rules cover one of the changed objects, or why they cannot be named."""
    wanted = {(str(item.get("apiVersion")), str(item.get("kind"))) for item in changed}
    if not wanted:
        return ()
    known, failed = kubectl.resources(version for version, _ in wanted)
    kinds = {(kind[0].rpartition("/")[0], known[kind].name.rpartition("/")[2]) for kind in wanted if kind in known}
    answers = kubectl.lists([_WEBHOOKS, _POLICIES])
    found = [line for item in answers[_WEBHOOKS].items for line in _webhooks(item, kinds)]
    for item in answers[_POLICIES].items:
        rules = ((item.get("spec") or {}).get("matchConstraints") or {}).get("resourceRules") or []
        if _covers(rules, kinds):
            found.append(f"MutatingAdmissionPolicy/{item['metadata']['name']}")
    lines = [f"it may be {line}" for line in found]
    errors = [*answers[_WEBHOOKS].errors, *(line for errors in failed.values() for line in errors)]
    return (*lines, *(f"which webhook it was cannot be told: {error}" for error in errors))


def _webhooks(configuration: Object, kinds: set[tuple[str, str]]) -> Iterator[str]:
    for webhook in configuration.get("webhooks") or []:
        if _covers(webhook.get("rules") or [], kinds):
            yield f"MutatingWebhookConfiguration/{configuration['metadata']['name']}, webhook {webhook.get('name')}"


def _covers(rules: list[dict[str, Any]], kinds: set[tuple[str, str]]) -> bool:
    """Whether rules cover one of (group, resource) (API reference, RuleWithOperations; `*` stands for all)."""
    return any(
        {group, "*"} & set(rule.get("apiGroups") or [])
        and {resource, "*", "*/*"} & set(rule.get("resources") or [])
        and {"CREATE", "UPDATE", "*"} & set(rule.get("operations") or [])
        for rule in rules
        for group, resource in kinds
    )
