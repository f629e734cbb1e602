"""One value for all uses of an image: what is tried, and what is taken. Nothing is rendered: comparisons are made up here."""

from __future__ import annotations

from helmpin.chart.setargs import Setting, dotted_key
from helmpin.render.diff import Comparison
from helmpin.render.differences import Difference
from helmpin.render.output import ImageUse
from helmpin.search.attempt import Attempt, Facts
from helmpin.search.one_for_all import OneForAll
from helmpin.search.value_index import ValueIndex
from helmpin.templates.scan import TemplateScan
from tests.support.renders import digest

A, B = map(digest, "ab")
RIGHT = Comparison({}, frozenset(), (), [])
WRONG = RIGHT._replace(collateral=[Difference(("a", 0, 0, ("metadata", "name")), "x", "y")])
VALUES = {name: {"repository": f"t/{name}", "tag": "1", "digest": ""} for name in ("web", "db")}


def use(name: str, nth: int) -> ImageUse:
    path = ("spec", "containers", nth, "image")
    return ImageUse(f"t/{name}:1", "app/templates/pod.yaml", 0, 0, "Pod", "x", path, f"c{nth}")


USES = {"web": (use("web", 0), use("web", 1)), "db": (use("db", 2), use("db", 3))}


DIGESTS = {"web": A, "db": B}
FACTS = {
    name: [Facts(use=u, origin=u, digest=DIGESTS[name], is_literal=False, in_template=lambda: True) for u in uses]
    for name, uses in USES.items()
}


def divided(*names: str) -> OneForAll:
    """After a search in which the digest key of these images pins their first use, and the template their second."""
    keys = {name: (Setting((name, "digest"), DIGESTS[name]),) for name in names}
    facts = [fact for name in names for fact in FACTS[name]]
    result = Attempt(
        settings=tuple(setting for some in keys.values() for setting in some),
        by_template=frozenset(USES[name][1].key for name in names),
        strategies={USES[name][0].key: ("digest key", keys[name]) for name in names},
        failed={},
        notes={},
    )
    return OneForAll(result, facts, ValueIndex(VALUES), lambda _: TemplateScan([""]))


def shown(attempt: Attempt | None) -> dict[str, str]:
    assert attempt is not None
    return {dotted_key(setting.path): setting.value for setting in attempt.settings}


def test_the_tag_takes_the_place_of_the_digest_key() -> None:
    found = divided("web")
    attempt = found.next()
    assert shown(attempt) == {"web.tag": f"1@{A}"} and attempt is not None
    assert attempt.by_template == frozenset() and attempt.strategies.keys() == {u.key for u in USES["web"]}
    found.learn(attempt, RIGHT)
    assert found.result is attempt and found.next() is None


def test_all_images_at_once() -> None:
    found = divided("web", "db")
    attempt = found.next()
    assert shown(attempt) == {"web.tag": f"1@{A}", "db.tag": f"1@{B}"} and attempt is not None
    found.learn(attempt, RIGHT)
    assert found.result is attempt and found.next() is None


def test_each_on_its_own_where_one_is_wrong() -> None:
    found = divided("web", "db")
    first = found.result
    for answer in (WRONG, "helm template failed"):
        attempt = found.next()
        assert attempt is not None
        found.learn(attempt, answer)
        assert found.result is first
    last = found.next()
    assert shown(last) == {"web.digest": A, "db.tag": f"1@{B}"} and last is not None
    found.learn(last, RIGHT)
    assert found.result is last and found.next() is None


def test_a_use_that_is_not_pinned_or_that_a_template_spells_out_does_not_count() -> None:
    for change in (
        lambda fact: fact._replace(is_literal=True),
        lambda fact: fact._replace(use=use("web", 9)),  # which has failed
    ):
        found = divided("web")
        facts = [*FACTS["web"][:1], change(FACTS["web"][1])]
        pinned = found.result.by_template | {use("web", 9).key}
        result = found.result._replace(failed={use("web", 9).key: "why"}, by_template=pinned)
        assert OneForAll(result, facts, ValueIndex(VALUES), lambda _: TemplateScan([""])).next() is None


def test_nothing_where_no_image_is_divided() -> None:
    assert divided().next() is None
