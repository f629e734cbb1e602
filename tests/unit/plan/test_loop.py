"""Composing, rendering and comparing until a chart is found that may be deployed. All digests come from a lock, so no registry is
asked; what a chart prints is the test's word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from helmpin.asked import ANNOTATION
from helmpin.config.settings import Settings
from helmpin.errors import HelmFailed, HelmStopped, Refused
from helmpin.gate import Gate
from helmpin.image.reference import Reference
from helmpin.lock import Lock
from helmpin.plan.chance import AGAIN
from helmpin.plan.jobs import KeptJobs, UpgradedRevision
from helmpin.plan.loop import make_plan
from helmpin.plan.plan import Plan
from helmpin.registry import RegistrySettings
from helmpin.release.record import Image, Undo, parse
from helmpin.search.search import MOST_ATTEMPTS, MOST_REPAIRS
from tests.support.plans import Ask, Renderer, annotations, chart, never, rendered
from tests.support.renders import digest, document, pod

A, B, C = digest("a"), digest("b"), digest("c")
WEB, SIDE = "example.com/web:1", "example.com/side:2"
SETTINGS = Settings("pin", (), (), (), False, RegistrySettings(), locked=True)
VALUES = {"image": {"repository": "example.com/web", "tag": "1"}}
READS = "image: {{ .Values.image.repository }}:{{ .Values.image.tag }}\n"
FILE = "templates/pod.yaml"
PLAIN = pod(WEB)
DIGEST_READ = {FILE: READS + "# {{ .Values.image.digest }}\n"}


def made(
    folder: Path,
    says: Callable[[Ask], str],
    *,
    plain: str = PLAIN,
    files: Mapping[str, str] | None = None,
    lock: Mapping[str, str] | None = None,
    settings: Settings = SETTINGS,
    stored: str = "",
    values: Mapping[str, Any] = VALUES,
    only: bool = True,
    renderer: Renderer | None = None,
    values_only: bool = False,
    **more: Any,
) -> tuple[Plan, Renderer]:
    """The plan of a chart, and the renderer that was asked. stored: the manifest that is deployed, whose Jobs are all live."""
    by = renderer or Renderer(says)
    found = rendered(chart(folder, files or {FILE: READS}), plain, by, values=values, **more)
    digests = {Reference.parse(name): value for name, value in (lock or {WEB: A, SIDE: B}).items()}
    locked = Lock(digests, "lock", "some/where/lock.yaml", only=only)
    by_values = {"values_only": True} if values_only else {}
    jobs = KeptJobs(found.plain, lambda: UpgradedRevision([stored], frozenset()), lambda item: item)
    return make_plan(found, settings, "web", jobs, locked, **by_values), by


def by_tag(ask: Ask) -> str:
    """A chart whose template reads the tag from the values."""
    return pod(f"example.com/web:{ask.set.get('image.tag', '1')}")


# -- the usual case -----------------------------------------------------------------------------------------------------


def test_the_chart_that_was_compared_is_the_chart_of_the_plan(tmp_path: Path) -> None:
    plan, renderer = made(tmp_path, by_tag)
    assert plan.set_arguments == ["--set-string", f"image.tag=1@{A}"]
    assert [(image.image, image.digest, image.via, image.problem) for image in plan.images] == [
        (WEB, A, "values", None)
    ]
    assert plan.renders == 2 and len(renderer.asked) == 1
    assert [use.image for use in plan.render.images()] == [f"{WEB}@{A}"]
    (asked,) = renderer.asked
    assert plan.chart.template_files() == asked.chart.template_files()
    assert parse(annotations(plan.chart)[ANNOTATION], "x") == plan.record
    assert annotations(plan.chart) == annotations(asked.chart), "the record was in the render too"
    assert plan.release == "web" and plan.followers == ()


def test_the_record(tmp_path: Path) -> None:
    plan, _ = made(tmp_path, by_tag, settings=SETTINGS._replace(gate=Gate(("true --token=secret {}",))))
    record = plan.record
    assert record.images == (Image(WEB, WEB, A, "", "values", ("image.tag",), (), "lock"),)
    assert record.undo == (Undo(("image", "tag"), "1", False, 0),)
    assert record.lock == "lock.yaml" and record.required == ("true --token=*** {}",)
    assert record.created.endswith("Z") and len(record.created) == len("2026-01-01T00:00:00.000000Z")


def test_what_the_chart_pins_itself_comes_from_no_lock(tmp_path: Path) -> None:
    plan, _ = made(tmp_path, never, plain=pod(f"{WEB}@{C}"), lock={WEB: C})
    assert [(image.via, image.source) for image in plan.images] == [("chart", "")]
    assert plan.record.images == (Image(WEB, f"{WEB}@{C}", C, "", "chart"),)
    assert plan.record.lock == "" and plan.renders == 1 and plan.render is plan.rendered.plain


def test_followers_are_in_the_plan_and_in_the_final_record(tmp_path: Path) -> None:
    def says(ask: Ask) -> str:
        image = f"example.com/web:{ask.set.get('image.tag', '1')}"
        return pod(image) + document(f"kind: ConfigMap\nmetadata: {{name: c}}\ndata: {{image: '{image}'}}\n")

    plan, _ = made(tmp_path, says, plain=says(Ask(chart(tmp_path), {}, True)))
    assert [follower.place() for follower in plan.followers] == ["ConfigMap/c data.image"]
    assert (
        plan.record.images[0].followers
        == ("ConfigMap/c data.image",)
        == tuple(follower.place() for follower in plan.images[0].followers)
    )
    assert parse(annotations(plan.chart)[ANNOTATION], "x") == plan.record


def test_all_annotations_are_printed_without_the_record(tmp_path: Path) -> None:
    """Where the chart has annotations of its own, these stay."""
    for own, kept in (("annotations: {a: b}\n", "omit"), ("", '(fromJson "null")')):
        files = {
            "Chart.yaml": f"apiVersion: v2\nname: app\nversion: 1.0.0\n{own}",
            FILE: READS + "# {{ toYaml .Chart.Annotations }}\n",
        }
        plan, renderer = made(tmp_path, by_tag, files=files)
        assert kept in renderer.asked[-1].files[FILE]
        assert plan.chart.template_files() == renderer.asked[-1].files


# -- what values held before --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kept", "supplied", "depth"),
    [
        ({}, False, 0),
        ({"all": {}}, False, 1),
        ({"all": {"image": {}}}, False, 2),
        ({"all": {"image": {"repository": "example.com/web"}}}, False, 2),
        ({"all": {"image": {"tag": "1"}}}, True, 2),
        ({"all": {"image": {"tag": {"a": "map"}}}}, True, 2),
        ({"all": {"image": "text"}}, False, 1),
        ({"all": "text"}, False, 0),
    ],
)
def test_the_record_says_what_of_a_path_was_the_users(
    tmp_path: Path, kept: Mapping[str, Any], supplied: bool, depth: int
) -> None:
    def says(ask: Ask) -> str:
        return pod(f"example.com/web:{ask.set.get('all.image.tag', '1')}")

    plan, _ = made(tmp_path, says, given=kept, kept=kept, values={"all": VALUES})
    assert plan.record.undo == (Undo(("all", "image", "tag"), "1", supplied, depth),)


def test_a_list_of_the_users_is_no_map_that_helm_pin_made(tmp_path: Path) -> None:
    listed = {"pods": [{"image": WEB}]}

    def says(ask: Ask) -> str:
        return pod(ask.set.get("pods[0].image", WEB))

    plan, _ = made(tmp_path, says, files={FILE: "x"}, values=listed, given=listed, kept=listed)
    assert plan.record.undo == (Undo(("pods", 0, "image"), WEB, True, 2),)


def test_every_path_is_once_in_the_record_in_its_order(tmp_path: Path) -> None:
    values = {"web": {"image": WEB}, "side": {"image": SIDE}, "again": {"image": WEB}}

    def says(ask: Ask) -> str:
        return pod(ask.set.get("web.image", WEB)) + pod(ask.set.get("side.image", SIDE))

    plan, _ = made(tmp_path, says, plain=pod(WEB) + pod(SIDE), files={FILE: "x"}, values=values)
    assert [each.path for each in plan.record.undo] == [("again", "image"), ("side", "image"), ("web", "image")]
    assert [each.was for each in plan.record.undo] == [WEB, SIDE, WEB]


# -- what goes wrong on the way -----------------------------------------------------------------------------------------


def test_what_helm_refuses_is_not_tried_again_and_noted(tmp_path: Path) -> None:
    values = {"image": {**VALUES["image"], "digest": ""}}

    def says(ask: Ask) -> str:
        bare = ask.set.get("image.digest", "")
        if ":" in bare:
            raise HelmFailed("helm template failed", why="values don't meet the schema:\n- image.digest: too long")
        return pod(f"{WEB}@sha256:{bare}" if bare else WEB)

    plan, renderer = made(tmp_path, says, values=values, files=DIGEST_READ)
    assert [dict(ask.set) for ask in renderer.asked] == [{"image.digest": A}, {"image.digest": A[7:]}]
    assert plan.set_arguments == ["--set-string", f"image.digest={A[7:]}"] and plan.renders == 3
    assert any("the chart refuses it: - image.digest: too long" in note for note in plan.images[0].notes)


@pytest.mark.parametrize("part", [{"dry_run": "server"}, {"post_renderer": ("--post-renderer", "mine")}])
@pytest.mark.parametrize("values_only", [False, True])
def test_what_fails_for_the_chart_as_it_is_too_is_no_fault_of_the_values(
    tmp_path: Path, part: dict[str, Any], values_only: bool
) -> None:
    """The cluster went away after the first render, or the post-renderer fails now."""

    def says(ask: Ask) -> str:
        if values_only and not ask.set and f"@{A}" in ask.files[FILE]:
            return pod(f"{WEB}@{A}")
        raise HelmFailed("helm upgrade failed", why="anything" if ask.set else "connection refused")

    renderer = Renderer(says, **part)
    files = {FILE: f"image: {WEB}\n"} if values_only else None
    values = {"image": WEB} if values_only else VALUES
    with pytest.raises(HelmFailed) as failed:
        made(tmp_path, says, renderer=renderer, files=files, values=values, values_only=values_only)
    assert failed.value.why == "connection refused"
    assert [bool(ask.set) for ask in renderer.asked] == [False] * values_only + [True, False]


def test_what_fails_with_the_cluster_by_the_values_alone_is_passed_over(tmp_path: Path) -> None:
    values = {"image": {**VALUES["image"], "digest": ""}}

    def says(ask: Ask) -> str:
        bare = ask.set.get("image.digest", "")
        if ":" in bare:
            raise HelmFailed("helm upgrade failed", why="values don't meet the schema:\n- image.digest: too long")
        return pod(f"{WEB}@sha256:{bare}" if bare else WEB)

    renderer = Renderer(says, dry_run="server")
    plan, _ = made(tmp_path, says, values=values, files=DIGEST_READ, renderer=renderer)
    assert [dict(ask.set) for ask in renderer.asked] == [{"image.digest": A}, {}, {"image.digest": A[7:]}]
    assert plan.set_arguments == ["--set-string", f"image.digest={A[7:]}"] and plan.renders == 4


@pytest.mark.parametrize("dry_run", ["", "server"])
def test_a_helm_that_was_stopped_ends_the_search(tmp_path: Path, dry_run: str) -> None:
    """The next render may go well again."""

    def says(_: Ask) -> str:
        raise HelmStopped("helm template failed", why="helm was killed by SIGKILL")

    renderer = Renderer(says, dry_run=dry_run)
    with pytest.raises(HelmStopped):
        made(tmp_path, says, renderer=renderer)
    assert len(renderer.asked) == 1


def test_what_changes_something_else_is_given_up_after_one_plain_render(tmp_path: Path) -> None:
    """The template pins it instead, and the note says what changed."""

    def says(ask: Ask) -> str:
        tag = "cut" if ask.set else "x"
        return pod(f"{WEB}@{A}" if ask.set or f"@{A}" in ask.files[FILE] else WEB, label=tag)

    plan, renderer = made(tmp_path, says)
    assert [(bool(ask.set), bool(annotations(ask.chart))) for ask in renderer.asked] == [
        (True, True),
        (False, False),
        (False, True),
    ]
    assert plan.images[0].via == "template" and plan.renders == 4
    assert "metadata.labels.l: 'x' would become 'cut'" in plan.images[0].notes[0]


@pytest.mark.parametrize("renders", [1, 2, 3])
def test_what_is_random_is_found_by_more_plain_renders(tmp_path: Path, renders: int) -> None:
    """Two samples can be equal by chance."""
    labels = iter([*["x"] * AGAIN, "other", *["x"] * (renders - 1), "y"])

    def says(ask: Ask) -> str:
        return by_tag(ask).replace("l: x", f"l: {next(labels)}")

    plan, renderer = made(tmp_path, says, files={FILE: READS + "# {{ now }}\n"})
    assert plan.images[0].problem is None and plan.images[0].via == "values"
    assert [bool(ask.set) for ask in renderer.asked] == [*[False] * AGAIN, True, *[False] * renders]
    assert plan.renders == 2 + AGAIN + renders


def test_an_image_that_other_plain_renders_do_not_have_is_refused(tmp_path: Path) -> None:
    tags = iter("1121")
    files = {FILE: READS + "# {{ now }}\n"}
    with pytest.raises(Refused, match="the chart chooses images by chance") as refused:
        made(tmp_path, lambda _: pod(f"{WEB[:-1]}{next(tags)}"), files=files)
    assert refused.value.why == f"with some random results it has {WEB}\nwith others it has {WEB[:-1]}2"
    assert refused.value.hint.startswith("have the template choose them by a value")
    tags, twice = iter("1121"), {f"charts/{folder}/Chart.yaml": "name: sub\nversion: 1.0.0\n" for folder in ("a", "b")}
    with pytest.raises(Refused, match="the chart chooses images by chance") as refused:
        made(tmp_path, lambda _: pod(f"{WEB[:-1]}{next(tags)}"), files={**files, **twice})
    assert refused.value.hint.endswith("keep one of charts/a, charts/b")


def test_a_template_that_prints_all_of_the_chart_is_refused(tmp_path: Path) -> None:
    def says(ask: Ask) -> str:
        return by_tag(ask) + document(f"kind: ConfigMap\ndata: {{all: {annotations(ask.chart)!r}}}\n")

    files = {FILE: READS, "templates/all.yaml": "data: {{ toJson .Chart }}\n"}
    for plain, lock in ((PLAIN, {WEB: A}), (pod(f"{WEB}@{C}"), {WEB: C})):
        with pytest.raises(Refused, match="prints helm-pin's record") as refused:
            made(tmp_path, says, plain=plain, lock=lock, files=files)
        assert WEB in refused.value.why and ANNOTATION in refused.value.why


def test_where_nothing_is_pinned_a_render_shows_that_the_record_stays_out(tmp_path: Path) -> None:
    plain = pod(f"{WEB}@{C}")
    plan, renderer = made(tmp_path, lambda _: plain, plain=plain, lock={WEB: C}, files={FILE: "{{ toJson .Chart }}"})
    assert plan.renders == 2 and annotations(renderer.asked[0].chart) == annotations(plan.chart)
    with_name = plain + document(f"kind: ConfigMap\ndata: {{about: {ANNOTATION}}}\n")
    again, _ = made(tmp_path, lambda _: with_name, plain=with_name, lock={WEB: C}, files={FILE: "{{ toJson .Chart }}"})
    assert again.images[0].problem is None, "the chart's own text says so, with or without a record"


HASHED = "kind: ConfigMap\nmetadata: {{name: all-{}}}\n"


@pytest.mark.parametrize("plain", ["", pod(f"{WEB}@{C}"), PLAIN])
def test_a_record_that_shows_only_in_a_hash_is_to_blame(tmp_path: Path, plain: str) -> None:
    def says(ask: Ask) -> str:
        shown = pod(f"{WEB}@{A}") if ask.set and plain == PLAIN else plain
        return shown + document(HASHED.format("1" if annotations(ask.chart) else "0"))

    files = {FILE: READS, "templates/all.yaml": "name: {{ toJson .Chart | sha256sum }}\n"}
    with pytest.raises(Refused, match="prints helm-pin's record") as refused:
        made(tmp_path, says, plain=plain + document(HASHED.format("0")), lock={WEB: A}, files=files)
    assert "or a hash of it: app/templates/pod.yaml: metadata.name: '…0' would become '…1'" in refused.value.why
    assert (WEB in refused.value.why) is bool(plain)


def test_a_value_that_is_evaluated_may_show_the_record(tmp_path: Path) -> None:
    for text, refused in (("{{ tpl .Values.name . }}", True), ("{{ .Values.name }}", False)):

        def says(ask: Ask) -> str:
            return document(HASHED.format("1" if annotations(ask.chart) else "0"))

        case = {
            "plain": document(HASHED.format("0")),
            "files": {FILE: text},
            "values": {"name": ["{{ toJson .Chart | sha256sum }}"]},
        }
        with pytest.raises(Refused) if refused else nullcontext():
            made(tmp_path, says, **case)


def test_where_nothing_is_pinned_what_is_random_is_no_sign_of_the_record(tmp_path: Path) -> None:
    plain, turns = pod(f"{WEB}@{C}"), iter("123456789")
    plan, _ = made(
        tmp_path,
        lambda _: plain + document(HASHED.format(next(turns))),
        plain=plain + document(HASHED.format("0")),
        lock={WEB: C},
        files={FILE: "{{ toJson .Chart }}"},
    )
    assert plan.renders == 3 and plan.images[0].problem is None


# -- what cannot be pinned ----------------------------------------------------------------------------------------------


def test_an_image_that_cannot_be_pinned_leaves_the_others_pinned(tmp_path: Path) -> None:
    def says(ask: Ask) -> str:
        return by_tag(ask) + pod(SIDE, source="app/templates/none.yaml")

    plan, _ = made(tmp_path, says, plain=PLAIN + pod(SIDE, source="app/templates/none.yaml"))
    assert [(image.image, image.problem is None) for image in plan.images] == [(WEB, True), (SIDE, False)]
    assert [image.reference for image in plan.record.images] == [WEB]
    assert [use.image for use in plan.render.images()] == [f"{WEB}@{A}", SIDE]


def test_where_nothing_can_be_pinned_the_plain_chart_is_rendered_once_more(tmp_path: Path) -> None:
    """A cluster that is gone meanwhile is not the images' fault."""
    lost = pod(WEB, source="app/templates/none.yaml")
    plan, renderer = made(tmp_path, lambda _: lost, plain=lost, values={})
    assert plan.images[0].problem is not None and plan.record.images == ()
    assert annotations(renderer.asked[-1].chart) == {} and plan.renders == 1 + len(renderer.asked)
    with pytest.raises(HelmFailed, match="images changed between two renders") as failed:
        made(tmp_path, lambda ask: lost if annotations(ask.chart) else pod(SIDE) * 2, plain=lost, values={})
    assert failed.value.why == f"the first render had {WEB}\nthe next had {SIDE}"
    with pytest.raises(HelmFailed, match="images changed between") as failed:
        made(tmp_path, lambda ask: lost if annotations(ask.chart) else "", plain=lost, values={})
    assert failed.value.why.endswith("the next had none")


