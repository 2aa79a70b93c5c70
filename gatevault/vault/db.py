"""SQLite as the stores use it: durable, wiping what it frees, and with errors that people can act on.

One connection a file, used by one thread at a time (the daemon's storage thread).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from gatevault.core.errors import StoreCorruptError, StoreError, StoreFullError
from gatevault.vault.remains import Remain, remains

BUSY_MS: Final = 2_000
"""How long to wait for another process that reads the file (a backup, an auditor)."""

PAGE_BYTES: Final = 4096
"""SQLite's own choice."""

_CORRUPT: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


@contextmanager
def plain_errors(what: str) -> Iterator[None]:
    """Turn SQLite's errors on `what` into ours."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise StoreFullError(
                f"The disk is full: {what} was not changed. Free some space; cards keep opening the gate."
            ) from error
        if code in _CORRUPT:
            raise _corrupt(what) from error
        raise StoreError(
            f"{what} cannot be read or written ({error}): check the disk and its permissions."
        ) from error


def _corrupt(what: str) -> StoreCorruptError:
    return StoreCorruptError(
        f"{what} is damaged: do not write to this disk; copy the state directory and restore from a backup."
    )


class Database:
    """One file. `transaction()` commits as a whole, or leaves everything as it was."""

    def __init__(
        self, path: Path, schema: str, what: str, page_bytes: int = PAGE_BYTES, *, alone: bool = False
    ) -> None:
        """Open or make `path`. StoreError family; a damaged file is refused, not repaired.

        `page_bytes` is for a file that is made; one that is there keeps its own. `alone`: no other connection may
        read it meanwhile, and SQLite's index of the log lies in RAM, not in a file that wears the disk as well.
        """
        self._what = what
        self._path = path
        self._raw: int | None = None
        with plain_errors(what):
            # The daemon's storage thread is not the one that opens; calls never overlap.
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            # Text that is none refuses its own row, not the whole query.
            self._connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        try:
            with plain_errors(what):
                self._prepare(schema, page_bytes, alone)
        except StoreError:
            self._connection.close()
            raise

    def _prepare(self, schema: str, page_bytes: int, alone: bool) -> None:
        run = self._connection.execute
        run(f"PRAGMA page_size = {page_bytes}")  # before anything is in it
        run(f"PRAGMA busy_timeout = {BUSY_MS}")
        if alone:
            run("PRAGMA locking_mode = EXCLUSIVE")  # before the log is first used
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        run("PRAGMA secure_delete = ON")
        run("PRAGMA cell_size_check = ON")
        run("PRAGMA trusted_schema = OFF")
        run("PRAGMA temp_store = MEMORY")
        verdict = run("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise _corrupt(self._what)
        if run("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            self._connection.executescript(f"BEGIN IMMEDIATE; {schema} COMMIT;")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One atomic, durable change. Errors roll it back."""
        with plain_errors(self._what):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """All rows of a query."""
        with plain_errors(self._what):
            return self._connection.execute(query, values).fetchall()

    def checkpoint(self) -> None:
        """Bring the WAL into the file and cut it to nothing, so that freed rows are gone from both."""
        with plain_errors(self._what):
            busy = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise StoreError(f"{self._what} is held open by another program: end it, so that erased rows can go.")

    def rebuild(self) -> None:
        """Write the whole file anew: rows in the order of their keys, no free page, nothing of what was there."""
        try:
            with plain_errors(self._what):
                self._connection.execute("VACUUM")
        finally:
            self.checkpoint()  # also where the disk was too full: the log must not keep what room there is

    @property
    def changes(self) -> int:
        """How many rows this connection has written so far."""
        return self._connection.total_changes

    def image(self) -> bytes:
        """The whole database as the bytes of one file, with no free page and nothing in a WAL."""
        with plain_errors(self._what), closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
            self._connection.backup(copy)
            copy.execute("PRAGMA journal_mode = MEMORY")
            copy.execute("PRAGMA temp_store = MEMORY")
            copy.execute("VACUUM")
            return copy.serialize()

    def remains(self) -> list[Remain]:
        """What deleted rows have left in the bytes of the file, its WAL brought in first. StoreError family."""
        self.checkpoint()
        try:
            if self._raw is None:
                # Stays open as long as the connection: closing it would drop SQLite's own locks on the file.
                self._raw = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            return remains(_whole(self._raw))
        except OSError as error:
            raise StoreError(f"{self._what} cannot be read ({error.strerror}): check the disk.") from None
        except ValueError as error:
            raise StoreCorruptError(f"{self._what} cannot be followed page by page: {error}.") from None

    def close(self) -> None:
        self._connection.close()
        if self._raw is not None:
            os.close(self._raw)
            self._raw = None


def _whole(handle: int) -> bytes:
    content = bytearray()
    while part := os.pread(handle, 1 << 20, len(content)):
        content += part
    return bytes(content)
