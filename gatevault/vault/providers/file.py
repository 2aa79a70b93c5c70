"""A key in a file of mode 0600: `gatevault-key-v1 `, 64 hexadecimal digits, a newline.

The vault's secret on a bench, and everywhere the house key, of which only `create` and `load` are used.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gatevault.core.errors import StateError, StoreError, VaultLockedError
from gatevault.vault.files import replace, sync_directory, write_new
from gatevault.vault.keys import KEY_BYTES, Secret, hex_digits
from gatevault.vault.providers.port import nothing_proposed, unsettled

_MAGIC: Final = b"gatevault-key-v1 "
_MAX_FILE: Final = 256


class FileKeyProvider:
    """Who holds the SD card holds the key."""

    name = "file"
    rolls = True
    image_opens = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._proposal: Secret | None = None
        self._unsettled = False

    def create(self) -> Secret:
        return self.put(Secret.random())

    def put(self, secret: Secret) -> Secret:
        """Keep this secret, from a backup say. StateError where one is there already."""
        try:
            with _line(secret) as line:
                write_new(self._path, line)
        except FileExistsError:
            raise StateError(
                f"A key is already in {self._path}: replacing it would destroy what it seals. Nothing was changed."
            ) from None
        except OSError as error:
            raise StateError(
                f"The key file {self._path} cannot be made ({error.strerror}): nothing was changed."
            ) from None
        return secret

    def load(self) -> Secret:
        secret = self._read()
        if self._unsettled:
            self._settle(secret)
        return secret

    def _read(self) -> Secret:
        text = bytearray(_MAX_FILE)
        try:
            with self._path.open("rb", buffering=0) as file:  # a buffer would keep the key's digits
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                size = file.readinto(text)
            return self._parse(memoryview(text)[:size], mode)
        except FileNotFoundError:
            raise VaultLockedError(
                f"The key file {self._path} is not there: faces are off, cards work. Put the key back and restart."
            ) from None
        except OSError as error:
            raise VaultLockedError(
                f"The key file {self._path} cannot be read ({error.strerror}): faces are off, cards work."
            ) from None
        finally:
            text[:] = bytes(_MAX_FILE)

    def _parse(self, text: memoryview, mode: int) -> Secret:
        if mode & 0o077:
            raise StoreError(
                f"The key file {self._path} may be read by others (mode {mode:o}): run chmod 600 on it and restart."
            )
        digits, end = text[len(_MAGIC) :][: 2 * KEY_BYTES], text[len(_MAGIC) + 2 * KEY_BYTES :]
        try:
            if bytes(text[: len(_MAGIC)]) != _MAGIC or bytes(end) not in (b"", b"\n"):
                raise ValueError
            return Secret.from_hex(digits)
        except ValueError:
            raise StoreError(f"The key file {self._path} is damaged: restore it from where it was kept.") from None

    def propose(self) -> Secret:
        if self._unsettled:
            raise StateError(unsettled())
        if self._proposal is None:
            self.load().wipe()  # a file that is away or damaged is not to be replaced
            self._proposal = Secret.random()
        return self._proposal.copy()

    def roll(self) -> None:
        if self._proposal is None:
            raise StateError(nothing_proposed())
        self._unsettled = True
        try:
            with _line(self._proposal) as line:
                replace(self._path, line)
        except OSError as error:
            raise StoreError(
                f"The key file {self._path} cannot be replaced ({error.strerror}): free the disk and try again."
            ) from None
        self._drop_proposal()

    def forget(self) -> None:
        self._drop_proposal()

    def destroy(self) -> None:
        try:
            # The second is what a replacement leaves that a crash cut short.
            for path in (self._path, self._path.with_name(self._path.name + ".new")):
                path.unlink(missing_ok=True)
            if self._path.parent.is_dir():
                sync_directory(self._path.parent)
        except OSError as error:
            raise StateError(f"The key file {self._path} cannot be removed ({error.strerror}).") from None
        self._drop_proposal()

    def facts(self) -> dict[str, str]:
        return {
            "kind": "a file of mode 0600",
            "where": str(self._path),
            "policy": "none: whoever reads the file has the secret",
            "thief": "Who takes the card opens every template on it.",
        }

    def _settle(self, present: Secret) -> None:
        """After a roll that failed: was it carried out? StoreError where that cannot be made to last."""
        if self._proposal is not None and present.same_as(self._proposal):
            try:
                sync_directory(self._path.parent)
            except OSError as error:
                raise StoreError(
                    f"The key file {self._path} was replaced, but the disk does not confirm it ({error.strerror})."
                ) from None
            self._drop_proposal()
        self._unsettled = False

    def _drop_proposal(self) -> None:
        if self._proposal is not None:
            self._proposal.wipe()
            self._proposal = None
        self._unsettled = False


@contextmanager
def _line(secret: Secret) -> Iterator[bytearray]:
    """The file's content, overwritten afterwards."""
    digits = hex_digits(secret.buffer)
    line = bytearray(len(_MAGIC) + len(digits) + 1)
    line[: len(_MAGIC)], line[len(_MAGIC) : -1], line[-1:] = _MAGIC, digits, b"\n"
    try:
        yield line
    finally:
        for held in (digits, line):
            held[:] = bytes(len(held))