def test_a_random_name_is_no_other_image(tmp_path: Path) -> None:
    """What cannot be pinned is refused, whatever its object is called in the next render."""
    names = iter(range(99))

    def says(_: Ask) -> str:
        return pod(WEB, source="app/templates/none.yaml").replace("name: web,", f"name: web-{next(names)},")

    plan, _ = made(tmp_path, says, plain=pod(WEB, source="app/templates/none.yaml"), values={})
    assert plan.images[0].problem and plan.images[0].problem.kind == "refused"


def test_a_search_that_comes_to_no_end_leaves_every_image_out(tmp_path: Path) -> None:
    names = [f"example.com/i{n}:1" for n in range(MOST_ATTEMPTS + MOST_REPAIRS + 2)]
    plain = "".join(pod(name, source=f"app/templates/{n}.yaml") for n, name in enumerate(names))

    def says(ask: Ask) -> str:
        """Each time, one image is not pinned after all."""
        if not annotations(ask.chart):
            return plain
        text = plain
        for n, name in list(enumerate(names))[len(renderer.asked) :]:
            if f"@{A}" in ask.files[f"templates/{n}.yaml"]:
                text = text.replace(name, f"{name}@{A}")
        return text

    renderer = Renderer(says)
    files = {f"templates/{n}.yaml": f"image: {name}\n" for n, name in enumerate(names)}
    plan, _ = made(tmp_path, says, plain=plain, files=files, lock=dict.fromkeys(names, A), renderer=renderer)
    assert all(image.problem and image.problem.kind == "refused" for image in plan.images)
    assert "no render was left" in str(plan.images[-1].problem) and plan.followers == ()
    assert plan.record.images == () and plan.chart.template_files() == files
    assert sum(bool(annotations(ask.chart)) for ask in renderer.asked) == MOST_ATTEMPTS + MOST_REPAIRS


