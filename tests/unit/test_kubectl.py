"""How kubectl is run: what it is told, what is made of its answers, and that no secret is on its command line."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helmpin.cluster_advice import advice
from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from helmpin.kubectl import Kubectl
from tests.support.workstation import CHECKOUT, without_home

RECORDER = """\
#!/bin/sh
# Writes down how it was called and answers from a file: not a cluster, only the seam between two programs.
echo "$@" >> "$RECORD/calls"
echo "$KUBECONFIG" >> "$RECORD/kubeconfig"
for file in $(echo "$KUBECONFIG" | tr ':' ' '); do cat "$file" >> "$RECORD/configs" 2>/dev/null; done
case "$*" in
  *continue=more*) cat "$RECORD/second";;
  *) cat "$RECORD/first";;
esac
cat "$RECORD/errors" >&2 2>/dev/null
exit "$(cat "$RECORD/status" 2>/dev/null || echo 0)"
"""


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(RECORDER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("RECORD", str(tmp_path))
    (tmp_path / "first").write_text("")
    return tmp_path


def kubectl(**environ: str) -> Kubectl:
    return Kubectl(Helm("helm"), environ={**os.environ, **environ})


def calls(record: Path) -> list[str]:
    return (record / "calls").read_text().splitlines()


def test_what_helm_was_told(record: Path) -> None:
    kubectl(
        HELM_KUBECONTEXT="prod",
        HELM_KUBEAPISERVER="https://api",
        HELM_KUBEASUSER="me",
        HELM_KUBEASGROUPS="a,b",
        HELM_KUBEINSECURE_SKIP_TLS_VERIFY="true",
        HELM_NAMESPACE="shop",
    ).get(["pods"])
    (call,) = calls(record)
    expected = (
        "--context=prod --server=https://api --as=me --as-group=a --as-group=b --insecure-skip-tls-verify get pods"
    )
    assert call == f"{expected} --namespace=shop --output=json"


@pytest.mark.parametrize(
    ("value", "skips"),
    [("1", True), ("t", True), ("TRUE", True), ("True", True), ("0", False), ("TrUe", False), ("yes", False)],
)
def test_certificates_go_unchecked_where_helm_does_not_check_them(record: Path, value: str, skips: bool) -> None:
    kubectl(HELM_KUBEINSECURE_SKIP_TLS_VERIFY=value).get(["pods"])
    assert ("--insecure-skip-tls-verify" in calls(record)[0]) is skips


def test_a_name_is_never_a_flag(record: Path) -> None:
    """A chart names its pull Secrets: as a flag, `--server=…` would send the user's token to its author."""
    kubectl(HELM_NAMESPACE="shop").items(["secrets", "--ignore-not-found"], ["--server=https://evil", "pull"])
    (call,) = calls(record)
    expected = "get secrets --ignore-not-found --namespace=shop --output=json -- --server=https://evil pull"
    assert call == expected


def test_neither_a_namespace_nor_a_version_leads_to_another_path(record: Path) -> None:
    (record / "first").write_text('{"kind": "PodList", "items": [], "resources": []}')
    kubectl().lists(["v1/pods"], "../x/services/evil/proxy?a=")
    kubectl().resources(["v1", "apps/v1", "x/../../api/v1/secrets?a=", "a/b/c", "..", "argoproj.io/v1alpha1"])
    assert sorted(call.partition("--raw=")[2] for call in calls(record)) == [
        "/api/v1",
        "/api/v1/namespaces/%2E%2E%2Fx%2Fservices%2Fevil%2Fproxy%3Fa%3D/pods?limit=5000",
        "/apis/apps/v1",
        "/apis/argoproj.io/v1alpha1",
    ]


def test_a_token_is_on_no_command_line(record: Path) -> None:
    kubectl(HELM_KUBETOKEN="s3cret", KUBECONFIG="/nowhere/config").get(["pods"])
    assert "s3cret" not in (record / "calls").read_text()
    own, _, token = (record / "kubeconfig").read_text().strip().partition(":")
    assert own == "/nowhere/config"
    assert json.loads((record / "configs").read_text())["users"][0]["user"] == {"token": "s3cret"}
    assert stat.S_IMODE(Path(token).parent.stat().st_mode) == 0o700


