"""Releases in PostgreSQL: the record is there as on any other storage driver."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.devtools.api import Cluster
from tests.support import app as apps
from tests.support import kube
from tests.support.postgres import postgres
from tests.support.workstation import Workstation


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if sys.platform != "linux":
        pytest.skip("PostgreSQL is taken from Debian's packages here")
    with postgres(tmp_path_factory.mktemp("postgres")) as connection:
        yield connection


def test_forward_and_back(
    database: str, in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path
) -> None:
    machine = in_cluster.with_env(HELM_DRIVER="sql", HELM_DRIVER_SQL_CONNECTION_STRING=database)
    app = apps.app(machine, cluster.registry, unique, tmp_path)
    a = app.push("A")
    app.deploy()
    b = app.push("B")
    app.deploy()
    done = app.rollback("1", "--verify")
    assert done.status == 0, done.stderr
    assert app.live() == app.image(a)
    rows = json.loads(machine.pin("history", "app", "-o", "json").stdout)
    assert [(row["revision"], row["record"], row["images"][0]["digest"]) for row in rows] == [
        (1, "ok", a),
        (2, "ok", b),
        (3, "ok", a),
    ]
    assert rows[1]["changes"] == [{"reference": app.image(), "from": a, "to": b}]
    status, checks = app.verify()
    assert status == 0
    assert [check["verdict"] for check in checks.values()] == ["ok", "ok", "ok", "ok", "cannot tell"]
    assert kube.namespace(machine).api("GET", "secrets")["items"] == []  # nothing is in the API
