"""What is planned for each image, put together from what was resolved, tried and refused."""

from __future__ import annotations

from typing import Any

import pytest

from helmpin import policy
from helmpin.chart.setargs import Setting
from helmpin.config.settings import Exemption, ImageRule, Settings
from helmpin.image.reference import Reference
from helmpin.lock import Lock
from helmpin.plan.decide import Decided, plan_images
from helmpin.plan.digests import ResolvedImages
from helmpin.plan.images import ImagePlan, Problem, references_of
from helmpin.registry import RegistrySettings, Resolved
from helmpin.render.diff import Follower
from helmpin.render.output import ImageUse
from helmpin.search.attempt import Attempt
from tests.support.renders import POD, digest

A, B = digest("a"), digest("b")
WEB = "example.com/web:1.2.3"
SETTINGS = Settings("pin", (), (), (), False, RegistrySettings())
INDEX = "application/vnd.oci.image.index.v1+json"


def use(image: str = WEB, nth: int = 0) -> ImageUse:
    return ImageUse(image, POD, 0, 0, "Pod", "web", ("spec", "containers", nth, "image"), f"c{nth}")


# -- references ---------------------------------------------------------------------------------------------------------


def test_references_and_problems() -> None:
    settings = SETTINGS._replace(allow_unpinned=("local/*", "auto"))
    images = ["web", WEB, "local/x:1", "auto", " ", "{{inputs.image}}", "a b", "web:1e+06"]
    references, problems = references_of([use(image) for image in images * 2], settings)
    assert references == {"web": Reference.parse("web"), WEB: Reference.parse(WEB)}
    assert {image: problem.kind for image, problem in problems.items()} == {
        "local/x:1": "allowed",
        "auto": "allowed",
        " ": "refused",
        "{{inputs.image}}": "refused",
        "a b": "refused",
        "web:1e+06": "refused",
    }
    assert all("--allow-unpinned" in problem.hint for problem in problems.values() if problem.kind == "refused")
    assert "quote it" in problems["web:1e+06"].hint


def test_a_placeholder_is_of_no_registry() -> None:
    settings = SETTINGS._replace(allowed_registries=("quay.io",), allowed_registries_from="policy.yaml")
    _, problems = references_of([use("auto"), use("web:1")], settings)
    assert problems["auto"].text.startswith("placeholder: ")
    assert problems["web:1"].text == "not from an allowed registry (policy.yaml: quay.io)"
    _, problems = references_of([use("web:1")], settings._replace(allow_unpinned=("web:1",)))
    assert problems["web:1"].kind == "refused", "who lets an image through does not allow its registry"


def test_a_rule_refuses_a_mutable_tag_unless_the_image_is_let_through() -> None:
    settings = SETTINGS._replace(rules=(ImageRule("docker.io", "refuse", (), (), "rule 1 of policy.yaml"),))
    _, problems = references_of([use("web:latest"), use("quay.io/t/web:latest"), use("web:1.2.3")], settings)
    assert list(problems) == ["web:latest"] and "rule 1 of policy.yaml refuses it" in problems["web:latest"].text
    _, problems = references_of([use("web:latest")], settings._replace(allow_unpinned=("web:*",)))
    assert problems["web:latest"].kind == "allowed"


def test_no_mutable_tag_is_refused_whose_digest_is_in_the_lock() -> None:
    web = use("web:latest")
    lock = Lock({Reference.parse("web:latest"): A}, "lock", "q.lock")
    settings = SETTINGS._replace(rules=(ImageRule("docker.io", "refuse", (), (), "rule 1"),))
    assert not references_of([web, use("not an image")], settings, lock=lock)[1].keys() - {"not an image"}
    assert list(references_of([use("web:main")], settings, lock=lock)[1]) == ["web:main"]
    strict = SETTINGS._replace(mutable="refuse")
    assert [plans([web], by_values(web), settings=strict, lock=each)[0].must_be_fixed for each in (lock, None)] == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("mutable", "rule", "refused"),
    [("refuse", "", True), ("refuse", "pin", False), ("pin", "", False), ("pin", "refuse", True)],
)
def test_whether_a_mutable_tag_is_refused(mutable: str, rule: str, refused: bool) -> None:
    """The setting for all counts for what no rule names."""
    rules = (ImageRule("docker.io", rule, (), (), "rule 1"),) if rule else ()
    (plan,) = plans(
        [use("web:latest")], by_values(use("web:latest")), settings=SETTINGS._replace(mutable=mutable, rules=rules)
    )
    assert plan.must_be_fixed is refused


