"""Values that were lost together come back one after another."""

from __future__ import annotations

from helmpin.chart.setargs import Setting
from helmpin.plan.attempt import NOTHING, Attempt
from helmpin.plan.candidates import Candidate
from helmpin.plan.only_needed import Pinned
from helmpin.plan.second_look import MOST_ATTEMPTS, SecondLook
from helmpin.render.diff import Comparison

FINE = Comparison({}, frozenset(), (), [])


def key(name: str) -> tuple[str, int, int, tuple[str, ...]]:
    return (name, 0, 0, ("image",))


def pinned(name: str, *, at: str = "") -> Pinned:
    setting = Setting((at or name, "tag"), f"1@{name}")
    return Pinned((key(name),), name, (Candidate("tag@digest", (setting,)),))


def result(*names: str) -> Attempt:
    return NOTHING._replace(by_template=frozenset(map(key, names)))


def found(look: SecondLook, *, bad: str) -> tuple[list[list[str]], Attempt]:
    """What each attempt sets, and the result, if the values of one image change something else."""
    tried = []
    while attempt := look.next():
        tried.append([str(setting.path[0]) for setting in attempt.settings])
        look.learn(attempt, "no" if bad in tried[-1] else FINE)
    return tried, look.result


def test_each_gets_its_values_back_but_the_one_that_is_to_blame() -> None:
    tried, after = found(SecondLook(result("a", "b", "c"), [(pinned("a"), pinned("b"), pinned("c"))]), bad="b")
    assert tried == [["a"], ["a", "b"], ["a", "c"]]
    assert after.by_template == {key("b")}
    assert after.strategies[key("c")] == ("tag@digest", (Setting(("c", "tag"), "1@c"),))


def test_the_last_one_is_to_blame_if_no_other_is() -> None:
    tried, after = found(SecondLook(result("a", "b"), [(pinned("a"), pinned("b"))]), bad="b")
    assert (tried, after.by_template) == ([["a"]], {key("b")})


def test_what_values_pin_again_needs_none() -> None:
    tried, _ = found(SecondLook(result("b"), [(pinned("a"), pinned("b"), pinned("c"))]), bad="")
    assert tried == [["b"]]


def test_a_path_takes_one_value() -> None:
    look = SecondLook(result("a", "b"), [(pinned("a"), pinned("b", at="a"), pinned("c"))])
    assert found(look, bad="")[0] == [["a"]]


def test_it_ends() -> None:
    names = [str(number) for number in range(9)]
    look = SecondLook(result(*names), [tuple(map(pinned, names))])
    tried = []
    while attempt := look.next():
        tried.append(attempt)
        look.learn(attempt, "no")
    assert len(tried) == MOST_ATTEMPTS and look.result is not tried[-1]
