"""What a change of values files would do to the images of the charts that read them: renders of copies show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from helmpin import output
from helmpin.chart.stage import Chart, Helm
from helmpin.errors import HelmFailed
from helmpin.private import Folder, write
from helmpin.render.output import parse
from helmpin.render.values import values_flag

Fits = Callable[[str, str], bool]
"""Whether an image may become another one."""


class Usage(NamedTuple):
    """One way in which values files are used together."""

    chart: Chart
    name: str
    """As messages name it."""
    own: Mapping[Path, str]
    """The chart's own values files on the disk (resolved paths), and their paths in the chart."""
    given: tuple[Path | tuple[str, ...], ...]
    """What is given on top of them: values files (resolved paths), and the words of other flags for values."""
    flags: tuple[str, ...]
    """helm's other flags."""

    def reads(self, file: Path) -> bool:
        """Whether it uses a file."""
        return file in self.own or file in self.given


class Wrong(NamedTuple):
    """An image that would become something else."""

    usage: str
    image: str
    now: str
    """Or helm's message, where the chart does not render any more."""

    def __str__(self) -> str:
        become = f"{self.image} would become {self.now}" if self.image else self.now
        return f"{become}, in {self.usage}"


class Trials:
    """Renders of charts with changed values files. Mutable: it remembers the images without a change."""

    def __init__(self, helm: Helm, usages: Sequence[Usage], fits: Fits) -> None:
        self._helm, self._usages, self._fits = helm, usages, fits
        self._before: dict[int, Mapping[Any, str] | None] = {}

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
        if number not in self._before:
            try:
                self._before[number] = self._images(usage, {})
            except HelmFailed:
                self._before[number] = None
        before = self._before[number]
        if before is None:
            return
        try:
            after = self._images(usage, read)
        except HelmFailed as error:
            yield Wrong(usage.name, "", output.one_line(error.why or error.what))
            return
        for key, image in before.items():
            now = after.get(key, "nothing")
            if now != image and not self._fits(image, now):
                yield Wrong(usage.name, image, now)

    def _images(self, usage: Usage, texts: Mapping[Path, str]) -> Mapping[Any, str]:
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
            printed = self._helm.run(["template", "lint", str(chart.archive()), *values, *usage.flags])
        return {use.key: use.image for use in parse(printed).images()}
