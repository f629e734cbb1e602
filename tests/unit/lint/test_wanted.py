"""The file in which a value is written: where the user would look for it."""

from __future__ import annotations

import pytest

from helmpin.chart.setargs import Setting, ValuePath
from helmpin.lint.edit import CannotEdit
from helmpin.lint.values_files import ValuesFile
from helmpin.lint.wanted import placed

A = f"sha256:{'a' * 64}"
IMAGE = "example.com/team/web:latest"
TAG = ("image", "tag")
OWN = "image:\n  repository: example.com/team/web\n  tag: latest\n"


def place(path: ValuePath, *files: ValuesFile, value: str = f"latest@{A}", image: str = IMAGE) -> tuple[str, ValuePath]:
    """The name of the file, and the path in it."""
    wanted = placed([Setting(path, value)], image, files)
    assert [setting.value for setting in wanted.settings] == [value]
    return wanted.file.name, wanted.settings[0].path


@pytest.mark.parametrize(
    "given",
    [
        "image:\n  tag: main\n",
        "image: {tag: ''}\n",
        "image:\r\n  tag:\r\n",
        "t: &t main\nimage:\n  tag: *t\n",
        "x: &x {tag: main}\nimage: *x\n",
        "x: &x\n  tag: main\nimage:\n  <<: *x\n",
        "image:\n  repository: example.com/team/web\n",
        "image:\n  registry: example.com\n",
        "image:\n  NAME: web\n",
        "a: 1\n---\nimage: {}\n",
    ],
)
def test_the_file_that_gives_a_part_of_the_image(given: str) -> None:
    assert place(TAG, ValuesFile("given", given), ValuesFile("own", OWN)) == ("given", TAG)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "# image:\n#   tag: main\n",
        "image:\n  pullPolicy: Always\n",
        "image:\n  registry: ''\n",
        "image:\n  repository: other\n",
        "image:\n  name: [web]\n",
        "image:\n  debug: web\n",
        "image: {}\n",
        "image: web\n",
        "image: {tag: main\n",
        "repository: example.com/team/web\n",
    ],
)
def test_a_file_that_gives_nothing_of_the_image(given: str) -> None:
    assert place(TAG, ValuesFile("given", given), ValuesFile("own", OWN)) == ("own", TAG)


def test_a_part_that_the_value_holds_itself_decides_nothing() -> None:
    """A whole reference needs no repository beside it."""
    given = ValuesFile("given", "registry: example.com\n")
    own = ValuesFile("own", "image: example.com/team/web:latest\n")
    assert place(("image",), given, own, value=f"{IMAGE}@{A}") == ("own", ("image",))
    assert place(("image",), given, own, value=f"team/web:latest@{A}") == ("given", ("image",))


SUBCHART = ValuesFile("sub", OWN, ("db",))


@pytest.mark.parametrize(
    ("parent", "file"),
    [
        ("db:\n  image:\n    tag: main\n", ("own", ("db", *TAG))),
        ("db:\n  image: {repository: example.com/team/web}\n", ("own", ("db", *TAG))),
        ("db:\n  enabled: true\n", ("sub", TAG)),
        ("image:\n  tag: main\n", ("sub", TAG)),
        ("", ("sub", TAG)),
    ],
)
def test_an_image_of_a_subchart(parent: str, file: tuple[str, ValuePath]) -> None:
    assert place(("db", *TAG), ValuesFile("own", parent), SUBCHART) == file


@pytest.mark.parametrize(
    ("path", "own", "sub", "file"),
    [
        (("image", "digest"), "image:\n  x: 1\n", "", ("own", ("image", "digest"))),
        (("db", "image", "digest"), "db: {}\n", "image:\n  x: 1\n", ("sub", ("image", "digest"))),
        (
            ("db", "image", "digest"),
            "db:\n  image:\n    x: 1\n",
            "image:\n  x: 1\n",
            ("own", ("db", "image", "digest")),
        ),
        (("db", "image", "digest"), "db:\n  image:\n    x: 1\n", "y: 1\n", ("own", ("db", "image", "digest"))),
        (("db", "image", "digest"), "db:\n", "# none\n", ("own", ("db", "image", "digest"))),
        (("image", "digest"), "a: [\n", "", ("own", ("image", "digest"))),
    ],
)
def test_what_no_file_gives_goes_where_most_of_its_path_is(
    path: ValuePath, own: str, sub: str, file: tuple[str, ValuePath]
) -> None:
    assert place(path, ValuesFile("own", own), ValuesFile("sub", sub, ("db",)), value=A) == file


@pytest.mark.parametrize(
    ("given", "file"), [("image:\n  pullPolicy: Always\n", "own"), ("image:\n  sub:\n    y: 1\n", "given")]
)
def test_what_no_file_gives_goes_to_the_charts_own_if_that_does_not_decide(given: str, file: str) -> None:
    own = ValuesFile("own", "image:\n  name: x\n", own=True)
    path = ("image", "sub", "tag")
    assert place(path, ValuesFile("given", given), own) == (file, path)


def test_a_global_value_of_a_subchart() -> None:
    path = ("global", "tag")
    assert place(path, ValuesFile("own", "x: 1\n"), ValuesFile("sub", "global: {tag: latest}\n", ("db",))) == (
        "sub",
        path,
    )


def test_an_element_of_a_list() -> None:
    path = ("tools", 1, "image")
    own = ValuesFile("own", "tools:\n- image: a:1\n- image: example.com/team/web:latest\n")
    shorter = ValuesFile("given", "tools:\n- image: a:1\n")
    assert place(path, shorter, own) == ("own", path)
    assert place(path, ValuesFile("given", "tools: [{}, {image: b}]\n"), own) == ("given", path)


@pytest.mark.parametrize("given", ['{"image": {"tag": "main"}}', '{"image": {"registry": "example.com"}}'])
def test_what_a_flag_gives_is_not_written(given: str) -> None:
    files = [ValuesFile("--set", given, writable=False), ValuesFile("own", OWN)]
    with pytest.raises(CannotEdit, match=r"^--set gives a part of it, and --fix writes what files give$"):
        placed([Setting(TAG, A)], IMAGE, files)


@pytest.mark.parametrize(
    ("given", "path", "own"),
    [
        ('{"image": "team/b:main"}', ("image",), ValuesFile("own", "image: example.com/team/web:latest\n")),
        ('{"db": {"image": {"repository": "other", "tag": "main"}}}', ("db", *TAG), SUBCHART),
    ],
)
def test_a_whole_image_that_a_flag_gives_is_not_written(given: str, path: ValuePath, own: ValuesFile) -> None:
    with pytest.raises(CannotEdit, match=r"^--set gives a part of it"):
        placed([Setting(path, A)], "team/b:main", [ValuesFile("--set", given, writable=False), own])


def test_no_value_goes_to_a_file_that_cannot_be_written() -> None:
    packed = ValuesFile("packed", "image: {}\n", writable=False)
    assert place(("image", "digest"), packed, ValuesFile("own", ""), value=A) == ("own", ("image", "digest"))


def test_values_that_belong_together_go_into_one_file() -> None:
    settings = [Setting(("db", "image"), f"{IMAGE}@{A}"), Setting(("db", "tag"), "")]
    wanted = placed(settings, IMAGE, [ValuesFile("own", "tag: main\n"), ValuesFile("sub", "image: x\n", ("db",))])
    assert wanted.settings == (Setting(("image",), f"{IMAGE}@{A}"), Setting(("tag",), ""))
    assert str(wanted) == "sub: image, tag"
