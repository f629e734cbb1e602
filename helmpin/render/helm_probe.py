"""What only helm knows, read through charts with a single template: capabilities, and what its getters fetch."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from helmpin.private import Folder, write
from helmpin.render.probe import PROBE, PROBE_TEXT


def read_source(helm: Helm, source: str, where: str = "") -> bytes:
    """The bytes that helm reads from a URL or through a plugin's getter. where: how the user named it. Raises HelmFailed."""
    from helmpin.chart.setargs import text as escaped
    from helmpin.render.output import parse

    text = PROBE_TEXT.replace('"values" .Values', '"values" (dict "content" (b64enc .Values.content))')
    with _one_template(text) as chart:
        try:
            shown = parse(helm.run(["template", "probe", chart, f"--set-file=content={escaped(source)}"])).values
        except HelmFailed as error:
            _, is_ours, why = error.why.partition("failed parsing --set-file data: ")
            if not is_ours:
                raise
            hint = "check the name, or the address, the network and the proxy"
            raise HelmFailed("values cannot be read", where=where or source, why=why, hint=hint) from None
    if not shown:
        why, hint = "helm printed no content", "check the source"
        raise HelmFailed("values cannot be read", where=where or source, why=why, hint=hint)
    return base64.b64decode(shown["content"])


def capabilities(helm: Helm, *, built_in: bool = False) -> tuple[str, list[str]]:
    """The cluster's Kubernetes version and API versions, as templates see them. Raises HelmFailed.

    built_in: return those that helm assumes without a cluster.
    """
    from helmpin.render.output import parse

    text = PROBE_TEXT.replace('"values" .Values', '"values" (dict "capabilities" .Capabilities)')
    asked = "--dry-run=server" if helm.version >= (4, 0, 0) else "--validate"
    with _one_template(text) as chart:
        shown = parse(helm.run(["template", "probe", chart, *([] if built_in else [asked])])).values or {}
    found = shown.get("capabilities") or {}
    return str((found.get("KubeVersion") or {}).get("Version", "")), [
        str(api) for api in found.get("APIVersions") or []
    ]


@contextmanager
def _one_template(text: str) -> Iterator[str]:
    with Folder() as folder:
        yield one_template_chart(folder, text)


def one_template_chart(folder: Path, text: str) -> str:
    chart = folder / "probe"
    (chart / PROBE).parent.mkdir(parents=True)
    write(chart / "Chart.yaml", "apiVersion: v2\nname: probe\nversion: 0.0.0\n")
    write(chart / PROBE, text)
    return str(chart)
