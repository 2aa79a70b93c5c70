"""Arrays that hold a vector for one step of a calculation, and nothing after it.

numpy keeps freed blocks as they were, so whoever asks for a vector overwrites it. Two of numpy's ways may leave
a copy that nobody can reach any more, and are not used on vectors here: arithmetic that casts, which works through
buffers of its own (`mean` divides float32 by an integer in float64: seen); and `@` with a matrix, whose BLAS packs
its operands on some processors (not seen on x86-64). `numpy.vecdot` multiplies row by row, in place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt


@contextmanager
def wiped(array: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
    """Lends `array` to a block and overwrites it in place afterwards, whatever happened."""
    try:
        yield array
    finally:
        array.fill(0.0)
