"""What a chart makes at random, found without a second render.

The renders contain one more template, the second pass. It evaluates each template that may be random once more, on copies of the
values, so the two evaluations do not influence each other. A leaf that differs between them is random. Helm runs the deepest path
first (pkg/engine/engine.go, sortTemplates), so the second pass comes before all other templates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from helmpin.render.actions import STRING, actions, any_matches, whole_word

TEMPLATE = "templates/helm-pin/a/b/c/d/e/f/g/h/i/j/second-pass.yaml"
_FUNCTIONS = {
    "rand": "(?:AlphaNum|Alpha|Ascii|Numeric|Bytes|Int)",
    "gen": r"(?:PrivateKey|CA|SelfSignedCert|SignedCert)\w*",
    **dict.fromkeys(("uuidv4", "now", "htpasswd", "bcrypt", "encryptAES", "shuffle"), ""),
}
"""sprig's random functions: the start of the name, which is searched for first, and the rest."""
_RANDOM = re.compile(rf"\b(?:{'|'.join(map(''.join, _FUNCTIONS.items()))})\b")
_IN_ANY_ORDER = re.compile(
    r"(?<![\w.$])(?<!len \()(?:keys|values)\b(?!.*\bsortAlpha\b)(?![^()|]*\|\s*len\b)", re.DOTALL
)
"""What lists a map in Go's random order and leaves it so (sprig, dict.go); not for its length alone."""
_MAY_CALL = {
    word: re.compile(rf"{word}{rest}(?=[\s)|}}])") for word, rest in {**_FUNCTIONS, "keys": "", "values": ""}.items()
}
"""A first look that finds too much: plain text and comments count. Python's re is four times as fast with expressions that begin
with letters."""
_FAILS = re.compile(r"^\s*fail\b|\|\s*fail\s*$")
"""What prints nothing: its order shows in an error alone."""
_BEFORE_NO_CALL = re.compile(r"""[\w.$"'`]""")
_EVALUATES = whole_word("tpl")
_DEFINE = re.compile(r"""\{\{-?\s*define\s+["`]([^"`]+)["`]""")
_USED_BY_ANY_NAME = re.compile(r"include\s+[($.](?![^}]*\bBasePath\b)")
"""A named template whose name is computed. A file's path, as checksums usually compute it, does not count."""
_USED = tuple(re.compile(rf"""{word}\s+["`]([^"`]+)["`]""") for word in ("include", "template"))
_CHANGES = re.compile(r"\b(?:set|unset|(?:mustM|m)erge\w*)\b")
"""The functions that change a map (sprig, dict.go)."""
_CHANGES_SHARED = tuple(
    whole_word(word, r"\s+\(?\s*(?:\$\s|\$?\w*\.)")
    for word in ("set", "unset", "merge", "mergeOverwrite", "mustMerge", "mustMergeOverwrite")
)
_HANDS_SUBCHARTS = re.compile(r"(?:include|template)\b[^}]*\.Subcharts\b")


def may_be_random(files: Mapping[str, str], *, tpl: bool = False) -> set[str]:
    """The template files (path → text) whose output may differ from run to run: they call a random function of sprig, list a
    map in any order, or call a named template that does either.

    tpl: whether what `tpl` evaluates may do so, too.
    """
    return _calling(files, lambda text: is_random(text) or (tpl and any_matches(text, _EVALUATES)))


def may_be_in_any_order(files: Mapping[str, str], *, tpl: bool = False) -> set[str]:
    """Those of may_be_random() that may list a map in any order."""
    return _calling(files, lambda text: _lists_in_any_order(text) or (tpl and any_matches(text, _EVALUATES)))


def _calling(files: Mapping[str, str], calls: Callable[[str], bool]) -> set[str]:
    """The files that call something, themselves or by a named template."""
    calling = {path for path, text in files.items() if calls(text)}
    if not calling:
        return set()
    uses: dict[str, set[str]] = {}
    found: set[str] = set()
    by_any_name: set[str] = set()
    for path, text in files.items():
        for name, body in defined(text):
            uses.setdefault(name, set()).update(used(body))
            if _USED_BY_ANY_NAME.search(body):
                by_any_name.add(name)
            if path in calling and calls(body):
                found.add(name)
    found |= by_any_name if found else set()
    while more := {name for name, used in uses.items() if name not in found and used & found}:
        found |= more
    return {
        path
        for path, text in files.items()
        if path in calling or (found and (found & used(text) or _USED_BY_ANY_NAME.search(text)))
    }


def is_random(text: str) -> bool:
    """Whether an action of a template calls a random function, or lists a map in any order. Its strings do not, unless `tpl`
    evaluates one."""
    return _calls(text, _RANDOM, _IN_ANY_ORDER)


def _lists_in_any_order(text: str) -> bool:
    return _calls(text, _IN_ANY_ORDER)


@lru_cache(maxsize=4096)
def _calls(text: str, *calls: re.Pattern[str]) -> bool:
    """Whether an action of a template calls one of these. Cached, because `tpl` makes a plan ask twice."""
    if not may_call(text, _MAY_CALL):
        return False
    return any(
        each.search(action.code)
        and not _FAILS.search(action.code)
        and (_EVALUATES.search(action.code) or each.search(STRING.sub('""', action.code)))
        for action in actions(text)
        for each in calls
    )


