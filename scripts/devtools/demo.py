"""The main job of helm-pin, told and shown on a real cluster. Every claim is checked: the demo fails if one does not hold."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from . import cluster as local
from . import images
from .api import Cluster
from .binaries import Unavailable, announce, binary, tools

ROOT = Path(__file__).parents[2]
NAMESPACE = "helm-pin-demo"
REPOSITORY = "demo/shop"
CHART = {
    "Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.0.0\n",
    "values.yaml": "image:\n  repository: IMAGE\n  tag: latest\n",
    "templates/deployment.yaml": """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  selector:
    matchLabels: {app: {{ .Release.Name }}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}}
    spec:
      containers:
        - name: shop
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
""",
}


class Failed(Exception):
    """A step failed, or a claim does not hold."""


class Stage(NamedTuple):
    """What the story is told on."""

    folder: Path
    env: dict[str, str]
    registry: str
    pods_run: bool
    """Whether pods really run, so that what they print can be shown."""

    @property
    def image(self) -> str:
        """The image without a tag."""
        return f"{self.registry}/{REPOSITORY}"

    def run(self, *command: str) -> str:
        """Run a command that must succeed; its standard output."""
        done = run_quietly(*command, cwd=self.folder, env=self.env)
        if done.returncode:
            raise Failed(f"{shlex.join(command)} failed:\n{done.stderr}{done.stdout}")
        return done.stdout.strip()

    def show(self, *command: str, status: int = 0) -> None:
        """Print a command as one types it, and all that it prints."""
        print(f"\n{dim('$ ' + shlex.join(command))}", flush=True)
        done = subprocess.run(command, cwd=self.folder, env=self.env, stderr=subprocess.STDOUT, check=False)
        if done.returncode != status:
            raise Failed(f"{shlex.join(command)} ended with exit status {done.returncode}, not {status}")

    def build(self, name: str) -> str:
        """Push a build of the shop to the tag latest; its digest. The same name gives the same bytes."""
        return images.push(self.registry, REPOSITORY, "latest", f"build {name}")

    def meaning(self, reference: str) -> str:
        """The digest that a reference means to the registry now."""
        name, _, digest = reference.partition("@")
        what = digest or name.rpartition(":")[2]
        url = f"http://{self.registry}/v2/{REPOSITORY}/manifests/{what}"
        return str(images.request("HEAD", url, headers={"Accept": images.MANIFEST})["Docker-Content-Digest"])

    def running(self, release: str) -> str:
        """The image of a release's Deployment."""
        deployment = json.loads(self.run("kubectl", "get", "deployment", release, "-o", "json"))
        return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])

    def printed(self, release: str) -> str:
        """What the newest pod of a release prints."""
        self.run("kubectl", "rollout", "status", f"deployment/{release}", "--timeout=120s")
        end = time.monotonic() + 60
        while time.monotonic() < end:
            newest = self.run(
                *("kubectl", "get", "pods", f"--selector=app={release}", "--sort-by=.metadata.creationTimestamp"),
                *("-o", "name"),
            ).splitlines()[-1:]
            done = subprocess.run(
                ["kubectl", "logs", *newest, "--tail=1"], env=self.env, capture_output=True, text=True, check=False
            )
            if done.stdout.strip():
                return done.stdout.strip()
            time.sleep(0.2)
        raise Failed(f"no pod of {release} printed anything")


def tell(stage: Stage) -> None:
    """The story. Raises Failed."""
    title("A chart like many")
    print("It names its image by a tag, and the tag is 'latest'.\n")
    for name, text in CHART.items():
        path = stage.folder / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("IMAGE", stage.image))
    print("".join(f"    {line}\n" for line in (stage.folder / "shop/values.yaml").read_text().splitlines()))
    a = stage.build("A")
    print(f"In the registry, latest is build A: {short(a)}")

    title("helm-pin, installed as a plugin")
    print(f"{stage.run('helm', 'version', '--short')}, in a home of its own that is removed after this demo.")
    stage.show("helm", "plugin", "install", str(ROOT))

    title("Deployed twice: with plain helm, and with helm pin")
    stage.show("helm", "upgrade", "--install", "plain", "./shop")
    stage.show("helm", "pin", "upgrade", "--install", "shop", "./shop")
    print()
    rows(plain=stage.running("plain"), shop=stage.running("shop"))
    holds(stage.running("shop"), f"@{a}", "the pinned Deployment")
    point("Both run build A. Only 'shop' says so: its image carries the digest, which names these bytes and no others.")

    title("The tag moves")
    b = stage.build("B")
    print(
        "Somebody pushes build B to the same tag. Nobody deploys anything. Then a node is drained, and pods restart:\n"
    )
    holds(stage.meaning(stage.running("plain")), b, "what plain's tag means now")
    holds(stage.meaning(stage.running("shop")), a, "what the pinned reference means now")
    rows(
        plain=f"{'shop:latest':45} now means {short(b)}, which is build B: it drifted",
        shop=f"{'shop:latest@' + short(a):45} still means build A",
    )
    if stage.pods_run:
        stage.printed("plain")
        stage.printed("shop")
        stage.show("kubectl", "delete", "pods", "--all", "--grace-period=1")
        pods(stage, "the new pod", plain="build B", shop="build A")
    point("plain changed without a deployment, a revision, or a line in 'helm history'. shop did not, and cannot.")

    title("Build B on purpose, and what happened so far")
    stage.show("helm", "upgrade", "plain", "./shop")
    stage.show("helm", "pin", "upgrade", "shop", "./shop")
    holds(stage.running("shop"), f"@{b}", "the upgraded Deployment")
    stage.show("helm", "pin", "history", "shop")
    point("Revisions differ by the bytes that they run: 2 has the same chart, values and tag as 1, and another image.")

    title("B is bad. Back to revision 1")
    stage.show("helm", "rollback", "plain", "1")
    print("\nhelm reports success. But revision 1 of 'plain' says only 'shop:latest', and that means build B:\n")
    holds(stage.meaning(stage.running("plain")), b, "what plain runs after its rollback")
    rows(plain=f"{'shop:latest':45} is {short(b)}: nothing was rolled back")
    stage.show("helm", "pin", "rollback", "shop", "1", "--verify")
    holds(stage.running("shop"), f"@{a}", "the Deployment after the rollback")
    print()
    rows(shop=f"{'shop:latest@' + short(a):45} build A again")
    if stage.pods_run:
        pods(stage, "the pod", plain="build B", shop="build A")
    point(
        "--verify asked the registry for every digest of revision 1 before it changed the cluster, and read it afterwards."
    )

    title("A rule: no tags that can move")
    stage.show("helm", "pin", "upgrade", "shop", "./shop", "--mutable", "refuse", status=3)
    point("Exit status 3, before anything was changed: which image, what uses it, which value sets it, what to do.")


# -- how it speaks ---------------------------------------------------------------------------------------------------------

_scenes: list[str] = []


def bold(text: str) -> str:
    """Bold on a terminal."""
    return f"\x1b[1m{text}\x1b[0m" if sys.stdout.isatty() else text


def dim(text: str) -> str:
    """Dim on a terminal."""
    return f"\x1b[2m{text}\x1b[0m" if sys.stdout.isatty() else text


def title(text: str) -> None:
    """Begin a scene."""
    _scenes.append(text)
    print("\n" + bold(f"{len(_scenes)}. {text}"), flush=True)


def point(text: str) -> None:
    """What a scene has shown."""
    print(bold(f"→ {text}"), flush=True)


def rows(**by_release: str) -> None:
    """A line for each release."""
    for release, text in by_release.items():
        print(f"  {release:6} {text}", flush=True)


def pods(stage: Stage, what: str, **expected: str) -> None:
    """What a pod of each release prints, which must be this."""
    print()
    for release, wanted in expected.items():
        printed = stage.printed(release)
        print(f"  {what} of {release:6} prints: {printed}", flush=True)
        holds(printed, wanted, f"{what} of {release}")


def short(digest: str) -> str:
    """The beginning of a digest."""
    return digest[:19]


def holds(text: str, wanted: str, what: str) -> None:
    """Raise Failed where a claim does not hold."""
    if wanted not in text:
        raise Failed(f"expected {what} to have {wanted}, and it has {text}")


# -- what it stands on -----------------------------------------------------------------------------------------------------


def main(argv: list[str] | None = None) -> int:
    """scripts/demo; returns its exit status."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__, allow_abbrev=False)
    parser.add_argument("--helm", metavar="PATH", help="the helm to use (default: the one on PATH, else a Helm 4)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--node", action="store_true", help="give the local cluster a real node, so that pods run (Linux, as root)"
    )
    where.add_argument(
        "--use-current-cluster",
        action="store_true",
        help=f"deploy to the cluster that kubectl points at (kind, k3d, minikube, …), in the namespace {NAMESPACE}. Its nodes "
        "cannot pull from this machine's registry, unless HELM_PIN_DEMO_REGISTRY names one (HOST:PORT) that they and you "
        "reach over plain HTTP",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave what was deployed, and the local cluster (named demo)"
    )
    args = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with tempfile.TemporaryDirectory(prefix="helm-pin-demo-") as folder:
            return perform(args, Path(folder))
    except (Failed, Unavailable, OSError) as error:
        print(f"scripts/demo: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def perform(args: argparse.Namespace, folder: Path) -> int:
    """Set the stage, tell the story, and take everything away again, unless it is to be kept."""
    own = not args.use_current_cluster
    if not own:
        check_current_cluster()
    registry = os.environ.get("HELM_PIN_DEMO_REGISTRY", "") if args.use_current_cluster else ""
    wanted = [] if args.helm or shutil.which("helm") else ["helm4"]
    announce(["kubectl", *wanted, *(() if registry else local.needed(node=args.node, bare=not args.node))])
    helm = find_helm(args.helm)
    if own and not args.node and (context := current_context()):
        print(f"A cluster of yours is at hand ({context}): --use-current-cluster would use that one.\n")
    name = "demo" if args.keep else f"demo-{os.getpid()}"
    cluster = None
    try:
        if not registry:
            cluster = local.up(name, node=args.node, bare=not args.node)
        stage = set_up(folder, helm, cluster, registry, own=own, pods_run=args.node or bool(registry))
        try:
            tell(stage)
        finally:
            if not args.keep and not own:
                stage.run("kubectl", "delete", "namespace", NAMESPACE, "--wait=false")
    finally:
        if cluster and not args.keep:
            local.down(name)
    if cluster and args.keep and own:
        print(
            f'\nIt is all still there: eval "$({ROOT}/scripts/cluster env --name demo)"; kubectl -n {NAMESPACE} get all'
        )
        print(f"Until: {ROOT}/scripts/cluster down --name demo")
    print(
        f"\n{bold('That was helm-pin.')} On your own chart: helm plugin install {ROOT} && helm pin plan RELEASE CHART"
    )
    return 0


def find_helm(given: str | None) -> Path:
    """The helm to use. Raises Failed."""
    found = shutil.which(given or "helm")
    if given and not found:
        raise Failed(f"--helm {given}: there is no such program")
    return Path(found).absolute() if found else binary("helm4")


def current_context() -> str:
    """The context of a cluster of the user's that answers kubectl; '' if there is none."""
    if not shutil.which("kubectl"):
        return ""
    for command in (
        ["kubectl", "get", "--raw=/readyz", "--request-timeout=2s"],
        ["kubectl", "config", "current-context"],
    ):
        done = run_quietly(*command)
        if done.returncode:
            return ""
    return done.stdout.strip()


def check_current_cluster() -> None:
    """Ask the cluster that kubectl points at, before anything is started. Raises Failed."""
    kubectl = shutil.which("kubectl") or str(binary("kubectl"))
    context = run_quietly(kubectl, "config", "current-context")
    answer = run_quietly(kubectl, "get", "--raw=/readyz", "--request-timeout=10s")
    if answer.returncode:
        name = context.stdout.strip()
        reasons = [line for line in answer.stderr.splitlines() if line.strip() and "memcache.go" not in line]
        raise Failed(
            "the current cluster does not answer\n"
            f"  at    {f'context {name}' if name else 'kubectl has no current context'}\n"
            f"  why   {reasons[-1] if reasons else f'kubectl exited with status {answer.returncode}'}\n"
            "  next  kubectl config get-contexts lists the clusters, kubectl config use-context NAME chooses one;\n"
            "        without --use-current-cluster the demo brings a cluster of its own"
        )


def run_quietly(
    *command: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command that asks nobody anything; its exit status and all that it printed."""
    return subprocess.run(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def set_up(folder: Path, helm: Path, cluster: Cluster | None, registry: str, *, own: bool, pods_run: bool) -> Stage:
    """A namespace, and a home for helm that is thrown away: nothing of the user's is read or changed but the cluster."""
    (folder / "bin").mkdir()
    (folder / "bin/helm").symlink_to(helm)
    foreign = ("HELM_PIN_", "HELM_NAMESPACE")
    env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    env |= {f"HELM_{kind}_HOME": str(folder / kind.lower()) for kind in ("DATA", "CONFIG", "CACHE")}
    env["PATH"] = f"{folder / 'bin'}:{tools('kubectl')}:{env['PATH']}"
    if own and cluster:
        env["KUBECONFIG"] = cluster.kubeconfig
    stage = Stage(folder, env, registry or (cluster.registry if cluster else ""), pods_run)
    stage.run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", f"--wait={'false' if own else 'true'}")
    stage.run("kubectl", "create", "namespace", NAMESPACE)
    # The namespace is in a kubeconfig of the demo's own, so that the commands read as one types them.
    kubeconfig = folder / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(stage.run("kubectl", "config", "view", "--raw", "--minify", "--flatten"))
    env["KUBECONFIG"] = str(kubeconfig)
    stage.run("kubectl", "config", "set-context", "--current", "--namespace", NAMESPACE)
    return stage
