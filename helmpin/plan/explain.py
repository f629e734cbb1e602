"""Why images could not be pinned, in the cases that comparing renders cannot explain: the post-renderer prints, changes or removes
them."""

from __future__ import annotations

from collections.abc import Mapping

from helmpin.errors import HelmFailed
from helmpin.helm import hide_secrets
from helmpin.image.hints import let_through
from helmpin.image.reference import split
from helmpin.image.uses import ImageUse, UseKey
from helmpin.named_tuple import NamedTuple
from helmpin.plan.composer import Composer
from helmpin.plan.images import Problem
from helmpin.render.diff import Comparison, is_pin
from helmpin.search.attempt import Attempt


class Explainer(NamedTuple):
    """Explains what the attempts of one plan could not pin."""

    composer: Composer
    uses: Mapping[UseKey, ImageUse]
    """Those to pin."""
    origins: Mapping[UseKey, ImageUse]
    """By the key of a use, the use that the post-renderer made it of."""
    wanted: Mapping[UseKey, str]
    """The digest of each use."""
    post_renderer: tuple[str, ...]
    """The user's, as flags of helm."""

    def unreachable(self) -> dict[UseKey, Problem]:
        """The problems of the uses that only the post-renderer prints."""
        return {
            key: Problem(
                "the post-renderer prints it, so no value and no template reaches it",
                "refused",
                f"write its digest in the post-renderer, or {let_through(use.image)}",
            )
            for key, use in self.uses.items()
            if key not in self.origins
        }

    def failed_pins(self, attempt: Attempt, found: Comparison) -> dict[UseKey, Problem]:
        """The problems of template pins that failed, as far as they are explained here."""
        failing = [key for key in found.failing if key in attempt.by_template]
        if failing and self.post_renderer:
            return self._post_rendered(attempt, failing, found.images)
        return {}

    def _post_rendered(
        self, attempt: Attempt, failing: list[UseKey], printed: Mapping[UseKey, str]
    ) -> dict[UseKey, Problem]:
        try:
            images = {use.key: use.image for use in self.composer.render_before_post_renderer(attempt).images()}
        except HelmFailed:  # helm deploys only what the post-renderer makes of it
            return {}
        explained = {}
        for key in failing:
            origin = self.origins[key]
            if is_pin(origin, images.get(origin.key, ""), self.wanted[key]):
                _, tag, digest = split(printed.get(key, ""))
                does = "changes" if digest else "removes"
                hint = "have the post-renderer keep digests as they are, or leave it out"
                if not digest and tag not in (None, split(origin.image)[1] or "latest"):
                    hint = "give this tag to the chart, by a value, instead of to the post-renderer"
                explained[key] = Problem(
                    f"the post-renderer ({' '.join(hide_secrets(self.post_renderer))}) {does} its digest: "
                    f"it prints {printed.get(key)!r}",
                    "refused",
                    hint,
                )
        return explained
