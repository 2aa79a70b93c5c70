"""The search for remains: on files that SQLite makes, what is left is found, and nothing else is."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatevault.core.errors import StoreCorruptError
from gatevault.vault.db import Database
from gatevault.vault.remains import Remain, Where, remains

PAGE = 4096
BY_KEY = "CREATE TABLE things (name BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
BY_NUMBER = """
CREATE TABLE things (n INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB NOT NULL UNIQUE, value BLOB NOT NULL);
CREATE INDEX by_value ON things (value);
CREATE VIEW names AS SELECT name FROM things;
"""
READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(*connection.execute("SELECT count(*) FROM things"))
connection.close()
"""
SCHEMAS = pytest.mark.parametrize("schema", [BY_KEY, BY_NUMBER], ids=["by-key", "by-number"])


def made(
    path: Path, schema: str, sizes: Sequence[int], *, secure: bool, rebuilt: bool = False, every: int = 3
) -> tuple[bytes, list[bytes], list[bytes]]:
    """A file of rows of these sizes of which each third is deleted again: its bytes, what lives, what is dead."""
    draw = random.Random(7)
    rows = [(draw.randbytes(16), draw.randbytes(size)) for size in sizes]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in (f"page_size = {PAGE}", "journal_mode = WAL", f"secure_delete = {int(secure)}"):
            connection.execute(f"PRAGMA {pragma}")
        connection.executescript(f"BEGIN; {schema} COMMIT;")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO things (name, value) VALUES (?, ?)", rows)
        connection.execute("COMMIT")
        connection.executemany("DELETE FROM things WHERE name = ?", [(name,) for name, _ in rows[::every]])
        if rebuilt:
            connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    dead = [value for _, value in rows[::every]]
    return path.read_bytes(), [value for _, value in rows if value not in dead], dead


def changed(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]


def places(found: list[Remain]) -> set[Where]:
    return {remain.where for remain in found}


SIZES = {
    "small": [40] * 900,
    "keys": [113] * 600,
    "templates": [560] * 300,
    "slots": [4140] * 60,
    "long": [9000] * 30,
}


@SCHEMAS
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_without_secure_delete_what_was_deleted_is_found(tmp_path: Path, schema: str, sizes: list[int]) -> None:
    content, _, dead = made(tmp_path / "x.db", schema, sizes, secure=False)
    still = sum(value[-24:] in content for value in dead)
    assert still > len(dead) / 3, "SQLite has left them there"
    assert sum(remain.count for remain in remains(content)) > 24 * still


@SCHEMAS
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_secure_delete_and_a_rebuild_leave_nothing(tmp_path: Path, schema: str, sizes: list[int]) -> None:
    content, living, dead = made(tmp_path / "x.db", schema, sizes, secure=True, rebuilt=True)
    assert not any(value[at : at + 8] in content for value in dead for at in range(0, len(value) - 8, 8))
    assert sum(value[:8] in content for value in living) == len(living)
    assert remains(content) == []


@SCHEMAS
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_with_secure_delete_alone_free_pages_are_zero(tmp_path: Path, schema: str, sizes: list[int]) -> None:
    content, _, _ = made(tmp_path / "x.db", schema, sizes, secure=True, every=1)
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone()[0] > 5
    assert not places(remains(content)) & {Where.FREE_PAGE, Where.FREE_LIST, Where.NO_TREE}


@SCHEMAS
@pytest.mark.parametrize("size", [941, 4000, 4040, 5140, 8130])
def test_rows_are_followed_where_they_just_fit_a_page_and_where_not(tmp_path: Path, schema: str, size: int) -> None:
    """One byte too few or too many, and a row's end, its next page or its cell is looked for elsewhere."""
    content, _, _ = made(tmp_path / "x.db", schema, range(size, size + 60), secure=True, rebuilt=True)
    assert remains(content) == []


# --- every byte that belongs to nothing ----------------------------------------------------------