# -- values alone -------------------------------------------------------------------------------------------------------


def literal(ask: Ask) -> str:
    by_template = f"@{A}" in ask.files[FILE]
    return pod(ask.set.get("image", f"{WEB}@{A}" if by_template else WEB))


@pytest.mark.parametrize(("values_only", "via"), [(False, "template"), (True, "values")])
def test_values_are_looked_for_further_where_that_is_asked(tmp_path: Path, values_only: bool, via: str) -> None:
    files = {FILE: f"image: {WEB}\n"}
    plan, renderer = made(tmp_path, literal, files=files, values={"image": WEB}, values_only=values_only)
    assert plan.images[0].via == via and plan.images[0].problem is None
    assert (plan.set_arguments == []) is not values_only
    assert plan.renders == 1 + len(renderer.asked) == 2 + values_only
    assert plan.record.images[0].via == via
    assert [use.image for use in plan.render.images()] == [f"{WEB}@{A}"]


def test_nothing_is_looked_for_where_values_pin_all_anyway(tmp_path: Path) -> None:
    plan, renderer = made(tmp_path, by_tag, values_only=True)
    assert plan.renders == 2 and len(renderer.asked) == 1


def reads(*paths: str) -> Callable[[Ask], str]:
    """A chart whose image is pinned by the template, or by the last of these values that is set."""

    def says(ask: Ask) -> str:
        by_value = [ask.set[path] for path in paths if path in ask.set]
        return pod(by_value[-1] if by_value else f"{WEB}@{A}" if f"@{A}" in ask.files[FILE] else WEB)

    return says


