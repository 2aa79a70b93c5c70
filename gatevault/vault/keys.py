"""Keys: what is derived from the roots. Where the vault's comes from: `providers/`.

Two roots, each 32 random bytes, so that one can be away while the other works:

- the **vault key**, behind a provider, opens the ring of epoch keys (`ring`), and the present epoch's
  key wraps those of face templates. Without it the face path is off;
- the **house key**, a file that opens at boot, for cards, registry, ledger, receipts and the link
  between the two stores. With it cards work while the vault is locked.

Subkeys are BLAKE2b of a context string, keyed with the root (libsodium's `crypto_kdf`
construction), so no key serves two ends.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Final

from nacl._sodium import ffi, lib  # hashes keys in place: docs/adr/0005
from nacl.encoding import RawEncoder
from nacl.hash import blake2b
from nacl.signing import SigningKey

from gatevault.vault.locked import Protection, Slots

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


def _derive(root: Secret, context: bytes) -> Secret:
    key = Secret.blank()
    _keyed_hash(root, b"", key.buffer, context)
    return key


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
    return Secret(
        blake2b(number.encode(), digest_size=KEY_BYTES, salt=record, person=b"gv/holder-key/v1", encoder=RawEncoder)
    )


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

    def entry_op(self, op: str) -> str:
        """Keyed BLAKE2b of an operation, 16 bytes in hexadecimal: what its entry in `ledger.db` is found by.

        `registry.db` and its write-ahead log name the operation beside a pseudonym: the same name in both files
        would tell whose entry it is.
        """
        return _keyed_hash(self.link, op.encode(), bytearray(16), b"gv/entry-op/v1").hex()


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
