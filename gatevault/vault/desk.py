"""Where templates are opened many at a time: locked memory all the way from the box to the gallery.

One record after the other is opened in the same place, its captures are added up into a row beside it, and the
rows of a chunk go to the gallery together: nothing of them comes into memory that Python or numpy give out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gatevault.vault.keys import Secret
from gatevault.vault.locked import Locked, locked_memory

Floats = npt.NDArray[np.float32]

_HEAD = 12
"""Bytes left free before a plain text, so that the values behind its head of 4 bytes are aligned to 16."""


class Desk:
    """For one thread at a time. MemoryError where the kernel has no memory."""

    def __init__(self, rows: int, dimension: int, scratch: int) -> None:
        """Room for `rows` templates of `dimension` values, and `scratch` values for what is worked out of them."""
        held = rows * dimension
        whole = np.frombuffer(locked_memory(4 * (held + scratch)).memory, np.float32)
        self.rows: Floats = whole[:held].reshape(rows, dimension)
        self.scratch: Floats = whole[held : held + scratch]
        self.key = Secret.blank()
        """One record's key at a time; zeros between."""
        self._page: Locked | None = None
        self._plain = memoryview(bytearray())

    def plain(self, size: int) -> memoryview:
        """Room for one plain text of `size` bytes, in place of the one before."""
        if size > len(self._plain):
            self._plain[:] = bytes(len(self._plain))
            self._page = locked_memory(_HEAD + size)
            self._plain = memoryview(self._page.memory).cast("B")[_HEAD:]
        return self._plain[:size]

    def wipe(self) -> None:
        """Overwrite all that lies here."""
        self.rows.fill(0.0)
        self.scratch.fill(0.0)
        self._plain[:] = bytes(len(self._plain))
        self.key.wipe()


@dataclass(frozen=True, slots=True)
class Chunk:
    """Templates on their way into the gallery: nobody is matched with them yet."""

    generation: int = -1
    """Of the gallery that they were opened for."""
    residents: Sequence[str] = ()
    rows: Floats = field(repr=False, default_factory=lambda: np.empty((0, 0), np.float32))
    """Row i is the unit mean template of `residents[i]`: a view of a desk's memory, shape (n, d)."""
    penalties: Sequence[float] = field(repr=False, default=())
