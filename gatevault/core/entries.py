"""The ledger's entries: headers that stay, payloads that may be erased.

    c_i = SHA256("gv/pay/v1\\0" ‖ salt_i ‖ JCS(payload_i))
    h_i = JCS{i, boot, mono_ms, day, type, c}
    L_i = SHA256(0x00 ‖ h_i), leaf i of the Merkle tree (`merkle`)

The header holds only the day and never a resident. Erasing salt and payload leaves the header, and
so the tree and every proof. The salt keeps an erased payload from being guessed.
"""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum
from typing import Any, Final

import msgspec

from gatevault.core.jcs import MAX_INTEGER, canonical
from gatevault.core.merkle import leaf_hash

SALT_BYTES: Final = 16
_PLAIN: Final = re.compile(r"[0-9a-z-]*", re.ASCII)


class EntryType(StrEnum):
    """What an entry tells of."""

    STATE_MADE = "state-made"
    STARTED = "started"
    STOPPED = "stopped"
    DECISION = "decision"
    OUTCOME = "outcome"
    RESIDENT_ADDED = "resident-added"
    RESIDENT_REMOVED = "resident-removed"
    RESIDENT_READ = "resident-read"
    CARD_ADDED = "card-added"
    CARD_REMOVED = "card-removed"
    CONSENT_GIVEN = "consent-given"
    CONSENT_WITHDRAWN = "consent-withdrawn"
    ENROLLED = "enrolled"
    PURGED = "purged"
    DOOR_HELD = "door-held"
    DOOR_LOCKED = "door-locked"
    SENSOR = "sensor"
    FAULT = "fault"
    KEYS_ROTATED = "keys-rotated"
    KEYS_MOVED = "keys-moved"
    VAULT_LOCKED = "vault-locked"
    VAULT_UNLOCKED = "vault-unlocked"
    VAULT_DESTROYED = "vault-destroyed"
    BACKED_UP = "backed-up"
    RESTORED = "restored"
    CLOCK_STEPPED = "clock-stepped"
    PAYLOADS_ERASED = "payloads-erased"


class Keep(StrEnum):
    """How long a payload is kept: the classes of `settings.RetentionSettings`."""

    GATE = "gate"
    ADMIN = "admin"
    EVER = "ever"


_GATE: Final = frozenset(
    {
        EntryType.STARTED,
        EntryType.STOPPED,
        EntryType.DECISION,
        EntryType.OUTCOME,
        EntryType.DOOR_HELD,
        EntryType.DOOR_LOCKED,
        EntryType.SENSOR,
        EntryType.FAULT,
    }
)
_EVER: Final = frozenset(
    {EntryType.STATE_MADE, EntryType.PAYLOADS_ERASED, EntryType.RESTORED, EntryType.VAULT_DESTROYED}
)
"""What the device is, and what was erased when: nothing of a person, and later checks need them."""

TEMPLATE_TYPES: Final = frozenset(
    {
        EntryType.ENROLLED,
        EntryType.PURGED,
        EntryType.CONSENT_WITHDRAWN,
        EntryType.RESIDENT_REMOVED,
        EntryType.RESTORED,
        EntryType.VAULT_DESTROYED,
    }
)
"""Entries that may change how many templates there are: see `templates_after`."""


def keep_of(kind: EntryType) -> Keep:
    """The class that an entry's payload is kept in. A type that is listed nowhere is the admins'."""
    return Keep.GATE if kind in _GATE else Keep.EVER if kind in _EVER else Keep.ADMIN


def templates_after(count: int | None, kind: EntryType, payload: dict[str, Any]) -> int | None:
    """How many templates there are after an entry; None where that was not known before.

    `enrolled` says whether it `replaces` an earlier template; what erases says whether a `template` was there; a
    restore brings none, and a destroyed vault has none.
    """
    if kind in (EntryType.RESTORED, EntryType.VAULT_DESTROYED):
        return 0
    if count is None:
        return None
    if kind is EntryType.ENROLLED:
        return count if payload.get("replaces") is True else count + 1
    return count - 1 if kind in TEMPLATE_TYPES and payload.get("template") is True else count


class EntryHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The part of an entry that is never erased. `c` is the payload's commitment in hexadecimal."""

    i: int
    boot: str
    mono_ms: int
    day: str
    type: EntryType
    c: str

    def encoded(self) -> bytes:
        """h_i. ValueError for what has no canonical form."""
        if _PLAIN.fullmatch(f"{self.boot}{self.day}{self.c}") and 0 <= self.i <= MAX_INTEGER >= self.mono_ms >= 0:
            # What `canonical` gives where nothing needs escaping, and an audit asks for it a million times.
            return (
                f'{{"boot":"{self.boot}","c":"{self.c}","day":"{self.day}","i":{self.i},'
                f'"mono_ms":{self.mono_ms},"type":"{self.type.value}"}}'
            ).encode()
        return canonical(msgspec.to_builtins(self))

    def leaf(self) -> bytes:
        """L_i, 32 bytes."""
        return leaf_hash(self.encoded())


class Opening(msgspec.Struct, frozen=True):
    """What a commitment is opened with: the salt, 16 bytes, and the payload."""

    salt: bytes
    payload: dict[str, Any]


class Entry(msgspec.Struct, frozen=True):
    """One entry as read; None for an erased payload."""

    header: EntryHeader
    opening: Opening | None


class Spoilt(msgspec.Struct, frozen=True):
    """A place in the ledger where no entry can be read, and why."""

    i: int
    why: str


class Moment(msgspec.Struct, frozen=True):
    """When an entry is made: the boot's id, monotonic milliseconds, and the day."""

    boot: str
    mono_ms: int
    day: str


def commitment(salt: bytes, payload: dict[str, Any]) -> str:
    """c_i in hexadecimal."""
    if len(salt) != SALT_BYTES:
        raise ValueError("a payload's salt has 16 bytes")
    return committed(salt + canonical(payload))


def committed(opened: bytes) -> str:
    """The same of salt ‖ JCS(payload), as it is sealed."""
    return hashlib.sha256(b"gv/pay/v1\0" + opened).hexdigest()


def is_sound(entry: Entry) -> bool:
    """Whether an entry has a canonical form, and its payload, if it is there, is the one committed to."""
    try:
        entry.header.encoded()
        opening = entry.opening
        return opening is None or commitment(opening.salt, opening.payload) == entry.header.c
    except (ValueError, RecursionError):
        return False