@pytest.mark.parametrize(
    ("image", "values", "named"),
    [
        (
            ":1.0",
            {"image": {"repository": "", "tag": "1.0"}, "other": {"repository": "", "tag": "2"}},
            "image.repository",
        ),
        (":1.0", {"apps": [{"image": None, "tag": 1.0}]}, "apps[0].image"),
        ("", {"image": "", "name": ""}, "image"),
        (":", {"image": {"repository": None, "tag": None}, "other": {"image": "", "command": ""}}, "image.repository"),
        (":1.0", {"image": {"name": "", "tag": "1.0"}, "name": ""}, "image.name"),
        (":1.0", {"image": {"repository": "app", "tag": "1.0"}}, "the value that names it"),
    ],
)
def test_an_empty_repository_is_named(image: str, values: dict[str, Any], named: str) -> None:
    _, problems = references_of([use(image)], SETTINGS, values)
    hint = f"the repository is empty: set {named}" + ("; or let it through: --allow-unpinned " if image else "")
    assert problems[image].hint.startswith(hint) and image in problems[image].hint


def test_an_empty_registry_is_named() -> None:
    values = {"registry": "", "global": {"imageRegistry": None}, "image": {"registry": "quay.io"}, "other": ""}
    _, problems = references_of([use("/app:1")], SETTINGS, values)
    assert "before its first slash: set registry or global.imageRegistry; or let" in problems["/app:1"].hint


@pytest.mark.parametrize(
    ("image", "values", "named"),
    [
        (
            "ghcr.io/Team/app:1.0",
            {"app": {"image": {"repository": "ghcr.io/Team/app", "tag": "1.0"}}},
            "app.image.repository",
        ),
        ("ghcr.io/Team/app:1.0", {"registry": "ghcr.io/Team", "name": "app"}, "registry"),
        ("ghcr.io/Team/app:1.0", {"image": {"name": "app"}, "selector": {"app": "app"}}, "image.name"),
        ("app:[[ v ]]", {"app": {"release": "[[ v ]]"}, "image": {"name": "app"}}, "app.release"),
        ("app:[[ v ]]", {"name": "app"}, "the value, or the appVersion of the chart, that gives its tag"),
        ("app/Team:1.0", {"images": ["app/Team:1.0", "app2"]}, "images[0]"),
        ("ghcr.io/Team/app:1.0", {"host": "ghcr.io", "of": "Team"}, "the values that set it"),
    ],
)
def test_the_values_that_hold_an_invalid_name_are_named(image: str, values: dict[str, Any], named: str) -> None:
    _, problems = references_of([use(image)], SETTINGS, values)
    assert problems[image].hint.startswith(f"correct {named}; or let it through: --allow-unpinned ")


def test_an_exemption_is_named_and_one_that_is_over_is_none() -> None:
    end, over = ("2999-01-01", "2001-01-01")
    exemptions = tuple(Exemption("web:*", why, until, "f") for why, until in (("old", over), ("soon", end)))
    settings = SETTINGS._replace(allow_unpinned=("web:*", "side:*"), exemptions=exemptions)
    _, problems = references_of([use("web:1"), use("side:1")], settings)
    assert problems["web:1"].text == f"allowed by the exemption of web:* (until {end}: soon)"
    assert problems["side:1"].text == "allowed by --allow-unpinned"


