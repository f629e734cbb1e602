"""What can be wrong with the machine: a full disk, few open files, a broken cache, no working directory, nesting without end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.devtools import images
from tests.support.charts import write_chart
from tests.support.registry_servers import Server
from tests.support.workstation import Workstation, whichever_helm

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: 'p%s'}\nspec: {containers: [{name: a, image: '{{ $.Values.image }}'}]}\n"


@pytest.fixture
def values(registry: Server, unique: str) -> str:
    """Values that name an image."""
    images.push(registry.host, unique, "latest", "A")
    return f"image: {registry.host}/{unique}:latest\n"


@whichever_helm
@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small file system of its own")
@pytest.mark.parametrize("kilobytes", [4, 8, 12, 16, 512])
def test_a_full_disk_cuts_nothing(workstation: Workstation, tmp_path: Path, values: str, kilobytes: int) -> None:
    """The whole output, or an error that names the folder."""
    pod = POD.replace("'p%s'", "'p{{ . }}', annotations: {long: '{{ repeat 1200 \"y\" }}'}")
    chart = write_chart(tmp_path / "many", "{{ range until 60 }}\n---\n" + pod + "{{ end }}", values)
    (small := tmp_path / "small").mkdir()
    script = 'mount -t tmpfs -o size="$1" none "$2" && TMPDIR="$2" exec "$0" pin template x "$3"'
    done = workstation.run("unshare", "-rm", "sh", "-c", script, workstation.helm_binary, f"{kilobytes}k", small, chart)
    if done.status == 0:
        assert done.stdout.count("@sha256:") == 60
    else:
        assert (done.status, done.stdout) == (1, "")
        assert f"Error: cannot write temporary files\n  at    {small}/" in done.stderr
        assert "No space left on device" in done.stderr
    assert kilobytes > 4 or done.status == 1
    assert kilobytes < 512 or done.status == 0


@whichever_helm
@pytest.mark.parametrize("files", [11, 12, 13, 14, 16, 27])
def test_few_open_files_cut_nothing(workstation: Workstation, tmp_path: Path, values: str, files: int) -> None:
    """The whole output, or one error that names the limit; and nothing is left behind."""
    chart = write_chart(tmp_path / "one", POD, values)
    (folder := tmp_path / "tmp").mkdir()
    script = 'ulimit -n "$1" && TMPDIR="$2" exec "$0" pin template x "$3"'
    done = workstation.run("sh", "-c", script, workstation.helm_binary, files, folder, chart)
    assert list(folder.iterdir()) == []
    if done.status:
        assert (done.status, done.stdout) == (1, "")
        assert f"Error: too many open files\n  why   this process may have {files} open" in done.stderr
        assert "ulimit -n 1024" in done.stderr
    else:
        assert done.stdout.count("@sha256:") == 1
    assert files > 11 or done.status == 1
    assert files < 27 or done.status == 0


@whichever_helm
class TestTheFlagCache:
    """What helm says of its flags is kept on the disk."""

    def test_a_broken_one_is_made_again(self, workstation: Workstation, tmp_path: Path, values: str) -> None:
        """What is broken: tests/unit/test_helm_flags.py."""
        chart, machine = write_chart(tmp_path / "one", POD, values), workstation.with_env(HELM_CACHE_HOME=str(tmp_path))
        assert machine.pin("template", "x", chart).status == 0
        (cache,) = (tmp_path / "helm-pin").glob("helm-*")
        files = {*(tmp_path / "helm-pin").iterdir()}
        whole = cache.read_text()
        cache.write_text('{"temp')
        done = machine.pin("template", "x", chart)
        assert (done.status, done.stdout.count("@sha256:")) == (0, 1), done.stderr
        assert json.loads(cache.read_text()) == json.loads(whole)
        assert {*(tmp_path / "helm-pin").iterdir()} == files

    def test_a_folder_that_cannot_be_made(self, workstation: Workstation, tmp_path: Path, values: str) -> None:
        chart = write_chart(tmp_path / "one", POD, values)
        (tmp_path / "helm-pin").write_text("this is a file")
        done = workstation.with_env(HELM_CACHE_HOME=str(tmp_path)).pin("template", "x", chart)
        assert (done.status, done.stdout.count("@sha256:")) == (0, 1), done.stderr


@whichever_helm
class TestAWorkingDirectoryThatIsGone:
    def run(self, machine: Workstation, tmp_path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
        gone = tmp_path / "gone"
        gone.mkdir()
        script = 'cd "$1" && rmdir "$1" && exec "$0" pin "${@:2}"'
        command = ["bash", "-c", script, machine.helm_binary, gone, *arguments]
        return subprocess.run([str(part) for part in command], env=machine.env, capture_output=True, text=True)

    def test_is_not_needed(self, workstation: Workstation, tmp_path: Path, values: str) -> None:
        done = self.run(workstation, tmp_path, "template", "x", write_chart(tmp_path / "one", POD, values))
        assert (done.returncode, done.stdout.count("@sha256:")) == (0, 1), done.stderr

    @pytest.mark.parametrize("chart", [".", "../one"])
    def test_holds_no_chart(self, workstation: Workstation, tmp_path: Path, chart: str) -> None:
        done = self.run(workstation, tmp_path, "template", "x", chart)
        assert done.returncode == 1
        assert f"Error: chart not found\n  at    {chart}\n" in done.stderr


@whichever_helm
class TestNoApiServer:
    @pytest.mark.parametrize("command", [["upgrade"], ["upgrade", "--install"], ["install"]])
    def test_is_said_before_a_registry_is_asked(
        self, workstation: Workstation, tmp_path: Path, command: list[str]
    ) -> None:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
            "users": [{"name": "u", "user": {}}],
        }
        (tmp_path / "kubeconfig").write_text(json.dumps(config))
        chart = write_chart(tmp_path / "chart", POD.replace("{{ $.Values.image }}", "app:1"))
        machine = workstation.with_env(
            KUBECONFIG=str(tmp_path / "kubeconfig"), HELM_PIN_REGISTRY_MIRROR="*=http://127.0.0.1:1"
        )
        done = machine.pin(*command, "web", chart)
        message = done.stderr.splitlines()
        assert (done.status, message[:2]) == (
            1,
            ["Error: release web cannot be read; nothing was deployed", "  at    release web, namespace default"],
        )
        assert "connection refused" in message[2]
        assert message[3].startswith("  next  check the connection with `kubectl cluster-info`")


@whichever_helm
class TestNesting:
    @pytest.mark.parametrize("depth", [100, 9900])
    def test_is_read_or_named(self, workstation: Workstation, tmp_path: Path, values: str, depth: int) -> None:
        thing = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a}\n"
        thing += "spec: {containers: [{name: a, image: '{{ .Values.image }}'}], deep: {{ .Values.deep }} }\n"
        chart = write_chart(tmp_path / "deep", thing, f"{values}deep: '{'[' * depth}{']' * depth}'\n")
        assert "containers" in workstation.helm("template", "x", chart)
        self.is_read_or_named(workstation.pin("template", "x", chart), depth)

    @pytest.mark.parametrize("depth", [100, 3000])
    def test_of_values(self, workstation: Workstation, tmp_path: Path, values: str, depth: int) -> None:
        chart = write_chart(tmp_path / "one", POD, values)
        (tmp_path / "deep.yaml").write_text(f"deep: {'{a: ' * depth}1{'}' * depth}\n")
        self.is_read_or_named(workstation.pin("template", "x", chart, "-f", tmp_path / "deep.yaml"), depth)

    def is_read_or_named(self, done: object, depth: int) -> None:
        status, out, err = done  # type: ignore[misc]
        if depth == 100:
            assert (status, out.count("@sha256:")) == (0, 1), err
        else:
            assert status == 1
            assert "nested too deeply" in err or "nested more than 200 levels deep" in err
            assert "Traceback" not in err


@whichever_helm
class TestTemporaryFolders:
    def test_one_that_is_not_there(self, workstation: Workstation, tmp_path: Path, values: str) -> None:
        """Not every helm command needs one, so a wrong TMPDIR is seldom noticed."""
        machine = workstation.with_env(TMPDIR=str(tmp_path / "nowhere"))
        done = machine.pin("template", "x", write_chart(tmp_path / "one", POD, values))
        assert (done.status, done.stdout.count("@sha256:")) == (0, 1), done.stderr
        assert not (tmp_path / "nowhere").exists()

    def test_what_killed_runs_left_is_swept(self, workstation: Workstation, tmp_path: Path, values: str) -> None:
        """And nothing else: not what a run that lives has, not what others have."""
        chart, scratch = write_chart(tmp_path / "one", POD, values), tmp_path / "scratch"
        hold = (
            "import sys; from helmpin.private import Folder; f = Folder(); print(f.path, flush=True); sys.stdin.read()"
        )
        environ = {**os.environ, "TMPDIR": str(scratch)}
        scratch.mkdir()
        (left := scratch / "helm-pin-run-0123456789abcdef").mkdir(mode=0o700)
        (left / "1.tgz").write_text("a chart")
        (target := tmp_path / "target").mkdir()
        (scratch / "helm-pin-run-link").symlink_to(target)
        (scratch / "helm-pin-0123456789abcdef").mkdir()  # that of an older version, which may live
        with subprocess.Popen(
            [sys.executable, "-c", hold], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            assert holder.stdout
            held = Path(holder.stdout.readline().strip())
            assert workstation.with_env(TMPDIR=str(scratch)).pin("template", "x", chart).status == 0
            assert held.is_dir()
            kept = {"helm-pin-run-link", "helm-pin-0123456789abcdef", held.name}
            assert {path.name for path in scratch.iterdir()} == kept
            holder.communicate("")
        assert not held.exists()
        assert target.is_dir()
        shutil.rmtree(scratch)


NOWHERE = """\
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {%s}}]
"""
LOGIN = "exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-login, interactiveMode: Never}"
UNREACHABLE = {
    "no login program": NOWHERE % LOGIN,
    "no such context": "apiVersion: v1\nkind: Config\ncurrent-context: gone\n",
    "no route": NOWHERE % "",
}


@pytest.mark.parametrize("config", UNREACHABLE.values(), ids=UNREACHABLE)
def test_an_unreachable_cluster_is_no_missing_release(
    workstation: Workstation, tmp_path: Path, values: str, config: str
) -> None:
    (tmp_path / "config").write_text(config)
    machine = workstation.with_env(KUBECONFIG=str(tmp_path / "config"))
    chart = write_chart(tmp_path / "one", POD, values)
    planned = machine.pin("plan", "web", chart)
    assert planned.status == 0 and "Planned without the cluster, as a new release: " in planned.stderr
    for flag in ("--reuse-values", "--reset-then-reuse-values"):
        reusing = machine.pin("plan", "web", chart, flag, "-o", "images")
        assert (reusing.status, reusing.stdout) == (1, ""), reusing.stderr
        assert f"or do without the values of the release: leave out {flag}" in reusing.stderr
        nowhere = machine.pin("plan", "web", chart, flag, "--no-cluster")
        assert nowhere.status == 2 and f"{flag} has no effect here" in nowhere.stderr
    for command in (["upgrade", "web", chart], ["history", "web"], ["verify", "web"], ["rollback", "web", "--verify"]):
        done = machine.pin(*command)
        assert done.status == 1, (command, done.stderr)
        assert "release web cannot be read" in done.stderr or "kubectl" in done.stderr, (command, done.stderr)
        assert "no release" not in done.stderr and "no deployed" not in done.stderr, (command, done.stderr)
