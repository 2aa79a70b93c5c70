"""`vault.db` on a real disk: what it holds, what it does not, and what is left after an erasure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gatevault.core.errors import RecordRefusedError, StoreCorruptError, WrongKeyError
from gatevault.vault.sealing import SealedTemplate, open_template, seal_template
from gatevault.vault.templates import TemplateStore
from tests.vault.samples import (
    BOND,
    CARD,
    DEVICE,
    HOUSE,
    NAME,
    OTHER,
    VAULT,
    WHO,
    WRONG_VAULT,
    captures,
    cells,
    change,
    damaged,
    raw,
    set_cell,
)

MODEL = BOND.model
RECORD, THEIRS = HOUSE.record_id(WHO), HOUSE.record_id(OTHER)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault.db"


@pytest.fixture
def store(path: Path) -> Iterator[TemplateStore]:
    store = TemplateStore(path, DEVICE)
    store.set_check(VAULT)
    yield store
    store.close()


def sealed(seed: int = 1) -> SealedTemplate:
    return seal_template(VAULT.wrap, BOND, captures(8, 128, seed))


def test_a_record_comes_back_and_after_reopening(path: Path, store: TemplateStore) -> None:
    record = sealed()
    store.put(RECORD, MODEL, record)
    assert store.get(RECORD) == (MODEL, record)
    store.close()
    again = TemplateStore(path, DEVICE)
    assert again.get(RECORD) == (MODEL, record)
    assert (open_template(VAULT.wrap, BOND, record) == captures(8, 128)).all()
    again.close()


def test_records_are_told_apart(store: TemplateStore) -> None:
    store.put(RECORD, MODEL, sealed(1))
    store.put(THEIRS, MODEL, sealed(2))
    assert sorted(store.records()) == sorted([RECORD, THEIRS])
    assert store.get(b"\0" * 16) is None
    assert store.erase(RECORD)
    assert store.records() == [THEIRS]
    assert not store.erase(RECORD)


def test_an_erased_record_is_in_no_byte_of_any_file(path: Path, store: TemplateStore) -> None:
    record, stays = sealed(1), sealed(2)
    store.put(RECORD, MODEL, record)
    store.put(THEIRS, MODEL, stays)
    pieces = [record.wrapped_key, record.wrapped_key[-48:], RECORD]
    pieces += [record.sealed[i : i + 32] for i in range(0, len(record.sealed), 32)]
    before = raw(path)
    assert record.wrapped_key in before
    assert RECORD in before
    assert sum(piece in before for piece in pieces) > 0.95 * len(pieces), "some lie across two pages"
    store.erase(RECORD)
    after = raw(path)
    assert not any(piece in after for piece in pieces)
    assert stays.wrapped_key in after
    assert store.get(THEIRS) == (MODEL, stays)


def test_a_replaced_record_is_in_no_byte_of_any_file(path: Path, store: TemplateStore) -> None:
    old, new = sealed(1), sealed(2)
    store.put(RECORD, MODEL, old)
    store.put(RECORD, MODEL, new)
    assert store.get(RECORD) == (MODEL, new)
    assert old.wrapped_key not in raw(path)
    assert old.sealed[:64] not in raw(path)
    assert new.wrapped_key in raw(path)


def test_the_file_holds_no_name_number_pseudonym_or_vector(path: Path, store: TemplateStore) -> None:
    template = captures(8, 128)
    store.put(RECORD, MODEL, sealed())
    held = raw(path)
    for plain in (NAME.encode(), CARD.encode(), WHO.encode(), WHO[2:].encode(), bytes.fromhex(WHO[2:])):
        assert plain not in held
    for row in template:
        assert row[:3].tobytes() not in held
    for key in (VAULT.wrap, HOUSE.link, HOUSE.registry):
        assert key.reveal() not in held
    assert HOUSE.card_hash(CARD) not in held


def test_it_knows_its_key_and_its_device(path: Path, store: TemplateStore) -> None:
    store.check(VAULT)
    with pytest.raises(WrongKeyError, match="cards work"):
        store.check(WRONG_VAULT)
    elsewhere = TemplateStore(path, "gv-of-another-device")
    with pytest.raises(WrongKeyError):
        elsewhere.check(VAULT)
    elsewhere.close()


def test_a_store_that_was_emptied_is_damaged_and_not_under_another_key(tmp_path: Path) -> None:
    empty = TemplateStore(tmp_path / "vault.db", DEVICE)
    with pytest.raises(StoreCorruptError, match="emptied"):
        empty.check(VAULT)
    empty.close()


@pytest.mark.parametrize("column", ["model", "wrapped_key", "sealed"])
def test_an_altered_row_does_not_open(path: Path, store: TemplateStore, column: str) -> None:
    store.put(RECORD, MODEL, sealed())
    (whole,) = cells(path, "templates", column)
    held = whole
    for bad in (*damaged(whole), whole[:-1] + b"\xff" * 7):
        set_cell(path, "templates", column, held, bad)
        held = bad
        with pytest.raises(RecordRefusedError):
            opened(store, RECORD)
    set_cell(path, "templates", column, held, whole)
    opened(store, RECORD)


def test_text_that_is_no_text_refuses_its_own_row_alone(path: Path, store: TemplateStore) -> None:
    store.put(RECORD, MODEL, sealed(1))
    store.put(THEIRS, MODEL, sealed(2))
    change(path, "UPDATE templates SET sealed = CAST(x'ff80' AS TEXT) WHERE record = ?", RECORD)
    with pytest.raises(RecordRefusedError):
        store.get(RECORD)
    assert store.get(THEIRS) is not None


def test_a_row_given_to_another_resident_does_not_open(path: Path, store: TemplateStore) -> None:
    store.put(RECORD, MODEL, sealed(1))
    set_cell(path, "templates", "record", RECORD, THEIRS)
    assert store.get(RECORD) is None
    with pytest.raises(RecordRefusedError):
        opened(store, THEIRS)


def test_an_altered_check_is_not_believed(path: Path, store: TemplateStore) -> None:
    (whole,) = cells(path, "meta", "value")
    held = whole
    for bad in damaged(whole):
        set_cell(path, "meta", "value", held, bad)
        held = bad
        with pytest.raises(WrongKeyError):
            store.check(VAULT)


def opened(store: TemplateStore, record: bytes) -> None:
    """Open a row as the daemon does: bound to the record's id and to the model that the row names."""
    found = store.get(record)
    assert found is not None
    model, template = found
    open_template(VAULT.wrap, replace(BOND, record=record, model=model), template)
