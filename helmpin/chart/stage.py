"""Staging: the private copy of the user's chart that helm gets, with what helm-pin adds to it.

Whatever the source, the chart is read once. Each change gives a new Chart, whose archive is written to a directory that only this
user can enter. So the chart that was compared is the chart that is deployed, `.helmignore` cannot hide what was added, and no
archive is ever unpacked on the disk.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from helmpin import env
from helmpin.arguments import Given, is_on, words
from helmpin.chart import OWN_FOLDER
from helmpin.chart.archive import MAX_BYTES, Budget, read_directory, unpack
from helmpin.chart.tree import Tree, scalar
from helmpin.errors import HelmFailed
from helmpin.files import read_hint, reason
from helmpin.named_tuple import NamedTuple
from helmpin.private import Folder, write
from helmpin.timeline import step

SOURCE_FLAGS = frozenset(
    {
        "--repo",
        "--version",
        "--devel",
        "--verify",
        "--keyring",
        "--username",
        "--password",
        "--pass-credentials",
        "--ca-file",
        "--cert-file",
        "--key-file",
        "--insecure-skip-tls-verify",
        "--plain-http",
    }
)
"""helm's flags that say where a chart comes from: only staging needs them (addChartPathOptionsFlags, and --devel)."""
DEPENDENCY_UPDATE = "--dependency-update"


KINDS = "a chart is a folder, an archive, REPOSITORY/NAME of a repository that helm knows, or a URL"
"""The hint if no chart was found."""
_numbers = itertools.count(1)


class ChartHelm(Protocol):
    """What staging needs of helm."""

    def run(self, args: Sequence[str]) -> str:
        """Run it and return its standard output. Raises HelmFailed."""

    def watch(self, args: Sequence[str]) -> None:
        """Run it and show its output as it comes. Raises HelmFailed."""

    @property
    def version(self) -> tuple[int, int, int]:
        """Major, minor, patch."""


class ChartSource(NamedTuple):
    """Where a chart comes from: as the user typed it, with the flags by which helm finds charts (SOURCE_FLAGS)."""

    chart: str
    flags: tuple[str, ...] = ()
    dependency_update: bool = False

    @classmethod
    def of(cls, chart: str, given: Iterable[Given]) -> ChartSource:
        """The source of a chart that was named with these flags, among others."""
        given = list(given)
        flags = tuple(words(flag for flag in given if flag.name in SOURCE_FLAGS))
        return cls(chart, flags, is_on(given, DEPENDENCY_UPDATE))

    def __repr__(self) -> str:
        return f"ChartSource({self.chart!r})"  # the flags may hold a password


