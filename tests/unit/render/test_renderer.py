"""How Helm is asked to render."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from helmpin.arguments import Given
from helmpin.errors import HelmStopped
from helmpin.helm import Flag, Helm
from helmpin.image.outside_pods import ExtraImageRules
from helmpin.render.renderer import Renderer, renderer_for
from helmpin.render.values import ValuesInput
from tests.support.renders import document, pod
from tests.support.small_charts import small_chart

# -- arguments ----------------------------------------------------------------------------------------------------------

RENDERER = Renderer(
    helm=Helm("never-run"),
    command=("upgrade", "web"),
    flags=("--include-crds",),
    post_renderer=("--post-renderer", "./kustomize"),
    values=ValuesInput(("--values=/copy", "--set=a=b")),
    reuse=("--reset-then-reuse-values", "--values=/restoring"),
    dry_run="",
    asks_cluster=False,
    also=ExtraImageRules(()),
)


def arguments(folder: Path, *, extra: tuple[str, ...] = (), post_render: bool = True, **changes: Any) -> list[str]:
    made = small_chart(folder)
    found = RENDERER._replace(**changes).arguments(made, extra, post_render=post_render)
    return ["CHART" if word == str(made.archive()) else word for word in found]


def test_what_restores_stands_before_the_users_values_and_pins_after_them(tmp_path: Path) -> None:
    words = arguments(tmp_path, extra=("--set-string", "image.tag=1@sha256:0"))
    order = ["CHART", "--values=/restoring", "--values=/copy", "--set=a=b", "image.tag=1@sha256:0"]
    assert [word for word in words if word in order] == order
    assert words[:3] == ["upgrade", "web", "CHART"]


@pytest.mark.parametrize("kind", ["", "server", "client"])
def test_a_dry_run_prints_the_release(tmp_path: Path, kind: str) -> None:
    words = arguments(tmp_path, dry_run=kind)
    ending = [f"--dry-run={kind}", "--disable-openapi-validation", "--output=json"]
    assert [word for word in words if word in ending or "dry-run" in word] == (ending if kind else [])


def test_the_post_renderer_may_be_left_out(tmp_path: Path) -> None:
    assert "--post-renderer" in arguments(tmp_path)
    assert not {"--post-renderer", "./kustomize"} & set(arguments(tmp_path, post_render=False))


# -- one render -----------------------------------------------------------------------------------------------------------


class Printing:
    """Notes how helm is started, and prints this, or fails with that."""

    def __init__(
        self, text: str = "", why: str = "", flags: Sequence[str] = (), version: tuple[int, int, int] = (4, 0, 0)
    ) -> None:
        self._text, self._why, self._flags, self.version = text, why, flags, version
        self.started: list[list[str]] = []

    def start(self, args: Sequence[str]) -> Printing:
        self.started.append([*args])
        return self

    def output(self) -> str:
        if self._why:
            raise HelmStopped("helm template failed", where="x", why=self._why, hint="y")
        return self._text

    def flags(self, command: str) -> dict[str, Flag]:
        assert command == "upgrade"
        return {name: Flag(name, False) for name in self._flags}


def printing(helm: Printing, **more: Any) -> Renderer:
    return RENDERER._replace(helm=cast("Any", helm), **more)


TEXT = pod("web:1") + document("kind: Fleet\nspec: {image: 'example.com/a:1'}\n")


@pytest.mark.parametrize("post_render", [True, False])
def test_a_render_is_what_helm_prints(tmp_path: Path, post_render: bool) -> None:
    helm = Printing(TEXT)
    renderer = printing(helm, also=ExtraImageRules(("Fleet/*",)))
    made = small_chart(tmp_path)
    found = renderer.render(made, ["--set", "x=y"], post_render=post_render)
    assert [use.image for use in found.images()] == ["web:1", "example.com/a:1"] and found.config is None
    assert helm.started == [renderer.arguments(made, ["--set", "x=y"], post_render=post_render)]
    renderer.render(made)
    assert helm.started[1] == renderer.arguments(made) and "--post-renderer" in helm.started[1]


def test_a_dry_run_prints_a_release(tmp_path: Path) -> None:
    helm = Printing(json.dumps({"name": "web", "manifest": TEXT, "config": {"a": 1}}))
    found = printing(helm, dry_run="server", also=ExtraImageRules(("Fleet/*",))).render(small_chart(tmp_path))
    assert [use.image for use in found.images()] == ["web:1", "example.com/a:1"] and found.config == {"a": 1}


def test_a_render_that_was_begun_is_not_begun_again(tmp_path: Path) -> None:
    """It begins without the post-renderer, whose output is not wanted first."""
    helm, made = Printing(TEXT), small_chart(tmp_path)
    renderer = printing(helm)
    begun = renderer.start(made)
    assert helm.started == [renderer.arguments(made, post_render=False)]
    assert renderer.render(made, begun=begun).images() and len(helm.started) == 1


def test_a_render_that_fails_names_the_users_files(tmp_path: Path) -> None:
    values = ValuesInput(("--values=/copy",), (("/copy", "mine.yaml"),))
    with pytest.raises(HelmStopped) as failed:
        printing(Printing(why="/copy: no YAML"), values=values).render(small_chart(tmp_path))
    error = failed.value
    assert (error.what, error.where, error.why, error.hint) == (
        "helm template failed",
        ["x"],
        "mine.yaml: no YAML",
        "y",
    )


# -- the user's flags ------------------------------------------------------------------------------------------------------


def given_flags(*names: str) -> list[Given]:
    return [Given(name, None, (name,)) for name in names]


def test_the_users_flags_that_count_for_a_render() -> None:
    """Not those that helm's command does not know, those that change no manifest, nor the post-renderer's."""
    helm = Printing(flags=["--include-crds", "--dry-run", "--wait", "--post-renderer", "--no-hooks"])
    flags = given_flags("--include-crds", "--wait", "--unknown", "--post-renderer", "--dry-run", "--no-hooks")
    values, also = ValuesInput(("--set=a=b",)), ExtraImageRules(("x",))
    made = renderer_for(cast("Any", helm), "upgrade", "web", flags, values, also)
    assert made == Renderer(
        helm=cast("Any", helm),
        command=("upgrade", "web"),
        flags=("--include-crds",),
        post_renderer=("--post-renderer",),
        values=values,
        reuse=(),
        dry_run="",
        asks_cluster=False,
        also=also,
    )
    more = renderer_for(
        cast("Any", helm),
        "upgrade",
        "",
        flags,
        values,
        also,
        dry_run="client",
        reuse=["--reuse"],
        more=["--kube-version"],
    )
    assert (more.command, more.dry_run, more.reuse) == (("upgrade",), "client", ("--reuse",))
    assert more.flags == ("--include-crds", "--kube-version") and more.asks_cluster


@pytest.mark.parametrize(("version", "needed"), [((3, 17, 2), {"--validate"}), ((4, 0, 0), set())])
def test_helm_template_renders_as_an_upgrade_with_what_the_cluster_answers(
    version: tuple[int, int, int], needed: set[str]
) -> None:
    """Helm 4 takes no --validate beside --dry-run."""
    helm, values, also = Printing(flags=["--include-crds"], version=version), ValuesInput(()), ExtraImageRules(())
    flags = given_flags("--include-crds")
    made = renderer_for(cast("Any", helm), "upgrade", "web", flags, values, also, as_upgrade=True)
    assert set(made.flags) == {
        *("--include-crds", "--is-upgrade", "--dry-run=server", "--disable-openapi-validation"),
        *needed,
    }
    assert made.asks_cluster and not made.dry_run
