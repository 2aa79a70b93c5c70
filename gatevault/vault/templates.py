"""`vault.db`: sealed templates by record id. Pseudonymous: it holds no name, pseudonym, number or time.

The records' wrapped keys lie in a table of their own, so that a rotation of the epoch writes those alone.
After each change the file is rebuilt in the order of the keyed ids: pages that SQLite fills as records come
would else tell, by the order of cells within a page, who was enrolled before whom.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import Connection
from typing import Final

from gatevault.core.errors import RecordRefusedError, StoreCorruptError
from gatevault.vault.db import Database, plain_errors
from gatevault.vault.record import SealedTemplate
from gatevault.vault.remains import Remain

_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE keys (record BLOB PRIMARY KEY, wrapped BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE templates (record BLOB PRIMARY KEY, model BLOB NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID;
"""
_JOINED: Final = "SELECT record, model, wrapped, sealed FROM templates JOIN keys USING (record)"
_WRAPPED: Final = "SELECT record, model, wrapped FROM templates JOIN keys USING (record)"
_OWE: Final = "INSERT OR REPLACE INTO meta VALUES ('owed', x'01')"


@dataclass(frozen=True, slots=True)
class Row:
    """One record as stored: its id (16 bytes), the model's hash (32), its two boxes."""

    record: bytes
    model: bytes
    template: SealedTemplate = field(repr=False)


