"""Keeping the record out of the manifest: templates that print all annotations of Chart.yaml would print the record with them."""

from __future__ import annotations

import re
from typing import Protocol

from helmpin.pin.digestset import ANNOTATION

_ACTION = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_ALL = re.compile(r"""(?<![\w.$)])((?:\$\w*)?(?:\.\w+)*\.Chart\.Annotations)(?![\w.]|\s+["`])""")
"""All annotations, not one of them by its name."""


class Templates(Protocol):
    """What is needed of a staged chart."""

    def template_files(self) -> dict[str, str]: ...
    def write(self, path: str, text: str) -> None: ...


def hide_record(staged: Templates) -> None:
    """Have the templates of a staged chart see its annotations without the record."""
    for path, text in staged.template_files().items():
        if ".Chart.Annotations" in text:
            hidden = _ACTION.sub(lambda action: _ALL.sub(_without, action[0]), text)
            if hidden != text:
                staged.write(path, hidden)


def may_print_all(staged: Templates) -> bool:
    """Whether a template reads the chart's metadata as a whole, and so perhaps the record."""
    return any(re.search(r"\.Chart\b(?!\.\w)", text) for text in staged.template_files().values())


def _without(match: re.Match[str]) -> str:
    return f'(omit (fromJson (toJson {match[1]})) "{ANNOTATION}")'