@pytest.mark.parametrize(
    ("globs", "allowed"),
    [((), False), (("*:1.2.3",), True), ((WEB,), True), (("EXAMPLE.com/*",), False), (("web",), False)],
)
def test_is_allowed(globs: tuple[str, ...], allowed: bool) -> None:
    assert policy.is_allowed(WEB, globs) is allowed


# -- plans --------------------------------------------------------------------------------------------------------------

NOTHING = Attempt((), frozenset(), {}, {}, {})
SET = (Setting(("image", "tag"), f"1.2.3@{A}"),)


def plans(
    uses: list[ImageUse],
    attempt: Attempt = NOTHING,
    *,
    wanted: dict[Any, str] | None = None,
    problems: dict[str, Problem] | None = None,
    resolved: dict[str, Resolved] | None = None,
    jobs: dict[Any, str] | None = None,
    settings: Settings = SETTINGS,
    **more: Any,
) -> list[ImagePlan]:
    """The plans where each image is to be pinned to A."""
    references, found = references_of(uses, settings)
    known = ResolvedImages(
        references,
        {image: Resolved(A, INDEX) for image in references} if resolved is None else resolved,
        {each.key: A for each in uses if each.image in references} if wanted is None else wanted,
        jobs or {},
        {**found, **(problems or {})},
    )
    return plan_images(uses, Decided(known, attempt, settings, **{"set_by": {}, **more}))


def by_values(*uses: ImageUse, strategy: str = "tag@digest") -> Attempt:
    return NOTHING._replace(settings=SET, strategies={each.key: (strategy, SET) for each in uses})


def test_pinned_by_values() -> None:
    (plan,) = plans([use(), use(nth=1)], by_values(use(), use(nth=1)), set_by={WEB: ("image.tag",)})
    assert (plan.image, plan.digest, plan.media_type, plan.via) == (WEB, A, INDEX, "values")
    assert (plan.strategy, plan.values, plan.set_by) == ("tag@digest", ("image.tag",), ("image.tag",))
    assert plan.pinned == f"{WEB}@{A}" and plan.by_values_alone and plan.problem is None
    assert plan.uses == (use(), use(nth=1)) and plan.mutable is None


def test_a_tag_that_is_emptied_is_no_value_that_pins() -> None:
    settings = (Setting(("image", "digest"), A), Setting(("image", "tag"), ""))
    attempt = NOTHING._replace(settings=settings, strategies={use().key: ("digest key, tag emptied", settings)})
    assert plans([use()], attempt)[0].values == ("image.digest",)


def test_pinned_by_the_template() -> None:
    (plan,) = plans([use()], NOTHING._replace(by_template=frozenset([use().key])))
    assert (plan.via, plan.strategy, plan.values, plan.by_values_alone) == ("template", "staged template", (), False)


def test_pinned_by_both() -> None:
    attempt = by_values(use())._replace(by_template=frozenset([use(nth=1).key]))
    (plan,) = plans([use(), use(nth=1)], attempt)
    assert (plan.via, plan.strategy) == ("template", "tag@digest, staged template")
    assert plan.values == ("image.tag",) and not plan.by_values_alone


def test_what_the_chart_has_pinned() -> None:
    image = f"example.com/web@{B}"
    (plan,) = plans([use(image)], wanted={}, resolved={image: Resolved(B, INDEX)})
    assert (plan.via, plan.strategy, plan.pinned, plan.digest) == ("chart", "already pinned", image, B)
    assert plan.by_values_alone and plan.mutable is None


def test_an_untagged_image_is_pinned_as_latest() -> None:
    (plan,) = plans([use("web")], by_values(use("web")))
    assert plan.pinned == f"web:latest@{A}"
    assert plan.mutable is not None


def test_a_mutable_tag_of_the_users_own() -> None:
    (plan,) = plans([use()], by_values(use()), settings=SETTINGS._replace(mutable_tags=("1.*",)))
    assert plan.mutable is not None and "1.2.3" in plan.mutable


