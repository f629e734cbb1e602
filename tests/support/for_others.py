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


def kustomized(manifest: str, images: str, folder: Path) -> str | None:
    """What kustomize makes of a manifest; None where it has an object that kustomize does not take."""
    folder.mkdir()
    (folder / "all.yaml").write_text(manifest)
    (folder / "kustomization.yaml").write_text(f"resources: [all.yaml]\n{images}")
    done = subprocess.run([binary("kubectl"), "kustomize", folder], capture_output=True, text=True)
    return None if done.returncode else done.stdout


def kustomization_pins(
    kustomization: str, manifest: str, digest: Callable[[Reference], str], left: Collection[str], folder: Path
) -> None:
    """Every image that does not stay, and it changes nothing else. left: the images that stay."""
    before, after = kustomized(manifest, "", folder / "plain"), kustomized(manifest, kustomization, folder / "pinned")
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


def all_pinned(manifest: str, left: Collection[str]) -> None:
    """Every image that does not stay is at a digest."""
    assert [image for image in strip.images_of(manifest) if "@" not in image and image not in left] == []
