"""The gallery: residents' mean templates in RAM, in the memory of `vault/locked.py`, overwritten by `clear`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from gatevault.core.matching import Gallery as Matrix
from gatevault.core.types import Vector
from gatevault.vault.locked import Protection, locked_memory

_FIRST_ROWS: Final = 64


class Gallery:
    """Unit rows and whose they are. Not thread-safe: the daemon's loop alone uses it."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._residents: list[str] = []
        self._index: dict[str, int] = {}
        self.protection: Protection
        self._rows = self._allocate(_FIRST_ROWS)

    def _allocate(self, rows: int) -> Matrix:
        locked = locked_memory(rows * self._dimension * 4)
        self.protection = locked.protection
        whole = np.frombuffer(locked.memory, dtype=np.float32)
        return whole[: rows * self._dimension].reshape(rows, self._dimension)

    @property
    def residents(self) -> Sequence[str]:
        """Row i of `matrix` is the resident `residents[i]`."""
        return self._residents

    @property
    def matrix(self) -> Matrix:
        """The rows in use, shape (n, d): a view, not a copy."""
        return self._rows[: len(self._residents)]

    def put(self, resident: str, template: Vector) -> None:
        """Add or replace one resident's unit template, shape (d,); the caller wipes its own copy."""
        if template.shape != (self._dimension,):
            raise ValueError("a template of another dimension than the gallery's")
        if resident not in self._index:
            if len(self._residents) == len(self._rows):
                self._grow()
            self._index[resident] = len(self._residents)
            self._residents.append(resident)
        self._rows[self._index[resident]] = template

    def remove(self, resident: str) -> bool:
        """Overwrite and drop one resident; tells whether they were here."""
        index = self._index.pop(resident, None)
        if index is None:
            return False
        last = len(self._residents) - 1
        moved = self._residents.pop()
        if index != last:
            self._rows[index] = self._rows[last]
            self._residents[index] = moved
            self._index[moved] = index
        self._rows[last].fill(0.0)
        return True

    def clear(self) -> None:
        """Overwrite everything."""
        self._rows.fill(0.0)
        self._residents.clear()
        self._index.clear()

    def _grow(self) -> None:
        old = self._rows
        self._rows = self._allocate(2 * len(old))
        self._rows[: len(old)] = old
        old.fill(0.0)
