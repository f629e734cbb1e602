"""Asking helm what only it knows, with a chart of one template: the user's own values as helm merges their flags, and the
cluster's capabilities as helm sees them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from helmpin.helm import Helm, Running
from helmpin.pin.render import PROBE_TEXT, parse

_TEMPLATE = PROBE_TEXT.replace(
    "{{ .Values | toJson | toJson }}", '{{ dict "values" .Values "capabilities" .Capabilities | toJson | toJson }}'
)


class Seen(NamedTuple):
    """The user's values alone, and the flags that give `helm template` the cluster's capabilities (if it was asked)."""

    values: Mapping[str, Any]
    capabilities: list[str]


class Scout:
    """A scout that is under way; `result()` waits for it."""

    def __init__(self, helm: Helm, value_flags: Sequence[str], *, cluster: bool) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="helm-pin-scout-")
        chart = Path(self._folder.name) / "scout"
        (chart / "templates").mkdir(parents=True)
        (chart / "Chart.yaml").write_text("apiVersion: v2\nname: scout\nversion: 0.0.0\n")
        (chart / "templates" / "values.yaml").write_text(_TEMPLATE)
        asked = (["--dry-run=server"] if helm.version >= (4, 0, 0) else ["--validate"]) if cluster else []
        self.cluster = cluster
        self._seen: Seen | None = None
        self._running: Running = helm.start(["template", "scout", str(chart), *value_flags, *asked])

    def result(self) -> Seen:
        """Raises HelmFailed."""
        if self._seen is None:
            with self._folder:
                seen = parse(self._running.output()).values or {}
            values = {k: v for k, v in (seen.get("values") or {}).items() if not (k == "global" and v == {})}
            self._seen = Seen(values, _flags(seen.get("capabilities") or {}) if self.cluster else [])
        return self._seen


def _flags(capabilities: Mapping[str, Any]) -> list[str]:
    version = (capabilities.get("KubeVersion") or {}).get("Version", "")
    apis = capabilities.get("APIVersions") or []
    return [*(["--kube-version", version] if version else []), *(["--api-versions", ",".join(apis)] if apis else [])]


def crd_apis(texts: Sequence[str]) -> list[str]:
    """The API versions that a chart's own CRDs will add: helm installs them before it renders."""
    import yaml

    from helmpin.pin.render import Loader

    found: list[str] = []
    for text in texts:
        try:
            documents = list(yaml.load_all(text, Loader=Loader))
        except yaml.YAMLError:
            continue  # helm will say so
        for document in documents:
            if (
                isinstance(document, dict)
                and document.get("kind") == "CustomResourceDefinition"
                and isinstance(document.get("spec"), dict)
            ):
                spec = document["spec"]
                kind = (spec.get("names") or {}).get("kind")
                for version in spec.get("versions") or []:
                    api = f"{spec.get('group')}/{version.get('name')}"
                    found += [api, f"{api}/{kind}"]
    return found
