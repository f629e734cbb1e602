"""Parts of documents that nothing has validated: the map or list that is there, or an empty one."""

from __future__ import annotations

from typing import Any


def mapping(value: Any) -> dict[str, Any]:
    """A value if it is a map, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """A value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text_of(value: Any) -> str:
    """A scalar as a template prints it (text/template: Go's formatting of what JSON can hold); '' for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return as_go_writes(repr(value)) if isinstance(value, float) else str(value)


def as_go_writes(number: str) -> str:
    """A finite number, given by its digits, as Go writes a float (strconv, FormatFloat, format 'g'): 1e+06."""
    from decimal import Decimal

    plain = Decimal(number).normalize()
    digits, _, exponent = f"{plain:e}".partition("e")
    return f"{plain:f}" if -4 <= int(exponent) < 6 else f"{digits}e{int(exponent):+03d}"