class Chart:
    """A private copy of a chart. Immutable: every change gives a new Chart."""

    def __init__(self, tree: Tree, directory: Path) -> None:
        self._tree = tree
        self._directory = directory
        self._archive: Path | None = None

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Chart.yaml."""
        return self._tree.metadata()

    @property
    def name(self) -> str:
        """The chart's name."""
        return scalar(self.metadata.get("name"))

    @property
    def version(self) -> str:
        """The chart's version."""
        return scalar(self.metadata.get("version"))

    def archive(self) -> Path:
        """The path of the chart as a .tgz file, which is what helm gets. It is written at the first call."""
        if self._archive is None:
            archive = self._directory / f"{next(_numbers)}.tgz"
            with step("packing the chart"):
                write(archive, self._tree.packed())
            self._archive = archive
        return self._archive

    def with_files(self, files: Mapping[str, str]) -> Chart:
        """The chart with these files created or replaced."""
        if not files:
            return self
        tree = self._tree.copy()
        for path, text in files.items():
            tree.write(path, text.encode(errors="surrogateescape"))
        return Chart(tree, self._directory)

    def changes_from(self, before: Chart) -> dict[str, str]:
        """The text of each file that another chart has not, or has otherwise, by path."""
        return {path: _text(data) for path, data in self._tree.changes_from(before._tree).items()}

    def annotated(self, key: str, text: str) -> Chart:
        """The chart with one more annotation; every other byte of Chart.yaml stays. Raises HelmFailed."""
        from helmpin.chart.annotations import annotate

        try:
            before = self._tree.read("Chart.yaml").decode()
        except UnicodeDecodeError as error:
            raise HelmFailed(
                "the chart's Chart.yaml cannot be annotated",
                where="Chart.yaml",
                why=reason(error),
                hint="save it as UTF-8",
            ) from None
        return self.with_files({"Chart.yaml": annotate(before, key, text)})

    def template_files(self) -> Mapping[str, str]:
        """The text of every template of the chart and its dependencies, by path; see tree.py for those in archives. A byte order
        mark is dropped, as helm does (pkg/chart/loader/archive/archive.go, utf8bom)."""
        return self._templates

    @cached_property
    def _templates(self) -> Mapping[str, str]:
        return {path: self.text(path).removeprefix("\ufeff") for path in self._tree.in_all_charts("templates/")}

    def other_files(self) -> Iterator[str]:
        """The text of every other file that templates can read (`.Files`, crds/ too), of the chart and its dependencies."""
        templates = {*self._tree.in_all_charts("templates/")}
        for path in dict.fromkeys(self._tree.in_all_charts("")):
            if path not in templates and not path.endswith((".tgz", ".prov")):
                yield self.text(path)

    def all_metadata(self) -> dict[str, Mapping[str, Any]]:
        """Every Chart.yaml, of the chart and its dependencies, by path."""
        return {f"{chart}Chart.yaml": self._tree.metadata(chart) for chart in self._tree.charts()}

    def app_versions(self) -> list[str]:
        """The appVersion of the chart and of its dependencies, where they have one."""
        found = (scalar(metadata.get("appVersion")) for metadata in self.all_metadata().values())
        return [version for version in found if version]

    def crd_paths(self) -> list[str]:
        """The path of every file with CRDs, of the chart and its dependencies: YAML or JSON, several documents each."""
        return [path for path in self._tree.in_all_charts("crds/") if path.lower().endswith((".yaml", ".yml", ".json"))]

    def crd_files(self) -> dict[str, str]:
        """The text of each of these files, by path. A byte order mark is dropped, as in templates."""
        return {path: self.text(path).removeprefix("\ufeff") for path in self.crd_paths()}

    def values_files(self) -> Iterator[tuple[str, tuple[str, ...], str]]:
        """Every values.yaml: its path, the path of its chart in the values (`('db',)` for a subchart db), and its text. Those of
        outer charts, which win, come first."""
        for path, prefix in self._tree.values_files():
            yield path, prefix, self.text(path)

    def repeated(self) -> list[tuple[str, list[str]]]:
        """The subcharts that lie in charts/ more often than Chart.yaml lists them: see tree.py."""
        return self._tree.repeated()

    def source_to_paths(self, source: str) -> list[str]:
        """Where what helm prints as `# Source: chart/charts/ALIAS/templates/x.yaml` may be; see tree.py. Raises Refused."""
        return self._tree.source_to_paths(source)

    def text(self, path: str) -> str:
        """The text of a file. Raises KeyError."""
        return _text(self._tree.read(path))


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


@contextmanager
def stage(source: ChartSource, helm: ChartHelm) -> Iterator[Chart]:
    """A private copy of a chart, which is removed when the block ends.

    The chart is found as helm finds it (pkg/action/install.go, LocateChart). Raises HelmFailed, with helm's own message if helm was
    run.
    """
    with Folder() as directory:
        yield Chart(_fetch(source, helm, directory), directory)


@step("reading the chart")
def _fetch(source: ChartSource, helm: ChartHelm, directory: Path) -> Tree:
    chart = source.chart.strip()
    repository = _last(source.flags, "--repo")
    helm4 = prefers_repository(repository, helm)
    if os.path.exists(chart) and not helm4:  # noqa: PTH110  as helm checks it: an empty name is not the current directory
        return _local(source, helm, _absolute(chart))
    if not repository and chart.startswith(("/", ".")):
        raise HelmFailed("chart not found", where=chart, why="there is no such file or directory", hint=KINDS)
    pulled = directory / "pulled"
    pulled.mkdir()
    if not repository:
        try:
            helm.run(["pull", *source.flags, f"--destination={pulled}", "--", chart])
        except HelmFailed as error:
            raise _not_found(chart, error.why) or error from None
    else:
        # helm pull --repo sends the password to whatever host the index names; helm upgrade does not, nor does show
        indexes = directory / "indexes" if helm4 else pulled
        _link_indexes(indexes)
        caches = [f"--repository-cache={indexes}", *([f"--content-cache={pulled}"] if helm4 else [])]
        helm.run(["show", "chart", *source.flags, *caches, "--", chart])
    return _archive(next(file for file in pulled.rglob("*") if _is_archive(file)), chart)


