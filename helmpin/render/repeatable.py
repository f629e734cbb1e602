"""Charts that print the same in each render: what calls sprig's random functions gets fixed results.

Two renders of a chart can then be compared exactly, whatever it makes at random. A result depends on the place of the call, on how
often that was called, and on the arguments. So what reaches a password, a certificate's names or its lifetime still shows, and no
two results are the same. The time is that of the first call of this run.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING

from helmpin.render.actions import STRING, actions
from helmpin.render.nondeterminism import calling, may_call

if TYPE_CHECKING:
    from helmpin.chart.stage import Chart

FILE = "templates/helm-pin/_repeatable.tpl"
"""The file of the named templates that the changed calls use."""
PREFIX = "helm-pin: "
"""How the names of the named templates begin."""
_THEN = {
    "randInt": " | int",
    **{
        f"gen{name}{with_key}": " | fromJson"
        for name in ("CA", "SelfSignedCert", "SignedCert")
        for with_key in ("", "WithKey")
    },
}
"""What makes the result of the text that a named template prints, where that is no text."""
_CALLS = frozenset(
    {
        *_THEN,
        *("randAlphaNum", "randAlpha", "randAscii", "randNumeric", "randBytes", "shuffle"),
        *("bcrypt", "htpasswd", "encryptAES", "genPrivateKey", "uuidv4"),
    }
)
"""sprig's random functions (crypto.go, numeric.go, strings.go), beside `now`."""
_DEFINES = {
    "chart's": r"""
{{- /* whether something is a map as helm gives it to templates */ -}}
{{- regexMatch `^map\[string\]interface|Values$` (typeOf .) -}}
""",
    "hash": r"""
{{- /* for a place, what its template gets (which has helm's .Template, or a map of it has), and the arguments */ -}}
{{- $place := first . -}}
{{- $some := list (index . 1) -}}
{{- if eq (include "helm-pin: chart's" (first $some)) "true" -}}
{{- range first $some }}{{ $some = append $some . }}{{ end -}}
{{- end -}}
{{- $file := "" -}}
{{- $turn := 0 -}}
{{- range $some -}}
{{- if and (not $file) (eq (include "helm-pin: chart's" .) "true") -}}
{{- $template := index . "Template" -}}
{{- if eq (include "helm-pin: chart's" $template) "true" -}}
{{- $file = toString (index $template "Name") -}}
{{- $turn = int (default 0 (index $template (print "helm-pin " $place))) -}}
{{- $_ := set $template (print "helm-pin " $place) (add1 $turn) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson (list "@OTHER@" $place $file $turn (slice . 2)) | sha256sum -}}
""",
    "text": r"""
{{- /* of the first argument's length, from the letters that are not left out */ -}}
{{- $length := index .call 2 -}}
{{- $letters := regexReplaceAll .without (include "helm-pin: hash" (slice .call 0 2) | b64enc | trimAll "=") "" -}}
{{- trunc $length (repeat (int (add1 (div $length (len $letters)))) $letters) -}}
""",
    "pem": r"""
{{- printf "-----BEGIN %s-----\n%s\n-----END %s-----\n" .of (b64enc .hash) .of -}}
""",
    "pair": r"""
{{- $hash := include "helm-pin: hash" . -}}
{{- $cert := include "helm-pin: pem" (dict "of" "CERTIFICATE" "hash" $hash) -}}
{{- dict "Cert" $cert "Key" (include "helm-pin: pem" (dict "of" "RSA PRIVATE KEY" "hash" $hash)) | toJson -}}
""",
    "randAlphaNum": r"""{{- include "helm-pin: text" (dict "call" . "without" "[^A-Za-z0-9]") -}}""",
    "randAlpha": r"""{{- include "helm-pin: text" (dict "call" . "without" "[^A-Za-z]") -}}""",
    "randAscii": r"""{{- include "helm-pin: randAlphaNum" . -}}""",
    "randNumeric": r"""{{- include "helm-pin: text" (dict "call" . "without" "[^1-9]") -}}""",
    "randBytes": r"""{{- include "helm-pin: randAlphaNum" . | b64enc -}}""",
    "randInt": r"""
{{- $_ := print (trunc (index . 2) "") (trunc (index . 3) "") -}}
{{- $range := sub (index . 3) (index . 2) -}}
{{- $number := mod (adler32sum (include "helm-pin: hash" .) | int64) $range -}}
{{- add (index . 2) (get (dict "" $number "another" $number "least" 0 "most" (sub $range 1)) "@OTHER@") -}}
""",
    "shuffle": r"""{{- trimPrefix "" (index . 2) -}}""",
    "uuidv4": r"""
{{- $hash := include "helm-pin: hash" . | trunc 32 -}}
{{- regexReplaceAll "(.{8})(.{4}).(.{3}).(.{3})(.{12})" $hash "${1}-${2}-4${3}-8${4}-${5}" -}}
""",
    "bcrypt": r"""
{{- $_ := trimPrefix "" (index . 2) -}}
{{- print "$2a$10$" (include "helm-pin: hash" . | trunc 53) -}}
""",
    "htpasswd": r"""
{{- $_ := trimPrefix (index . 2) (index . 3) -}}
{{- if contains ":" (index . 2) }}invalid username: {{ index . 2 }}
{{- else }}{{ index . 2 }}:$2a$10${{ include "helm-pin: hash" . | trunc 53 }}{{ end -}}
""",
    "encryptAES": r"""
{{- $_ := trimPrefix (index . 2) (index . 3) -}}
{{- include "helm-pin: hash" . | b64enc -}}
""",
    "genPrivateKey": r"""
{{- $kinds := dict "rsa" "RSA PRIVATE KEY" "dsa" "DSA PRIVATE KEY" "ecdsa" "EC PRIVATE KEY" "ed25519" "PRIVATE KEY" -}}
{{- $kind := get $kinds (index . 2) -}}
{{- if $kind }}{{ include "helm-pin: pem" (dict "of" $kind "hash" (include "helm-pin: hash" .)) -}}
{{- else }}Unknown type {{ index . 2 }}{{ end -}}
""",
    "genCA": r"""
{{- $_ := trunc (index . 3) (index . 2) -}}
{{- include "helm-pin: pair" . -}}
""",
    "genCAWithKey": r"""
{{- $_ := trimPrefix (index . 4) "" -}}
{{- include "helm-pin: genCA" . -}}
""",
    "genSelfSignedCert": r"""
{{- $_ := trunc (index . 5) (index . 2) -}}
{{- include "helm-pin: pair" . -}}
""",
    "genSelfSignedCertWithKey": r"""
{{- $_ := trimPrefix (index . 6) "" -}}
{{- include "helm-pin: genSelfSignedCert" . -}}
""",
    "genSignedCert": r"""
{{- $_ := (index . 6).Cert -}}
{{- include "helm-pin: genSelfSignedCert" . -}}
""",
    "genSignedCertWithKey": r"""
{{- $_ := trimPrefix (index . 7) "" -}}
{{- include "helm-pin: genSignedCert" . -}}
""",
}
"""Named templates, by name: for each function one that gets a list of what "hash" takes. As sprig's functions do, they fail for an
argument of another type: what helm deploys would fail, too."""
_WORD = re.compile(rf"{STRING.pattern}|'(?:\\.|[^'\\])*'|[.$\w]+|[()|]")
"""What matters in the code of an action. A field (`.now`) and a variable (`$now`) are one word with what stands before."""
_ANY = re.compile(rf"(?:{'|'.join([*_CALLS, 'now'])})\b")


