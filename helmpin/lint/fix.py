"""Writing digests into the values files of charts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from helmpin import output
from helmpin.arguments import Given
from helmpin.chart.setargs import Path as ValuePath
from helmpin.chart.setargs import Setting, key
from helmpin.cli import Request
from helmpin.errors import HelmPinError, OperationFailed, UsageError
from helmpin.lint.edit import CannotEdit, depth_of, with_settings
from helmpin.lint.locate import ValuesFile
from helmpin.plan.images import ImagePlan
from helmpin.plan.plan import Plan
from helmpin.plan.prepare import prepare
from helmpin.render.values import values_flag


def fix(request: Request, chart: str, ci: Sequence[Path]) -> None:
    """Pin what can move in the values files of a chart, and say what was written and what was not.

    ci: the values files of its ci folder. Raises UsageError.
    """
    for flag in request.flags:
        if flag.name == "--values" and not all(Path(source).is_file() for source in (flag.value or "").split(",")):
            raise UsageError(f"--fix cannot write to {flag.value}", hint="name files of values, or leave --fix out")
    if (Path(chart) / "Chart.yaml").exists():
        for path in (None, *ci):
            _fix_one(request, chart, path)
    elif Path(chart).is_file() and chart.endswith(".tgz"):
        output.say(f"Not fixed: {output.one_line(chart)}: it is packed")


def _fix_one(request: Request, chart: str, ci: Path | None) -> None:
    """Fix a chart with one set of values. What does not render is left to lint."""
    flag = values_flag(ci.absolute()) if ci else ""
    more = [Given("--values", flag.removeprefix("--values="), (flag,))] if ci else []
    asked = request._replace(flags=[*more, *request.flags])
    try:
        with prepare(asked, "lint", chart, command="template", values_only=True) as prepared:
            settings = to_write(prepared.plan)
            files = _files(chart, prepared.plan, request, ci)
    except UsageError:
        raise
    except HelmPinError as error:
        output.say(f"Not fixed: {output.one_line(chart)}: {error.message()}")
        return
    write(settings, files)


def to_write(plan: Plan) -> list[Setting]:
    """The values that pin the images whose tags can move. Says what they do not pin."""
    wanted: list[Setting] = []
    for image in plan.images:
        if image.mutable and image.problem and image.problem.kind != "allowed":
            output.say(f"Not fixed: {output.one_line(image.image)}: {image.problem.text}")
        elif image.mutable and not image.problem and image.via == "values":
            wanted += _settings_of(image, plan.settings)
    return list(dict.fromkeys(wanted))


def _settings_of(image: ImagePlan, settings: Iterable[Setting]) -> list[Setting]:
    """Those of one image: what carries its digest, and what is emptied beside it."""
    settings = list(settings)
    carriers = [setting for setting in settings if key(setting.path) in image.values]
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


def write(settings: Iterable[Setting], files: Sequence[ValuesFile]) -> None:
    """Write each value into the file where it stands, or where what is beside it stands, every other byte kept. Says what was
    written and what cannot be. Raises OperationFailed."""
    chosen: dict[str, list[Setting]] = {}
    by_name = {file.name: file for file in files}
    for setting in settings:
        file = _file_of(setting.path, files)
        inner = file.inner(setting.path) or setting.path
        chosen.setdefault(file.name, []).append(setting._replace(path=inner))
    for name, mine in chosen.items():
        keys = ", ".join(key(setting.path) for setting in mine)
        try:
            text = with_settings(by_name[name].text, mine)
        except CannotEdit as why:
            output.say(output.one_line(f"Not fixed: {name}: {keys}: {why}"))
            continue
        try:
            Path(name).write_bytes(text.encode(errors="surrogateescape"))
        except OSError as error:
            raise OperationFailed("cannot write values", where=name, why=error.strerror or str(error)) from None
        output.inform(output.one_line(f"Fixed {name}: {keys}"))


def _file_of(path: ValuePath, files: Sequence[ValuesFile]) -> ValuesFile:
    """The file that has most of the way to a value; of several the one that wins."""

    def depth(file: ValuesFile) -> int:
        inner = file.inner(path)
        if inner is None:
            return -1
        return len(path) - len(inner) + depth_of(file.text, inner)

    return max(files, key=depth)
