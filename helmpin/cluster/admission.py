"""What may change objects when they are admitted to the cluster: mutating webhooks and policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from helmpin.cluster.workloads import Object
from helmpin.kubectl import Kubectl
from helmpin.named_tuple import NamedTuple

_ROOM = "admissionregistration.k8s.io/v1"
_WEBHOOKS = f"{_ROOM}/mutatingwebhookconfigurations"
_POLICIES = f"{_ROOM}/mutatingadmissionpolicies"
Labels = Mapping[str, str]


class _Admitted(NamedTuple):
    """An object as admission sees it."""

    group: str
    resource: str
    labels: Labels
    namespace: Labels | None
    """The labels of its namespace; None if it is in none, or if they cannot be read."""


def suspects(kubectl: Kubectl, changed: Iterable[Object]) -> tuple[str, ...]:
    """One line for each webhook or policy that matches one of the changed objects, or why they could not be found."""
    objects = list(changed)
    if not objects:
        return ()
    known, failed = kubectl.resources(str(item.get("apiVersion")) for item in objects)
    namespaces = _namespaces(kubectl, objects)
    admitted = [
        _Admitted(
            kind[0].rpartition("/")[0],
            known[kind].name.rpartition("/")[2],
            item["metadata"].get("labels") or {},
            namespaces.get(str(item["metadata"].get("namespace"))),
        )
        for item in objects
        if (kind := (str(item.get("apiVersion")), str(item.get("kind")))) in known
    ]
    answers = kubectl.lists([_WEBHOOKS, _POLICIES])
    found = [line for item in answers[_WEBHOOKS].items for line in _webhooks(item, admitted)]
    for item in answers[_POLICIES].items:
        match = (item.get("spec") or {}).get("matchConstraints") or {}
        if _is_asked(match, match.get("resourceRules") or [], admitted):
            found.append(f"MutatingAdmissionPolicy/{item['metadata']['name']}")
    lines = [f"possibly {line}" for line in found]
    errors = [*answers[_WEBHOOKS].errors, *(line for errors in failed.values() for line in errors)]
    return (*lines, *(f"webhooks and policies could not be read: {error}" for error in errors))


def _namespaces(kubectl: Kubectl, objects: Iterable[Object]) -> dict[str, Labels]:
    """The labels of the objects' namespaces, as far as they can be read."""
    names = {str(item["metadata"]["namespace"]) for item in objects if item["metadata"].get("namespace")}
    answers = kubectl.lists(f"v1/namespaces?fieldSelector={quote(f'metadata.name={name}')}" for name in sorted(names))
    items = [item["metadata"] for answer in answers.values() for item in answer.items]
    return {metadata["name"]: metadata.get("labels") or {} for metadata in items}


def _webhooks(configuration: Object, admitted: list[_Admitted]) -> Iterator[str]:
    for webhook in configuration.get("webhooks") or []:
        if _is_asked(webhook, webhook.get("rules") or [], admitted):
            yield f"MutatingWebhookConfiguration/{configuration['metadata']['name']}, webhook {webhook.get('name')}"


def _is_asked(match: Mapping[str, Any], rules: list[dict[str, Any]], admitted: list[_Admitted]) -> bool:
    """Whether the rules and selectors of a webhook or policy match one of the objects."""
    return any(
        _covers(rules, item)
        and selects(match.get("objectSelector") or {}, item.labels)
        and (item.namespace is None or selects(match.get("namespaceSelector") or {}, item.namespace))
        for item in admitted
    )


def _covers(rules: list[dict[str, Any]], item: _Admitted) -> bool:
    """Whether a rule matches the object's kind (API reference, RuleWithOperations; `*` stands for all)."""
    return any(
        {item.group, "*"} & set(rule.get("apiGroups") or [])
        and {item.resource, "*", "*/*"} & set(rule.get("resources") or [])
        and {"CREATE", "UPDATE", "*"} & set(rule.get("operations") or [])
        for rule in rules
    )


def selects(selector: Mapping[str, Any], labels: Labels) -> bool:
    """Whether a label selector matches these labels (API reference, LabelSelector)."""
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        {
            "In": labels.get(each["key"]) in (each.get("values") or []),
            "NotIn": labels.get(each["key"]) not in (each.get("values") or []),
            "Exists": each["key"] in labels,
            "DoesNotExist": each["key"] not in labels,
        }[each["operator"]]
        for each in selector.get("matchExpressions") or []
    )
