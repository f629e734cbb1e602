"""The credentials for requests about a chart's images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helmpin.config.settings import Settings

if TYPE_CHECKING:
    from helmpin.plan.rendered import Rendered
    from helmpin.registry.keychain import Keychain


def keychain_of(rendered: Rendered, settings: Settings) -> Keychain | None:
    """With --pull-secrets, those of the chart's pods too; else None, for this machine's own. Raises HelmFailed."""
    if not settings.pull_secrets:
        return None
    from helmpin.cluster import pull_secrets
    from helmpin.kubectl import Kubectl

    return pull_secrets.keychain(rendered.plain.documents, Kubectl(rendered.renderer.helm), settings.registry)
