"""Keys: what is derived from the roots. Where the vault's comes from: `providers/`.

Two roots, each 32 random bytes, so that one can be away while the other works:

- the **vault key**, behind a provider, wraps the keys of face templates. Without it the face path
  is off;
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
class VaultKeys:
    """From the vault key: `wrap` seals each record's own key."""

    wrap: Secret = field(repr=False)

    @classmethod
    def derive(cls, root: Secret) -> VaultKeys:
        return cls(Secret(_derive(root, b"gv/wrap/v1")))


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
