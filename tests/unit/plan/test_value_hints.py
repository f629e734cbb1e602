"""Which values are blamed for a text that is no image reference."""

from __future__ import annotations

from typing import Any

import pytest

from helmpin.plan.value_hints import hint_on_values
from tests.support.renders import digest

IMAGE = {"repository": "q.io/app", "tag": ""}


@pytest.mark.parametrize(
    ("image", "values", "hint"),
    [
        (f"q.io/app:@{digest('a')}", {"image": {**IMAGE, "tag": f"@{digest('a')}"}}, "correct image.tag"),
        ('q.io/app:1",', {"image": {**IMAGE, "tag": '1",'}}, "correct image.tag"),
        (
            "q.io/app:1_?",
            {"image": IMAGE},
            "correct the value, or the appVersion of the chart, that gives its tag",
        ),
        ("Q.io/App:1", {"image": {"repository": "Q.io/App", "tag": "1"}}, "correct image.repository"),
        (":1", {"image": {"repository": "", "tag": "1"}}, "the repository is empty: set image.repository"),
        ("/app:1", {"global": {"registry": ""}}, "nothing stands before its first slash: set global.registry"),
        ("Q//?", {}, "nothing stands between two of its slashes"),
        ("Q", {}, "correct the values that set it"),
    ],
)
def test_the_value_at_fault_is_named(image: str, values: dict[str, Any], hint: str) -> None:
    assert hint_on_values(image, values).startswith(hint)
