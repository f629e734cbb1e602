"""Which calls of random functions get fixed results, and how the text of a template changes for it. What helm makes of that:
tests/integration/test_repeatable.py."""

from __future__ import annotations

import re

import pytest

from helmpin.render.nondeterminism import is_random
from helmpin.render.repeatable import changed_files


def changed(code: str) -> str:
    """The code of an action, with `S` for what identifies a call, and without the prefix of named templates."""
    text = changed_files({"templates/a.yaml": f"{{{{ {code} }}}}"}).get("templates/a.yaml", f"{{{{ {code} }}}}")
    text = re.sub(r'list "[A-Za-z0-9]{20}"', 'list "S"', text)
    return text[3:-3].replace("helm-pin: ", "")


@pytest.mark.parametrize(
    ("code", "becomes"),
    [
        ("randAlphaNum 5", 'list "S" 5 | include "repeated"'),
        ("5 | randAlphaNum", '5 | list "S" | include "repeated"'),
        ("randAlphaNum 5 | b64enc | quote", 'list "S" 5 | include "repeated" | b64enc | quote'),
        ("(randAlpha 3 | lower)", '(list "S" 3 | include "repeated" | lower)'),
        ("$x := randNumeric (len .a.b)", '$x := list "S" (len .a.b) | include "repeated"'),
        ('default (randAscii 3) "x"', 'default (list "S" 3 | include "repeated") "x"'),
        ("if eq (randInt 1 9) 3", 'if eq (list "S" 1 9 | include "least" | int) 3'),
        ("(genCA `a` 1).Cert", '(list "S" `a` 1 | include "authority" | fromJson).Cert'),
        (
            'htpasswd .u (bcrypt (printf ")|%s" .p))',
            'list "S" .u (list "S" (printf ")|%s" .p) | include "bcrypt") | include "htpasswd"',
        ),
        (
            'genSignedCert "a" nil (list "b") 3 $ca | toJson',
            'list "S" "a" nil (list "b") 3 $ca | include "signed" | fromJson | toJson',
        ),
        ("shuffle `)`", 'list "S" `)` | include "same"'),
        ("randAlphaNum\n  5\n  | trim", 'list "S"\n  5 | include "repeated"\n  | trim'),
    ],
)
def test_a_call_with_arguments(code: str, becomes: str) -> None:
    assert changed(code) == becomes


@pytest.mark.parametrize(
    "code",
    [
        ".Values.now",
        "$now",
        "$.Values.uuidv4 | quote",
        "`now` | quote",
        '"randAlphaNum 5"',
        "tpl `{{ randAlphaNum 5 }}` .",
        "include `now` .",
        "randomize 5",
        "/* now */",
        "genCAs",
    ],
)
def test_what_stays(code: str) -> None:
    assert changed_files({"a": f"now {{{{ {code} }}}} randAlphaNum 5"}) == {}


def test_a_time_and_a_uuid_are_written_down() -> None:
    assert re.fullmatch(
        r'\(toDate "2006-01-02T15:04:05-0700" "20\d\d-[^"]*"\) \| date "2006"', changed('now | date "2006"')
    )
    assert re.fullmatch(
        r'print "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}"', changed("print uuidv4")
    )
    assert changed("cat now now").count(changed("now")) == 2, "one time for all"


def test_each_call_is_another_one() -> None:
    text = "{{ randAlphaNum 5 }}{{ randAlphaNum 5 }}{{ print (randAlphaNum 5) (randAlphaNum 5) uuidv4 uuidv4 }}"
    files = changed_files({"a": text, "b": text})
    found = re.findall(r'"([^"\s]{20,})"', "".join(files.values()))
    assert len(found) == len(set(found)) == 12
    assert files == changed_files({"b": text, "a": text}), "and the same each time"


@pytest.mark.parametrize(
    ("function", "letters"), [("randAlpha", "[A-Za-z]"), ("randNumeric", "[1-9]"), ("randAscii", r"\w")]
)
def test_the_letters_are_those_of_the_function(function: str, letters: str) -> None:
    for number in range(50):
        text = changed_files({f"{number}": f"{{{{ {function} 5 }}}}"})[f"{number}"]
        assert re.search(rf'list "{letters}{{20}}" 5', text)
        assert not is_random(text)


def test_only_actions_change() -> None:
    text = "now: {{- now -}} # {{/* now */}} now\n{{ `{{ now }}` }}{{ printf `now` | cat now }}"
    found = changed_files({"a": text})["a"]
    assert re.sub(r"\(toDate [^)]*\)", "now", found) == text
