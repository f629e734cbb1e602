"""Charts that print the same in each render: calls of sprig's random functions give fixed results.

Two renders of a chart can then be compared exactly, whatever it makes at random. A result depends on the place of the call, on how
often that was called, and on the arguments. So what reaches a password, a certificate's names or its lifetime still shows, and two
results differ. Where a named template does not get what the count is kept in, the result stays random. What lists a map in Go's
random order lists it in the order of its keys. The time is that of the first call of this run.
"""

from __future__ import annotations

import json
import re
import time
from bisect import bisect
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING

from helmpin.chart import OWN_FOLDER
from helmpin.render.actions import COMMENT, STRING, actions
from helmpin.render.nondeterminism import calling, defined, lists_in_any_order, names_calling, possible_calls, used

if TYPE_CHECKING:
    from helmpin.chart.stage import Chart

FILE = f"{OWN_FOLDER}_repeatable.tpl"
"""The file of the named templates that the changed calls use."""
PREFIX = "helm-pin: "
"""How the names of the named templates begin."""
_CERTIFICATE = (
    "MIIB/DCCAWWgAwIBAgIUF6nRIXCfJx/a8k4EBgJqVpB53hkwDQYJKoZIhvcNAQELBQAwEDEOMAwGA1UEAwwFZml4ZWQwHhcNMjYxMTMwMDQ0OTAwWhcNMjYx"
    "MjAxMDQ0OTAwWjAQMQ4wDAYDVQQDDAVmaXhlZDCBnzANBgkqhkiG9w0BAQEFAAOBjQAwgYkCgYEA1XLOt4r5jR8MTdXzK315QCckSydUDOR2TAdL2AKlZllT"
    "IRV61P5jse5Jyt+6uR/BQZkxoRIeVRgdOtSUw5khpGrQ24li7RZ6cV9Zu5ohqT37gz6RS0ON8ozcwlT5BMgFdvjrYVNDODjEYwjHrFp2WUGP42KgKsra6u2d"
    "2lqzqwECAwEAAaNTMFEwHQYDVR0OBBYEFAm0TJPKa+cs5ge/SJgNIiPsYtu+MB8GA1UdIwQYMBaAFAm0TJPKa+cs5ge/SJgNIiPsYtu+MA8GA1UdEwEB/wQF"
    "MAMBAf8wDQYJKoZIhvcNAQELBQADgYEAfDpCwPKyNt+/glqqCRwLrrItQCYqi6QWmk8O4MMM8Ketd1JQY49bnN0bMXddTzE1X0EFrcjzZgSWoj6f/Z9FBbbA"
    "1+/Dl+yx5DaOBl6ndQSMaEdILcn6tVu1axX3Mn0r7gu0LvGnm7pY6xCYVsTEeNFi3aL2ypfTo+Bagghae0Y="
)
"""A certificate that signs itself (X.509, RFC 5280), in base64: what a chart reads again must be one."""
_KEY = (
    "MIICWwIBAAKBgQDVcs63ivmNHwxN1fMrfXlAJyRLJ1QM5HZMB0vYAqVmWVMhFXrU/mOx7knK37q5H8FBmTGhEh5VGB061JTDmSGkatDbiWLtFnpxX1m7miGp"
    "PfuDPpFLQ43yjNzCVPkEyAV2+OthU0M4OMRjCMesWnZZQY/jYqAqytrq7Z3aWrOrAQIDAQABAoGAbBgBEbhCmrH/hCd2Ry76yX9JBPo8uW61bdlAEnt8kbFo"
    "xNdg5h6SFFitbB0TLY8kSnkvRfer/sIAg3uGfuu8ud8VuPrfIdjljlIM07LUqcygohDCsA3DsswerbQ8vyfJcrU8dJ4xDnVMX1tqcto9+/ENDcTo83cU7qkF"
    "5WYpCZUCQQD0LHjTCQEO7/GMbr1Via7J139LD+TWe+tens2NiE+UDpzP63+oixcZBlapE30fgL6tmDiyIfUiDN0ZzCs27mmPAkEA38le75V0x7Op/v+2nu4h"
    "1A2wANQS4PVcWH4KWqWiVvCbtQrxkxp0bQwgQrfocmOeXXED7Q+O2WN27D49QD66bwJAW1Fehp5xdOKr1bd8u8bYRciAZNQ24zhJGIQPoAUArgChCOmsPp52"
    "Lve95VHSk7uUlFu/qG8mvGtPLVy8NLkJZQJAZZbtsQeA/xNRjcAZ8CYcVz5rcsTTWSopZMa6/pGIk70gglxYdDYjOkmx73e7XwpYHwUqChjw+UDNAMv0VFDl"
    "owJAKQ4kJVPQ/Wrvkf2vDzv/gHLAl0GMgznju60phB/T/u1yu6f05rivu4XpRjSomAMQWEJCT9/pF13YHnzDkg5AKg=="
)
"""Its key, of 1,024 bits (PKCS #1, RFC 8017). It protects nothing."""
_THEN = {
    "randInt": " | int",
    **{
        f"gen{name}{with_key}": " | fromJson"
        for name in ("CA", "SelfSignedCert", "SignedCert")
        for with_key in ("", "WithKey")
    },
    "keys": " | fromJsonArray",
    "values": " | fromJsonArray",
}
"""What makes the result of the text that a named template prints, where that is no text."""
_CALLS = frozenset(
    {
        *_THEN,
        *("randAlphaNum", "randAlpha", "randAscii", "randNumeric", "randBytes", "shuffle"),
        *("bcrypt", "htpasswd", "encryptAES", "genPrivateKey", "uuidv4"),
    }
)
"""sprig's random functions (crypto.go, numeric.go, strings.go) but `now`, and what lists maps in Go's random order (dict.go)."""
_BY = """{{ $by := index . 6 }}{{ if kindIs "map" $by }}{{ $by = buildCustomCert (b64enc $by.Cert) (b64enc $by.Key) }}{{ end }}"""
"""What signs a certificate: sprig's functions take no map, which a fixed result is."""
_DEFINES = {
    "chart's": r"""
{{- /* whether something is a map as helm gives it to templates */ -}}
{{- regexMatch `^map\[string\]interface|Values$` (typeOf .) -}}
""",
    "hash": r"""
{{- /* of a place, its turn in a file, and arguments; empty where helm's .Template is not in what the template got */ -}}
{{- $place := first . -}}
{{- $level := list (index . 1) -}}
{{- $holds := list "map" "slice" -}}
{{- $file := "" -}}
{{- $turn := 0 -}}
{{- range until 3 -}}
{{- $next := list -}}
{{- range $one := $level -}}
{{- $isMap := eq (include "helm-pin: chart's" $one) "true" -}}
{{- $template := "" -}}
{{- if and $isMap (not $file) }}{{ $template = index $one "Template" }}{{ end -}}
{{- if eq (include "helm-pin: chart's" $template) "true" -}}
{{- $file = toString (index $template "Name") -}}
{{- $turn = int (default 0 (index $template (print "helm-pin " $place))) -}}
{{- $_ := set $template (print "helm-pin " $place) (add1 $turn) -}}
{{- end -}}
{{- if or $isMap (kindIs "slice" $one) -}}
{{- range $one }}{{ if and (has (kindOf .) $holds) (lt (len $next) 200) }}{{ $next = append $next . }}{{ end }}{{ end -}}
{{- end -}}
{{- end -}}
{{- $level = $next -}}
{{- end -}}
{{- if $file }}{{ toJson (list "@OTHER@" $place $file $turn (slice . 2)) | sha256sum }}{{ end -}}
""",
    "text": r"""
{{- $letters := regexReplaceAll (index . 2) (first . | b64enc) "" -}}
{{- trunc (index . 1) (repeat (int (add1 (div (index . 1) (len $letters)))) $letters) -}}
""",
    "pem": r"""
{{- printf "-----BEGIN %s-----\nHash: %s\n\n%s\n-----END %s-----\n" .of .hash .body .of -}}
""",
    "pair": r"""
{{- $cert := include "helm-pin: pem" (dict "of" "CERTIFICATE" "hash" . "body" "@CERTIFICATE@") -}}
{{- $key := include "helm-pin: pem" (dict "of" "RSA PRIVATE KEY" "hash" . "body" "@KEY@") -}}
{{- dict "Cert" $cert "Key" $key | toJson -}}
""",
    **{
        name: rf"""
{{{{- $hash := include "helm-pin: hash" (slice . 0 2) -}}}}
{{{{- if $hash }}}}{{{{ include "helm-pin: text" (list $hash (index . 2) "{without}") -}}}}
{{{{- else }}}}{{{{ {name} (index . 2) }}}}{{{{ end -}}}}
"""
        for name, without in (
            ("randAlphaNum", "[^A-Za-z0-9]"),
            ("randAlpha", "[^A-Za-z]"),
            ("randAscii", "[^A-Za-z0-9]"),
            ("randNumeric", "[^1-9]"),
        )
    },
    "randBytes": r"""
{{- $_ := randBytes (index . 2) -}}
{{- include "helm-pin: randAlphaNum" . | b64enc -}}
""",
    "randInt": r"""
{{- $_ := randInt (index . 2) (index . 3) -}}
{{- $hash := include "helm-pin: hash" . -}}
{{- if $hash -}}
{{- $range := sub (index . 3) (index . 2) -}}
{{- /* of the upper half: another range has another one */ -}}
{{- $number := sub (sub $range 1) (mod (adler32sum $hash | int64) (div (add1 $range) 2)) -}}
{{- add (index . 2) (get (dict "" $number "another" $number "least" 0 "most" (sub $range 1)) "@OTHER@") -}}
{{- else }}{{ randInt (index . 2) (index . 3) }}{{ end -}}
""",
    "shuffle": r"""
{{- $text := trimPrefix "" (index . 2) -}}
{{- ternary $text (splitList "" $text | reverse | join "") (empty "@OTHER@") -}}
""",
    "uuidv4": r"""
{{- $hash := include "helm-pin: hash" . | trunc 32 -}}
{{- if $hash }}{{ regexReplaceAll "(.{8})(.{4}).(.{3}).(.{3})(.{12})" $hash "${1}-${2}-4${3}-8${4}-${5}" -}}
{{- else }}{{ uuidv4 }}{{ end -}}
""",
    "bcrypt": r"""
{{- $_ := trimPrefix "" (index . 2) -}}
{{- with include "helm-pin: hash" . }}{{ print "$2a$10$" (trunc 53 .) }}{{ else }}{{ bcrypt (index . 2) }}{{ end -}}
""",
    "htpasswd": r"""
{{- $_ := trimPrefix (index . 2) (index . 3) -}}
{{- $hash := include "helm-pin: hash" . -}}
{{- if and $hash (not (contains ":" (index . 2))) }}{{ index . 2 }}:$2a$10${{ trunc 53 $hash -}}
{{- else }}{{ htpasswd (index . 2) (index . 3) }}{{ end -}}
""",
    "encryptAES": r"""
{{- $_ := trimPrefix (index . 2) (index . 3) -}}
{{- with include "helm-pin: hash" . }}{{ b64enc . }}{{ else }}{{ encryptAES (index . 2) (index . 3) }}{{ end -}}
""",
    "genPrivateKey": r"""
{{- $kinds := dict "rsa" "RSA PRIVATE KEY" "dsa" "DSA PRIVATE KEY" "ecdsa" "EC PRIVATE KEY" "ed25519" "PRIVATE KEY" -}}
{{- $kind := get $kinds (index . 2) -}}
{{- $hash := include "helm-pin: hash" . -}}
{{- if and $kind $hash }}{{ include "helm-pin: pem" (dict "of" $kind "hash" $hash "body" "@KEY@") -}}
{{- else }}{{ genPrivateKey (index . 2) }}{{ end -}}
""",
    **{
        name: rf"""
{{{{- $_ := trunc (index . {days}) (index . 2) -}}}}
{{{{- $_ = {read} -}}}}
{{{{- with include "helm-pin: hash" . }}}}{{{{ include "helm-pin: pair" . -}}}}
{{{{- else }}}}{by}{{{{ {name} {" ".join(f"(index . {n})" for n in range(2, most))} {more} | toJson }}}}{{{{ end -}}}}
"""
        for name, days, most, more, read, by in (
            ("genCA", 3, 4, "", '""', ""),
            ("genCAWithKey", 3, 5, "", 'trimPrefix (index . 4) ""', ""),
            ("genSelfSignedCert", 5, 6, "", '""', ""),
            ("genSelfSignedCertWithKey", 5, 7, "", 'trimPrefix (index . 6) ""', ""),
            ("genSignedCert", 5, 6, "$by", "(index . 6).Cert", _BY),
            (
                "genSignedCertWithKey",
                5,
                6,
                "$by (index . 7)",
                'print (index . 6).Cert (trimPrefix (index . 7) "")',
                _BY,
            ),
        )
    },
    **{
        name: rf"""
{{{{- /* in the order of the keys; in a chart with other results, the other way round */ -}}}}
{{{{- $found := list -}}}}
{{{{- range $map := slice . 2 -}}}}
{{{{- $_ := hasKey $map "" -}}}}
{{{{- range $key, $value := $map }}}}{{{{ $found = append $found ${each} }}}}{{{{ end -}}}}
{{{{- end -}}}}
{{{{- toJson (ternary $found (reverse $found) (empty "@OTHER@")) -}}}}
"""
        for name, each in (("keys", "key"), ("values", "value"))
    },
}
"""Named templates, by name: for each function one that gets a list of what "hash" takes. As sprig's functions do, they fail for an
argument of another type: what helm deploys would fail, too."""
_WORD = re.compile(rf"{STRING.pattern}|'(?:\\.|[^'\\])*'|[.$\w]+|[()|]")
"""What matters in the code of an action. A field (`.now`) and a variable (`$now`) are one word with what stands before."""
_NEEDS_OBJECTS = re.compile(rf"{PREFIX}(?!(?:keys|values)\b)")
_USE = re.compile(r"""\b(?:include|template)\s+["`]([^"`]+)["`]""")
_VALUE = re.compile(rf"{STRING.pattern}|\$?\.(?:Values|Chart|Release|Capabilities|Files)\b[\w.]*")
"""What an argument can hold besides helm's objects. Whether a variable or another field has these, its text does not show."""
_MAY_HOLD_OBJECTS = re.compile(r"[.$]")


