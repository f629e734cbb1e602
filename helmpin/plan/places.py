"""Where the templates of a chart print its images, as far as template pins need it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from helmpin.image.documents import Document
from helmpin.image.reference import pinned_form
from helmpin.image.uses import ImageUse, UseKey
from helmpin.plan.jobs import JobFollower
from helmpin.plan.varying import Varying
from helmpin.templates.pins import TemplatePin, by_order, locate


class Places:
    """The places in what templates print. Mutable: each is found when it is first needed, since mostly values pin all."""

    def __init__(
        self,
        documents: Iterable[Document],
        origins: Mapping[UseKey, ImageUse],
        wanted: Mapping[UseKey, str],
        fixed: Mapping[UseKey, Sequence[JobFollower]],
        varying: Varying,
    ) -> None:
        """documents: what the templates print. origins: each use as its template prints it. wanted: its digest. fixed: the other
        places to pin with a use."""
        self._origins, self._wanted, self._fixed, self._varying = origins, wanted, fixed, varying
        self._documents: dict[str, list[Document]] = defaultdict(list)
        for document in documents:
            self._documents[document.source].append(document)
        self._orders: dict[str, dict[int, tuple[str, Document]]] = {}
        """The documents of each source, by_order()."""
        self._pins: dict[UseKey, TemplatePin | None] = {}
        self._turns: dict[UseKey, int] = {}
        """The number of each use among those of the same image in one leaf."""
        same: Counter[Any] = Counter()
        for key, origin in origins.items():
            leaf = (origin.image, *origin.key[:-1], *(part for part in origin.path if not str(part).startswith("#")))
            self._turns[key] = same[leaf]
            same[leaf] += 1

    def of(self, key: UseKey) -> TemplatePin | None:
        """Where the template of a use prints its image; None if that is not found."""
        if key not in self._pins:
            origin = self._origins.get(key)
            self._pins[key] = self._located(origin, self._wanted[key], self._turns[key]) if origin else None
        return self._pins[key]

    def to_pin(self, key: UseKey) -> Iterator[tuple[ImageUse, TemplatePin]]:
        """What to pin for a use whose place is found: the place itself, and those that are pinned with it."""
        own, origin = self.of(key), self._origins[key]
        assert own is not None
        yield origin, own
        for place, nth, digest in (
            self._fixed.get(key, ()) if origin.key == key else ()
        ):  # else a post-renderer moved it
            if pin := self._located(place, digest, nth):
                yield place, pin

    def _located(self, use: ImageUse, digest: str, nth: int) -> TemplatePin | None:
        source, in_any_order = use.source, use.source in self._varying.unordered
        if source not in self._orders:
            self._orders[source] = by_order(self._documents[source], in_any_order=in_any_order)
        pinned = pinned_form(use.image, digest)
        return locate(use, self._orders[source], pinned, nth, in_any_order=in_any_order)
