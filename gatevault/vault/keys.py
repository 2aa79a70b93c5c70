"""Keys: where they come from, and what is derived from them.

Two roots, each 32 random bytes, so that one can be away while the other works:

- the **vault key**, behind a provider, wraps the keys of face templates. Without it the face path
  is off;
- the **house key**, a file that opens at boot, for cards, registry, ledger, receipts and the link
  between the two stores. With it cards work while the vault is locked.

Subkeys are BLAKE2b of a context string, keyed with the root (libsodium's `crypto_kdf`
construction), so no key serves two ends.
"""

from __future__ import annotations

import os
import stat
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from nacl._sodium import ffi, lib  # hashes keys in place: docs/adr/0005
from nacl.signing import SigningKey
from nacl.utils import random as random_bytes

from gatevault.core.errors import StateError, StoreError, VaultLockedError
from gatevault.vault.files import write_new
from gatevault.vault.locked import Protection, Slots

KEY_BYTES: Final = 32
_MAGIC: Final = b"gatevault-key-v1 "
_DIGITS: Final = b"0123456789abcdef"
_MAX_FILE: Final = 256


_SLOTS: Final = Slots(KEY_BYTES)


class Secret:
    """Key bytes in locked memory. They never show themselves, and are overwritten when the last user is done."""

    __slots__ = ("__weakref__", "_slot")

    def __init__(self, value: bytes | bytearray | memoryview) -> None:
        """A copy of `value`, whose owner wipes it. ValueError unless it has KEY_BYTES bytes."""
        if len(value) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes")
        self._slot = _SLOTS.take()
        weakref.finalize(self, _SLOTS.give, self._slot)
        self._slot[:] = value

    @classmethod
    def blank(cls) -> Secret:
        """32 zero bytes, to be written through `buffer`."""
        return cls(bytes(KEY_BYTES))

    @classmethod
    def random(cls) -> Secret:
        """A fresh key, drawn in place."""
        secret = cls.blank()
        lib.randombytes(ffi.from_buffer(secret.buffer), KEY_BYTES)
        return secret

    @classmethod
    def from_hex(cls, digits: bytearray | memoryview) -> Secret:
        """The key that 64 lower-case hexadecimal digits tell. ValueError for anything else; wipe `digits`."""
        if len(digits) != 2 * KEY_BYTES:
            raise ValueError(f"a key has {2 * KEY_BYTES} digits")
        secret = cls.blank()
        for i in range(KEY_BYTES):  # one number at a time: bytes.fromhex would make a copy that stays
            secret._slot[i] = _DIGITS.index(digits[2 * i]) << 4 | _DIGITS.index(digits[2 * i + 1])
        return secret

    @property
    def buffer(self) -> memoryview:
        """The 32 bytes themselves, for libsodium and for whoever makes the key: not to outlive the secret."""
        return self._slot

    def reveal(self) -> bytes:
        """A copy that cannot be wiped, for what takes nothing but `bytes`: do not keep it."""
        return bytes(self._slot)

    def wipe(self) -> None:
        """Overwrite the key now. Only for one that nobody else is using."""
        self._slot[:] = bytes(KEY_BYTES)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> str:
        raise TypeError("a key is not pickled")


def key_protection() -> Protection:
    """How the memory that all secrets lie in is kept."""
    return _SLOTS.protection


class KeyProvider(Protocol):
    """Where a root key lives. `create` refuses to replace one that is there."""

    @property
    def name(self) -> str:
        """`file`, …: what `status` tells."""
        ...

    def create(self) -> None:
        """Make a fresh key. StateError where one exists already."""
        ...

    def load(self) -> Secret:
        """The key. VaultLockedError where it is not there; StoreError where it is damaged."""
        ...


class FileKeyProvider:
    """A key in a file of mode 0600: who holds the SD card holds the key."""

    name = "file"

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self) -> None:
        try:
            write_new(self._path, _MAGIC + random_bytes(KEY_BYTES).hex().encode() + b"\n")
        except FileExistsError:
            raise StateError(
                f"A key is already in {self._path}: replacing it would destroy what it seals. Nothing was changed."
            ) from None

    def load(self) -> Secret:
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
        try:
            if bytes(text[: len(_MAGIC)]) != _MAGIC or bytes(text[len(_MAGIC) + 2 * KEY_BYTES :]) not in (
                b"",
                b"\n",
            ):
                raise ValueError
            return Secret.from_hex(text[len(_MAGIC) :][: 2 * KEY_BYTES])
        except ValueError:
            raise StoreError(f"The key file {self._path} is damaged: restore it from where it was kept.") from None


def _derive(root: Secret, context: bytes) -> Secret:
    key = Secret.blank()
    _keyed_hash(root, b"", key.buffer, context)
    return key


@dataclass(frozen=True, slots=True)
class VaultKeys:
    """From the vault key: `wrap` seals each record's own key."""

    wrap: Secret = field(repr=False)

    @classmethod
    def derive(cls, root: Secret) -> VaultKeys:
        return cls(_derive(root, b"gv/wrap/v1"))


@dataclass(frozen=True, slots=True)
class HouseKeys:
    """From the house key, each for one end."""

    registry: Secret = field(repr=False)
    """Seals residents, receipts and cards in `registry.db`."""
    card: Secret = field(repr=False)
    """Keys the hash of card numbers, whose 2^32 values could else be tried in minutes."""
    link: Secret = field(repr=False)
    """Keys the record ids of `vault.db`, so that the two files do not join without it."""
    journal: Secret = field(repr=False)
    """Seals the payloads of ledger entries."""
    ledger: SigningKey = field(repr=False)
    receipts: SigningKey = field(repr=False)

    @classmethod
    def derive(cls, root: Secret) -> HouseKeys:
        return cls(
            registry=_derive(root, b"gv/registry/v1"),
            card=_derive(root, b"gv/card/v1"),
            link=_derive(root, b"gv/link/v1"),
            journal=_derive(root, b"gv/journal/v1"),
            ledger=SigningKey(_derive(root, b"gv/ledger/v1").reveal()),
            receipts=SigningKey(_derive(root, b"gv/receipts/v1").reveal()),
        )

    def card_hash(self, number: str) -> bytes:
        """Keyed BLAKE2b of a canonical card number, 32 bytes."""
        return bytes(_keyed_hash(self.card, number.encode(), bytearray(32), b"gv/card-no/v1"))

    def record_id(self, resident: str) -> bytes:
        """Keyed BLAKE2b of a pseudonym, 16 bytes: the row of `vault.db` that is this resident's."""
        return bytes(_keyed_hash(self.link, resident.encode(), bytearray(16), b"gv/record/v1"))


def _keyed_hash(key: Secret, text: bytes, out: bytearray | memoryview, context: bytes) -> bytearray | memoryview:
    """BLAKE2b of `text` into all of `out`, `person` = `context`; what `nacl.hash.blake2b` does with copies."""
    done = lib.crypto_generichash_blake2b_salt_personal(
        ffi.from_buffer(out),
        len(out),
        text,
        len(text),
        ffi.from_buffer(key.buffer),
        KEY_BYTES,
        bytes(lib.crypto_generichash_blake2b_saltbytes()),
        context.ljust(lib.crypto_generichash_blake2b_personalbytes(), b"\0"),
    )
    if done != 0:
        raise ValueError("libsodium refuses to hash this")
    return out