def repeatable(chart: Chart) -> Chart:
    """The chart with fixed results in place of random ones; itself if it calls no such function."""
    changed = changed_files(chart.template_files())
    return chart.with_files({**changed, FILE: _defines("")}) if changed else chart


def others(compared: Chart) -> list[Chart]:
    """A chart that repeatable() gave, with other results: other texts, maps in another order, and other numbers, of which the least
    and the largest."""
    has_numbers = any(f"{PREFIX}randInt" in text for path, text in compared.template_files().items() if path != FILE)
    return [
        compared.with_files({FILE: _defines(other)})
        for other in ("another", *(("least", "most") if has_numbers else ()))
    ]


def own_files(compared: Mapping[str, str]) -> dict[str, str]:
    """The template files (path → text) of a chart that repeatable() gave, without what it added."""
    return {path: text for path, text in compared.items() if path != FILE}


def using_results(compared: Mapping[str, str]) -> set[str]:
    """Those template files (path → text) of a chart that repeatable() gave which use a fixed result, themselves or by a named
    template; the time does not count."""
    return calling(compared, lambda text: PREFIX in text)  # the quotes before it may be escaped, in a string for `tpl`


def without_results(compared: Mapping[str, str]) -> set[str]:
    """Those whose results stay random: they use, themselves or by a named template, one that gets none of helm's objects."""
    files = own_files(compared)
    if not any(PREFIX in text for text in files.values()):
        return set()
    # a comment before the next definition may name others; other files stay, since what they use is known already
    defining = {path for path, text in files.items() if "/*" in text and defined(text)}
    files = {path: COMMENT.sub("", text) if path in defining else text for path, text in files.items()}
    random = names_calling(files, lambda text: _NEEDS_OBJECTS.search(text) is not None)
    return calling(files, lambda text: _gives_no_object(text, random)) if random else set()


