"""The files of one chart, including those of packed dependencies, as if these were unpacked in place.

The path of a file in a packed dependency begins with the path of its archive: `charts/redis-1.2.3.tgz/templates/x.yaml`.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from helmpin.chart.archive import Budget, File, pack, unpack
from helmpin.errors import HelmFailed, Refused
from helmpin.shapes import as_go_writes, text_of

_FIELDS = {name.lower(): name for name in ("name", "version", "appVersion", "annotations", "dependencies", "alias")}
"""The fields that are read here, as helm finds them: encoding/json ignores the case of a key."""
_DESCRIBING = ("Chart.yaml", "requirements.yaml")
"""The files that hold a chart's metadata."""
_PACKED = re.compile(r"(?:.+/)?charts/[^/_.][^/]*\.tgz")


class Tree:
    """The files of a chart. Mutable. Paths are relative to the chart, with slashes."""

    def __init__(self, files: dict[str, File], budget: Budget) -> None:
        self.files = files
        self._budget = budget
        self._packed: dict[str, Tree] = {}
        self._metadata: dict[str, dict[str, Any]] = {}
        self._changed = False

    def copy(self) -> Tree:
        """A copy that can be changed independently."""
        other = Tree(dict(self.files), self._budget)
        other._packed = {path: tree.copy() for path, tree in self._packed.items()}
        other._metadata = self._metadata  # shared, until one of them changes
        other._changed = self._changed
        return other

    def __contains__(self, path: str) -> bool:
        tree, inner = self._locate(path)
        return inner in tree.files

    def read(self, path: str) -> bytes:
        """The bytes of a file. Raises KeyError."""
        tree, inner = self._locate(path)
        return tree.files[inner].data

    def write(self, path: str, data: bytes) -> None:
        """Create or replace a file."""
        tree, inner = self._locate(path, change=True)
        tree.files[inner] = File(data, time.time())

    def changes_from(self, before: Tree) -> dict[str, bytes]:
        """The files that another tree has not, or has otherwise, by path."""
        changed = {
            path: file.data
            for path, file in self.files.items()
            if path not in self._packed and (path not in before.files or file.data != before.files[path].data)
        }
        for path, tree in self._packed.items():
            inner = tree.changes_from(before._unpacked(path))
            changed.update((f"{path}/{name}", data) for name, data in inner.items())
        return changed

    def packed(self, level: int = 0) -> Iterator[bytes]:
        """The whole chart as an archive, in pieces; unchanged packed dependencies stay byte for byte."""
        for path, tree in self._packed.items():
            if tree._changed:
                # compressed, because helm limits the size of each file in a chart
                self.files[path] = File(b"".join(tree.packed(level=6)), self.files[path].modified)
                tree._changed = False
        return pack(self.files, level)

    def metadata(self, chart: str = "") -> Mapping[str, Any]:
        """The metadata of the chart in the directory `chart` ("" or "charts/sub/"). Raises HelmFailed."""
        if chart not in self._metadata:
            found: dict[str, Any] = {}
            # the latter wins, whatever the apiVersion (pkg/chart/loader/load.go)
            for name in _DESCRIBING:
                if chart + name in self:
                    found.update(self._mapping(chart + name))
            self._metadata[chart] = found
        return self._metadata[chart]

    def subcharts(self, parent: str = "") -> list[str]:
        """The directories of the charts in the charts/ directory of the chart in `parent`."""
        tree, inner = self._locate(parent)
        start = f"{inner}charts/"
        names = {path[len(start) :].partition("/")[0] for path in tree.files if path.startswith(start)}
        return [
            f"{parent}charts/{name}/"
            for name in sorted(names)
            if not name.startswith(("_", ".")) and (name.endswith(".tgz") or f"{start}{name}/Chart.yaml" in tree.files)
        ]

    def charts(self, root: str = "") -> Iterator[str]:
        """The directory of every chart: `root` itself, its subcharts, theirs, and so on."""
        yield root
        for subchart in self.subcharts(root):
            yield from self.charts(subchart)

    def in_all_charts(self, directory: str) -> list[str]:
        """The path of every file in `directory` ("templates/") of the chart and of every subchart."""
        found = []
        for chart in self.charts():
            tree, inner = self._locate(chart)
            found += [chart + path[len(inner) :] for path in tree.files if path.startswith(inner + directory)]
        return found

    def missing_dependencies(self) -> list[str]:
        """The names of the dependencies that the chart lists and lacks (pkg/action, CheckDependencies)."""
        present = {self._name(chart) for chart in self.subcharts()}
        return [name for name in (scalar(d.get("name")) for d in self._dependencies("")) if name not in present]

    def repeated(self) -> list[tuple[str, list[str]]]:
        """The names that several subcharts of one chart have, with their directories, if its Chart.yaml does not list each of their
        versions."""
        return [found for parent in self.charts() for found in self._repeated(parent)]

    def _repeated(self, parent: str) -> Iterator[tuple[str, list[str]]]:
        found: dict[str, list[str]] = defaultdict(list)
        for chart in self.subcharts(parent):
            found[self._name(chart)].append(chart)
        for name, charts in found.items():
            listed = [each.get("version") for each in self._dependencies(parent) if scalar(each.get("name")) == name]
            # one that is listed with its exact version wins over others; with a range, helm takes any that it allows
            versions = [self.metadata(chart).get("version") for chart in charts]
            is_clear = listed and all(versions.count(version) == 1 for version in listed)
            if len(charts) > max(1, len(listed)) and not is_clear:
                yield name, [chart.removesuffix("/") for chart in charts]

    def source_to_paths(self, source: str) -> list[str]:
        """The possible paths of the template that helm calls `source` (`chart/charts/ALIAS/templates/x.yaml`): more than one if the
        charts' names and versions, and Chart.lock, leave it open. Raises Refused if there is none.
        """
        parts = source.split("/")[1:]
        charts = [""]
        while len(parts) > 2 and parts[0] == "charts":
            name, parts = parts[1], parts[2:]
            charts = [child for chart in charts for child in self._children(chart, name, above=parts[0] == "charts")]
        paths = [path for path in (chart + "/".join(parts) for chart in charts) if path in self]
        if not paths:
            raise Refused(
                "cannot find the chart file of a template",
                where=source,
                why="neither the chart nor its dependencies have a file at that place",
                hint="check that each dependency of Chart.yaml has the name of a chart in charts/ (helm dependency list)",
            )
        return paths

    def values_files(self, parent: str = "", prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The values.yaml of the chart and of every subchart, each with the path at which the chart above can override its values;
        those of outer charts first."""
        if f"{parent}values.yaml" in self:
            yield f"{parent}values.yaml", prefix
        names = [_called(dependency) for dependency in self._dependencies(parent)]
        names += [self._name(chart) for chart in self.subcharts(parent)]
        for name in dict.fromkeys(names):
            for chart in self._children(parent, name):
                yield from self.values_files(chart, (*prefix, name))

    def _children(self, parent: str, called: str, *, above: bool = False) -> list[str]:
        """The subcharts of `parent` that helm may call `called`: by an alias, or by their own name.

        above: whether it calls them so in the path of a subchart of theirs, where Helm 3 does not use their aliases
        (pkg/chartutil/dependencies.go, getAliasDependency: the copy that gets the alias is not its subcharts' parent)."""
        charts = self.subcharts(parent)
        found: dict[str, None] = {}
        dependencies = self._dependencies(parent)
        locked = self._locked(parent)
        for i, dependency in enumerate(dependencies):
            if _called(dependency) == called:
                same = [chart for chart in charts if self._name(chart) == scalar(dependency.get("name"))]
                # two versions of one chart: where Chart.yaml has a range, the lock has the version
                versions = [dependency.get("version"), *(locked[i : i + 1] if len(locked) == len(dependencies) else [])]
                exact = [chart for chart in same if self.metadata(chart).get("version") in versions]
                found.update(dict.fromkeys(exact or same))
        if above or not found or called not in [scalar(dependency.get("name")) for dependency in dependencies]:
            # a chart that no dependency lists is loaded too, even if another one has its name as an alias
            found.update(dict.fromkeys(chart for chart in charts if self._name(chart) == called))
        return list(found)

    def _locked(self, chart: str) -> list[Any]:
        """The versions of the dependencies in the chart's lock, in their order."""
        name = next((name for name in ("Chart.lock", "requirements.lock") if chart + name in self), None)
        listed = self._mapping(chart + name).get("dependencies") if name else None
        items = listed if isinstance(listed, list) else []
        return [_as_fields(item).get("version") for item in items if isinstance(item, dict)]

    def _name(self, chart: str) -> str:
        return scalar(self.metadata(chart).get("name"))

    def _dependencies(self, chart: str) -> list[Mapping[str, Any]]:
        listed = self.metadata(chart).get("dependencies")
        return [_as_fields(item) for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []

    def _mapping(self, path: str) -> dict[str, Any]:
        from helmpin import kube_yaml

        loaded = kube_yaml.read_first(self.read(path), what="the chart cannot be read", where=path)
        if loaded is None and not path.endswith("Chart.yaml"):
            return {}  # helm treats an empty file, or one of comments alone, as absent
        if not isinstance(loaded, dict):
            raise HelmFailed(
                "the chart cannot be read", where=path, why="it is not a YAML mapping", hint="correct the file"
            )
        return _as_fields(loaded)

    def _locate(self, path: str, *, change: bool = False) -> tuple[Tree, str]:
        """The tree that holds `path`, and its path there."""
        if change:
            self._changed = True
            if path.endswith(_DESCRIBING):
                self._metadata = {}
        at = path.find(".tgz/")
        while at >= 0:
            if path[: at + 4] in self.files and _PACKED.fullmatch(path[: at + 4]):
                return self._unpacked(path[: at + 4])._locate(path[at + 5 :], change=change)
            at = path.find(".tgz/", at + 1)
        return self, path

    def _unpacked(self, path: str) -> Tree:
        if path not in self._packed:
            self._packed[path] = Tree(unpack(self.files[path].data, self._budget, path), self._budget)
        return self._packed[path]


def scalar(value: object) -> str:
    """A scalar of Chart.yaml as helm reads it into a string: `alias: y` is `true`, and `version: 1.0` is `1`. It takes a number for
    one of 32 bits (sigs.k8s.io/yaml, convertToJSONableObject)."""
    if not isinstance(value, float):
        return text_of(value)
    from struct import pack, unpack

    with suppress(OverflowError):  # more than 32 bits hold
        (rounded,) = unpack("f", pack("f", value))
        forms = (f"{rounded:.{digits}e}" for digits in range(9))
        return as_go_writes(next(form for form in forms if pack("f", float(form)) == pack("f", rounded)))
    return text_of(value)


def _called(dependency: Mapping[str, Any]) -> str:
    """The name under which a dependency's values and templates are."""
    return scalar(dependency.get("alias")) or scalar(dependency.get("name"))


def _as_fields(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping with the names of _FIELDS for its keys. Of two keys for one field, helm reads the latter, in their order."""
    return {_FIELDS.get(key.lower(), key): mapping[key] for key in sorted(mapping)}
