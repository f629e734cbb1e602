"""Charts that print the same in each render: what calls sprig's random functions gets fixed results.

Two renders of a chart can then be compared exactly, whatever it makes at random. A result depends on the place of the call and on
the arguments, so what reaches a password, a certificate's names or its lifetime still shows. The time is that of the first call of
this run. A number may choose rather than fill in: so there is another chart of the kind, with other numbers.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from string import ascii_letters, digits
from typing import TYPE_CHECKING, NamedTuple

from helmpin.render.actions import STRING, actions
from helmpin.render.nondeterminism import may_call

if TYPE_CHECKING:
    from helmpin.chart.stage import Chart

FILE = "templates/helm-pin/_repeatable.tpl"
"""The file of the named templates that the changed calls use."""
_DEFINES = {
    "repeated": (
        "{{- $seed := first . -}}{{- trunc (last .) (repeat (int (add1 (div (last .) (len $seed)))) $seed) -}}"
    ),
    "bytes": '{{- include "helm-pin: repeated" . | b64enc -}}',
    "same": '{{- trimPrefix "" (last .) -}}',
    "least": "{{- $_ := trunc (index . 1) `` -}}{{- $_ = trunc (index . 2) `` -}}{{- index . 1 -}}",
    "most": "{{- sub (index . 2) 1 -}}",
    "bcrypt": "{{- $_ := trunc 0 (index . 1) -}}{{- printf `$2a$10$%s` (toJson . | sha256sum | trunc 53) -}}",
    "htpasswd": (
        "{{- $_ := trunc 0 (index . 2) -}}"
        '{{- printf `%s:$2a$10$%s` (trimPrefix "" (index . 1)) (toJson . | sha256sum | trunc 53) -}}'
    ),
    "encrypted": "{{- $_ := replace (index . 1) (index . 2) `` -}}{{- toJson . | sha256sum | b64enc -}}",
    "key": (
        "{{- $data := toJson . | sha256sum | b64enc -}}"
        "{{- printf `-----BEGIN RSA PRIVATE KEY-----\n%s\n-----END RSA PRIVATE KEY-----\n` $data -}}"
    ),
    "authority": '{{- $_ := trunc (index . 2) (index . 1) -}}{{- include "helm-pin: pair" . -}}',
    "certificate": '{{- $_ := trunc (index . 4) (index . 1) -}}{{- include "helm-pin: pair" . -}}',
    "signed": '{{- $_ := index . 5 -}}{{- include "helm-pin: certificate" . -}}',
    "pair": (
        "{{- $data := toJson . | sha256sum | b64enc -}}"
        "{{- $cert := printf `-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n` $data -}}"
        '{{- dict "Cert" $cert "Key" (include "helm-pin: key" .) | toJson -}}'
    ),
}
"""Named templates, by name. Each gets a list: what identifies the call, and its arguments. As sprig's functions do, they fail for
an argument of another type: what helm deploys would fail, too."""
_PREFIX = "helm-pin: "
_LEAST = f'"{_PREFIX}least"'
_TEXT = "".join(f'{{{{- define "{_PREFIX}{name}" -}}}}{body}{{{{- end -}}}}\n' for name, body in _DEFINES.items())


class _Call(NamedTuple):
    """What a call of a random function becomes."""

    result: str
    """The named template that prints its result."""
    alphabet: str = ascii_letters
    """What the text that identifies the call consists of."""
    then: str = ""
    """What makes the result of the text that the named template prints."""


_PAIRS = {name: _Call(name, then=" | fromJson") for name in ("authority", "certificate", "signed")}
_CALLS = {
    "randAlphaNum": _Call("repeated", f"{ascii_letters}{digits}"),
    "randAlpha": _Call("repeated"),
    "randAscii": _Call("repeated", f"{ascii_letters}{digits}"),
    "randNumeric": _Call("repeated", digits.lstrip("0")),
    "randBytes": _Call("bytes", f"{ascii_letters}{digits}"),
    "shuffle": _Call("same"),
    "bcrypt": _Call("bcrypt"),
    "htpasswd": _Call("htpasswd"),
    "encryptAES": _Call("encrypted"),
    "genPrivateKey": _Call("key"),
    "randInt": _Call("least", then=" | int"),
    **dict.fromkeys(("genCA", "genCAWithKey"), _PAIRS["authority"]),
    **dict.fromkeys(("genSelfSignedCert", "genSelfSignedCertWithKey"), _PAIRS["certificate"]),
    **dict.fromkeys(("genSignedCert", "genSignedCertWithKey"), _PAIRS["signed"]),
}
"""sprig's random functions with arguments (crypto.go, numeric.go, strings.go); its others are `uuidv4` and `now`."""
_WORD = re.compile(rf"{STRING.pattern}|'(?:\\.|[^'\\])*'|[.$\w]+|[()|]")
"""What matters in the code of an action. A field (`.now`) and a variable (`$now`) are one word with what stands before."""
_ANY = re.compile(rf"(?:{'|'.join([*_CALLS, 'uuidv4', 'now'])})\b")


