"""Two releases that go through the same steps, one with helm-pin and one with helm alone: they must be the same but for digests."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scripts.devtools.api import Cluster
from tests.support import strip
from tests.support.any_tag import AnyTag
from tests.support.workstation import Finished, Workstation

OURS, PLAIN = "twin-pin", "twin-own"
"""The names of the releases: of one length, so that nothing else depends on them."""
UNVALIDATED = "--disable-openapi-validation"
"""Spares helm most of an upgrade of a small chart; what the API server refuses, it refuses still."""
DIGEST = re.compile(r"@?sha256:[0-9a-f]{64}")


class Stored(NamedTuple):
    """A revision as helm keeps it."""

    revision: int
    status: str
    config: dict[str, Any]
    """The user's values: `helm get values`."""
    defaults: dict[str, Any]
    text: str
    """The manifest, and those of the hooks."""
    annotations: dict[str, str]


class Twins:
    """A helm, a cluster, and a chart that both releases are made of."""

    def __init__(self, machine: Workstation, cluster: Cluster, namespace: str, content: AnyTag, chart: Path) -> None:
        settings = {"HELM_BIN": str(machine.helm_binary), "HELM_NAMESPACE": namespace}
        self.machine = machine.with_env(HELM_PIN_REGISTRY_MIRROR=content.mirror, **settings)
        self.cluster, self.namespace, self.content, self.chart = cluster, namespace, content, chart

    def pin(self, *args: object) -> Finished:
        """helm-pin, without the time that its start takes."""
        return self.machine.forked(*args)

    def helm(self, *args: object) -> Finished:
        """helm, however it ends."""
        return self.machine.run(self.machine.helm_binary, *args)

    def both(
        self,
        command: str,
        *args: object,
        chart: bool = True,
        plain: bool = False,
        compare: bool = True,
        values: bool = True,
        may_fail: bool = False,
    ) -> Finished:
        """The same step in both releases, and what became of them compared; what helm-pin (or helm, where `plain`) printed.

        plain: this step is made without helm-pin in both. values: whether their values are compared, too. may_fail: helm may refuse
        it, and then helm-pin must refuse it too.
        """
        rest = [*([self.chart] if chart else []), *args]
        if command in ("install", "upgrade"):
            rest.append(UNVALIDATED)
        own = self.helm(command, PLAIN, *rest)
        assert may_fail or own.status == 0, own.stderr
        ours = (self.helm if plain else self.pin)(command, OURS, *rest)
        if own.status:
            assert ours.status, (
                f"helm refuses {command} {' '.join(map(str, args))}, and helm-pin does not:\n{own.stderr}"
            )
            return ours
        if ours.status:
            pytest.fail(f"{command} {' '.join(map(str, args))}: {ours.status}\n{ours.stderr}", pytrace=True)
        if compare:
            self.compare(pinned=not plain, values=values)
        return ours

    def compare(self, *, pinned: bool = True, values: bool = True) -> None:
        """Both releases are the same but for digests, in values, manifests and hooks. pinned: every image must have its own.
        values: whether these are compared."""
        plain, ours = self.stored(PLAIN), self.stored(OURS)
        problems = [f"revision {ours.revision} is not {plain.revision}"] if ours.revision != plain.revision else []
        if ours.status != plain.status:
            problems.append(f"{ours.status} is not {plain.status}")
        problems += values_differ(ours.config, plain.config, plain.defaults) if values else []
        text = ours.text.replace(OURS, PLAIN)
        if pinned:
            problems += strip.strip_and_compare(plain.text, text, self.content.digest).problems
        elif DIGEST.sub("", text) != plain.text:
            problems += strip.strip_and_compare(plain.text, DIGEST.sub("", text), lambda _: "sha256:none").problems
        if problems:
            pytest.fail("\n".join(problems), pytrace=True)

    def stored(self, release: str) -> Stored:
        """A release's last revision, read from the cluster itself."""
        last = max(self._revisions(release), key=lambda item: int(item["metadata"]["labels"]["version"]))
        data = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(last["data"]["release"]))))
        hooks = sorted(data.get("hooks") or [], key=lambda hook: (hook["path"], hook["name"]))
        text = data.get("manifest", "") + "".join(f"\n---\n{hook['manifest']}" for hook in hooks)
        chart = data["chart"]
        annotations = chart["metadata"].get("annotations") or {}
        status = data["info"]["status"]
        return Stored(data["version"], status, data.get("config") or {}, chart.get("values") or {}, text, annotations)

    def status(self, release: str, revision: int) -> str:
        """That of a revision, as helm has labelled it; '' when there is none."""
        labels = (item["metadata"]["labels"] for item in self._revisions(release))
        return next((str(each["status"]) for each in labels if each["version"] == str(revision)), "")

    def _revisions(self, release: str) -> list[dict[str, Any]]:
        query = f"labelSelector=owner%3Dhelm%2Cname%3D{release}"
        found: list[dict[str, Any]] = self.cluster.api("GET", f"/api/v1/namespaces/{self.namespace}/secrets?{query}")[
            "items"
        ]
        return found

    def images(self) -> list[str]:
        """What helm-pin's release runs."""
        return strip.images_of(self.stored(OURS).text)

    def revisions(self) -> int:
        """How many revisions helm-pin's release has."""
        return self.stored(OURS).revision


