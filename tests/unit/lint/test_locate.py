"""The place of each finding: of the value that sets a tag, else of the line that prints the image."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from helmpin import kube_yaml
from helmpin.chart.setargs import ValuePath, dotted_key, lookup
from helmpin.chart.stage import Chart
from helmpin.errors import HelmFailed, HelmStopped
from helmpin.image.uses import ImageUse
from helmpin.lint.finding import Location
from helmpin.lint.locate import MOST_PATHS, empty_tag_beside, locate, value_location
from helmpin.lint.values_files import ValuesFile
from helmpin.render.output import Render, parse
from helmpin.shapes import text_of
from tests.support.plans import chart
from tests.support.renders import POD, document

TAG = ("image", "tag")
OWN = "image:\n  repository: team/web\n  tag: latest\n"
HEAD = "kind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n"
TEMPLATE = f"{HEAD}  - image: {{{{ .Values.image.repository }}}}:{{{{ .Values.image.tag }}}}\n"
Say = Callable[[Chart, Mapping[str, Any]], Render]


# -- a value in files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "columns"),
    [
        (OWN, 3, (8, 14)),
        ("image: {repository: team/web, tag: latest}\n", 1, (36, 42)),
        ('image:\r\n  tag: "latest" # moves\r\n', 2, (8, 16)),
        ("# é\nimage:\n    tag: 'latest'\n", 3, (10, 18)),
        ("x: &x latest\nimage:\n  tag: *x\n", 3, (8, 10)),
        ("image:\n  tag: &x latest\n", 2, (8, 17)),
        ("x: &x {tag: latest}\nimage: *x\n", 1, (13, 19)),
        ("x: &x\n  tag: latest\nimage:\n  <<: *x\n", 2, (8, 14)),
        ("x: &x\n  tag: main\nimage:\n  <<: *x\n  tag: latest\n", 5, (8, 14)),
        ("image: {tag: main}\nimage: {tag: latest}\n", 2, (14, 20)),
        ("---\nimage: {tag: latest}\n---\n# none\n", 2, (14, 20)),
        ("x: 1\nimage: {tag: latest}\n---\ny: 1\n", 2, (14, 20)),
        ('{"image": {"tag": "latest"}}', 1, (19, 27)),
        ("image:\n  tag: |-\n    latest\n", 2, (8, 0)),
    ],
)
def test_the_place_of_a_value(text: str, line: int, columns: tuple[int, int]) -> None:
    at = Location("v", line, *columns, value="image.tag", path=TAG)
    assert value_location(TAG, {"image": {"tag": "latest"}}, [ValuesFile("v", text)]) == at


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("tag: 1.10\n", 1.1),
        ("tag: 010\n", 8),
        ("tag: 0x10\n", 16),
        ('tag: "010"\n', "010"),
        ("tag: on\n", True),
        ("tag: 1e3\n", 1000.0),
    ],
)
def test_a_tag_that_is_no_text_in_yaml(text: str, value: Any) -> None:
    at = value_location(("tag",), {"tag": value}, [ValuesFile("v", text)])
    assert at is not None and at.line == 1


def test_the_file_that_wins() -> None:
    values = {"image": {"tag": "latest"}}
    files = [
        ValuesFile("none", "x: 1\n"),
        ValuesFile("other", "image: {tag: main}\n"),
        ValuesFile("b", OWN),
        ValuesFile("a", OWN),
    ]
    at = value_location(TAG, values, files)
    assert at is not None and at.file == "b"


@pytest.mark.parametrize(
    "files",
    [
        [],
        [ValuesFile("v", "image: {tag: main}\n")],
        [ValuesFile("v", "image: {tag: latest\n")],
        [ValuesFile("v", "image: {tag: main}\n---\nimage: {tag: latest}\n"), ValuesFile("own", OWN)],
        [ValuesFile("v", "image: {tag: latest}\n---\nimage: {x: 1}\n")],
    ],
)
def test_a_value_that_no_file_surely_gives(files: list[ValuesFile]) -> None:
    """It may come from --set; or Helm 3 and Helm 4 read another document."""
    assert value_location(TAG, {"image": {"tag": "latest"}}, files) is None


def test_a_value_of_a_subchart() -> None:
    values = {"db": {"image": {"tag": "latest"}}, "global": {"tag": "main"}}
    sub = ValuesFile("sub", "image: {tag: latest}\nglobal: {tag: main}\n", ("db",))
    of_db, of_all = (
        value_location(path, values, [ValuesFile("own", "x: 1\n"), sub]) for path in (("db", *TAG), ("global", "tag"))
    )
    assert of_db and (of_db.file, of_db.value, of_db.path) == ("sub", "db.image.tag", TAG)
    assert of_all and (of_all.file, of_all.value, of_all.path) == ("sub", "global.tag", ("global", "tag"))
    above = value_location(("db", *TAG), values, [ValuesFile("own", "db:\n  image:\n    tag: latest\n"), sub])
    assert above and (above.file, above.line, above.path) == ("own", 3, ("db", *TAG))


@pytest.mark.parametrize(
    ("text", "path", "beside"),
    [
        ("image: {repository: web, tag: }\n", ("image", "repository"), TAG),
        ("image: {repository: web, imageVersion: ~}\n", ("image", "repository"), ("image", "imageVersion")),
        ("webImage: web\ntag:\n", ("webImage",), ("tag",)),
        ("image: {repository: web, tag: ''}\n", ("image", "repository"), None),
        ("image: {repository: web, digest: , stage: }\n", ("image", "repository"), None),
        ("image: {name: web, tag: }\n", ("image", "name"), None),
        ("l: [{image: web, tag: }]\n", ("l", 0, "image"), ("l", 0, "tag")),
        ("l: [web]\n", ("l", 0), None),
        ("image: {repository: web, 1: , tag: }\n", ("image", "repository"), TAG),
        ("a: [\n", ("image",), None),
    ],
)
def test_an_empty_tag_beside_a_name(text: str, path: ValuePath, beside: ValuePath | None) -> None:
    assert empty_tag_beside(ValuesFile("v", text), path) == beside


# -- a finding -----------------------------------------------------------------------------------------------------------


def printing(*images: str, after: str = "") -> Say:
    """Renders the chart's values into these images: `{image.tag}` is a value, marked if the copy marks it."""

    def say(_: Chart, values: Mapping[str, Any]) -> Render:
        text = HEAD + "".join(f"  - image: {image} {after}\n" for image in images)
        for path in (TAG, ("image", "repository"), ("other",)):
            now = lookup(values, path)
            text = text.replace(
                f"<{'.'.join(path)}>", text_of(now) if now is not None else text_of(lookup(VALUES, path))
            )
        return parse(document(text))

    return say


