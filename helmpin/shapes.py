"""Parts of documents that nothing has validated: the map or list that is there, or an empty one."""

from __future__ import annotations

from typing import Any


def mapping(value: Any) -> dict[str, Any]:
    """A value if it is a map, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """A value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []
