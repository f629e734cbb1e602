"""The only module that runs kubectl; prefetch.py may have started it."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from helmpin import prefetch
from helmpin.env import ENVIRON, home, is_on
from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from helmpin.named_tuple import NamedTuple
from helmpin.private import Folder, write
from helmpin.process import Process, ending, without_trace

_FLAGS = {
    "HELM_KUBECONTEXT": "--context",
    "HELM_KUBEAPISERVER": "--server",
    "HELM_KUBECAFILE": "--certificate-authority",
    "HELM_KUBEASUSER": "--as",
    "HELM_KUBETLS_SERVER_NAME": "--tls-server-name",
}
"""helm's global flags as helm exports them, and kubectl's flag for each (helm's pkg/cli/environment.go, EnvVars)."""
_TOKEN_USER = f"helm-pin-{os.urandom(8).hex()}"
"""The user of the kubeconfig for a bearer token: one that no other kubeconfig has, since the first of a name wins."""
_SHOWN = 200
"""The most characters of kubectl's output that a message shows."""
PAGE = 5000
"""The most objects in one response of the API."""
_NO_REASON = re.compile(r"Warning:|[IWE]\d{4} ")
"""Lines on standard error that do not explain a failure: the API's warnings, and client-go's log."""
_VERSION = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?/)?[a-z][a-z0-9]*")
"""An apiVersion (Kubernetes API conventions). A chart may write another path there, which must not be requested."""


class Objects(NamedTuple):
    """Objects that were read, and kubectl's messages, one line each, about what could not be read."""

    items: list[dict[str, Any]]
    errors: tuple[str, ...] = ()


class Resource(NamedTuple):
    """How the API names a kind."""

    name: str
    """As lists() takes it: `apps/v1/deployments`."""
    namespaced: bool