def _gives_no_object(text: str, names: set[str]) -> bool:
    """Whether a template uses one of these named templates without giving it helm's objects, as far as its text shows."""
    return not names.isdisjoint(used(text)) and any(
        use[1] in names and not _MAY_HOLD_OBJECTS.search(_VALUE.sub("", _given(action.code, use)))
        for action in actions(text)
        for use in _USE.finditer(action.code)
    )


def _given(code: str, use: re.Match[str]) -> str:
    """What the use of a named template is given: its argument, or what is piped into it (`tuple . | include "name"`)."""
    before = code[: use.start()].rstrip()
    return (before if before.endswith("|") else "") + _argument(code[use.end() :])


def _argument(code: str) -> str:
    """The code up to the end of the command (text/template, Pipelines)."""
    depth = 0
    for word in _WORD.finditer(code):
        depth += (word[0] == "(") - (word[0] == ")")
        if depth < 0 or (depth == 0 and word[0] == "|"):
            return code[: word.start()]
    return code


def _defines(other: str) -> str:
    text = "".join(
        f'{{{{- define "{PREFIX}{name}" -}}}}{body.strip()}{{{{- end -}}}}\n' for name, body in _DEFINES.items()
    )
    return text.replace("@OTHER@", other).replace("@CERTIFICATE@", _CERTIFICATE).replace("@KEY@", _KEY)


