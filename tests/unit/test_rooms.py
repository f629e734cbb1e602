"""The layout that CONTRIBUTING.md describes: a module imports only from its own room and from rooms below it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HELMPIN = Path(__file__).resolve().parents[2] / "helmpin"
ROOMS = [
    {
        "__version__",
        "errors",
        "files",
        "output",
        "env",
        "streams",
        "kube_yaml",
        "yaml_position",
        "next_command",
        "process",
        "lifeline",
        "foreground",
        "timeline",
        "password",
    },
    {"private", "prefetch", "gate"},
    {"image"},
    {"registry"},
    {"config", "policy"},
    {"helm", "kubectl", "arguments", "global_flags", "lock"},
    {"chart", "cluster"},
    {"release", "render"},
    {"lock_source"},
    {"verify"},
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


@pytest.mark.parametrize("path", sorted(HELMPIN.rglob("*.py")), ids=lambda path: str(path.relative_to(HELMPIN)))
def test_imports_go_down(path: Path) -> None:
    own = room(path)
    if own == "__init__":
        return
    up = [name for name in imported(path) if LEVEL[name] > LEVEL[own]]
    assert not up, f"{own} imports {', '.join(up)}"
