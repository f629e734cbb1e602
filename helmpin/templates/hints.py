"""What the text of a chart's templates shows about values and random results. It needs no render, so it is read while helm makes
the first one."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from helmpin.chart.setargs import ValuePath
from helmpin.chart.value_keys import last_key
from helmpin.render.actions import COMMENT, TPL, actions
from helmpin.render.nondeterminism import calling, defined, is_random, used, uses_any_name
from helmpin.render.repeatable import PREFIX, using_results, without_results
from helmpin.render.shared_maps import changes_shared_map
from helmpin.templates.scan import TemplateScan, chains, has_word
from helmpin.templates.spelled_out import spelled_out

if TYPE_CHECKING:
    from helmpin.chart.stage import Chart

_FIXED = re.compile(rf"{PREFIX}\w+")
"""The name of a named template that gives a fixed result."""
_ALONE = re.compile(r"\}\}\s*\{\{-?\s*(?:(?:printf|tpl)\s+)?(\.Values(?:\.\w+)+)[^}]*\}\}\s*\{\{-?\s*(?:else|end)\b")
"""The end of a branch, or of a template, that prints a value."""
_NO_REFERENCE = re.compile(
    r"(tag|version|digest|sha_?256|sha|hash|registry|suffix|variant|flavou?r)$|name", re.IGNORECASE
)
"""The keys of what is no whole reference. `name` may stand anywhere: nameOverride is a common one."""
_IS_PART = re.compile(r"(tag|repository|registry)$", re.IGNORECASE)
_CUTS_DIGEST = re.compile(r"\b(?:split\w*|regex\w+|mustRegex\w+)\b[^}\n]*@")
_HASHES, _ALL_VALUES = re.compile(r"\b(?:sha\d+|adler32|md5)sum\b"), re.compile(r"(?<![\w.])\$?\.Values(?![\w.])")
_PRINTS_ALL_VALUES = re.compile(
    r"\s*(?:to[A-Z]\w+\s+\$?\.Values(?![\w.])|\$?\.Values\s*\|\s*(?:mustT|t)o[A-Z])(?!.*\bfrom(?:Yaml|Json)\b)",
    re.DOTALL,
)
"""An action that prints all values as YAML or JSON, and does not only copy them."""
_IMAGE_KEY = re.compile(r"mage[\"']?:")
_CONDITIONS = frozenset({"if", "else", "with"})
_OWN_OBJECTS = frozenset({"Capabilities", "Chart", "Files", "Release", "Template"})
"""What templates get from helm besides values and subcharts (helm.sh/docs/chart_template_guide/builtin_objects)."""


def _is_helper(path: str) -> bool:
    """Whether a template file prints nothing itself (helm.sh/docs/chart_template_guide/named_templates)."""
    return path.rpartition("/")[2].startswith("_")


def chart_folder(path: str) -> str:
    """The folder of the chart that a template belongs to: '' for the chart itself, `charts/db/` for a subchart."""
    found = re.match(r"(?:charts/[^/]+/)*", path)
    return found[0] if found else ""


def hints_for(chart: Chart, compared: Chart) -> TemplateHints:
    """Those for the templates of a chart. compared: as Rendered has it."""
    return TemplateHints(chart.template_files(), None if compared is chart else compared.template_files())


def _is_of_images(text: str) -> bool:
    """Whether a template has to do with images. Most have not, dashboards and rules for alerts among them, which are large."""
    return ".image" in text or "Image" in text or _IMAGE_KEY.search(text) is not None


def _evaluates_random_string(text: str) -> bool:
    return TPL.search(text) is not None and is_random(_FIXED.sub("", text))


class TemplateHints:
    """The templates of a chart and its subcharts, with what their text shows."""

    def __init__(self, files: Mapping[str, str], compared: Mapping[str, str] | None = None) -> None:
        """files: the text of each template by its path, as Chart.template_files() gives it. compared: those of the chart with fixed
        results (Rendered.compared), if it is another one."""
        self.files = files
        self.using_results = using_results(compared) if compared else set()
        """The templates that use a random result."""
        self.share_results = not self.using_results.isdisjoint(
            calling(files, changes_shared_map) if self.using_results else ()
        )
        """Whether one of them may change a map that other templates get."""
        self.unfixed = calling(files if compared is None else compared, _evaluates_random_string)
        """The templates that make something random in spite of fixed results: in a string that `tpl` evaluates, or in a named
        template that gets none of helm's objects."""
        if self.using_results and compared:
            self.unfixed |= without_results(compared)
        self._keys: dict[str, set[str]] = {}
        self._cuts: dict[str, bool] = {}
        self._scans: dict[str, TemplateScan] = {}
        for folder in {chart_folder(path) for path in files}:
            self.scan(folder)

    def scan(self, folder: str) -> TemplateScan:
        """The scan of the templates of the chart in a folder, as chart_folder() gives it. Made once."""
        if folder not in self._scans:
            own = {name: text for name, text in self.files.items() if name.startswith(f"{folder}templates/")}
            read = [text for name, text in own.items() if _is_helper(name) or _is_of_images(text)]
            self._scans[folder] = TemplateScan(read, self._library(folder, own.values()))
        return self._scans[folder]

    def _library(self, folder: str, own: Iterable[str]) -> list[str]:
        """What the subcharts of the chart in a folder lend its templates: the named templates that these use, themselves or through
        others; all, if a name is computed. own: its templates."""
        helpers = [
            text for name, text in self.files.items() if name.startswith(f"{folder}charts/") and _is_helper(name)
        ]
        lent: dict[str, list[str]] = defaultdict(list)
        for name, body in (each for text in helpers for each in defined(text)):
            lent[name].append(f'{{{{ define "{name}" }}}}{body}')
        found, asking = list[str](), list(own)
        while asking:
            if any(map(uses_any_name, asking)):
                return helpers
            names = set().union(*map(used, asking)) & lent.keys()
            asking = [body for name in sorted(names) for body in lent.pop(name)]
            found += asking
        return found

    def keys(self, folder: str) -> set[str]:
        """The keys that the templates of the chart in a folder, and those of its subcharts, read, but not of helm's own objects."""
        if folder not in self._keys:
            read = {chain for text in self._texts(folder) for chain in re.findall(r"((?:\.[A-Za-z_]\w*)+)", text)}
            self._keys[folder] = {parts[-1] for chain in read if _OWN_OBJECTS.isdisjoint(parts := chain.split("."))}
        return self._keys[folder]

    def cut_digests(self, folder: str) -> bool:
        """Whether a template of the chart in a folder, or of its subcharts, may cut the digest off a tag or a reference."""
        if folder not in self._cuts:
            self._cuts[folder] = any(map(_CUTS_DIGEST.search, self._texts(folder)))
        return self._cuts[folder]

    def _texts(self, folder: str) -> Iterator[str]:
        return (text for name, text in self.files.items() if name.startswith(folder))

    @cached_property
    def printed_alone(self) -> set[ValuePath]:
        """The values of which a named template that reads parts of an image prints nothing else, in one of its branches; but for
        those whose key names a part."""
        bodies = (body for named in self._bodies.values() for body in named)
        of_images = (body for body in bodies if any(_IS_PART.search(last_key(chain)) for chain in chains(body)))
        printed = (chain for body in of_images for found in _ALONE.findall(body) for chain in chains(found))
        return {chain for chain in printed if not _NO_REFERENCE.search(last_key(chain))}

    def reads(self, path: str) -> set[ValuePath]:
        """The values that a template file reads by their whole path, itself or in the named templates that it uses."""
        return {chain for text in self._texts_of(path) for part in (text, spelled_out(text)) for chain in chains(part)}

    def hashes_all_values(self, path: str, word: str) -> bool:
        """Whether a template file, or a named template that it uses, prints a hash of all values on a line with a word:
        `checksum/config: {{ toYaml .Values | sha256sum }}`; such a line may use a named template for it."""
        lines = (line for text in self._texts_of(path) for line in text.splitlines() if has_word(line, word))
        codes = (action.code for line in lines for text in self._with_named(line) for action in actions(text))
        return any(_HASHES.search(code) and _ALL_VALUES.search(code) for code in codes)

    def prints_all_values(self, path: str) -> bool:
        """Whether a template file, or a named template that it uses, prints all values as text: `{{ .Values | toPrettyJson }}`."""
        return any(_PRINTS_ALL_VALUES.match(action.code) for text in self._texts_of(path) for action in actions(text))

    def asks(self, path: str) -> set[ValuePath]:
        """Those of reads() that are read in a condition, which may print something else if they are set."""
        spelled = (spelled_out(text) for text in self._texts_of(path))
        conditions = (action.code for text in spelled for action in actions(text) if action.word in _CONDITIONS)
        return {chain for code in conditions for chain in chains(code)}

    def _texts_of(self, path: str) -> Iterator[str]:
        """The text of a template file, and those of the named templates that it uses, without comments."""
        return self._with_named(COMMENT.sub("", self.files.get(path, "")))

    def _with_named(self, text: str) -> Iterator[str]:
        """A text, and the bodies of the named templates that it uses, without comments."""
        yield text
        seen, left = set[str](), set(used(text))
        while left:
            seen |= left
            bodies = [body for name in left for body in self._bodies.get(name, ())]
            yield from bodies
            left = set().union(*map(used, bodies)) - seen

    @cached_property
    def _bodies(self) -> dict[str, list[str]]:
        """The bodies of the named templates, by name."""
        bodies: dict[str, list[str]] = defaultdict(list)
        for text in self.files.values():
            for name, body in defined(COMMENT.sub("", text)):
                bodies[name].append(body)
        return bodies
