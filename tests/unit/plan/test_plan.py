"""What a plan says and refuses; what make_plan does where nothing has to be rendered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helmpin.asked import ANNOTATION
from helmpin.chart.setargs import Setting
from helmpin.config.settings import Settings
from helmpin.errors import HelmFailed, Refused, RegistryUnavailable
from helmpin.image.uses import WithoutImage
from helmpin.plan.checks import check_values_stay
from helmpin.plan.images import ImagePlan, Problem
from helmpin.plan.jobs import KeptJobs, UpgradedRevision
from helmpin.plan.loop import make_plan
from helmpin.plan.outputs import manifest, values_file
from helmpin.plan.rendered import Rendered
from helmpin.registry import RegistrySettings
from helmpin.release.record import parse
from helmpin.render.output import parse as parse_render
from tests.support import findings
from tests.support.plans import A, Ask, Renderer, annotations, chart, image, plan, rendered
from tests.support.renders import POD, document, pod

SETTINGS = Settings("pin", (), ("*",), (), False, RegistrySettings())


REGISTRY = Problem("no such tag", "registry", "check the tag")
UNPINNABLE = Problem("the template gives 'x'", "refused", "set its digest")
ALLOWED = Problem("allowed by --allow-unpinned", "allowed")


# -- what stops an upgrade ----------------------------------------------------------------------------------------------


def test_nothing_is_refused_where_every_image_is_pinned_or_let_through(tmp_path: Path) -> None:
    made = plan(tmp_path, image("a:1"), image("b:1", ALLOWED, mutable="moves"))
    made.refuse_problems()
    made.refuse_mutable()


def test_a_refusal_names_the_image_its_uses_the_reason_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        plan(tmp_path, image("a:1"), image("b:1", UNPINNABLE, uses=5)).refuse_problems()
    error = refused.value
    assert error.what == "b:1 cannot be pinned"
    assert error.why.splitlines()[:2] == ["b:1: the template gives 'x'", f"    used by Pod/p0 container c, in {POD}"]
    assert error.why.splitlines()[-1] == "    and 2 more"
    assert error.hint == "set its digest"


def test_an_empty_image_has_something_in_place_of_its_name(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        plan(tmp_path, image("b:1", UNPINNABLE)._replace(image="")).refuse_problems()
    assert refused.value.what == "an empty image cannot be pinned"
    assert refused.value.why.startswith("an empty image: the template gives")


def test_a_registry_is_named_by_the_exit_status_though_not_alone_to_blame(tmp_path: Path) -> None:
    made = plan(tmp_path, image("a:1", REGISTRY), image("b:1", UNPINNABLE), image("c:1", UNPINNABLE), image("d:1"))
    with pytest.raises(RegistryUnavailable) as refused:
        made.refuse_problems()
    assert refused.value.what == "3 of 4 images cannot be pinned"
    assert refused.value.hint == "check the tag\nset its digest", "each way out once"


def test_images_of_one_kind_share_their_way_out(tmp_path: Path) -> None:
    bad = [Problem("it is odd", "refused", f"correct it; or let it through: --allow-unpinned {name}") for name in "ab"]
    bad.append(Problem("it is gone", "refused", "push it; or let it through: --allow-unpinned c\nquote it"))
    with pytest.raises(Refused) as refused:
        plan(tmp_path, *(image(f"{n}:1", problem) for n, problem in enumerate(bad))).refuse_problems()
    assert refused.value.hint == (
        "correct it; or let them through: --allow-unpinned a --allow-unpinned b\n"
        "push it; or let it through: --allow-unpinned c\nquote it"
    )


@pytest.mark.parametrize(
    ("pinned", "changed"),
    [
        ({}, []),
        ({"a": 2}, ["a"]),
        ({"a": None}, ["a"]),
        ({"new": 1}, ["new"]),
        ({"none": 1}, ["none"]),
        ({"map": {"x": None}}, ["map", "map.x"]),
        ({"image": {"tag": "1@x", "pull": 0}}, ["image.pull"]),
        ({"image": {"tag": "1@x", "pull": {}}}, ["image.pull"]),
        ({"l": []}, []),
        ({"l": [{"i": "x", "n": 1}, {}]}, []),
    ],
)
@pytest.mark.parametrize("without", ["", "a", "none", "map", "image", "l"])
def test_no_value_of_the_user_changes(pinned: dict[str, Any], changed: list[str], without: str) -> None:
    plain = {"a": 1, "image": {"tag": "1"}, "l": [{"i": "y"}], "none": None, "map": {}}
    settings = [Setting(("image", "tag"), "1@x"), Setting(("l", 0, "i"), "x")]
    kept = {**plain, "image": {"tag": "1@x"}, "l": [{"i": "x"}], **pinned}
    check_values_stay(None, kept, settings)
    if without in ("", *pinned):
        without = ""
    else:
        del kept[without]
    lost = [without] if without in ("a", "none", "map") else []
    if not lost + changed:
        check_values_stay(plain, kept, settings)
        return
    with pytest.raises(HelmFailed) as failed:
        check_values_stay(plain, kept, settings)
    assert sorted(failed.value.where) == sorted(lost + changed)


def test_mutable_tags(tmp_path: Path) -> None:
    moving = image("a:latest", mutable="tag latest moves", values=("image.tag",))
    literal = image("b:main", REGISTRY, mutable="tag main moves")
    known = image("c", mutable="no tag", set_by=("c.image",))
    with pytest.raises(Refused) as refused:
        plan(tmp_path, moving, literal, known, image("d:1.2.3")).refuse_mutable()
    assert refused.value.what == "3 images have mutable tags"
    lines = [line.strip() for line in refused.value.why.splitlines()]
    assert lines[:2] == ["a:latest: tag latest moves", f"used by Pod/p0 container c, in {POD}"]
    assert [line for line in lines if line.startswith(("set by", "now"))] == [
        "set by  image.tag",
        f"now     {A}",
        "set by  no value that is known",
        "now     no such tag",
        "set by  c.image",
        f"now     {A}",
    ]
    with pytest.raises(Refused, match="1 image has a mutable tag"):
        plan(tmp_path, moving).refuse_mutable()


def test_a_tag_is_set_by_its_own_value_not_by_a_digest_key_that_is_empty(tmp_path: Path) -> None:
    moving = image("a:2.0", mutable="moves", values=("dig.digest",))
    settings, values = (Setting(("dig", "digest"), A),), {"dig": {"repository": "a", "tag": "2.0", "digest": ""}}
    with pytest.raises(Refused, match="mutable") as refused:
        plan(tmp_path, moving, settings=settings, values=values).refuse_mutable()
    assert "    set by  dig.tag\n" in refused.value.why


@pytest.mark.parametrize(
    ("values", "set_by"),
    [
        ({"repository": "a", "tag": "2.0", "digest": "sha256:old"}, "dig.digest"),
        ({"repository": "a", "tag": "3.0", "digest": ""}, "dig.digest"),
        ({"repository": "a", "version": "2.0", "digest": None}, "dig.version"),
    ],
)
def test_what_sets_a_tag_where_a_digest_key_is_there(tmp_path: Path, values: dict[str, str], set_by: str) -> None:
    moving = image("a:2.0", mutable="moves", values=("dig.digest",))
    made = plan(tmp_path, moving, settings=(Setting(("dig", "digest"), A),), values={"dig": values})
    with pytest.raises(Refused, match="mutable") as refused:
        made.refuse_mutable()
    assert f"    set by  {set_by}\n" in refused.value.why


@pytest.mark.parametrize(
    ("uses", "shown", "more"), [(3, 3, []), (4, 3, ["    and 1 more"]), (5, 3, ["    and 2 more"])]
)
def test_three_uses_of_an_image_are_shown(tmp_path: Path, uses: int, shown: int, more: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        plan(tmp_path, image("b:1", UNPINNABLE, uses=uses)).refuse_problems()
    _, *lines = refused.value.why.splitlines()
    assert [line for line in lines if not line.startswith("    used by ")] == more
    assert len(lines) == shown + len(more)


def test_a_required_command_that_refuses_is_no_failure_to_pin(tmp_path: Path) -> None:
    gate = Problem("cosign: no signature", "gate", "have it signed")
    for images, what in (
        ((image("a:1", gate),), "a:1 refused by a required command"),
        ((image("a:1", gate), image("b:1", gate)), "2 of 2 images refused by a required command"),
        ((image("a:1", gate), image("b:1", UNPINNABLE)), "2 of 2 images cannot be pinned"),
    ):
        with pytest.raises(Refused) as refused:
            plan(tmp_path, *images).refuse_problems()
        assert refused.value.what == what


def test_several_images_that_cannot_be_pinned_are_counted(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        plan(tmp_path, image("a:1"), image("b:1", UNPINNABLE), image("c:1", UNPINNABLE)).refuse_problems()
    assert refused.value.what == "2 of 3 images cannot be pinned"


@pytest.mark.parametrize(
    ("notes", "shows_tries", "advised"), [(("x",), False, True), (("x",), True, False), ((), False, False)]
)
def test_what_was_tried_is_advised_where_something_was(
    notes: tuple[str, ...], shows_tries: bool, advised: bool, tmp_path: Path
) -> None:
    with pytest.raises(Refused) as refused:
        plan(tmp_path, image("a:1", UNPINNABLE, notes=notes)).refuse_problems(shows_tries=shows_tries)
    assert ("helm pin plan -v" in refused.value.hint) == advised
    if advised:
        with pytest.raises(Refused, match="b:1 cannot") as refused:
            plan(tmp_path, image("b:1", UNPINNABLE, notes=notes)).refuse_problems()
        assert "helm pin plan -v" in refused.value.hint


# -- what values can carry ----------------------------------------------------------------------------------------------


def test_what_is_beyond_values(tmp_path: Path) -> None:
    template = image("b:1", via="template", by_values_alone=False)
    assert plan(tmp_path, image("a:1"), template, image("c:1", UNPINNABLE)).beyond_values() == [template]


def test_a_values_file_has_the_charts_lists_whole(tmp_path: Path) -> None:
    values = {"pods": [{"image": "a:1", "n": 1}], "x": "y"}
    settings = (Setting(("pods", 0, "image"), f"a:1@{A}"), Setting(("image", "tag"), f"1@{A}"))
    made = plan(tmp_path, settings=settings, values=values)
    assert values_file(made) == {"pods": [{"image": f"a:1@{A}", "n": 1}], "image": {"tag": f"1@{A}"}}


NAMED = {"image": {"repository": "a", "digest": ""}}
BY_DIGEST = (Setting(("image", "digest"), A),)


@pytest.mark.parametrize(("changes", "tag"), [(False, True), (True, False)])
def test_a_values_file_names_what_a_digest_is_of_unless_that_changes_anything(
    tmp_path: Path, changes: bool, tag: bool
) -> None:
    """The tag is the template's own, so a render shows whether it may be set."""

    def says(ask: Ask) -> str:
        assert ask.set == {"image.digest": A, "image.tag": "1.2"}
        return "x: 1\n" if changes else ""

    named = image("a:1.2", values=("image.digest",))
    made = plan(tmp_path, named, settings=BY_DIGEST, values=NAMED, renderer=Renderer(says))
    made = made._replace(set_arguments=["--set-string", f"image.digest={A}"])
    assert values_file(made, named=True) == {
        "image": {"repository": "a", "digest": A, **({"tag": "1.2"} if tag else {})}
    }
    assert values_file(made) == {"image": {"digest": A}}


