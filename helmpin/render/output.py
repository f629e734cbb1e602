"""The output of a render: documents with their source file and order, and helm's own computed values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from helmpin.errors import HelmFailed
from helmpin.image.documents import Document, documents
from helmpin.image.outside_pods import ExtraImageRules
from helmpin.image.uses import ImageUse, OutsideUse, document_images, outside
from helmpin.named_tuple import NamedTuple
from helmpin.render.probe import PROBE
from helmpin.timeline import step

_NONE = ExtraImageRules(())


class Render(NamedTuple):
    """What helm rendered."""

    text: str
    documents: list[Document]
    values: Mapping[str, Any] | None
    """Helm's computed values; None unless the probe was in the chart."""
    also: ExtraImageRules | None = None
    """The images outside pod specs that count as image uses."""
    config: Mapping[str, Any] | None = None
    """The values that the release would keep; None after `helm template`, which makes no release."""

    def images(self) -> list[ImageUse]:
        """Every image use, in the order of the render."""
        return [use for document in self.documents for use in document_images(document, self.also)]

    def elsewhere(self) -> list[ImageUse]:
        """The images outside pod specs that have no digest and that --also does not name."""
        return [found.use for found in self._not_asked() if found.is_listed]

    def for_operators(self) -> list[OutsideUse]:
        """The images outside pod specs that have no digest and that `--also operators` would name as well."""
        return [found for found in self._not_asked() if found.is_known]

    def _not_asked(self) -> Iterator[OutsideUse]:
        also = _NONE if self.also is None else self.also
        found = (each for document in self.documents for each in outside(document, also))
        return (each for each in found if not each.is_asked and "@" not in each.use.image)


@step("reading a render")
def parse(text: str, also: ExtraImageRules | None = None) -> Render:
    """Split the output of `helm template` or a post-renderer into documents. The output of the probe is read and removed."""
    found: list[Document] = []
    values: Mapping[str, Any] | None = None
    for document, whole in documents(text):
        if document.source.partition("/")[2] == PROBE and (shown := _shown(document.text)) is not None:
            values = shown.get("values")
            text = text.replace(whole, "", 1)
        else:
            found.append(document)
    return Render(text=text, documents=found, values=values, also=also)


def parse_release(text: str, also: ExtraImageRules | None = None) -> Render:
    """As `parse`, for the output of `helm upgrade --dry-run -o json`: a release, with the values that it would keep.

    Raises HelmFailed if it is not one.
    """
    try:
        release = json.loads(text)
        manifest = str(release.get("manifest", ""))  # helm leaves an empty one out
        if "name" not in release:
            raise ValueError("it has no name")
        hooks = [(str(hook["path"]), str(hook["manifest"])) for hook in release.get("hooks") or []]
        config = release.get("config") or {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HelmFailed("helm's dry run printed no release", why=f"{type(error).__name__}: {error}") from None
    joined = "".join(f"---\n# Source: {path}\n{body}\n" for path, body in hooks)
    if manifest and not manifest.endswith("\n"):
        manifest += "\n"
    return parse(manifest + joined, also)._replace(config=config)


_PROBED = re.compile(
    r"\s*apiVersion: v1\nkind: ConfigMap\nmetadata:\n(?:  annotations: \{helm\.sh/hook: test\}\n)?"
    r'  name: helm-pin-values\ndata:\n  values: (".*")\s*'
)
"""All that the probe prints. A document that has more is the chart's own, whatever source it claims, and must not be taken out."""


def _shown(body: str) -> Mapping[str, Any] | None:
    """What the probe printed; None if the document is the chart's own."""
    probed = _PROBED.fullmatch(body)
    try:
        loaded = json.loads(json.loads(probed[1])) if probed else None
    except (ValueError, TypeError):
        return None
    return loaded if isinstance(loaded, dict) else None
