"""The gallery: residents' mean templates in RAM, in the memory of `vault/locked.py`, overwritten by `clear`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from gatevault.core import matching
from gatevault.core.types import Vector
from gatevault.vault.locked import Protection, locked_memory

Floats = npt.NDArray[np.float32]

_FIRST_ROWS: Final = 64


class Gallery:
    """Unit rows, what is taken off their scores, and whose they are. The daemon's loop alone uses it."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._residents: list[str] = []
        self._index: dict[str, int] = {}
        self.protection: Protection
        self._rows, self._penalties = self._allocate(_FIRST_ROWS)

    def _allocate(self, rows: int) -> tuple[Floats, Floats]:
        locked = locked_memory(rows * (self._dimension + 1) * 4)
        self.protection = locked.protection
        whole = np.frombuffer(locked.memory, dtype=np.float32)
        size = rows * self._dimension
        return whole[:size].reshape(rows, self._dimension), whole[size : size + rows]

    @property
    def residents(self) -> Sequence[str]:
        return self._residents

    def view(self) -> matching.Gallery:
        """What is in use, without a copy, until the next change."""
        count = len(self._residents)
        return matching.Gallery(self._residents, self._rows[:count], self._penalties[:count])

    def row(self, resident: str) -> int | None:
        """Where this resident's row is; None where there is none."""
        return self._index.get(resident)

    def put(self, resident: str, template: Vector, penalty: float) -> None:
        """Add or replace one resident's unit template, shape (d,), and what is taken off its scores.

        The caller wipes its own copy.
        """
        if template.shape != (self._dimension,):
            raise ValueError("a template of another dimension than the gallery's")
        if resident not in self._index:
            if len(self._residents) == len(self._rows):
                self._grow(len(self._rows) + max(_FIRST_ROWS, len(self._rows) // 2))
            self._index[resident] = len(self._residents)
            self._residents.append(resident)
        self._rows[self._index[resident]] = template
        self._penalties[self._index[resident]] = penalty

    def reserve(self, rows: int) -> None:
        """Make room for so many residents at once. MemoryError."""
        if rows > len(self._rows):
            self._grow(rows)

    def remove(self, resident: str) -> bool:
        """Overwrite and drop one resident; tells whether they were here."""
        index = self._index.pop(resident, None)
        if index is None:
            return False
        last = len(self._residents) - 1
        moved = self._residents.pop()
        if index != last:
            self._rows[index] = self._rows[last]
            self._penalties[index] = self._penalties[last]
            self._residents[index] = moved
            self._index[moved] = index
        self._rows[last].fill(0.0)
        self._penalties[last] = 0.0
        return True

    def clear(self) -> None:
        """Overwrite everything."""
        self._rows.fill(0.0)
        self._penalties.fill(0.0)
        self._residents.clear()
        self._index.clear()

    def _grow(self, to: int) -> None:
        rows, penalties = self._rows, self._penalties
        self._rows, self._penalties = self._allocate(to)
        self._rows[: len(rows)] = rows
        self._penalties[: len(rows)] = penalties
        rows.fill(0.0)
        penalties.fill(0.0)
