"""A chart that brings APIs of its own: what renders it before they exist, and what is refused. What the cluster has and what the
chart prints is the test's word; tests/e2e/test_life_crds.py has both from a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from helmpin.arguments import Given
from helmpin.chart.setargs import LONGEST
from helmpin.errors import Refused
from helmpin.image.outside_pods import ExtraImageRules
from helmpin.plan.own_crds import crd_apis, rendered_before_crds, rendered_instead_of_a_dry_run
from helmpin.plan.rendered import Rendered
from helmpin.plan.task import Task
from helmpin.render import helm_probe, renderer
from helmpin.render.probe import PROBE
from helmpin.render.values import ValuesInput
from tests.support.plans import Ask, Renderer, chart
from tests.support.renders import pod, probe

CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  names: {kind: Widget}
  versions: [{name: v1}]
"""
CORE, OWN, ASSUMED = "v1", "example.com/v1", "policy/v1beta1"
VERSION = "v1.37.2"
ASKS_OWN = "image: {{ .Capabilities.APIVersions.Has %s }}\n"
Says = Callable[[Ask, Sequence[str]], str]
"""What a chart prints with these API versions."""


class Asked:
    """Stands where helm is asked. The cluster has CORE; helm by itself assumes CORE and ASSUMED."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, says: Says) -> None:
        self.folder, self.says = folder, says
        self.apis: list[list[str]] = []
        """The API versions of each renderer."""
        monkeypatch.setattr(helm_probe, "capabilities", self._capabilities)
        monkeypatch.setattr(renderer, "renderer_for", self._renderer_for)

    @staticmethod
    def _capabilities(_: object, *, built_in: bool = False) -> tuple[str, list[str]]:
        return VERSION, [CORE, ASSUMED] if built_in else [CORE]

    def _renderer_for(self, *_: object, more: Sequence[str]) -> Renderer:
        assert list(more[:2]) == ["--kube-version", VERSION] and {*more[2::2]} == {"--api-versions"}
        assert all(len(word) < LONGEST for word in more)
        apis = ",".join(more[3::2]).split(",")
        self.apis.append(apis)
        return Renderer(lambda ask: self.says(ask, apis) + probe(PROBE, {"values": {}}))

    def task(self, *flags: Given) -> Task:
        nothing = cast("Any", None)
        return Task(nothing, "install", "web", flags, flags, ValuesInput(()), ExtraImageRules(()), self.folder)

    def render(self, text: str, *flags: Given, crd: str = CRD) -> Rendered | None:
        """The plain render of a chart with one template."""
        made = chart(self.folder, {"crds/widget.yaml": crd} if crd else {}, pod=text)
        return rendered_instead_of_a_dry_run(self.task(*flags), made, made, {})


def by_own_api(_: Ask, apis: Sequence[str]) -> str:
    """A chart that runs another image where its own API is known."""
    return pod("example.com/web:1" if OWN in apis else "example.com/web:0")


def images(found: Rendered | None) -> list[str]:
    assert found
    return [use.image for use in found.plain.images()]


def test_the_render_knows_the_apis_of_the_cluster_and_of_the_crds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(monkeypatch, tmp_path, by_own_api)
    assert images(asked.render(ASKS_OWN % f'"{OWN}"')) == ["example.com/web:1"]
    assert asked.apis == [[CORE, OWN, f"{OWN}/Widget"]]


def test_a_cluster_with_more_apis_than_fit_in_one_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, tmp_path, by_own_api)
    many = [f"group-{n}.provider.example.com/v1beta1/AQuiteLongNameOfAKind" for n in range(3000)]
    monkeypatch.setattr(helm_probe, "capabilities", lambda *_, **__: (VERSION, many))
    assert images(asked.render(ASKS_OWN % f'"{OWN}"')) == ["example.com/web:1"]
    assert len(asked.apis[0]) > 3000


def test_a_dry_run_that_is_none_deploys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, tmp_path, by_own_api)
    found = asked.render(ASKS_OWN % f'"{OWN}"', Given("--dry-run", "none", ()))
    assert images(found) == ["example.com/web:1"]


@pytest.mark.parametrize(
    "flags", [[Given("--skip-crds", None, ())], [Given("--dry-run", "server", ())], [Given("--dry-run", "client", ())]]
)
def test_a_run_that_installs_no_crds_is_left_to_the_dry_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[Given]
) -> None:
    asked = Asked(monkeypatch, tmp_path, by_own_api)
    assert asked.render("a: b\n", *flags) is None
    assert not asked.apis


@pytest.mark.parametrize("crd", ["", CRD.replace("example.com\n", '""\n').replace("Widget", "Pod")])
def test_a_chart_that_brings_no_new_api_is_left_to_the_dry_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crd: str
) -> None:
    monkeypatch.setattr("helmpin.plan.own_crds.crd_apis", lambda texts: [CORE for _ in texts])
    asked = Asked(monkeypatch, tmp_path, by_own_api)
    assert asked.render("a: b\n", crd=crd) is None
    assert not asked.apis


def test_images_that_depend_on_an_api_that_helm_only_assumes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No flag takes that API away, so the question is changed."""
    asks = f'{{{{ .Capabilities.APIVersions.Has "{ASSUMED}" }}}}'
    asked = Asked(
        monkeypatch,
        tmp_path,
        lambda ask, _: pod("example.com/old:1" if ASSUMED in str(ask.files) else "example.com/new:1"),
    )
    with pytest.raises(Refused, match="chooses images by APIs that this cluster lacks") as caught:
        asked.render(asks)
    assert caught.value.why.splitlines()[1:] == [
        "example.com/new:1, in app/templates/pod.yaml",
        "example.com/old:1, in app/templates/pod.yaml",
    ]


