"""What a chart makes at random, found by rendering it plainly once more."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from helmpin.errors import HelmFailed, HelmStopped
from helmpin.image.uses import UseKey
from helmpin.plan.rendered import Rendered
from helmpin.render.diff import Comparison, compare, noise
from helmpin.render.differences import Leaf, readable
from helmpin.render.output import Render

MOST_RENDERS = 3
"""The most further plain renders of a chart whose templates make something random: two samples can be equal by chance."""


class Noise:
    """The noise of a chart, as far as it is known. Mutable: it learns where it is asked about a difference."""

    def __init__(self, rendered: Rendered, digests: Collection[str], random: Collection[str]) -> None:
        """digests: those to pin. random: the sources that make something random, as far as their text shows."""
        self._rendered = rendered
        self._digests = [digest.partition(":")[2][:12] for digest in digests]
        self._random = frozenset(random)
        self.renders = 0
        """How many further plain renders there were."""
        self.leaves: Mapping[Leaf, Any] = {}
        """The leaves that differed in one of them, with their values there."""

    def compared(self, render: Render, wanted: Mapping[UseKey, str]) -> Comparison:
        """The comparison of a render with the plain one, after as many more plain renders as may explain a difference.

        wanted: the digest that each use must get. Raises HelmFailed.
        """
        found = compare(self._rendered.plain, render, wanted, self.leaves)
        while found.collateral and self._may_explain(found):
            self.leaves = {**self.leaves, **noise(self._rendered.plain, self.render_again())}
            found = compare(self._rendered.plain, render, wanted, self.leaves)
        return found

    def render_again(self) -> Render:
        """Another plain render. Raises HelmFailed."""
        self.renders += 1
        return self._rendered.renderer.render(self._rendered.compared)

    def check_attempt_failed(self, error: HelmFailed) -> None:
        """After the render of an attempt failed: raise HelmFailed if the attempt is not to blame, but the cluster or the
        post-renderer, which fails the plain render too by now."""
        if isinstance(error, HelmStopped):  # another render may go well
            raise error
        renderer = self._rendered.renderer
        if renderer.asks_cluster or renderer.post_renderer:
            self.render_again()

    def _may_explain(self, found: Comparison) -> bool:
        """Whether another plain render may explain what differs. The first is worth it if one difference may be random: it shows no
        digest, and is no pull policy. A further one is worth it only if all of them may: otherwise the pins are rejected anyway."""
        may_be = [
            each.leaf[3][-1:] != ("imagePullPolicy",) and not any(d in readable(each.after) for d in self._digests)
            for each in found.collateral
        ]
        if self.renders == 0:
            return any(may_be)
        return (
            self.renders < MOST_RENDERS and all(may_be) and self._random.issuperset(d.leaf[0] for d in found.collateral)
        )
