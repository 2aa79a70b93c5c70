"""The ledger on a real disk: what is appended verifies, and whatever else is done to it does not."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from nacl.signing import SigningKey

from gatevault.core.chain import EntryHeader, EntryType, commitment, genesis, head_statement, link
from gatevault.core.errors import LedgerBrokenError, StateError, StoreError, StoreFullError
from gatevault.core.jcs import canonical
from gatevault.service.state import FORMAT, Device, check_bench_flag
from gatevault.vault.ledger import PAGE, Ledger
from gatevault.vault.sealing import associated, seal
from tests.core.samples import JSON
from tests.vault.samples import DEVICE, HOUSE, WRONG_HOUSE, at, change, look, raw

TIME = "2026-03-01T07:30:{:02}Z"
LENGTH = 12
RAM = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112
"""Where thousands of copies are tampered with: what is written there is not synced to a disk."""


def open_ledger(path: Path) -> Ledger:
    return Ledger(path, DEVICE, HOUSE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    ledger = open_ledger(path)
    yield ledger
    ledger.close()


def fill(ledger: Ledger, count: int = LENGTH) -> None:
    for _ in range(count):
        i = ledger.size
        ledger.append(at(i), EntryType.DECISION, {"time": TIME.format(i % 60), "turn": i}, f"op-{i}")


def broken(path: Path) -> bool:
    """Whether opening or verifying finds the ledger broken."""
    try:
        ledger = open_ledger(path)
    except LedgerBrokenError:
        return True
    try:
        ledger.verify()
    except LedgerBrokenError:
        return True
    finally:
        ledger.close()
    return False


# --- what is appended ----------------------------------------------------------------------------


class LedgerMachine(RuleBasedStateMachine):
    """A ledger on disk beside a list."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "ledger.db"
        self.ledger = open_ledger(self.path)
        self.written: list[tuple[EntryType, dict[str, Any]]] = []
        self.ops: dict[str, int] = {}
        self.faces: dict[str, int] = {}
        self.mono = 0

    @rule(kind=st.sampled_from(EntryType), payload=st.dictionaries(st.text(max_size=5), JSON, max_size=3))
    def append(self, kind: EntryType, payload: dict[str, Any]) -> None:
        assert self.ledger.append(at(self.mono), kind, payload) == len(self.written)
        self.written.append((kind, payload))

    @rule(op=st.sampled_from("abc"), turn=st.integers(0, 9))
    def append_an_operation(self, op: str, turn: int) -> None:
        index = self.ledger.append(at(self.mono), EntryType.PURGED, {"turn": turn}, op)
        if op not in self.ops:
            self.ops[op] = len(self.written)
            self.written.append((EntryType.PURGED, {"turn": turn}))
        assert index == self.ops[op]

    @rule(ms=st.integers(0, 1_000))
    def time_passes(self, ms: int) -> None:
        self.mono += ms

    @rule(day=st.sampled_from(["2026-03-01", "2026-03-02"]))
    def nobody_matched(self, day: str) -> None:
        self.ledger.count_unmatched(day)
        self.faces[day] = self.faces.get(day, 0) + 1

    @rule()
    def reopen(self) -> None:
        head = self.ledger.head
        self.ledger.close()
        self.ledger = open_ledger(self.path)
        assert self.ledger.head == head

    @invariant()
    def it_verifies_and_tells_what_was_written(self) -> None:
        assert self.ledger.verify() == self.ledger.size == len(self.written)
        entries = self.ledger.entries(0, 1000)
        assert [(header.type, payload) for header, payload in entries] == self.written
        assert [header.i for header, _ in entries] == list(range(len(entries)))
        assert self.ledger.unmatched() == self.faces

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()


LedgerMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
TestLedger = LedgerMachine.TestCase


def test_an_empty_ledger_verifies_and_its_head_is_the_devices_own(ledger: Ledger) -> None:
    assert ledger.verify() == 0
    assert ledger.head == genesis(DEVICE).hex()
    assert (ledger.entries(0), ledger.latest(), ledger.unmatched()) == ([], None, {})


def test_the_head_is_the_chains_and_signed(path: Path, ledger: Ledger) -> None:
    fill(ledger)
    head = genesis(DEVICE)
    for header, _ in ledger.entries(0):
        head = link(head, header)
    assert ledger.head == head.hex()
    ((size, stored, signature),) = look(path, "SELECT size, head, signature FROM head")
    assert (size, stored) == (LENGTH, head)
    HOUSE.ledger.verify_key.verify(head_statement(DEVICE, LENGTH, head), signature)


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
    assert ledger.verify() == PAGE + 3


