"""Whose credentials registries are asked with. What a cluster answers is in tests/integration/registry/test_pull_secrets.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helmpin.config.settings import Settings
from helmpin.kubectl import Kubectl
from helmpin.plan.credentials import keychain_of
from helmpin.registry import RegistrySettings
from tests.support.plans import chart, rendered
from tests.support.renders import document, pod

SETTINGS = Settings("pin", (), (), (), False, RegistrySettings())


def test_those_of_this_machine_without_a_question_to_the_cluster(tmp_path: Path) -> None:
    assert keychain_of(rendered(chart(tmp_path), pod("web:1")), SETTINGS) is None


@pytest.mark.parametrize("host", ["x.example", "y.example"])
def test_the_pull_secrets_of_the_charts_pods_where_that_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(Kubectl, "items", lambda *_: [])  # the cluster has neither yet
    login = {"auths": {"x.example": {"username": "me", "password": "secret"}}}
    secret = f"kind: Secret\nmetadata: {{name: mine}}\nstringData: {{.dockerconfigjson: '{json.dumps(login)}'}}\n"
    text = pod("web:1").replace("spec:\n", "spec:\n  imagePullSecrets: [{name: mine}]\n") + document(secret)
    found = keychain_of(rendered(chart(tmp_path), text), SETTINGS._replace(pull_secrets=True))
    assert found is not None
    assert len([*found.find(host, "web")]) == (host == "x.example")
