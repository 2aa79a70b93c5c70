"""`vault.db` on a real disk: what it holds, what it does not, and what is left after an erasure."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gatevault.core.errors import RecordRefusedError, StoreCorruptError
from gatevault.vault.record import SealedTemplate, seal_template
from gatevault.vault.templates import Row, TemplateStore
from tests.vault.samples import (
    CARD,
    EPOCH,
    HOUSE,
    MODEL,
    NAME,
    OTHER,
    PLACE,
    RECEIPT,
    WHO,
    captures,
    cells,
    change,
    look,
    raw,
    set_cell,
)

RECORD, THEIRS = HOUSE.record_id(WHO), HOUSE.record_id(OTHER)
CHECK, NEXT_CHECK = b"\xc1" * 40, b"\xc2" * 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault.db"


@pytest.fixture
def store(path: Path) -> Iterator[TemplateStore]:
    store = TemplateStore(path)
    store.begin(CHECK)
    yield store
    store.close()


def row(record: bytes = RECORD, seed: int = 1) -> Row:
    return Row(record, MODEL, seal_template(EPOCH, PLACE, RECEIPT, captures(8, 128, seed), 8))


def put(store: TemplateStore, *rows: Row) -> None:
    for one in rows:
        store.put(one, owe_rotation=False)


def test_some_records_come_back_by_one_query(path: Path, store: TemplateStore) -> None:
    put(store, row(), row(THEIRS, 2))
    change(path, "UPDATE keys SET wrapped = 'text' WHERE record = ?", THEIRS)
    assert store.some([RECORD, THEIRS, bytes(16)]) == {RECORD: store.get(RECORD), THEIRS: None}
    assert store.some([]) == {}


def test_a_record_comes_back_and_after_reopening(path: Path, store: TemplateStore) -> None:
    one = row()
    put(store, one)
    assert store.get(RECORD) == one
    store.close()
    again = TemplateStore(path)
    assert again.get(RECORD) == one
    assert list(again.rows()) == [one]
    assert again.check_box() == CHECK
    again.close()


def test_records_are_told_apart(store: TemplateStore) -> None:
    put(store, row(RECORD), row(THEIRS, 2))
    assert store.records() == {RECORD, THEIRS}
    assert store.has(RECORD)
    assert not store.has(b"\0" * 16)
    assert store.get(b"\0" * 16) is None
    assert store.erase(RECORD)
    assert store.records() == {THEIRS}
    assert not store.erase(RECORD)


def test_a_rotation_is_owed_until_it_is_made(store: TemplateStore) -> None:
    put(store, row())
    assert not store.owed
    assert store.erase(THEIRS) is False
    assert not store.owed, "nothing was erased"
    store.erase(RECORD)
    assert store.owed
    store.rotate(NEXT_CHECK, [])
    assert not store.owed
    store.put(row(), owe_rotation=True)
    assert store.owed


def test_a_rotation_changes_keys_and_check_and_erases_in_one_step(path: Path, store: TemplateStore) -> None:
    one, two = row(), row(THEIRS, 2)
    put(store, one, two)
    store.rotate(NEXT_CHECK, [(RECORD, b"w" * 113)], [THEIRS])
    assert store.get(RECORD) == Row(RECORD, MODEL, SealedTemplate(b"w" * 113, one.template.sealed))
    assert (store.get(THEIRS), store.check_box()) == (None, NEXT_CHECK)
    with pytest.raises(RuntimeError, match="half"):
        store.rotate(CHECK, _failing(), [RECORD])
    assert (store.check_box(), store.records()) == (NEXT_CHECK, {RECORD})
    assert look(path, "SELECT count(*) FROM keys") == [(1,)]


def _failing() -> Iterator[tuple[bytes, bytes]]:
    yield RECORD, b"x" * 113
    raise RuntimeError("half-way")


@pytest.mark.parametrize("way", ["erase", "rotate"])
def test_an_erased_record_is_in_no_byte_of_any_file(path: Path, store: TemplateStore, way: str) -> None:
    gone, stays = row(), row(THEIRS, 2)
    put(store, gone, stays)
    pieces = [gone.template.wrapped, gone.template.wrapped[-48:], RECORD]
    pieces += [gone.template.sealed[at : at + 32] for at in range(0, len(gone.template.sealed), 32)]
    before = raw(path)
    assert gone.template.wrapped in before
    assert RECORD in before
    assert sum(piece in before for piece in pieces) > 0.95 * len(pieces), "some lie across two pages"
    if way == "erase":
        store.erase(RECORD)
    else:
        store.rotate(NEXT_CHECK, [], [RECORD])
    after = raw(path)
    assert not any(piece in after for piece in pieces)
    assert stays.template.wrapped in after
    assert store.get(THEIRS) == stays


def test_a_replaced_record_is_in_no_byte_of_any_file(path: Path, store: TemplateStore) -> None:
    old, new = row(), row(seed=2)
    put(store, old, new)
    assert store.get(RECORD) == new
    assert old.template.wrapped not in raw(path)
    assert old.template.sealed[:64] not in raw(path)
    assert new.template.wrapped in raw(path)


def test_the_file_holds_no_name_number_pseudonym_or_vector(path: Path, store: TemplateStore) -> None:
    put(store, row())
    held = raw(path)
    for plain in (NAME.encode(), CARD.encode(), WHO.encode(), WHO[2:].encode(), bytes.fromhex(WHO[2:])):
        assert plain not in held
    for capture in captures(8, 128):
        assert capture[:3].tobytes() not in held
    for key in (EPOCH.key, HOUSE.link, HOUSE.registry):
        assert key.reveal() not in held
    assert HOUSE.card_hash(CARD) not in held


def test_after_a_rebuild_the_file_does_not_tell_the_order_of_enrolment(path: Path, store: TemplateStore) -> None:
    rows = [row(random.Random(seed).randbytes(16), seed) for seed in range(40)]
    put(store, *rows)
    store.rebuild()
    held = path.read_bytes()
    places = {one.record: held.rindex(one.template.wrapped) for one in rows}
    page = 4096
    within: dict[int, list[bytes]] = {}
    for record in sorted(places, key=places.__getitem__):
        within.setdefault(places[record] // page, []).append(record)
    assert max(len(found) for found in within.values()) > 5
    assert all(found == sorted(found, reverse=True) for found in within.values()), "cells lie as their ids do"
    assert sqlite_value(path, "PRAGMA freelist_count") == 0


def test_a_store_that_was_emptied_is_damaged_and_not_under_another_key(tmp_path: Path) -> None:
    empty = TemplateStore(tmp_path / "vault.db")
    with pytest.raises(StoreCorruptError, match="emptied"):
        empty.check_box()
    empty.close()


@pytest.mark.parametrize(
    ("table", "column"), [("templates", "model"), ("templates", "sealed"), ("keys", "wrapped")]
)
@pytest.mark.parametrize("bad", ["text", 7, 1.5])
def test_a_cell_of_another_kind_refuses_its_own_row_alone(
    path: Path, store: TemplateStore, table: str, column: str, bad: object
) -> None:
    mine, theirs = row(), row(THEIRS, 2)
    put(store, mine, theirs)
    change(path, f"UPDATE {table} SET {column} = ? WHERE record = ?", bad, RECORD)
    with pytest.raises(RecordRefusedError):
        store.get(RECORD)
    assert store.get(THEIRS) == theirs
    assert list(store.rows()) == [theirs]
    assert store.records() == {RECORD, THEIRS}, "it is there, and can be erased"
    store.erase(RECORD)
    assert store.records() == {THEIRS}


def test_text_that_is_no_text_refuses_its_own_row_alone(path: Path, store: TemplateStore) -> None:
    put(store, row(), row(THEIRS, 2))
    change(path, "UPDATE templates SET sealed = CAST(x'ff80' AS TEXT) WHERE record = ?", RECORD)
    with pytest.raises(RecordRefusedError):
        store.get(RECORD)
    assert store.get(THEIRS) is not None


@pytest.mark.parametrize("table", ["templates", "keys"])
def test_half_a_record_is_none_and_can_be_erased(path: Path, store: TemplateStore, table: str) -> None:
    put(store, row())
    change(path, f"DELETE FROM {table} WHERE record = ?", RECORD)
    assert store.get(RECORD) is None
    assert store.has(RECORD)
    assert store.erase(RECORD)
    assert not store.has(RECORD)


def test_a_check_that_is_none_is_damage(path: Path, store: TemplateStore) -> None:
    (whole,) = cells(path, "meta", "value")
    set_cell(path, "meta", "value", whole, "text")
    with pytest.raises(StoreCorruptError):
        store.check_box()


def sqlite_value(path: Path, query: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchone()[0]
