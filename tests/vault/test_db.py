"""SQLite as the stores use it: durable, whole, wiping, and with errors that people can act on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatevault.core.errors import StoreCorruptError, StoreError, StoreFullError
from gatevault.vault import db
from gatevault.vault.db import Database, plain_errors
from tests.vault.samples import raw

SCHEMA = "CREATE TABLE things (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
WHAT = "The store of things (things.db)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "things.db"


@pytest.fixture
def store(path: Path) -> Iterator[Database]:
    store = Database(path, SCHEMA, WHAT)
    yield store
    store.close()


def put(store: Database, name: str, value: bytes = b"x") -> None:
    with store.transaction() as run:
        run.execute("INSERT INTO things VALUES (?, ?)", (name, value))


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("secure_delete", 1),
        ("trusted_schema", 0),
        ("cell_size_check", 1),
    ],
)
def test_the_pragmas_are_in_force_on_a_new_file_and_on_an_old_one(path: Path, pragma: str, value: object) -> None:
    for _ in range(2):
        store = Database(path, SCHEMA, WHAT)
        assert store.rows(f"PRAGMA {pragma}") == [(value,)]
        store.close()


def test_what_was_written_is_there_after_reopening(path: Path, store: Database) -> None:
    put(store, "a", b"value")
    store.close()
    again = Database(path, SCHEMA, WHAT)
    assert again.rows("SELECT * FROM things") == [("a", b"value")]
    again.close()


def test_a_transaction_is_whole_or_nothing(store: Database) -> None:
    for error in (KeyError, KeyboardInterrupt):
        with pytest.raises(error), store.transaction() as run:
            run.execute("INSERT INTO things VALUES ('a', x'00')")
            raise error
        assert store.rows("SELECT * FROM things") == []
    with pytest.raises(StoreError), store.transaction() as run:
        run.execute("INSERT INTO things VALUES ('a', x'00')")
        run.execute("INSERT INTO things VALUES ('a', x'00')")
    assert store.rows("SELECT * FROM things") == []
    put(store, "b")


def test_freed_rows_are_gone_from_file_and_log(path: Path, store: Database) -> None:
    secret = b"a secret that must go " * 200  # over several pages
    put(store, "a", secret)
    store.checkpoint()
    put(store, "b", b"stays")
    assert secret[:100] in raw(path)
    with store.transaction() as run:
        run.execute("DELETE FROM things WHERE name = 'a'")
    store.checkpoint()
    assert b"a secret that" not in raw(path)
    assert path.with_name("things.db-wal").stat().st_size == 0
    assert store.rows("SELECT value FROM things") == [(b"stays",)]


def test_a_reader_that_keeps_the_log_is_an_error_that_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "BUSY_MS", 10)
    store = Database(path, SCHEMA, WHAT)
    put(store, "a")
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM things").fetchall()
    put(store, "b")
    with pytest.raises(StoreError, match="held open by another program"):
        store.checkpoint()
    reader.close()
    store.checkpoint()
    store.close()


# --- what goes wrong -----------------------------------------------------------------------------


def test_a_full_disk_changes_nothing_and_says_so(store: Database) -> None:
    put(store, "a")
    (pages,) = store.rows("PRAGMA page_count")[0]
    store.rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreFullError, match=r"disk is full.*was not changed"):
        put(store, "b", bytes(100_000))
    assert store.rows("SELECT name FROM things") == [("a",)]
    store.rows("PRAGMA max_page_count = 1000000")
    put(store, "b", bytes(100_000))


def test_a_file_that_may_not_be_written_is_a_store_error(store: Database) -> None:
    store.rows("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="cannot be read or written") as caught:
        put(store, "a")
    assert type(caught.value) is StoreError
    assert isinstance(caught.value.__cause__, sqlite3.Error)


def test_another_writer_is_a_store_error_and_not_a_wait_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "BUSY_MS", 10)
    store = Database(path, SCHEMA, WHAT)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        put(store, "a")
    other.execute("ROLLBACK")
    put(store, "a")
    other.close()
    store.close()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_FULL, StoreFullError),
        (sqlite3.SQLITE_CORRUPT, StoreCorruptError),
        (sqlite3.SQLITE_CORRUPT_INDEX, StoreCorruptError),
        (sqlite3.SQLITE_CORRUPT_VTAB, StoreCorruptError),
        (sqlite3.SQLITE_NOTADB, StoreCorruptError),
        (sqlite3.SQLITE_READONLY, StoreError),
        (sqlite3.SQLITE_IOERR, StoreError),
        (sqlite3.SQLITE_IOERR_FSYNC, StoreError),
        (sqlite3.SQLITE_BUSY, StoreError),
        (sqlite3.SQLITE_CANTOPEN, StoreError),
        (None, StoreError),
    ],
)
def test_each_code_of_sqlite_becomes_one_of_ours(code: int | None, kind: type[StoreError]) -> None:
    error = sqlite3.OperationalError("detail")
    if code is not None:
        error.sqlite_errorcode = code
    with pytest.raises(StoreError, match=r"things\.db") as caught, plain_errors(WHAT):
        raise error
    assert type(caught.value) is kind
    assert caught.value.__cause__ is error


def test_what_is_no_database_is_refused_and_left_as_it_is(path: Path) -> None:
    for content in (b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 5000):
        path.write_bytes(content)
        with pytest.raises(StoreError):
            Database(path, SCHEMA, WHAT)
        assert path.read_bytes() == content


@pytest.mark.parametrize("page", [1, 2])
def test_a_damaged_page_is_refused_and_not_repaired(path: Path, page: int) -> None:
    store = Database(path, SCHEMA, WHAT)
    for number in range(40):
        put(store, f"{number:03}", bytes(200))
    store.close()
    whole = bytearray(path.read_bytes())
    start = (page - 1) * 4096 + (100 if page == 1 else 0)
    whole[start : start + 200] = b"\xa5" * 200
    path.write_bytes(whole)
    with pytest.raises(StoreCorruptError, match="damaged"):
        Database(path, SCHEMA, WHAT)
    assert path.read_bytes() == whole


def test_a_directory_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        Database(tmp_path / "absent" / "things.db", SCHEMA, WHAT)
