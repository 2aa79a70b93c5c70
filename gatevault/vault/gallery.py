"""The gallery: residents' mean templates in RAM, locked against swap and left out of dumps.

The matrix lies in `memfd_secret` memory where the kernel has it (not even root's /proc/PID/mem
reads it), else in locked, non-dumpable anonymous memory; `protection` tells which. It is wiped on
`clear` and on exit.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Sequence
from typing import Final

import numpy as np

from gatevault.core.matching import Gallery as Matrix
from gatevault.core.types import Vector

_SYS_MEMFD_SECRET: Final = 447
_FIRST_ROWS: Final = 64

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.mlock.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


def _secret_memory(size: int) -> mmap.mmap | None:
    """Memory that only this process can read, or None where the kernel has none to give."""
    handle = int(_libc.syscall(ctypes.c_long(_SYS_MEMFD_SECRET), ctypes.c_uint(os.O_CLOEXEC)))
    if handle < 0:
        return None
    try:
        os.ftruncate(handle, size)
        return mmap.mmap(handle, size)
    except OSError:  # over RLIMIT_MEMLOCK
        return None
    finally:
        os.close(handle)


def _locked_memory(size: int) -> tuple[mmap.mmap, bool]:
    """Anonymous memory left out of dumps and forks, and whether it could be locked against swap."""
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_DONTDUMP)
    memory.madvise(mmap.MADV_DONTFORK)
    address = np.frombuffer(memory, dtype=np.uint8).ctypes.data
    return memory, _libc.mlock(address, size) == 0


class Gallery:
    """Unit rows and whose they are. Not thread-safe: the daemon's loop alone uses it."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._residents: list[str] = []
        self.protection = ""
        self._rows = self._allocate(_FIRST_ROWS)

    def _allocate(self, rows: int) -> Matrix:
        size = -(-rows * self._dimension * 4 // mmap.PAGESIZE) * mmap.PAGESIZE
        memory = _secret_memory(size)
        self.protection = "memfd-secret"
        if memory is None:
            memory, locked = _locked_memory(size)
            self.protection = "locked" if locked else "unlocked"
        whole = np.frombuffer(memory, dtype=np.float32)
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
        if resident in self._residents:
            self._rows[self._residents.index(resident)] = template
            return
        if len(self._residents) == len(self._rows):
            self._grow()
        self._rows[len(self._residents)] = template
        self._residents.append(resident)

    def remove(self, resident: str) -> bool:
        """Overwrite and drop one resident; tells whether they were here."""
        if resident not in self._residents:
            return False
        index, last = self._residents.index(resident), len(self._residents) - 1
        self._rows[index] = self._rows[last]
        self._rows[last].fill(0.0)
        self._residents[index] = self._residents[last]
        self._residents.pop()
        return True

    def clear(self) -> None:
        """Overwrite everything."""
        self._rows.fill(0.0)
        self._residents.clear()

    def _grow(self) -> None:
        old = self._rows
        self._rows = self._allocate(2 * len(old))
        self._rows[: len(old)] = old
        old.fill(0.0)