def repeatable(chart: Chart) -> Chart:
    """The chart with fixed results in place of random ones; itself if it calls no such function."""
    changed = changed_files(chart.template_files())
    return chart.with_files({**changed, FILE: _defines("")}) if changed else chart


def others(compared: Chart) -> list[Chart]:
    """A chart that repeatable() gave, with other results: other texts, and other numbers, of which the least and the largest."""
    has_numbers = any(f'"{PREFIX}randInt"' in text for path, text in compared.template_files().items() if path != FILE)
    return [
        compared.with_files({FILE: _defines(other)})
        for other in ("another", *(("least", "most") if has_numbers else ()))
    ]


def using_results(compared: Mapping[str, str]) -> set[str]:
    """Those template files (path → text) of a chart that repeatable() gave which use a fixed result, themselves or by a named
    template; the time does not count."""
    return calling(compared, lambda text: f'include "{PREFIX}' in text)


def _defines(other: str) -> str:
    return "".join(
        f'{{{{- define "{PREFIX}{name}" -}}}}{body.strip()}{{{{- end -}}}}\n' for name, body in _DEFINES.items()
    ).replace("@OTHER@", other)


def changed_files(files: Mapping[str, str]) -> dict[str, str]:
    """The template files (path → text) that call a random function, changed."""
    found = {path: _changed(text, str(number)) for number, (path, text) in enumerate(files.items()) if may_call(text)}
    return {path: text for path, text in found.items() if text != files[path]}


def _changed(text: str, place: str) -> str:
    """A template file with each random call changed. Strings stay, also those that `tpl` evaluates."""
    pieces: list[str] = []
    kept = number = 0
    for action in actions(text):
        if not _ANY.search(action.code):
            continue
        start = text.index(action.code, action.start)
        for at, length, new in _edits(action.code, f"{place}.{number}"):
            pieces += [text[kept : start + at], new]
            kept = start + at + length
        number += 1
    return "".join([*pieces, text[kept:]])


def _edits(code: str, place: str) -> Iterator[tuple[int, int, str]]:
    """The changes to the code of an action: where, how many characters go, and what comes. A call reaches to the end of its command
    (text/template, Pipelines); what is piped into it becomes its last argument, as before. One without arguments may be an argument
    itself."""
    ends: list[str] = [""]  # what ends the call, if one is open, for each open parenthesis
    number = 0
    last = 0
    for word in _WORD.finditer(code):
        token = word[0]
        if token in ("|", ")"):
            if ends[-1]:
                yield last, 0, ends[-1]
            ends[-1] = ""
        if token == "(":
            ends.append("")
        elif token == ")" and len(ends) > 1:
            ends.pop()
        elif token == "now":
            yield word.start(), len(token), _now()
        elif token in _CALLS:
            listed, printed = f'list "{place}.{number}" $', f' | include "{PREFIX}{token}"{_THEN.get(token, "")}'
            number += 1
            if token == "uuidv4":
                listed, printed = f"({listed}{printed})", ""
            yield word.start(), len(token), listed
            ends[-1] = printed or ends[-1]
        last = word.end()
    if ends[-1]:
        yield last, 0, ends[-1]


@cache
def _now() -> str:
    """An expression for the time of the first call, to the second."""
    return f'(toDate "2006-01-02T15:04:05-0700" "{time.strftime("%Y-%m-%dT%H:%M:%S%z")}")'