def test_what_could_not_be_pinned_says_why_though_another_use_could() -> None:
    attempt = by_values(use())._replace(
        failed={use(nth=1).key: "its template gives 'x'"},
        notes={use(nth=1).key: ("tried", "this"), use().key: ("tried",)},
    )
    (plan,) = plans([use(), use(nth=1)], attempt)
    assert plan.problem is not None and plan.problem.kind == "refused" and "its template gives 'x'" in plan.problem.text
    assert plan.via == "" and not plan.by_values_alone and plan.notes == ("tried", "this")
    (plan,) = plans([use()], NOTHING._replace(failed={use().key: "its template gives 'x'"}))
    assert plan.problem is not None and f"let it through: --allow-unpinned {WEB}" in plan.problem.hint


def test_a_problem_that_was_there_before_stays() -> None:
    refused = Problem("no such tag", "registry", "check it")
    (plan,) = plans([use()], problems={WEB: refused}, wanted={}, resolved={})
    assert plan.problem == refused and (plan.via, plan.digest) == ("", "")
    (plan,) = plans([use()], NOTHING._replace(failed={use().key: "x"}), problems={WEB: refused})
    assert plan.problem == refused


def test_what_is_let_through_is_not_pinned() -> None:
    (plan,) = plans([use()], settings=SETTINGS._replace(allow_unpinned=("*",)))
    assert plan.problem is not None and plan.problem.kind == "allowed" and plan.via == "" and not plan.by_values_alone


def test_one_image_at_two_digests_is_planned_twice() -> None:
    """A Job keeps the digest that it ran with."""
    job = use(nth=1)
    found = plans([use(), job], by_values(use(), job), wanted={use().key: A, job.key: B}, jobs={job.key: "Job/migrate"})
    assert [(plan.digest, plan.kept_for, plan.uses) for plan in found] == [
        (A, "", (use(),)),
        (B, "Job/migrate", (job,)),
    ]


def test_images_are_planned_in_the_order_of_the_render() -> None:
    images = ["b:1", "a:1", "b:1", "c:1"]
    assert [plan.image for plan in plans([use(image, i) for i, image in enumerate(images)])] == ["b:1", "a:1", "c:1"]


def test_followers_belong_to_the_image_and_the_digest_that_they_follow() -> None:
    def follower(reference: str, at: str) -> Follower:
        return Follower((POD, 0, 0, ("data", at)), "ConfigMap", "x", (Reference.parse(f"{reference}@{at}"),))

    mine, others = (
        follower(WEB, A),
        [follower(WEB, B), follower("example.com/web:2", A), follower("example.com/x:1.2.3", A)],
    )
    (plan,) = plans([use()], by_values(use()), followers=[*others, mine])
    assert plan.followers == (mine,)
    (plan,) = plans([use("web")], by_values(use("web")), followers=[follower("docker.io/library/web:latest", A)])
    assert len(plan.followers) == 1


@pytest.mark.parametrize(("by_template", "said"), [(False, ("digest key at image.digest: too long",)), (True, None)])
def test_what_is_said_of_a_value_that_pins_an_image_in_the_end(by_template: bool, said: tuple[str, ...] | None) -> None:
    """Each of its uses has a value of its own: on the way there, the other one left it as it is."""
    notes = (
        f"tag@digest at image.tag: leaves Pod/web at {WEB}",
        "digest key at image.digest: too long",
        "other values: no render was left to try them",
    )
    pinned, other = use(), use(nth=1)
    attempt = NOTHING._replace(
        settings=SET,
        strategies={each.key: ("tag@digest", SET) for each in ([pinned] if by_template else [pinned, other])},
        by_template=frozenset({other.key} if by_template else ()),
        notes={other.key: notes},
    )
    (plan,) = plans([pinned, other], attempt)
    assert plan.notes == (notes if said is None else said)
