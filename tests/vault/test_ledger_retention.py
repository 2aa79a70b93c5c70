"""Payloads that are erased while the rest verifies, and entries that an empty ledger takes from a backup."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gatevault.core.checkpoint import Checkpoint, read_note
from gatevault.core.entries import Entry, EntryType, Keep, Moment, Opening
from gatevault.core.errors import ConflictError, LedgerBrokenError, StoreError
from gatevault.vault.audit import LedgerAudit
from gatevault.vault.ledger import Ledger
from tests.vault.ledgers import LENGTH, erase, fill, open_ledger, problems
from tests.vault.samples import at, look, raw

ORIGIN = "gatevault.local/gv-0011223344556677"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    ledger = open_ledger(path)
    yield ledger
    ledger.close()


# --- erasing -------------------------------------------------------------------------------------


def test_erased_payloads_are_gone_from_the_files_and_all_else_verifies(path: Path, ledger: Ledger) -> None:
    fill(ledger)
    early = read_note(ledger.note)
    sealed = [row[0] for row in look(path, "SELECT payload FROM entries WHERE i IN (2, 3)")]
    assert all(box in raw(path) for box in sealed), "or the search below finds nothing by mistake"
    erase(ledger, 2, 3)
    ledger.tidy()
    assert not any(box in raw(path) or box[:32] in raw(path) or box[-32:] in raw(path) for box in sealed)
    assert look(path, "SELECT i FROM entries WHERE payload IS NULL AND op IS NULL") == [(2,), (3,)]
    assert [payload is None for _, payload in ledger.entries(0)] == [i in (2, 3) for i in range(LENGTH + 1)]
    assert problems(ledger, early) == []
    assert ledger.append(at(99_999), EntryType.DECISION, {}, "op-2") == LENGTH + 1, "its operation is forgotten"


def test_an_erasure_that_fails_erases_nothing(path: Path, ledger: Ledger) -> None:
    fill(ledger, 3)
    with pytest.raises(ValueError, match="canonical"):
        ledger.append(at(9_000), EntryType.PAYLOADS_ERASED, {"count": 0.5}, erase=[0, 1])
    ledger._db._connection.execute(
        "CREATE TEMP TRIGGER fail BEFORE INSERT ON head BEGIN SELECT RAISE(ABORT, 'pulled plug'); END"
    )
    with pytest.raises(StoreError):
        erase(ledger, 0, 1)
    assert look(path, "SELECT count(*) FROM entries WHERE payload IS NULL") == [(0,)]
    assert problems(ledger) == []


def test_what_is_past_its_time(ledger: Ledger) -> None:
    kinds = [EntryType.STATE_MADE, EntryType.DECISION, EntryType.CARD_ADDED, EntryType.SENSOR]
    for day in range(1, 5):
        for kind in kinds:
            ledger.append(Moment("boot-1", ledger.size, f"2026-03-0{day}"), kind, {})
    assert ledger.past(Keep.GATE, "2026-03-03", 100) == [1, 3, 5, 7]
    assert ledger.past(Keep.GATE, "2026-03-03", 3) == [1, 3, 5]
    assert ledger.past(Keep.ADMIN, "2026-03-03", 100) == [2, 6]
    assert ledger.past(Keep.EVER, "2026-03-02", 100) == [0]
    assert ledger.past(Keep.GATE, "2026-03-01", 100) == []
    erase(ledger, 1, 3, when=Moment("boot-2", 0, "2026-03-05"))
    assert ledger.past(Keep.GATE, "2026-03-03", 100) == [5, 7]
    assert ledger.past(Keep.GATE, "2027-01-01", 10**6) == [5, 7, 9, 11, 13, 15]


def test_templates_are_counted_on_from_the_last_erasure(ledger: Ledger) -> None:
    assert ledger.templates() == 0
    for replaces in (False, False, True):
        ledger.append(at(), EntryType.ENROLLED, {"replaces": replaces, '"type":"purged"': True})
    ledger.append(at(), EntryType.PURGED, {"template": False})
    assert ledger.templates() == 2
    erase(ledger, 0, 1, 2, 3)
    assert ledger.templates() == 2, "though no enrolment can be read any more"
    ledger.append(Moment("boot-8", 1, "2026-03-02"), EntryType.CONSENT_WITHDRAWN, {"template": True})
    assert ledger.templates() == audit_ledger_templates(ledger) == 1


def audit_ledger_templates(ledger: Ledger) -> int | None:
    audit = LedgerAudit(ledger)
    while audit.step():
        pass
    return audit.auditor.templates


# --- a ledger from elsewhere ---------------------------------------------------------------------


def of(ledger: Ledger) -> tuple[Checkpoint, list[Entry]]:
    entries = [entry for entry in ledger.page(0) if isinstance(entry, Entry)]
    return read_note(ledger.note).checkpoint, entries


def test_an_empty_ledger_adopts_entries_and_goes_on(tmp_path: Path, ledger: Ledger) -> None:
    fill(ledger)
    erase(ledger, 4, 5)
    checkpoint, entries = of(ledger)
    other = open_ledger(tmp_path / "other.db")
    other.adopt(checkpoint, entries)
    assert (other.root, other.size, other.key) == (ledger.root, ledger.size, ledger.key)
    assert of(other) == (checkpoint, entries)
    assert other.append(Moment("boot-9", 0, "2026-03-02"), EntryType.STARTED, {}) == LENGTH + 1
    assert problems(other, read_note(ledger.note)) == []
    with pytest.raises(ConflictError):
        other.adopt(checkpoint, entries)
    other.close()
    again = open_ledger(tmp_path / "other.db")
    assert problems(again) == []
    again.close()


@pytest.mark.parametrize("how", ["cut", "swapped", "other salt", "other payload", "no form", "other device"])
def test_entries_that_lead_elsewhere_are_not_adopted(tmp_path: Path, ledger: Ledger, how: str) -> None:
    fill(ledger, 5)
    checkpoint, entries = of(ledger)
    header, opening = entries[2].header, entries[2].opening
    assert opening is not None
    if how == "cut":
        entries.pop()
    elif how == "swapped":
        entries[1], entries[2] = entries[2], entries[1]
    elif how == "other salt":
        entries[2] = Entry(header, Opening(bytes(16), opening.payload))
    elif how == "other payload":
        entries[2] = Entry(header, Opening(opening.salt, {"turn": 7}))
    elif how == "no form":
        entries[2] = Entry(msgspec.structs.replace(header, mono_ms=2**60), None)
    else:
        checkpoint = Checkpoint("gatevault.local/gv-other", checkpoint.size, checkpoint.root)
    other = open_ledger(tmp_path / "other.db")
    with pytest.raises(LedgerBrokenError, match="nothing was taken"):
        other.adopt(checkpoint, entries)
    assert (other.size, other.count(), problems(other)) == (0, 0, [])
    other.close()
