"""Making a thing once, however many threads want it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Once(Generic[V]):
    """Each key's value is made by the first who asks; the others wait for it and get the same value, or the same
    exception."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cells: dict[Hashable, _Cell[V]] = {}

    def get(self, key: Hashable, make: Callable[[], V], good: Callable[[V], bool] = lambda _: True) -> V:
        """The value of `key`; a value that is no longer `good` is made anew. Raises what `make` raised."""
        with self._lock:
            cell = self._cells.setdefault(key, _Cell())
        with cell.lock:
            if cell.error is not None:
                raise cell.error.with_traceback(None)
            if not (cell.made and good(cell.value)):
                try:
                    cell.value, cell.made = make(), True
                except Exception as error:
                    cell.error = error
                    raise
            return cell.value

    def drop(self, key: Hashable, value: V) -> None:
        """Forget the value of `key`, if it still is this one."""
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
