"""What the daemon asks of the kernel and tells systemd about its own process."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import resource
import socket
from typing import Final

from gatevault.core.errors import StateError

_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38


def harden() -> None:
    """No core dumps, no debugger of the same user, no new privileges, files for us alone. StateError."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
    for option, value in ((_PR_SET_DUMPABLE, 0), (_PR_SET_NO_NEW_PRIVS, 1)):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise StateError("The kernel refuses to keep this process undumpable: nothing was started.")
    os.umask(0o077)


def notify(message: str) -> None:
    """Tell systemd, where it started us (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, contextlib.suppress(OSError):
        sender.sendto(message.encode(), address.replace("@", "\0", 1))


async def feed_watchdog() -> None:
    """Tell systemd's watchdog that the loop turns, at half its patience."""
    patience_us = int(os.environ.get("WATCHDOG_USEC", "0"))
    while patience_us:
        notify("WATCHDOG=1")
        await asyncio.sleep(patience_us / 2_000_000)