def test_the_latest_time_is_of_the_last_entry_with_its_payload(path: Path, ledger: Ledger) -> None:
    fill(ledger, 5)
    latest = ledger.latest()
    assert latest is not None
    assert latest.second == 4
    change(path, "UPDATE entries SET payload = NULL WHERE i = 4")
    latest = ledger.latest()
    assert latest is not None
    assert latest.second == 3
    assert ledger.verify() == 5, "an erased payload does not break the links"
    assert ledger.entries(4)[0][1] is None


def test_payloads_are_sealed_and_headers_tell_only_the_day(path: Path, ledger: Ledger) -> None:
    reason = "reason-that-nobody-else-writes"
    ledger.append(at(), EntryType.DECISION, {"time": TIME.format(33), "reason": reason, "subject": "ab" * 16})
    for held in (raw(path), (ledger.close(), path.read_bytes())[1]):
        for plain in (reason, "ab" * 16, TIME.format(33), "07:30"):
            assert plain.encode() not in held
        assert b"2026-03-01" in held
        for key in (HOUSE.journal.reveal(), bytes(HOUSE.ledger)):
            assert key not in held


def test_a_payload_that_has_no_plain_form_is_refused_and_leaves_no_entry(ledger: Ledger) -> None:
    fill(ledger, 2)
    with pytest.raises(ValueError, match="canonical"):
        ledger.append(at(9), EntryType.FAULT, {"score": 0.5})
    assert ledger.verify() == ledger.size == 2


def test_a_full_disk_leaves_the_ledger_as_it_was_and_it_goes_on_later(ledger: Ledger) -> None:
    fill(ledger, 3)
    head = ledger.head
    (pages,) = ledger._db.rows("PRAGMA page_count")[0]
    ledger._db.rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreFullError):
        ledger.append(at(9), EntryType.FAULT, {"text": "x" * 100_000}, "op-x")
    assert (ledger.verify(), ledger.size, ledger.head) == (3, 3, head)
    ledger._db.rows("PRAGMA max_page_count = 1000000")
    assert ledger.append(at(9), EntryType.FAULT, {"text": "x" * 100_000}, "op-x") == 3
    assert ledger.verify() == 4


