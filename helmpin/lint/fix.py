"""Writing digests, or versions, into the values files of charts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from helmpin import output
from helmpin.arguments import Given, words
from helmpin.chart.setargs import Setting, ValuePath, dotted_key
from helmpin.errors import HelmPinError, OperationFailed, UsageError
from helmpin.image.reference import split
from helmpin.lint.edit import CannotEdit, depth_of, with_settings
from helmpin.lint.finding import Finding, Linted
from helmpin.lint.locate import ValuesFile, empty_tag_beside, held_text
from helmpin.plan.images import ImagePlan
from helmpin.plan.plan import Plan
from helmpin.plan.prepare import prepare
from helmpin.render.output import parse
from helmpin.render.values import values_flag

if TYPE_CHECKING:
    from helmpin.cli import Request


def fix(request: Request, chart: str, ci: Sequence[Path]) -> None:
    """Pin what can move in the values files of a chart, and say what was written and what was not.

    ci: the values files of its ci folder. Raises UsageError.
    """
    for flag in request.flags:
        if flag.name == "--values" and not all(Path(source).is_file() for source in (flag.value or "").split(",")):
            raise UsageError(f"--fix cannot write to {flag.value}", hint="name files of values, or leave --fix out")
    if (Path(chart) / "Chart.yaml").exists():
        sets = [found for path in (None, *ci) if (found := _values_set(request, chart, path))]
        _write_and_check(request, chart, sets)
    elif Path(chart).is_file() and chart.endswith(".tgz"):
        output.say(f"Not fixed: {output.one_line(chart)}: it is packed")


def fix_versions(request: Request, linted: Linted, ci: Sequence[Path]) -> None:
    """Write the versions of the findings where their tags stand, and say what was written and what was not.

    linted: a chart with the versions of its findings. ci: as for fix().
    """
    chart = linted.chart
    versions = {finding.use.image: finding.version for finding in linted.findings}
    sets = []
    for path in (None, *ci) if (Path(chart) / "Chart.yaml").exists() else ():
        asked = _with_ci(request, path)
        with suppress(HelmPinError):  # lint says why it does not render
            printed = request.helm.run(["template", "lint", chart, *words(asked.flags)])
            images = {use.key: (use.image, versions.get(use.image, "")) for use in parse(printed).images()}
            sets.append(ValuesSet(asked, [], images))
    wanted = []
    for finding in linted.findings:
        try:
            wanted.append(_version_of(finding))
        except CannotEdit as why_not:
            output.say(
                output.one_line(f"Not fixed: {finding.at.file}:{finding.at.line}: {finding.use.image}: {why_not}")
            )
    if sets:
        sets[0].wanted.extend(wanted)
        _write_and_check(request, chart, sets)


def _version_of(finding: Finding) -> Wanted:
    """What to write for the version of a finding. Raises CannotEdit."""
    if not finding.version:
        raise CannotEdit("no version with the digest of its tag is known")
    path = Path(finding.at.file)
    if not finding.at.path:
        raise CannotEdit("no value sets its tag")
    if not path.is_file():
        raise CannotEdit("its values are not in a file that can be changed")
    file = ValuesFile(finding.at.file, path.read_bytes().decode(errors="surrogateescape"))
    name, tag, _ = split(finding.use.image)
    at, held = finding.at.path, held_text(file, finding.at.path)
    if held in ("", tag):
        text = finding.version
    elif tag and held.endswith(f":{tag}"):
        text = held[: -len(tag)] + finding.version
    elif not tag and (beside := empty_tag_beside(file, at)):
        at, text = beside, finding.version
    elif not tag and name.endswith(held):
        text = f"{held}:{finding.version}"
    else:
        raise CannotEdit(f"{finding.at.value} is only a part of its tag")
    return Wanted(file, Setting(at, text))


class Wanted(NamedTuple):
    """One value to write into a file."""

    file: ValuesFile
    setting: Setting
    """With its path in that file."""


class ValuesSet(NamedTuple):
    """A chart with one set of values."""

    asked: Request
    """With the ci values before the user's own."""
    wanted: list[Wanted]
    images: dict[Any, tuple[str, str]]
    """Each image use: the image as it is, and the digest or the version that it should get, if any."""


def _values_set(request: Request, chart: str, ci: Path | None) -> ValuesSet | None:
    """What to write for a chart with one set of values; None if it does not render, which is left to lint."""
    asked = _with_ci(request, ci)
    try:
        with prepare(asked, "lint", chart, command="template", values_only=True) as prepared:
            settings = to_write(prepared.plan)
            files = _files(chart, prepared.plan, request, ci)
            images = {use.key: (use.image, each.digest) for each in prepared.plan.images for use in each.uses}
    except UsageError:
        raise
    except HelmPinError as error:
        output.say(f"Not fixed: {output.one_line(chart)}: {error.message()}")
        return None
    found = []
    for setting in settings:
        file = _file_of(setting.path, files)
        found.append(Wanted(file, setting._replace(path=file.inner(setting.path) or setting.path)))
    return ValuesSet(asked, found, images)


def _with_ci(request: Request, ci: Path | None) -> Request:
    """With the values of the ci folder before the user's own."""
    if ci is None:
        return request
    flag = values_flag(ci.absolute())
    return request._replace(flags=[Given("--values", flag.removeprefix("--values="), (flag,)), *request.flags])


