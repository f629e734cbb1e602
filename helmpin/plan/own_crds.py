"""A first installation of a chart with CRDs of its own. Helm installs these before it renders, and no dry run does."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from helmpin import kube_yaml
from helmpin.arguments import dry_run, is_on
from helmpin.errors import HelmFailed, Refused
from helmpin.plan.rendered import Rendered, render_with_probe

if TYPE_CHECKING:
    from helmpin.chart.stage import Chart
    from helmpin.plan.task import Task
    from helmpin.render.output import Render
    from helmpin.render.renderer import Renderer

API_VERSIONS = 500
"""How many APIs one argument names: Linux takes 128 KiB (execve(2), MAX_ARG_STRLEN)."""


def rendered_instead_of_a_dry_run(
    task: Task, chart: Chart, compared: Chart, given: Mapping[str, Any]
) -> Rendered | None:
    """The plain render of a chart whose CRDs bring APIs that the cluster lacks. None where a dry run is to render it: because there
    are no such APIs, or because the chart looks objects up too, which only a dry run does. Raises HelmFailed, and Refused if the
    images depend on APIs that the render does not know."""
    if not _brings_apis(task, chart):
        return None
    if not any("lookup" in text for text in chart.template_files().values()):
        return rendered_before_crds(task, chart, compared, given)
    _refuse_own_apis(task, chart)
    return None


def _brings_apis(task: Task, chart: Chart) -> bool:
    """Whether Helm, before it renders what it installs, installs CRDs whose APIs the cluster lacks, which no dry run does."""
    from helmpin.render.helm_probe import capabilities

    crds = chart.crd_files().values()
    deploys = dry_run(task.flags) == "none"
    if not crds or not deploys or is_on(task.flags, "--skip-crds"):
        return False
    return not set(crd_apis(crds)).issubset(capabilities(task.helm)[1])


def rendered_before_crds(task: Task, chart: Chart, compared: Chart, given: Mapping[str, Any]) -> Rendered:
    """The plain render if the chart's own CRDs are not in the cluster yet: by helm template, with the cluster's version and APIs
    and those of the CRDs. Raises HelmFailed, and Refused if the images depend on APIs that only helm template has."""
    from helmpin.render.helm_probe import capabilities
    from helmpin.render.probe import HOOK_TEXT

    version, apis = capabilities(task.helm)
    known = [*apis, *crd_apis(chart.crd_files().values())]
    renderer = _renderer_with(task, version, known)
    found = render_with_probe(chart, compared, HOOK_TEXT, renderer, None, given, given)
    assumed = set(capabilities(task.helm, built_in=True)[1]).difference(known)
    _refuse_assumed_apis(found, assumed)
    return found


def _renderer_with(task: Task, version: str, apis: Sequence[str]) -> Renderer:
    """A renderer by helm template with a version of Kubernetes, and with these APIs in addition to those that helm assumes."""
    from helmpin.render.renderer import renderer_for

    many = [apis[start : start + API_VERSIONS] for start in range(0, len(apis), API_VERSIONS)]
    more = ["--kube-version", version, *(word for some in many for word in ("--api-versions", ",".join(some)))]
    return renderer_for(task.helm, "template", task.release, task.flags, task.values, task.also, more=more)


def _refuse_own_apis(task: Task, chart: Chart) -> None:
    """Raise Refused if the images of a chart that looks objects up depend on the APIs of its own CRDs: no render knows both the
    objects and these APIs."""
    from helmpin.render.helm_probe import capabilities

    version, apis = capabilities(task.helm)
    brought = crd_apis(chart.crd_files().values())
    _refuse_other_images(*(_renderer_with(task, version, some).render(chart) for some in (apis, [*apis, *brought])))


def _refuse_assumed_apis(found: Rendered, assumed: Collection[str]) -> None:
    """Raise Refused if the images depend on APIs that helm template assumes and the cluster does not have. No flag removes an API,
    so the chart is rendered once more with templates that ask for another one instead."""
    asked = re.compile("|".join(f'"{re.escape(api)}"' for api in sorted(assumed)) or r"(?!)")
    texts = found.compared.template_files()
    changed: dict[str, str] = {
        path: asked.sub('"none.invalid/v0"', text) for path, text in texts.items() if asked.search(text)
    }
    if not changed:
        return
    _refuse_other_images(found.plain, found.renderer.render(found.compared.with_files(changed)))


def _refuse_other_images(*renders: Render) -> None:
    """Raise Refused if two renders, with and without some APIs, have other images."""
    images = [{(use.source, use.image) for use in render.images()} for render in renders]
    if images[0] != images[1]:
        raise Refused(
            "the chart chooses images by APIs that this cluster lacks, so they cannot be planned before its CRDs are installed",
            why="images that differ with and without these APIs:\n"
            + "\n".join(sorted(f"{image}, in {source}" for source, image in images[0] ^ images[1])),
            hint="install the CRDs first: helm show crds CHART | kubectl apply --server-side -f -, then run it again",
        )


def crd_apis(texts: Iterable[str]) -> list[str]:
    """The API versions that a chart's own CRDs add: helm installs them before it renders."""
    found: list[str] = []
    for spec in _crd_specs(texts):
        names, versions = spec.get("names"), spec.get("versions")
        kind = names.get("kind") if isinstance(names, dict) else None
        for version in versions if isinstance(versions, list) else []:
            if isinstance(version, dict) and version.get("served") is not False:  # discovery lists those alone
                api = f"{spec.get('group')}/{version.get('name')}"
                found += [api, f"{api}/{kind}"]
    return found


def _crd_specs(texts: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The specs of the CRDs in a chart's files."""
    for text in texts:
        try:
            documents = kube_yaml.read_all(text, what="a CRD cannot be read", where="crds/")
        except HelmFailed:
            continue  # helm reports it when it installs the CRDs
        for document in documents:
            is_crd = isinstance(document, dict) and document.get("kind") == "CustomResourceDefinition"
            if is_crd and isinstance(document.get("spec"), dict):
                yield document["spec"]
