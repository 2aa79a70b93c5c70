"""The ledger's arithmetic: entries that verify after their payloads are erased.

    c_i = SHA256("gv/pay/v1\\0" ‖ salt_i ‖ JCS(payload_i))
    h_i = JCS{i, boot, mono_ms, day, type, c}
    L_i = SHA256(0x00 ‖ h_i)
    H_i = SHA256(0x01 ‖ H_{i-1} ‖ L_i),  H_{-1} = SHA256("gv/chain/v1\\0" ‖ device)

The header holds only the day and never a resident; the payload may be erased without breaking the
links. The head H is signed (Ed25519) by the vault over `head_statement`. An attacker who holds the
signing key can forge a whole new chain; one who rolls the file back to an earlier signed head is
seen only by somebody who wrote a later head down.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Any, Final

import msgspec

from gatevault.core.jcs import canonical

SALT_BYTES: Final = 16
HASH_BYTES: Final = 32


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
    VAULT_LOCKED = "vault-locked"
    SENSOR = "sensor"
    FAULT = "fault"


class EntryHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The part of an entry that is never erased. `c` is the payload's commitment in hexadecimal."""

    i: int
    boot: str
    mono_ms: int
    day: str
    type: EntryType
    c: str

    def leaf(self) -> bytes:
        """L_i, 32 bytes."""
        return hashlib.sha256(b"\x00" + canonical(msgspec.to_builtins(self))).digest()


def commitment(salt: bytes, payload: dict[str, Any]) -> str:
    """c_i in hexadecimal. The salt keeps an erased payload from being guessed."""
    if len(salt) != SALT_BYTES:
        raise ValueError("a payload's salt has 16 bytes")
    return hashlib.sha256(b"gv/pay/v1\0" + salt + canonical(payload)).hexdigest()


def genesis(device: str) -> bytes:
    """H_{-1} of this device's chain."""
    return hashlib.sha256(b"gv/chain/v1\0" + device.encode()).digest()


def link(head: bytes, header: EntryHeader) -> bytes:
    """H_i from H_{i-1}."""
    return hashlib.sha256(b"\x01" + head + header.leaf()).digest()


def head_statement(device: str, size: int, head: bytes) -> bytes:
    """What is signed: this device's chain of `size` entries ends in `head`."""
    return canonical({"v": "gv/head/v1", "device": device, "size": size, "head": head.hex()})