VALUES = {"image": {"repository": "team/web", "tag": "latest"}, "other": "x"}


def uses(*images: str) -> list[ImageUse]:
    return list(parse(document(HEAD + "".join(f"  - image: {image}\n" for image in images))).images())


def places(
    folder: Path,
    found: Sequence[ImageUse],
    say: Say,
    files: Sequence[ValuesFile] = (ValuesFile("app/values.yaml", OWN),),
    values: Mapping[str, Any] | None = VALUES,
    template: str = TEMPLATE,
    name: str = "app",
) -> list[tuple[str, int, str]]:
    """File, line and value of each use."""
    made = chart(folder, pod=template)
    at = locate(found, made, values, files, say, name)
    return [(at[use.key].file, at[use.key].line, at[use.key].value) for use in found]


WEB = "team/web:latest"
SET = ("app/values.yaml", 3, "image.tag")
LINE = ("app/templates/pod.yaml", 5, "")


def test_the_value_whose_mark_shows(tmp_path: Path) -> None:
    assert places(tmp_path, uses(WEB), printing("<image.repository>:<image.tag>")) == [SET]


def test_a_tag_key_without_a_value(tmp_path: Path) -> None:
    """Helm 4 leaves it out of the computed values."""
    files = [
        ValuesFile("given", "db: {image: {tag: }}\n"),
        ValuesFile("own", "image:\n  repository: team/web\n  tag:\n"),
    ]
    computed = {"image": {"repository": "team/web"}}
    at = places(tmp_path, uses(WEB), printing("team/web:hp0x"), files, computed)
    assert at == [("own", 3, "image.tag")]


def test_a_value_that_only_looks_so(tmp_path: Path) -> None:
    """Its mark does not show, so the line of the template is the place."""
    assert places(tmp_path, uses(WEB), printing(WEB, after="# helm-pin:0:5")) == [LINE]


def test_a_value_that_no_file_gives(tmp_path: Path) -> None:
    """--set does."""
    say = printing("<image.repository>:<image.tag>", after="# helm-pin:0:5")
    assert places(tmp_path, uses(WEB), say, files=[ValuesFile("app/values.yaml", "x: 1\n")]) == [LINE]


