"""A template record: one resident's face template as it lies in `vault.db`.

Two boxes (see `sealing`), of the same length for everybody at a site:

    wrapped   box under the epoch key of: mode u8 ‖ 72 bytes
                mode 0, device key: the record's random key (32) ‖ zeros (40)
                mode 1, holder key: a box of that key under the holder's key, purpose "holder-key"
              purpose "record-key",  parts: format ‖ device ‖ flag ‖ record ‖ model ‖ epoch
    sealed    box under the record's key of the template
              purpose "template",    parts: format ‖ device ‖ flag ‖ record ‖ model ‖ receipt

    template  version u8 = 2 ‖ captures k u8 ‖ dimension d u16 ‖ s × d float32, little-endian: k unit
              rows, then zeros up to s slots, so that the length does not tell how many there are

`format` is u16 = 2, `flag` is `bench` or `gate`, `record` the keyed hash of the pseudonym (16), `model`
the SHA-256 of the network (32), `epoch` u32, all numbers big-endian in associated data; `receipt` is the
consent's binding (32). Both boxes must open, so a record that is altered, swapped with another, moved to
another device or epoch, or asked for under another consent or network is refused. The receipt is bound in
the inner box alone: a rotation re-wraps every record, also of residents whose consent is suspended today.

Who holds the epoch key and `vault.db` reads every device-key template. A holder-key template takes the
secret on its holder's card as well, for the card's box lies inside the epoch's.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from gatevault.core.errors import HolderKeyNeededError, RecordRefusedError
from gatevault.core.types import MAX_DIMENSION
from gatevault.vault.keys import KEY_BYTES, Epoch, Secret
from gatevault.vault.sealing import NONCE, TAG, associated, open_into, seal, unseal

MAX_CAPTURES: Final = 16
FORMAT: Final = 2
_TEMPLATE: Final = struct.Struct("<BBH")
_BODY: Final = NONCE + KEY_BYTES + TAG
"""A holder's box of the record's key, 72 bytes; a device key is padded to it."""

Captures = npt.NDArray[np.float32]
"""Unit captures of one person, shape (k, d)."""


class Mode(IntEnum):
    """Whose key a record opens with."""

    DEVICE = 0
    HOLDER = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record belongs: it opens on exactly this device, in this row, for this network."""

    device: str
    bench: bool
    record: bytes
    model: bytes

    def data(self, purpose: str, *more: bytes) -> bytes:
        flag = b"bench" if self.bench else b"gate"
        fixed = (FORMAT.to_bytes(2, "big"), self.device.encode(), flag, self.record, self.model)
        return associated(purpose, *fixed, *more)


@dataclass(frozen=True, slots=True)
class SealedTemplate:
    """A record's two boxes."""

    wrapped: bytes = field(repr=False)
    sealed: bytes = field(repr=False)


def seal_template(
    epoch: Epoch, place: Place, receipt: bytes, captures: Captures, slots: int, holder: Secret | None = None
) -> SealedTemplate:
    """Seal unit captures of shape (k, d) under a fresh record key, padded to `slots` rows.

    With `holder`, the key derived from the secret on a card, the record opens with that card alone.
    ValueError for an impossible shape.
    """
    count, dimension = captures.shape
    rows = max(count, slots)
    if not (1 <= count <= MAX_CAPTURES and 1 <= dimension <= MAX_DIMENSION and rows <= MAX_CAPTURES):
        raise ValueError("a template has 1 to 16 captures of 1 to 4,096 values")
    plain = bytearray(_TEMPLATE.size + 4 * rows * dimension)
    _TEMPLATE.pack_into(plain, 0, FORMAT, count, dimension)
    np.frombuffer(plain, dtype="<f4", offset=_TEMPLATE.size).reshape(rows, dimension)[:count] = captures
    key = Secret.random()
    try:
        wrapped = _wrap(epoch, place, _inner(key, place, holder))
        return SealedTemplate(wrapped, seal(key, plain, place.data("template", receipt)))
    finally:
        plain[:] = bytes(len(plain))
        key.wipe()


def open_template(
    epoch: Epoch, place: Place, receipt: bytes, record: SealedTemplate, holder: Secret | None = None
) -> Captures:
    """The captures, shape (k, d), in an array that the caller wipes.

    RecordRefusedError; HolderKeyNeededError for a holder-key record without `holder`.
    """
    key = _record_key(_unwrap(epoch, place, record.wrapped), place, holder)
    try:
        plain = unseal(key, record.sealed, place.data("template", receipt))
    finally:
        key.wipe()
    try:
        version, count, dimension = _TEMPLATE.unpack_from(plain)
        rows, rest = divmod(len(plain) - _TEMPLATE.size, 4 * max(dimension, 1))
        if version != FORMAT or rest or not 1 <= count <= rows <= MAX_CAPTURES or not dimension:
            raise RecordRefusedError("A template is of a format that this version does not read.")
        values = np.frombuffer(plain, dtype="<f4", offset=_TEMPLATE.size).reshape(rows, dimension)
        return values[:count].astype(np.float32)
    except struct.error:
        raise RecordRefusedError("A template is cut short.") from None
    finally:
        plain[:] = bytes(len(plain))


def mode_of(epoch: Epoch, place: Place, wrapped: bytes) -> Mode:
    """Whose key a record opens with. RecordRefusedError."""
    inner = _unwrap(epoch, place, wrapped)
    try:
        return _mode(inner)
    finally:
        inner[:] = bytes(len(inner))


def rewrap(old: Epoch, new: Epoch, place: Place, wrapped: bytes) -> bytes:
    """A record's key under another epoch; a holder's box inside stays as it is. RecordRefusedError."""
    return _wrap(new, place, _unwrap(old, place, wrapped))


def _inner(key: Secret, place: Place, holder: Secret | None) -> bytearray:
    inner = bytearray(1 + _BODY)
    if holder is None:
        inner[0] = Mode.DEVICE
        inner[1 : 1 + KEY_BYTES] = key.buffer
    else:
        inner[0] = Mode.HOLDER
        inner[1:] = seal(holder, key.buffer, place.data("holder-key"))
    return inner


def _record_key(inner: bytearray, place: Place, holder: Secret | None) -> Secret:
    key = Secret.blank()
    try:
        if _mode(inner) is Mode.DEVICE:
            key.buffer[:] = memoryview(inner)[1 : 1 + KEY_BYTES]
        elif holder is None:
            raise HolderKeyNeededError("This template opens with its holder's card alone.")
        else:
            open_into(holder, bytes(inner[1:]), place.data("holder-key"), key.buffer)
        return key
    finally:
        inner[:] = bytes(len(inner))


def _mode(inner: bytearray) -> Mode:
    try:
        return Mode(inner[0])
    except ValueError:
        raise RecordRefusedError("A record is of a mode that this version does not know.") from None


def _wrap(epoch: Epoch, place: Place, inner: bytearray) -> bytes:
    """Box `inner` under the epoch, and overwrite it."""
    try:
        return seal(epoch.key, inner, place.data("record-key", epoch.number.to_bytes(4, "big")))
    finally:
        inner[:] = bytes(len(inner))


def _unwrap(epoch: Epoch, place: Place, wrapped: bytes) -> bytearray:
    inner = unseal(epoch.key, wrapped, place.data("record-key", epoch.number.to_bytes(4, "big")))
    if len(inner) != 1 + _BODY:
        raise RecordRefusedError("A record's key has the wrong length: it was altered.")
    return inner
