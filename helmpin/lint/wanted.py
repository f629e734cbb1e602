"""Values to write, and the file in which each belongs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from helmpin.chart.setargs import Setting, ValuePath, dotted_key
from helmpin.chart.value_keys import PART_KEY
from helmpin.lint.edit import CannotEdit, depth_of
from helmpin.lint.values_files import ValuesFile
from helmpin.named_tuple import NamedTuple
from helmpin.shapes import text_of
from helmpin.yaml_position import span


class Wanted(NamedTuple):
    """Values to write into one file, all of them or none."""

    file: ValuesFile
    settings: tuple[Setting, ...]
    """With their paths in that file."""
    note: str = ""
    """What the user should know once they are written."""
    decides: str = ""
    """The digest, if the values give the tag beside it too, so that nothing else decides which image it is."""

    @property
    def path(self) -> Path:
        """Where the file is."""
        return Path(self.file.name).resolve()

    def __str__(self) -> str:
        return f"{self.file.name}: {', '.join(dotted_key(setting.path) for setting in self.settings)}"


def placed(settings: Sequence[Setting], image: str, files: Sequence[ValuesFile]) -> Wanted:
    """The file for values that belong together: the first one that gives one of them, or another part of the image beside them;
    else the one that has most of the path to them, or the chart's own if that does not decide. files: those that win come first.
    Raises CannotEdit if a flag gives them."""
    path = settings[0].path
    file = next((file for file in files if _gives(file, settings[0], image)), None)
    if file is None:
        file = max((file for file in files if file.writable), key=lambda file: (_depth(file, path), file.own))
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
    beside = file.held(inner[:-1])
    parts = [value for key, value in beside.items() if PART_KEY.search(str(key))] if isinstance(beside, dict) else []
    texts = [text_of(part) for part in parts if isinstance(part, (str, int, float))]
    return any(text and text in image and text not in setting.value for text in texts)


def _depth(file: ValuesFile, path: ValuePath) -> int:
    inner = file.inner(path)
    return -1 if inner is None else len(path) - len(inner) + depth_of(file.text, inner)


def note_on_tag(image: str) -> str:
    """What else changes where a value now sets the tag of an image that the chart sets by itself."""
    return f"from now on this value sets the tag of {image}, not the chart's appVersion or what else set it before"


def note_on_digest(image: str) -> str:
    """What stays where a value sets the digest of an image, and the chart its tag."""
    return f"this digest stays if the chart gives {image} another tag: then empty it, and run helm pin lint --fix again"
