"""What helm hands to a plugin through the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping


def debugging(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether --debug was given, by the words that helm takes for true (Go's strconv.ParseBool)."""
    return environ.get("HELM_DEBUG", "") in ("1", "t", "T", "true", "TRUE", "True")