def test_an_api_that_helm_assumes_may_be_asked_for_where_no_image_depends_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[Ask] = []

    def says(ask: Ask, _: Sequence[str]) -> str:
        rendered.append(ask)
        return pod("example.com/web:1", label="old" if ASSUMED in str(ask.files) else "new")

    asked = Asked(monkeypatch, tmp_path, says)
    found = asked.render(f'{{{{ .Capabilities.APIVersions.Has "{ASSUMED}" }}}}')
    assert images(found) == ["example.com/web:1"]
    assert found and "l: old" in found.plain.text
    assert len(rendered) == 2 and '"none.invalid/v0"' in rendered[1].files["templates/pod.yaml"]


def test_what_no_template_asks_for_needs_no_second_render(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, tmp_path, by_own_api)
    made = chart(tmp_path, {"crds/widget.yaml": CRD}, pod="a: b\n")
    found = rendered_before_crds(asked.task(), made, made, {"given": 1})
    assert len(cast("Any", found.renderer).asked) == 1
    assert (found.given, found.kept) == ({"given": 1}, {"given": 1})


def test_a_chart_that_looks_objects_up_is_left_to_the_dry_run_unless_images_depend_on_its_own_apis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a dry run looks objects up; it does not know these APIs."""
    text = '{{ lookup "v1" "Secret" "" "x" }}'
    asked = Asked(monkeypatch, tmp_path, lambda *_: pod("example.com/web:1"))
    assert asked.render(text) is None
    assert asked.apis == [[CORE], [CORE, OWN, f"{OWN}/Widget"]]
    with pytest.raises(Refused, match="chooses images by APIs") as caught:
        Asked(monkeypatch, tmp_path, by_own_api).render(text)
    assert caught.value.why.splitlines()[1:] == [
        "example.com/web:0, in app/templates/pod.yaml",
        "example.com/web:1, in app/templates/pod.yaml",
    ]


# -- definitions that the chart brings ----------------------------------------------------------------------------------

DEFINITION = """\
kind: CustomResourceDefinition
spec:
  group: example.com
  names: {kind: Thing}
  versions: [{name: v1}, {name: v2}]
"""


def test_the_apis_of_definitions() -> None:
    once = ["example.com/v1", "example.com/v1/Thing", "example.com/v2", "example.com/v2/Thing"]
    assert crd_apis([DEFINITION]) == once
    assert crd_apis([f"---\n{DEFINITION}---\nkind: Other\n---\n", DEFINITION]) == once + once
    assert crd_apis([DEFINITION.replace("{name: v2}", "{name: v2, served: false}")]) == once[:2]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- 1",
        "a: [",
        "text",
        "kind: CustomResourceDefinition",
        "kind: CustomResourceDefinition\nspec: {}",
        "spec: {}",
    ],
)
def test_files_without_a_definition(text: str) -> None:
    assert crd_apis([text]) == []


@pytest.mark.parametrize("spec", ["names: text", "versions: text", "versions: [1]", "versions:"])
def test_a_definition_that_is_half_there(spec: str) -> None:
    assert crd_apis([f"kind: CustomResourceDefinition\nspec: {{{spec}}}\n"]) == []
