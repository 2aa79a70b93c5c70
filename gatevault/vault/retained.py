"""Questions of retention to `ledger.db`: whose payloads are past their time, how many templates live."""

from __future__ import annotations

from typing import Final

from gatevault.core.entries import TEMPLATE_TYPES, Entry, EntryType, Keep, keep_of, templates_after
from gatevault.vault.db import Database
from gatevault.vault.ledger_rows import RowBoxes, readable

_BATCH: Final = 500


def past(db: Database, boxes: RowBoxes, keep: Keep, before: str, limit: int) -> list[int]:
    """See `Ledger.past`. Days never run back, so it ends at the first entry that is too young."""
    found: list[int] = []
    start = 0
    while True:
        rows = db.rows(
            "SELECT i, header FROM entries WHERE i >= ? AND payload IS NOT NULL ORDER BY i LIMIT ?", start, _BATCH
        )
        for i, raw in rows:
            header = readable(boxes.open(i, raw, None, None)).header
            if header.day >= before or len(found) == limit:
                return found
            if keep_of(header.type) is keep:
                found.append(header.i)
            start = header.i + 1
        if not rows:
            return found


def templates(db: Database, boxes: RowBoxes) -> int:
    """See `Ledger.templates`."""
    total: int | None = 0
    since = -1
    for entry in _of_types(db, boxes, [EntryType.PAYLOADS_ERASED], "DESC LIMIT 1", since):
        if entry.opening is not None:
            total, since = int(entry.opening.payload["templates"]), entry.header.i
    for entry in _of_types(db, boxes, sorted(TEMPLATE_TYPES), "ASC", since):
        if entry.opening is not None:
            total = templates_after(total, entry.header.type, entry.opening.payload)
    return total or 0


def _of_types(db: Database, boxes: RowBoxes, kinds: list[EntryType], order: str, after: int) -> list[Entry]:
    """Entries of these types. A header is canonical JSON, where a type can stand in no other place."""
    like = " OR ".join("instr(header, ?)" for _ in kinds)
    query = f"SELECT i, header, payload, op FROM entries WHERE i > ? AND ({like}) ORDER BY i {order}"  # noqa: S608
    needles = [f'"type":"{kind.value}"'.encode() for kind in kinds]
    entries = [readable(boxes.open(*row)) for row in db.rows(query, after, *needles)]
    return [entry for entry in entries if entry.header.type in kinds]
