"""Unix sockets in directories of any depth."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path


def listening_socket(path: Path, mode: int = 0o660) -> socket.socket:
    """A Unix socket bound at `path`, of any length of path, replacing a stale one."""
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with open_directory(path.parent) as folder:
        server.bind(f"{folder}/{path.name}")
    path.chmod(mode)
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
