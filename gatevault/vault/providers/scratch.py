"""Files in memory through which other programs are given secrets and give them back.

A pipe would be read into a Python `bytes`, which nothing overwrites. These are anonymous (`memfd_create(2)`), are
named `/dev/fd/N` to the program, never touch a disk, and are read straight into the locked memory of a `Secret`.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Final

from gatevault.vault.keys import KEY_BYTES, Secret

_LIMIT: Final = 8192
"""Bytes: several times the largest TPM structure that is used here."""


class Scratch:
    """One such file; a context manager that overwrites it."""

    def __init__(self, content: bytes | bytearray | memoryview = b"") -> None:
        self.handle = os.memfd_create("gatevault-keys", os.MFD_CLOEXEC)
        if os.pwrite(self.handle, content, 0) != len(content):
            raise OSError("a file in memory took only part of what was written")

    @property
    def path(self) -> str:
        return f"/dev/fd/{self.handle}"

    def read(self) -> bytes:
        """What is in it, where that is no secret."""
        return os.pread(self.handle, _LIMIT, 0)

    def secret(self) -> Secret | None:
        """The key that is in it; None where its length is not a key's."""
        if os.fstat(self.handle).st_size != KEY_BYTES:
            return None
        secret = Secret.blank()
        return secret if os.preadv(self.handle, [secret.buffer], 0) == KEY_BYTES else None

    def close(self) -> None:
        """Overwrite the content and let go of it."""
        os.pwrite(self.handle, bytes(os.fstat(self.handle).st_size), 0)
        os.close(self.handle)

    def __enter__(self) -> Scratch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
