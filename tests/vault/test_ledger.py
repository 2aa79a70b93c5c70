"""The ledger on a real disk: what is appended verifies, opens again, is erased, and is taken from a backup."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gatevault.core import merkle
from gatevault.core.checkpoint import Checkpoint, read_note
from gatevault.core.consent import stamp
from gatevault.core.entries import EntryType, Keep, Moment, keep_of
from gatevault.core.errors import StoreError, StoreFullError
from gatevault.vault.ledger import PAGE, PAGE_BYTES, Ledger
from gatevault.vault.notes import is_signed
from tests.core.samples import JSON
from tests.vault.ledgers import LENGTH, RAM, TIME, erase, fill, made_up, open_ledger, problems
from tests.vault.samples import HOUSE, at, change, look, raw

ORIGIN = "gatevault.local/gv-0011223344556677"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    ledger = open_ledger(path)
    yield ledger
    ledger.close()


# --- what is appended ----------------------------------------------------------------------------


KINDS = [kind for kind in EntryType if kind is not EntryType.PAYLOADS_ERASED]


class LedgerMachine(RuleBasedStateMachine):
    """A ledger on disk beside a list."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "ledger.db"
        self.ledger = open_ledger(self.path)
        self.written: list[tuple[EntryType, dict[str, Any] | None]] = []
        self.ops: dict[str, int] = {}
        self.faces: dict[str, int] = {}
        self.mono, self.day = 0, 1
        self.early: list[tuple[str, int]] = []

    def now(self) -> Moment:
        return Moment("boot-1", self.mono, f"2026-03-{self.day:02}")

    @rule(kind=st.sampled_from(KINDS), payload=st.dictionaries(st.text(max_size=3), JSON, max_size=3))
    def append(self, kind: EntryType, payload: dict[str, Any]) -> None:
        assert self.ledger.append(self.now(), kind, payload) == len(self.written)
        self.written.append((kind, payload))

    @rule(op=st.sampled_from("abc"), turn=st.integers(0, 9))
    def append_an_operation(self, op: str, turn: int) -> None:
        index = self.ledger.append(self.now(), EntryType.PURGED, {"turn": turn}, op)
        if op not in self.ops:
            self.ops[op] = len(self.written)
            self.written.append((EntryType.PURGED, {"turn": turn}))
        assert index == self.ops[op]

    @rule(ms=st.integers(0, 1_000))
    def time_passes(self, ms: int) -> None:
        self.mono += ms

    @rule()
    def a_day_ends(self) -> None:
        """And what was entered before it in the gate's class is erased."""
        self.day += 1
        before = f"2026-03-{self.day:02}"
        past = self.ledger.past(Keep.GATE, before, 1000)
        held = [keep_of(kind) is Keep.GATE and payload is not None for kind, payload in self.written]
        assert past == [i for i, gate in enumerate(held) if gate]
        if past:
            told = {"class": "gate", "before": before, "count": len(past), "templates": self.ledger.templates()}
            self.ledger.append(self.now(), EntryType.PAYLOADS_ERASED, told, erase=past)
            self.written = [(kind, None if i in past else held) for i, (kind, held) in enumerate(self.written)]
            self.written.append((EntryType.PAYLOADS_ERASED, told))

    @rule(day=st.sampled_from(["2026-03-01", "2026-03-02"]))
    def nobody_matched(self, day: str) -> None:
        self.ledger.count_unmatched(day)
        self.faces[day] = self.faces.get(day, 0) + 1

    @rule()
    def keep_an_anchor(self) -> None:
        self.early.append((self.ledger.note, len(self.written)))

    @rule()
    def reopen(self) -> None:
        kept = self.ledger.note, self.ledger.root
        self.ledger.close()
        self.ledger = open_ledger(self.path)
        assert (self.ledger.note, self.ledger.root) == kept

    @invariant()
    def it_verifies_and_tells_what_was_written(self) -> None:
        assert problems(self.ledger) == []
        assert self.ledger.size == self.ledger.count() == len(self.written)
        entries = self.ledger.entries(0, 1000)
        assert [(header.type, payload) for header, payload in entries] == self.written
        assert [header.i for header, _ in entries] == list(range(len(entries)))
        assert self.ledger.unmatched() == self.faces
        for note, size in self.early[-2:]:
            assert problems(self.ledger, read_note(note)) == []
            assert read_note(note).checkpoint.size == size

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()


LedgerMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
TestLedger = LedgerMachine.TestCase


def test_an_empty_ledger_verifies(ledger: Ledger) -> None:
    assert problems(ledger) == []
    assert (ledger.size, ledger.root) == (0, merkle.EMPTY_ROOT.hex())
    assert (ledger.entries(0), ledger.latest(), ledger.last(), ledger.unmatched()) == ([], None, None, {})


def test_the_checkpoint_is_of_all_entries_and_signed(path: Path, ledger: Ledger) -> None:
    for size in range(1, LENGTH + 1):
        fill(ledger, 1)
        leaves = [header.leaf() for header, _ in ledger.entries(0)]
        assert ledger.root == merkle.root(leaves).hex()
        note = read_note(ledger.note)
        assert note.checkpoint == Checkpoint(ORIGIN, size, merkle.root(leaves))
        assert is_signed(note, ledger.key)
        assert look(path, "SELECT one, note FROM head") == [(1, ledger.note)]
    HOUSE.ledger.verify_key.verify(note.checkpoint.text().encode(), note.by(ledger.key)[0])


def test_an_entry_holds_when_it_was_made_and_commits_to_its_payload(ledger: Ledger) -> None:
    ledger.append(at(7, "boot-9"), EntryType.FAULT, {"time": TIME.format(1)})
    ((header, payload),) = ledger.entries(0)
    assert (header.i, header.boot, header.mono_ms, header.day) == (0, "boot-9", 7, "2026-03-01")
    assert payload == {"time": TIME.format(1)}
    assert "salt" not in payload


