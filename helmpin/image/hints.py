"""What a text tells of how it came about, where a chart renders something that is no image or not the one that was meant."""

from __future__ import annotations

import re

_HINTS = (
    (r"(?:^|:)[0-9](?:\.[0-9]+)?e[-+][0-9]{2,3}$", "the value is read as a number; quote it"),
    (r"%!.?\((?:u?int|float)[0-9]*=", "the value is read as a number; quote it"),
    (r"(?:^|:)[0-9]+(?:\.[0-9]+)?$", "if the value has no quotes, it is read as a number; quote it"),
    (r"(?:^|:)(?:true|false)$|%!.?\(bool=", "the value is read as true or false; quote it"),
    (r"<nil>|<no value>|%!.?\(MISSING\)", "the value is null or missing; set it"),
)
"""How Go prints what is not a string: by `{{ }}`, or by printf with a verb for strings."""
_FILLED_IN = (
    (r"\{\{.*\}\}", "Argo Workflows fills in a parameter"),
    (r"\$\([^()]+\)", "Tekton fills in a parameter"),
    (r"^(?:auto|\s+)$", "a webhook or controller fills it in"),
)


def number_hint(image: str) -> str:
    """What to do about an image, as rendered, that looks as Go prints a number, a boolean or nothing; '' otherwise."""
    return _first(_HINTS, image.partition("@")[0])


def filled_in(image: str) -> str:
    """Why a text is not an image yet, where it is known that something fills it in later; '' otherwise."""
    return _first(_FILLED_IN, image)


def _first(forms: tuple[tuple[str, str], ...], text: str) -> str:
    return next((meaning for form, meaning in forms if re.search(form, text, re.DOTALL)), "")
