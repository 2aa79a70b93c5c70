"""Boxes: XChaCha20-Poly1305 (libsodium through PyNaCl), with identity bound into each.

A **box** is `nonce (24) ‖ ciphertext ‖ tag (16)`. Its associated data are a purpose and parts, each
prefixed with its length, so that no two lists of parts give the same bytes. They bind; they hide nothing.
"""

from __future__ import annotations

from typing import Final

from nacl._sodium import ffi, lib  # works in our own buffers, which nacl.bindings does not offer
from nacl.utils import random as random_bytes

from gatevault.core.errors import RecordRefusedError
from gatevault.vault.keys import Secret

NONCE: Final = 24
TAG: Final = 16


def associated(purpose: str, *parts: bytes) -> bytes:
    """Associated data of a box: unambiguous for any parts."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in (b"gv/" + purpose.encode(), *parts))


def seal(key: Secret, plain: bytes | bytearray | memoryview, data: bytes) -> bytes:
    """A box of `plain` bound to `data`, under a fresh random nonce."""
    nonce = random_bytes(NONCE)
    sealed = bytearray(len(plain) + TAG)
    length = ffi.new("unsigned long long *")
    done = lib.crypto_aead_xchacha20poly1305_ietf_encrypt(
        ffi.from_buffer(sealed),
        length,
        ffi.from_buffer(plain),
        len(plain),
        data,
        len(data),
        ffi.NULL,
        nonce,
        ffi.from_buffer(key.buffer),
    )
    if done != 0:
        raise ValueError("libsodium refuses to seal this")
    return nonce + bytes(sealed)


def open_into(key: Secret, box: bytes, data: bytes, out: bytearray | memoryview) -> None:
    """Open a box into `out`, which has exactly the plain text's length. RecordRefusedError otherwise.

    Where the tag is wrong, libsodium leaves zeros in `out`, or leaves it alone.
    """
    size = len(box) - NONCE - TAG
    if size < 0 or len(out) != size:
        raise RecordRefusedError("A sealed record has the wrong length: it was altered or cut short.")
    length = ffi.new("unsigned long long *")
    done = lib.crypto_aead_xchacha20poly1305_ietf_decrypt(
        ffi.from_buffer(out),
        length,
        ffi.NULL,
        box[NONCE:],
        size + TAG,
        data,
        len(data),
        box[:NONCE],
        ffi.from_buffer(key.buffer),
    )
    if done != 0:
        raise RecordRefusedError("A sealed record does not open: altered, swapped, or sealed under another key.")


def unseal(key: Secret, box: bytes, data: bytes) -> bytearray:
    """Open a box into a fresh buffer that the caller may wipe. RecordRefusedError as `open_into`."""
    out = bytearray(max(0, len(box) - NONCE - TAG))
    open_into(key, box, data, out)
    return out
