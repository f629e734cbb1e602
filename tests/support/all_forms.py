"""helm pin template as `helm pin` starts it, which also writes down what helm pin plan would print of the same plan.

tests/support/fork_server.py runs this file in place of helmpin/__main__.py. The file that ALL_FORMS names gets a JSON object:
`json`, what `-o json` prints, and `values` and `kustomize`, what these forms print, or null where they would refuse; of a refused
plan, too.
That `helm pin plan` prints the same, tests/properties/test_round_trip.py shows.
"""

from __future__ import annotations

import io
import json
import os
import runpy
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from helmpin import structured
from helmpin.commands import template
from helmpin.errors import Refused
from helmpin.plan import show
from helmpin.plan.plan import Plan
from helmpin.plan.prepare import Prepared, prepare
from tests.support.fork_server import MAIN


@contextmanager
def noted(*args: Any, **options: Any) -> Iterator[Prepared]:
    """As `prepare`, with the forms of the plan written first."""
    forms = Path(os.environ.pop("ALL_FORMS"))
    with prepare(*args, **options) as prepared:
        plan = prepared.plan
        with redirect_stdout(io.StringIO()) as told:
            structured.show(show.describe(plan, reuse=prepared.reuse), "json")
        others = {form: for_others(plan, form) for form in ("values", "kustomize")}
        forms.write_text(json.dumps({"json": told.getvalue(), **others}))
        yield prepared


def for_others(plan: Plan, form: str) -> str | None:
    """What a complete form prints; None where it would refuse."""
    try:
        with redirect_stdout(io.StringIO()) as printed:
            plan.refuse_problems()
            show.print_for_others(plan, form, partial=False, names=False, values_only=False)
    except Refused:
        return None
    return printed.getvalue()


if __name__ == "__main__":
    template.prepare = noted
    runpy.run_path(MAIN, run_name="__main__")