LITERAL = {FILE: f"image: {WEB}\n"}
TWO = {"image": WEB, "other": WEB}


def test_each_value_is_tried_until_one_pins_what_the_template_did(tmp_path: Path) -> None:
    plan, renderer = made(tmp_path, reads("other"), files=LITERAL, values=TWO, values_only=True)
    assert plan.set_arguments == ["--set-string", f"other={WEB}@{A}"] and plan.images[0].via == "values"
    assert plan.renders == 1 + len(renderer.asked) == 4
    assert annotations(plan.chart) == annotations(renderer.asked[-1].chart)


def test_the_template_keeps_what_no_value_pins(tmp_path: Path) -> None:
    plan, renderer = made(tmp_path, reads(), files=LITERAL, values={"image": WEB}, values_only=True)
    assert plan.set_arguments == [] and plan.images[0].via == "template"
    assert plan.renders == 1 + len(renderer.asked) == 3
    assert f"@{A}" in plan.chart.template_files()[FILE]


def test_a_value_that_helm_refuses_is_passed_over(tmp_path: Path) -> None:
    def says(ask: Ask) -> str:
        if "image" in ask.set:
            raise HelmFailed("helm template failed", why="image: too long")
        return reads("other")(ask)

    plan, _ = made(tmp_path, says, files=LITERAL, values=TWO, values_only=True)
    assert plan.set_arguments == ["--set-string", f"other={WEB}@{A}"]


