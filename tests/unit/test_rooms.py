"""The layout that CONTRIBUTING.md describes: a module imports only from its own room and from rooms below it, and no modules import
one another in a circle."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

HELMPIN = Path(__file__).resolve().parents[2] / "helmpin"
ROOMS = [
    {
        "__version__",
        "errors",
        "files",
        "output",
        "structured",
        "env",
        "streams",
        "kube_yaml",
        "yaml_position",
        "global_flags",
        "next_command",
        "cluster_advice",
        "parallel",
        "asked",
        "process",
        "lifeline",
        "foreground",
        "timeline",
        "password",
        "shapes",
        "named_tuple",
        "cache",
    },
    {"private", "prefetch", "gate", "save"},
    {"image"},
    {"registry"},
    {"config", "policy"},
    {"helm", "helm_failure", "kubectl", "arguments"},
    {"chart", "cluster"},
    {"release", "render"},
    {"lock"},
    {"verify"},
    {"templates"},
    {"search"},
    {"plan", "audit"},
    {"command_table"},
    {"request", "help_text", "completion", "settings_schema"},
    {"lint"},
    {"commands"},
    {"cli"},
    {"__main__", "console", "install"},
]
"""From the ground up; those of one level may import one another."""
LEVEL = {name: level for level, names in enumerate(ROOMS) for name in names}


def imported(path: Path) -> Iterator[str]:
    """The top-level modules and rooms of helmpin that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "helmpin":
            _, _, rest = (node.module or "").partition(".")
            yield from [rest.partition(".")[0]] if rest else [alias.name for alias in node.names]


def room(path: Path) -> str:
    inside = path.relative_to(HELMPIN)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


STRANGERS = {("plan", "audit"), ("audit", "plan")}
"""Rooms of one level that do not know each other."""


@pytest.mark.parametrize("path", sorted(HELMPIN.rglob("*.py")), ids=lambda path: str(path.relative_to(HELMPIN)))
def test_imports_go_down(path: Path) -> None:
    own = room(path)
    if own == "__init__":
        return
    named = [*imported(path), *by_name(path)]
    up = [name for name in named if LEVEL[name] > LEVEL[own] or (own, name) in STRANGERS]
    assert not up, f"{own} imports {', '.join(up)}"


@pytest.mark.parametrize("path", sorted((HELMPIN / "commands").glob("*.py")), ids=lambda path: path.stem)
def test_no_command_imports_another(path: Path) -> None:
    assert "commands" not in imported(path)


def by_name(path: Path) -> Iterator[str]:
    """The rooms of helmpin that a file names in a string, as for a late import."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and (named := re.fullmatch(r"helmpin\.(\w+)(\.\w+)*", str(node.value))):
            yield named[1]


FILES = {".".join(path.relative_to(HELMPIN.parent).with_suffix("").parts): path for path in HELMPIN.rglob("*.py")}
MODULES = {name.removesuffix(".__init__"): path for name, path in sorted(FILES.items())}


def modules(text: str) -> set[str]:
    """The modules of helmpin that a text imports: at once, when a function runs, or for a type checker alone."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}": node.module for alias in node.names}
            found |= {name if name in MODULES else module for name, module in whole.items()}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & MODULES.keys()


def circle(graph: dict[str, set[str]]) -> str:
    """A circle of imports; '' if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " → ".join(reversed(error.args[1]))
    return ""


def test_no_circle_of_imports() -> None:
    """A circle hides behind a late import, until somebody moves the import to the top."""
    graph = {name: modules(path.read_text()) for name, path in MODULES.items()}
    assert sum(map(len, graph.values())) > 3 * len(graph), "the imports were found"
    assert circle(graph) == ""


def test_a_circle_is_found() -> None:
    late = modules("def f():\n    from helmpin import kubectl\nif TYPE_CHECKING:\n    from helmpin.lock import Lock")
    assert late == {"helmpin.kubectl", "helmpin.lock"}
    assert circle({"helmpin.helm": late, "helmpin.kubectl": modules("from helmpin.helm import Helm")})