def may_call(text: str, words: Iterable[str] = tuple(_FUNCTIONS)) -> bool:
    """Whether a template may call a random function, or what else has words in _MAY_CALL; a first look that finds too much."""
    return any(
        call.start() == 0 or not _BEFORE_NO_CALL.match(text, call.start() - 1)
        for word in words
        if word in text
        for call in _MAY_CALL[word].finditer(text)
    )


def defined(text: str) -> list[tuple[str, str]]:
    """(name, body) of each named template that a template file defines. A body reaches up to the next one."""
    pieces = _DEFINE.split(text)
    return list(zip(pieces[1::2], pieces[2::2], strict=True))


def used(text: str) -> set[str]:
    """The named templates that a template uses."""
    return {name for uses in _USED for name in uses.findall(text)}


def subcharts(source: str) -> tuple[str, tuple[str, ...]]:
    """The chart of a template by its `# Source:` path: its own path, and the names of the subcharts down to it. A folder in
    templates/ may be called charts, too."""
    found = re.match(r"[^/]+(?:/charts/[^/]+(?=/))*", source)
    chart = found[0] if found else ""
    return chart, tuple(chart.split("/")[2::2])


def may_set_for_others(files: Mapping[str, str]) -> set[str]:
    """The template files (path → text) that may change what other templates get (`set .Values …`), themselves or by a named
    template. Maps in variables do not count: most are made on the spot."""
    return _calling(files, lambda text: any(any_matches(text, change) for change in _CHANGES_SHARED))


def may_change_subcharts(texts: Iterable[str]) -> bool:
    """Whether a template may change what helm gives it of its subcharts: itself (`set .Subcharts.db.Values …`), or by a named
    template that it hands them to."""
    texts = list(texts)
    reading = [text for text in texts if "Subcharts" in text]
    if any(map(_CHANGES.search, reading)):
        return True
    return any(map(_HANDS_SUBCHARTS.search, reading)) and any(map(_CHANGES.search, texts))


_Chart = tuple[str, tuple[str, ...]]
"""A chart as subcharts() gives it: its path, and the names of the subcharts down to it."""


def template(sources: Iterable[str], setting: Iterable[str] = (), *, copies_subcharts: bool = False) -> str:
    """The second pass over `sources` (as helm prints them after `# Source:`), a hook for the reasons of probe.py.

    It evaluates each twice, in helm's order, on two copies of what helm gives to templates: what one template sets is there for the
    next, as in the render. What differs between the two is random. What differs only from the render may be what other templates
    change (`set .Values …`), since this one is evaluated before all others. What a template prints for a missing value, helm takes
    out of a whole file (pkg/engine/engine.go, render), not of `include`.

    setting: further templates that set what those may read. copies_subcharts: whether to copy `.Subcharts` too, which takes long,
    since these have all of their files.
    """
    random, lines = {*sources}, ["{{- $second := dict -}}{{- $third := dict -}}"]
    ordered = sorted(random.union(setting), key=_turn, reverse=True)
    charts = sorted({*map(subcharts, ordered)}, key=lambda chart: len(chart[1]))
    for found in ("$second", "$third"):
        lines.append("{{- $release := deepCopy $.Release -}}{{- $charts := dict -}}")
        lines += [_scope(chart, charts, copies_subcharts=copies_subcharts) for chart in charts]
        for source in ordered:
            chart, _ = subcharts(source)
            own = f'{{{{- $own := index $charts "{chart}" -}}}}'
            about = f'(dict "Name" "{source}" "BasePath" "{chart}/templates")'
            printed = f'include "{source}" $own'
            if source in random:
                printed = f'set {found} "{source}" ({printed} | replace "<no value>" "")'
            lines.append(f'{own}{{{{- $_ := set $own "Template" {about} -}}}}{{{{- $_ = {printed} -}}}}')
    return "\n".join([*lines, _PRINTED])


def _scope(chart: _Chart, charts: Iterable[_Chart], *, copies_subcharts: bool) -> str:
    """What puts a copy of what helm gives to the templates of a chart into `$charts`. The values of a subchart are those that the
    chart above has for it (pkg/engine/engine.go, recAllTpls), if that is among `charts`, which has the outer ones first."""
    own, names = chart
    path = " ".join(f'"Subcharts" "{name}"' for name in names)
    of = f"index $ {path}" if path else "$"
    above, below = next((other, names[len(some) :]) for other, some in charts if names[: len(some)] == some)
    values = f'(index $charts "{above}").Values' if below else "(deepCopy $scope.Values)"
    for name in below:
        values = f'(index {values} "{name}" | default dict)'
    inner = "(deepCopy $scope.Subcharts)" if copies_subcharts else "$scope.Subcharts"
    return (
        f'{{{{- $scope := {of} -}}}}{{{{- $_ := set $charts "{own}" (dict "Values" {values} "Release" $release '
        f'"Chart" $scope.Chart "Files" $scope.Files "Capabilities" $scope.Capabilities "Subcharts" {inner}) -}}}}'
    )


def _turn(source: str) -> tuple[int, str]:
    """Helm renders the greatest first (pkg/engine/engine.go, sortTemplates)."""
    return source.count("/"), source


_PRINTED = """
apiVersion: v1
kind: ConfigMap
metadata:
  annotations: {helm.sh/hook: test}
  name: helm-pin-second-pass
data:
  values: {{ dict "second" $second "third" $third | toJson | toJson }}
"""