def test_an_image_that_stays_without_a_digest_is_no_reason_to_refuse_a_value_for_another(tmp_path: Path) -> None:
    side = pod(SIDE, source="app/templates/side.yaml")
    plan, _ = made(
        tmp_path,
        lambda ask: reads("image")(ask) + side,
        plain=PLAIN + side,
        files=LITERAL,
        values=TWO,
        values_only=True,
    )
    assert plan.set_arguments == ["--set-string", f"image={WEB}@{A}"]
    assert [bool(image.problem) for image in plan.images] == [False, True]


def test_what_helm_refuses_is_not_tried_for_a_part_of_the_uses(tmp_path: Path) -> None:
    plain = PLAIN + pod(WEB)
    pinned = f"{WEB}@{A}"

    def says(ask: Ask) -> str:
        if not ask.set and ask.files[FILE].count(f"@{A}") > 0:
            return plain.replace(WEB, pinned)
        if ask.set.keys() != {"image"} or f"@{A}" in ask.files[FILE]:
            raise HelmFailed("helm template failed", why="no")
        return plain.replace(WEB, ask.set["image"], 1)

    plan, renderer = made(tmp_path, says, plain=plain, files=LITERAL, values=TWO, values_only=True)
    tried = [(dict(ask.set), f"@{A}" in ask.files[FILE]) for ask in renderer.asked]
    assert tried == [({}, True), ({"image": pinned}, False), ({"image": pinned}, True), ({"other": pinned}, False)]
    assert plan.images[0].via == "template"


