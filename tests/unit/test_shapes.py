"""What the parts of documents are taken for."""

from __future__ import annotations

import pytest

from helmpin.shapes import text_of


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (8, "8"),
        (1.1, "1.1"),
        (2.0, "2"),
        ("x", "x"),
        (False, "false"),
        (1e21, "1e+21"),
        (1234567.5, "1.2345675e+06"),
        (123456.5, "123456.5"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (-2.50, "-2.5"),
    ],
)
def test_text_of(value: object, text: str) -> None:
    assert text_of(value) == text