def test_the_same_payload_twice_commits_twice_otherwise(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.append(at(), EntryType.FAULT, {"part": "relay"})
    (one, _), (other, _) = ledger.entries(0)
    assert one.c != other.c


def test_pages_follow_one_another(ledger: Ledger) -> None:
    fill(ledger, PAGE + 3)
    assert [header.i for header, _ in ledger.entries(0)] == list(range(PAGE))
    assert [header.i for header, _ in ledger.entries(PAGE)] == [PAGE, PAGE + 1, PAGE + 2]
    assert ledger.entries(PAGE + 3) == ledger.entries(10**15) == []
    assert problems(ledger) == []


def test_a_page_ends_early_where_payloads_are_large(ledger: Ledger) -> None:
    for _ in range(4):
        ledger.append(at(), EntryType.FAULT, {"text": "x" * (PAGE_BYTES // 2 + 1)})
    assert [len(ledger.page(start)) for start in range(4)] == [2, 2, 2, 1]
    assert problems(ledger) == []


def test_the_latest_time_is_of_the_last_entry_with_its_payload(path: Path, ledger: Ledger) -> None:
    fill(ledger, 5)
    last = ledger.last()
    assert last is not None and (last[0].i, last[1].second) == (4, 4)
    erase(ledger, 4, 3)
    latest = ledger.latest()
    assert latest is not None and stamp(latest) == "2026-03-02T00:00:00Z", "the erasure's own"
    ledger.close()
    for gone, second in ((), 0), ((5,), 2), ((0, 1, 2), None):
        for i in gone:
            change(path, "UPDATE entries SET payload = NULL, op = NULL WHERE i = ?", i)
        ledger = open_ledger(path)
        latest, last = ledger.latest(), ledger.last()
        assert (latest.second if latest else None) == second
        assert (last is None) is (gone != ())
        ledger.close()


# --- what is on the disk, and what a disk does ---------------------------------------------------


def test_payloads_are_sealed_and_headers_tell_only_the_day(path: Path, ledger: Ledger) -> None:
    reason = "reason-that-nobody-else-writes"
    ledger.append(at(), EntryType.DECISION, {"time": TIME.format(33), "reason": reason, "subject": "ab" * 16})
    ledger.count_unmatched("2026-03-01")
    for held in (raw(path), (ledger.close(), path.read_bytes())[1]):
        for plain in (reason, "ab" * 16, TIME.format(33), "07:30"):
            assert plain.encode() not in held
        assert b"2026-03-01" in held
        for key in (HOUSE.journal.reveal(), HOUSE.ledger.reveal()):
            assert key not in held


def test_a_payload_that_has_no_plain_form_is_refused_and_leaves_no_entry(ledger: Ledger) -> None:
    fill(ledger, 2)
    with pytest.raises(ValueError, match="canonical"):
        ledger.append(at(9_000), EntryType.FAULT, {"score": 0.5})
    assert problems(ledger) == []
    assert ledger.size == 2


def test_a_full_disk_leaves_the_ledger_as_it_was_and_it_goes_on_later(ledger: Ledger) -> None:
    fill(ledger, 3)
    note = ledger.note
    (pages,) = ledger._db.rows("PRAGMA page_count")[0]
    ledger._db.rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreFullError):
        ledger.append(at(9_000), EntryType.FAULT, {"text": "x" * 100_000}, "op-x")
    assert (problems(ledger), ledger.size, ledger.note) == ([], 3, note)
    ledger._db.rows("PRAGMA max_page_count = 1000000")
    assert ledger.append(at(9_000), EntryType.FAULT, {"text": "x" * 100_000}, "op-x") == 3
    assert problems(ledger) == []


def test_an_append_that_fails_midway_does_not_exist(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(ledger, 3)
    ledger._db._connection.execute(
        "CREATE TEMP TRIGGER fail BEFORE INSERT ON head BEGIN SELECT RAISE(ABORT, 'pulled plug'); END"
    )
    with pytest.raises(StoreError):
        ledger.append(at(9_000), EntryType.FAULT, {}, "op-x")
    ledger._db._connection.execute("DROP TRIGGER fail")
    assert problems(ledger) == []
    assert ledger.size == 3
    assert ledger.append(at(9_000), EntryType.FAULT, {}, "op-x") == 3


# --- work, counted and not timed -----------------------------------------------------------------


def steps(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int, list[str]]:
    """SQLite's instructions, hashes and statements of one passage: two entries, and what is asked before each."""
    connection: sqlite3.Connection = ledger._db._connection
    machine, hashes, statements = [0], [0], list[str]()

    def tick() -> int:
        machine[0] += 1
        return 0

    def counted(left: bytes, right: bytes, plain: Any = merkle.node_hash) -> bytes:
        hashes[0] += 1
        return bytes(plain(left, right))

    with monkeypatch.context() as patch:
        patch.setattr(merkle, "node_hash", counted)
        connection.set_progress_handler(tick, 1)
        connection.set_trace_callback(statements.append)
        for kind in (EntryType.DECISION, EntryType.OUTCOME):
            ledger.last()
            when = at(10**9 + ledger.size)
            ledger.append(when, kind, {"way": "card"}, f"op-{kind}-{ledger.size}")
        connection.set_progress_handler(None, 1)
        connection.set_trace_callback(None)
    return machine[0], hashes[0], statements


def test_what_a_passage_costs_does_not_depend_on_how_long_the_ledger_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with TemporaryDirectory(dir=RAM) as folder:
        costs = {}
        for size in (16, 16_000):
            path = Path(folder) / f"{size}.db"
            ledger = open_ledger(path)
            entries, edge = made_up(size)
            ledger.adopt(Checkpoint(ORIGIN, size, edge.root()), entries)
            ledger.close()
            ledger = open_ledger(path)
            ledger.last()
            costs[size] = steps(ledger, monkeypatch)
            ledger.close()
    small, large = costs[16], costs[16_000]
    assert len(small[2]) == len(large[2]) <= 12
    assert small[0] == large[0] < 500, "the same walk of SQLite's machine, whatever is in the table"
    assert large[1] <= 2 * 2 * 14, "hashes: the depth of the tree, to append and to sum up"


def test_opening_reads_no_entry_but_those_asked_for() -> None:
    with TemporaryDirectory(dir=RAM) as folder:
        path = Path(folder) / "ledger.db"
        ledger = open_ledger(path)
        entries, edge = made_up(3_000)
        ledger.adopt(Checkpoint(ORIGIN, 3_000, edge.root()), entries)
        ledger.close()
        connection = sqlite3.connect(path)
        connection.execute("UPDATE entries SET header = zeroblob(10), payload = zeroblob(10) WHERE i = 1500")
        connection.commit()
        connection.close()
        ledger = open_ledger(path)
        assert ledger.size == 3_000
        assert len(problems(ledger)) == 2, "an audit finds it: the entry, and the root"
        ledger.close()
