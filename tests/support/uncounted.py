"""Processes whose branches are not counted (coverage), for what counting would disturb."""

from __future__ import annotations

import os

UNCOUNTED = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
"""The environment for a Python that must not import what counts, and for one that gets signals: an exception that a handler raises
while Python code of the counting runs is lost now and then."""