def test_all_pages_of_a_list(record: Path) -> None:
    (record / "first").write_text(
        json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {"continue": "more"}, "items": [{"n": 1}]})
    )
    (record / "second").write_text(json.dumps({"kind": "PodList", "apiVersion": "v1", "items": [{"n": 2}]}))
    found = kubectl().lists(["v1/pods"], "shop")["v1/pods"]
    assert found.items == [{"apiVersion": "v1", "kind": "Pod", "n": n} for n in (1, 2)]
    assert [call.partition("--raw=")[2] for call in calls(record)] == [
        "/api/v1/namespaces/shop/pods?limit=5000",
        "/api/v1/namespaces/shop/pods?limit=5000&continue=more",
    ]


def test_paths_of_groups_and_of_all_namespaces(record: Path) -> None:
    (record / "first").write_text("{}")
    kubectl().lists(["apps/v1/deployments", "v1/secrets?labelSelector=a%3Db"])
    assert sorted(call.partition("--raw=")[2] for call in calls(record)) == [
        "/api/v1/secrets?limit=5000&labelSelector=a%3Db",
        "/apis/apps/v1/deployments?limit=5000",
    ]


def test_what_could_be_read_beside_what_could_not(record: Path) -> None:
    (record / "first").write_text(json.dumps({"kind": "List", "items": [{"kind": "Pod"}]}))
    (record / "errors").write_text('Error from server (Forbidden): statefulsets "a" is forbidden\n')
    (record / "status").write_text("1")
    found = kubectl().get(["pods,statefulsets"])
    assert found.items == [{"kind": "Pod"}]
    assert found.errors == ('statefulsets "a" is forbidden (Forbidden)',)
    with pytest.raises(HelmFailed, match="kubectl get failed"):
        kubectl().items(["pods"])


def test_a_failure_without_words(record: Path) -> None:
    (record / "status").write_text("7")
    assert kubectl().get(["pods"]).errors == ("kubectl exited with status 7",)


def test_one_that_a_signal_killed(record: Path) -> None:
    (record / "bin" / "kubectl").write_text("#!/bin/sh\nkill -KILL $$\n")
    (error,) = kubectl().get(["pods"]).errors
    assert error.startswith("kubectl was killed by SIGKILL (out of memory")


def test_one_that_crashes(record: Path) -> None:
    (record / "errors").write_text("panic: nil map\n\ngoroutine 1 [running]:\nmain.main()\n\tmain.go:1 +0x1\n")
    (record / "status").write_text("2")
    assert kubectl().get(["pods"]).errors == ("panic: nil map",)


def test_warnings_are_no_failure(record: Path) -> None:
    (record / "first").write_text(json.dumps({"kind": "List", "items": [{"kind": "Pod"}]}))
    (record / "errors").write_text("Warning: v1 Endpoints is deprecated\nW1124 10:00:00.000000 1 loader.go:1] talk\n")
    assert kubectl().get(["pods"]).errors == ()
    (record / "status").write_text("1")
    assert kubectl().get(["pods"]).errors == ("kubectl exited with status 1",)


def test_an_answer_that_is_none(record: Path) -> None:
    (record / "first").write_text("Please log in at https://example.com\n")
    told = "kubectl printed something that is not a JSON object: Please log in at https://example.com"
    assert kubectl().get(["pods"]) == ([], (told,))
    assert kubectl().lists(["v1/pods"])["v1/pods"] == ([], (told,))
    assert kubectl().resources(["v1"]) == ({}, {"v1": (told,)})
    with pytest.raises(HelmFailed, match="kubectl get failed") as failed:
        kubectl().items(["pods"])
    assert failed.value.why == told
    (record / "first").write_text("")
    assert kubectl().get(["pods"]) == ([], ())  # as with --ignore-not-found
    assert kubectl().lists(["v1/pods"])["v1/pods"] == ([], ("kubectl printed nothing",))


def test_one_that_fails_and_prints_something_else_than_objects(record: Path) -> None:
    """What it says on standard error comes first."""
    (record / "first").write_text("Usage: kubectl get\n")
    (record / "errors").write_text("Error: unknown flag: --ignore-not-found\n")
    (record / "status").write_text("1")
    found = kubectl().get_these([{"kind": "Pod"}], "shop")
    assert found.items == []
    assert found.errors[0] == "Error: unknown flag: --ignore-not-found"
    assert "Usage: kubectl get" in found.errors[1]
    (record / "errors").write_text("")
    assert kubectl().get(["pods"]).errors[0] == "kubectl exited with status 1"