def repeatable(chart: Chart) -> Chart:
    """The chart with fixed results in place of random ones; itself if it calls no such function."""
    changed = changed_files(chart.template_files())
    return chart.with_files({**changed, FILE: _TEXT}) if changed else chart


def with_other_numbers(compared: Chart) -> Chart | None:
    """A chart that repeatable() gives, whose numbers are the largest that may come where they were the smallest; None if it has
    none."""
    files, most = compared.template_files(), f'"{_PREFIX}most"'
    changed: dict[str, str | None] = {
        path: text.replace(_LEAST, most) for path, text in files.items() if path != FILE and _LEAST in text
    }
    return compared.with_files(changed) if changed else None


def changed_files(files: Mapping[str, str]) -> dict[str, str]:
    """The template files (path → text) that call a random function, changed."""
    found = {path: _changed(path, text) for path, text in files.items() if may_call(text)}
    return {path: text for path, text in found.items() if text != files[path]}


def _changed(path: str, text: str) -> str:
    """A template file with each random call changed. Strings stay, also those that `tpl` evaluates."""
    pieces: list[str] = []
    kept = number = 0
    for action in actions(text):
        if not _ANY.search(action.code):
            continue
        start = text.index(action.code, action.start)
        for at, length, new in _edits(action.code, f"{path} {number}"):
            pieces += [text[kept : start + at], new]
            kept = start + at + length
        number += 1
    return "".join([*pieces, text[kept:]])


def _edits(code: str, place: str) -> Iterator[tuple[int, int, str]]:
    """The changes to the code of an action: where, how many characters go, and what comes. A call reaches to the end of its command
    (text/template, Pipelines); what is piped into it becomes its last argument, as before."""
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
        elif token in ("now", "uuidv4"):
            yield word.start(), len(token), _now() if token == "now" else f'"{_uuid(f"{place} {number}")}"'
            number += 1
        elif call := _CALLS.get(token):
            yield word.start(), len(token), f'list "{_seed(f"{place} {number}", call.alphabet)}"'
            ends[-1] = f' | include "{_PREFIX}{call.result}"{call.then}'
            number += 1
        last = word.end()
    if ends[-1]:
        yield last, 0, ends[-1]


def _seed(place: str, alphabet: str) -> str:
    """What identifies a call: 20 characters, of which the first is a letter if the alphabet has any."""
    number, found = int(sha256(place.encode(errors="surrogateescape")).hexdigest(), 16), ""
    while len(found) < 20:
        letters = alphabet if found else alphabet[:52]
        number, rest = divmod(number, len(letters))
        found += letters[rest]
    return found


def _uuid(place: str) -> str:
    """A UUID of version 4 (RFC 9562, section 5.4)."""
    digits = sha256(place.encode(errors="surrogateescape")).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"


@cache
def _now() -> str:
    """An expression for the time of the first call, to the second."""
    return f'(toDate "2006-01-02T15:04:05-0700" "{time.strftime("%Y-%m-%dT%H:%M:%S%z")}")'
