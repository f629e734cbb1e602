"""What plan prints for other deployers, applied by them to the tests' charts: complete, or refused."""

from __future__ import annotations

import os
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from helmpin import cli
from helmpin.commands import plan as command
from helmpin.errors import Refused
from helmpin.plan.prepare import Prepared
from helmpin.request import Request
from tests.support import strip
from tests.support.any_tag import AnyTag, any_tag
from tests.support.promise import Promise
from tests.support.twins import written
from tests.support.workstation import Finished, Workstation, whichever_helm

TESTS = Path(__file__).parents[1]
CHARTS = sorted(
    path.parent for path in TESTS.glob("ca*es/*/Chart.yaml") if not (path.parent / "packed").exists()
) + sorted(path.parent for path in TESTS.glob("charts/*/Chart.yaml") if not (path.parent / "packed").exists())
IMAGE = re.compile(r"[\s-]*image: (.*)")
Form = frozenset[object]
"""Of a manifest: what a kustomization makes of it depends on nothing else."""


@pytest.fixture(scope="module")
def content() -> Iterator[AnyTag]:
    """What every registry holds."""
    with any_tag() as started:
        yield started


@pytest.fixture
def promise(workstation: Workstation, content: AnyTag) -> Promise:
    """A helm and helm-pin."""
    return Promise(workstation, content)


def expected(chart: Path) -> tuple[list[str], list[str], set[str]]:
    """(flags for plain helm, flags for helm-pin, images that stay) of one of the tests' charts."""
    case, expect = chart / "case.yaml", chart / "expect.yaml"
    described = [yaml.safe_load(path.read_text()) for path in (case, expect) if path.exists()]
    found: dict[str, Any] = described[0] if described else {}
    given, refused = found.get("given", []), found.get("refused", [])
    allowed = [f"--allow-unpinned={image}" for image in refused if isinstance(refused, list)]
    left = {*allowed, *found.get("left", []), *found.get("allowed", [])}
    return given, [*given, *found.get("flags", []), *allowed], left | {flag.partition("=")[2] for flag in allowed}


def beats_file(chart: Path) -> bool:
    """Whether a chart's flags set the key that pins."""
    expect = chart / "expect.yaml"
    return expect.exists() and bool(yaml.safe_load(expect.read_text()).get("beats_file"))


def by_values_alone(chart: Path) -> bool:
    """Whether tests/integration/test_shapes.py has the file for plain helm: it pins all images by values, and some there are."""
    expect = chart / "expect.yaml"
    found = yaml.safe_load(expect.read_text()) if expect.exists() else {}
    ways = {*found.get("images", {}).values()}
    return ways == {"values"} and bool(found.get("set")) and not {"refused", "allowed", "beats_file"} & found.keys()


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


def kustomized(machine: Workstation, manifest: str, images: str, folder: Path) -> Finished:
    """What kustomize makes of a manifest."""
    folder.mkdir()
    (folder / "all.yaml").write_text(manifest)
    (folder / "kustomization.yaml").write_text(f"resources: [all.yaml]\n{images}")
    return machine.run("kubectl", "kustomize", folder)


@pytest.fixture(scope="module")
def tried() -> set[Form]:
    """The forms of the manifests that a kustomization was made for."""
    return set()


class Planned(NamedTuple):
    """How `plan -o kustomize` and `plan -o values` end: 0, or the status of a refusal, and what they print."""

    kustomize: Finished
    values: Finished


@contextmanager
def uncounted() -> Iterator[None]:
    """Without counting the branches that are taken (coverage), as in the processes that other tests start."""
    coverage = sys.modules.get("coverage")
    counting = coverage.Coverage.current() if coverage else None
    if counting:
        counting.stop()
    try:
        yield
    finally:
        if counting:
            counting.start()


@pytest.fixture
def plan(
    promise: Promise, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Planned]:
    """`helm pin plan ARGS` in this process, as `helm pin` starts it, for both forms: one plan, printed as a values file too."""
    for name in [name for name in os.environ if name.startswith(("HELM_", "DOCKER_", "KUBE"))]:
        monkeypatch.delenv(name)
    for name, value in promise.machine.env.items():
        monkeypatch.setenv(name, value)
    values: list[Finished] = []
    prepare = command.prepare

    def finished(status: int) -> Finished:
        printed = capsys.readouterr()
        return Finished(status, printed.out, printed.err)

    @contextmanager
    def noted(request: Request, *args: Any, **options: Any) -> Iterator[Prepared]:
        with prepare(request, *args, **options) as prepared:
            try:
                command._print(request._replace(options={**request.options, "output": "values"}), prepared, None)
                values.append(finished(0))
            except Refused as refused:
                values.append(finished(refused.exit_status))
            yield prepared

    def run(*args: object) -> Planned:
        values.clear()
        with uncounted():
            kustomize = finished(cli.main(["plan", *map(str, args), "-o", "kustomize"]))
        return Planned(kustomize, *(values or [kustomize]))

    monkeypatch.setattr(command, "prepare", noted)
    return run


@whichever_helm
@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: f"{chart.parent.name}-{chart.name}")
def test_every_image_and_nothing_else(
    chart: Path, promise: Promise, plan: Callable[..., Planned], tried: set[Form], tmp_path: Path
) -> None:
    """By a kustomization, for each form of manifest that the charts have; by a values file, for each chart."""
    given, flags, left = expected(chart)
    manifest = promise.machine.helm("template", "rel", chart, *given)
    is_new = (its := form(manifest)) not in tried
    tried.add(its)
    if not is_new and by_values_alone(chart):
        return
    planned = plan("rel", chart, "--no-cluster", *flags)
    if is_new:
        kustomization_pins(planned.kustomize, manifest, promise, left, tmp_path)
    if not by_values_alone(chart):
        values_pin(planned.values, manifest, promise, chart, tmp_path)


