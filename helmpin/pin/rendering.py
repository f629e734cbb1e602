"""Rendering the staged chart as the upgrade will: the user's values (and reused ones), flags, and the cluster's capabilities."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from helmpin.arguments import Given, is_on, words
from helmpin.chart.stage import StagedChart
from helmpin.errors import HelmFailed
from helmpin.helm import Helm, Running
from helmpin.image.elsewhere import Also
from helmpin.pin.render import PROBE, PROBE_TEXT, Render, parse
from helmpin.pin.scout import Scout, crd_apis
from helmpin.pin.values import Values

NOT_RENDERED = frozenset(
    {
        "--dry-run",
        "--wait",
        "--wait-for-jobs",
        "--no-hooks",
        "--skip-tests",
        "--show-only",
        "--output-dir",
        "--debug",
        "--validate",
    }
)
"""Flags that helm template has too, but that must not shape the renders: every hook and test of the release is pinned."""


class Renderer:
    """Renders the staged chart, each time the same way."""

    def __init__(
        self,
        helm: Helm,
        staged: StagedChart,
        release: str,
        flags: list[Given],
        deploys: str,
        values: Values,
        also: Also,
    ) -> None:
        self.helm, self.staged, self.release, self.values, self.deploys = helm, staged, release, values, deploys
        known = helm.flags("template")
        kept = [f for f in flags if f.name in known and f.name not in NOT_RENDERED]
        self.arguments = words(kept)
        server = next((f for f in flags if deploys == "" and f.name == "--dry-run" and f.value == "server"), None)
        if server or (deploys == "" and is_on(flags, "--validate")):
            self.arguments.append("--dry-run=server")
        self.texts = list(staged.template_files().values())
        self.also = also
        self.seen: Scout | None = None
        cluster = self._mentions(r"\.Capabilities\b") or bool(staged.kube_version)
        if deploys and (cluster or values.given):
            self.seen = Scout(helm, values.given, cluster=cluster)
        self.lookup = ["--dry-run=server"] if deploys and self._mentions(r"\blookup\b") else []
        self._begun: tuple[list[str], Running] | None = None
        self.supplied: Mapping[str, Any] = {}
        self.computed: Mapping[str, Any] = {}

    def _mentions(self, pattern: str) -> bool:
        return any(re.search(pattern, text) for text in self.texts)

    def start(self) -> None:
        """Begin the plain render while helm reads the release: as it will be if the release is there and none of its values
        are reused."""
        self.staged.write_template(PROBE, PROBE_TEXT)
        asks_cluster = (self.seen is not None and self.seen.cluster) or self.lookup
        if self.values.reading is not None and not self.values.reuse and not asks_cluster:
            arguments = self._command(["--is-upgrade"] if self.deploys == "upgrade" else [])
            self._begun = arguments, self.helm.start(arguments)

    def first(self) -> Render:
        """The plain render, with helm's computed values."""
        self.values.settle(self.staged, self.staged.path.parent / "reused-values.yaml")
        if self.seen is not None and self.seen.cluster:
            self.arguments += self._with_crds(self.seen.result().capabilities)
        if self._is_upgrade():
            self.arguments.append("--is-upgrade")
        try:
            try:
                render = self._plain(self.lookup)
                self.arguments += self.lookup
            except HelmFailed:
                if not self.lookup:
                    raise
                render = self._plain()  # a server-side render needs the chart's own CRDs to be there already
        finally:
            self.staged.remove_template(PROBE)
        if render.values is None:
            raise HelmFailed(
                "helm did not print the chart's values",
                why="the post-renderer took them out",
                todo="let objects that it does not know pass",
            )
        self.computed = render.values
        self.supplied = {**self.values.reused, **(self.seen.result().values if self.seen is not None else {})}
        return render

    def _is_upgrade(self) -> bool:
        if self.deploys != "upgrade":
            return False
        if not any(f.name == "--install" for f in self.values.flags):
            return True
        if self.values.exists is None and self._mentions(r"\.Release\.Is(Upgrade|Install)\b"):
            try:
                self.helm.run(["status", self.release])
                return True
            except HelmFailed:
                return False
        return bool(self.values.exists)

    def _with_crds(self, capabilities: list[str]) -> list[str]:
        apis = crd_apis(self.staged.crd_files()) if capabilities else []
        return capabilities + (["--api-versions", ",".join(apis)] if apis else [])

    def __call__(self, extra: Sequence[str], extra_flags: Sequence[str] = ()) -> Render:
        return parse(self.helm.run(self._command(extra_flags, extra)), self.also)

    def _plain(self, extra_flags: Sequence[str] = ()) -> Render:
        """The plain render: the one that was begun, when that was the right one."""
        arguments = self._command(extra_flags)
        begun, self._begun = self._begun, None
        if begun is not None and begun[0] == arguments:
            return parse(begun[1].output(), self.also)
        if begun is not None:
            begun[1].stop(grace=0)
        return parse(self.helm.run(arguments), self.also)

    def _command(self, extra_flags: Sequence[str], extra: Sequence[str] = ()) -> list[str]:
        name = [self.release] if self.release else []
        chart = str(self.staged.path)
        return ["template", *name, chart, *self.arguments, *extra_flags, *self.values.arguments, *extra]