def values_differ(ours: Any, plain: Any, defaults: Any, path: str = "values") -> list[str]:
    """What differs between two releases' values once digests are taken out.

    A value that only ours has must be the chart's default with a digest in it, or a digest alone.
    """
    if isinstance(ours, dict) and isinstance(plain, dict):
        own = defaults if isinstance(defaults, dict) else {}
        found = [f"{path}.{key} is lost: {value!r}" for key, value in plain.items() if key not in ours]
        for key, value in ours.items():
            if key in plain:
                found += values_differ(value, plain[key], own.get(key), f"{path}.{key}")
            else:
                found += _not_a_default(value, own.get(key), f"{path}.{key}")
        return found
    if isinstance(ours, list) and isinstance(plain, list) and len(ours) == len(plain):
        pairs = enumerate(zip(ours, plain, strict=True))
        return [text for i, (a, b) in pairs for text in values_differ(a, b, None, f"{path}[{i}]")]
    if isinstance(ours, str) and DIGEST.search(ours) and ours != plain:
        before = DIGEST.sub("", ours) if plain is None else str(plain)  # the template may have a default for a tag
        # an untagged image becomes itself at `latest` and its digest
        same = not isinstance(plain, dict | list) and DIGEST.sub("", ours) in (before, f"{before}:latest")
        return [] if same else [f"{path}: {ours!r} is not {plain!r} with a digest"]
    return [] if type(ours) is type(plain) and ours == plain else [f"{path}: {ours!r} is not {plain!r}"]


def _not_a_default(ours: Any, default: Any, path: str) -> list[str]:
    if isinstance(ours, dict) and ours:
        own = default if isinstance(default, Mapping) else {}
        return [text for key, value in ours.items() for text in _not_a_default(value, own.get(key), f"{path}.{key}")]
    if isinstance(ours, list) and isinstance(default, list) and len(ours) == len(default) and _holds_a_digest(ours):
        return values_differ(ours, default, None, path)
    if isinstance(ours, str) and DIGEST.search(ours):
        return values_differ(ours, default, None, path)
    return [f"{path} is new: {ours!r}"]


def _holds_a_digest(node: Any) -> bool:
    return bool(DIGEST.search(json.dumps(node)))


def written(folder: Path, files: Mapping[str, str]) -> Path:
    """A chart, written."""
    for name, text in {
        "Chart.yaml": "apiVersion: v2\nname: twin\nversion: 1.0.0\nappVersion: 2.4.1\n",
        **files,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def flags(names: Sequence[str], flag: str = "--set") -> list[str]:
    """Several settings as arguments."""
    return [part for name in names for part in (flag, name)]
