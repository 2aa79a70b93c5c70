"""Unix sockets in directories of any depth."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path


def listening_socket(path: Path, group: str | None = None) -> socket.socket:
    """A Unix socket bound at `path`, of any length of path, replacing a stale one.

    Owner and group may connect: `group`, where the system has it and we are in it.
    """
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with open_directory(path.parent) as folder:
        server.bind(f"{folder}/{path.name}")
    path.chmod(0o660)
    if group is not None:
        with contextlib.suppress(LookupError, PermissionError):
            shutil.chown(path, group=group)
    server.setblocking(False)
    return server


@contextlib.contextmanager
def open_directory(directory: Path) -> Iterator[str]:
    """A short name for a directory: a socket's path may have 107 bytes, state directories more."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


def connected_socket(path: Path, timeout_s: float) -> socket.socket:
    """A socket connected to the Unix socket at `path`. OSError."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(timeout_s)
    try:
        with open_directory(path.parent) as folder:
            client.connect(f"{folder}/{path.name}")
    except OSError:
        client.close()
        raise
    return client
