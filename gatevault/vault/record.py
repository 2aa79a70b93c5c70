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
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from gatevault.core.errors import HolderKeyNeededError, RecordRefusedError
from gatevault.core.types import MAX_DIMENSION
from gatevault.vault.desk import Desk
from gatevault.vault.keys import KEY_BYTES, Epoch, Secret
from gatevault.vault.sealing import NONCE, TAG, associated, open_into, seal, unseal

MAX_CAPTURES: Final = 16
FORMAT: Final = 2
_TEMPLATE: Final = struct.Struct("<BBH")
LONGEST: Final = _TEMPLATE.size + 4 * MAX_CAPTURES * MAX_DIMENSION
"""Bytes of the longest template's plain text."""
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
        own = (self.record, self.model, *more)
        return _device_data(purpose, self.device, self.bench) + b"".join(
            [len(part).to_bytes(4, "big") + part for part in own]
        )


@lru_cache(maxsize=64)
def _device_data(purpose: str, device: str, bench: bool) -> bytes:
    """What the associated data of all records of a device begin with."""
    return associated(purpose, FORMAT.to_bytes(2, "big"), device.encode(), b"bench" if bench else b"gate")


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
    plain = bytearray(_length(record))
    try:
        return _open_into(epoch, place, receipt, record, holder, plain, Secret.blank()).astype(np.float32)
    finally:
        plain[:] = bytes(len(plain))


def open_on(desk: Desk, epoch: Epoch, place: Place, receipt: bytes, record: SealedTemplate) -> Captures:
    """As `open_template` without a holder's key; the captures lie on the desk, until the next template does."""
    return _open_into(epoch, place, receipt, record, None, desk.plain(_length(record)), desk.key)


def _length(record: SealedTemplate) -> int:
    """Of a template's plain text, in bytes. RecordRefusedError where no template is so long."""
    length = len(record.sealed) - NONCE - TAG
    if not _TEMPLATE.size <= length <= LONGEST:
        raise RecordRefusedError("A template is cut short, or longer than any: it was altered.")
    return length


def _open_into(
    epoch: Epoch,
    place: Place,
    receipt: bytes,
    record: SealedTemplate,
    holder: Secret | None,
    plain: bytearray | memoryview,
    key: Secret,
) -> Captures:
    """Open a record into `plain`, by way of `key`, which holds nothing afterwards; a view of its captures."""
    try:
        _record_key(_unwrap(epoch, place, record.wrapped), place, holder, key)
        open_into(key, record.sealed, place.data("template", receipt), plain)
    finally:
        key.wipe()
    version, count, dimension = _TEMPLATE.unpack_from(plain)
    rows, rest = divmod(len(plain) - _TEMPLATE.size, 4 * max(dimension, 1))
    if version != FORMAT or rest or not 1 <= count <= rows <= MAX_CAPTURES or not dimension:
        plain[:] = bytes(len(plain))
        raise RecordRefusedError("A template is of a format that this version does not read.")
    return np.frombuffer(plain, dtype="<f4", offset=_TEMPLATE.size).reshape(rows, dimension)[:count]


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


def _record_key(inner: bytearray, place: Place, holder: Secret | None, key: Secret) -> None:
    """Write a record's key into `key`, and overwrite `inner`. RecordRefusedError, HolderKeyNeededError."""
    try:
        if _mode(inner) is Mode.DEVICE:
            key.buffer[:] = memoryview(inner)[1 : 1 + KEY_BYTES]
        elif holder is None:
            raise HolderKeyNeededError("This template opens with its holder's card alone.")
        else:
            open_into(holder, bytes(inner[1:]), place.data("holder-key"), key.buffer)
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
