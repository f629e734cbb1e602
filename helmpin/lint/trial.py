"""What a change of values files would do to the images of the charts that read them: renders of copies show it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from helmpin import output
from helmpin.chart.stage import ChartHelm
from helmpin.errors import HelmFailed, HelmStopped
from helmpin.image.reference import split
from helmpin.image.uses import UseKey
from helmpin.lint.usage import Usage
from helmpin.named_tuple import NamedTuple
from helmpin.private import Folder, write
from helmpin.render.output import parse
from helmpin.render.values import values_flag

Images = Mapping[UseKey, str]
"""The image of each use."""
Pins = dict[str, str]
"""Each image as written, and its digest or version."""


class Wrong(NamedTuple):
    """An image that would become something else."""

    usage: str
    image: str
    now: str
    """Or helm's message, where the chart does not render any more."""
    is_next: bool = False
    """In the chart's next release alone."""

    def __str__(self) -> str:
        become = f"{self.image} would become {self.now}" if self.image else self.now
        return f"{become}, in {self.usage}"


class Trials:
    """The images of charts with changed values files. Mutable: it remembers those without a change."""

    def __init__(
        self,
        images: Callable[[Usage, Mapping[Path, str]], Images],
        usages: Sequence[Usage],
        pins: Pins,
        decided: Collection[str] = (),
    ) -> None:
        """images: those of a usage, with these texts of files; raises HelmFailed if it does not render. decided: as keeps() has
        it."""
        self._images, self._usages, self._pins, self._decided = images, usages, pins, decided
        self._before: dict[int, Images | None] = {}

    def wrong(self, texts: Mapping[Path, str]) -> list[Wrong]:
        """The images that would become something wrong with these texts of files. A usage that does not render as it is shows
        nothing."""
        found: list[Wrong] = []
        with output.Progress("renders checked", len(self._usages)) as progress:
            for number, usage in enumerate(self._usages):
                found += self._wrong_in(number, usage, texts)
                progress.step()
        return found

    def _wrong_in(self, number: int, usage: Usage, texts: Mapping[Path, str]) -> Iterator[Wrong]:
        read = {file: text for file, text in texts.items() if usage.reads(file)}
        if not read:
            return
        before = self._images_before(number, usage)
        if before is None:
            return
        try:
            after = self._images(usage, read)
        except HelmStopped:
            raise
        except HelmFailed as error:
            yield Wrong(usage.name, "", output.one_line(error.why or error.what))
            return
        for key, image in before.items():
            now = after.get(key, "nothing")
            if now == image or fits(image, now, self._pins):
                continue
            if not (usage.is_next and keeps(image, now, self._pins, self._decided)):
                yield Wrong(usage.name, image, now, is_next=usage.is_next)

    def _images_before(self, number: int, usage: Usage) -> Images | None:
        """The images of a usage without any change; None if it does not render."""
        if number not in self._before:
            try:
                self._before[number] = self._images(usage, {})
            except HelmStopped:
                raise
            except HelmFailed:
                self._before[number] = None
        return self._before[number]


def fits(image: str, now: str, pins: Mapping[str, str]) -> bool:
    """Whether an image got its own digest or version, and nothing else."""
    name, tag, digest = split(now)
    wanted = pins.get(image, "")
    if not wanted or name != split(image)[0]:
        return False
    if not wanted.startswith("sha256:"):
        return (tag, digest) == (wanted, None)
    return digest == wanted and tag in (split(image)[1] or "latest", None)


def keeps(image: str, now: str, pins: Mapping[str, str], decided: Collection[str]) -> bool:
    """Whether an image of the chart's next release may have become what it is now: its version or digest belongs to its own tag,
    since a value gives that now. decided: the digests beside which a value gives the tag, even if the template leaves it out."""
    name, tag, digest = split(now)
    if name != split(image)[0]:
        return False
    if digest and not tag:
        return digest in decided
    if not digest:
        return any(tag == version for each, version in pins.items() if split(each)[0] == name)
    return digest in map(pins.get, [f"{name}:{tag}", *([name] if tag == "latest" else [])])


def rendered_images(helm: ChartHelm, usage: Usage, texts: Mapping[Path, str]) -> Images:
    """The images of a usage, with these texts of files. Raises HelmFailed if it does not render."""
    chart = usage.chart.with_files({usage.own[file]: text for file, text in texts.items() if file in usage.own})
    with Folder() as folder:
        values: list[str] = []
        for number, each in enumerate(usage.given):
            if isinstance(each, tuple):
                values += each
            elif each in texts:
                write(folder / f"{number}.yaml", texts[each])
                values.append(values_flag(folder / f"{number}.yaml"))
            else:
                values.append(values_flag(each))
        printed = helm.run(["template", "lint", str(chart.archive()), *values, *usage.flags])
    return {use.key: use.image for use in parse(printed).images()}
