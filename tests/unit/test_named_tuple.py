"""helmpin.named_tuple.NamedTuple: what typing.NamedTuple makes."""

from __future__ import annotations

import ast
import pickle
import typing
from pathlib import Path

import pytest

import helmpin
from helmpin.named_tuple import NamedTuple


class Ours(NamedTuple):
    """A pair."""

    name: str
    """Its name."""
    count: int = 2

    @property
    def twice(self) -> int:
        return 2 * self.count

    @classmethod
    def of(cls, text: str) -> Ours:
        return cls(text)

    def __str__(self) -> str:
        return self.name


class Theirs(typing.NamedTuple):
    """A pair."""

    name: str
    """Its name."""
    count: int = 2

    @property
    def twice(self) -> int:
        return 2 * self.count

    @classmethod
    def of(cls, text: str) -> Theirs:
        return cls(text)

    def __str__(self) -> str:
        return self.name


def test_a_class_has_what_typings_has() -> None:
    made, expected = (
        {**vars(each), "of": None, "twice": None, "__str__": None, "__new__": None, "__repr__": None}
        for each in (Ours, Theirs)
    )
    made.pop("__qualname__", None), expected.pop("__qualname__", None), expected.pop("__orig_bases__", None)
    assert made.keys() == expected.keys()
    for name in (
        "_fields",
        "_field_defaults",
        "__doc__",
        "__module__",
        "__match_args__",
        "__slots__",
    ):
        assert made[name] == expected[name]
    assert Ours.__mro__[1:] == (tuple, object)
    assert typing.get_type_hints(Ours) == typing.get_type_hints(Theirs) == {"name": str, "count": int}


def test_an_instance_behaves_as_typings() -> None:
    ours, theirs = Ours("a"), Theirs("a")
    assert ours == theirs == ("a", 2)
    assert (str(ours), repr(ours), ours.twice, ours._replace(count=3), Ours.of("b")) == (
        "a",
        "Ours(name='a', count=2)",
        4,
        ("a", 3),
        ("b", 2),
    )
    assert pickle.loads(pickle.dumps(ours)) == ours
    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'name'"):
        Ours()  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        ours.name = "b"  # type: ignore[misc]


def test_the_rooms_use_it() -> None:
    slow = [
        path.name
        for path in Path(helmpin.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and node.module == "typing"
        and any(name.name == "NamedTuple" for name in node.names)
    ]
    assert slow == ["named_tuple.py"]