def prefers_repository(repository: str | None, helm: ChartHelm) -> bool:
    """Whether helm takes a chart from a repository (--repo) even if there is a local path of that name: Helm 4 does."""
    return bool(repository) and helm.version >= (4, 0, 0)


def _link_indexes(folder: Path) -> None:
    """Give helm the indexes of the repositories that the user has added. It looks up a chart's URL in them to find the repository's
    login (pkg/downloader/chart_downloader.go, scanReposForURL)."""
    folder.mkdir(exist_ok=True)
    for index in env.repository_cache().glob("*-index.yaml"):
        (folder / index.name).symlink_to(index.absolute())


def _is_archive(file: Path) -> bool:
    """Whether a file in helm's cache is a chart that this run has fetched."""
    return file.is_file() and not file.is_symlink() and file.suffix != ".prov"


def _not_found(chart: str, why: str) -> HelmFailed | None:
    """The error for a name that is neither a path nor in a repository, by helm pull's message (pkg/downloader,
    ResolveChartVersion): it is about the path, which was probably meant. None for other messages."""
    missing = "there is no such file or directory"
    if chart and "non-absolute URLs should be in form of repo_name/path_to_chart" in why:
        return HelmFailed("chart not found", where=chart, why=missing, hint=KINDS)
    if chart.count("/") and f"repo {chart.partition('/')[0]} not found" in why:
        return HelmFailed("chart not found", where=chart, why=f"{missing}, and {why}", hint=KINDS)
    return None


def _absolute(chart: str) -> Path:
    try:
        return Path(chart).absolute()
    except FileNotFoundError:
        why, hint = "the working directory was removed", "go to a directory that exists, or give the chart's whole path"
        raise HelmFailed("chart not found", where=chart, why=why, hint=hint) from None


def _local(source: ChartSource, helm: ChartHelm, path: Path) -> Tree:
    if _switch(source.flags, "--verify"):
        keyring = _last(source.flags, "--keyring")
        helm.run(["verify", str(path), *([f"--keyring={keyring}"] if keyring is not None else [])])
    if not path.is_dir():
        return _archive(path, source.chart)
    tree = _directory(path, helm)
    if source.dependency_update and tree.missing_dependencies():
        helm.watch(["dependency", "update", str(path)])  # in the user's own directory, as helm upgrade does
        tree = _directory(path, helm)
    return tree


def _directory(path: Path, helm: ChartHelm) -> Tree:
    budget = Budget(str(path))
    return _chart(Tree(read_directory(path, budget, lambda: helm.version < (4, 0, 0)), budget), str(path))


def _archive(path: Path, name: str) -> Tree:
    budget = Budget(name)
    try:
        with path.open("rb") as file:
            packed = file.read(MAX_BYTES)
    except OSError as error:
        raise HelmFailed("the chart cannot be read", where=name, why=reason(error), hint=read_hint(error)) from None
    return _chart(Tree(unpack(packed, budget, name), budget), name)


def _chart(tree: Tree, name: str) -> Tree:
    if "Chart.yaml" not in tree:
        raise HelmFailed("this is not a chart", where=name, why="there is no Chart.yaml in it", hint=_below(tree))
    if own := [path for path in tree.files if path.startswith(OWN_FOLDER)]:
        what, why = "the chart has a folder that helm-pin uses", f"it would add templates of its own to {OWN_FOLDER}"
        raise HelmFailed(
            what, where=[f"{name}: {path}" for path in own[:5]], why=why, hint="give that folder another name"
        )
    return tree


def _below(tree: Tree) -> str:
    """What to do about a folder or an archive that is not a chart: it may contain one."""
    folders = sorted(path.removesuffix("/Chart.yaml") for path in tree.files if path.endswith("/Chart.yaml"))
    nearest = min(folders, key=lambda folder: folder.count("/"), default="")
    return f"it holds a chart in {nearest}: name that folder" if nearest else KINDS


def _last(flags: Sequence[str], name: str) -> str | None:
    """The last value given to the flag `name`, as `--name value` or `--name=value`."""
    value = None
    for flag, after in pairwise([*flags, ""]):
        given, equals, attached = flag.partition("=")
        if given == name:
            value = attached if equals else after
    return value


def _switch(flags: Sequence[str], name: str) -> bool:
    given = [flag for flag in flags if flag.partition("=")[0] == name]
    return bool(given) and given[-1].partition("=")[2] not in env.FALSE
