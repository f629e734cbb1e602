"""The first lines of the errors that the code raises, read from its source: `…` stands for what is filled in."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from tests.support.workstation import CHECKOUT

ERRORS = frozenset(
    {
        "HelmFailed",
        "OperationFailed",
        "UsageError",
        "Refused",
        "VerificationFailed",
        "RegistryUnavailable",
        "InstallError",
    }
)
"""The classes whose first argument a user reads as the first line."""
FILE = ".helm-pin.yaml"


class Raised(NamedTuple):
    """A first line, and where it is."""

    kind: str
    text: str
    place: str
    """file:line"""


def raised() -> list[Raised]:
    """All first lines of errors. An error that is raised anew with the first line of another is not among them."""
    found = []
    for path in sorted((CHECKOUT / "helmpin").rglob("*.py")):
        tree = ast.parse(path.read_text())
        for call, scopes in _calls(tree, (tree,)):
            if isinstance(call.func, ast.Name) and call.func.id in ERRORS and call.args:
                texts = (text for text in _texts(call.args[0], scopes) if re.search("[a-z]", text))
                found += [Raised(call.func.id, text, f"{path.relative_to(CHECKOUT)}:{call.lineno}") for text in texts]
    return found


def _calls(node: ast.AST, scopes: tuple[ast.AST, ...]) -> Iterator[tuple[ast.Call, tuple[ast.AST, ...]]]:
    """All calls below a node, each with the functions around it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield child, scopes
        yield from _calls(child, (*scopes, child) if isinstance(child, ast.FunctionDef) else scopes)


def _texts(node: ast.expr, scopes: tuple[ast.AST, ...]) -> list[str]:
    """What an expression can be, as far as its constants tell."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        parts = [_part(part, scopes) for part in node.values]
        return ["".join(each) for each in product(*parts)]
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body, scopes), *_texts(node.orelse, scopes)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return ["".join(each) for each in product(_or_any(node.left, scopes), _or_any(node.right, scopes))]
    if isinstance(node, ast.Name):
        if node.id == "FILE":
            return [FILE]
        for scope in reversed(scopes):
            values = [value for each in ast.walk(scope) for value in _assigned(each, node.id)]
            if values:
                return [text for value in values for text in _or_any(value, scopes)]
    return []


def _assigned(node: ast.AST, name: str) -> Iterator[ast.expr]:
    if isinstance(node, ast.Assign):
        target, value = node.targets[0], node.value
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = list(zip(target.elts, value.elts, strict=True))
        else:
            pairs = [(target, value)]
        yield from (value for target, value in pairs if ast.unparse(target) == name)


def _part(part: ast.expr, scopes: tuple[ast.AST, ...]) -> list[str]:
    if isinstance(part, ast.FormattedValue):
        return [FILE] if ast.unparse(part.value) == "FILE" else ["…"]
    return _texts(part, scopes)


def _or_any(node: ast.expr, scopes: tuple[ast.AST, ...]) -> list[str]:
    return _texts(node, scopes) or ["…"]
