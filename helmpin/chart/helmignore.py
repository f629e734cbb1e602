"""Which files of a chart directory helm leaves out: .helmignore as helm reads it (pkg/ignore/rules.go).

It looks like .gitignore and is not: the first rule that matches decides, `!rule` leaves out all that does not match, a
rule with a slash matches the whole path only, and `**` is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
"""What Go's strings.TrimSpace removes."""


class IgnorePattern:
    """One line of .helmignore. Mutable: what it means may change each time that it is tried, as in Helm 3."""

    def __init__(
        self, forms: Iterable[re.Pattern[str]], *, base_only: bool, for_directories: bool, negated: bool
    ) -> None:
        """forms: what it means for the first file that it is tried on, for the second, and so on; the last for all others.
        base_only: whether it is about the file's own name, not its path."""
        self._form, *self._later = forms
        self._base_only, self._for_directories, self._negated = base_only, for_directories, negated

    def leaves_out(self, path: str, name: str, is_directory: bool) -> bool:
        """Whether it leaves out the file of this path and name. Tries the rule, if it is one for such files."""
        if self._for_directories and not is_directory:
            return self._negated
        form = self._form
        if self._later:
            self._form = self._later.pop(0)
        return (form.fullmatch(name if self._base_only else path) is None) is self._negated


def parse(text: str, is_helm3: Callable[[], bool]) -> list[IgnorePattern]:
    """The rules of a .helmignore and helm's own last one (dot files in templates/). Raises ValueError.

    is_helm3: says whether Helm 3 reads it, and is asked only if that matters. Of a rule that begins with several slashes, Helm 4
    removes one; Helm 3 removes one more each time that it tries the rule.
    """
    lines = [line.strip(_SPACE) for line in text.removeprefix("\ufeff").split("\n")]
    lines = [line for line in lines if line and not line.startswith("#")]
    rules = [_rule(line, is_helm3) for line in lines]
    return [*rules, _rule("templates/.?*", is_helm3)]


def ignored(rules: list[IgnorePattern], path: str, is_directory: bool) -> bool:
    """Whether helm leaves out `path` (relative to the chart, with slashes); of a directory, all that is in it."""
    name = path.rpartition("/")[2]
    for rule in rules:  # noqa: SIM110 (a generator takes longer, for each file and rule)
        if rule.leaves_out(path, name, is_directory):
            return True
    return False


def _rule(line: str, is_helm3: Callable[[], bool]) -> IgnorePattern:
    if "**" in line:
        raise ValueError("double-star (**) syntax is not supported")
    try:
        _regex(line)
    except BadPattern as bad:
        if re.match(bad.before, "abc", re.DOTALL):  # helm tries each rule on that text
            raise
    negated = line.startswith("!")
    glob = line.removeprefix("!")
    for_directories = glob.endswith("/")
    glob = glob.removesuffix("/")
    base_only = "/" not in glob
    slashes = len(glob) - len(glob.lstrip("/"))
    tries = slashes if slashes > 1 and is_helm3() else min(slashes, 1)
    forms = [pattern(glob[gone:]) for gone in range(min(tries, 1), tries + 1)]
    return IgnorePattern(forms, base_only=base_only, for_directories=for_directories, negated=negated)


class BadPattern(ValueError):
    """What Go calls a `syntax error in pattern`. It finds one only when the text before it has matched up to the last star:
    `before` is that part, as a regular expression."""

    def __init__(self, glob: str) -> None:
        super().__init__(f"syntax error in pattern: {glob}")
        self.before = ""


def pattern(glob: str) -> re.Pattern[str]:
    """A pattern of Go's filepath.Match: `*` and `?` stop at a slash, `[^a-z]` negates, a backslash quotes.

    A bad one matches nothing: then helm only writes a line to its log.
    """
    try:
        return re.compile(_regex(glob), re.DOTALL)
    except BadPattern:
        return re.compile("(?!)")


def _regex(glob: str) -> str:
    """A star takes as little as it can, and what follows it up to the next one is never tried again (path/filepath, Match): else a
    hostile pattern with a dozen stars takes hours."""
    out, before, i, star = "", "", 0, -1
    try:
        while i < len(glob):
            char, i = glob[i], i + 1
            if char == "*":
                before = out
                if star >= 0:
                    group = f"star{star}"
                    out = f"{out[:star]}(?=(?P<{group}>[^/]*?{out[star + 5 :]}))(?P={group})"
                star = len(out)
                out += "[^/]*"
            elif char == "?":
                out += "[^/]"
            elif char == "[":
                text, i = _class(glob, i)
                out += text
            elif char == "\\" and i == len(glob):
                raise BadPattern(glob)
            else:
                i += char == "\\"
                out += re.escape(glob[i - 1])
    except BadPattern as bad:
        bad.before = before
        raise
    return out


def _class(glob: str, i: int) -> tuple[str, int]:
    """The character class that starts after `[` at `i`, as a regular expression, and where it ends."""
    negated = glob.startswith("^", i)
    i += negated
    ranges: list[str] = []
    while not (ranges and glob.startswith("]", i)):
        low, i = _class_char(glob, i)
        high = low
        if glob.startswith("-", i):
            high, i = _class_char(glob, i + 1)
        ranges.append(f"{re.escape(low)}-{re.escape(high)}" if low <= high else "")
    inside = "".join(ranges)
    nothing, anything = "(?!)", "."
    return (f"[{'^' if negated else ''}{inside}]" if inside else anything if negated else nothing), i + 1


def _class_char(glob: str, i: int) -> tuple[str, int]:
    """One character of a class, maybe quoted, and where the next one starts; something must follow it."""
    if glob.startswith("\\", i):
        i += 1
    elif glob.startswith(("-", "]"), i):
        raise BadPattern(glob)
    if i + 1 >= len(glob):
        raise BadPattern(glob)
    return glob[i], i + 1
