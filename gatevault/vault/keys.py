"""Keys: what is derived from the roots. Where the vault's comes from: `providers/`.

Two roots, each 32 random bytes, so that one can be away while the other works:

- the **vault key**, behind a provider, opens the ring of epoch keys (`ring`), and the present epoch's
  key wraps those of face templates. Without it the face path is off;
- the **house key**, a file that opens at boot, for cards, registry, ledger, receipts and the link
  between the two stores. With it cards work while the vault is locked.

Subkeys are BLAKE2b of a context string, keyed with the root (libsodium's `crypto_kdf`
construction), so no key serves two ends. Every key is made, hashed and compared in the locked memory
that it lies in: a Python `bytes` could not be overwritten.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Final

from nacl._sodium import ffi, lib  # hashes keys in place: docs/adr/0005

from gatevault.vault.locked import Protection, Slots
from gatevault.vault.signing import Signer

KEY_BYTES: Final = 32
_DIGITS: Final = b"0123456789abcdef"
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

    def copy(self) -> Secret:
        """The same key in a place of its own, to be wiped apart from this one."""
        return Secret(self._slot)

    def same_as(self, other: Secret) -> bool:
        """Whether both are one key, told in constant time."""
        done: int = lib.sodium_memcmp(ffi.from_buffer(self._slot), ffi.from_buffer(other._slot), KEY_BYTES)
        return done == 0

    def reveal(self) -> bytes:
        """A copy that cannot be wiped: for tests, which check that this program never makes one."""
        return bytes(self._slot)

    def wipe(self) -> None:
        """Overwrite the key now. Only for one that nobody else is using."""
        self._slot[:] = bytes(KEY_BYTES)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> str:
        raise TypeError("a key is not pickled")


def hex_digits(value: bytearray | memoryview) -> bytearray:
    """The hexadecimal digits of a key, to be wiped by the caller: `bytes.hex` would make a copy that stays."""
    digits = bytearray(2 * len(value))
    for at, byte in enumerate(value):
        digits[2 * at], digits[2 * at + 1] = _DIGITS[byte >> 4], _DIGITS[byte & 15]
    return digits


def key_protection() -> Protection:
    """How the memory that all secrets lie in is kept."""
    return _SLOTS.protection


def derive(root: Secret, context: bytes, text: bytes | memoryview = b"") -> Secret:
    """BLAKE2b-256 of `text`, keyed with `root`; `context` (at most 16 bytes) is its `person`."""
    key = Secret.blank()
    blake2b_into(key.buffer, text, context, key=root)
    return key


def _signer(root: Secret, context: bytes) -> Signer:
    seed = derive(root, context)  # held by name: its place is overwritten when nobody holds it
    return Signer(seed.buffer)


@dataclass(frozen=True, slots=True)
class Epoch:
    """A random key that wraps the key of every record until the next purge, and its number from 1."""

    number: int
    key: Secret = field(repr=False)

    def next(self) -> Epoch:
        """A fresh epoch after this one: its key is drawn, not derived, so that none leads to another."""
        return random_epoch(self.number + 1)


def random_epoch(number: int) -> Epoch:
    return Epoch(number, Secret.random())


def holder_key(number: str, record: bytes) -> Secret:
    """The key that a long secret on a card gives for one record: BLAKE2b of it, salted with the record id.

    `number` is a canonical credential of at least 128 bits; a shorter one must be refused before this,
    since nothing here slows down who tries all of them.
    """
    key = Secret.blank()
    text = bytearray(number, "ascii")
    try:
        blake2b_into(key.buffer, text, b"gv/holder-key/v1", salt=record)
    finally:
        text[:] = bytes(len(text))
    return key


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
    ledger: Signer = field(repr=False)
    receipts: Signer = field(repr=False)

    @classmethod
    def derive(cls, root: Secret) -> HouseKeys:
        return cls(
            registry=derive(root, b"gv/registry/v1"),
            card=derive(root, b"gv/card/v1"),
            link=derive(root, b"gv/link/v1"),
            journal=derive(root, b"gv/journal/v1"),
            ledger=_signer(root, b"gv/ledger/v1"),
            receipts=_signer(root, b"gv/receipts/v1"),
        )

    def card_hash(self, number: str) -> bytes:
        """Keyed BLAKE2b of a canonical card number, 32 bytes."""
        return bytes(blake2b_into(bytearray(32), number.encode(), b"gv/card-no/v1", key=self.card))

    def record_id(self, resident: str) -> bytes:
        """Keyed BLAKE2b of a pseudonym, 16 bytes: the row of `vault.db` that is this resident's."""
        return bytes(blake2b_into(bytearray(16), resident.encode(), b"gv/record/v1", key=self.link))

    def entry_op(self, op: str) -> str:
        """Keyed BLAKE2b of an operation, 16 bytes in hexadecimal: what its entry in `ledger.db` is found by.

        `registry.db` and its write-ahead log name the operation beside a pseudonym: the same name in both files
        would tell whose entry it is.
        """
        return blake2b_into(bytearray(16), op.encode(), b"gv/entry-op/v1", key=self.link).hex()


def blake2b_into(
    out: bytearray | memoryview,
    text: bytes | bytearray | memoryview,
    context: bytes,
    *,
    key: Secret | None = None,
    salt: bytes = b"",
) -> bytearray | memoryview:
    """BLAKE2b (RFC 7693) of `text` into all of `out`; what `nacl.hash.blake2b` does with copies that stay.

    `context` is its `person`, at most 16 bytes, `salt` has 16 bytes at most; both are filled up with zeros.
    """
    done = lib.crypto_generichash_blake2b_salt_personal(
        ffi.from_buffer(out),
        len(out),
        ffi.from_buffer(text),
        len(text),
        ffi.NULL if key is None else ffi.from_buffer(key.buffer),
        0 if key is None else KEY_BYTES,
        salt.ljust(lib.crypto_generichash_blake2b_saltbytes(), b"\0"),
        context.ljust(lib.crypto_generichash_blake2b_personalbytes(), b"\0"),
    )
    if done != 0:
        raise ValueError("libsodium refuses to hash this")
    return out
