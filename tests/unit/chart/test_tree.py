"""Charts within charts: which file is which."""

from __future__ import annotations

import pytest

from helmpin.chart.archive import Budget, File, pack, unpack
from helmpin.chart.tree import Tree
from helmpin.errors import HelmFailed, Refused


def files(**texts: str) -> dict[str, File]:
    return {path: File(text.encode(), 1.0) for path, text in texts.items()}


def chart(name: str, version: str = "1.0.0", more: str = "", **texts: str) -> dict[str, File]:
    start = {"Chart.yaml": f"name: {name}\nversion: {version}\n{more}", "templates/x.yaml": f"# {name} {version}\n"}
    return files(**start, **texts)


def packed(name: str, version: str = "1.0.0") -> dict[str, File]:
    return {f"charts/{name}-{version}.tgz": File(b"".join(pack(chart(name, version), 6)), 1.0)}


def tree(start: dict[str, File], *more: dict[str, File]) -> Tree:
    for part in more:
        start |= part
    return Tree(start, Budget("x"))


TWO = "dependencies: [{name: sub, version: %s, alias: one}, {name: sub, version: %s, alias: two}]\n"
LOCK = "dependencies: [{name: sub, version: 1.0.0}, {name: sub, version: 2.0.0}]\n"


@pytest.mark.parametrize(
    ("one", "two", "lock"),
    [("1.0.0", "2.0.0", {}), ("1.x", "2.x", {"Chart.lock": LOCK}), ("1.0.0", "^2", {"requirements.lock": LOCK})],
)
def test_two_versions_of_one_chart(one: str, two: str, lock: dict[str, str]) -> None:
    both = tree(chart("top", more=TWO % (one, two), **lock), packed("sub", "1.0.0"), packed("sub", "2.0.0"))
    assert both.source_to_paths("top/charts/one/templates/x.yaml") == ["charts/sub-1.0.0.tgz/templates/x.yaml"]
    assert both.source_to_paths("top/charts/two/templates/x.yaml") == ["charts/sub-2.0.0.tgz/templates/x.yaml"]


def test_keys_in_another_case() -> None:
    more = (
        TWO.replace("dependencies", "Dependencies")
        .replace("name", "Name")
        .replace("version", "VERSION")
        .replace("alias", "aLias")
    )
    both = tree(chart("top", more=more % ("1.0.0", "2.0.0")), packed("sub", "1.0.0"), packed("sub", "2.0.0"))
    assert both.source_to_paths("top/charts/one/templates/x.yaml") == BOTH[:1]
    assert both.source_to_paths("top/charts/two/templates/x.yaml") == BOTH[1:]


@pytest.mark.parametrize(
    ("alias", "called"),
    [
        ("y", "true"),
        ("no", "false"),
        ("12", "12"),
        ('"y"', "y"),
        ("''", "sub"),
        ("~", "sub"),
        ("1.0", "1"),
        ("1e3", "1000"),
        ("12345678.5", "1.2345678e+07"),
        ("1e-46", "0"),
    ],
)
def test_an_alias_is_what_helm_reads_into_a_string(alias: str, called: str) -> None:
    found = tree(chart("top", more=f"dependencies: [{{name: sub, version: 1.0.0, alias: {alias}}}]\n"), packed("sub"))
    assert found.source_to_paths(f"top/charts/{called}/templates/x.yaml") == ["charts/sub-1.0.0.tgz/templates/x.yaml"]


@pytest.mark.parametrize("source", ["top/charts/none/templates/x.yaml", "top/templates/none.yaml", "top", ""])
def test_what_is_nowhere_is_refused(source: str) -> None:
    with pytest.raises(Refused) as error:
        tree(chart("top"), packed("sub")).source_to_paths(source)
    assert error.value.where == [source]


BOTH = ["charts/sub-1.0.0.tgz/templates/x.yaml", "charts/sub-2.0.0.tgz/templates/x.yaml"]


