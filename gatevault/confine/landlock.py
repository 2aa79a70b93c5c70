"""Files that a process gives up, by Landlock (landlock(7)): a kernel's own, unprivileged, kept by all children.

Three system calls through ctypes: docs/adr/0016 says why no library.

What an older kernel does not know is left out, from the newest down:

    ABI  Linux   adds
    6    6.12    no abstract Unix sockets and no signals to processes outside
    5    6.10    ioctl on devices
    4    6.7     no TCP
    3    6.2     truncation
    2    5.19    files moved between directories: before it, none at all
    1    5.13    all else

It binds the calling thread and what that one starts: call it before there is another.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""The same numbers on every architecture."""
_ASK_VERSION: Final = 1
_PATH_BENEATH: Final = 1

# linux/landlock.h: LANDLOCK_ACCESS_FS_*
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_CHAR, _MAKE_DIR, _MAKE_REG, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM = (
    1 << bit for bit in range(6, 13)
)
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15

_SINCE: Final = {1: (1 << 13) - 1, 2: _REFER, 3: _TRUNCATE, 5: _IOCTL_DEV}
_ALL_TCP: Final = 0b11
_ALL_SCOPES: Final = 0b11
_SCOPE_SIGNAL: Final = 0b10

_READ: Final = _READ_FILE | _READ_DIR
_OPEN: Final = _READ | _WRITE_FILE | _IOCTL_DEV
_WRITE: Final = (
    _READ | _WRITE_FILE | _TRUNCATE | _REFER | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SOCK
) | _MAKE_FIFO
_OF_A_FILE: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
"""What can be allowed for a path that is no directory."""


@dataclass(frozen=True, slots=True)
class Files:
    """What is left to a process, each with all that lies beneath; what is not there is passed over."""

    read: tuple[Path, ...] = ()
    run: tuple[Path, ...] = ()
    """Read, and run as a program."""
    write: tuple[Path, ...] = ()
    """Files, directories and sockets made, changed, moved and removed; nothing there is run, no device made."""
    devices: tuple[Path, ...] = ()
    """Opened to read, write and control; nothing is made."""
    abstract_sockets: bool = False
    """Whether Unix sockets without a file may be connected to, where the kernel can tell."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """The kernel's Landlock ABI; 0 where it has none, or was booted without it."""
    return max(0, int(_call(_CREATE, None, 0, _ASK_VERSION)))


def restrict(files: Files) -> int:
    """Give up all else, here and in children; the ABI that did it, 0 where the kernel has none. OSError."""
    abi = version()
    if abi == 0:
        return 0
    known = sum(bits for since, bits in _SINCE.items() if since <= abi)
    scopes = _SCOPE_SIGNAL if files.abstract_sockets else _ALL_SCOPES
    wanted = _Ruleset(known, _ALL_TCP if abi >= 4 else 0, scopes if abi >= 6 else 0)
    ruleset = _done(_call(_CREATE, ctypes.byref(wanted), ctypes.sizeof(wanted), 0))
    try:
        _allow(ruleset, files.read, _READ & known)
        _allow(ruleset, files.run, (_READ | _EXECUTE) & known)
        _allow(ruleset, files.write, _WRITE & known)
        _allow(ruleset, files.devices, _OPEN & known)
        _done(_call(_RESTRICT, ruleset, 0, 0))
    finally:
        os.close(ruleset)
    return abi


def _allow(ruleset: int, paths: Iterable[Path], access: int) -> None:
    for path in paths:
        try:
            handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        try:
            beneath = stat.S_ISDIR(os.fstat(handle).st_mode)
            rule = _Beneath(access if beneath else access & _OF_A_FILE, handle)
            _done(_call(_ADD, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0))
        finally:
            os.close(handle)


def _done(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _call(number: int, *arguments: object) -> int:
    words = (ctypes.c_long(word) if isinstance(word, int) else word for word in arguments)
    return int(_syscall()(ctypes.c_long(number), *words))


@cache
def _syscall() -> ctypes._NamedFuncPointer:
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    return syscall
