"""Documents in the order of another render. What helm prints is the test's word."""

from __future__ import annotations

from helmpin.render.alignment import aligned, by_source
from helmpin.render.output import Render, parse
from tests.support.renders import document

A, B = "app/templates/a.yaml", "app/templates/b.yaml"


def item(name: str, kind: str = "ConfigMap", more: str = "") -> str:
    return f"kind: {kind}\nmetadata: {{name: {name}}}\n{more}"


def render(*bodies: str, source: str = A) -> Render:
    return parse("".join(document(body, source) for body in bodies))


def shown(found: Render) -> list[tuple[int, str]]:
    return [(document.order, document.text.partition("\n")[2]) for document in found.documents]


def test_documents_come_in_the_order_of_the_model() -> None:
    found = aligned(render(item("b", more="x: 1\n"), item("a")), render(item("a"), item("b")), {A})
    assert [(order, "name: b" in text) for order, text in shown(found)] == [(0, False), (1, True)]
    assert "x: 1" in found.documents[1].text


def test_of_those_with_one_name_the_first_stays_the_first() -> None:
    found = aligned(
        render(item("b"), item("a", more="x: 1\n"), item("a", more="x: 2\n")),
        render(item("a"), item("a"), item("b")),
        {A},
    )
    assert ["x: 1" in text for _, text in shown(found)] == [True, False, False]
    assert ["x: 2" in text for _, text in shown(found)] == [False, True, False]


def test_the_white_space_at_the_end_is_that_of_the_place() -> None:
    """It depends on what comes next."""
    found = aligned(render(item("b"), item("a") + "\n\n"), render(item("a"), item("b") + "\n"), {A})
    assert [text.endswith("\n\n") for _, text in shown(found)] == [False, True]
    assert [text.endswith("\n\n\n") for _, text in shown(found)] == [False, False]


def test_other_objects_leave_the_order_as_it_is() -> None:
    for model in (render(item("a")), render(item("a"), item("c")), render(item("a"), item("b", "Secret"))):
        mine = render(item("b"), item("a"))
        assert aligned(mine, model, {A}).documents == mine.documents


def test_other_sources_stay_as_they_are() -> None:
    mine = parse(document(item("b"), A) + document(item("a"), A) + document(item("d"), B) + document(item("c"), B))
    model = parse(document(item("a"), A) + document(item("b"), A) + document(item("c"), B) + document(item("d"), B))
    found = by_source(aligned(mine, model, {B}))
    assert found[A] == by_source(mine)[A]
    assert [each.text for each in found[B]] == [each.text for each in by_source(model)[B]]
