"""`vault check`: a whole state is well, and each thing that is wrong is told, by name, and hides no other."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gatevault.core.consent import ConsentState, KeyMode, Receipt
from gatevault.core.entries import EntryType
from gatevault.service import inspection
from gatevault.service.inspection import vault_check
from gatevault.service.stores import Stores
from gatevault.vault.db import Database
from gatevault.vault.keys import holder_key
from gatevault.vault.record import Captures
from gatevault.vault.registry import Todo, TodoKind
from gatevault.vault.vault import Vault
from tests.crowd import MODEL, card_of, face_of, fill, house, name_of
from tests.vault.samples import change

COUNT = 12


@pytest.fixture(autouse=True)
def _nothing_was_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    """These people were never entered in the ledger: `tests/service/test_vault_check.py` compares it."""
    monkeypatch.setattr("gatevault.service.inspection._Check._entered", lambda check, told: None)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    """A dozen residents, all enrolled."""
    with house(tmp_path / "state") as stores:
        fill(stores, range(COUNT), captures=2, slots=4)
        for resident in stores.need_registry().residents():
            stores.load_person(resident)
        yield stores


def tamper(stores: Stores, statement: str, *values: object) -> None:
    """Alter `vault.db` as somebody with the disk in hand would, and leave no other trace."""
    change(stores.paths.vault, statement, *values)
    stores.need_vault()._store.rebuild()


def record_of(stores: Stores, who: int) -> bytes:
    return stores.house.record_id(stores.need_registry().residents()[who])


def told(answer: dict[str, Any], store: str = "") -> list[str]:
    assert answer["ok"] is not bool(answer["problems"])
    return [problem["problem"] for problem in answer["problems"] if store in ("", problem["store"])]


def about(answer: dict[str, Any], record: bytes) -> list[str]:
    return [problem["problem"] for problem in answer["problems"] if problem["record"] == record.hex()]


def test_a_whole_state_is_well(stores: Stores) -> None:
    assert vault_check(stores) == {
        "ok": True,
        "records": COUNT,
        "opened": COUNT,
        "holder_key": 0,
        "problems": [],
        "problems_left_out": 0,
    }


def test_it_changes_nothing(stores: Stores) -> None:
    vault_check(stores)
    before = {path.name: path.read_bytes() for path in (stores.paths.vault, stores.paths.registry)}
    vault_check(stores)
    assert {path.name: path.read_bytes() for path in (stores.paths.vault, stores.paths.registry)} == before


def test_no_vector_is_left(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Captures] = []
    real = Vault.open

    def watched(*arguments: Any) -> Captures:
        seen.append(real(*arguments))
        return seen[-1]

    monkeypatch.setattr(Vault, "open", watched)
    vault_check(stores)
    assert len(seen) == COUNT
    assert not any(captures.any() for captures in seen)


# --- records that are not well -------------------------------------------------------------------


def alter(table: str, column: str) -> Callable[[Stores, bytes], None]:
    def work(stores: Stores, record: bytes) -> None:
        box = stores.need_vault()._store._db.rows(f"SELECT {column} FROM {table} WHERE record = ?", record)[0][0]
        assert isinstance(box, bytes)
        new = bytes([box[0] ^ 1]) + box[1:]
        tamper(stores, f"UPDATE {table} SET {column} = ? WHERE record = ?", new, record)

    return work


def halve(table: str) -> Callable[[Stores, bytes], None]:
    return lambda stores, record: tamper(stores, f"DELETE FROM {table} WHERE record = ?", record)


def stale(stores: Stores, record: bytes) -> None:
    """The key that a record had two rotations ago."""
    wrapped = stores.need_vault()._store._db.rows("SELECT wrapped FROM keys WHERE record = ?", record)[0][0]
    stores.need_open_vault().rotate()
    tamper(stores, "UPDATE keys SET wrapped = ? WHERE record = ?", wrapped, record)


def text(stores: Stores, record: bytes) -> None:
    tamper(stores, "UPDATE templates SET sealed = 'text' WHERE record = ?", record)


BAD = {
    "template altered": (alter("templates", "sealed"), "does not open"),
    "key altered": (alter("keys", "wrapped"), "does not open"),
    "another network": (alter("templates", "model"), "does not open"),
    "no key": (halve("keys"), "Half a record"),
    "no template": (halve("templates"), "Half a record"),
    "an older epoch": (stale, "does not open"),
    "of another kind": (text, "does not open"),
}


@pytest.mark.parametrize(("wrong", "said"), BAD.values(), ids=BAD)
def test_one_bad_record_is_told_and_the_rest_is_opened(
    stores: Stores, wrong: Callable[[Stores, bytes], None], said: str
) -> None:
    record = record_of(stores, 3)
    wrong(stores, record)
    answer = vault_check(stores)
    (problem,) = [problem for problem in answer["problems"] if problem["record"]]
    assert problem["record"] == record.hex()
    assert problem["resident"] == stores.need_registry().residents()[3]
    assert said in problem["problem"]
    assert (answer["records"], answer["opened"]) == (COUNT, COUNT - 1)


def test_two_records_exchanged_are_two_problems(stores: Stores) -> None:
    one, other = record_of(stores, 3), record_of(stores, 5)
    for old, new in ((one, b"x" * 16), (other, one), (b"x" * 16, other)):
        tamper(stores, "UPDATE templates SET record = ? WHERE record = ?", new, old)
    answer = vault_check(stores)
    assert about(answer, one)
    assert about(answer, other)
    assert answer["opened"] == COUNT - 2


def test_an_orphan_is_told(stores: Stores) -> None:
    resident = stores.need_registry().residents()[0]
    stores.need_registry().remove_resident(resident)
    answer = vault_check(stores)
    (problem,) = answer["problems"]
    assert "orphan" in problem["problem"]
    assert (problem["record"], problem["resident"]) == (stores.house.record_id(resident).hex(), None)
    assert answer["opened"] == COUNT - 1


def test_rows_of_nobodys_kind_are_told(stores: Stores) -> None:
    tamper(stores, "INSERT INTO keys VALUES ('text', x'00')")
    assert "1 rows are no records of ours" in told(vault_check(stores), "vault.db")[0]


# --- consents ------------------------------------------------------------------------------------


def receipt_of(stores: Stores, who: int) -> Receipt:
    found = stores.need_registry().receipt(stores.need_registry().residents()[who])
    assert found is not None
    return found


def give(stores: Stores, *receipts: Receipt) -> None:
    todo = Todo("0" * 32, TodoKind.NOTE, receipts[0].pii_principal_id, EntryType.CONSENT_GIVEN, {}, {})
    stores.need_registry().put_receipts(receipts, todo)
    stores.need_registry().drop_todo(todo.op)


NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize("state", [ConsentState.WITHDRAWN, ConsentState.EXPIRED])
def test_a_template_whose_consent_has_ended_is_told(stores: Stores, state: ConsentState) -> None:
    give(stores, receipt_of(stores, 2).ended(state, NOW))
    answer = vault_check(stores)
    assert about(answer, record_of(stores, 2)) == ["A template without a consent that could carry it."]
    assert answer["opened"] == COUNT


def test_a_template_under_a_renewed_consent_is_well(stores: Stores) -> None:
    old = receipt_of(stores, 2)
    new = msgspec.structs.replace(old, receipt_id="c-new", supersedes=old.receipt_id)
    give(stores, old.ended(ConsentState.SUPERSEDED, NOW), new)
    assert vault_check(stores)["ok"]


def test_a_template_under_a_consent_that_no_other_renewed_is_told(stores: Stores) -> None:
    old = receipt_of(stores, 2)
    give(stores, old.ended(ConsentState.WITHDRAWN, NOW), msgspec.structs.replace(old, receipt_id="c-new"))
    answer = vault_check(stores)
    assert about(answer, record_of(stores, 2)) == ["It is sealed under a consent that has ended."]


def enrol(stores: Stores, who: int, receipt: Receipt, card: str | None) -> bytes:
    vault, record = stores.need_open_vault(), record_of(stores, who)
    key = None if card is None else holder_key(card, record)
    vault.put(vault.seal(vault.place(record, MODEL), receipt.binding(), face_of(who), 4, key))
    return record


CARD = "00112233445566778899AABBCCDDEEFF"


def test_a_holders_record_is_counted_and_its_outer_box_opened(stores: Stores) -> None:
    old = receipt_of(stores, 2)
    new = msgspec.structs.replace(old, receipt_id="c-new", supersedes=old.receipt_id, mode=KeyMode.HOLDER)
    give(stores, old.ended(ConsentState.SUPERSEDED, NOW), new)
    record = enrol(stores, 2, new, CARD)
    answer = vault_check(stores)
    assert (answer["ok"], answer["opened"], answer["holder_key"]) == (True, COUNT - 1, 1)
    alter("keys", "wrapped")(stores, record)
    answer = vault_check(stores)
    assert answer["holder_key"] == 0
    assert "does not open" in about(answer, record)[0]


def test_a_mode_that_the_consent_does_not_ask_for_is_told(stores: Stores) -> None:
    held = enrol(stores, 2, receipt_of(stores, 2), CARD)
    old = receipt_of(stores, 4)
    holder = msgspec.structs.replace(old, receipt_id="c-new", supersedes=old.receipt_id, mode=KeyMode.HOLDER)
    give(stores, old.ended(ConsentState.SUPERSEDED, NOW), holder)
    open_to_all = enrol(stores, 4, holder, None)
    answer = vault_check(stores)
    assert about(answer, held) == ["It opens with a card, its consent is for another kind."]
    assert about(answer, open_to_all) == ["The consent asks for a card's key, and it opens without."]


# --- the rest ------------------------------------------------------------------------------------


def test_a_locked_vault_is_told_and_the_rest_is_looked_at(stores: Stores) -> None:
    halve("keys")(stores, record_of(stores, 3))
    stores.shut("Somebody locked the vault.")
    stores.need_vault().lock()
    answer = vault_check(stores)
    locked, half = told(answer, "vault.db")
    assert locked == "locked: records were not opened. Somebody locked the vault."
    assert half.startswith("Half a record")
    assert (answer["records"], answer["opened"]) == (COUNT, 0)


def test_what_is_owed_is_told(stores: Stores) -> None:
    resident = stores.need_registry().residents()[3]
    give(stores, receipt_of(stores, 3).ended(ConsentState.WITHDRAWN, NOW))
    todo = Todo("1" * 32, TodoKind.ERASE, resident, EntryType.CONSENT_WITHDRAWN, {}, {})
    stores.need_registry().put_todo(todo)
    stores.need_vault().lock()
    stores.need_vault().erase(record_of(stores, 5))
    stores.unlock()
    answer = vault_check(stores)
    (owed,) = told(answer, "registry.db")
    assert "(erase) is owed" in owed
    assert told(answer, "vault.db") == ["A rotation of the keys is owed: older copies of vault.db may still open."]
    stores.need_vault().settle()
    stores.need_registry().drop_todo(todo.op)
    assert told(vault_check(stores)) == ["A template without a consent that could carry it."]


def test_an_altered_registry_is_told_and_the_vault_is_looked_at(stores: Stores) -> None:
    change(stores.paths.registry, "UPDATE cards SET sealed = zeroblob(60)")
    answer = vault_check(stores)
    assert "registry" in told(answer, "registry.db")[0]
    assert answer["opened"] == COUNT


def test_a_store_that_is_not_there_is_told(stores: Stores) -> None:
    stores.need_registry().close()
    stores.registry = None
    answer = vault_check(stores)
    assert told(answer, "registry.db")
    assert not any("orphan" in problem for problem in told(answer)), "who knows whose they are"
    assert answer["records"] == COUNT
    assert stores.vault is not None
    stores.vault.close()
    stores.vault = None
    assert told(vault_check(stores), "vault.db")


def remain_in(stores: Stores, name: str) -> None:
    """Rows deleted as a program that does not overwrite deletes them."""
    part: Any = {
        "vault.db": stores.need_vault()._store,
        "registry.db": stores.registry,
        "ledger.db": stores.ledger,
    }[name]
    database: Database = part._db
    database.rows("PRAGMA secure_delete = OFF")
    with database.transaction() as run:
        run.execute("CREATE TABLE more (name INTEGER PRIMARY KEY, value BLOB)")
        run.executemany("INSERT INTO more (value) VALUES (?)", [(bytes([n]) * 3000,) for n in range(30)])
    with database.transaction() as run:
        run.execute("DELETE FROM more")
    database.rows("PRAGMA secure_delete = ON")


@pytest.mark.parametrize("name", ["vault.db", "registry.db", "ledger.db"])
def test_remains_of_deleted_rows_are_told(stores: Stores, name: str) -> None:
    remain_in(stores, name)
    answer = vault_check(stores)
    assert any("bytes of deleted rows remain" in problem for problem in told(answer, name))
    assert answer["opened"] == COUNT


def test_a_write_ahead_log_that_was_not_emptied_is_told_once(stores: Stores) -> None:
    with stores.need_vault()._store._db.transaction() as run:
        run.execute("INSERT INTO meta VALUES ('other', x'00')")
    assert "vault.db-wal held" in told(vault_check(stores), "vault.db")[0]
    assert vault_check(stores)["ok"]


def test_another_program_that_holds_the_file_is_told(stores: Stores) -> None:
    stores.need_vault()._store._db.rows("PRAGMA busy_timeout = 10")
    with closing(sqlite3.connect(stores.paths.vault, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM keys").fetchall()
        with stores.need_vault()._store._db.transaction() as run:
            run.execute("INSERT INTO meta VALUES ('other', x'00')")
        answer = vault_check(stores)
        assert any("held open by another program" in problem for problem in told(answer, "vault.db"))
        assert answer["opened"] == COUNT


def test_more_problems_than_a_frame_holds_are_counted(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "MOST_PROBLEMS", 5)
    tamper(stores, "UPDATE keys SET wrapped = zeroblob(113)")
    answer = vault_check(stores)
    assert (len(answer["problems"]), answer["problems_left_out"], answer["ok"]) == (5, COUNT - 5, False)


def test_problems_name_no_person_card_or_box(stores: Stores) -> None:
    tamper(stores, "UPDATE keys SET wrapped = zeroblob(113)")
    tamper(stores, "DELETE FROM templates WHERE record = ?", record_of(stores, 3))
    shown = str(vault_check(stores))
    rows = list(stores.need_vault().rows())
    assert len(rows) == COUNT - 1
    assert not any(row.template.sealed.hex()[:16] in shown for row in rows)
    assert not any(name_of(number) in shown or card_of(number) in shown for number in range(COUNT))
