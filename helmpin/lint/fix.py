"""Writing digests, or versions, into the values files of charts.

A value is written only if it pins its own image, and no other, in every chart that reads the file. Renders of copies show that
first: of each chart as it is linted, with its own values alone, with fewer of the given files, and of its subcharts by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from helmpin import output
from helmpin.arguments import Given, is_on, words
from helmpin.chart.setargs import Setting, ValuePath, dotted_key
from helmpin.chart.stage import SOURCE_FLAGS, Chart, ChartSource, stage
from helmpin.errors import HelmPinError, UsageError
from helmpin.image.reference import split
from helmpin.lint.edit import BESIDE, CannotEdit, depth_of, written
from helmpin.lint.finding import Finding, Linted, inside, named, path_here
from helmpin.lint.locate import ValuesFile, empty_tag_beside, held, held_text, own_values_files
from helmpin.lint.rules import REGISTRY
from helmpin.lint.save import replace
from helmpin.lint.trial import Trials, Usage, Wrong
from helmpin.output import for_helm
from helmpin.plan.candidates import text_of
from helmpin.plan.images import ImagePlan
from helmpin.plan.plan import Plan
from helmpin.plan.prepare import prepare
from helmpin.plan.template_scan import is_written
from helmpin.render.helm_probe import MergedValues
from helmpin.render.values import VALUE_FLAGS, sources, values_flag
from helmpin.yaml_position import span

if TYPE_CHECKING:
    from helmpin.request import Request

Pins = dict[str, str]
"""Each image as written, and its digest or version."""
BY_FLAGS = "--set"
"""The name that stands for all flags with single values in the list of values files."""


class Target(NamedTuple):
    """A chart to fix."""

    chart: str
    """As the user names it."""
    request: Request
    """With the settings for this chart."""
    ci: Sequence[Path]
    """The values files of its ci folder."""


class Wanted(NamedTuple):
    """Values to write into one file, all of them or none."""

    file: ValuesFile
    settings: tuple[Setting, ...]
    """With their paths in that file."""
    note: str = ""
    """What the user should know once they are written."""

    def __str__(self) -> str:
        return f"{self.file.name}: {', '.join(dotted_key(setting.path) for setting in self.settings)}"


class _Open(NamedTuple):
    """A target with its files."""

    target: Target
    staged: Chart
    by_flags: ValuesFile
    """The values that --set and similar flags give."""

    def files(self, ci: Path | None) -> list[ValuesFile]:
        """The values that the chart is rendered with; those that win come first."""
        given = [_read(source) for source in reversed(_sources(self.target.request.flags))]
        given += [_read(str(ci))] if ci else []
        own = own_values_files(self.target.chart, self.staged)
        if not any(not file.prefix for file in own):
            own.insert(0, ValuesFile(inside(self.target.chart, "values.yaml"), ""))
        return [self.by_flags, *given, *(file for file in own if file.writable)]


def fix(targets: Sequence[Target]) -> None:
    """Write the digests of images that can move into the values files of charts, and report what was written and what was not.

    Raises UsageError before anything is written.
    """
    with ExitStack() as stack:
        opened = _opened(targets, stack)
        wanted: list[Wanted] = []
        pins: Pins = {}
        tasks = [(one, ci) for one in opened for ci in (None, *one.target.ci)]
        with output.Progress("sets of values to pin", len(tasks)) as progress:
            say = _Misses(progress)
            for one, ci in tasks:
                wanted += _digests(one, ci, pins, say)
                progress.step()
        _write(wanted, pins, opened, stack)


def fix_versions(targets: Sequence[Target], linted: Sequence[Linted]) -> None:
    """Write the versions of the findings in place of their tags, and report what was written and what was not.

    linted: the charts with the versions of their findings. Raises UsageError before anything is written.
    """
    findings = {each.chart: each.findings for each in linted}
    pins = {finding.use.image: finding.version for each in linted for finding in each.findings if finding.version}
    with ExitStack() as stack:
        opened = _opened(targets, stack)
        folders = {one.target.chart: one for one in opened}
        wanted: list[Wanted] = []
        say = _Misses()
        for chart, found in findings.items():
            for finding in (each for each in found if each.rule != REGISTRY):
                where = f"{finding.at.file}:{finding.at.line}: {finding.image}"
                try:
                    wanted += _versions(finding, folders.get(chart))
                except CannotEdit as why_not:
                    say(output.one_line(f"{where}: {why_not}"))
        _write(wanted, pins, opened, stack)


def _opened(targets: Sequence[Target], stack: ExitStack) -> list[_Open]:
    """The charts that are folders, with their files. Reports those that cannot be fixed."""
    if not targets:
        return []
    shared = targets[0].request  # the flags are the same for all
    if unwritable := [source for source in _sources(shared.flags) if not Path(source).is_file()]:
        raise UsageError(f"--fix cannot write to {unwritable[0]}", hint="name files of values, or leave --fix out")
    by_flags = ValuesFile(BY_FLAGS, for_helm(_set(shared)), writable=False)
    opened: list[_Open] = []
    for target in targets:
        chart, request, _ = target
        if (Path(chart.strip()) / "Chart.yaml").exists():
            source_flags = tuple(words(f for f in request.flags if f.name in SOURCE_FLAGS))
            source = ChartSource(chart, source_flags, is_on(request.flags, "--dependency-update"))
            try:
                opened.append(_Open(target, stack.enter_context(stage(source, request.helm)), by_flags))
            except HelmPinError as error:
                output.say(f"Not fixed: {output.one_line(chart)}: {error.message()}")
        elif Path(chart).is_file() and chart.endswith(".tgz"):
            output.say(f"Not fixed: {output.one_line(chart)}: it is packed")
    return opened


def _set(request: Request) -> Mapping[str, object]:
    """The values that --set and similar flags give, as Helm reads them. Raises HelmFailed."""
    flags = words(flag for flag in request.flags if flag.name in VALUE_FLAGS - {"--values"})
    return MergedValues(request.helm, flags).result() if flags else {}


def _sources(flags: Iterable[Given]) -> list[str]:
    return [source for flag in flags if flag.name == "--values" for source in sources(flag)]


def _read(source: str) -> ValuesFile:
    return ValuesFile(path_here(source), Path(source).read_bytes().decode(errors="surrogateescape"))


# -- what to write -----------------------------------------------------------------------------------------------------------


class _Misses:
    """Reports what is not fixed, each line once, since every set of values may have the same result. Mutable."""

    def __init__(self, progress: output.Progress | None = None) -> None:
        """progress: makes room for the lines."""
        self._reported: set[str] = set()
        self._progress = progress

    def __call__(self, text: str) -> None:
        if text not in self._reported:
            self._reported.add(text)
            if self._progress:
                self._progress.close()
            output.say(f"Not fixed: {text}")


def _digests(one: _Open, ci: Path | None, pins: Pins, say: _Misses) -> Iterator[Wanted]:
    """What pins a chart with one set of values; its digests are added to `pins`. A chart that does not render is left to lint."""
    request = one.target.request
    request = request._replace(settings=request.settings._replace(exemptions=()))  # lint reports those that it uses
    if ci is not None:
        flag = values_flag(ci.absolute())
        request = request._replace(flags=[Given("--values", flag.removeprefix("--values="), (flag,)), *request.flags])
    try:
        with prepare(request, "lint", one.target.chart, command="template", values_only=True) as prepared:
            plan = prepared.plan
    except UsageError:
        raise
    except HelmPinError as error:
        say(f"{output.one_line(one.target.chart)}: {error.message()}")
        return
    pins.update({image.image: image.digest for image in plan.images if image.digest and not image.problem})
    files = one.files(ci)
    for image in _to_fix(plan, say):
        for settings in _bundles(image, plan.settings):
            try:
                note = "" if _is_held(image.image, plan.rendered.origin.values) else _note(image.image)
                yield placed(settings, image.image, files)._replace(note=note)
            except CannotEdit as why_not:
                say(output.one_line(f"{named(image.image)}: {why_not}"))


def _to_fix(plan: Plan, say: _Misses) -> list[ImagePlan]:
    """The images that can move and that values pin, if only in some places. Reports why the others, and places, are left out."""
    moving = [image for image in plan.images if image.mutable]
    for image in moving:
        if image.problem and image.problem.kind != "allowed":
            say(f"{output.one_line(named(image.image))}: {image.problem.text}")
        elif not image.problem and not image.by_values_alone:
            where = " everywhere" if image.values else ""
            say(output.one_line(f"{image.image}: no value carries its digest{where}: {_why(image, plan)}"))
    return [image for image in moving if image.values and not image.problem]


def _note(image: str) -> str:
    """What else changes where a value now sets the tag of an image that the chart sets by itself."""
    return f"a new appVersion of the chart, or what else sets the tag of {image}, does not change this image any more"


def _is_held(image: str, values: object) -> bool:
    """Whether a value holds the tag of an image, or a part of it; also if there is no tag."""
    tag = split(image)[1] or ""
    return not tag or any(
        text == tag or text.endswith(f":{tag}") or (len(text) > 1 and text in tag) for text in _leaves(values)
    )


def _leaves(node: object) -> Iterator[str]:
    """The texts of all values."""
    if isinstance(node, (dict, list)):
        for value in node.values() if isinstance(node, dict) else node:
            yield from _leaves(value)
    else:
        yield text_of(node)


def _why(image: ImagePlan, plan: Plan) -> str:
    """Why no value can carry the digest of an image."""
    texts = plan.rendered.chart.template_files().values()
    if any(is_written(image.image, text) or (split(image.image)[1] and image.image in text) for text in texts):
        return "it is hard-coded in a template"
    return "; ".join(note.partition("\n")[0] for note in image.notes) or "no value holds its tag or its repository"


def _bundles(image: ImagePlan, settings: Sequence[Setting]) -> list[tuple[Setting, ...]]:
    """The settings of one image: each that carries its digest, and with it those that are emptied beside it."""
    carriers = [setting for setting in settings if dotted_key(setting.path) in image.values]
    emptied = {c.path[:-1]: [s for s in settings if not s.value and s.path[:-1] == c.path[:-1]] for c in carriers}
    return [(carrier, *emptied[carrier.path[:-1]]) for carrier in carriers]


def _versions(finding: Finding, one: _Open | None) -> Iterator[Wanted]:
    """The changes that write the version of a finding, for each set of values that shows it. Raises CannotEdit."""
    if not finding.version:
        raise CannotEdit(finding.no_version or "no version with the digest of its tag is known")
    if not finding.at.path:
        raise CannotEdit("no value in a file sets its tag")
    if one is None:
        raise CannotEdit("its values are not in a file that can be changed")
    for ci in (None, *one.target.ci):
        if ("" if ci is None else f"ci/{ci.name}") in finding.values:
            files = one.files(ci)
            setting = _version_setting(finding, files)
            was = next(held_text(file, finding.at.path) for file in files if file.name == finding.at.file)
            note = _note(finding.use.image) if not was and split(finding.use.image)[1] else ""
            yield placed((setting,), finding.use.image, files)._replace(note=note)


def _version_setting(finding: Finding, files: Iterable[ValuesFile]) -> Setting:
    """The value that holds the tag of a finding, with its version. Raises CannotEdit."""
    at = finding.at.path
    file = next((file for file in files if file.name == finding.at.file and file.writable), None)
    if file is None:
        raise CannotEdit("its values are not in a file that can be changed")
    name, tag, _ = split(finding.use.image)
    old = held_text(file, at).strip()
    if old in ("", tag):
        text = finding.version
    elif tag and old.endswith(f":{tag}"):
        text = old[: -len(tag)] + finding.version
    elif not tag and (beside := empty_tag_beside(file, at)):
        at, text = beside, finding.version
    elif not tag and name.endswith(old):
        text = f"{old}:{finding.version}"
    else:
        raise CannotEdit(f"{finding.at.value} is only a part of its tag")
    is_global = dotted_key(at) == finding.at.value and bool(file.prefix)
    return Setting(at if is_global else (*file.prefix, *at), text)


# -- where to write it -------------------------------------------------------------------------------------------------------


def placed(settings: Sequence[Setting], image: str, files: Sequence[ValuesFile]) -> Wanted:
    """The file for values that belong together: the first one that gives one of them, or another part of the image beside them;
    else the one that has most of the path to them. files: those that win come first. Raises CannotEdit if a flag gives them."""
    path = settings[0].path
    file = next((file for file in files if _gives(file, settings[0], image)), None)
    if file is None:
        file = max((file for file in files if file.writable), key=lambda file: _depth(file, path))
    if not file.writable:
        raise CannotEdit(f"{file.name} gives a part of it, and --fix writes what files give")
    return Wanted(file, tuple(Setting(file.inner(path) or path, value) for path, value in settings))


def _gives(file: ValuesFile, setting: Setting, image: str) -> bool:
    """Whether a file gives a value, or a part of the image beside it that the value does not hold itself."""
    inner = file.inner(setting.path)
    if inner is None:
        return False
    if span(file.text, inner) or file.is_unclear(inner):
        return True
    beside = held(file, inner[:-1])
    parts = [value for key, value in beside.items() if BESIDE.search(str(key))] if isinstance(beside, dict) else []
    texts = [text_of(part) for part in parts if isinstance(part, (str, int, float))]
    return any(text and text in image and text not in setting.value for text in texts)


def _depth(file: ValuesFile, path: ValuePath) -> int:
    inner = file.inner(path)
    return -1 if inner is None else len(path) - len(inner) + depth_of(file.text, inner)


# -- whether it may be written -----------------------------------------------------------------------------------------------


def _write(wanted: Iterable[Wanted], pins: Pins, opened: Sequence[_Open], stack: ExitStack) -> None:
    """Write what changes no other image, and keep every other byte of the files. Reports what was written and what was not. Raises
    OperationFailed."""
    left = _agreed(list(dict.fromkeys(wanted)))
    if not left:
        return
    files = {_path(each.file): each.file for each in left}
    trials = Trials(opened[0].target.request.helm, list(_usages(opened, files, stack)), lambda a, b: _fits(a, b, pins))
    kept = left
    refused: list[Wanted] = []
    while wrong := trials.wrong(_texts(kept)):
        blamed = [each for each in kept if any(_shows(each, one) for one in wrong)] or kept
        refused += blamed
        kept = [each for each in kept if each not in blamed]
    for each in refused:
        if not (wrong := trials.wrong(_texts([*kept, each]))):
            kept = [*kept, each]
            continue
        output.say(output.one_line(f"Not fixed: {each}: its image depends on other values: {wrong[0]}"))
    texts = _texts([each for each in left if each in kept], say=True)
    changed = {file.name: texts[path] for path, file in files.items() if path in texts and texts[path] != file.text}
    replace(changed)
    for name in changed:
        output.inform(output.one_line(f"Fixed {name}"))
    for note in dict.fromkeys(f"{one}: {one.note}" for one in kept if one.note and one.file.name in changed):
        output.inform(output.one_line(f"Note: {note}"))


def _agreed(wanted: Sequence[Wanted]) -> list[Wanted]:
    """Without the values that would need two different texts, since their image depends on other values. Reports those."""
    texts: dict[tuple[Path, ValuePath], set[str]] = {}
    for each in wanted:
        for path, value in each.settings:
            texts.setdefault((_path(each.file), path), set()).add(value)

    def contested(one: Wanted) -> list[str]:
        return [dotted_key(path) for path, _ in one.settings if len(texts[_path(one.file), path]) > 1]

    for where in dict.fromkeys(f"{one.file.name}: {', '.join(contested(one))}" for one in wanted if contested(one)):
        why = "its image depends on other values, so that it would need several digests"
        output.say(output.one_line(f"Not fixed: {where}: {why}"))
    return [one for one in wanted if not contested(one)]


def _texts(wanted: Sequence[Wanted], *, say: bool = False) -> dict[Path, str]:
    """Each file with what is wanted in it, as far as it can be written there. say: whether to report what cannot."""
    by_file: dict[Path, list[Wanted]] = {}
    for each in wanted:
        by_file.setdefault(_path(each.file), []).append(each)
    texts = {}
    for path, some in by_file.items():
        texts[path], why_not = written(some[0].file.text, [each.settings for each in some])
        for each, why in zip(some, why_not, strict=True):
            if why and say:
                output.say(output.one_line(f"Not fixed: {each}: {why}"))
    return texts


def _fits(image: str, now: str, pins: Pins) -> bool:
    """Whether an image got its own digest or version, and nothing else."""
    name, tag, digest = split(now)
    wanted = pins.get(image, "")
    if not wanted or name != split(image)[0]:
        return False
    if not wanted.startswith("sha256:"):
        return (tag, digest) == (wanted, None)
    return digest == wanted and tag in (split(image)[1] or "latest", None)


def _shows(wanted: Wanted, wrong: Wrong) -> bool:
    """Whether a value appears in an image that is wrong."""
    return any(value and value.rpartition(":")[2] in wrong.now for _, value in wanted.settings)


def _usages(opened: Sequence[_Open], files: Mapping[Path, ValuesFile], stack: ExitStack) -> Iterator[Usage]:
    """Every way in which the changing files are used, including subcharts by themselves."""
    for one in opened:
        chart, request, cis = one.target
        folder = Path(chart.strip())
        own = {(folder / path).resolve(): path for path, _, _ in one.staged.values_files() if ".tgz/" not in path}
        own[(folder / "values.yaml").resolve()] = "values.yaml"
        used = SOURCE_FLAGS | VALUE_FLAGS | {"--dependency-update"}
        flags = tuple(words(f for f in request.flags if f.name not in used))
        for ci in (None, *cis):
            for given in _given(request.flags, ci):
                name = " with ".join([chart, *([", ".join(map(_named, given))] if given else [])])
                yield Usage(one.staged, name, own, given, flags)
        for path in own.values():
            inner = path.removesuffix("values.yaml")
            if inner and any(file in files for file, name in own.items() if name.startswith(inner)):
                staged = stack.enter_context(stage(ChartSource(str(folder / inner)), request.helm))
                below = {file: name.removeprefix(inner) for file, name in own.items() if name.startswith(inner)}
                yield Usage(staged, f"{folder / inner} by itself", below, (), flags)


def _given(flags: Iterable[Given], ci: Path | None) -> list[tuple[Path | tuple[str, ...], ...]]:
    """The sets of given values to try: all of them, and the first files without the later ones."""
    whole: list[Path | tuple[str, ...]] = [ci.resolve()] if ci else []
    files = list(whole)
    fewer = [tuple(files)]
    for flag in flags:
        if flag.name == "--values":
            for source in sources(flag):
                files.append(Path(source).resolve())
                whole.append(Path(source).resolve())
                fewer.append(tuple(files))
        elif flag.name in VALUE_FLAGS:
            whole.append(flag.words)
    return list(dict.fromkeys([tuple(whole), *fewer]))


def _named(given: Path | tuple[str, ...]) -> str:
    return given.name if isinstance(given, Path) else "--set"


def _path(file: ValuesFile) -> Path:
    return Path(file.name).resolve()
