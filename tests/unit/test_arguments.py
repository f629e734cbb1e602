"""Splitting a command line as pflag does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helmpin.arguments import Given, dry_run, is_on, last, split, whole_number, words
from helmpin.errors import UsageError
from helmpin.helm import Flag

VALUES, SET, INSTALL, WAIT = (
    Flag("--values", True),
    Flag("--set", True),
    Flag("--install", False),
    Flag("--wait", False),
)
FLAGS = {"--values": VALUES, "-f": VALUES, "--set": SET, "--install": INSTALL, "-i": INSTALL, "--wait": WAIT}


@pytest.mark.parametrize(
    ("argv", "positionals", "given"),
    [
        ("web ./chart", ["web", "./chart"], []),
        ("--values x web", ["web"], [("--values", "x")]),
        ("web --values=x", ["web"], [("--values", "x")]),
        ("--set a=b web", ["web"], [("--set", "a=b")]),
        ("--set=a=b web", ["web"], [("--set", "a=b")]),
        ("-f x web", ["web"], [("--values", "x")]),
        ("-fx web", ["web"], [("--values", "x")]),
        ("-f=x web", ["web"], [("--values", "x")]),
        ("-if x web", ["web"], [("--install", None), ("--values", "x")]),
        ("-ifx web", ["web"], [("--install", None), ("--values", "x")]),
        ("-i=false web", ["web"], [("--install", "false")]),
        ("--wait web", ["web"], [("--wait", None)]),
        ("--wait=watcher web", ["web"], [("--wait", "watcher")]),
        ("-f - web", ["web"], [("--values", "-")]),
        ("--values --install web", ["web"], [("--values", "--install")]),
        ("web -- --values -f", ["web", "--values", "-f"], []),
        ("web -", ["web", "-"], []),
        ("--values= web", ["web"], [("--values", "")]),
    ],
)
def test_split(argv: str, positionals: list[str], given: list[tuple[str, str | None]]) -> None:
    found, flags = split(argv.split(" "), FLAGS)
    assert (found, [(flag.name, flag.value) for flag in flags]) == (positionals, given)


@pytest.mark.parametrize("argv", ["-if x --set=a=b --wait -fy --install=false", "--values x"])
def test_words_mean_the_same_again(argv: str) -> None:
    _, given = split(argv.split(), FLAGS)
    again = split(words(given), FLAGS)[1]
    assert [(g.name, g.value) for g in again] == [(g.name, g.value) for g in given]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("--nope", "unknown flag: --nope"),
        ("-x", "unknown flag: -x"),
        ("-ix", "unknown flag: -x"),
        ("--values", "needs an argument: --values"),
        ("web -f", "needs an argument: -f"),
        ("-if", "needs an argument: -f"),
    ],
)
def test_usage(argv: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        split(argv.split(), FLAGS)


def test_a_near_name_is_proposed() -> None:
    with pytest.raises(UsageError) as failed:
        split(["--valuez"], FLAGS)
    assert failed.value.hint == "did you mean --values?"


def test_a_name_with_a_letter_too_many_is_near() -> None:
    with pytest.raises(UsageError) as failed:
        split(["--fixx"], {"--fix": Flag("--fix", False), "--suggest": Flag("--suggest", False)})
    assert failed.value.hint == "did you mean --fix?"


def test_the_closest_come_first() -> None:
    names = ("--registry-ca-file", "--registry-client-cert", "--registry-password-stdin", "--registry-timeout")
    with pytest.raises(UsageError) as failed:
        split(["--registry-password=s3cr3t"], {name: Flag(name, True) for name in names})
    assert failed.value.hint.startswith("did you mean --registry-password-stdin or ")
    assert "s3cr3t" not in failed.value.message()


@pytest.mark.parametrize(
    ("argv", "on"),
    [
        ("", False),
        ("-i", True),
        ("-i=true", True),
        ("-i=false", False),
        ("-i=0", False),
        ("-i -i=F", False),
        ("-i=false -i", True),
        ("--wait", False),
    ],
)
def test_is_on(argv: str, on: bool) -> None:
    assert is_on(split(argv.split(), FLAGS)[1], "--install") is on


def test_last() -> None:
    given = split(["-f", "a", "--set", "x=y", "-f", "b"], FLAGS)[1]
    assert (last(given, "--values"), last(given, "--install")) == ("b", None)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PIECES = st.one_of(
    st.tuples(st.just("positional"), st.just(""), TEXTS.filter(lambda text: text == "-" or not text.startswith("-"))),
    st.tuples(st.sampled_from(["long", "equals"]), st.sampled_from(["--values", "--set"]), TEXTS),
    st.tuples(st.sampled_from(["short", "glued", "short equals", "grouped"]), st.just("--values"), TEXTS),
    st.tuples(st.just("switch"), st.sampled_from(["--install", "--wait"]), st.none()),
)


def written(form: str, name: str, value: str | None) -> list[str]:
    """A flag as a person may write it."""
    text = value or ""
    glued = text if text and not text.startswith("=") else f"={text}"
    forms = {
        "positional": [text],
        "long": [name, text],
        "equals": [f"{name}={text}"],
        "short": ["-f", text],
        "glued": [f"-f{glued}"],
        "short equals": [f"-f={text}"],
        "grouped": ["-if", text],
        "switch": [name],
    }
    return forms[form]


@given(pieces=st.lists(PIECES, max_size=8))
def test_whatever_the_order_and_the_form(pieces: list[tuple[str, str, str | None]]) -> None:
    argv = [word for piece in pieces for word in written(*piece)]
    expected: list[tuple[str, str | None]] = []
    for form, name, value in pieces:
        expected += [("--install", None)] if form == "grouped" else []
        expected += [(name, value)] if form != "positional" else []
    positionals, found = split(argv, FLAGS)
    assert positionals == [value for form, _, value in pieces if form == "positional"]
    assert [(flag.name, flag.value) for flag in found] == expected
    assert split(words(found), FLAGS) == ([], found)


@pytest.mark.parametrize(
    ("text", "least", "number"),
    [
        ("1", 1, 1),
        ("0", 0, 0),
        ("0", 1, None),
        ("007", 1, 7),
        ("-1", 0, None),
        ("x", 1, None),
        ("", 0, None),
        ("1.0", 1, None),
    ]
    + [("٣", 1, None), ("9" * 10, 1, int("9" * 10)), ("9" * 5000, 1, None)],
)
def test_whole_numbers(text: str, least: int, number: int | None) -> None:
    assert whole_number(text, least) == number


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([], "none"),
        ([None], "client"),
        (["client"], "client"),
        (["true"], "client"),
        (["server"], "server"),
        (["none"], "none"),
        (["False"], "none"),
        (["server", "none"], "none"),
    ],
)
def test_what_a_dry_run_is(values: list[str | None], kind: str) -> None:
    flags = [Given("--dry-run", value, ()) for value in values]
    assert dry_run([Given("--wait", None, ()), *flags]) == kind