class TemplateStore:
    """The sealed templates of one device. Knows no key. Every method may raise the StoreError family."""

    def __init__(self, path: Path) -> None:
        self._db = Database(path, _SCHEMA, "The template store (vault.db)")

    # --- the epoch that it is under ----------------------------------------------------------

    def check_box(self) -> bytes:
        """A box that opens under the store's epoch. StoreCorruptError where it is gone."""
        rows = self._db.rows("SELECT value FROM meta WHERE name = 'check'")
        if not rows:
            raise StoreCorruptError("vault.db was emptied or is not ours: faces are off. Restore the state.")
        return _blob(rows[0][0])

    def begin(self, check: bytes) -> None:
        """Name the first epoch; once, when the state is made."""
        with self._db.transaction() as run:
            run.execute("INSERT INTO meta VALUES ('check', ?)", (check,))

    def rotate(self, check: bytes, wrapped: Iterable[tuple[bytes, bytes]], erase: Sequence[bytes] = ()) -> None:
        """Erase records and put the keys of others, (record, box), under another epoch: all or nothing."""
        with self._db.transaction() as run:
            _delete(run, erase)
            run.executemany("UPDATE keys SET wrapped = ? WHERE record = ?", ((box, name) for name, box in wrapped))
            run.execute("UPDATE meta SET value = ? WHERE name = 'check'", (check,))
            run.execute("DELETE FROM meta WHERE name = 'owed'")
        self._db.checkpoint()

    @property
    def owed(self) -> bool:
        """Whether rows were erased while the epoch's key was away: a rotation is owed."""
        return bool(self._db.rows("SELECT 1 FROM meta WHERE name = 'owed'"))

    def note_image(self) -> None:
        """The key leaves a provider under which an image of the medium opens: such images stay what they are."""
        with self._db.transaction() as run:
            run.execute("INSERT OR REPLACE INTO meta VALUES ('imaged', x'01')")

    @property
    def imaged(self) -> bool:
        """Whether the key was with such a provider before."""
        return bool(self._db.rows("SELECT 1 FROM meta WHERE name = 'imaged'"))

    # --- records -----------------------------------------------------------------------------

    def put(self, row: Row, *, owe_rotation: bool) -> None:
        """Insert or replace one record. What it replaces is gone only after a rotation: note that it is owed."""
        with self._db.transaction() as run:
            if owe_rotation:
                run.execute(_OWE)
            run.execute("INSERT OR REPLACE INTO keys VALUES (?, ?)", (row.record, row.template.wrapped))
            run.execute(
                "INSERT OR REPLACE INTO templates VALUES (?, ?, ?)", (row.record, row.model, row.template.sealed)
            )
        self._db.checkpoint()

    def get(self, record: bytes) -> Row | None:
        """One record, or None. RecordRefusedError where it is not of the kind that was written."""
        rows = self._db.rows(f"{_JOINED} WHERE record = ?", record)
        return _row(rows[0]) if rows else None

    def some(self, records: Sequence[bytes]) -> dict[bytes, Row | None]:
        """These records, as far as they are there, by one query; None for what is not of the kind that was written.

        At most 1,000 at a time.
        """
        found: dict[bytes, Row | None] = {}
        marks = ", ".join("?" * len(records))
        for row in self._db.rows(f"{_JOINED} WHERE record IN ({marks})", *records):
            with suppress(RecordRefusedError):
                found[_blob(row[0])] = None
                found[_blob(row[0])] = _row(row)
        return found

    def rows(self) -> Iterator[Row]:
        """Every record of the kind that was written; what else is there, `records` names."""
        for row in self._db.rows(_JOINED):
            with suppress(RecordRefusedError):
                yield _row(row)

    def wrapped_keys(self) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Id, model and wrapped key of every record of the kind that was written: a tenth of `rows`, or less."""
        for record, model, wrapped in self._db.rows(_WRAPPED):
            if isinstance(record, bytes) and isinstance(model, bytes) and isinstance(wrapped, bytes):
                yield record, model, wrapped

    def has(self, record: bytes) -> bool:
        """Whether either table has a row of this id."""
        query = "SELECT 1 FROM templates WHERE record = ?1 UNION SELECT 1 FROM keys WHERE record = ?1"
        return bool(self._db.rows(query, record))

    def records(self) -> set[bytes]:
        """The ids that either table has."""
        found = self._db.rows("SELECT record FROM templates UNION SELECT record FROM keys")
        return {row[0] for row in found if isinstance(row[0], bytes)}

    def foreign(self) -> int:
        """Rows of either table whose id is no bytes: `records` does not name them."""
        query = "SELECT record FROM templates UNION ALL SELECT record FROM keys"
        return sum(not isinstance(row[0], bytes) for row in self._db.rows(query))

    def remains(self) -> list[Remain]:
        """What deleted rows have left in the bytes of the file."""
        return self._db.remains()

    def erase(self, record: bytes) -> bool:
        """Delete a record where the epoch cannot be rotated now, and note that it must be; whether one was there.

        `secure_delete` overwrites the rows, and the checkpoint empties the WAL.
        """
        with self._db.transaction() as run:
            count = _delete(run, [record])
            if count:
                run.execute(_OWE)
        self._db.checkpoint()
        return count > 0

    def rebuild(self) -> None:
        """Write the file anew, in the order of ids and with no free page."""
        self._db.rebuild()

    def close(self) -> None:
        self._db.close()


def count_by_model(path: Path) -> Counter[bytes]:
    """How many records there are under each model, read without a trace in the folder, also beside a daemon.

    What a killed daemon left in the WAL is not counted. StoreError where it cannot be read.
    """
    what = "The template store (vault.db)"
    with (
        plain_errors(what),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db,
    ):
        rows = db.execute("SELECT model, count(*) FROM templates GROUP BY model").fetchall()
    return Counter({model: count for model, count in rows if isinstance(model, bytes)})


def _delete(run: Connection, records: Sequence[bytes]) -> int:
    """Delete these records from both tables; how many rows went."""
    count = 0
    for table in ("keys", "templates"):
        count += run.executemany(f"DELETE FROM {table} WHERE record = ?", [(name,) for name in records]).rowcount  # noqa: S608
    return count


def _row(row: tuple[object, ...]) -> Row:
    record, model, wrapped, sealed = row
    if not (
        isinstance(record, bytes)
        and isinstance(model, bytes)
        and isinstance(wrapped, bytes)
        and isinstance(sealed, bytes)
    ):
        raise RecordRefusedError("A stored record is not of the kind that was written.")
    return Row(record, model, SealedTemplate(wrapped, sealed))


def _blob(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise StoreCorruptError("vault.db was altered: faces are off. Restore the state.")
    return value