class Kubectl:
    """kubectl, with the cluster and namespace that helm was given. Its runs are logged with helm's (`--debug`). Mutable."""

    def __init__(
        self, helm: Helm, *, context: str = "", namespace: str = "", environ: Mapping[str, str] = ENVIRON
    ) -> None:
        self.helm = helm
        self._environ = environ
        self.context = context
        """As it was given; '' for the one that helm was given."""
        self._flags = [f"{flag}={environ[name]}" for name, flag in _FLAGS.items() if environ.get(name)]
        if context:
            self._flags.append(f"--context={context}")
        self._flags += [f"--as-group={group}" for group in environ.get("HELM_KUBEASGROUPS", "").split(",") if group]
        if is_on("HELM_KUBEINSECURE_SKIP_TLS_VERIFY", environ):
            self._flags.append("--insecure-skip-tls-verify")
        self.namespace = namespace or environ.get("HELM_NAMESPACE") or "default"
        self._token: Folder | None = None

    @staticmethod
    def available() -> bool:
        """Whether there is a kubectl to run."""
        return shutil.which("kubectl") is not None

    def get(self, args: Sequence[str], names: Iterable[str] = ()) -> Objects:
        """`kubectl get ARGS NAMES`: what it could read, and its messages about the rest. Raises HelmFailed if there is none.

        names: of objects. They may be a chart's, which must not choose flags: with --server, it would get the user's token.
        """
        return self._get(["get", *args, f"--namespace={self.namespace}", "--output=json", *_after_flags(names)])

    def get_these(self, objects: Sequence[dict[str, Any]], namespace: str) -> Objects:
        """The live counterparts of objects, with their managed fields; those that do not exist are left out. namespace: that of all
        the objects that have one."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        flags = ["--filename=-", "--ignore-not-found", "--show-managed-fields", f"--namespace={namespace}"]
        found = self._get(["get", *flags, "--output=json"], text)
        if all((item.get("metadata") or {}).get("uid") for item in found.items):
            return found
        return Objects([], (*found.errors, "kubectl printed an object that is not the cluster's: it has no UID"))

    def _get(self, command: Sequence[str], stdin: str | None = None) -> Objects:
        with self._started([command], stdin) as (run,):
            found, errors = run.answer(may_be_empty=True)
        items = found.get("items") or [] if str(found.get("kind", "")).endswith("List") else [found] if found else []
        return Objects(items, errors)

    def items(self, args: Sequence[str], names: Iterable[str] = ()) -> list[dict[str, Any]]:
        """As get(), all or nothing. Raises HelmFailed with kubectl's messages."""
        found = self.get(args, names)
        if found.errors:
            from helmpin.cluster_advice import advice

            why = "\n".join(found.errors)
            raise HelmFailed("kubectl get failed", why=why, hint=advice(why, self.namespace, context=self.context))
        return found.items

    def lists(self, resources: Iterable[str], namespace: str | None = None) -> dict[str, Objects]:
        """All objects of each resource (`apps/v1/deployments`; `v1/pods?labelSelector=…`), requested at once and as the API sends
        them, which is far less work than `kubectl get -o json`. namespace: None for all."""
        wanted = list(dict.fromkeys(resources))
        paths = [_path(resource, namespace) for resource in wanted]
        with self._started([["get", f"--raw={path}"] for path in paths]) as runs:
            return {resource: self._pages(run, path) for resource, path, run in zip(wanted, paths, runs, strict=True)}

    def resources(self, versions: Iterable[str]) -> tuple[dict[tuple[str, str], Resource], dict[str, tuple[str, ...]]]:
        """The resource of each (apiVersion, kind) of these versions (Kubernetes documentation, API discovery), and kubectl's
        messages by version about those that could not be read. A version that does not exist has no kinds."""
        wanted = list(dict.fromkeys(filter(_VERSION.fullmatch, versions)))
        paths = [f"/api/{version}" if version == "v1" else f"/apis/{version}" for version in wanted]
        found: dict[tuple[str, str], Resource] = {}
        failed: dict[str, tuple[str, ...]] = {}
        with self._started([["get", f"--raw={path}"] for path in paths]) as runs:
            for version, run in zip(wanted, runs, strict=True):
                answer, errors = run.answer()
                if errors and not any("(NotFound)" in line for line in errors):
                    failed[version] = errors
                for item in answer.get("resources") or [] if not errors else []:
                    if "/" not in item["name"]:
                        found[version, item["kind"]] = Resource(f"{version}/{item['name']}", item["namespaced"])
        return found, failed

    def _pages(self, run: _Run, path: str) -> Objects:
        items: list[dict[str, Any]] = []
        answer = run.answer()
        while True:
            page, errors = answer
            if errors:
                return Objects(items, errors)
            kind = str(page.get("kind", "")).removesuffix("List")
            about = {"apiVersion": page.get("apiVersion"), "kind": kind}
            items += [{**about, **item} for item in page.get("items") or []]
            more = (page.get("metadata") or {}).get("continue")
            if not more:
                return Objects(items)
            with self._started([["get", f"--raw={path}&continue={more}"]]) as (run,):
                answer = run.answer()

    def own_namespace(self) -> str:
        """The namespace that the kubeconfig's context names, or `default`. Raises HelmFailed."""
        with self._started([["config", "view", "--minify", "--output=jsonpath={..namespace}"]]) as (run,):
            status, out, errors = run.ended()
        if status:
            from helmpin.cluster_advice import advice

            why = "\n".join(errors)
            raise HelmFailed("the context cannot be used", why=why, hint=advice(why, None, context=self.context))
        return out.decode().strip() or "default"

    def no_namespace(self) -> tuple[str, ...]:
        """kubectl's message if the namespace does not exist, whose objects the API lists as if it were empty; else nothing. Raises
        HelmFailed if there is no kubectl."""
        return tuple(error for error in self.get(["namespaces"], [self.namespace]).errors if "(NotFound)" in error)

    @contextmanager
    def _started(self, commands: Sequence[Sequence[str]], stdin: str | None = None) -> Iterator[list[_Run]]:
        """Start commands, all at once; those that still run at the end of the block are killed."""
        program = shutil.which("kubectl")
        if program is None:
            raise HelmFailed(
                "kubectl not found",
                why="the live cluster is read with kubectl, and there is none on PATH",
                hint="install kubectl (https://kubernetes.io/docs/tasks/tools/)",
            )
        command = [program, *self._flags, *([f"--user={_TOKEN_USER}"] if self._environ.get("HELM_KUBETOKEN") else [])]
        runs: list[_Run] = []
        try:
            runs.extend(_Run(self.helm, command, args, self._environment(), stdin) for args in commands)
            yield runs
        finally:
            for run in runs:
                run.stop()

    def _environment(self) -> dict[str, str]:
        """The environment. A bearer token goes into a kubeconfig of its own, since everybody can read command lines."""
        environ = {**prefetch.GOGC, **self._environ}
        token = environ.pop("HELM_KUBETOKEN", "")
        if token:
            if self._token is None:
                self._token = Folder()
                user = {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "users": [{"name": _TOKEN_USER, "user": {"token": token}}],
                }
                write(self._token.path / "token", json.dumps(user))
            own = environ.get("KUBECONFIG") or str(home() / ".kube" / "config")
            environ["KUBECONFIG"] = f"{own}{os.pathsep}{self._token.path}/token"
        return environ


