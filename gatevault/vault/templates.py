"""`vault.db`: sealed templates by record id. Pseudonymous: it holds no name, pseudonym or time."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gatevault.core.errors import RecordRefusedError, StoreCorruptError, WrongKeyError
from gatevault.vault.db import Database
from gatevault.vault.keys import VaultKeys
from gatevault.vault.sealing import SealedTemplate, associated, seal, unseal

# WITHOUT ROWID: rows lie in the order of their keyed ids, which tells nothing of who came when.
_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE templates (
    record BLOB PRIMARY KEY, model BLOB NOT NULL, wrapped_key BLOB NOT NULL, sealed BLOB NOT NULL
) WITHOUT ROWID;
"""
_CHECK: Final = b"gatevault"


class TemplateStore:
    """The sealed templates of one device. Needs no key but to check one."""

    def __init__(self, path: Path, device: str) -> None:
        self._db = Database(path, _SCHEMA, "The template store (vault.db)")
        self._data = associated("vault-check", device.encode())

    def set_check(self, keys: VaultKeys) -> None:
        """Remember, sealed, which key this store is under; once, when the state is made."""
        with self._db.transaction() as run:
            run.execute("INSERT INTO meta VALUES ('check', ?)", (seal(keys.wrap, _CHECK, self._data),))

    def check(self, keys: VaultKeys) -> None:
        """WrongKeyError unless `keys` are those that this store is sealed under; StoreError family."""
        rows = self._db.rows("SELECT value FROM meta WHERE name = 'check'")
        if not rows:
            raise StoreCorruptError("vault.db was emptied or is not ours: faces are off. Restore it from a backup.")
        try:
            if unseal(keys.wrap, _blob(rows[0][0]), self._data) != _CHECK:
                raise RecordRefusedError("")
        except RecordRefusedError:
            raise WrongKeyError(
                "The vault key is not the one that the templates are sealed under: faces are off, cards work. "
                "Put the right key back and restart."
            ) from None

    def put(self, record: bytes, model: bytes, template: SealedTemplate) -> None:
        """Insert or replace one record; what it replaces is erased as `erase` does."""
        with self._db.transaction() as run:
            run.execute(
                "INSERT OR REPLACE INTO templates VALUES (?, ?, ?, ?)",
                (record, model, template.wrapped_key, template.sealed),
            )
        self._db.checkpoint()

    def get(self, record: bytes) -> tuple[bytes, SealedTemplate] | None:
        """The model's hash and the sealed record, or None."""
        rows = self._db.rows("SELECT model, wrapped_key, sealed FROM templates WHERE record = ?", record)
        if not rows:
            return None
        model, wrapped, sealed = rows[0]
        return _blob(model), SealedTemplate(_blob(wrapped), _blob(sealed))

    def erase(self, record: bytes) -> bool:
        """Destroy a record's key and the record, in file and WAL; tells whether there was one.

        `secure_delete` overwrites the row, and the checkpoint empties the WAL. A flash medium may
        keep old pages: see the deletion certificate for what is not promised.
        """
        with self._db.transaction() as run:
            count = run.execute("DELETE FROM templates WHERE record = ?", (record,)).rowcount
        self._db.checkpoint()
        return count > 0

    def records(self) -> list[bytes]:
        """All record ids."""
        return [_blob(row[0]) for row in self._db.rows("SELECT record FROM templates")]

    def close(self) -> None:
        self._db.close()


def _blob(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise RecordRefusedError("A stored record is not of the kind that was written.")
    return value