def test_a_tag_that_stands_beside_a_digest_is_named_without_a_render(tmp_path: Path) -> None:
    values = {"image": {"repository": "a", "tag": "1.2", "digest": ""}}
    made = plan(tmp_path, image("a:1.2", values=("image.digest",)), settings=BY_DIGEST, values=values)
    assert values_file(made, named=True) == {"image": {"repository": "a", "tag": "1.2", "digest": A}}


def test_a_part_of_the_manifest_is_printed_by_helm(tmp_path: Path) -> None:
    renderer = Renderer(lambda _: "kind: ConfigMap\n")
    made = plan(tmp_path, settings=BY_DIGEST, renderer=renderer)._replace(set_arguments=["--set-string", "a=b"])
    assert manifest(made, ["--show-only", "x=y"]) == "kind: ConfigMap\n"
    assert renderer.asked[-1].chart is made.chart and renderer.asked[-1].set == {"a": "b", "x": "y"}


def test_no_image_is_printed_that_was_not_compared(tmp_path: Path) -> None:
    """The cluster may have changed since."""
    renderer = Renderer(lambda _: pod(f"a:1@{A}") + pod("b:1"))
    made = plan(tmp_path, renderer=renderer)._replace(render=parse_render(pod(f"a:1@{A}") + pod(f"b:1@{A}")))
    for allowed in ((), ("a:*",)):
        with pytest.raises(HelmFailed, match="images changed between two renders; nothing was printed") as failed:
            manifest(made, [], allowed)
        assert failed.value.why == "now it has b:1"
    assert "b:1" in manifest(made, [], ["b:*"])


