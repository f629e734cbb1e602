"""The credentials for registries with which a chart's images are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helmpin.config.settings import Settings

if TYPE_CHECKING:
    from helmpin.plan.rendered import Rendered
    from helmpin.registry.keychain import Keychain


def keychain_of(rendered: Rendered, settings: Settings) -> Keychain | None:
    """Those of the chart's pods with --pull-secrets, else None for what this machine holds. Raises HelmFailed."""
    if not settings.pull_secrets:
        return None
    from helmpin.cluster import pull_secrets
    from helmpin.kubectl import Kubectl

    return pull_secrets.keychain(rendered.plain.documents, Kubectl(rendered.renderer.helm), settings.registry)
