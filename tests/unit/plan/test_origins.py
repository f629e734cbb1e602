"""Which image of a template each image of the manifest comes from, where a post-renderer stands between."""

from __future__ import annotations

from pathlib import Path

import pytest

from helmpin.plan.origins import origins_of
from tests.support.plans import Renderer, chart, never, rendered
from tests.support.renders import document


def run(image: str, *, kind: str = "Pod", name: str = "web", container: int = 0) -> str:
    """An object that runs an image, in one of its containers."""
    others = "".join(f"{{name: c{n}, args: [x]}}, " for n in range(container))
    return f"kind: {kind}\nmetadata: {{name: {name}}}\nspec: {{containers: [{others}{{name: a, image: '{image}'}}]}}\n"


def found(folder: Path, printed: list[tuple[str, str]], deployed: list[tuple[str, str]]) -> list[int | None]:
    """For each deployed image, the number of the printed one that it comes from. Each: (source, object)."""
    texts = ["".join(document(text, source) for source, text in each) for each in (printed, deployed)]
    made = rendered(chart(folder), texts[1], Renderer(never, ("--post-renderer", "x")), printed=texts[0])
    uses = made.plain.images()
    keys = [use.key for use in made.origin.images()]
    origins = origins_of(made, uses)
    return [keys.index(origins[use.key].key) if use.key in origins else None for use in uses]


ONE, TWO = "app/templates/one.yaml", "app/templates/two.yaml"
WEB, DB = "quay.io/t/web:1", "quay.io/t/db:1"


def test_without_a_post_renderer_each_is_its_own(tmp_path: Path) -> None:
    made = rendered(chart(tmp_path), document(run(WEB), ONE) + document(run(WEB), TWO))
    uses = made.plain.images()
    assert origins_of(made, uses) == {use.key: use for use in uses} and len(uses) == 2


@pytest.mark.parametrize(
    ("printed", "deployed", "origins"),
    [
        ([(ONE, run(WEB)), (TWO, run(DB))], [(ONE, run(DB)), (TWO, run(WEB))], [1, 0]),
        ([(ONE, run(WEB))], [("", run(WEB))], [0]),
        ([(ONE, run(WEB))], [(ONE, run("mirror.example.com/x/web:1"))], [0]),
        ([(ONE, run(WEB))], [(ONE, run("quay.io/t/web:2"))], [0]),
        ([(ONE, run(WEB))], [(ONE, run("quay.io/t/web@sha256:" + "a" * 64))], [0]),
        ([(ONE, run(WEB))], [(ONE, run(DB))], [None]),
        ([(ONE, run(WEB))], [(ONE, run(WEB, kind="Sample"))], [None]),
        ([], [(ONE, run(WEB))], [None]),
        ([(ONE, run(WEB))], [(ONE, run(WEB)), (ONE, run("quay.io/t/side:1"))], [0, None]),
    ],
    ids=[
        "moved to another file",
        "in no file",
        "from a mirror",
        "another tag",
        "a digest",
        "another image",
        "another kind",
        "nothing was printed",
        "a sidecar that was added",
    ],
)
def test_one_image(
    tmp_path: Path, printed: list[tuple[str, str]], deployed: list[tuple[str, str]], origins: list[int | None]
) -> None:
    assert found(tmp_path, printed, deployed) == origins


@pytest.mark.parametrize(
    ("printed", "deployed", "origins"),
    [
        (["quay.io/t/web:2", WEB], [WEB], [1]),
        (["mirror.example.com/web:1", WEB], [WEB], [1]),
        ([WEB, WEB], [WEB, WEB], [0, 1]),
        ([WEB, WEB], [WEB, WEB, WEB], [0, 1, 0]),
        (["quay.io/t/web:2", WEB], ["mirror.example.com/m/web:1"], [1]),
        (["quay.io/t/web:1", "quay.io/u/web:1"], ["mirror.example.com/u/web:1"], [1]),
        (["quay.io/t/web:1", "quay.io/u/web:1"], ["mirror.example.com/quay.io/u/web:1"], [0]),
        (["quay.io/u/web:1", "mirror.example.com/t/web:1"], ["mirror/t/web:1"], [1]),
        ([WEB, "quay.io/t/web:2"], ["quay.io/t/web:3", "quay.io/t/web:2"], [0, 1]),
        (["web:1", "localhost:5000/web:2"], ["localhost:5000/web:2"], [1]),
    ],
    ids=[
        "the same image before another tag",
        "the same image before another registry",
        "one after the other",
        "again where it is used more often than printed",
        "the same tag before the same registry",
        "the path without the registry",
        "no sign: the first",
        "the same path at another mirror",
        "the tag of another",
        "a port is no tag",
    ],
)
def test_several_images_of_one_name(
    tmp_path: Path, printed: list[str], deployed: list[str], origins: list[int | None]
) -> None:
    as_pods = [[(ONE, run(name)) for name in names] for names in (printed, deployed)]
    assert found(tmp_path, *as_pods) == origins


@pytest.mark.parametrize(
    ("printed", "deployed"),
    [
        ([(ONE, run(WEB)), (TWO, run(WEB))], (TWO, run(WEB))),
        ([(ONE, run(WEB)), (ONE, run(WEB, container=1))], ("", run(WEB, container=1))),
        ([(ONE, run(WEB, name="db")), (ONE, run(WEB, name="web"))], ("", run(WEB, name="prod-web"))),
        ([(ONE, run(WEB, name="db")), (ONE, run(WEB, name="prod-web"))], ("", run(WEB, name="web"))),
        ([(ONE, run(WEB, name="prod-web")), (TWO, run(WEB, name="db"))], (TWO, run(WEB, name="web"))),
        ([(ONE, run(WEB, name="web")), (ONE, run(WEB, name="db", container=1))], ("", run(WEB, container=1))),
    ],
    ids=[
        "by the file",
        "by the place in the object",
        "by a name with a prefix",
        "by a name without one",
        "by the file rather than by the name",
        "by the place rather than by the name",
    ],
)
def test_several_equal_images(tmp_path: Path, printed: list[tuple[str, str]], deployed: tuple[str, str]) -> None:
    expected = 0 if printed[0][0] == deployed[0] else 1
    assert found(tmp_path, printed, [deployed]) == [expected]