def test_a_chart_that_renders_only_without_marks(tmp_path: Path) -> None:
    """Comments still show, and the most likely value is the place."""

    def say(made: Chart, values: Mapping[str, Any]) -> Render:
        if values:
            raise HelmFailed("no such tag")
        return printing(WEB, after="# helm-pin:0:5")(made, values)

    assert places(tmp_path, uses(WEB), say) == [SET]
    assert places(tmp_path, uses(WEB), say, files=[]) == [LINE]


def test_a_chart_that_renders_only_with_few_marks(tmp_path: Path) -> None:
    """One of the values that may be part of a tag, whatever their keys say, is not only that."""
    tried: list[list[str]] = []

    def say(made: Chart, values: Mapping[str, Any]) -> Render:
        tried.append(list(values))
        if "other" in values:
            raise HelmFailed("unknown")
        return printing("<image.repository>:<image.tag>")(made, values)

    values = {**VALUES, "other": "latest"}
    assert places(tmp_path, uses(WEB), say, values=values) == [SET]
    assert tried == [["image", "other"], ["image"]]


@pytest.mark.parametrize(
    "why",
    [
        "template: app/charts/db/templates/x.yaml:1:2: executing: no version",
        "template: app/templates/x.yaml:1:2: at <semver .Values.db.image.tag>: no version",
        "values don't meet the specifications of the schema(s) in the following chart(s):\ndb:\n- image.tag: Must be 1",
    ],
)
def test_a_chart_that_renders_only_without_the_marks_that_helm_names(why: str, tmp_path: Path) -> None:
    """Those of others still show."""

    def say(made: Chart, values: Mapping[str, Any]) -> Render:
        if "hp" in str(lookup(values, ("db", "image", "tag"))):
            raise HelmFailed("failed", why=why)
        return printing("<image.repository>:<image.tag>")(made, values)

    unread = {"repository": "team/web", "tag": "latest"}
    (use,) = uses(WEB)
    both = [use, use._replace(source="app/charts/db/templates/x.yaml", order=1)]
    files = [ValuesFile("app/values.yaml", f"{OWN}a: {json.dumps(unread)}\ndb: {json.dumps({'image': unread})}\n")]
    assert places(tmp_path, both, say, files, {"a": unread, **VALUES, "db": {"image": unread}})[0] == SET


def test_a_chart_that_does_not_render_again(tmp_path: Path) -> None:
    def say(_: Chart, __: Mapping[str, Any]) -> Render:
        raise HelmFailed("random")

    assert places(tmp_path, uses(WEB), say) == [SET]
    assert places(tmp_path, uses(WEB), say, values=None) == [LINE]


def test_a_helm_that_was_stopped_says_nothing_about_a_mark(tmp_path: Path) -> None:
    def say(_: Chart, __: Mapping[str, Any]) -> Render:
        raise HelmStopped("helm template failed", why="helm was killed by SIGKILL")

    with pytest.raises(HelmStopped):
        places(tmp_path, uses(WEB), say)


def test_white_space_around_a_value(tmp_path: Path) -> None:
    """YAML reads the image without it."""
    values = {"image": {"repository": "team/web", "tag": "latest\n"}}
    files = [ValuesFile("app/values.yaml", "image:\n  repository: team/web\n  tag: |\n    latest\n")]
    assert places(tmp_path, uses(WEB), printing("<image.repository>:<image.tag>"), files, values) == [SET]


def test_a_file_that_is_none(tmp_path: Path) -> None:
    """People see its name; programs need a file that exists."""
    files = [ValuesFile("standard input", OWN, writable=False, is_file=False)]
    say = printing("<image.repository>:<image.tag>", after="# helm-pin:0:5")
    (at,) = locate(uses(WEB), chart(tmp_path, pod=TEMPLATE), VALUES, files, say, "app").values()
    assert (at.file, at.line, at.instead) == ("standard input", 3, LINE[:2])


def test_many_values_that_look_so(tmp_path: Path) -> None:
    """Only some of them get marks."""
    asked: list[Mapping[str, Any]] = []

    def say(made: Chart, values: Mapping[str, Any]) -> Render:
        asked.append(values)
        return printing(WEB)(made, values)

    values = {f"tag{n}Tag": "latest" for n in range(3 * MOST_PATHS)}
    places(tmp_path, uses(WEB), say, values=values)
    assert len(asked[0]) == MOST_PATHS


