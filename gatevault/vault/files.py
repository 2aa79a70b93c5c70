"""Small files that are there whole or not at all, and are still there after the plug is pulled."""

from __future__ import annotations

import os
from pathlib import Path


def write_new(path: Path, content: bytes | bytearray, mode: int = 0o600) -> None:
    """Write a file that must not exist yet, synced with its directory. FileExistsError, OSError."""
    _write(path, content, mode)
    sync_directory(path.parent)


def replace(path: Path, content: bytes | bytearray, mode: int = 0o600) -> None:
    """Replace a file in one step: after a crash it is the old or the new one. OSError."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    try:
        _write(fresh, content, mode)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(path: Path, content: bytes | bytearray, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(handle, "wb", buffering=0) as file:  # a buffer would keep a key that is written
            os.fchmod(handle, mode)  # exactly this, whatever the umask
            rest = memoryview(content)
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
