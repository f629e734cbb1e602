"""What a plan is made from, written down: a chart in memory, and what it prints, by the test's own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from helmpin.chart.archive import Budget, File
from helmpin.chart.setargs import Setting
from helmpin.chart.stage import Chart
from helmpin.chart.tree import Tree
from helmpin.helm import Helm
from helmpin.image.outside_pods import ExtraImageRules
from helmpin.image.reference import Reference
from helmpin.plan.images import ImagePlan, Problem
from helmpin.plan.plan import Plan
from helmpin.plan.rendered import Rendered
from helmpin.release.record import Record
from helmpin.render import output
from helmpin.render.output import ImageUse, Render
from tests.support.renders import POD, digest

A = digest("a")
ALSO = ExtraImageRules(())


def annotations(chart: Chart) -> dict[str, str]:
    """Those in a chart's Chart.yaml."""
    return chart.metadata.get("annotations") or {}


def chart(folder: Path, more: Mapping[str, str] | None = None, **templates: str) -> Chart:
    """A chart `app`. more: its other files, by path."""
    files = {"Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\n", **(more or {})}
    files |= {f"templates/{name}.yaml": text for name, text in templates.items()}
    return Chart(Tree({path: File(text.encode(), 0) for path, text in files.items()}, Budget("app")), folder)


class Ask(NamedTuple):
    """One render that was asked for."""

    chart: Chart
    set: Mapping[str, str]
    """What --set arguments set."""
    post_render: bool

    @property
    def files(self) -> Mapping[str, str]:
        """The text of the chart's templates and CRDs."""
        return {**self.chart.template_files(), **self.chart.crd_files()}


class Renderer:
    """Stands where helm renders: what comes out is what the test says of the chart and of what is set."""

    def __init__(
        self, says: Callable[[Ask], str], post_renderer: Sequence[str] = (), dry_run: str = "", also: Any = ALSO
    ) -> None:
        self._says, self._also = says, also
        self.post_renderer, self.dry_run, self.asks_cluster = tuple(post_renderer), dry_run, bool(dry_run)
        self.helm = Helm("never-run")
        self.asked: list[Ask] = []

    def start(self, _: Chart) -> Renderer:
        """Nothing is started here: `render` does it all."""
        return self

    def stop(self, grace: float) -> None:
        """Nothing runs."""

    def render(
        self,
        chart: Chart,
        extra: Sequence[str] = (),
        *,
        post_render: bool = True,
        begun: None = None,  # noqa: ARG002 (nothing is started here)
        meanwhile: Callable[[], object] | None = None,
    ) -> Render:
        """As the renderer of helmpin has it."""
        if meanwhile:
            meanwhile()
        pairs = (word.partition("=") for word in extra[1::2])
        self.asked.append(Ask(chart, {key: text for key, _, text in pairs}, post_render))
        return output.parse(self._says(self.asked[-1]), self._also)


def never(_: Ask) -> str:
    """For a plan that needs no further render."""
    raise AssertionError("nothing has to be rendered again")


def rendered(
    made: Chart,
    text: str,
    renderer: Renderer | None = None,
    *,
    values: Mapping[str, Any] | None = None,
    printed: str | None = None,
    given: Mapping[str, Any] | None = None,
    kept: Mapping[str, Any] | None = None,
    also: Any = ALSO,
) -> Rendered:
    """A plain render of a chart. printed: what its templates print, where a post-renderer makes `text` of that."""
    plain = output.parse(text, also)
    origin = output.parse(text if printed is None else printed, also)._replace(values=values or {})
    by = cast("Any", renderer or Renderer(never))
    return Rendered(
        chart=made,
        compared=made,
        is_fixed=False,
        plain=plain,
        origin=origin,
        renderer=by,
        pinning=lambda _: by,
        given=given or {},
        kept=kept or {},
    )


def image(name: str, problem: Problem | None = None, **changes: Any) -> ImagePlan:
    """What is planned for an image: to be pinned to A by values, unless it has a problem. uses: how many."""
    uses = tuple(ImageUse(name, POD, 0, 0, "Pod", f"p{i}", (), "c") for i in range(changes.pop("uses", 1)))
    plan = ImagePlan(
        image=name,
        reference=Reference.parse(name),
        digest="" if problem else A,
        media_type="",
        mutable=None,
        via="" if problem else "values",
        strategy="",
        values=(),
        uses=uses,
        notes=(),
        problem=problem,
        set_by=(),
        followers=(),
        by_values_alone=not problem,
    )
    return plan._replace(**changes)


def plan(folder: Path, *images: ImagePlan, settings: tuple[Setting, ...] = (), **more: Any) -> Plan:
    """A plan for these images."""
    made = chart(folder)
    return Plan(
        release="web",
        namespace="shop",
        chart=made,
        compared=made,
        images=[*images],
        set_arguments=[],
        settings=settings,
        followers=(),
        render=output.parse(""),
        renders=1,
        record=Record("", "", ()),
        rendered=rendered(made, "", **more),
    )
