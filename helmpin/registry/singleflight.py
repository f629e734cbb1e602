"""Computing each value once, however many threads need it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class SingleFlight(Generic[V]):
    """The first thread to need a key's value computes it; the others wait and get the same value or exception. Mutable."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cells: dict[Hashable, _Cell[V]] = {}

    def get(self, key: Hashable, make: Callable[[], V], valid: Callable[[V], bool] = lambda _: True) -> V:
        """The value of `key`, computed anew if it is no longer `valid`. Raises what `make` raised."""
        with self._lock:
            cell = self._cells.setdefault(key, _Cell())
        with cell.lock:
            if cell.error is not None:
                raise cell.error.with_traceback(None)
            if not (cell.made and valid(cell.value)):
                try:
                    cell.value, cell.made = make(), True
                except Exception as error:
                    cell.error = error
                    raise
            return cell.value

    def drop(self, key: Hashable, value: V) -> None:
        """Forget the value of `key`, unless another has replaced it."""
        with self._lock:
            cell = self._cells.get(key)
            if cell is not None and cell.made and cell.value is value:
                del self._cells[key]


class _Cell(Generic[V]):
    value: V

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.made = False
        self.error: Exception | None = None
