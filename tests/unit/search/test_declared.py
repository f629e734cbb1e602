"""Keys that a chart declares without a value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helmpin.search.declared import with_declared
from tests.support.plans import chart

IMAGE = {"repository": "t/web"}


@pytest.mark.parametrize(
    ("text", "values", "found"),
    [
        ("image: {repository: t/web, digest: null, tag: }", {"image": IMAGE}, {**IMAGE, "digest": None, "tag": None}),
        ("image:\n  digest:\n", {"image": IMAGE}, {**IMAGE, "digest": None}),
        ("image: {digest: ~}", {"image": {"digest": "sha256:1"}}, {"digest": "sha256:1"}),
        ("image: {command: null, tag: null}", {"image": {}}, {"tag": None}),
        ("image: {digest: null}", {"image": "t/web:1"}, "t/web:1"),
        ("image: {digest: null}", {}, None),
        ("image: [{digest: null}]", {"image": [{}]}, [{}]),
        ("image: {digest: null", {"image": IMAGE}, IMAGE),
    ],
)
def test_keys_for_tags_and_digests_are_there_with_null(
    tmp_path: Path, text: str, values: dict[str, Any], found: object
) -> None:
    assert with_declared(values, chart(tmp_path, {"values.yaml": text})).get("image") == found


def test_each_chart_declares_its_own_but_no_globals_of_the_chart_around_it(tmp_path: Path) -> None:
    files = {
        "charts/db/Chart.yaml": "apiVersion: v2\nname: db\nversion: 1.0.0\n",
        "charts/db/values.yaml": "tag: null\nglobal: {tag: null}\n",
    }
    values = {"db": {"global": {}}, "global": {}}
    assert with_declared(values, chart(tmp_path, files)) == {"db": {"global": {}, "tag": None}, "global": {}}
    assert values == {"db": {"global": {}}, "global": {}}
