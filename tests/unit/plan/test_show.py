"""A plan, shown: for people, as data, and for other tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from helmpin.chart.setargs import Setting
from helmpin.errors import Refused, VerificationFailed
from helmpin.image.outside_pods import ExtraImageRules
from helmpin.image.reference import Reference
from helmpin.plan import show
from helmpin.plan.deployed import Change, Deployed
from helmpin.plan.images import Problem
from helmpin.registry import RegistryError
from helmpin.registry.details import Details
from helmpin.release.changes import UNPINNED
from helmpin.render import output
from tests.support.plans import A, image, plan
from tests.support.renders import digest, document

B = digest("b")
MISSING = Problem("no such tag\nsecond line", "registry")
SILENT = RegistryError(Reference.parse("quay.io/t/a:1"), "unavailable", "no answer")

IN_TEMPLATE = image("b:1")._replace(via="template", strategy="staged template")
KEPT = image("j:1")._replace(via="template", strategy="staged template", kept_for="Job/migrate")


# -- for people ---------------------------------------------------------------------------------------------------------


def test_the_images_stand_beside_what_is_deployed_and_what_is_gone(tmp_path: Path) -> None:
    changes = (Change("same", "a:1", A), Change("moved", "b:0", B, "0"), Change("new"))
    gone = (Change("removed", "old:1", B),)
    text = show.table(
        plan(tmp_path, image("a:1"), image("b:1"), image("c:1")),
        Deployed(3, changes, gone),
        show.NOTHING_MORE,
        verbose=False,
    )
    table, removed = text.split("\n\n")
    rows = table.splitlines()
    assert "DEPLOYED" in rows[0]
    assert [row.split()[0] for row in rows[1:]] == ["a", "b", "c"]
    assert [row[rows[0].index("DEPLOYED") :].rstrip() for row in rows[1:]] == ["same", f"moved from 0@{B[:19]}", "new"]
    assert removed == f"In revision 3, and not in the chart any more:\n  old:1   {B[:19]}"


def test_an_image_moved_from_its_own_tag_shows_the_digest_alone(tmp_path: Path) -> None:
    deployed = Deployed(1, (Change("moved", "a:1", UNPINNED),), ())
    text = show.table(plan(tmp_path, image("a:1")), deployed, show.NOTHING_MORE, verbose=False)
    assert f"moved from {UNPINNED[:19]}" in text and "@" not in text


def test_images_outside_pod_specs_are_listed_once_a_place(tmp_path: Path) -> None:
    text = document("{apiVersion: x.example.com/v1, kind: Widget, metadata: {name: w}, spec: {image: 'quay.io/t/w:1'}}")
    made = plan(tmp_path, image("a:1"))._replace(render=output.parse(text, None))
    shown = show.table(made, None, show.NOTHING_MORE, verbose=False)
    assert "Outside pod specs, not pinned (--also PATTERN pins them):\n  quay.io/t/w:1   " in shown
    assert shown.count("quay.io/t/w:1") == 1


FOUND_BY_RULES = document(
    "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: 'a:1', args: [--engine-image, 'x:1']}]}}"
)
PROMETHEUS = document(
    "{apiVersion: monitoring.coreos.com/v1, kind: Prometheus, metadata: {name: p}, spec: {image: 'quay.io/t/prom:1'}}"
)


@pytest.mark.parametrize(
    ("text", "block", "names"),
    [
        (FOUND_BY_RULES, "--also operators pins outside pod specs:\n  x:1   Pod/p spec/containers/c/args/1", ["x:1"]),
        (PROMETHEUS, "--also operators pins 1 of these.", ["quay.io/t/prom:1"]),
        (
            FOUND_BY_RULES + "\n" + PROMETHEUS,
            "--also operators pins 1 of these, and:\n  x:1   Pod/p",
            ["x:1", "quay.io/t/prom:1"],
        ),
        (document("{apiVersion: v1, kind: Widget, metadata: {name: w}, spec: {image: 'quay.io/t/w:1'}}"), "", []),
        (document("{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {args: [--engine-image, 'a:2']}}"), "", []),
    ],
)
def test_what_the_rules_for_operators_would_pin_is_told(
    tmp_path: Path, text: str, block: str, names: list[str]
) -> None:
    """Not what cannot be pinned in a pod spec, as a:2 here."""
    made = plan(tmp_path, image("a:1"), image("a:2", MISSING))._replace(render=output.parse(text, None))
    shown = show.table(made, None, show.NOTHING_MORE, verbose=False)
    assert block in shown and ("--also operators" in shown) is bool(block)
    assert [each["image"] for each in show.describe(made)["operators"]] == names
    asked = made._replace(render=output.parse(text, ExtraImageRules(["operators"])))
    assert "--also operators" not in show.table(asked, None, show.NOTHING_MORE, verbose=False)
    assert show.describe(asked)["operators"] == []


def test_what_cannot_be_pinned_in_a_pod_spec_is_not_advised_to_be_pinned_elsewhere(tmp_path: Path) -> None:
    text = document("{apiVersion: v1, kind: Widget, metadata: {name: w}, spec: {image: 'docker.io/library/a:1'}}")
    for problem, listed in ((MISSING, False), (None, True)):
        made = plan(tmp_path, image("a:1", problem))._replace(render=output.parse(text, None))
        shown = show.table(made, None, show.NOTHING_MORE, verbose=False)
        assert ("Outside pod specs" in shown) is listed
        assert [each["image"] for each in show.describe(made)["elsewhere"]] == ["docker.io/library/a:1"]


def test_the_digest_of_an_image_without_one_is_not_said_to_move(tmp_path: Path) -> None:
    deployed = Deployed(1, (Change("unknown", "a:1", B),), ())
    table = show.table(plan(tmp_path, image("a:1", MISSING)), deployed, show.NOTHING_MORE, verbose=False).splitlines()
    assert table[1][table[0].index("DEPLOYED") :].split()[0] == "-"


def test_versions_are_listed_if_they_were_asked_for(tmp_path: Path) -> None:
    made = plan(tmp_path, image("a:1"), image("b:1"), image("c:1"))
    more = show.More(versions={"a:1": "1.2.3", "b:1": "", "c:1": SILENT})
    *_, versions = show.table(made, None, more, verbose=False).split("\n\n")
    assert versions.splitlines() == [
        "Versions that have the same digest today:",
        "  a:1   a:1.2.3",
        "  b:1   none was found among its tags",
        "  c:1   not known: quay.io: no answer",
    ]


def test_the_reasons_name_details_uses_and_what_was_rejected(tmp_path: Path) -> None:
    made = plan(tmp_path, image("a:1", uses=2)._replace(notes=("a.tag: it changes Pod/x",)))
    blocks = show.reasons(made, show.More(details={"a:1": Details(version="1.2.3")})).split("\n\n")
    assert blocks[0].splitlines()[:2] == ["a:1", "  version   1.2.3"]
    assert blocks[0].count("\n  used by ") == 2
    assert blocks[0].splitlines()[-1] == "  rejected a.tag: it changes Pod/x"
    assert blocks[-1] == f"{made.renders} render"


# -- as data ------------------------------------------------------------------------------------------------------------


def test_the_plan_as_data_says_whether_its_set_arguments_are_all(tmp_path: Path) -> None:
    setting = Setting(("a", "tag"), f"1@{A}")
    by_values = plan(tmp_path, image("a:1"), settings=(setting,))
    assert show.describe(by_values)["complete"]
    assert show.describe(by_values, reuse="--reuse-values")["set"] == ["--reuse-values", *by_values.set_arguments]
    assert not show.describe(by_values, reuse=None)["complete"], "no flag makes helm reuse such values"
    assert not show.describe(plan(tmp_path, image("a:1", MISSING)))["complete"]
    assert not show.describe(plan(tmp_path, IN_TEMPLATE._replace(by_values_alone=False)))["complete"]


@pytest.mark.parametrize("problem", [None, MISSING])
def test_an_image_whose_mutable_tag_is_refused_is_not_pinned_in_data(tmp_path: Path, problem: Problem | None) -> None:
    data = show.describe(plan(tmp_path, image("a:latest", problem, mutable="tag latest moves by design")))
    why = "tag latest moves by design, and mutable tags are refused"
    assert not data["complete"] and data["images"][0]["pinned"] is None
    assert data["unpinned"] == [{"image": "a:latest", "reason": why, "kind": "refused"}]
    pinned = image("a:latest", mutable="tag latest moves by design", must_be_fixed=False)
    assert show.describe(plan(tmp_path, pinned))["complete"]


def test_a_cluster_that_was_not_asked_differs_from_one_that_has_no_release(tmp_path: Path) -> None:
    made = plan(tmp_path, image("a:1"))
    assert "DEPLOYED" not in show.table(made, None, show.NOTHING_MORE, verbose=False)
    unasked, empty = show.describe(made), show.describe(made, Deployed(None, (Change("new"),), ()))
    assert not unasked["cluster"] and unasked["images"][0]["deployed"] is None
    assert empty["cluster"] and empty["deployedRevision"] is None
    assert empty["images"][0]["deployed"] == {"change": "new", "reference": None, "digest": None}


def test_a_deployed_image_without_a_digest_has_none_in_data(tmp_path: Path) -> None:
    changes = (Change("moved", "a:1", UNPINNED),)
    data = show.describe(plan(tmp_path, image("a:1")), Deployed(2, changes, (Change("removed", "old:1", B),)))
    assert data["images"][0]["deployed"] == {"change": "moved", "reference": "a:1", "digest": None}
    assert data["removed"] == [{"change": "removed", "reference": "old:1", "digest": B}]


def test_an_image_as_data() -> None:
    found = show.image_data(image("quay.io/t/a:1", mutable="tag 1 moves", values=("a.tag",), must_be_fixed=False))
    assert found["reference"] == "quay.io/t/a:1" and found["mutable"] and found["reason"] == "tag 1 moves"
    assert found["pinned"] == f"quay.io/t/a:1@{A}" and found["values"] == ["a.tag"] and found["keptFor"] is None
    assert [(use["kind"], use["name"], use["container"]) for use in found["uses"]] == [("Pod", "p0", "c")]
    unpinned = show.image_data(image("quay.io/t/a:1", MISSING)._replace(digest=""))
    assert unpinned["pinned"] is None and unpinned["digest"] is None
    assert unpinned["reason"] == "no such tag\nsecond line" and not unpinned["mutable"]


def test_what_registries_say_is_data_only_where_it_was_asked(tmp_path: Path) -> None:
    made = plan(tmp_path, image("a:1"), image("b:1"))
    more = show.More({"a:1": SILENT}, {"a:1": "1.2.3", "b:1": SILENT})
    first, second = show.describe(made, None, more)["images"]
    assert first["details"] is None and first["suggestion"] == "1.2.3"
    assert "details" not in second and second["suggestion"] is None


# -- what --check refuses -----------------------------------------------------------------------------------------------


def test_a_plan_that_changes_nothing_passes_the_check(tmp_path: Path) -> None:
    show.refuse_changes(plan(tmp_path, image("a:1")), Deployed(1, (Change("same", "a:1", A),), ()))


def test_the_check_names_what_would_change_and_where(tmp_path: Path) -> None:
    made = plan(tmp_path, image("a:1"), image("b:1"))
    deployed = Deployed(4, (Change("same", "a:1", A), Change("moved", "b:1", B)), (Change("removed", "old:1", B),))
    with pytest.raises(VerificationFailed) as refused:
        show.refuse_changes(made, deployed)
    assert refused.value.what == "an upgrade would change 2 images"
    assert refused.value.where == ["revision 4 of release web"]
    assert refused.value.why.splitlines() == [f"b:1: moved from {B[:19]}", "old:1: removed"]
    with pytest.raises(VerificationFailed) as refused:
        show.refuse_changes(made, Deployed(None, (Change("new"), Change("new")), ()))
    assert refused.value.where == ["nothing that is deployed"]


def test_as_data_a_job_that_keeps_its_digest_is_named() -> None:
    assert [show.image_data(each)["keptFor"] for each in (KEPT, IN_TEMPLATE)] == ["Job/migrate", None]


# -- for other tools ----------------------------------------------------------------------------------------------------


def test_a_values_file_that_cannot_carry_every_image_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    in_template = IN_TEMPLATE._replace(by_values_alone=False)
    made = plan(tmp_path, image("a:1"), in_template, KEPT._replace(by_values_alone=False))
    with pytest.raises(Refused) as refused:
        show.print_for_others(made, "values", partial=False, names=False, values_only=False)
    assert refused.value.what == "2 of 3 images cannot be pinned by a values file"
    why = refused.value.why.splitlines()
    assert why[0] == "b:1: the template writes it, and no value carries its digest"
    assert why[1].startswith("j:1: Job/migrate keeps the digest that it ran with")
    assert refused.value.hint.startswith("try --values-only, which searches further for values; or deploy with ")
    with pytest.raises(Refused) as refused:
        show.print_for_others(made, "values", partial=False, names=False, values_only=True)
    assert refused.value.hint.startswith("deploy with helm pin upgrade; "), (
        "it was tried, and a manifest changes the Job"
    )
    with pytest.raises(Refused, match="1 of 2") as refused:
        show.print_for_others(
            plan(tmp_path, image("a:1"), in_template), "values", partial=False, names=False, values_only=True
        )
    assert "or print the manifest with helm pin template" in refused.value.hint
    assert not capsys.readouterr().out


def test_a_part_is_printed_on_request_and_says_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = plan(
        tmp_path,
        image("a:1"),
        IN_TEMPLATE._replace(by_values_alone=False),
        settings=(Setting(("a", "tag"), f"1@{A}"),),
        values={"a": {"tag": "1"}},
    )
    show.print_for_others(made, "values", partial=True, names=False, values_only=False)
    printed = capsys.readouterr()
    assert f"1@{A}" in printed.out and "Incomplete: a values file does not carry b:1." in printed.err


@pytest.mark.parametrize(
    ("nowhere", "somewhere", "listed"),
    [
        (("b:1",), (), "b:1"),
        ((), ("c:1", "d:1"), "c:1, d:1 everywhere"),
        (("a:1", "b:1"), ("c:1",), "a:1, b:1, nor c:1 everywhere"),
    ],
)
def test_images_that_values_pin_in_some_places_are_told_from_the_others(
    tmp_path: Path, nowhere: tuple[str, ...], somewhere: tuple[str, ...], listed: str
) -> None:
    images = [image(each)._replace(by_values_alone=False) for each in nowhere]
    images += [image(each, values=("x.tag",))._replace(by_values_alone=False) for each in somewhere]
    made = plan(tmp_path, *images)
    assert show.listed_beyond(made, [*somewhere, *nowhere]) == listed
    with pytest.raises(Refused) as refused:
        show.print_for_others(made, "values", partial=False, names=False, values_only=False)
    ends = [line.endswith(" everywhere") for line in refused.value.why.splitlines()]
    assert ends == [*(False for _ in nowhere), *(True for _ in somewhere)]


def test_a_list_of_images_leaves_out_those_without_a_digest_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = plan(tmp_path, image("quay.io/t/a:1"), image("quay.io/t/b:1", MISSING))
    show.print_for_others(made, "images", partial=False, names=False, values_only=False)
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [f"quay.io/t/a:1@{A}"] and "no digest: quay.io/t/b:1." in printed.err
