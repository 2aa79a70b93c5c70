"""`ledger.db`: what happened, append-only (entries: `core.entries`; tree: `core.merkle`).

Payloads are sealed under the journal key and committed to in their headers. The head row holds the
checkpoint, signed anew with each entry, and the tree's frontier, so that neither opening nor appending
reads the entries; both change in the entry's own transaction, so a half-written append does not exist.
What this shows: an entry altered, removed, reordered or forged without the ledger key is found by
`audit`. What it does not: a rollback of the whole file, unless somebody kept a later checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Final

from nacl.utils import random as random_bytes

from gatevault.core.checkpoint import Checkpoint, VerifierKey, origin_of, read_note
from gatevault.core.consent import moment
from gatevault.core.entries import (
    SALT_BYTES,
    Entry,
    EntryHeader,
    EntryType,
    Keep,
    Moment,
    Opening,
    Spoilt,
    commitment,
    is_sound,
)
from gatevault.core.errors import CheckpointError, ConflictError, LedgerBrokenError, StoreError
from gatevault.core.jcs import MAX_INTEGER
from gatevault.core.merkle import Frontier
from gatevault.vault import retained
from gatevault.vault.db import Database
from gatevault.vault.keys import HouseKeys
from gatevault.vault.ledger_rows import RowBoxes, readable
from gatevault.vault.notes import is_signed, signed_note, verifier_key
from gatevault.vault.remains import Remain

_SCHEMA: Final = """
CREATE TABLE entries (i INTEGER PRIMARY KEY, header BLOB NOT NULL, payload BLOB, op TEXT);
CREATE UNIQUE INDEX entries_op ON entries (op) WHERE op IS NOT NULL;
CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), note TEXT NOT NULL, frontier BLOB NOT NULL);
CREATE TABLE unmatched (day TEXT PRIMARY KEY, faces BLOB NOT NULL) WITHOUT ROWID;
"""
FILE_PAGE_BYTES: Final = 1024
"""Each commit writes whole pages: that of its entry, and the head's. With SQLite's 4 KiB, and a third page for an
index of all entries, 2,000 passages a day wrote 71 MB to the SD card; so it is less than half (docs/doctor.md)."""

PAGE: Final = 200
"""Entries a page: about 100 KB."""

PAGE_BYTES: Final = 256 * 1024
"""A page ends early beyond this much sealed, to stay well within a frame of the control socket (1 MiB)."""


class Ledger:
    """The ledger of one device. Every method may raise the StoreError family."""

    def __init__(self, path: Path, device: str, keys: HouseKeys, *, alone: bool = False) -> None:
        """Open or make `path`; the entries are not read. LedgerBrokenError for a head that is not ours.

        `alone`: as the daemon opens it, which writes it all day (see `Database`).
        """
        self._db = Database(path, _SCHEMA, "The ledger (ledger.db)", FILE_PAGE_BYTES, alone=alone)
        self._device = device
        self._keys = keys
        self._rows = RowBoxes(device, keys.journal)
        self._last: Entry | None = None
        self.key: VerifierKey = verifier_key(origin_of(device), keys.ledger)
        """What an auditor pins."""
        try:
            self._note, self._edge = self._read_head()
        except StoreError:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    @property
    def size(self) -> int:
        return self._edge.size

    @property
    def note(self) -> str:
        """The signed checkpoint of all entries: what an auditor keeps."""
        return self._note

    @property
    def root(self) -> str:
        """The Merkle root in hexadecimal."""
        return self._edge.root().hex()

    def append(
        self,
        when: Moment,
        kind: EntryType,
        payload: dict[str, Any],
        op: str | None = None,
        erase: Iterable[int] = (),
    ) -> int:
        """Add one entry and return its index. With `op`, the same operation is entered only once.

        The payloads of the entries `erase` go in the same transaction (see `past`).
        """
        if op is not None:
            if (entered := self.entered(op)) is not None:
                return entered
            op = self._keys.entry_op(op)
        salt = random_bytes(SALT_BYTES)
        header = EntryHeader(self.size, when.boot, when.mono_ms, when.day, kind, commitment(salt, payload))
        entry = Entry(header, Opening(salt, payload))
        edge = self._edge.append(header.leaf())
        note = self._signed(edge)
        sealed = self._rows.seal(entry, op)
        with self._db.transaction() as run:
            run.executemany("UPDATE entries SET payload = NULL, op = NULL WHERE i = ?", [(i,) for i in erase])
            run.execute("INSERT INTO entries VALUES (?, ?, ?, ?)", (header.i, header.encoded(), sealed, op))
            _put_head(run, note, edge)
        self._note, self._edge, self._last = note, edge, entry
        return header.i

    def entered(self, op: str) -> int | None:
        """The index of the entry of an operation; None where it was not entered."""
        rows = self._db.rows("SELECT i FROM entries WHERE op = ?", self._keys.entry_op(op))
        return int(str(rows[0][0])) if rows else None

    def adopt(self, checkpoint: Checkpoint, entries: Iterable[Entry]) -> None:
        """Fill an empty ledger with entries from elsewhere, a backup say, whole or not at all.

        The caller has verified the checkpoint's signature. ConflictError where there are entries already;
        LedgerBrokenError unless the entries are this device's and lead to the checkpoint.
        """
        if self.size:
            raise ConflictError("The ledger has entries already: only an empty one takes those of a backup.")
        edge, rows = Frontier(), []
        for entry in entries:
            if not is_sound(entry):
                raise LedgerBrokenError(f"Entry {entry.header.i} of the backup was altered: nothing was taken.")
            rows.append((edge.size, entry.header.encoded(), self._rows.seal(entry, None), None))
            edge = edge.append(entry.header.leaf())
        if Checkpoint(self.key.name, edge.size, edge.root()) != checkpoint:
            raise LedgerBrokenError("The backup's entries do not lead to its checkpoint: nothing was taken.")
        note = self._signed(edge)
        with self._db.transaction() as run:
            run.executemany("INSERT INTO entries VALUES (?, ?, ?, ?)", rows)
            _put_head(run, note, edge)
        self._note, self._edge = note, edge

    def image(self) -> bytes:
        """The whole ledger as the bytes of one SQLite file."""
        return self._db.image()

    # --- reading -----------------------------------------------------------------------------

    def page(self, start: int, count: int = PAGE) -> list[Entry | Spoilt]:
        """Entries from index `start`, at most `count`; those that cannot be read are told as such."""
        if start > MAX_INTEGER:
            return []
        rows = self._db.rows(
            "SELECT i, header, payload, op FROM entries WHERE i >= ? ORDER BY i LIMIT ?", start, count
        )
        found: list[Entry | Spoilt] = []
        held = 0
        for i, header, payload, op in rows:
            found.append(self._rows.open(i, header, payload, op))
            held += len(payload) if isinstance(payload, bytes) else 0
            if held > PAGE_BYTES:
                break
        return found

    def entries(self, start: int, count: int = PAGE) -> list[tuple[EntryHeader, dict[str, Any] | None]]:
        """Headers and payloads from index `start`; None for an erased payload. LedgerBrokenError."""
        return [
            (entry.header, entry.opening.payload if entry.opening else None)
            for entry in map(readable, self.page(start, count))
        ]

    def count(self) -> int:
        """How many rows there are, those that `page` never comes to as well."""
        return int(str(self._db.rows("SELECT count(*) FROM entries")[0][0]))

    def last(self) -> tuple[EntryHeader, datetime] | None:
        """The last entry and its wall-clock time; None where there is none to tell."""
        if self._last is None and self.size:
            (entry,) = map(readable, self.page(self.size - 1, 1))
            self._last = entry
        opening = self._last.opening if self._last else None
        if self._last is None or opening is None or "time" not in opening.payload:
            return None
        return self._last.header, moment(opening.payload["time"])

    def latest(self) -> datetime | None:
        """The wall-clock time of the last entry that still has its payload."""
        rows = self._db.rows(
            "SELECT i, header, payload, op FROM entries WHERE payload IS NOT NULL ORDER BY i DESC LIMIT 1"
        )
        for row in rows:
            entry = readable(self._rows.open(*row))
            return moment(entry.opening.payload["time"]) if entry.opening else None
        return None

    def read_note(self) -> str:
        """The signed checkpoint as it lies on the disk now, verified. LedgerBrokenError."""
        return self._read_head()[0]

    # --- retention (queries: `retained`) -----------------------------------------------------

    def past(self, keep: Keep, before: str, limit: int) -> list[int]:
        """Up to `limit` entries of a class, of days before `before` (YYYY-MM-DD), that have their payload."""
        return retained.past(self._db, self._rows, keep, before, limit)

    def templates(self) -> int:
        """How many templates live by the entries, counted on from the last `payloads-erased`."""
        return retained.templates(self._db, self._rows)

    def remains(self) -> list[Remain]:
        """What erased payloads have left in the bytes of the file; as for the registry."""
        return self._db.remains()

    def tidy(self) -> None:
        """Bring the write-ahead log into the file and empty it, so that erased payloads are gone from both."""
        self._db.checkpoint()

    # --- the unmatched -----------------------------------------------------------------------

    def count_unmatched(self, day: str) -> None:
        """One more face that nobody matched: a sealed number a day, and nothing else of them."""
        rows = self._db.rows("SELECT faces FROM unmatched WHERE day = ?", day)
        faces = 1 + (self._rows.open_count(day, rows[0][0]) if rows else 0)
        with self._db.transaction() as run:
            run.execute("INSERT OR REPLACE INTO unmatched VALUES (?, ?)", (day, self._rows.seal_count(day, faces)))

    def unmatched(self) -> dict[str, int]:
        """Faces that nobody matched, a number a day: counted, not part of the tree. LedgerBrokenError."""
        rows = self._db.rows("SELECT day, faces FROM unmatched")
        return {str(day): self._rows.open_count(str(day), faces) for day, faces in rows}

    # --- the head ----------------------------------------------------------------------------

    def _signed(self, edge: Frontier) -> str:
        return signed_note(Checkpoint(self.key.name, edge.size, edge.root()), self._keys.ledger)

    def _read_head(self) -> tuple[str, Frontier]:
        rows = self._db.rows("SELECT note, frontier FROM head WHERE one = 1")
        if not rows:
            if self._db.rows("SELECT 1 FROM entries LIMIT 1"):
                raise LedgerBrokenError("The ledger has entries and no signed checkpoint: call an auditor.")
            return self._signed(Frontier()), Frontier()
        text, frontier = rows[0]
        if not (isinstance(text, str) and isinstance(frontier, bytes)):
            raise LedgerBrokenError("The ledger's head is not of the kind that was written: call an auditor.")
        try:
            note = read_note(text)
            edge = Frontier.decode(note.checkpoint.size, frontier)
        except (CheckpointError, ValueError):
            raise LedgerBrokenError("The ledger's checkpoint was altered: call an auditor.") from None
        if not is_signed(note, self.key):
            raise LedgerBrokenError("The ledger's checkpoint is not signed by this device: call an auditor.")
        if edge.root() != note.checkpoint.root:
            raise LedgerBrokenError("The ledger's frontier does not lead to its signed root: call an auditor.")
        return text, edge


def _put_head(run: Connection, note: str, edge: Frontier) -> None:
    run.execute("INSERT OR REPLACE INTO head VALUES (1, ?, ?)", (note, edge.encode()))