def test_bytes_anywhere_in_the_room_are_found(tmp_path: Path) -> None:
    content, _, _ = made(tmp_path / "x.db", BY_KEY, [300] * 20 + [5000] * 2, secure=True, rebuilt=True)
    assert remains(content) == []
    nothing = 0
    for page in range(len(content) // PAGE):
        start = (page * PAGE) + (100 if page == 0 else 0)
        kind = content[start]
        count = int.from_bytes(content[start + 3 : start + 5], "big")
        first = int.from_bytes(content[start + 5 : start + 7], "big")
        if kind not in (2, 10, 13):  # an overflow page
            continue
        pointers = start + (12 if kind == 2 else 8) + 2 * count
        for at in range(pointers + 2, page * PAGE + first - 3, 7):
            nothing += 1
            found = remains(changed(content, at, b"\xff\xff\xff"))
            assert {(remain.page, remain.where) for remain in found} == {(page + 1, Where.ROOM)}
            assert sum(remain.count for remain in found) >= 3
    assert nothing > 500


def test_the_end_of_a_long_row_is_looked_at(tmp_path: Path) -> None:
    content, living, _ = made(tmp_path / "x.db", BY_KEY, [1, 5200], secure=True, rebuilt=True)
    end = content.index(living[0][-20:]) + 20
    assert remains(changed(content, end, b"\x01"))[0].where is Where.OVERFLOW
    assert remains(changed(content, -(-end // PAGE) * PAGE - 1, b"\x01"))[0].where is Where.OVERFLOW
    assert remains(changed(content, end - 1, b"\x01")) == [], "the row itself is another's to check"


@pytest.mark.parametrize("left", [b"\xff", b"\0\0\1", b"left", b"\0" * 7 + b"left behind"])
@pytest.mark.parametrize("end", [0, 1, 2, 3, 4, 5])
def test_a_page_without_cells_is_looked_at_to_its_last_byte(tmp_path: Path, left: bytes, end: int) -> None:
    content, _, _ = made(tmp_path / "x.db", BY_KEY, [20], secure=True, rebuilt=True, every=1)
    assert remains(content) == []
    (found,) = remains(changed(content, len(content) - end - len(left), left))
    assert (found.where, found.count) == (Where.ROOM, len(left) - left.count(0))


def test_a_free_page_and_the_list_of_them_are_looked_at(tmp_path: Path) -> None:
    content, _, _ = made(tmp_path / "x.db", BY_KEY, [4000] * 40, secure=True, every=1)
    trunk = int.from_bytes(content[32:36], "big")
    start = (trunk - 1) * PAGE
    leaf = int.from_bytes(content[start + 8 : start + 12], "big")
    assert places(remains(content)) <= {Where.ROOM}
    for at in (0, 1, 2000, PAGE - 1):
        assert Where.FREE_PAGE in places(remains(changed(content, (leaf - 1) * PAGE + at, b"\x01")))
    assert Where.FREE_LIST in places(remains(changed(content, start + PAGE - 4, b"\xff")))


def test_a_page_that_nothing_refers_to_is_looked_at(tmp_path: Path) -> None:
    content, _, _ = made(tmp_path / "x.db", BY_KEY, [300] * 20, secure=True, rebuilt=True)
    assert remains(content + bytes(PAGE)) == []
    (found,) = remains(content + bytes(100) + b"left" + bytes(PAGE - 104))
    assert (found.offset, found.count, found.where) == (100, 4, Where.NO_TREE)
    assert "4 bytes in a page that nothing refers to" in str(found)


# --- what is no database -------------------------------------------------------------------------


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_file_of_nonsense_ends_in_an_answer_or_a_value_error(whole: bytes, data: st.DataObject) -> None:
    """No endless loop and no other error, whatever a damaged file says of itself."""
    content = whole
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, 400) | st.integers(0, len(content) - 1))
        content = changed(content, at, data.draw(st.binary(min_size=1, max_size=4)))[: len(whole)]
    with suppress(ValueError):
        assert isinstance(remains(content), list)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return made(tmp_path_factory.mktemp("whole") / "x.db", BY_NUMBER, [300, 5000] * 12, secure=False)[0]


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", bytes(PAGE), b"SQLite format 3\0" * 256])
def test_what_is_no_database_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="not"):
        remains(content)


def test_a_cut_file_and_one_with_pages_used_twice_are_refused(whole: bytes) -> None:
    with pytest.raises(ValueError, match="whole number"):
        remains(whole[:-1])
    with pytest.raises(ValueError, match="page"):
        remains(whole[:-PAGE])


# --- of an open store ----------------------------------------------------------------------------


def test_a_store_looks_at_its_own_file_and_keeps_its_locks(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    store = Database(path, BY_KEY, "The store (x.db)")
    with store.transaction() as run:
        run.executemany("INSERT INTO things VALUES (?, ?)", [(bytes([n]), bytes([n]) * 300) for n in range(40)])
    for _ in range(2):
        assert store.remains() == []
    # Another program that reads the file and ends would take the WAL away, had looking dropped our lock.
    said = subprocess.run([sys.executable, "-c", READER, str(path)], capture_output=True, check=True)
    assert said.stdout == b"(40,)\n"
    assert path.with_name("x.db-wal").exists()
    store.rows("PRAGMA secure_delete = OFF")
    with store.transaction() as run:
        run.execute("DELETE FROM things WHERE name > x'05'")
    assert sum(remain.count for remain in store.remains()) > 300 * 30
    store.rebuild()
    store.close()


def test_a_file_that_cannot_be_followed_is_a_damaged_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Database(tmp_path / "x.db", BY_KEY, "The store (x.db)")
    monkeypatch.setattr("gatevault.vault.db.remains", lambda _: remains(b""))
    with pytest.raises(StoreCorruptError, match="page by page"):
        store.remains()
    store.close()
