"""Which objects a label selector selects."""

from __future__ import annotations

from typing import Any

import pytest

from helmpin.cluster.admission import selects

LABELS = {"team": "shop", "tier": "web"}


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({}, True),
        ({"matchLabels": {"team": "shop"}}, True),
        ({"matchLabels": {"team": "shop", "tier": "db"}}, False),
        ({"matchLabels": {"other": "x"}}, False),
        ({"matchExpressions": [{"key": "team", "operator": "In", "values": ["shop", "x"]}]}, True),
        ({"matchExpressions": [{"key": "other", "operator": "In", "values": ["x"]}]}, False),
        ({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["shop"]}]}, False),
        ({"matchExpressions": [{"key": "other", "operator": "NotIn", "values": ["x"]}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}, False),
        (
            {
                "matchLabels": {"team": "shop"},
                "matchExpressions": [
                    {"key": "skip", "operator": "DoesNotExist"},
                    {"key": "tier", "operator": "Exists"},
                ],
            },
            True,
        ),
    ],
)
def test_what_is_selected(selector: dict[str, Any], selected: bool) -> None:
    assert selects(selector, LABELS) is selected