@pytest.mark.parametrize(
    ("template", "planned", "why"),
    [
        ("image: a:1\n", image("a:1"), "hard-coded in the template"),
        ("args: [run, a:1]\n", image("a:1"), "hard-coded in the template"),
        ("image: a\n", image("a"), "hard-coded in the template"),
        ("args: [run, a]\n", image("a"), "no value is known that can carry its digest"),
        ("image: {{ .Values.image }}\n", image("a:1"), "no value is known that can carry its digest"),
        ("image: a:1\n", image("a:1", kept_for="Job/x"), "Job/x keeps this digest, which its template writes"),
    ],
)
def test_why_the_template_pins_an_image(tmp_path: Path, template: str, planned: ImagePlan, why: str) -> None:
    made = plan(tmp_path, planned)
    made = made._replace(rendered=made.rendered._replace(chart=chart(tmp_path, other="x", pod=template)))
    assert made.why_template(planned) == why


def test_lists_of_the_users_own(tmp_path: Path) -> None:
    """A values file could only repeat them."""
    settings = (Setting(("pods", 0, "image"), "x"), Setting(("own", "pods", 1, "image"), "x"), Setting(("tag",), "x"))
    images = [
        image("a:1", values=("pods[0].image",)),
        image("b:1", values=("own.pods[1].image",)),
        image("c:1", values=("tag",)),
        image("d:1", UNPINNABLE, values=("own.pods[0].image",)),
    ]
    made = plan(tmp_path, *images, settings=settings, given={"own": {"pods": [{}, {}]}, "pods": "text"})
    assert made.images_in_user_lists() == [images[1]]
    assert made.settings_in_user_lists() == [settings[1]]
    assert made.default_lists() == ["own.pods", "pods"]
    kept = made.rendered._replace(kept={"own": {"pods": []}})
    assert made._replace(rendered=kept).default_lists() == ["pods"]