def changed_files(files: Mapping[str, str]) -> dict[str, str]:
    """The template files (path → text) that call a random function, changed."""
    found = {path: _changed(text, str(number)) for number, (path, text) in enumerate(files.items())}
    return {path: text for path, text in found.items() if text != files[path]}


def _changed(text: str, place: str) -> str:
    """A template with each random call changed."""
    calls = sorted(possible_calls(text))
    if not calls:
        return text
    pieces: list[str] = []
    kept = number = 0
    for action in actions(text):
        nearest = bisect(calls, action.start)
        if nearest == len(calls) or calls[nearest] >= action.end:
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
    itself. Strings stay, but for one that `tpl` evaluates."""
    ordered = not lists_in_any_order(code)
    ends: list[str] = [""]  # what ends the call, if one is open, for each open parenthesis
    number = last = 0
    before = ""
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
        elif before == "tpl" and token[0] in '"`':
            yield word.start(), len(token), _literal(token, f"{place}.{number}")
            number += 1
        elif token == "now" or token.startswith("now."):
            yield word.start(), len("now"), _now()
        elif token in _CALLS and not (ordered and token in ("keys", "values")):
            listed, printed = f'list "{place}.{number}" $', f' | include "{PREFIX}{token}"{_THEN.get(token, "")}'
            number += 1
            if token == "uuidv4":
                listed, printed = f"({listed}{printed})", ""
            yield word.start(), len(token), listed
            ends[-1] = printed or ends[-1]
        before, last = token, word.end()
    if ends[-1]:
        yield last, 0, ends[-1]


def _literal(string: str, place: str) -> str:
    """A string of a template's code, which is a template itself, with each random call changed. Unchanged if it has escapes that Go
    has and JSON has not."""
    try:
        text = string[1:-1] if string[0] == "`" else json.loads(string)
    except ValueError:
        return string
    changed = _changed(text, place)
    return string if changed == text else json.dumps(changed, ensure_ascii=False)


@cache
def _now() -> str:
    """An expression for the time of the first call, to the second."""
    return f'(toDate "2006-01-02T15:04:05-0700" "{time.strftime("%Y-%m-%dT%H:%M:%S%z")}")'
