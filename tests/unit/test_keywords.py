"""A NamedTuple with more than four fields is built by keyword, so that two of its strings cannot change places unseen."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

HELMPIN = Path(__file__).resolve().parents[2] / "helmpin"
MOST = 4
TABLES = {"command_table.py", "lint/rules.py"}
"""Each is a table, whose columns are read by their place."""
FILES = {str(path.relative_to(HELMPIN)): path for path in sorted(HELMPIN.rglob("*.py"))}


def classes(tree: ast.AST) -> Iterator[str]:
    """The names of the NamedTuples of a file that have more than four fields."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "NamedTuple" for base in node.bases):
            fields = [statement for statement in node.body if isinstance(statement, ast.AnnAssign)]
            if len(fields) > MOST:
                yield node.name


@cache
def large() -> set[str]:
    """The names of all of them."""
    return {name for path in FILES.values() for name in classes(ast.parse(path.read_text()))}


def by_position(text: str) -> list[str]:
    """The calls that give one of `large` more than four values by their place. An unpacked list counts as too many."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call) or ast.unparse(node.func).rpartition(".")[2] not in large():
            continue
        if len(node.args) > MOST or any(isinstance(each, ast.Starred) for each in node.args):
            found.append(f"line {node.lineno}: {ast.unparse(node.func)}")
    return found


@pytest.mark.parametrize("name", sorted(FILES.keys() - TABLES))
def test_large_tuples_are_built_by_keyword(name: str) -> None:
    assert by_position(FILES[name].read_text()) == []


@pytest.mark.parametrize("name", sorted(TABLES))
def test_each_table_is_needed(name: str) -> None:
    assert by_position(FILES[name].read_text())


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('Image("r", "i", "d", "m", "v")', 1),
        ('record.Image("r", "i", "d", "m", "v")', 1),
        ('Image("r", *rest)', 1),
        ('Image("r", "i", "d", media_type="m", via="v")', 0),
        ('Image(**fields, via="v")', 0),
        ("print(1, 2, 3, 4, 5)", 0),
    ],
)
def test_what_counts(text: str, count: int) -> None:
    assert len(by_position(text)) == count