def kustomization_pins(done: Finished, manifest: str, promise: Promise, left: set[str], folder: Path) -> None:
    """Every image that does not stay, and it changes nothing else; or it is refused, and then nothing is printed."""
    if done.status in (3, 5):
        assert done.stdout == ""
        assert "cannot be pinned" in done.stderr
        return
    assert done.status == 0, done.stderr
    before = kustomized(promise.machine, manifest, "", folder / "plain")
    after = kustomized(promise.machine, manifest, done.stdout, folder / "pinned")
    if before.status:  # an object that kustomize does not take, whatever its images
        assert after.status
        return
    for old, new in zip(before.stdout.splitlines(), after.stdout.splitlines(), strict=True):
        if old != new:
            was, now = (IMAGE.fullmatch(line) for line in (old, new))
            assert was and now, f"{old} became {new}"
            reference = strip.parse_reference(was[1])
            assert reference, was[1]
            assert now[1] in strip.forms(was[1], promise.content.digest(reference), untagged=False)
    assert [image for image in strip.images_of(after.stdout) if "@" not in image and image not in left] == []


def values_pin(done: Finished, manifest: str, promise: Promise, chart: Path, folder: Path) -> None:
    """Plain helm gets every image, or it is refused, and then nothing is printed.

    A file stands in for a --set of the same key, which would win over it.
    """
    if done.status in (3, 5):
        assert done.stdout == ""
        return
    assert done.status == 0, done.stderr
    (folder / "pins.yaml").write_text(done.stdout)
    given, _, left = expected(chart)
    if beats_file(chart):
        given, manifest = [], promise.machine.helm("template", "rel", chart)
    pinned = promise.machine.helm("template", "rel", chart, *given, "-f", folder / "pins.yaml")
    assert [image for image in strip.images_of(pinned) if "@" not in image and image not in left] == []
    assert len(strip.images_of(pinned)) == len(strip.images_of(manifest))


def pod(*images: str, **more: str) -> str:
    """A Pod that runs these images."""
    containers = "".join(f"  - {{name: c{i}, image: {image}}}\n" for i, image in enumerate(images))
    extra = "".join(f"{key}: {value}\n" for key, value in more.items())
    return f"apiVersion: v1\nkind: Pod\nmetadata: {{name: pod}}\n{extra}spec:\n  containers:\n{containers}"


UNSAID = {
    "two tags": (pod("example.com/a/b:1", "example.com/a/b:2"), "one tag and one digest for example.com/a/b"),
    "an image volume": (
        pod("example.com/a/x:1") + "  volumes: [{name: v, image: {reference: 'example.com/a/b:1'}}]\n",
        "only in lists of containers and initContainers",
    ),
    "a policy": (
        pod("example.com/a/b:1")
        + "---\napiVersion: kyverno.io/v1\nkind: Policy\nmetadata: {name: p}\n"
        + "spec: {rules: [{validate: {pattern: {spec: {containers: [{image: 'example.com/a/b:1'}]}}}}]}\n",
        "would change example.com/a/b:1 at Policy/p spec.rules.0.validate.pattern.spec.containers.0.image as well",
    ),
}


@whichever_helm
@pytest.mark.parametrize(("text", "why"), UNSAID.values(), ids=UNSAID)
def test_what_a_kustomization_cannot_say(text: str, why: str, promise: Promise, tmp_path: Path) -> None:
    """What else it cannot: tests/unit/plan/test_kustomize.py."""
    chart = written(tmp_path / "chart", {"templates/all.yaml": text})
    done = promise.pin("plan", "rel", chart, "--no-cluster", "-o", "kustomize")
    assert (done.status, done.stdout) == (3, "")
    assert why in done.stderr
    assert "example.com/a/b:1: " in done.stderr
    part = promise.pin("plan", "rel", chart, "--no-cluster", "-o", "kustomize", "--partial")
    assert part.status == 0
    assert "Incomplete" in part.stderr
    assert [image["name"] for image in yaml.safe_load(part.stdout)["images"]] in ([], ["example.com/a/x"])


@whichever_helm
def test_nothing_is_printed_before_a_refusal(promise: Promise, content: AnyTag, tmp_path: Path) -> None:
    chart = written(tmp_path / "chart", {"templates/pod.yaml": pod("example.com/a/b:1", "auto")})
    for form in ("values", "kustomize", "images"):
        done = promise.pin("plan", "rel", chart, "--no-cluster", "-o", form)
        assert (done.status, done.stdout) == (3, "")
    let = promise.pin("plan", "rel", chart, "--no-cluster", "-o", "images", "--allow-unpinned", "auto")
    assert let.stdout == f"example.com/a/b:1@{content.digest(('example.com', 'a/b', '1'))}\n"
    assert "auto" in let.stderr


@whichever_helm
def test_images_a_line_each(promise: Promise, content: AnyTag, tmp_path: Path) -> None:
    """Sorted and once, whatever the values reach, as every tool reads them."""
    digest = content.digest(("docker.io", "library/nginx", "latest"))
    text = pod("example.com/a/b:1", "nginx", "nginx:latest", f"example.com/a/c@{digest}", "{{ .Values.image }}")
    chart = written(tmp_path / "chart", {"templates/pod.yaml": text, "values.yaml": "image: example.com/a/b:1\n"})
    done = promise.pin("plan", "rel", chart, "--no-cluster", "-o", "images")
    assert done.stdout.splitlines() == [
        f"docker.io/library/nginx:latest@{digest}",
        f"example.com/a/b:1@{content.digest(('example.com', 'a/b', '1'))}",
        f"example.com/a/c@{digest}",
    ]
