"""The head start of some commands: what is started ahead is what is asked later, or nothing is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from helmpin import global_flags, prefetch
from helmpin.errors import HelmPinError
from helmpin.helm import Helm
from helmpin.kubectl import Kubectl
from helmpin.release import revisions, storage
from helmpin.release.previous import PreviousReading
from tests.unit.test_kubectl import calls, record

__all__ = ["record"]


@pytest.mark.parametrize("namespace", ["", "shop"])
@pytest.mark.parametrize("more", [[], ["--max", "3"], ["--max=3", "-o", "json"], ["--output=yaml"]])
@pytest.mark.parametrize("driver", ["", "secret", "secrets"])
def test_it_is_what_history_asks(
    record: Path, monkeypatch: pytest.MonkeyPatch, namespace: str, more: list[str], driver: str
) -> None:
    monkeypatch.setenv("HELM_NAMESPACE", namespace)
    monkeypatch.setenv("HELM_DRIVER", driver)
    (record / "first").write_text('{"kind": "SecretList", "apiVersion": "v1", "items": []}')
    with pytest.raises(HelmPinError):  # the recorder has no release, and the helm named here is none
        revisions.read_all(Helm("/no/helm"), "a-web.1", 10)
    (asked,) = calls(record)
    foreseen = prefetch.predict(["history", "a-web.1", *more], os.environ)
    assert " ".join(foreseen) == f"kubectl {asked}"


@pytest.mark.parametrize(
    "argv",
    [
        ["upgrade", "web", "./chart"],
        ["upgrade", "--install", "web", "./chart", "--wait", "-f", "values.yaml"],
        ["upgrade", "-i", "web", "./chart", "--set", "a=b"],
        ["plan", "web", "./chart", "-o", "json"],
    ],
)
def test_the_release_is_read(argv: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the helm, the arguments and the environment that it would be read with later; once."""
    script = f'printf "%s\\n" "$@" "$HELM_DEBUG$GOGC" >> {tmp_path}/asked\necho none >&2\nexit 1\n'
    (helm := tmp_path / "helm").write_text(f"#!/bin/sh\n{script}")
    helm.chmod(0o755)
    monkeypatch.setenv("HELM_BIN", str(helm))
    monkeypatch.setenv("HELM_DEBUG", "true")
    asked = []
    for begin in (prefetch.start, lambda _: None):
        begin(argv)
        with pytest.raises(HelmPinError):
            PreviousReading(Helm(str(helm)), "web").result()
        asked.append((tmp_path / "asked").read_text())
        (tmp_path / "asked").unlink()
    assert asked[0] == asked[1] and asked[0].startswith("get\nall\nweb\n--template\n")
    assert prefetch._started == []


@pytest.mark.parametrize(
    "argv",
    [
        ["upgrade"],
        ["upgrade", "--wait", "web", "./chart"],
        ["upgrade", "Web", "./chart"],
        ["plan", "./chart"],
        ["plan", "chart"],
        ["plan", "chart", "-o", "json"],
        ["plan", "web", "./chart", "--no-cluster"],
        ["install", "web", "./chart"],
        ["upgrade", "web", "./chart", "--help"],
        *(["upgrade", "web", "./chart", flag, "x"] for flag in global_flags.VALUES),
        *(["upgrade", "web", "./chart", f"{flag}=x"] for flag in global_flags.VALUES),
        *(["upgrade", "web", "./chart", flag] for flag in global_flags.SWITCHES),
        ["upgrade", "web", "./chart", "-nshop"],
        ["upgrade", "web", "./chart", "-in", "shop"],
        ["upgrade", "web", "./chart", "-h"],
    ],
)
def test_the_release_is_not_read(argv: list[str]) -> None:
    """It is not named for certain, or helm may be told more."""
    assert prefetch.predict(argv, {}) == []


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["history"],
        ["verify", "web"],
        ["history", "--max", "3", "web"],
        ["history", "Web"],
        ["history", "we/b"],
        ["history", "web", "--kube-context=prod"],
        ["history", "web", "-n", "shop"],
        ["history", "web", "-h"],
        ["history", "web", "--", "--max"],
    ],
)
def test_other_command_lines_have_none(argv: list[str]) -> None:
    assert prefetch.predict(argv, {}) == []