# -- a chart without anything to pin ------------------------------------------------------------------------------------


def no_jobs(found: Rendered) -> KeptJobs:
    return KeptJobs(found.plain, UpgradedRevision, lambda item: item)


def test_a_chart_without_images_has_an_empty_record(tmp_path: Path) -> None:
    found = rendered(chart(tmp_path, x="kind: ConfigMap\n"), document("kind: ConfigMap\n"))
    made = make_plan(found, SETTINGS, "web", no_jobs(found), namespace="shop")
    assert (made.release, made.namespace) == ("web", "shop")
    assert (made.images, made.set_arguments, made.settings, made.renders) == ([], [], (), 1)
    assert parse(annotations(made.chart)[ANNOTATION], "x") == made.record and made.record.images == ()
    assert made.chart.template_files() == found.chart.template_files()
    assert made.render is found.plain


def test_what_is_let_through_is_in_the_record_as_that(tmp_path: Path) -> None:
    found = rendered(chart(tmp_path, pod="kind: Pod\n"), pod("web:1"))
    made = make_plan(found, SETTINGS, "web", no_jobs(found))
    assert [each.problem and each.problem.kind for each in made.images] == ["allowed"]
    assert made.record.allowed == ("web:1",) and made.record.images == ()
    assert json.loads(made.record.to_json())["tool"].startswith("helm-pin ")
    made.refuse_problems()


def test_a_template_that_prints_all_annotations_is_changed_so_that_it_leaves_the_record_out(tmp_path: Path) -> None:
    found = rendered(chart(tmp_path, x="{{ toYaml .Chart.Annotations }}"), document("kind: ConfigMap\n"))
    made = make_plan(found, SETTINGS, "web", no_jobs(found))
    assert (
        f'(toString (hasKey (fromJson (toJson .Chart.Annotations)) "{ANNOTATION}"))'
        in made.chart.template_files()["templates/x.yaml"]
    )


def test_containers_without_an_image_are_refused(tmp_path: Path) -> None:
    plan(tmp_path, image("a:1")).refuse_without_image()
    with pytest.raises(Refused) as caught:
        plan(tmp_path)._replace(
            without_image=(WithoutImage(findings.use("", source="web/templates/x.yaml"), "has no image"),)
        ).refuse_without_image()
    assert caught.value.what == "1 container has no image"
    assert caught.value.why == "Pod/web container web, in web/templates/x.yaml, has no image"
    assert """--allow-unpinned '""'""" in caught.value.hint
