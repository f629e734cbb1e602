"""Images as a list for tools that read images (crane, trivy, syft, cosign): one `name:tag@digest` per line."""

from __future__ import annotations

from collections.abc import Iterable

from helmpin import output
from helmpin.image.reference import InvalidReference, Reference


def image_lines(images: Iterable[tuple[str, str]]) -> list[str]:
    """Each image, given as (reference, digest), with tag and digest: normalised, sorted, without duplicates. Reports those that are
    left out because they have no digest."""
    lines, without = set(), set()
    for image, digest in images:
        name = image.partition("@")[0]
        try:
            lines.add(str(Reference.parse(f"{name}@{digest}")))
        except InvalidReference:
            without.add(image)
    if without:
        output.say(f"Left out, because they have no digest: {', '.join(sorted(without))}.")
    return sorted(lines)


def print_images(images: Iterable[tuple[str, str]]) -> None:
    """Print `image_lines` on standard output."""
    for line in image_lines(images):
        print(line)
