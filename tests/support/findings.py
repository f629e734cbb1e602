"""What lint finds, and the settings that it judges by, written down."""

from __future__ import annotations

from typing import Any

from helmpin.config.settings import Settings
from helmpin.image.uses import ImageUse
from helmpin.lint.finding import Finding, Location
from helmpin.registry.types import RegistrySettings
from tests.support.renders import POD

SETTINGS = Settings(
    mutable="pin", mutable_tags=(), allow_unpinned=(), also=(), pull_secrets=False, registry=RegistrySettings()
)


def use(image: str, source: str = POD, name: str = "web", number: int = 0) -> ImageUse:
    """The image of one container of a pod."""
    path = ("spec", "containers", number, "image")
    return ImageUse(image=image, source=source, order=0, nth=0, kind="Pod", name=name, path=path, container="web")


def finding(image: str, at: Location | None = None, **more: Any) -> Finding:
    """A finding of the chart app."""
    return Finding(chart="app", use=more.pop("use", use(image)), reason="moves", at=at or Location("app/x"), **more)