# -- values that get marks -----------------------------------------------------------------------------------------------

SUB = "app/charts/db/templates/x.yaml"
NAME_AND_TAG = {"repository": "team/web", "tag": "latest"}


def marked_in(values: Any, path: ValuePath = ()) -> dict[int, str]:
    """The values with marks, by the numbers of those."""
    if isinstance(values, str):
        return {int(number): dotted_key(path) for number in re.findall(r"hp(\d+)x", values)}
    parts = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    return {number: key for part, value in parts for number, key in marked_in(value, (*path, part)).items()}


@pytest.mark.parametrize(
    ("image", "values", "source", "tries"),
    [
        (WEB, {"image": NAME_AND_TAG}, POD, [["image.tag"]]),
        (WEB, {"image": {"repository": "team/web", "tag": ""}}, POD, [["image.tag"]]),
        (WEB, {"image": WEB}, POD, [["image"]]),
        (WEB, {"x": WEB}, POD, [["x"]]),
        (WEB, {"x": f"{WEB}\n", "l": [f" {WEB}"]}, POD, [["x", "l[0]"]]),
        (WEB, {"l": [WEB]}, POD, [["l[0]"]]),
        (WEB, {"stage": "latest", "tag": "x"}, POD, [["stage"]]),
        (WEB, {"image": NAME_AND_TAG, "stage": "latest"}, POD, [["image.tag", "stage"], ["image.tag"]]),
        (WEB, {"image": {"name": "web", "tag": "main", "version": "latest"}}, POD, [["image.version", "image.tag"]]),
        (WEB, {"image": {"name": "web", "tag": {"x": 1}, "aTag": ["y"], "bTag": True}}, POD, []),
        (WEB, {"web": "team/web", "db": {"tag": "latest"}}, POD, [["db.tag"]]),
        (WEB, {"tag": "latest", "db": {"tag": "latest"}, "global": {"tag": "latest"}}, SUB, [["db.tag", "global.tag"]]),
        (WEB, {"tag": "latest", "stage": "latest"}, POD, [["tag", "stage"], ["tag"]]),
        (
            WEB,
            {"tag": "latest", "db": {"tag": "latest", "stage": "latest"}, "global": {"tag": "latest"}},
            SUB,
            [["db.tag", "global.tag", "db.stage"], ["db.tag", "global.tag"]],
        ),
        (WEB, {"image": NAME_AND_TAG, "db": {"image": NAME_AND_TAG}}, SUB, [["db.image.tag"]]),
        ("team/web:1.1", {"image": "web", "tag": 1.10}, POD, [["tag"]]),
        ("team/web", {"image": "team/web"}, POD, [["image"]]),
        ("team/web", {"x": "team/web"}, POD, [["x"]]),
        ("team/web", {"image": {"repository": "team/web", "tag": ""}}, POD, [["image.repository", "image.tag"]]),
    ],
)
def test_what_may_set_a_tag(
    image: str, values: dict[str, Any], source: str, tries: list[list[str]], tmp_path: Path
) -> None:
    """The likely values in the order of their likelihood, and first with all others that hold the tag; at last none."""
    tried: list[list[str]] = []

    def say(_: Chart, marked: Mapping[str, Any]) -> Render:
        tried.append([key for _, key in sorted(marked_in(marked).items())])
        raise HelmFailed("no")

    (use,) = uses(image)
    places(tmp_path, [use._replace(source=source)], say, [], values)
    assert tried == [*tries, []]


# -- a line of a text ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x: 1\npod: |\n  a: 1\n  image: team/web:latest\n", 4),
        ("x: 1\npod: &p |-2\n    a: 1\n    image: team/web:latest\n", 4),
        ("x: 1\npod: >\n  a: 1\n\n  image: team/web:latest\n", 2),
        ('x: 1\npod: "a: 1\\nimage: team/web:latest\\n"\n', 2),
    ],
)
def test_a_line_of_a_value_that_is_a_text(text: str, line: int, tmp_path: Path) -> None:
    """Only a literal block has the lines of its text."""
    values = kube_yaml.read_first(text, what="", where="")
    files = [ValuesFile("app/values.yaml", text)]
    say = printing(WEB, after="# helm-pin:0:2")
    assert places(tmp_path, uses(WEB), say, files, values, "{{ .Values.pod }}\n") == [("app/values.yaml", line, "pod")]