def test_an_object_that_it_only_repeats_is_not_the_clusters(record: Path) -> None:
    """It prints what it was given where the name is no text."""
    (record / "first").write_text('{"kind": "Pod", "metadata": {"name": "5"}}')
    found = kubectl().get_these([{"kind": "Pod"}], "shop")
    assert found == ([], ("kubectl printed an object that is not the cluster's: it has no UID",))
    (record / "first").write_text('{"kind": "Pod", "metadata": {"name": "web", "uid": "1"}}')
    assert len(kubectl().get_these([{"kind": "Pod"}], "shop").items) == 1


def test_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not Kubectl.available()
    with pytest.raises(HelmFailed, match="kubectl not found"):
        kubectl().get(["pods"])


def test_none_is_left_behind_by_a_signal(tmp_path: Path) -> None:
    """One that hangs, as it does when the API server does not answer, ends with helm-pin."""
    hangs = tmp_path / "kubectl"
    # told when it has been running for a while: a signal in the very moment of its start is another matter
    hangs.write_text("#!/bin/sh\nsleep 0.3\necho $$ > " + str(tmp_path / "pid") + "\nexec sleep 100\n")
    hangs.chmod(0o755)
    code = "import signal, sys; from helmpin.helm import Helm; from helmpin.kubectl import Kubectl\n"
    code += "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3)); Kubectl(Helm('helm')).lists(['v1/pods'])"
    environ = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    with subprocess.Popen([sys.executable, "-c", code], env=environ, cwd=CHECKOUT) as process:
        deadline = time.monotonic() + 20
        while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.terminate()
        assert process.wait(10) == 3
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_what_kinds_are_called(record: Path) -> None:
    told = [
        {"name": "policies", "kind": "Policy", "namespaced": False},
        {"name": "policies/status", "kind": "Policy", "namespaced": False},
    ]
    (record / "first").write_text(json.dumps({"kind": "APIResourceList", "resources": told}))
    found, failed = kubectl().resources(["example.com/v1", "v1", "example.com/v1"])
    assert found["example.com/v1", "Policy"] == ("example.com/v1/policies", False)
    assert failed == {}
    assert sorted(call.partition("--raw=")[2] for call in calls(record)) == ["/api/v1", "/apis/example.com/v1"]


@pytest.mark.parametrize(
    ("words", "failed"),
    [
        ("Error from server (NotFound): the server could not find the requested resource", False),
        ("Error from server (ServiceUnavailable): the server is currently unable to handle the request", True),
    ],
)
def test_a_version_that_is_gone_is_no_failure(record: Path, words: str, failed: bool) -> None:
    (record / "errors").write_text(words)
    (record / "status").write_text("1")
    found, errors = kubectl().resources(["example.com/v1"])
    assert (found, bool(errors)) == ({}, failed)


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ('secrets is forbidden: User "me" cannot list', "kubectl auth can-i --list --namespace shop"),
        ('context "prod" does not exist', "kubectl config get-contexts"),
        ("cannot locate context prod", "kubectl config get-contexts"),
        ("context deadline exceeded", "kubectl cluster-info"),
        ("dial tcp: connection refused", "kubectl cluster-info"),
    ],
)
def test_advice(why: str, told: str, tmp_path: Path) -> None:
    there, gone = tmp_path / "there", tmp_path / "gone"
    there.touch()
    assert told in advice(why, "shop", {"KUBECONFIG": f"{gone}{os.pathsep}{there}"})
    if "forbidden" not in why:
        assert f"there is no kubeconfig ({gone})" in advice(why, "shop", {"KUBECONFIG": str(gone)})
        assert told in advice(why, "shop", {"KUBECONFIG": str(gone), "KUBERNETES_SERVICE_HOST": "10.96.0.1"})


def test_advice_about_what_is_in_no_namespace() -> None:
    assert advice("nodes is forbidden", None) == "check what this account may do: kubectl auth can-i --list"


def test_advice_for_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    without_home(monkeypatch)
    assert "there is no kubeconfig (/.kube/config)" in advice("dial tcp: connection refused", "shop", {})