def _write_and_check(request: Request, chart: str, sets: Sequence[ValuesSet]) -> None:
    """Write what all sets of values want, and take it back if an image of any set is not what it was or what it should be."""
    before = write([each for one in sets for each in one.wanted])
    for one in sets if before else ():
        try:
            printed = request.helm.run(["template", "lint", chart, *words(one.asked.flags)])
            now = {use.key: use.image for use in parse(printed).images()}
            wrong = next(
                (image for key, (image, wanted) in one.images.items() if not _is(now.get(key), image, wanted)), ""
            )
        except HelmPinError as error:
            wrong = error.message()
        if wrong:
            for name, text in before.items():
                _save(name, text)
            output.say(output.one_line(f"Not fixed: {chart}: the values together would do something else to {wrong}"))
            return
    for name in before:
        output.inform(output.one_line(f"Fixed {name}"))


def _is(now: str | None, image: str, wanted: str) -> bool:
    """Whether an image stayed, or got its digest or its version and nothing else."""
    if now is None or now == image:  # what --also found is not among a manifest's images
        return True
    name, tag, found = split(now)
    if name != split(image)[0]:
        return False
    if not wanted.startswith("sha256:"):
        return (tag, found) == (wanted, None)
    return found == wanted and tag in (split(image)[1], None, "latest")


def to_write(plan: Plan) -> list[Setting]:
    """The values that pin the images whose tags can move. Says what they do not pin."""
    wanted: list[Setting] = []
    for image in plan.images:
        if image.mutable and image.problem and image.problem.kind != "allowed":
            output.say(f"Not fixed: {output.one_line(image.image)}: {image.problem.text}")
        elif image.mutable and not image.problem and image.by_values_alone:
            wanted += _settings_of(image, plan.settings)
        elif image.mutable and not image.problem:
            output.say(f"Not fixed: {output.one_line(image.image)}: no value carries its digest")
    return list(dict.fromkeys(wanted))


def _settings_of(image: ImagePlan, settings: Iterable[Setting]) -> list[Setting]:
    """Those of one image: what carries its digest, and what is emptied beside it."""
    settings = list(settings)
    carriers = [setting for setting in settings if dotted_key(setting.path) in image.values]
    parents = {setting.path[:-1] for setting in carriers}
    return carriers + [setting for setting in settings if not setting.value and setting.path[:-1] in parents]


def _files(chart: str, plan: Plan, request: Request, ci: Path | None) -> list[ValuesFile]:
    """The files of values that can be written, those that win first."""
    given = [source for flag in request.flags if flag.name == "--values" for source in (flag.value or "").split(",")]
    paths: list[tuple[Path, ValuePath]] = [(Path(source), ()) for source in reversed(given)]
    paths += [(ci, ())] if ci else []
    own = [(path, prefix) for path, prefix, _ in plan.rendered.chart.values_files() if ".tgz/" not in path]
    if not any(path == "values.yaml" for path, _ in own):
        own.insert(0, ("values.yaml", ()))
    paths += [(Path(chart) / path, prefix) for path, prefix in own]
    files = []
    for path, prefix in paths:
        text = path.read_bytes().decode(errors="surrogateescape") if path.exists() else ""
        files.append(ValuesFile(str(path), text, prefix))
    return files


def write(wanted: Iterable[Wanted]) -> dict[str, str]:
    """Write the values, every other byte of their files kept; returns what each changed file held before. A value that is wanted in
    two ways, since it feeds an image that depends on other values, is left. Says what was not written. Raises OperationFailed."""
    texts: dict[str, str] = {}
    chosen: dict[str, dict[ValuePath, set[str]]] = {}
    for file, (path, value) in wanted:
        texts[file.name] = file.text
        chosen.setdefault(file.name, {}).setdefault(path, set()).add(value)
    changed: dict[str, str] = {}
    for name, paths in chosen.items():
        if several := [dotted_key(path) for path, values in paths.items() if len(values) > 1]:
            why = "its image depends on other values, so that it would need several digests"
            output.say(output.one_line(f"Not fixed: {name}: {', '.join(several)}: {why}"))
        settings = [Setting(path, next(iter(values))) for path, values in paths.items() if len(values) == 1]
        try:
            text = with_settings(texts[name], settings)
        except CannotEdit as why_not:
            keys = ", ".join(dotted_key(setting.path) for setting in settings)
            output.say(output.one_line(f"Not fixed: {name}: {keys}: {why_not}"))
            continue
        if text != texts[name]:
            _save(name, text)
            changed[name] = texts[name]
    return changed


def _save(name: str, text: str) -> None:
    try:
        Path(name).write_bytes(text.encode(errors="surrogateescape"))
    except OSError as error:
        raise OperationFailed("cannot write values", where=name, why=error.strerror or str(error)) from None


def _file_of(path: ValuePath, files: Sequence[ValuesFile]) -> ValuesFile:
    """The file that has most of the way to a value; of several the one that wins."""

    def depth(file: ValuesFile) -> int:
        inner = file.inner(path)
        if inner is None:
            return -1
        return len(path) - len(inner) + depth_of(file.text, inner)

    return max(files, key=depth)
