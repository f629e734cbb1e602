"""The values that pin a chart by digest: what `helm pin plan` would set, where values files can hold it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from helmpin import output
from helmpin.chart.setargs import Setting, dotted_key, lookup
from helmpin.chart.value_keys import last_key
from helmpin.image.reference import split
from helmpin.lint.edit import CannotEdit
from helmpin.lint.values_files import ValuesFile
from helmpin.lint.wanted import Wanted, note_on_digest, note_on_tag, placed
from helmpin.plan.images import ImagePlan
from helmpin.plan.plan import Plan
from helmpin.search.value_index import leaves
from helmpin.shapes import text_of
from helmpin.templates.scan import is_literal

_OWN_TAG = re.compile(r"(?:image[-_]?)?(?:tag|version)$", re.IGNORECASE)
"""The key of a tag, in a map of one image."""


def digests(plan: Plan, files: Sequence[ValuesFile], say: Callable[[ImagePlan, str], None]) -> Iterator[Wanted]:
    """What pins the images that can move. files: those that win come first. say: reports which is left out, and why."""
    for image in _to_fix(plan, say):
        carriers = [setting for setting in plan.settings if dotted_key(setting.path) in image.values]
        if shared := _emptied_elsewhere(image, carriers, plan.settings):
            say(
                image,
                f"its tag comes from {shared}, which other images use too: empty it, and give each image its own tag",
            )
            continue
        values = plan.rendered.origin.values or {}
        for bundle in _bundles(carriers, plan.settings):
            tag = _tag_beside(bundle, image.image, plan, files)
            settings = (*bundle, *tag)
            try:
                wanted = placed(settings, image.image, files)
            except CannotEdit as why_not:
                say(image, output.one_line(str(why_not)))
                continue
            note = note_on_tag(image.image) if tag else _note(image.image, settings, values)
            yield wanted._replace(note=note, decides=image.digest if tag else "")


def _to_fix(plan: Plan, say: Callable[[ImagePlan, str], None]) -> list[ImagePlan]:
    """The images that can move and that values pin, if only in some places. Reports why the others, and places, are left out."""
    moving = [image for image in plan.images if image.mutable]
    for image in moving:
        if image.problem and not image.is_let_through:
            say(image, image.problem.text)
        elif not image.problem and not image.by_values_alone:
            where = " everywhere" if image.values else ""
            say(image, output.one_line(f"no value carries its digest{where}: {_why(image, plan)}"))
    return [image for image in moving if image.values and not image.problem]


def _why(image: ImagePlan, plan: Plan) -> str:
    """Why no value can carry the digest of an image."""
    if is_literal(image.image, plan.rendered.chart.template_files().values()):
        return "it is hard-coded in a template"
    if image.notes:
        return "; ".join(note.partition("\n")[0] for note in image.notes)
    texts = (text_of(value) for _, value in leaves(plan.rendered.origin.values or {}))
    own = re.compile(rf"(?<![\w./-]){re.escape(image.image)}(?![\w./:@-])")
    in_text = any(text != image.image and own.search(text) for text in texts)
    return "a value holds it in a longer text" if in_text else "no value holds its tag or its repository"


def _emptied_elsewhere(image: ImagePlan, carriers: Sequence[Setting], settings: Sequence[Setting]) -> str:
    """The first value that is emptied for an image, but not beside what carries its digest; '' if there is none."""
    maps = {carrier.path[:-1] for carrier in carriers}
    paths = [setting.path for setting in settings if dotted_key(setting.path) in image.emptied]
    return next((dotted_key(path) for path in paths if path[:-1] not in maps), "")


def _bundles(carriers: Sequence[Setting], settings: Sequence[Setting]) -> list[tuple[Setting, ...]]:
    """The settings of one image: each that carries its digest, and with it those that are emptied beside it."""
    emptied = {c.path[:-1]: [s for s in settings if not s.value and s.path[:-1] == c.path[:-1]] for c in carriers}
    return [(carrier, *emptied[carrier.path[:-1]]) for carrier in carriers]


def _tag_beside(settings: Sequence[Setting], image: str, plan: Plan, files: Sequence[ValuesFile]) -> list[Setting]:
    """The tag that is empty beside the name of an image and what carries its digest alone: an appVersion would still set it, and
    the digest stay. It may be a part of the image's tag, as appVersion is."""
    parent, values = settings[0].path[:-1], plan.rendered.origin.values or {}
    name, tag, _ = split(image)
    if not tag or any(_has_tag(setting.value, tag) or _OWN_TAG.match(last_key(setting.path)) for setting in settings):
        return []
    there = lookup(values, parent)
    held = [text_of(value) for value in there.values()] if isinstance(there, dict) else []
    if not any(text and f"/{name}".endswith(f"/{text}") for text in held):
        return []
    # helm's computed values omit what is null in the files
    given = [file.held(inner) for file in files if (inner := file.inner(parent)) is not None]
    paths = [(*parent, key) for each in (there, *given) if isinstance(each, dict) for key in each]
    empty = [path for path in paths if _OWN_TAG.match(last_key(path)) and lookup(values, path) in ("", None)]
    versions = [version for version in plan.rendered.chart.app_versions() if version in tag]
    return [Setting(path, max(versions, key=len, default=tag)) for path in empty[:1]]


def _note(image: str, settings: Sequence[Setting], values: Mapping[str, Any]) -> str:
    """What the user should know of settings that belong together, once they are written; '' if nothing."""
    if _sets_a_tag(image, settings, values):
        return note_on_tag(image)
    return "" if _is_held(image, values) else note_on_digest(image)


def _is_held(image: str, values: object) -> bool:
    """Whether a value holds the tag of an image, or a part of it; also if there is no tag."""
    tag = split(image)[1] or ""
    return not tag or any(
        text == tag or text.endswith(f":{tag}") or (len(text) > 1 and text in tag)
        for text in (text_of(value) for _, value in leaves(values))
    )


def _sets_a_tag(image: str, settings: Sequence[Setting], values: Mapping[str, Any]) -> bool:
    """Whether settings that belong together set the tag of an image, which none of their values held."""
    tag = split(image)[1] or ""
    held = any(tag in text_of(lookup(values, setting.path)) for setting in settings)
    return bool(tag) and not held and any(_has_tag(setting.value, tag) for setting in settings)


def _has_tag(value: str, tag: str) -> bool:
    """Whether a value is a tag, or has it before its digest."""
    return value == tag or f"{tag}@" in value
