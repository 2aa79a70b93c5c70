"""Ledgers on disk for the tests of this room: made, filled, and asked whether anything is wrong with them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gatevault.core.checkpoint import Note
from gatevault.core.entries import Entry, EntryHeader, EntryType, Keep, Moment, Opening, commitment
from gatevault.core.errors import LedgerBrokenError
from gatevault.core.merkle import Frontier
from gatevault.vault.audit import audit_ledger
from gatevault.vault.ledger import Ledger
from tests.vault.samples import DEVICE, HOUSE, at

TIME = "2026-03-01T07:30:{:02}Z"
LENGTH = 12
RAM = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112
"""Where thousands of copies are tampered with: what is written there is not synced to a disk."""


def open_ledger(path: Path) -> Ledger:
    return Ledger(path, DEVICE, HOUSE)


def fill(ledger: Ledger, count: int = LENGTH) -> None:
    """Entries of one boot, a second apart by both clocks for a minute, each with an `op`."""
    for _ in range(count):
        i = ledger.size
        ledger.append(at(1000 * i), EntryType.DECISION, {"time": TIME.format(i % 60), "turn": i}, f"op-{i}")


def problems(ledger: Ledger, anchor: Note | None = None) -> list[str]:
    """What an audit finds."""
    return [found.problem for found in audit_ledger(ledger, anchor).problems]


def broken(path: Path, anchor: Note | None = None) -> bool:
    """Whether opening or auditing finds the ledger broken."""
    try:
        ledger = open_ledger(path)
    except LedgerBrokenError:
        return True
    try:
        ledger.unmatched()
        return bool(problems(ledger, anchor))
    except LedgerBrokenError:
        return True
    finally:
        ledger.close()


def erase(ledger: Ledger, *indexes: int, when: Moment | None = None) -> None:
    """Erase gate payloads as retention does, a day later."""
    later = when or Moment("boot-8", 0, "2026-03-02")
    told: dict[str, Any] = {"time": f"{later.day}T00:00:00Z"}
    told |= {"class": Keep.GATE.value, "before": "2026-03-02", "count": len(indexes)}
    told["templates"] = ledger.templates()
    ledger.append(later, EntryType.PAYLOADS_ERASED, told, erase=indexes)


def made_up(count: int, boot: str = "boot-1") -> tuple[list[Entry], Frontier]:
    """Entries without a disk, and the tree's edge over them."""
    entries, edge = [], Frontier()
    salt = bytes(16)
    for i in range(count):
        payload = {"way": "card", "turn": i}
        header = EntryHeader(i, boot, i, "2026-03-01", EntryType.DECISION, commitment(salt, payload))
        entries.append(Entry(header, Opening(salt, payload)))
        edge = edge.append(header.leaf())
    return entries, edge
