"""What the daemon tells systemd about its own process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket


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