class _Run:
    """One kubectl. The constructor starts it."""

    def __init__(
        self, helm: Helm, command: Sequence[str], args: Sequence[str], environ: Mapping[str, str], stdin: str | None
    ) -> None:
        self._helm, self._args = helm, args
        whole = [*command, *args]
        try:
            given, started = None if stdin is None else stdin.encode(), prefetch.claim(whole, environ)
            self._process = Process(whole, environ, given, started=started)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise
            hint = f"check that {whole[0]} is a program for this machine, and may be run"
            raise HelmFailed("cannot start kubectl", why=error.strerror or str(error), hint=hint) from None

    def ended(self) -> tuple[int, bytes, tuple[str, ...]]:
        """Wait; return the exit status, standard output, and the reasons if it failed, one line each."""
        status, out, err = self._process.ended()
        lines = without_trace([line for line in err.decode(errors="replace").splitlines() if line.strip()])
        reasons = [_plain(line) for line in lines if not _NO_REASON.match(line)]
        if status < 0 or not reasons:
            reasons.append(f"kubectl {ending(status)}")
        return status, out, tuple(reasons)

    def answer(self, *, may_be_empty: bool = False) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Wait; return the JSON object on standard output (empty if there is none), and why kubectl failed or its output is not
        one."""
        status, out, errors = self.ended()
        failed = errors if status else ()
        if not out.strip():
            return {}, failed if failed or may_be_empty else ("kubectl printed nothing",)
        try:
            found = json.loads(out)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return found, failed
        first = out.decode(errors="replace").strip().splitlines()[0][:_SHOWN]
        return {}, (*failed, f"kubectl printed something that is not a JSON object: {first}")

    def stop(self) -> None:
        """End it if it still runs, and note its time."""
        self._process.stop()
        self._helm.log(self._args, self._process.began, self._process.seconds, "kubectl")


def _after_flags(names: Iterable[str]) -> list[str]:
    found = list(names)
    return ["--", *found] if found else []


def _plain(line: str) -> str:
    """kubectl's message, with the API's reason at its end."""
    return re.sub(r"Error from server (\(\w+\)): (.*)", r"\2 \1", line.strip().removeprefix("error: "))


def _path(resource: str, namespace: str | None) -> str:
    plain, _, query = resource.partition("?")
    version, _, name = plain.rpartition("/")
    root = "/api" if version == "v1" else "/apis"
    scope = f"/namespaces/{quote(namespace, safe='').replace('.', '%2E')}" if namespace else ""
    return f"{root}/{version}{scope}/{name}?limit={PAGE}" + (f"&{query}" if query else "")
