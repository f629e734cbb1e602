"""Which calls of random functions get fixed results, and how the text of a template changes for it. What helm makes of that:
tests/integration/test_repeatable.py."""

from __future__ import annotations

import re

import pytest

from helmpin.render.nondeterminism import is_random
from helmpin.render.repeatable import FILE, changed_files, using_results, without_results


def changed(code: str) -> str:
    """The code of an action, without what identifies the place of a call, and the prefix of named templates."""
    text = changed_files({"templates/a.yaml": f"{{{{ {code} }}}}"}).get("templates/a.yaml", f"{{{{ {code} }}}}")
    text = re.sub(r'list "\d+\.\d+\.\d+" \$', 'list "S"', text)
    text = re.sub(r'list \\"[\d.]+\\" \$', r'list \\"1\\" $', text)
    return text[3:-3].replace("helm-pin: ", "")


@pytest.mark.parametrize(
    ("code", "becomes"),
    [
        ("randAlphaNum 5", 'list "S" 5 | include "randAlphaNum"'),
        ("5 | randAlphaNum", '5 | list "S" | include "randAlphaNum"'),
        ("randAlphaNum 5 | b64enc | quote", 'list "S" 5 | include "randAlphaNum" | b64enc | quote'),
        ("(randAlpha 3 | lower)", '(list "S" 3 | include "randAlpha" | lower)'),
        ("$x := randNumeric (len .a.b)", '$x := list "S" (len .a.b) | include "randNumeric"'),
        ('default (randAscii 3) "x"', 'default (list "S" 3 | include "randAscii") "x"'),
        ("if eq (randInt 1 9) 3", 'if eq (list "S" 1 9 | include "randInt" | int) 3'),
        ("(genCA `a` 1).Cert", '(list "S" `a` 1 | include "genCA" | fromJson).Cert'),
        (
            'htpasswd .u (bcrypt (printf ")|%s" .p))',
            'list "S" .u (list "S" (printf ")|%s" .p) | include "bcrypt") | include "htpasswd"',
        ),
        (
            'genSignedCert "a" nil (list "b") 3 $ca | toJson',
            'list "S" "a" nil (list "b") 3 $ca | include "genSignedCert" | fromJson | toJson',
        ),
        ('tpl `{{ randAlpha 5 }}"é` .', r'tpl "{{ list \"1\" $ 5 | include \"randAlpha\" }}\"é" .'),
        (r'$a := tpl "{{ \"a\" | bcrypt }}" $', r'$a := tpl "{{ \"a\" | list \"1\" $ | include \"bcrypt\" }}" $'),
        ("shuffle `)`", 'list "S" `)` | include "shuffle"'),
        ("randAlphaNum\n  5\n  | trim", 'list "S"\n  5 | include "randAlphaNum"\n  | trim'),
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
        "print `{{ randAlphaNum 5 }}` .",
        r'tpl "\x7b{ randAlphaNum 5 }}" .',
        "include `now` .",
        "randomize 5",
        "/* now */",
        "genCAs",
    ],
)
def test_what_stays(code: str) -> None:
    assert changed_files({"a": f"now {{{{ {code} }}}} randAlphaNum 5"}) == {}


def test_a_time_is_written_down_and_what_needs_no_arguments_may_be_one() -> None:
    assert re.fullmatch(r'\(toDate "2006-01-02T15:04:05-0700" "20[^"]*"\) \| date "2006"', changed('now | date "2006"'))
    assert changed("cat now now").count(changed("now")) == 2, "one time for all"
    assert changed("print uuidv4 uuidv4") == 'print (list "S" | include "uuidv4") (list "S" | include "uuidv4")'


def test_each_place_is_another_one() -> None:
    text = "{{ randAlphaNum 5 }}{{ randAlphaNum 5 }}{{ print (randAlphaNum 5) (randAlphaNum 5) uuidv4 uuidv4 }}"
    files = changed_files({"a": text, "b": text})
    found = re.findall(r'list ("[\d.]+") \$', "".join(files.values()))
    assert len(found) == len(set(found)) == 12
    assert files == changed_files({"a": text, "b": text}), "and the same each time"


def test_nothing_that_changed_is_random() -> None:
    assert not is_random(changed_files({"a": "{{ randInt 1 2 }}{{ uuidv4 }}{{ now }}{{ (genCA `a` 1).Cert }}"})["a"])


def test_the_files_that_use_a_fixed_result() -> None:
    files = {
        "_h.tpl": "{{ define `id` }}{{ uuidv4 }}{{ end }}{{ define `calm` }}x{{ end }}",
        "a": "{{ include `id` . }}",
        "b": "{{ randAlpha 3 }}",
        "c": "{{ include `calm` . }}",
        "d": "{{ now }}",
        "e": "{{ include (print $.Template.BasePath `/b`) . | sha256sum }}",
    }
    assert using_results({**files, **changed_files(files)}) == {"_h.tpl", "a", "b"}


@pytest.mark.parametrize(
    ("argument", "stays_random"),
    [
        (".", False),
        ("$", False),
        ('(dict "root" $ "length" 3)', False),
        ("(list .context 3)", False),
        ("$found", False),
        ("(list 3)", True),
        ("(list .Values.length $.Values.least)", True),
        ('"a.b$c" | quote', True),
        ('(list .Release.Name) | printf "%s" .', True),
        ("", True),
    ],
)
def test_a_named_template_that_gets_none_of_helms_objects(argument: str, stays_random: bool) -> None:
    files = {
        "_h.tpl": '{{ define "word" }}{{ randAlpha 3 }}{{ end }}{{ define "words" }}{{ include "word" . }}{{ end }}',
        "a": f'{{{{ printf "%s" (include "words" {argument}) }}}} {{{{ .Values.a }}}}',
        "b": '{{ include "words" . }}{{ randAlpha 3 }}',
        "_c.tpl": '{{ define "calm" }}x{{ end }}{{/* include "words" . */}}{{ define "more" }}{{ end }}',
        "_d.tpl": '{{ define "first" }}{{ keys . | first }}{{ end }}',
        "d": '{{ include "calm" (list 3) }}{{ include "first" (dict "a" 1) }}',
        "c": '{{ define "of c" }}{{ template "a word" 3 }}{{ end }}',
    }
    compared = {**files, **changed_files(files), FILE: "{{ include `helm-pin: hash` (list 1) }}"}
    assert without_results(compared) == ({"a"} if stays_random else set())


@pytest.mark.parametrize(("piped", "stays_random"), [("tuple . 3", False), ("$ | list", False), ("list 3", True)])
def test_a_named_template_that_gets_helms_objects_piped(piped: str, stays_random: bool) -> None:
    files = {
        "_h.tpl": '{{ define "word" }}{{ randAlpha 3 }}{{ end }}',
        "a": f'{{{{ {piped} | include "word" | quote }}}}',
    }
    compared = {**files, **changed_files(files), FILE: "{{ include `helm-pin: hash` (list 1) }}"}
    assert without_results(compared) == ({"a"} if stays_random else set())


def test_only_actions_change() -> None:
    text = "now: {{- now -}} # {{/* now */}} now\n{{ `{{ now }}` }}{{ printf `now` | cat now }}"
    found = changed_files({"a": text})["a"]
    assert re.sub(r"\(toDate [^)]*\)", "now", found) == text