def test_a_value_that_sets_the_tag_in_a_text(tmp_path: Path) -> None:
    """It is the place, not the line of the text, which `tpl` renders."""
    text = f"{OWN}pod: |\n  image: {{{{ .Values.image.repository }}}}:{{{{ .Values.image.tag }}}}\n"
    values = kube_yaml.read_first(text, what="", where="")
    files = [ValuesFile("app/values.yaml", text)]
    say = printing("<image.repository>:<image.tag>", after="# helm-pin:0:1")
    assert places(tmp_path, uses(WEB), say, files, values, "{{ tpl .Values.pod . }}\n") == [SET]


def test_a_text_that_no_file_gives(tmp_path: Path) -> None:
    values = {"pod": "a: 1\nimage: team/web:latest\n"}
    say = printing(WEB, after="# helm-pin:0:2")
    template = "# why\n{{ tpl .Values.pod . }}\n"
    assert places(tmp_path, uses(WEB), say, [], values, template) == [("app/templates/pod.yaml", 2, "")]


# -- a likely line -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "lines"),
    [
        (f"{HEAD}  - image: a:latest\n  - image: b:latest\n", [5, 6]),
        (f"{HEAD}  - image: b:latest\n  - image: a:latest\n", [6, 5]),
        (f"{HEAD}  - image: {{{{ .a }}}}\n", [5, 5]),
        (f"{HEAD}  {{{{ toYaml .Values.containers }}}}\n", [5, 5]),
        (f'{HEAD}  {{{{ .Files.Get "x" }}}}\n', [5, 5]),
        ("{{ include `x` . }}\n", [1, 1]),
        (f'{HEAD}  {{{{- /* "a:latest" */}}}}\n  {{{{- include "x" (dict\n "i" "a:latest") }}}}\n', [7, 1]),
    ],
)
def test_images_without_a_comment(template: str, lines: list[int], tmp_path: Path) -> None:
    found = uses("a:latest", "b:latest")
    at = places(tmp_path, found, printing("a:latest", "b:latest"), [], {}, template)
    assert at == [("app/templates/pod.yaml", line, "") for line in lines]


@pytest.mark.parametrize(("given", "line"), [(WEB, 4), ("team/db:latest", 5)])
def test_an_image_that_a_helper_is_given(given: str, line: int, tmp_path: Path) -> None:
    template = (
        "{{ define `x` }}\n{{ end }}\nkind: Pod\n"
        f'{{{{ include "x" (dict "image" "{given}") }}}}\n'
        "image: {{ .image }}\n"
    )
    at = places(tmp_path, uses(WEB), printing(WEB, after="# helm-pin:0:5"), [], {}, template)
    assert at == [("app/templates/pod.yaml", line, "")]


def test_a_line_that_another_image_has_is_not_free(tmp_path: Path) -> None:
    template = f"{HEAD}  - image: {{{{ .a }}}}\n  - image: {{{{ .b }}}}\n"
    found = uses("a:latest", "b:latest")
    text = f"{HEAD}  - image: a:latest # helm-pin:0:5\n  - image: b:latest\n"
    at = places(tmp_path, found, lambda *_: parse(document(text)), [], {}, template)
    assert [line for _, line, _ in at] == [5, 6]


def test_images_of_no_template(tmp_path: Path) -> None:
    """A post-renderer may print them, or say that another chart did."""
    (use,) = uses(WEB)
    unknown, other = use._replace(source=""), use._replace(source="other/charts/x/templates/y.yaml", order=1)
    at = places(tmp_path, [unknown, other], printing(WEB), [], None)
    assert at == [("app", 1, ""), ("app/charts/x/templates/y.yaml", 1, "")]


def test_an_image_of_a_crd(tmp_path: Path) -> None:
    made = chart(tmp_path, {"crds/x.yaml": "kind: X\nimage: team/web:latest\n"})
    (use,) = uses(WEB)
    crd = use._replace(source="app/crds/x.yaml")
    assert locate([crd], made, {}, [], printing(WEB), "app")[crd.key] == Location("app/crds/x.yaml", 2)


def test_a_chart_in_the_working_directory(tmp_path: Path) -> None:
    assert places(tmp_path, uses(WEB), printing(WEB, after="# helm-pin:0:5"), [], name=".") == [
        ("templates/pod.yaml", 5, "")
    ]
