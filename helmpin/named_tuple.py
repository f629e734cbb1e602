"""typing.NamedTuple, made in a third of the time: typing compiles each annotation, which nothing reads when the program runs.

Measured for `plan` of a small chart, which makes 92 of these classes: 12 ms of the 119 that importing takes.
"""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False  # of typing, which is slow to import
if TYPE_CHECKING:
    from typing import Any, NamedTuple
else:

    class _Maker(type):
        """Makes a named tuple of the annotated names in a class statement; what has a value there has a default."""

        def __new__(cls, name: str, _bases: tuple[type, ...], body: dict[str, Any]) -> type:
            fields = body["__annotations__"]
            defaults = [body.pop(field) for field in fields if field in body]
            made = namedtuple(name, fields, defaults=defaults, module=body["__module__"])  # noqa: PYI024
            for key, value in body.items():
                if key not in _OF_TYPE:
                    setattr(made, key, value)
            return made

    _OF_TYPE = frozenset({"__module__", "__qualname__"})
    NamedTuple = type.__new__(_Maker, "NamedTuple", (), {})

__all__ = ["NamedTuple"]
