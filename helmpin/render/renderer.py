"""Rendering a chart as the deploying command will: by `helm template`, or by Helm's own dry run of that command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from helmpin.arguments import Given, words
from helmpin.chart.stage import Chart
from helmpin.errors import HelmFailed
from helmpin.helm import Helm, HelmProcess
from helmpin.image.outside_pods import ExtraImageRules
from helmpin.named_tuple import NamedTuple
from helmpin.render.values import ValuesInput

if TYPE_CHECKING:
    from helmpin.render.output import Render

NOT_RENDERED = frozenset(
    {
        "--dry-run",
        "--wait",
        "--wait-for-jobs",
        "--atomic",
        "--rollback-on-failure",
        "--cleanup-on-fail",
        "--output",
        "--hide-secret",
        "--no-hooks",
        "--skip-tests",
        "--show-only",
        "--output-dir",
        "--debug",
        "--validate",
    }
)
"""Flags that must not affect the renders, in which every hook and test of the release is pinned."""
POST_RENDERER = frozenset({"--post-renderer", "--post-renderer-args"})


class Renderer(NamedTuple):
    """Renders charts, always with the same command and flags. Immutable."""

    helm: Helm
    command: tuple[str, ...]
    """helm's command and the release: `template web`, or `upgrade web`."""
    flags: tuple[str, ...]
    """helm's flags that affect the render, without those of the post-renderer."""
    post_renderer: tuple[str, ...]
    values: ValuesInput
    reuse: tuple[str, ...]
    """What comes before the user's values: a flag, and the file that takes helm-pin's digests out of the reused values."""
    dry_run: str
    """The kind of dry run, if Helm's own dry run renders; '' for `helm template`."""
    asks_cluster: bool
    """Whether Helm asks the cluster for its version, its APIs and objects."""
    also: ExtraImageRules

    def arguments(self, chart: Chart, extra: Sequence[str] = (), *, post_render: bool = True) -> list[str]:
        """helm's arguments for one render. extra: further arguments, after the user's values."""
        # Helm validates when it deploys; here validation would be most of a dry run's time, and not change what is rendered
        dry_run = [f"--dry-run={self.dry_run}", "--disable-openapi-validation", "--output=json"]
        ending = dry_run if self.dry_run else []
        post_renderer = self.post_renderer if post_render else ()
        before = [*self.command, str(chart.archive()), *self.flags, *post_renderer, *self.reuse]
        return [*before, *self.values.arguments, *extra, *ending]

    def start(self, chart: Chart) -> HelmProcess:
        """Start a render without the post-renderer, for `render` to take as `begun`."""
        return self.helm.start(self.arguments(chart, post_render=False))

    def render(
        self,
        chart: Chart,
        extra: Sequence[str] = (),
        *,
        post_render: bool = True,
        begun: HelmProcess | None = None,
        meanwhile: Callable[[], object] | None = None,
    ) -> Render:
        """Render a chart. meanwhile: called while helm renders. Raises HelmFailed with helm's message."""
        try:
            running = begun or self.helm.start(self.arguments(chart, extra, post_render=post_render))
            if meanwhile:
                meanwhile()
            text = running.output()
        except HelmFailed as error:
            raise self.values.in_users_words(error) from None
        from helmpin.render.output import parse, parse_release

        return parse_release(text, self.also) if self.dry_run else parse(text, self.also)


def renderer_for(
    helm: Helm,
    command: str,
    release: str,
    flags: Sequence[Given],
    values: ValuesInput,
    also: ExtraImageRules,
    *,
    dry_run: str = "",
    as_upgrade: bool = False,
    reuse: Sequence[str] = (),
    more: Sequence[str] = (),
) -> Renderer:
    """A renderer for a helm command (template, upgrade or install), with those of the user's flags that it accepts.

    as_upgrade: whether `helm template` renders as an upgrade of that release does, with what the cluster answers; a dry run does
    so anyway.
    """
    known = helm.flags(command)
    kept = [flag for flag in flags if flag.name in known and flag.name not in NOT_RENDERED | POST_RENDERER]
    return Renderer(
        helm=helm,
        command=(command, *([release] if release else [])),
        flags=(*words(kept), *more, *(_as_upgrade(helm) if as_upgrade else ())),
        post_renderer=tuple(words(flag for flag in flags if flag.name in POST_RENDERER)),
        values=values,
        reuse=tuple(reuse),
        dry_run=dry_run,
        asks_cluster=as_upgrade or bool(dry_run),
        also=also,
    )


def _as_upgrade(helm: Helm) -> list[str]:
    """The flags that have `helm template` render as an upgrade does: with the cluster's version, APIs and objects. Helm 3 asks for
    objects with the one flag, for the rest with the other (pkg/action/install.go, ClientOnly and interactWithRemote). Unlike a dry
    run of the upgrade, it reads no revision of the release."""
    validate = ["--validate"] if helm.version < (4,) else []
    return ["--is-upgrade", *validate, "--dry-run=server", "--disable-openapi-validation"]
