"""The values that hold a full version in place of a tag that can move."""

from __future__ import annotations

from collections.abc import Sequence

from helmpin.chart.setargs import Setting, dotted_key
from helmpin.image.reference import split
from helmpin.lint.edit import CannotEdit
from helmpin.lint.finding import Finding
from helmpin.lint.locate import empty_tag_beside
from helmpin.lint.values_files import ValuesFile
from helmpin.lint.wanted import Wanted, note_on_tag, placed


def check_has_version(finding: Finding) -> None:
    """Raise CannotEdit if there is no version to write, or no value for it."""
    if not finding.version:
        raise CannotEdit(finding.no_version or "no version with the digest of its tag is known")
    if not finding.at.path:
        raise CannotEdit("no value in a file sets its tag")


def version(finding: Finding, files: Sequence[ValuesFile]) -> Wanted:
    """What writes the version of a finding. files: those that win come first. Raises CannotEdit."""
    file = next((file for file in files if file.name == finding.at.file and file.writable), None)
    if file is None:
        raise CannotEdit("its values are not in a file that can be changed")
    wanted = placed((_setting(finding, file),), finding.use.image, files)
    is_new = not file.held_text(finding.at.path) and split(finding.use.image)[1]
    return wanted._replace(note=note_on_tag(finding.use.image)) if is_new else wanted


def _setting(finding: Finding, file: ValuesFile) -> Setting:
    """The value that holds the tag of a finding, with its version. Raises CannotEdit."""
    at = finding.at.path
    name, tag, _ = split(finding.use.image)
    old = file.held_text(at).strip()
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