@pytest.mark.parametrize(
    "environ",
    [
        {"HELM_DRIVER": "sql"},
        {"HELM_DRIVER": "configmap"},
        {"HELM_KUBECONTEXT": "prod"},
        {"HELM_KUBETOKEN": "t"},
        {"HELM_KUBEASUSER": "me"},
        {"HELM_KUBEINSECURE_SKIP_TLS_VERIFY": "true"},
    ],
)
def test_what_helm_was_told_leaves_it_to_kubectl(environ: dict[str, str]) -> None:
    usual = {"HELM_KUBECONTEXT": "", "HELM_KUBEINSECURE_SKIP_TLS_VERIFY": "false"}
    assert prefetch.predict(["history", "web"], usual) != []
    assert prefetch.predict(["history", "web"], {**usual, **environ}) == []


def test_it_is_taken_once_and_its_answer_is_read(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_NAMESPACE", "shop")
    (record / "first").write_text('{"kind": "SecretList", "items": [{"metadata": {"name": "a"}}]}')
    prefetch.start(["history", "web"])
    kubectl, resource = Kubectl(Helm("helm")), storage.stored_objects("secrets", "owner=helm,name=web")
    for runs in (1, 2):
        assert [item["kind"] for item in kubectl.lists([resource], "shop")[resource].items] == ["Secret"]
        assert len(calls(record)) == runs  # the first of them is the one that was started ahead


def test_its_failure_is_told_in_its_words(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_NAMESPACE", "shop")
    (record / "errors").write_text("Error from server (Forbidden): secrets is forbidden\n")
    (record / "status").write_text("1")
    prefetch.start(["history", "web"])
    resource = storage.stored_objects("secrets", "owner=helm,name=web")
    assert Kubectl(Helm("helm")).lists([resource], "shop")[resource].errors == ("secrets is forbidden (Forbidden)",)
    assert len(calls(record)) == 1


def test_both_streams_whatever_their_size() -> None:
    code = "import sys; sys.stderr.write('e' * 300_000); sys.stdout.write('o' * 300_000); sys.exit(7)"
    started = prefetch.Started([sys.executable, "-c", code], dict(os.environ))
    assert started.communicate() == (b"o" * 300_000, b"e" * 300_000)
    assert (started.wait(), started.poll()) == (7, 7)


def claimed() -> prefetch.Started | None:
    return prefetch.claim(WEB, {**prefetch.GOGC, **os.environ})


WEB = prefetch.predict(["history", "web"], {})


def test_in_another_environment_it_is_not_taken(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_KUBETOKEN", "")  # as helm passes it on
    prefetch.start(["history", "web"])
    monkeypatch.setenv("HELM_NAMESPACE", "another")
    assert claimed() is None
    monkeypatch.delenv("HELM_NAMESPACE")
    monkeypatch.delenv("HELM_KUBETOKEN")
    started = claimed()
    assert started is not None
    started.communicate()
    assert started.wait() == 0 and len(calls(record)) == 1


def test_what_nobody_took_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pid")
    (tmp_path / "kubectl").write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    prefetch.start(["history", "web"])
    pid = int((tmp_path / "pid").read_text())
    os.kill(pid, 0)
    prefetch.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert claimed() is None


def test_no_kubectl_is_said_where_it_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    prefetch.start(["history", "web"])
    assert claimed() is None


def test_it_does_not_get_the_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "kubectl").write_text('#!/bin/sh\necho "got ${HELM_PIN_REGISTRY_PASSWORD-none}"\n')
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HELM_PIN_REGISTRY_PASSWORD", "s3cr3t")
    prefetch.start(["history", "web"])
    started = claimed()
    assert started is not None and started.communicate()[0] == b"got none\n"
    started.wait()
