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

from dataclasses import dataclass, field
from typing import Final

from nacl.encoding import RawEncoder
from nacl.hash import blake2b
from nacl.signing import SigningKey
from nacl.utils import random as random_bytes

KEY_BYTES: Final = 32


class Secret:
    """Key bytes that never show themselves and can be overwritten."""

    __slots__ = ("_bytes",)

    def __init__(self, value: bytes | bytearray) -> None:
        if len(value) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes")
        self._bytes = bytearray(value)

    def reveal(self) -> bytes:
        """The bytes, for a call into libsodium; the copy cannot be wiped, so do not keep it."""
        return bytes(self._bytes)

    def wipe(self) -> None:
        self._bytes[:] = bytes(KEY_BYTES)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> str:
        raise TypeError("a key is not pickled")


def _derive(root: Secret, context: bytes) -> bytes:
    return _keyed_hash(root, "", KEY_BYTES, context)


@dataclass(frozen=True, slots=True)
class Epoch:
    """A random key that wraps the key of every record until the next purge, and its number from 1."""

    number: int
    key: Secret = field(repr=False)

    def next(self) -> Epoch:
        """A fresh epoch after this one: its key is drawn, not derived, so that none leads to another."""
        return random_epoch(self.number + 1)


def random_epoch(number: int) -> Epoch:
    return Epoch(number, Secret(random_bytes(KEY_BYTES)))


def holder_key(number: str, record: bytes) -> Secret:
    """The key that a long secret on a card gives for one record: BLAKE2b of it, salted with the record id.

    `number` is a canonical credential of at least 128 bits; a shorter one must be refused before this,
    since nothing here slows down who tries all of them.
    """
    digest = blake2b(
        number.encode(), digest_size=KEY_BYTES, salt=record, person=b"gv/holder-key/v1", encoder=RawEncoder
    )
    return Secret(digest)


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
            registry=Secret(_derive(root, b"gv/registry/v1")),
            card=Secret(_derive(root, b"gv/card/v1")),
            link=Secret(_derive(root, b"gv/link/v1")),
            journal=Secret(_derive(root, b"gv/journal/v1")),
            ledger=SigningKey(_derive(root, b"gv/ledger/v1")),
            receipts=SigningKey(_derive(root, b"gv/receipts/v1")),
        )

    def card_hash(self, number: str) -> bytes:
        """Keyed BLAKE2b of a canonical card number, 32 bytes."""
        return _keyed_hash(self.card, number, 32, b"gv/card-no/v1")

    def record_id(self, resident: str) -> bytes:
        """Keyed BLAKE2b of a pseudonym, 16 bytes: the row of `vault.db` that is this resident's."""
        return _keyed_hash(self.link, resident, 16, b"gv/record/v1")


def _keyed_hash(key: Secret, text: str, size: int, context: bytes) -> bytes:
    return blake2b(text.encode(), digest_size=size, key=key.reveal(), person=context, encoder=RawEncoder)
