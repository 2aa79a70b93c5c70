"""The small JSON files that providers keep: 0600, made once, bounded and checked when read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from gatevault.core.errors import StateError, StoreError, VaultLockedError
from gatevault.vault.files import sync_directory, write_new

T = TypeVar("T")

_LIMIT: Final = 16_384
"""Bytes: several times the largest of these files, and little enough for a damaged one."""


def is_there(path: Path) -> bool:
    """Whether anything has that name, be it a broken link."""
    return os.path.lexists(path)


def read(path: Path, kind: type[T]) -> T:
    """The record. VaultLockedError where the file cannot be read; StoreError where it is damaged."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(_LIMIT + 1)
    except FileNotFoundError:
        raise VaultLockedError(
            f"{path} is not there: faces are off, cards work. Put it back and restart."
        ) from None
    except OSError as error:
        raise VaultLockedError(f"{path} cannot be read ({error.strerror}): faces are off, cards work.") from None
    if mode & 0o077:
        raise StoreError(f"{path} may be read by others (mode {mode:o}): run chmod 600 on it and restart.")
    if len(text) > _LIMIT:
        raise StoreError(f"{path} is damaged (too long): restore it from where it was kept.")
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StoreError(f"{path} is damaged ({error}): restore it from where it was kept.") from None


def write(path: Path, content: bytes) -> None:
    """Write a record that is not there yet. StateError where it is, or cannot be written."""
    try:
        write_new(path, content)
    except FileExistsError:
        raise StateError(f"{path} is there already: nothing was changed.") from None
    except OSError as error:
        raise StateError(f"{path} cannot be made ({error.strerror}): nothing was changed.") from None


def remove(path: Path) -> None:
    """Remove a record, durably; nothing where there is none. StateError where it may not be removed."""
    try:
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            sync_directory(path.parent)
    except OSError as error:
        raise StateError(f"{path} cannot be removed ({error.strerror}).") from None