def test_what_cannot_be_told_apart_is_given_whole() -> None:
    both = tree(chart("top", more=TWO % ("1.x", "'>=1'")), packed("sub", "1.0.0"), packed("sub", "2.0.0"))
    assert both.source_to_paths("top/charts/one/templates/x.yaml") == BOTH


def test_an_alias_that_another_chart_has_for_its_name() -> None:
    top = tree(chart("top", more="dependencies: [{name: sub, alias: other}]\n"), packed("sub"), packed("other"))
    assert top.source_to_paths("top/charts/other/templates/x.yaml") == [
        "charts/sub-1.0.0.tgz/templates/x.yaml",
        "charts/other-1.0.0.tgz/templates/x.yaml",
    ]


def test_an_alias_above_a_subchart() -> None:
    leaf = {"charts/leaf/Chart.yaml": "name: leaf\n", "charts/leaf/templates/y.yaml": ""}
    one = {f"charts/one/{path}": file for path, file in chart("sub", "1.0.0", **leaf).items()}
    two = {f"charts/two/{path}": file for path, file in chart("sub", "2.0.0", **leaf).items()}
    more = "dependencies: [{name: sub, version: 1.0.0, alias: a}, {name: sub, version: 2.0.0}]\n"
    top = tree(chart("top", more=more), one, two)
    of_one, of_two = (f"charts/{name}/charts/leaf/templates/y.yaml" for name in ("one", "two"))
    assert top.source_to_paths("top/charts/a/charts/leaf/templates/y.yaml") == [of_one]
    assert sorted(top.source_to_paths("top/charts/sub/charts/leaf/templates/y.yaml")) == [of_one, of_two]
    assert top.source_to_paths("top/charts/sub/templates/x.yaml") == ["charts/two/templates/x.yaml"]


def test_edits_in_a_packed_chart_touch_nothing_else() -> None:
    top = tree(chart("top"), packed("sub"), packed("other"))
    top.write("charts/sub-1.0.0.tgz/templates/new.yaml", b"new")
    top.write("charts/sub-1.0.0.tgz/templates/x.yaml", b"changed")
    again = unpack(b"".join(top.packed()), Budget("x"), "x")
    assert again["charts/other-1.0.0.tgz"] == packed("other")["charts/other-1.0.0.tgz"]
    inner = unpack(again["charts/sub-1.0.0.tgz"].data, Budget("x"), "x")
    assert {path: file.data for path, file in inner.items()} == {
        "Chart.yaml": b"name: sub\nversion: 1.0.0\n",
        "templates/x.yaml": b"changed",
        "templates/new.yaml": b"new",
    }
    assert [*top.packed()] == [*top.packed()]
    assert top.read("charts/sub-1.0.0.tgz/Chart.yaml") == b"name: sub\nversion: 1.0.0\n"


def test_missing_dependencies() -> None:
    more = "dependencies: [{name: here, alias: other}, {name: packed}, {name: away}]\n"
    top = tree(chart("top", more=more, **{"charts/dir/Chart.yaml": "name: here\n"}), packed("packed"))
    assert top.missing_dependencies() == ["away"]


