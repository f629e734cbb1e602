"""What is printed: readable, valid for programs, and harmless for terminals and CI systems whatever it holds."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helmpin import cli, env, kube_yaml, output, structured, timeline
from helmpin.errors import HelmFailed

HOSTILE = (
    "web:latest\n::stop-commands::x\n \t::add-mask::y\r\x1b[31mred \x9b0m ##[set-env]z ##vso[a]\u202edlrow\u2066\x7f"
)
NASTY = st.text(
    st.one_of(
        st.sampled_from(
            "\x00\x07\x1b\x9b\x7f\x85\r\n\t :#[]{}\"'\\%,&*!|>-?@`~=<yn01.e_\u2028\u202e\u2067\u200f\ufeff"
        ),
        st.sampled_from("é漢\U0001f600"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=12,
) | st.sampled_from(
    ["::stop-commands::x", "##[error]x", "y", "N", "1e5", "0o17", "08", "~", "<<", "=", "2026-01-01", "---"]
)
TREES = st.recursive(
    NASTY | st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NASTY, inner, max_size=3),
    max_leaves=8,
)


def harmless(text: str, *, lines: bool = True) -> None:
    """No control character, no change of direction, no line break but newlines, and no command of a CI system."""
    for character in text:
        assert character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs"), ascii(text)
        assert unicodedata.bidirectional(character) not in (
            *("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"),
        ), ascii(text)
        assert lines or character not in "\n\t"
    assert not re.search("[\u2028\u2029]", text)
    assert not any(line.strip().startswith("::") for line in text.split("\n")), text
    assert not re.search(r"##\w*\[", text), text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at https://me:secret@example.com/x.tgz, or", "at https://***@example.com/x.tgz, or"),
        ("oci://me:p@secret@example.com:5000/x", "oci://***@example.com:5000/x"),
        ("https://example.com/v?ref=1&private_token=secret&x=1", "https://example.com/v?ref=1&private_token=***&x=1"),
        ('"https://s3.example.com/v?X-Amz-Signature=secret"', '"https://s3.example.com/v?X-Amz-Signature=***"'),
        ("https://example.com/a@b", "https://example.com/a@b"),
        (f"docker-pullable://web@sha256:{'a' * 64}", f"docker-pullable://web@sha256:{'a' * 64}"),
        ("no URL?token=a me:secret@example.com", "no URL?token=a me:secret@example.com"),
    ],
)
def test_no_login_of_a_url_is_printed(text: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.say(text)
    assert capsys.readouterr().err == f"{shown}\n"
    message = HelmFailed(text, where=text, why=text, hint=text).message()
    assert message == f"{shown}\n  at    {shown}\n  why   {shown}\n  next  {shown}"


@settings(deadline=None)
@given(st.text() | NASTY)
def test_nothing_that_is_printed_can_do_harm(text: str) -> None:
    harmless(output.printable(text))
    harmless(output.one_line(text), lines=False)
    table = output.table(("IMAGE", "HOW"), [(text, text)])
    harmless(table)
    assert len(table.split("\n")) == 2
    message = HelmFailed(text, where=[text, text], why=text, hint=text).message()
    harmless(message)
    assert all(line.startswith("  ") for line in message.split("\n")[1:])


def test_what_is_escaped_can_be_seen() -> None:
    assert output.one_line(HOSTILE) == (
        r"web:latest\n::stop-commands::x\n \t::add-mask::y\r\x1b[31mred \x9b0m #\x23[set-env]z #\x23vso[a]\u202edlrow\u2066\x7f"
    )
    assert output.printable("a\n ::b") == "a\n \\x3a:b"
    assert output.printable("\ufffe\uffff") == r"\ufffe\uffff"
    assert output.as_json("\ufffe\uffff") == r'"\ufffe\uffff"'


@pytest.mark.parametrize(
    "text", ["nginx:1.25", "café 漢字 😀", "a:b::c", "# ## [x]", "\tx", "std::vector", "[::1]:5000/x"]
)
def test_what_does_no_harm_stays(text: str) -> None:
    assert output.printable(text) == text


@settings(deadline=None)
@given(TREES)
def test_json_is_valid_and_says_the_same(data: Any) -> None:
    text = output.as_json(data)
    assert json.loads(text) == data
    harmless(text)


@settings(deadline=None)
@given(TREES)
def test_yaml_is_valid_and_says_the_same(data: Any) -> None:
    """As helm reads it: see tests/integration/test_kube_yaml.py."""
    text = structured.as_yaml(data)
    assert kube_yaml.read_first(text, what="w", where="x") == data
    harmless(text)


def test_a_name_that_is_not_utf8() -> None:
    assert output.printable("a\udcff") == r"a\udcff"
    assert json.loads(output.as_json({"a": "\udcff"})) == {"a": "\udcff"}


def test_what_is_said_goes_through_it(capsys: pytest.CaptureFixture[str]) -> None:
    output.say(HOSTILE)
    output.write(HOSTILE)
    structured.show({"x": HOSTILE}, "json")
    structured.show({"x": HOSTILE}, "yaml")
    printed = capsys.readouterr()
    harmless(printed.err)
    harmless(printed.out)


def test_so_does_what_is_printed_when_helm_pin_ends_or_debugs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The description of a revision, an object's name in kubectl's arguments, and the text of an exception may come from others."""
    monkeypatch.setitem(env.ENVIRON, "HELM_DEBUG", "true")
    monkeypatch.setattr(timeline, "STEPS", [])
    timeline.note("kubectl get", 0, 0, f"kubectl get {HOSTILE}")
    harmless(capsys.readouterr().err)
    stopped = (
        "import sys; from helmpin import lifeline; lifeline.if_stopped(lambda: sys.argv[1] + chr(0xDCFF));"
        "lifeline.say_last_words(lifeline.Stopped(15), sys.stdout.write)"
    )
    done = subprocess.run([sys.executable, "-c", stopped, f"5 is failed: {HOSTILE}"], capture_output=True, text=True)
    assert done.stdout.startswith("Stopped: 5 is failed: web:latest") and "SIGTERM" in done.stdout, done.stderr
    harmless(done.stdout)
    harmless(cli.unforeseen(ValueError(HOSTILE)).message())


def test_colour_is_for_terminals(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert output.colour("ok\x1b", "32") == r"ok\x1b"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert output.colour("ok\x1b", "32") == "\x1b[32mok\\x1b\x1b[0m"
    del capsys