# -- Jobs that keep their digest ----------------------------------------------------------------------------------------

JOB = (
    "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate}\n"
    "spec: {template: {spec: {containers: [{name: a, image: '%s'}]}}}\n"
)
IN_JOB = "app/templates/job.yaml"


def test_a_job_that_keeps_another_digest_is_pinned_by_its_template(tmp_path: Path) -> None:
    """The value that both read carries the new digest."""

    def says(ask: Ask) -> str:
        in_job = f"{WEB}@{C}" if f"@{C}" in ask.files["templates/job.yaml"] else "none"
        return by_tag(ask) + document(JOB % in_job, IN_JOB)

    plan, _ = made(
        tmp_path,
        says,
        plain=PLAIN + document(JOB % WEB, IN_JOB),
        files={FILE: READS, "templates/job.yaml": READS},
        stored=document(JOB % f"{WEB}@{C}", IN_JOB),
        only=False,
    )
    assert [(image.digest, image.via, image.kept_for, image.source) for image in plan.images] == [
        (A, "values", "", "lock"),
        (C, "template", "Job/migrate", ""),
    ]
    assert {image.digest for image in plan.record.images} == {A, C}


def test_what_follows_the_image_of_a_job_is_pinned_by_its_template_too(tmp_path: Path) -> None:
    job = JOB.replace("image: '%s'", "image: '%s', args: ['--image=%s']")

    def says(ask: Ask) -> str:
        file = ask.files["templates/job.yaml"]
        tag = ask.set.get("image.tag", "1")
        own, follower = (f"{WEB}@{C}" if f"`{n}` `@{C}`" in file else f"example.com/web:{tag}" for n in (0, 1))
        return by_tag(ask) + document(job % (own, follower), IN_JOB)

    plan, _ = made(
        tmp_path,
        says,
        plain=PLAIN + document(job % (WEB, WEB), IN_JOB),
        files={FILE: READS, "templates/job.yaml": READS},
        stored=document(job % (f"{WEB}@{C}", f"{WEB}@{C}"), IN_JOB),
        only=False,
    )
    assert [(image.digest, image.problem) for image in plan.images] == [(A, None), (C, None)]
    assert f"'--image={WEB}@{C}'" in plan.render.text


