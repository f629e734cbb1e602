"""Pinning what no value reaches: the template prints the image at its digest.

The file keeps its name, so its named templates still win or lose against others of the same name. Its body moves into a named
template, and added actions print that body with the pinned references in the places that the plain render showed. They act only
when helm renders the file itself: a template that includes the file, perhaps for a hash, gets the old text. This works in hooks and
subcharts, whichever helper, range or library printed the line. What a template prints for a missing value, helm takes out of the
output of a file (pkg/engine/engine.go, render), but not of what `include` gives.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

from helmpin.chart import OWN_FOLDER
from helmpin.image.documents import Document, document_name, group_by_turn
from helmpin.image.uses import ImageUse
from helmpin.named_tuple import NamedTuple
from helmpin.render.actions import Action, actions
from helmpin.yaml_position import span

_CHARACTERS = r"[A-Za-z0-9_./:@-]"
_TOKEN = re.compile(rf"\*?{_CHARACTERS}+")
"""The longest run of characters that can be a reference or a YAML alias."""
_BESIDE = r"""[^\s,{}\[\]]*[ \t]*["']?$"""
"""What stands before a token on its line: its key, a flag, or the dash of a list."""
_BLOCKS = frozenset({"if", "range", "with", "define", "block"})
"""The actions that end with `end` (text/template, Actions)."""


class TemplatePin(NamedTuple):
    """One place in what a template prints, and the text to print there."""

    source: str
    document: str
    """Kind, events of the hook, and its number among those in the file; in a template that lists a map in any order, its name, and
    its number among those of the same name."""
    written: str
    """What stands there: a reference, or a YAML alias."""
    turn: int
    """Its number among the places in the document where `written` stands alone; or among those of them with the same `beside`."""
    pinned: str
    beside: str | None = None
    """What stands before it, in a template that lists a map in any order: then its number alone does not identify it."""
    may_become: tuple[str, ...] = ()
    """The forms that values, set for another use of the image, may give `written`."""


def by_order(documents: Iterable[Document], *, in_any_order: bool = False) -> dict[int, tuple[str, Document]]:
    """The documents of one file by their order in the render, each with its key within the file (TemplatePin.document).

    in_any_order: whether the template may print them in another order each time. Then those that share their kind are known by
    their names.
    """
    turns = group_by_turn(documents)
    alike = Counter((kind, hook) for kind, hook, _ in turns)
    names: Counter[str] = Counter()
    found: dict[int, tuple[str, Document]] = {}
    for (kind, hook, turn), document in turns.items():
        key, name = _document_key(kind, hook, turn), document_name(document)
        if in_any_order and name and alike[kind, hook] > 1:
            group = f"{key.rpartition(' ')[0]}/{name}"
            key = f"{group} {names[group]}"
            names[group] += 1
        found[document.order] = key, document
    return found


def locate(
    use: ImageUse,
    documents: Mapping[int, tuple[str, Document]],
    pinned: str,
    nth: int = 0,
    *,
    in_any_order: bool = False,
) -> TemplatePin | None:
    """Where the template of `use` prints its image; None if that leaf is not found in the text.

    documents: those of the plain render with the source of `use`, by_order(). nth: its number among equal references in one leaf.
    in_any_order: as by_order() takes it.
    """
    if use.order not in documents:
        return None
    key, document = documents[use.order]
    if spot := _spot(document, use, nth):
        pinned_token = pinned
    elif pinned.startswith(use.image) and (spot := _end(document, use)):
        pinned_token = spot[0] + pinned.removeprefix(use.image)
    else:
        return None
    written, turn = spot
    pin = TemplatePin(source=use.source, document=key, written=written, turn=turn, pinned=pinned_token)
    return _with_context(pin, document) if in_any_order else pin


def _with_context(pin: TemplatePin, document: Document) -> TemplatePin:
    """The same place, identified by what stands before it."""
    tokens = [token for token in _TOKEN.finditer(document.text) if token[0] == pin.written]
    before = [_beside(document.text[: token.start()]) for token in tokens]
    here = before[pin.turn]
    return pin._replace(turn=before[: pin.turn].count(here), beside=here)


def _beside(text: str) -> str:
    """What stands before the token that follows a text."""
    line = text.rpartition("\n")[2]
    found = re.search(_BESIDE, line)
    assert found
    return found[0]


def _document_key(kind: str, hook: str | None, turn: int) -> str:
    return f"{kind} {turn}" if hook is None else f"{kind} hook {hook} {turn}"


def _spot(document: Document, use: ImageUse, nth: int) -> tuple[str, int] | None:
    """(the token at the leaf of `use`, its number among equal tokens of the document)."""
    path = use.path[:-1] if str(use.path[-1]).startswith("#") else use.path
    tokens = _numbered(document.text)
    for prefix in (path, ("items", use.nth, *path)):
        at = span(document.text, prefix)
        if at is None:
            continue
        inside = tokens[bisect_left(tokens, (at.start,)) : bisect_left(tokens, (at.end,))]
        alone = [(t, n) for start, t, n in inside if start + len(t) <= at.end]
        found = [(t, n) for t, n in alone if (t.startswith("*") if at.is_alias else t == use.image)]
        if len(found) > nth:
            return found[nth]
    return None


def _end(document: Document, use: ImageUse) -> tuple[str, int] | None:
    """(the last token of the leaf of `use`, its number among equal tokens), for a leaf that is written with escapes or line breaks:
    the digest can still be added at its end."""
    at = span(document.text, use.path) or span(document.text, ("items", use.nth, *use.path))
    if at is None:
        return None
    for start, token, number in _numbered(document.text):
        end = start + len(token)
        if at.start <= start and end <= at.end and document.text[end : at.end] in ("", '"', "'"):
            return token, number
    return None


@lru_cache(maxsize=4)
def _numbered(text: str) -> list[tuple[int, str, int]]:
    """The tokens of a text: (where it starts, the token, its number among equal ones). Cached, because a text may have many
    images."""
    counts: Counter[str] = Counter()
    found = []
    for token in _TOKEN.finditer(text):
        found.append((token.start(), token[0], counts[token[0]]))
        counts[token[0]] += 1
    return found


def pinned_template(path: str, text: str, pins: Iterable[TemplatePin]) -> str:
    """The text of the template file `path`, changed to print the pinned references in their places."""
    body, defines = split_defines(text)
    table: dict[str, dict[str, dict[str, dict[str, str]]]] = {}
    forms: dict[str, str] = {}
    for pin in pins:
        document = table.setdefault(pin.source, {}).setdefault(pin.document, {})
        digest = pin.pinned.removeprefix(pin.written)
        turn = str(pin.turn) if pin.beside is None else f"{pin.turn} {pin.beside}"
        document.setdefault(pin.written, {})[turn] = digest if digest.startswith("@") else pin.pinned
        forms.update(dict.fromkeys(pin.may_become, pin.written))
    name = json.dumps(f"helm-pin: {path}", ensure_ascii=False)
    more = f' "forms" {_dict(forms)}' if forms else ""
    call = f'{{{{- include "{_PRINT}" (dict "at" . "text" (include {name} .) "pins" {_dict(table)}{more}) -}}}}'
    return "".join(defines) + f"{{{{ define {name} }}}}{body}{{{{ end }}}}\n{call}\n"


def pinned_text(text: str, pins: Iterable[TemplatePin]) -> str:
    """The text of a file that is not a template, such as a CRD, with the pinned references in their places."""
    wanted = {(pin.document, pin.written, pin.turn): pin.pinned for pin in pins}
    pieces = re.split(r"(?m)^---", text)
    documents = group_by_turn(Document("", i, piece) for i, piece in enumerate(pieces))
    for (kind, hook, turn), document in documents.items():
        counts: Counter[str] = Counter()

        def pinned(
            token: re.Match[str], here: str = _document_key(kind, hook, turn), seen: Counter[str] = counts
        ) -> str:
            seen[token[0]] += 1
            return wanted.get((here, token[0], seen[token[0]] - 1), token[0])

        pieces[document.order] = _TOKEN.sub(pinned, document.text)
    return "---".join(pieces)


_PRINT = "helm-pin: pins"
PRINT_FILE = f"{OWN_FOLDER}pins.yaml"
"""The file of printer(), which the pinned templates of a chart and its dependencies share."""
_PRINTER = (
    (
        "{{- define @NAME@ -}}"
        r"""
{{- $text := .text -}}
{{- $forms := default dict .forms -}}
{{- /* the pins of this file, if helm renders the file itself */ -}}
{{- $mine := dict -}}
{{- if kindIs "map" .at -}}
{{- $template := index .at "Template" -}}
{{- if kindIs "map" $template -}}
{{- with index .pins (toString (index $template "Name")) }}{{ $mine = . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if $mine -}}
{{- $text = replace "<no value>" "" $text -}}
{{- $turns := dict -}}
{{- $left := 0 -}}
{{- range $places := $mine }}{{ range $turn := $places }}{{ $left = add $left (len $turn) }}{{ end }}{{ end -}}
{{- /* each document, by its kind, its hook's events, perhaps its name, and its number among those */ -}}
{{- $groups := dict -}}
{{- range $key, $_ := $mine }}{{ $_ := set $groups (regexReplaceAll " [0-9]+$" $key "") true }}{{ end -}}
{{- $documents := list -}}
{{- range $document := regexSplit "(?m)^---" $text -1 -}}
{{- if regexMatch `(?m)^[ \t]*[^#\s]` $document -}}
{{- $object := fromYaml (trim $document) -}}
{{- $group := toString (default "" (index $object "kind")) -}}
{{- $metadata := index $object "metadata" -}}
{{- if kindIs "map" $metadata -}}
{{- $annotations := index $metadata "annotations" -}}
{{- if and (kindIs "map" $annotations) (hasKey $annotations "helm.sh/hook") -}}
{{- $group = printf "%s hook %v" $group (index $annotations "helm.sh/hook") -}}
{{- end -}}
{{- $named := printf "%s/%v" $group (index $metadata "name") -}}
{{- if hasKey $groups $named }}{{ $group = $named }}{{ end -}}
{{- end -}}
{{- $turn := int (default 0 (index $turns $group)) -}}
{{- $_ := set $turns $group (add1 $turn) -}}
{{- with index $mine (printf "%s %d" $group $turn) -}}
{{- $places := . -}}
{{- /* every place where a word to pin may stand, in whatever form */ -}}
{{- $words := list -}}
{{- range $word, $_ := $places }}{{ $words = append $words (regexQuoteMeta $word) }}{{ end -}}
{{- range $form, $word := $forms -}}
{{- if hasKey $places $word }}{{ $words = append $words (regexQuoteMeta $form) }}{{ end -}}
{{- end -}}
{{- $search := printf `\*?@CHARACTERS@*(?:%s)@CHARACTERS@*` (join "|" $words) -}}
{{- /* its words again, those at the places to pin with their digests */ -}}
{{- $between := regexSplit $search $document -1 -}}
{{- $parts := list (first $between) -}}
{{- $seen := dict -}}
{{- range $i, $token := regexFindAll $search $document -1 -}}
{{- $printed := $token -}}
{{- $written := default $token (index $forms $token) -}}
{{- with index $places $written -}}
{{- $n := int (default 0 (index $seen $written)) -}}
{{- $_ := set $seen $written (add1 $n) -}}
{{- $beside := regexFind `@BESIDE@` (last (splitList "\n" (index $between $i))) -}}
{{- $near := printf "%s %s" $written $beside -}}
{{- $m := int (default 0 (index $seen $near)) -}}
{{- $_ := set $seen $near (add1 $m) -}}
{{- with default (index . (toString $n)) (index . (printf "%d %s" $m $beside)) -}}
{{- $printed = ternary (print $written .) . (hasPrefix "@" .) -}}
{{- $left = sub $left 1 -}}
{{- end -}}
{{- end -}}
{{- $parts = append (append $parts $printed) (index $between (add1 $i)) -}}
{{- end -}}
{{- $document = join "" $parts -}}
{{- end -}}
{{- end -}}
{{- $documents = append $documents $document -}}
{{- end -}}
{{- $text = join "---" $documents -}}
@GUARD@
{{- end -}}
{{- $text -}}
{{- end -}}
"""
    )
    .replace("@NAME@", json.dumps(_PRINT))
    .replace("@CHARACTERS@", _CHARACTERS)
    .replace("@BESIDE@", _BESIDE)
)
UNLIKE_BEFORE = (
    "helm-pin: this template's images changed places between two renders, so nothing is deployed; "
    "if it lists a map with keys or values, have it sort them (sortAlpha)"
)
_GUARD = f"{{{{- if $left }}}}{{{{ fail `{UNLIKE_BEFORE}` }}}}{{{{ end -}}}}"


def printer(*, must_find: bool) -> str:
    """The named template that prints a text with its pins.

    must_find: whether helm fails where the text lacks a place to pin. The chart to deploy must: its render is one more, and a chart
    may print its documents in another order each time. In the renders before, the comparison says more about what is wrong.
    """
    return _PRINTER.replace("@GUARD@\n", f"{_GUARD}\n" if must_find else "")


_TRIMS = {
    (True, True): "{{- /* */ -}}",
    (True, False): "{{- /* */}}",
    (False, True): "{{/* */ -}}",
    (False, False): "{{/* */}}",  # what its neighbours trim still ends there
}
"""What stands for a named template that is taken out, by the sides that it trims."""


def split_defines(text: str) -> tuple[str, list[str]]:
    """A template's text without its named templates, and these. White space that they trim stays trimmed."""
    body: list[str] = []
    defines: list[str] = []
    kept = depth = 0
    opened: Action | None = None
    for action in actions(text):
        if opened is None:
            if action.word == "define":
                opened, depth = action, 1
            continue
        depth += (action.word in _BLOCKS) - (action.word == "end")
        if depth == 0:
            body += [text[kept : opened.start], _TRIMS[opened.trims_left, action.trims_right]]
            defines.append(text[opened.start : action.end])
            kept, opened = action.end, None
    return "".join([*body, text[kept:]]), defines


def _dict(node: Mapping[str, object] | str) -> str:
    """A map of maps as an expression of a Go template."""
    if isinstance(node, str):
        return _go(node)
    return "(dict" + "".join(f" {_go(key)} {_dict(child)}" for key, child in sorted(node.items())) + ")"  # type: ignore[arg-type]


def _go(text: str) -> str:
    """A string literal of a Go template."""
    return f"`{text}`" if "`" not in text and "\n" not in text else json.dumps(text, ensure_ascii=False)
