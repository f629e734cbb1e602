"""Whether the unit tests notice small changes of the code: one at a time, in a process of its own, by the tests of its room.

A change that no test notices survives: a test is missing, or the change changes nothing that matters. This needs the environment of
the tests (scripts/test makes it). No file is written: the changed module is made in memory when it is imported.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.abc
import importlib.machinery
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
TOO_LONG = 20
"""Seconds of processor time after which a change counts as noticed, for it made a loop that does not end: a room takes about 4."""
OPPOSITES: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
}


class Mutant(NamedTuple):
    """One change of a module."""

    path: Path
    number: int
    """Which of the changes of its module."""
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}  {self.what}"


def changes(tree: ast.Module) -> Iterator[tuple[int, str, Callable[[], None]]]:
    """Each change of a tree: its line, what it is, and what makes it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for i, op in enumerate(node.ops):
                other = OPPOSITES[type(op)]
                yield node.lineno, f"{_shown(node)}: {type(op).__name__} → {other.__name__}", _put(node.ops, i, other())
        elif isinstance(node, (ast.BoolOp, ast.BinOp)) and type(node.op) in OPPOSITES:
            other = OPPOSITES[type(node.op)]
            yield node.lineno, f"{_shown(node)}: {type(node.op).__name__} → {other.__name__}", _set(node, "op", other())
        elif isinstance(node, (ast.If, ast.While, ast.IfExp, ast.comprehension)):
            for holder, field, test in _tests(node):
                negated = ast.UnaryOp(ast.Not(), test)
                change = _put(holder, field, negated) if isinstance(holder, list) else _set(holder, str(field), negated)
                yield test.lineno, f"not ({_shown(test)})", change
        elif isinstance(node, ast.Return) and node.value is not None and not _is(node.value, None):
            yield node.lineno, f"{_shown(node)} → None", _set(node, "value", ast.Constant(None))
        elif isinstance(node, ast.Constant) and isinstance(node.value, int):
            other_value = not node.value if isinstance(node.value, bool) else node.value + 1
            yield node.lineno, f"{node.value} → {other_value}", _set(node, "value", other_value)
        elif isinstance(node, (ast.Continue, ast.Break)):
            yield node.lineno, f"{_shown(node)} left out", lambda node=node: _become_pass(node)  # type: ignore[misc]
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield node.lineno, f"{_shown(node)} left out", _set(node, "value", ast.Constant(None))


def _tests(node: ast.AST) -> Iterator[tuple[object, object, ast.expr]]:
    """The conditions of a node, each with what holds it. TYPE_CHECKING is none that could matter to a test."""
    if isinstance(node, ast.comprehension):
        yield from ((node.ifs, i, test) for i, test in enumerate(node.ifs))
    elif ast.unparse(node.test) != "TYPE_CHECKING":  # type: ignore[attr-defined]
        yield node, "test", node.test  # type: ignore[attr-defined]


def _shown(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) < 80 else f"{text[:77]}…"


def _is(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _set(node: ast.AST, field: str, value: object) -> Callable[[], None]:
    return lambda: setattr(node, field, value)


def _put(values: list[ast.AST], i: object, value: ast.AST) -> Callable[[], None]:
    return lambda: values.__setitem__(i, value)  # type: ignore[call-overload, no-any-return]


def _become_pass(node: ast.AST) -> None:
    node.__class__ = ast.Pass  # type: ignore[assignment]


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a changed tree."""

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        self._name, self._path, self._tree = name, path, tree

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if name != self._name:
            return None
        return importlib.machinery.ModuleSpec(name, self, origin=str(self._path))

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self._path)
        exec(compile(self._tree, str(self._path), "exec"), module.__dict__)


def of_module(path: Path) -> list[Mutant]:
    """Every change of a module."""
    tree = ast.parse(path.read_text())
    return [Mutant(path, number, line, what) for number, (line, what, _) in enumerate(changes(tree))]


def is_noticed(mutant: Mutant, tests: Sequence[str]) -> bool:
    """Whether a test fails with the change: one of its own module's, which take no time, or else any other."""
    own = ROOT / "tests" / "unit" / mutant.path.parent.name / f"test_{mutant.path.name}"
    return (own.exists() and _fails(mutant, [str(own)])) or _fails(mutant, tests)


def _fails(mutant: Mutant, tests: Sequence[str]) -> bool:
    child = os.fork()
    if not child:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (TOO_LONG, TOO_LONG))
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os._exit(_try(mutant, tests))
    return os.waitpid(child, 0)[1] != 0


def _try(mutant: Mutant, tests: Sequence[str]) -> int:
    import pytest

    tree = copy.deepcopy(ast.parse(mutant.path.read_text()))
    for number, (_, _, change) in enumerate(changes(tree)):
        if number == mutant.number:
            change()
            break
    name = ".".join(mutant.path.relative_to(ROOT).with_suffix("").parts)
    sys.meta_path.insert(0, _Changed(name, mutant.path, ast.fix_missing_locations(tree)))
    try:
        return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]))
    except BaseException:  # noqa: BLE001  the module cannot even be imported
        return 1


def _modules(room: str, parser: argparse.ArgumentParser) -> list[Path]:
    """The modules of a room, or the one that is named `room/module`. Ends the program with a message where there is none."""
    folder, _, name = room.partition("/")
    found = sorted((ROOT / "helmpin" / folder).glob(f"{name.removesuffix('.py') or '*'}.py"))
    if not found:
        parser.error(f"there is no helmpin/{room}")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Print the changes that no test notices, and the figures."""
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=__doc__)
    parser.add_argument(
        "rooms",
        nargs="*",
        default=["plan", "search", "templates", "render"],
        metavar="ROOM[/MODULE]",
        help="rooms of helmpin, or single modules such as search/search (default plan search templates render)",
    )
    parser.add_argument(
        "--sample", type=int, default=0, help="try so many changes of all, drawn with --seed (default all)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(argv)
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    import hypothesis
    import pytest  # noqa: F401  here, so that the children have them already

    rooms = dict.fromkeys(room.partition("/")[0] for room in options.rooms)
    tests = [f"tests/unit/{room}" for room in rooms]
    mutants = [m for room in options.rooms for path in _modules(room, parser) for m in of_module(path)]
    chosen = mutants
    if options.sample and options.sample < len(mutants):
        chosen = sorted(random.Random(options.seed).sample(mutants, options.sample))
    survived: list[Mutant] = []
    with tempfile.TemporaryDirectory() as compiled, ThreadPoolExecutor(options.at_once) as pool:
        sys.pycache_prefix, sys.dont_write_bytecode = compiled, False  # so that each child need not compile all of it
        if _fails(Mutant(ROOT / "helmpin" / "__init__.py", -1, 0, ""), tests):
            sys.exit(f"{' '.join(tests)} fail without a change")
        print(
            f"{len(chosen)} of {len(mutants)} changes of {', '.join(options.rooms)}; hypothesis {hypothesis.__version__}"
        )
        began = time.monotonic()
        for mutant, noticed in zip(chosen, pool.map(lambda m: is_noticed(m, tests), chosen), strict=True):
            if not noticed:
                survived.append(mutant)
                print(f"survives: {mutant}", flush=True)
    by_file = Counter(str(mutant.path.relative_to(ROOT)) for mutant in survived)
    tried = Counter(str(mutant.path.relative_to(ROOT)) for mutant in chosen)
    print(f"{len(chosen) - len(survived)} noticed, {len(survived)} survive, {time.monotonic() - began:.0f} s")
    print("\n".join(f"{count:5} of {tried[name]:4} {name}" for name, count in by_file.most_common()))
    return 0
