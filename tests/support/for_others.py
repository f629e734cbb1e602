"""What plan prints for other deployers, applied by them to a manifest, and looked at without helm-pin's own code."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Callable, Collection
from pathlib import Path

from scripts.devtools.binaries import binary
from tests.support import strip
from tests.support.strip import Reference

IMAGE = re.compile(r"[\s-]*image: (.*)")
Form = frozenset[object]
"""Of a manifest: what a kustomization makes of it depends on nothing else."""


def form(manifest: str) -> Form:
    """Where images are, of which objects, and how they are written, without the names and tags."""
    found: set[object] = set()
    references: defaultdict[str, set[str]] = defaultdict(set)
    for document in strip.parse(manifest):
        is_hook = bool(document.value("metadata", "annotations", "helm.sh/hook"))
        for path, leaf in document.images().items():
            written = re.sub(r"[\w.-]+", "x", leaf.value.partition("@")[0]) + "@" * ("@" in leaf.value)
            found.add(
                (document.value("kind"), tuple("" if part.isdigit() else part for part in path), written, is_hook)
            )
            references[re.sub(r"(:[^:/]*)?(@.*)?$", "", leaf.value)].add(leaf.value)
    return frozenset({*found, *(len(each) for each in references.values())})


class Kustomize:
    """kustomize, tried on each form of manifest once. Mutable."""

    def __init__(self) -> None:
        self._kubectl = binary("kubectl")  # before a test moves its home
        self._tried: set[Form] = set()

    def pins(
        self,
        kustomization: str | None,
        manifest: str,
        digest: Callable[[Reference], str],
        left: Collection[str],
        folder: Path,
    ) -> None:
        """Every image that does not stay, and it changes nothing else. kustomization: None for one that is refused. left: the
        images that stay."""
        its = form(manifest)
        if kustomization is None or its in self._tried:
            return
        self._tried.add(its)
        before, after = (
            self._built(manifest, "", folder / "plain"),
            self._built(manifest, kustomization, folder / "pinned"),
        )
        if before is None:  # whatever its images
            assert after is None
            return
        assert after is not None
        for old, new in zip(before.splitlines(), after.splitlines(), strict=True):
            if old != new:
                was, now = (IMAGE.fullmatch(line) for line in (old, new))
                assert was and now, f"{old} became {new}"
                reference = strip.parse_reference(was[1])
                assert reference, was[1]
                assert now[1] in strip.forms(was[1], digest(reference), untagged=False)
        all_pinned(after, left)

    def _built(self, manifest: str, images: str, folder: Path) -> str | None:
        """What kustomize makes of a manifest; None where it has an object that kustomize does not take."""
        folder.mkdir()
        (folder / "all.yaml").write_text(manifest)
        (folder / "kustomization.yaml").write_text(f"resources: [all.yaml]\n{images}")
        done = subprocess.run([self._kubectl, "kustomize", folder], capture_output=True, text=True)
        return None if done.returncode else done.stdout


def all_pinned(manifest: str, left: Collection[str]) -> None:
    """Every image that does not stay is at a digest."""
    assert [image for image in strip.images_of(manifest) if "@" not in image and image not in left] == []