def test_subcharts_that_are_there_more_often_than_listed() -> None:
    """Two versions of one chart may both be meant, each for an entry of its own."""
    folder = {"charts/sub/Chart.yaml": "name: sub\n"}
    twice = tree(chart("top", **folder), packed("sub"), packed("other"))
    assert twice.repeated() == [("sub", ["charts/sub", "charts/sub-1.0.0.tgz"])]
    once = "dependencies: [{name: sub, version: '*'}]\n"
    assert tree(chart("top", more=once, **folder), packed("sub")).repeated()[0][0] == "sub"
    assert tree(chart("top", more=TWO % ("1.0.0", "2.0.0"), **folder), packed("sub")).repeated() == []
    assert tree(chart("top", more=once, **folder), packed("other")).repeated() == []
    inner = {f"charts/{parent}/charts/{name}/Chart.yaml": "name: sub\n" for parent in "ab" for name in ("one", "two")}
    nested = tree(chart("top", **inner, **{f"charts/{parent}/Chart.yaml": f"name: {parent}\n" for parent in "ab"}))
    assert nested.repeated() == [
        ("sub", [f"charts/{parent}/charts/{name}" for name in ("one", "two")]) for parent in "ab"
    ]
    old = {"charts/old/Chart.yaml": "name: sub\nversion: 0.9.0\n"}
    exact = "dependencies: [{name: sub, version: 1.0.0}]\n"
    assert tree(chart("top", more=exact, **old), packed("sub")).repeated() == [], "the listed version wins"


def test_what_only_looks_like_a_template() -> None:
    top = tree(
        chart("top", **{"files/templates/a": "", "charts/_off/templates/b": "", "charts/README.md": ""}), packed("sub")
    )
    assert sorted(top.in_all_charts("templates/")) == ["charts/sub-1.0.0.tgz/templates/x.yaml", "templates/x.yaml"]


@pytest.mark.parametrize("text", ["[", "- a\n", "a", ""])
def test_a_chart_yaml_that_is_none(text: str) -> None:
    top = tree(files(**{"Chart.yaml": text}))
    for _ in ("first", "second"):
        with pytest.raises(HelmFailed) as error:
            top.metadata()
        assert error.value.where == ["Chart.yaml"]


@pytest.mark.parametrize("name", ["requirements.yaml", "Chart.lock", "requirements.lock"])
@pytest.mark.parametrize("text", ["", "# nothing here\n", "---\n", "null\n"])
def test_a_file_that_holds_nothing_counts_as_absent(name: str, text: str) -> None:
    top = tree(chart("top", more="dependencies: [{name: sub}]\n", **{name: text}), packed("sub"))
    assert top.source_to_paths("top/charts/sub/templates/x.yaml") == ["charts/sub-1.0.0.tgz/templates/x.yaml"]


def test_a_chart_yaml_with_dates_that_do_not_exist() -> None:
    top = tree(chart("top", more="appVersion: 2026-31-12\nannotations: {built: 0000-00-00, 8080: port}\n"))
    assert top.metadata()["appVersion"] == "2026-31-12"
    assert top.metadata()["annotations"] == {"built": "0000-00-00", "8080": "port"}


def test_a_packed_chart_that_is_none() -> None:
    top = tree(chart("top", **{"charts/sub-1.0.0.tgz": "rubbish"}))
    with pytest.raises(HelmFailed) as error:
        top.in_all_charts("templates/")
    assert error.value.where == ["charts/sub-1.0.0.tgz"]


def test_the_budget_is_one_for_all() -> None:
    budget = Budget("x")
    budget.bytes = 2000
    big = {
        f"charts/{name}-1.0.0.tgz": File(b"".join(pack({"Chart.yaml": File(b"#" * 900, 1.0)}, 6)), 1.0)
        for name in "abc"
    }
    with pytest.raises(HelmFailed, match="larger than"):
        Tree(chart("top") | big, budget).in_all_charts("templates/")


def test_what_has_changed_is_told_down_to_packed_charts() -> None:
    before = tree(chart("top"), packed("sub"), packed("other"))
    after = before.copy()
    assert after.changes_from(before) == {}
    changes = {"values.yaml": b"a: 1", "templates/x.yaml": b"y", "charts/sub-1.0.0.tgz/templates/x.yaml": b"z"}
    for path, data in changes.items():
        after.write(path, data)
    after.write("Chart.yaml", before.read("Chart.yaml"))
    assert after.changes_from(before) == changes
    list(after.packed())  # which writes the packed chart anew
    assert after.changes_from(before) == changes
    assert before.changes_from(before.copy()) == {}
