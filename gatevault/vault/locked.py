"""Memory for what must not be left lying about: templates in use, and keys.

Where the kernel has it, it is `memfd_secret(2)`: its pages are gone from the kernel's own map of memory, so that
neither root's /proc/PID/mem nor a core dump nor swap has them. Its descriptor is closed at once, for root could
take that out of a running process (pidfd_getfd(2)) and map it: so not `mmap.mmap`, which keeps one. Else it is
anonymous memory that is locked against swap, left out of core dumps (MADV_DONTDUMP) and of forks (MADV_DONTFORK);
root reads it. `Protection` tells which.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

_SYS_MEMFD_SECRET: Final = 447
_NOWHERE: Final = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_libc.mlock.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


class Protection(StrEnum):
    """How well some memory is kept."""

    MEMFD_SECRET = "memfd-secret"  # noqa: S105  # a kernel call, no password
    LOCKED = "locked"
    """Not swapped, dumped or copied by a fork; root reads it."""
    UNLOCKED = "unlocked"
    """Over RLIMIT_MEMLOCK: not dumped or copied, but it may be swapped."""


def weakest(*kinds: Protection) -> Protection:
    """What may be said of several pieces of memory together."""
    order = list(Protection)
    return max(kinds, key=order.index)


@dataclass(frozen=True, slots=True)
class Locked:
    """Whole pages. Wiped and given back when nothing points into them any more, and at exit."""

    memory: Any = field(repr=False)
    """A ctypes array of bytes, zero at first: `numpy.frombuffer` and `memoryview` work in place on it."""
    protection: Protection


def locked_memory(size: int) -> Locked:
    """At least `size` bytes, 1 or more, in the best memory that the kernel gives. MemoryError."""
    size = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
    address, protection = _secret_pages(size), Protection.MEMFD_SECRET
    if address is None:
        address = _map(size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1)
        if address is None:
            raise MemoryError("the kernel has no memory for keys and templates")
        _libc.madvise(address, size, mmap.MADV_DONTDUMP)
        protection = Protection.LOCKED if _libc.mlock(address, size) == 0 else Protection.UNLOCKED
    _libc.madvise(address, size, mmap.MADV_DONTFORK)
    memory = (ctypes.c_ubyte * size).from_address(address)
    weakref.finalize(memory, _give_back, address, size)
    return Locked(memory, protection)


def _secret_pages(size: int) -> int | None:
    """The address of secret memory, or None where the kernel has none to give."""
    handle = int(_libc.syscall(ctypes.c_long(_SYS_MEMFD_SECRET), ctypes.c_uint(os.O_CLOEXEC)))
    if handle < 0:
        return None
    try:
        os.ftruncate(handle, size)
        return _map(size, mmap.MAP_SHARED, handle)  # None: over RLIMIT_MEMLOCK
    except OSError:
        return None
    finally:
        os.close(handle)


def _map(size: int, flags: int, handle: int) -> int | None:
    address: int | None = _libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, handle, 0)
    return None if address == _NOWHERE else address


def _give_back(address: int, size: int) -> None:
    ctypes.memset(address, 0, size)
    _libc.munmap(address, size)


class Slots:
    """Pieces of one size, several to a page. Any thread may take one and give it back."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._pages: list[Locked] = []
        self._free: list[memoryview] = []

    @property
    def protection(self) -> Protection:
        """Of the least protected page so far."""
        return weakest(Protection.MEMFD_SECRET, *(page.protection for page in self._pages))

    def take(self) -> memoryview:
        """A piece that holds zeros, to be written and read in place. MemoryError."""
        while True:
            try:
                return self._free.pop()
            except IndexError:
                page = locked_memory(mmap.PAGESIZE)
                self._pages.append(page)
                whole = memoryview(page.memory).cast("B")
                self._free += [whole[at : at + self._size] for at in range(0, len(whole), self._size)]

    def give(self, slot: memoryview) -> None:
        """Overwrite a piece and keep it for the next to ask."""
        slot[:] = bytes(self._size)
        self._free.append(slot)
