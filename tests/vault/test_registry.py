"""`registry.db` on a real disk: what it tells, what its bytes do not, and rows that were tampered with."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from gatevault.core.consent import ConsentState
from gatevault.core.errors import (
    ConflictError,
    NotFoundError,
    RecordRefusedError,
    StoreCorruptError,
    StoreError,
    WrongKeyError,
)
from gatevault.core.jcs import canonical
from gatevault.vault.record import seal_template
from gatevault.vault.registry import Registry, TodoKind, card_snapshot, open_card_snapshot
from gatevault.vault.templates import Row, TemplateStore
from tests.core.samples import receipt, shows
from tests.vault.samples import (
    CARD,
    DEVICE,
    EPOCH,
    HOUSE,
    MODEL,
    NAME,
    OTHER,
    OTHER_CARD,
    PLACE,
    RECEIPT,
    WHO,
    WRONG_HOUSE,
    captures,
    cells,
    change,
    damaged,
    look,
    person,
    raw,
    set_cell,
    todo,
)

SEALED = ("meta", "residents", "receipts", "cards", "certificates", "todo", "site")
"""Every table, each with a column `sealed`."""
CERTIFICATE = {"id": "op-7", "resident": WHO}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
def registry(path: Path) -> Iterator[Registry]:
    registry = Registry(path, DEVICE, HOUSE)
    registry.set_check()
    yield registry
    registry.close()


@pytest.fixture
def full(registry: Registry) -> Registry:
    """Two residents, each with a card, a receipt, a certificate and work not yet done."""
    for number, (who, card) in enumerate([(WHO, CARD), (OTHER, OTHER_CARD)]):
        registry.add_resident(who, person(f"{NAME} {number}"), todo(f"op-a{number}", resident=who))
        registry.add_card(card, who, todo(f"op-b{number}", resident=who))
        registry.put_receipts([receipt(who, f"c-{number}")], todo(f"op-c{number}", resident=who))
        signed = registry.sign_certificate(CERTIFICATE | {"resident": who})
        registry.put_certificate(f"op-d{number}", who, signed)
    for kind in ("sign", "assessment"):
        registry.put_site(kind, {"text": f"{kind}: a card always opens"}, todo(f"op-{kind}", resident=""))
    for work in registry.todos()[1:]:
        registry.drop_todo(work.op)
    registry.put_todo(todo("op-e", TodoKind.ERASE, OTHER))
    registry.check()
    return registry


def read_all(registry: Registry) -> None:
    """Everything that anybody reads of the two residents."""
    registry.check()
    for who in (WHO, OTHER):
        registry.resident(who)
        registry.receipts(who)
        registry.certificates(who)
    for card in (CARD, OTHER_CARD):
        registry.card_owner(card)
    registry.todos()


# --- what it tells -------------------------------------------------------------------------------


def test_what_was_written_is_there_after_reopening(path: Path, full: Registry) -> None:
    full.close()
    again = Registry(path, DEVICE, HOUSE)
    read_all(again)
    assert again.resident(WHO) == person(f"{NAME} 0")
    assert sorted(again.residents()) == sorted([WHO, OTHER])
    assert again.cards() == {HOUSE.card_hash(CARD): WHO, HOUSE.card_hash(OTHER_CARD): OTHER}
    assert (again.card_owner(CARD), again.receipt(OTHER)) == (WHO, receipt(OTHER, "c-1"))
    again.close()


def test_what_is_not_there_is_not_found(full: Registry) -> None:
    nobody = "r-ffffffffffffffff"
    with pytest.raises(NotFoundError):
        full.resident(nobody)
    with pytest.raises(NotFoundError):
        full.card_owner("42")
    with pytest.raises(NotFoundError):
        full.add_card("42", nobody, todo("op-x"))
    assert (full.receipt(nobody), full.receipts(nobody), full.certificates(nobody)) == (None, [], [])


def test_a_card_has_one_owner(full: Registry) -> None:
    for who in (WHO, OTHER):
        with pytest.raises(ConflictError):
            full.add_card(CARD, who, todo("op-x", resident=who))
    assert full.card_owner(CARD) == WHO
    assert "op-x" not in {work.op for work in full.todos()}
    full.remove_card(CARD, todo("op-y"))
    full.add_card(CARD, OTHER, todo("op-z", resident=OTHER))
    assert full.card_owner(CARD) == OTHER


def test_a_resident_does_not_show() -> None:
    assert "Ouyang" not in f"{person()!r}{person()}{[person()]}"
    assert not shows(repr(person()), bytes.fromhex(person().subject_key))


# --- receipts ------------------------------------------------------------------------------------


def test_a_receipts_signature_holds_for_anybody_with_the_public_key(full: Registry) -> None:
    ((kept, signature),) = full.receipts(WHO)
    assert kept == receipt(WHO, "c-0")
    HOUSE.receipts.verify_key.verify(b"gv/receipt/v1\0" + canonical(kept.body()), bytes.fromhex(signature))


def test_a_newer_state_takes_the_olders_place_and_a_new_receipt_comes_last(full: Registry) -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    ended = receipt(WHO, "c-0").ended(ConsentState.SUPERSEDED, now)
    full.put_receipts([ended, receipt(WHO, "c-new")], todo("op-x"))
    assert [kept for kept, _ in full.receipts(WHO)] == [ended, receipt(WHO, "c-new")]
    latest = full.receipt(WHO)
    assert latest is not None
    assert latest.receipt_id == "c-new"
    full.check()


@pytest.mark.parametrize(
    "forge",
    [
        lambda body: body | {"expires": "2099-01-01T00:00:00Z"},
        lambda body: body | {"pii_principal_id": OTHER},
        lambda body: body | {"events": [*body["events"], {"time": "2026-06-01T00:00:00Z", "state": "given"}]},
        lambda body: body | {"extra": 1},
        lambda body: {key: value for key, value in body.items() if key != "notice"},
        lambda _: None,
    ],
    ids=["expiry", "principal", "event", "unknown field", "missing field", "nothing"],
)
def test_a_receipt_sealed_by_somebody_without_the_signing_key_is_refused(
    path: Path, full: Registry, forge: object
) -> None:
    body = msgspec.to_builtins(receipt(WHO, "c-0"))
    signature = full.receipts(WHO)[0][1]
    forged = full._seal({"receipt": forge(body), "signature": signature}, "receipt", "c-0")  # type: ignore[operator]
    change(path, "UPDATE receipts SET sealed = ? WHERE id = 'c-0'", forged)
    with pytest.raises(RecordRefusedError):
        full.receipts(WHO)
    with pytest.raises(StoreCorruptError):
        full.check()


@pytest.mark.parametrize("signature", ["00" * 64, "", "zz", 7, None])
def test_a_receipt_without_its_signature_is_refused(path: Path, full: Registry, signature: object) -> None:
    body = msgspec.to_builtins(receipt(WHO, "c-0"))
    forged = full._seal({"receipt": body, "signature": signature}, "receipt", "c-0")
    change(path, "UPDATE receipts SET sealed = ? WHERE id = 'c-0'", forged)
    with pytest.raises(RecordRefusedError, match="signature"):
        full.receipts(WHO)


# --- rows tampered with --------------------------------------------------------------------------


@pytest.mark.parametrize("table", SEALED)
def test_an_altered_row_is_refused_in_every_table(path: Path, full: Registry, table: str) -> None:
    for whole in cells(path, table, "sealed"):
        held = whole
        for bad in damaged(whole):
            set_cell(path, table, "sealed", held, bad)
            held = bad
            with pytest.raises((RecordRefusedError, StoreCorruptError)):
                read_all(full)
        set_cell(path, table, "sealed", held, whole)
    read_all(full)


@pytest.mark.parametrize("table", SEALED[1:])
def test_two_rows_that_changed_places_are_refused(path: Path, full: Registry, table: str) -> None:
    one, other = cells(path, table, "sealed")
    for old, new in ((one, b"between"), (other, one), (b"between", other)):
        set_cell(path, table, "sealed", old, new)
    with pytest.raises(StoreCorruptError):
        full.check()


@pytest.mark.parametrize("table", SEALED)
@pytest.mark.parametrize("source", SEALED)
def test_a_row_of_one_table_is_refused_in_another(path: Path, full: Registry, table: str, source: str) -> None:
    mine, theirs = cells(path, table, "sealed")[0], cells(path, source, "sealed")[-1]
    if mine != theirs:
        set_cell(path, table, "sealed", mine, theirs)
        with pytest.raises((RecordRefusedError, StoreCorruptError)):
            read_all(full)


@pytest.mark.parametrize(
    ("table", "column", "old", "new"),
    [
        ("residents", "id", WHO, "r-00000000000000aa"),
        ("receipts", "id", "c-0", "c-9"),
        ("receipts", "resident", WHO, OTHER),
        ("cards", "card", HOUSE.card_hash(CARD), HOUSE.card_hash("42")),
        ("certificates", "id", "op-d0", "op-d9"),
        ("certificates", "resident", WHO, OTHER),
        ("todo", "op", "op-e", "op-f"),
        ("site", "kind", "sign", "installer"),
    ],
)
def test_a_row_moved_to_another_key_is_refused(
    path: Path, full: Registry, table: str, column: str, old: object, new: object
) -> None:
    set_cell(path, table, column, old, new)
    with pytest.raises(StoreCorruptError):
        full.check()


def test_a_registry_of_an_earlier_release_has_no_record_and_takes_one(path: Path, full: Registry) -> None:
    full.close()
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE site")
    connection.close()
    again = Registry(path, DEVICE, HOUSE)
    again.check()
    assert again.site() == {}
    again.put_site("sign", {"text": "x"}, todo("op-s2", resident=""))
    assert again.site() == {"sign": {"text": "x"}}
    again.drop_site("sign", todo("op-s3", resident=""))
    assert again.site() == {}
    again.put_site("installer", {"public": ""}, todo("op-s4", resident=""))
    again.clear_site()
    assert again.site() == {}, "as a restore leaves it"
    again.close()


def test_a_registry_of_another_device_is_refused(path: Path, full: Registry) -> None:
    full.close()
    elsewhere = Registry(path, "gv-of-another-device", HOUSE)
    with pytest.raises(WrongKeyError):
        elsewhere.check()
    elsewhere.close()


# --- the key that it is under --------------------------------------------------------------------


@pytest.mark.parametrize("residents", ["none", "two"])
def test_another_key_is_told_as_that(path: Path, request: pytest.FixtureRequest, residents: str) -> None:
    request.getfixturevalue("registry" if residents == "none" else "full").close()
    wrong = Registry(path, DEVICE, WRONG_HOUSE)
    with pytest.raises(WrongKeyError, match="house key"):
        wrong.check()
    wrong.close()


def test_an_altered_check_under_the_right_key_is_damage(path: Path, full: Registry) -> None:
    """Else one flipped byte would stop the daemon, where the snapshot of the cards would open the gate."""
    whole = cells(path, "meta", "sealed")[0]
    set_cell(path, "meta", "sealed", whole, whole[:-1])
    with pytest.raises(StoreCorruptError, match="altered"):
        full.check()


def test_a_registry_that_was_emptied_is_damage_and_not_another_key(tmp_path: Path) -> None:
    empty = Registry(tmp_path / "registry.db", DEVICE, HOUSE)
    with pytest.raises(StoreCorruptError, match="emptied"):
        empty.check()
    empty.close()


# --- what its bytes do not tell ------------------------------------------------------------------


def test_no_file_holds_a_name_a_number_or_an_unkeyed_hash_of_one(path: Path, full: Registry) -> None:
    held = raw(path)
    plain = [
        part.encode() for part in (*NAME.split(), "1990-04", "5e" * 8, CARD, OTHER_CARD, "gate-entry", "given")
    ]
    plain += [NAME.encode("utf-16-le"), int(CARD).to_bytes(8, "big")[-5:], int(CARD).to_bytes(8, "little")[:5]]
    for name in ("sha256", "sha1", "md5", "blake2b", "sha512", "blake2s"):
        digest = hashlib.new(name, CARD.encode()).digest()
        plain += [digest[:16], digest.hex()[:32].encode()]
    for piece in plain:
        assert piece not in held
    assert HOUSE.card_hash(CARD) in held, "the keyed hash is what the row is found by"
    for key in (HOUSE.registry, HOUSE.card, HOUSE.link, HOUSE.journal):
        assert key.reveal() not in held


def test_the_two_files_do_not_join(path: Path, full: Registry) -> None:
    vault = path.with_name("vault.db")
    store = TemplateStore(vault)
    for who in (WHO, OTHER):
        record = HOUSE.record_id(who)
        template = seal_template(EPOCH, PLACE, RECEIPT, captures(), 3)
        store.put(Row(record, MODEL, template), owe_rotation=False)
    registry, templates = raw(path), raw(vault)
    for who in (WHO, OTHER):
        record = HOUSE.record_id(who)
        assert record in templates
        for form in (record, record.hex().encode(), record[:6], record.hex()[:10].encode()):
            assert form not in registry
        assert who.encode() in registry
        assert who[2:].encode() not in templates
    receipts = [bytes.fromhex(signature) for _, signature in full.receipts(WHO)]
    assert not any(piece in templates for piece in [*receipts, receipt(WHO, "c-0").binding()])
    assert receipt(WHO, "c-0").binding() not in registry
    store.close()


def test_a_removed_resident_is_in_no_byte_of_any_file(path: Path, full: Registry) -> None:
    query = "SELECT sealed FROM residents WHERE id = ?"
    gone = [row[0] for row in look(path, query, WHO)]
    for table in ("receipts", "certificates"):
        gone += [row[0] for row in look(path, f"SELECT sealed FROM {table} WHERE resident = ?", WHO)]
    card = HOUSE.card_hash(CARD)
    gone += [row[0] for row in look(path, "SELECT sealed FROM cards WHERE card = ?", card)] + [card]
    stays = [row[0] for row in look(path, query, OTHER)]
    for work in full.todos():
        full.drop_todo(work.op)
    assert len(gone) == 5
    full.remove_resident(WHO)
    held = raw(path)
    for row in gone:
        assert row[:32] not in held
        assert row[-32:] not in held
    assert WHO.encode() not in held
    assert all(row in held for row in stays)
    assert (full.residents(), list(full.cards().values())) == ([OTHER], [OTHER])
    full.check()
    full.remove_resident(WHO)  # once more does no harm: a crash repeats it


def test_a_removed_card_is_in_no_byte_of_any_file(path: Path, full: Registry) -> None:
    full.remove_card(CARD, todo("op-x"))
    assert HOUSE.card_hash(CARD) not in raw(path)
    full.remove_card(CARD, todo("op-y"))
    assert list(full.cards().values()) == [OTHER]


# --- operations under way ------------------------------------------------------------------------


def test_work_is_kept_until_it_is_dropped(registry: Registry) -> None:
    work = todo("op-1", TodoKind.ENROL, WHO, bench=True)
    registry.put_todo(work)
    assert registry.todos() == [work]
    for _ in range(2):
        registry.drop_todo("op-1")
        assert registry.todos() == []


def test_a_change_and_the_entry_that_it_owes_are_one(registry: Registry) -> None:
    """The same operation twice: the second is refused, and its change is not made either."""
    registry.add_resident(WHO, person(), todo("op-1"))
    registry.add_card(CARD, WHO, todo("op-2"))
    with pytest.raises(StoreError):
        registry.add_resident(OTHER, person(), todo("op-1", resident=OTHER))
    with pytest.raises(StoreError):
        registry.add_card(OTHER_CARD, WHO, todo("op-1"))
    with pytest.raises(StoreError):
        registry.remove_card(CARD, todo("op-1"))
    with pytest.raises(StoreError):
        registry.put_receipts([receipt(WHO)], todo("op-1"))
    with pytest.raises(StoreError):
        registry.put_todo(todo("op-1", TodoKind.REMOVE))
    assert (registry.residents(), list(registry.cards().values()), registry.receipt(WHO)) == ([WHO], [WHO], None)
    assert {work.op: work.kind for work in registry.todos()} == {"op-1": TodoKind.NOTE, "op-2": TodoKind.NOTE}


def test_the_same_resident_twice_is_refused_and_owes_nothing(registry: Registry) -> None:
    registry.add_resident(WHO, person("first"), todo("op-1"))
    with pytest.raises(StoreError):
        registry.add_resident(WHO, person("second"), todo("op-2"))
    assert registry.resident(WHO).name == "first"
    assert [work.op for work in registry.todos()] == ["op-1"]


def test_the_same_certificate_again_changes_nothing(registry: Registry) -> None:
    signed = registry.sign_certificate(CERTIFICATE)
    for content in (signed, registry.sign_certificate(CERTIFICATE | {"id": "another"})):
        registry.put_certificate("op-7", WHO, content)
    assert registry.certificates(WHO) == [signed]
    HOUSE.receipts.verify_key.verify(
        b"gv/certificate/v1\0" + canonical(signed["certificate"]), bytes.fromhex(signed["signature"])
    )


# --- the cards' snapshot -------------------------------------------------------------------------

CARDS = {HOUSE.card_hash(CARD): WHO, HOUSE.card_hash(OTHER_CARD): OTHER}


@pytest.mark.parametrize("cards", [{}, CARDS])
def test_a_snapshot_comes_back_and_tells_nothing(cards: dict[bytes, str]) -> None:
    box = card_snapshot(HOUSE, DEVICE, cards.items())
    assert open_card_snapshot(HOUSE, DEVICE, box) == cards
    for card, owner in cards.items():
        assert card not in box
        assert owner.encode() not in box


def test_a_snapshot_that_is_altered_or_anothers_is_refused() -> None:
    box = card_snapshot(HOUSE, DEVICE, CARDS.items())
    for bad in damaged(box)[:9]:
        with pytest.raises(RecordRefusedError):
            open_card_snapshot(HOUSE, DEVICE, bad)  # type: ignore[arg-type]
    with pytest.raises(RecordRefusedError):
        open_card_snapshot(WRONG_HOUSE, DEVICE, box)
    with pytest.raises(RecordRefusedError):
        open_card_snapshot(HOUSE, "gv-of-another-device", box)
