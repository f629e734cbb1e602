"""The plan, as data: what is pinned and how, in a chart that is ready to be deployed; and which images are refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from helmpin.chart.setargs import Setting, ValuePath, dotted_key, lookup
from helmpin.errors import HelmPinError, Refused, RegistryUnavailable
from helmpin.image.hints import LET_THROUGH, let_through, named
from helmpin.image.outside_pods import is_url
from helmpin.image.reference import Reference, split
from helmpin.named_tuple import NamedTuple
from helmpin.templates.scan import is_literal

if TYPE_CHECKING:
    from helmpin.chart.stage import Chart
    from helmpin.image.uses import ImageUse, OutsideUse, WithoutImage
    from helmpin.plan.images import ImagePlan
    from helmpin.plan.rendered import Rendered
    from helmpin.release.record import Record
    from helmpin.render.diff import Follower
    from helmpin.render.output import Render


class Plan(NamedTuple):
    """What is pinned and how. `set_arguments` follow the user's own arguments."""

    release: str
    namespace: str
    chart: Chart
    """With the record and the template pins, as it is deployed."""
    compared: Chart
    """The same with fixed results in place of random ones; `render` was made from it."""
    images: list[ImagePlan]
    set_arguments: list[str]
    settings: tuple[Setting, ...]
    followers: tuple[Follower, ...]
    render: Render
    renders: int
    record: Record
    rendered: Rendered
    without_image: tuple[WithoutImage, ...] = ()
    """Not those that something may fill in."""

    def beyond_values(self) -> list[ImagePlan]:
        """The pinned images for which --set arguments or a values file are not enough."""
        return [image for image in self.images if not image.problem and not image.by_values_alone]

    def why_template(self, image: ImagePlan) -> str:
        """Why the template pins an image, if no value was tried before."""
        if image.kept_for:
            return f"{image.kept_for} keeps this digest, which its template writes"
        texts = self.rendered.chart.template_files().values()
        return (
            "hard-coded in the template"
            if is_literal(image.image, texts)
            else "no value is known that can carry its digest"
        )

    def settings_in_user_lists(self) -> list[Setting]:
        """The settings for a list of the user's values, which a values file could only repeat whole."""
        return [each for each in self.settings if isinstance(lookup(self.rendered.given, _list_path(each)), list)]

    def default_lists(self) -> list[str]:
        """The lists of the chart's defaults that settings go into: --set makes them values of the release, whole."""
        paths = {path for path in map(_list_path, self.settings) if path}
        return sorted(dotted_key(path) for path in paths if not isinstance(lookup(self.rendered.kept, path), list))

    def images_in_user_lists(self) -> list[ImagePlan]:
        """The images that such settings pin."""
        names = {dotted_key(setting.path) for setting in self.settings_in_user_lists()}
        return [image for image in self.images if not image.problem and names & {*image.values}]

    def outside(self) -> list[ImageUse]:
        """The images outside pod specs that --also may pin: not those that cannot be pinned in a pod spec either."""
        found = (use for use in self.render.elsewhere() if not is_url(use.image))
        return [use for use in found if self._may_be_pinned(use)]

    def for_operators(self) -> list[OutsideUse]:
        """Those that `--also operators` would pin, with those that are not listed otherwise."""
        return [found for found in self.render.for_operators() if self._may_be_pinned(found.use)]

    def _may_be_pinned(self, use: ImageUse) -> bool:
        unpinned = {_reference(image.image) for image in self.images if image.problem}
        return _reference(use.image) not in unpinned

    def outside_as_urls(self) -> list[ImageUse]:
        """The images outside pod specs that are written as URLs, which are only listed."""
        return [use for use in self.render.elsewhere() if is_url(use.image)]

    def refuse(self, *, mutable: bool, shows_tries: bool = False) -> None:
        """Raise Refused or RegistryUnavailable for the images that must not be deployed. mutable: whether mutable tags are
        refused. The rest as below."""
        if mutable:
            self.refuse_mutable()
        self.refuse_problems(shows_tries=shows_tries)

    def refuse_problems(self, *, shows_tries: bool = False) -> None:
        """Raise for the images that cannot be pinned: RegistryUnavailable if a registry failed for one, else Refused.
        shows_tries: whether the output shows what was tried."""
        bad = [(image, image.problem) for image in self.images if image.problem and not image.is_let_through]
        if not bad:
            return
        lines = []
        for image, problem in bad:
            lines.append(f"{named(image.image)}: {problem.text}")
            lines += [f"    used by {use.place()}" for use in image.uses[:3]]
            lines += [f"    and {len(image.uses) - 3} more"] if len(image.uses) > 3 else []
        hints = _shared([problem.hint for _, problem in bad if problem.hint])
        if not shows_tries and any(image.notes and problem.kind == "refused" for image, problem in bad):
            hints.append("helm pin plan -v, with the same arguments, shows what was tried")
        kinds = {problem.kind for _, problem in bad}
        error: type[HelmPinError] = RegistryUnavailable if "registry" in kinds else Refused
        count = f"{len(bad)} of {len(self.images)} images" if len(bad) > 1 else named(bad[0][0].image)
        how = "refused by a required command" if kinds == {"gate"} else "cannot be pinned"
        raise error(f"{count} {how}", why="\n".join(lines), hint=_each_once(hints))

    def refuse_without_image(self) -> None:
        """Raise Refused for containers without an image: helm would deploy a part of the release before the API server refuses
        them, or they run what nobody has pinned."""
        if self.without_image:
            count = len(self.without_image)
            raise Refused(
                "1 container has no image" if count == 1 else f"{count} containers have no image",
                why="\n".join(f"{use.place()}, {fault}" for use, fault in self.without_image),
                hint=f"set the value that the template prints there; or, if a webhook fills it in, {let_through('')}",
            )

    def refuse_mutable(self) -> None:
        """Raise Refused for the images with a mutable tag (--mutable refuse)."""
        moving = [i for i in self.images if i.is_refused_as_mutable]
        if not moving:
            return
        lines = []
        for i in moving:
            lines.append(f"{i.image}: {i.mutable}")
            lines += [f"    used by {use.place()}" for use in i.uses]
            lines.append(f"    set by  {', '.join(self._set_by(i)) or 'no value that is known'}")
            lines.append(f"    now     {i.digest or (i.problem and i.problem.text)}")
        count = "1 image has a mutable tag" if len(moving) == 1 else f"{len(moving)} images have mutable tags"
        raise Refused(
            count,
            why="\n".join(lines),
            hint="set a digest or a full version, or pin them: --mutable pin",
        )

    def _set_by(self, image: ImagePlan) -> Iterable[str]:
        """The values that set an image today: not a digest key that is still empty, but the tag beside it."""
        values, tag = self.rendered.origin.values or {}, split(image.image)[1]
        found: list[ValuePath] = []
        for path in (setting.path for setting in self.settings if dotted_key(setting.path) in image.values):
            above, held = lookup(values, path[:-1]), lookup(values, path)
            tags = [key for key, value in above.items() if str(value) == tag] if isinstance(above, dict) else []
            found += [(*path[:-1], key) for key in tags] if held in (None, "") and tags else [path]
        return sorted(set(map(dotted_key, found))) or image.values or image.set_by


def _each_once(hints: Iterable[str]) -> str:
    """The lines of hints, each once."""
    return "\n".join(dict.fromkeys(line for hint in hints for line in hint.splitlines()))


def _reference(image: str) -> Reference | str:
    """An image, however it is spelt."""
    return Reference.read(image) or image


def _shared(hints: Sequence[str]) -> list[str]:
    """Hints that differ only in the images that they let through, as one."""
    flags: dict[str, dict[str, None]] = {}
    for hint in hints:
        before, let, flag = hint.rpartition(LET_THROUGH)
        alone = not let or "\n" in flag
        flags.setdefault(hint if alone else before, {})["" if alone else flag] = None
    return [
        before
        if "" in each
        else before + LET_THROUGH.replace(" it ", " them " if len(each) > 1 else " it ") + " ".join(each)
        for before, each in flags.items()
    ]


def _list_path(setting: Setting) -> ValuePath:
    """The path of the outermost list that a setting goes into; () if none."""
    return setting.path[: next((i for i, part in enumerate(setting.path) if isinstance(part, int)), 0)]
