"""Sealing: XChaCha20-Poly1305 (libsodium through PyNaCl), with identity bound into each box.

A **box** is `nonce (24) ‖ ciphertext ‖ tag (16)`. Its associated data are a purpose and parts, each
prefixed with its length, so that no two lists of parts give the same bytes.

A **template record** is two boxes, kept in two columns of `vault.db`:

    wrapped_key  box under the vault's wrap key        of the record's random key (32)
    sealed       box under that record key             of the template (below)
    associated   "template-key" or "template" ‖ device ‖ bench flag ‖ record id ‖ receipt binding ‖ model

    template     version u8 = 1 ‖ captures u8 ‖ dimension u16 ‖ captures × dimension float32,
                 little-endian, unit rows

A record that is altered, swapped with another, moved to another device, or asked for under another
consent does not open. Who holds the wrap key and `vault.db` reads every template: the associated
data bind, they hide nothing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
from nacl._sodium import ffi, lib  # works in our own buffers, which nacl.bindings does not offer
from nacl.utils import random as random_bytes

from gatevault.core.errors import RecordRefusedError
from gatevault.core.types import MAX_DIMENSION
from gatevault.vault.keys import Secret

NONCE: Final = 24
TAG: Final = 16
MAX_CAPTURES: Final = 16
_TEMPLATE: Final = struct.Struct("<BBH")
_VERSION: Final = 1


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


@dataclass(frozen=True, slots=True)
class Bond:
    """What a template is bound to: it opens under exactly these."""

    device: str
    bench: bool
    record: bytes
    receipt: bytes
    model: bytes

    def data(self, purpose: str) -> bytes:
        flag = b"bench" if self.bench else b"gate"
        return associated(purpose, self.device.encode(), flag, self.record, self.receipt, self.model)


@dataclass(frozen=True, slots=True)
class SealedTemplate:
    """A record as it lies in `vault.db`."""

    wrapped_key: bytes = field(repr=False)
    sealed: bytes = field(repr=False)


def seal_template(wrap: Secret, bond: Bond, captures: npt.NDArray[np.float32]) -> SealedTemplate:
    """Seal unit captures of shape (k, d) under a fresh record key. ValueError for an impossible shape."""
    count, dimension = captures.shape
    if not (1 <= count <= MAX_CAPTURES and 1 <= dimension <= MAX_DIMENSION):
        raise ValueError("a template has 1 to 16 captures of 1 to 4,096 values")
    plain = bytearray(_TEMPLATE.size + 4 * captures.size)
    _TEMPLATE.pack_into(plain, 0, _VERSION, count, dimension)
    np.frombuffer(plain, dtype="<f4", offset=_TEMPLATE.size).reshape(count, dimension)[:] = captures
    record_key = Secret.random()
    try:
        return SealedTemplate(
            seal(wrap, record_key.buffer, bond.data("template-key")),
            seal(record_key, plain, bond.data("template")),
        )
    finally:
        plain[:] = bytes(len(plain))
        record_key.wipe()


def open_template(wrap: Secret, bond: Bond, record: SealedTemplate) -> npt.NDArray[np.float32]:
    """The captures, shape (k, d), in a buffer that the caller wipes. RecordRefusedError."""
    record_key = Secret.blank()
    try:
        open_into(wrap, record.wrapped_key, bond.data("template-key"), record_key.buffer)
        plain = unseal(record_key, record.sealed, bond.data("template"))
    finally:
        record_key.wipe()
    try:
        version, count, dimension = _TEMPLATE.unpack_from(plain)
        if version != _VERSION or len(plain) != _TEMPLATE.size + 4 * count * dimension or not count * dimension:
            raise RecordRefusedError("A template is of a format that this version does not read.")
        values = np.frombuffer(plain, dtype="<f4", offset=_TEMPLATE.size).reshape(count, dimension)
        return values.astype(np.float32)
    except struct.error:
        raise RecordRefusedError("A template is cut short.") from None
    finally:
        plain[:] = bytes(len(plain))
