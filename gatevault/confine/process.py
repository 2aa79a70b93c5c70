"""Marks of a whole process: undumpable, no new privileges, no core, no capabilities, no memory written and run."""

from __future__ import annotations

import ctypes
import os
import resource
from functools import cache
from typing import Final

from gatevault.core.errors import StateError

# linux/prctl.h, linux/capability.h and glibc's malloc.h.
_PR_SET_DUMPABLE: Final = 4
_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_PR_SET_MDWE: Final = 65
_PR_MDWE_REFUSE_EXEC_GAIN: Final = 1
_CAPABILITY_VERSION_3: Final = 0x20080522
_M_PERTURB: Final = -6
_FREED: Final = 0xA5


def harden() -> None:
    """No core dumps, no debugger of the same user, no new privileges, files for us alone. StateError."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for option, value in ((_PR_SET_DUMPABLE, 0), (_PR_SET_NO_NEW_PRIVS, 1)):
        if not _prctl(option, value):
            raise StateError("The kernel refuses to keep this process undumpable: nothing was started.")
    os.umask(0o077)


def deny_write_execute() -> bool:
    """Whether memory that is written can no longer be run, here and in children. Linux 6.3 and later can."""
    return _prctl(_PR_SET_MDWE, _PR_MDWE_REFUSE_EXEC_GAIN)


def drop_capabilities() -> bool:
    """Whether no privilege is left, where this process had some (root on a bench)."""
    last = 0
    while _prctl(_PR_CAPBSET_DROP, last):  # refused past the last, and at once where we are nobody special
        last += 1
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    return bool(_libc().capset(header, nothing) == 0)


def overwrite_freed() -> None:
    """Have glibc overwrite what is freed: native libraries do not do so with their working copies.

    Blocks of up to 1 KiB are overwritten where glibc's per-thread cache is off: whoever starts us sets
    GLIBC_TUNABLES.
    """
    libc = _libc()
    if hasattr(libc, "mallopt"):  # glibc only
        libc.mallopt.argtypes = [ctypes.c_int, ctypes.c_int]
        libc.mallopt.restype = ctypes.c_int
        libc.mallopt(_M_PERTURB, _FREED)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> bool:
    prctl = _libc().prctl
    prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
    prctl.restype = ctypes.c_int
    return bool(prctl(option, value, 0, 0, 0) == 0)