def test_an_append_that_fails_midway_does_not_exist(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(ledger, 3)
    ledger._db._connection.execute(
        "CREATE TEMP TRIGGER fail BEFORE INSERT ON head BEGIN SELECT RAISE(ABORT, 'pulled plug'); END"
    )
    with pytest.raises(StoreError):
        ledger.append(at(9), EntryType.FAULT, {}, "op-x")
    ledger._db._connection.execute("DROP TRIGGER fail")
    assert ledger.verify() == ledger.size == 3
    assert ledger.append(at(9), EntryType.FAULT, {}, "op-x") == 3


# --- what is done to it --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a ledger of 12 entries, over two boots."""
    path = tmp_path_factory.mktemp("whole") / "ledger.db"
    ledger = open_ledger(path)
    fill(ledger, 8)
    for turn in range(4):
        ledger.append(at(turn, "boot-2"), EntryType.OUTCOME, {"time": TIME.format(turn)})
    ledger.close()
    return path


@pytest.fixture
def tampered(whole: Path, path: Path) -> Path:
    shutil.copy(whole, path)
    return path


Tamper = Callable[[Path, random.Random], None]


def remove(path: Path, chance: random.Random) -> None:
    change(path, "DELETE FROM entries WHERE i = ?", chance.randrange(LENGTH))


def truncate(path: Path, chance: random.Random) -> None:
    change(path, "DELETE FROM entries WHERE i >= ?", chance.randrange(LENGTH))


def swap(path: Path, chance: random.Random) -> None:
    one, other = chance.sample(range(LENGTH), 2)
    column = chance.choice(["header", "payload", "header, payload"])
    rows = {i: look(path, f"SELECT {column} FROM entries WHERE i = ?", i)[0] for i in (one, other)}
    places = ", ".join(f"{name} = ?" for name in column.split(", "))
    for i, new in ((one, rows[other]), (other, rows[one])):
        change(path, f"UPDATE entries SET {places} WHERE i = ?", *new, i)


def renumber(path: Path, chance: random.Random) -> None:
    """Two rows change their numbers, with all that they hold."""
    one, other = chance.sample(range(LENGTH), 2)
    for old, new in ((one, 1000), (other, one), (1000, other)):
        change(path, "UPDATE entries SET i = ? WHERE i = ?", new, old)


def flip(path: Path, chance: random.Random) -> None:
    """One bit of a header, a payload (its salt and tag too), or of the head and its signature."""
    table, column = chance.choice(
        [("entries", "header"), ("entries", "payload"), ("head", "head"), ("head", "signature")]
    )
    key, i = ("i", chance.randrange(LENGTH)) if table == "entries" else ("one", 1)
    ((value,),) = look(path, f"SELECT {column} FROM {table} WHERE {key} = ?", i)
    changed = bytearray(value)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    change(path, f"UPDATE {table} SET {column} = ? WHERE {key} = ?", bytes(changed), i)


def insert(path: Path, chance: random.Random) -> None:
    """A copy of an entry under another number: after the last, far away, or before the first."""
    place = chance.choice([LENGTH, LENGTH + 5, -1, -(2**63), 2**63 - 1])
    change(
        path,
        "INSERT INTO entries SELECT ?, header, payload, NULL FROM entries WHERE i = ?",
        place,
        chance.randrange(LENGTH),
    )


def resize(path: Path, chance: random.Random) -> None:
    change(
        path, "UPDATE head SET size = ?", chance.choice([0, LENGTH - 1, LENGTH + 1, -1, "x", None, 2**63 - 1]) or 0
    )


def behead(path: Path, chance: random.Random) -> None:
    change(path, "DELETE FROM head")


def retype(path: Path, chance: random.Random) -> None:
    column = chance.choice(["header", "payload"])
    i, value = chance.randrange(LENGTH), chance.choice(["text", 7, b"", 0.5])
    change(path, f"UPDATE entries SET {column} = ? WHERE i = ?", value, i)


def respace(path: Path, chance: random.Random) -> None:
    """The same header, written with a space more."""
    i = chance.randrange(LENGTH)
    ((header,),) = look(path, "SELECT header FROM entries WHERE i = ?", i)
    change(path, "UPDATE entries SET header = ? WHERE i = ?", header.replace(b":", b": "), i)


def rewrite(path: Path, chance: random.Random) -> None:
    """A well-formed header that says something else."""
    i = chance.randrange(LENGTH)
    ((header,),) = look(path, "SELECT header FROM entries WHERE i = ?", i)
    fields = msgspec.json.decode(header)
    name, value = chance.choice(
        [("day", "2026-03-09"), ("boot", "boot-7"), ("type", "fault"), ("mono_ms", 999), ("c", "00" * 32)]
    )
    change(path, "UPDATE entries SET header = ? WHERE i = ?", canonical(fields | {name: value}), i)


TAMPERS: list[Tamper] = [
    remove, truncate, swap, renumber, flip, insert, resize, behead, retype, respace, rewrite,
]  # fmt: skip
each_tamper = pytest.mark.parametrize("tamper", TAMPERS, ids=lambda t: t.__name__)


def test_the_whole_one_verifies(tampered: Path) -> None:
    assert not broken(tampered)


@each_tamper
def test_whatever_is_done_to_it_is_found(whole: Path, tmp_path: Path, tamper: Tamper) -> None:
    for seed in range(8):
        path = tmp_path / str(seed)
        shutil.copy(whole, path)
        tamper(path, random.Random(seed))
        assert broken(path), f"{tamper.__name__} with seed {seed}"


def test_a_broken_ledger_keeps_no_handle_open(tampered: Path) -> None:
    behead(tampered, random.Random(0))
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(LedgerBrokenError, match="no signed head") as caught:
        open_ledger(tampered)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert caught.value.__cause__ is None


@settings(max_examples=40)
@given(
    done=st.lists(st.sampled_from(TAMPERS[:1] + TAMPERS[2:7] + TAMPERS[8:]), min_size=2, max_size=3, unique=True),
    seed=st.integers(0, 2**16),
)
def test_several_things_done_to_it_are_found(whole: Path, done: list[Tamper], seed: int) -> None:
    check_found(whole, done, seed)


@pytest.mark.nightly
@settings(max_examples=100_000)
@given(done=st.lists(st.sampled_from(TAMPERS), min_size=1, max_size=3, unique=True), seed=st.integers(0, 2**32))
def test_a_hundred_thousand_things_done_to_it_are_found(whole: Path, done: list[Tamper], seed: int) -> None:
    check_found(whole, done, seed)


def check_found(whole: Path, done: list[Tamper], seed: int) -> None:
    """Tampering may undo itself (two swaps), or leave nothing at all, which is the utmost rollback."""
    chance = random.Random(seed)
    with TemporaryDirectory(dir=RAM) as folder:
        path = Path(folder) / "ledger.db"
        shutil.copy(whole, path)
        before = content(path)
        for tamper in done:
            try:
                tamper(path, chance)
            except (sqlite3.IntegrityError, ValueError, AttributeError, TypeError, IndexError):
                return  # the row that it would alter is not there any more
        assert broken(path) or content(path) in (before, NOTHING)


NOTHING: list[list[Any]] = [[], []]


def content(path: Path) -> list[Any]:
    return [look(path, "SELECT i, header, payload FROM entries ORDER BY i"), look(path, "SELECT * FROM head")]


def test_an_altered_entry_is_found_when_it_is_read_as_well(tampered: Path) -> None:
    change(tampered, "UPDATE entries SET payload = zeroblob(80) WHERE i = 3")
    ledger = open_ledger(tampered)
    assert len(ledger.entries(0, 3)) == 3
    with pytest.raises(LedgerBrokenError, match="entry 3"):
        ledger.entries(0)
    ledger.close()


def test_time_that_runs_back_within_a_boot_is_found(path: Path, ledger: Ledger) -> None:
    """Even where the device itself wrote and signed it."""
    ledger.append(at(100), EntryType.STARTED, {})
    ledger.append(at(50, "boot-2"), EntryType.STARTED, {})
    assert ledger.verify() == 2
    ledger.append(at(49, "boot-2"), EntryType.STARTED, {})
    with pytest.raises(LedgerBrokenError, match="older"):
        ledger.verify()


def test_another_device_or_key_does_not_open_it(tampered: Path) -> None:
    with pytest.raises(LedgerBrokenError, match="not signed"):
        Ledger(tampered, "gv-of-another-device", HOUSE)
    with pytest.raises(LedgerBrokenError, match="not signed"):
        Ledger(tampered, DEVICE, WRONG_HOUSE)


# --- by somebody who has keys --------------------------------------------------------------------


def sealed_anew(header: EntryHeader, salt: bytes, payload: dict[str, Any]) -> bytes:
    bond = associated("ledger", DEVICE.encode(), header.leaf())
    return seal(HOUSE.journal, salt + canonical(payload), bond)


@pytest.mark.parametrize(("salt", "payload"), [(bytes(16), {"turn": 3}), (bytes(range(16)), {"turn": 4})])
def test_who_holds_the_journal_key_alone_cannot_change_salt_or_payload(
    path: Path, ledger: Ledger, salt: bytes, payload: dict[str, Any]
) -> None:
    fill(ledger, 3)
    header = ledger.entries(1, 1)[0][0]
    change(path, "UPDATE entries SET payload = ? WHERE i = 1", sealed_anew(header, salt, payload))
    with pytest.raises(LedgerBrokenError, match="altered"):
        ledger.verify()
    anew = msgspec.structs.replace(header, c=commitment(salt, payload))
    change(
        path,
        "UPDATE entries SET header = ?, payload = ? WHERE i = 1",
        canonical(msgspec.to_builtins(anew)),
        sealed_anew(anew, salt, payload),
    )
    assert ledger.entries(1, 1)[0][1] == payload, "by itself the forged entry is sound"
    with pytest.raises(LedgerBrokenError, match="do not lead"):
        ledger.verify()


def test_a_chain_signed_by_another_key_is_found(path: Path, ledger: Ledger) -> None:
    fill(ledger, 3)
    ((size, head),) = look(path, "SELECT size, head FROM head")
    signature = SigningKey.generate().sign(head_statement(DEVICE, size, head)).signature
    change(path, "UPDATE head SET signature = ?", signature)
    assert broken(path)


@pytest.mark.parametrize("back", ["head alone", "entries alone", "both"])
def test_a_rollback_to_an_earlier_signed_head_is_seen_only_from_outside(
    path: Path, ledger: Ledger, back: str
) -> None:
    """The limit that `vault.ledger` and `core.chain` tell of: rolled back as a whole, it verifies."""
    fill(ledger, 5)
    earlier, written_down = look(path, "SELECT size, head, signature FROM head")[0], []
    fill(ledger, 3)
    written_down.append(ledger.head)
    ledger.close()
    if back != "entries alone":
        change(path, "UPDATE head SET size = ?, head = ?, signature = ?", *earlier)
    if back != "head alone":
        change(path, "DELETE FROM entries WHERE i >= 5")
    assert broken(path) is (back != "both")
    if back == "both":
        rolled = open_ledger(path)
        assert rolled.verify() == 5
        assert rolled.head not in written_down, "who wrote a later head down sees it"
        rolled.close()


def test_a_ledger_that_was_emptied_is_as_a_new_one_and_misses_its_states_first_entry(tampered: Path) -> None:
    """The utmost rollback: the daemon finds it by the entry that every state begins with."""
    change(tampered, "DELETE FROM entries")
    assert broken(tampered)
    change(tampered, "DELETE FROM head")
    assert content(tampered) == NOTHING
    emptied = open_ledger(tampered)
    assert emptied.verify() == 0
    with pytest.raises((StateError, LedgerBrokenError)):
        check_bench_flag(emptied, Device(FORMAT, DEVICE, False, "file"))
    emptied.close()
