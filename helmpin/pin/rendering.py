"""Rendering the staged chart as the upgrade will: the user's values (and reused ones), flags, and the cluster's capabilities."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from helmpin.arguments import Given, is_on, words
from helmpin.chart.stage import StagedChart
from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from helmpin.image.elsewhere import Also
from helmpin.output import as_yaml
from helmpin.pin import previous as before
from helmpin.pin.render import PROBE, PROBE_TEXT, Render, parse
from helmpin.pin.scout import Scout, crd_apis

VALUE_FLAGS = frozenset({"--values", "--set", "--set-string", "--set-json", "--set-file", "--set-literal"})
REUSE_FLAGS = frozenset({"--reuse-values", "--reset-then-reuse-values", "--reset-values"})
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


class Values:
    """The user's values, and those of the previous revision where helm would reuse them."""

    def __init__(self, helm: Helm, release: str, flags: list[Given], given: list[str], deploys: str) -> None:
        self.helm, self.release, self.given, self.flags = helm, release, given, flags
        self.reuse = is_on(flags, "--reuse-values")
        self.reset_then = is_on(flags, "--reset-then-reuse-values")
        upgrades = deploys == "upgrade" or self.reuse or self.reset_then
        wanted = upgrades and not is_on(flags, "--reset-values") and (self.reuse or self.reset_then or not given)
        self._reading = before.Reading(helm, release) if wanted else None
        self.arguments = given
        self.exists: bool | None = None
        self.reused: Mapping[str, Any] = {}

    def settle(self, staged: StagedChart, stack_file: Path) -> None:
        """Take over the previous revision's values where helm would."""
        if self._reading is None:
            return
        previous = self._reading.result()
        self._reading = None
        self.exists = previous is not None
        if previous is None:
            return
        config = before.restored(previous.config, previous.undo, defaults=False)
        if self.reuse:
            staged.write_values(as_yaml(before.computed(self.helm, self.release, previous)))
        if not config and not self.reuse:
            return
        stack_file.write_text(as_yaml(config))
        self.reused = config
        self.arguments = ["--values", str(stack_file), *self.given]


class Renderer:
    """Renders the staged chart, each time the same way."""

    def __init__(
        self,
        helm: Helm,
        staged: StagedChart,
        release: str,
        flags: list[Given],
        deploys: str,
        templates: Mapping[str, str],
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
        self.texts = list(templates.values())
        self.also = also
        self.seen: Scout | None = None
        cluster = self._mentions(r"\.Capabilities\b") or bool(staged.kube_version)
        if deploys and (cluster or values.given):
            self.seen = Scout(helm, values.given, cluster=cluster)
        self.supplied: Mapping[str, Any] = {}
        self.computed: Mapping[str, Any] = {}

    def _mentions(self, pattern: str) -> bool:
        return any(re.search(pattern, text) for text in self.texts)

    def first(self) -> Render:
        """The plain render, with helm's computed values."""
        self.values.settle(self.staged, self.staged.path.parent / "reused-values.yaml")
        self.supplied = self.values.reused
        if self.seen is not None:
            seen = self.seen.result()
            self.supplied = seen.values if not self.supplied else {**self.supplied, **seen.values}
            self.arguments += self._with_crds(seen.capabilities)
        if self._is_upgrade():
            self.arguments.append("--is-upgrade")
        self.staged.write_template(PROBE, PROBE_TEXT)
        lookup_server = ["--dry-run=server"] if self.deploys and self._mentions(r"\blookup\b") else []
        try:
            try:
                render = self([], extra_flags=lookup_server)
                self.arguments += lookup_server
            except HelmFailed:
                if not lookup_server:
                    raise
                render = self([])  # a server-side render needs the chart's own CRDs to be there already
        finally:
            self.staged.remove_template(PROBE)
        if render.values is None:
            raise HelmFailed(
                "helm did not print the chart's values",
                why="the post-renderer took them out",
                todo="let objects that it does not know pass",
            )
        self.computed = render.values
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
        name = [self.release] if self.release else []
        return parse(
            self.helm.run(
                [
                    "template",
                    *name,
                    str(self.staged.path),
                    *self.arguments,
                    *extra_flags,
                    *self.values.arguments,
                    *extra,
                ]
            ),
            self.also,
        )


def value_arguments(flags: list[Given], stack: ExitStack) -> list[str]:
    """The user's value flags; `-f -` is read once, for all the renders."""
    out: list[str] = []
    for flag in flags:
        if flag.name == "--values" and flag.value and "-" in flag.value.split(","):
            import tempfile

            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="helm-pin-stdin-"))
            file = Path(folder) / "values.yaml"
            file.write_text(sys.stdin.read())
            out += ["--values", ",".join(str(file) if part == "-" else part for part in flag.value.split(","))]
        elif flag.name in VALUE_FLAGS:
            out += flag.words
    return out