def test_a_job_alone_with_its_image_may_keep_its_digest_by_a_value(tmp_path: Path) -> None:
    def says(ask: Ask) -> str:
        return document(JOB % f"example.com/web:{ask.set.get('image.tag', '1')}", IN_JOB)

    plan, _ = made(
        tmp_path,
        says,
        plain=document(JOB % WEB, IN_JOB),
        files={"templates/job.yaml": READS},
        stored=document(JOB % f"{WEB}@{C}", IN_JOB),
        only=False,
    )
    assert [(image.digest, image.via, image.problem) for image in plan.images] == [(C, "values", None)]
    assert plan.record.lock == "", "no digest came from the lock"


def test_a_job_whose_template_would_change_more_is_refused(tmp_path: Path) -> None:
    """The deployed one has the checksum of another configuration, which the API server would not let change."""
    job = JOB.replace("{template: {", "{template: {metadata: {annotations: {checksum/c: '%s'}}, ")

    def says(ask: Ask) -> str:
        tag = ask.set.get("image.tag", "1")
        return document(job % ("new", f"example.com/web:{tag}"), IN_JOB)

    plan, _ = made(
        tmp_path,
        says,
        plain=document(job % ("new", WEB), IN_JOB),
        files={"templates/job.yaml": READS},
        stored=document(job % ("old", f"{WEB}@{C}"), IN_JOB),
        only=False,
    )
    (image,) = plan.images
    assert image.problem is not None and "changes more of its pod template" in image.problem.text
    assert image.uses[0].source == IN_JOB
