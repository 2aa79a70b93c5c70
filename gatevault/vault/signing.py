"""Ed25519 (RFC 8032) whose private half lies in locked memory.

PyNaCl's `SigningKey` keeps its seed and the expanded key in `bytes`, as long as it lives, where a dump of memory
finds them. This is libsodium's `crypto_sign_ed25519` on pages of our own; signatures are the same.
"""

from __future__ import annotations

import weakref
from typing import Final

from nacl._sodium import ffi, lib  # signs in place: docs/adr/0005
from nacl.signing import VerifyKey

from gatevault.vault.locked import Slots

SEED_BYTES: Final = 32
_PRIVATE_BYTES: Final = 64
SIGNATURE_BYTES: Final = 64
_SLOTS: Final = Slots(_PRIVATE_BYTES)


class Signer:
    """A signing key. It never shows itself, and is overwritten when the last user is done."""

    __slots__ = ("__weakref__", "_slot", "verify_key")

    def __init__(self, seed: bytes | bytearray | memoryview) -> None:
        """The key of a seed of 32 bytes, whose owner wipes it. ValueError for another length."""
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a seed has {SEED_BYTES} bytes")
        self._slot = _SLOTS.take()
        weakref.finalize(self, _SLOTS.give, self._slot)
        public = bytearray(SEED_BYTES)
        done = lib.crypto_sign_seed_keypair(
            ffi.from_buffer(public), ffi.from_buffer(self._slot), ffi.from_buffer(seed)
        )
        if done != 0:
            raise ValueError("libsodium refuses this seed")
        self.verify_key = VerifyKey(bytes(public))

    def sign(self, message: bytes) -> bytes:
        """The signature of `message`, 64 bytes."""
        signed = bytearray(SIGNATURE_BYTES + len(message))
        length = ffi.new("unsigned long long *")
        done = lib.crypto_sign(ffi.from_buffer(signed), length, message, len(message), ffi.from_buffer(self._slot))
        if done != 0:
            raise ValueError("libsodium refuses to sign this")
        return bytes(signed[:SIGNATURE_BYTES])  # then the message

    def reveal(self) -> bytes:
        """The seed, in a copy that cannot be wiped: for tests, which check that this program never makes one."""
        return bytes(self._slot[:SEED_BYTES])

    def __repr__(self) -> str:
        return "Signer(…)"

    def __reduce__(self) -> str:
        raise TypeError("a key is not pickled")
