"""What is done to a ledger on the disk: whatever it is, opening it or an audit finds it."""

from __future__ import annotations

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

from gatevault.core.checkpoint import Checkpoint, read_note
from gatevault.core.entries import EntryHeader, EntryType, Moment, commitment
from gatevault.core.errors import LedgerBrokenError, StateError
from gatevault.core.jcs import canonical
from gatevault.core.merkle import EMPTY_ROOT, Frontier
from gatevault.service.state import FORMAT, Device, check_bench_flag
from gatevault.vault.ledger import Ledger
from gatevault.vault.notes import signed_note
from gatevault.vault.sealing import associated, seal
from gatevault.vault.signing import Signer
from tests.vault.ledgers import LENGTH, RAM, TIME, broken, erase, fill, open_ledger, problems
from tests.vault.samples import DEVICE, HOUSE, WRONG_HOUSE, at, change, look

ORIGIN = f"gatevault.local/{DEVICE}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    ledger = open_ledger(path)
    yield ledger
    ledger.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a ledger of 12 entries over three boots, two of them erased, with two days of unmatched faces."""
    path = tmp_path_factory.mktemp("whole") / "ledger.db"
    ledger = open_ledger(path)
    fill(ledger, 8)
    for turn in range(2):
        ledger.append(at(turn, "boot-2"), EntryType.OUTCOME, {"time": TIME.format(turn)})
    erase(ledger, 2, 5)
    ledger.append(Moment("boot-8", 1, "2026-03-02"), EntryType.OUTCOME, {"time": "2026-03-02T00:00:01Z"})
    for day in ("2026-03-01", "2026-03-01", "2026-03-02"):
        ledger.count_unmatched(day)
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


COLUMNS = {"entries": ("header", "payload", "op"), "head": ("note", "frontier"), "unmatched": ("day", "faces")}


def flip(path: Path, chance: random.Random) -> None:
    """One bit of any column of any row; numbers are `renumber`'s."""
    table = chance.choice(list(COLUMNS))
    column = chance.choice(COLUMNS[table])
    found = look(
        path, f"SELECT rowid, {column} FROM {table}" if table != "unmatched" else "SELECT day, * FROM unmatched"
    )
    row = chance.choice([row for row in found if row[1] is not None])
    value = row[1 + ("day", "faces").index(column)] if table == "unmatched" else row[1]
    changed = bytearray(value.encode() if isinstance(value, str) else value)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    new = f"CAST(x'{changed.hex()}' AS TEXT)" if isinstance(value, str) else f"x'{changed.hex()}'"
    key = "day" if table == "unmatched" else "rowid"
    change(path, f"UPDATE {table} SET {column} = {new} WHERE {key} = ?", row[0])


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
    """The checkpoint says another size."""
    ((note,),) = look(path, "SELECT note FROM head")
    size = chance.choice(["0", str(LENGTH - 1), str(LENGTH + 1), "-1", "x", str(2**60)])
    change(path, "UPDATE head SET note = ?", note.replace(f"\n{LENGTH}\n", f"\n{size}\n"))


def erase_unsaid(path: Path, chance: random.Random) -> None:
    """A payload goes, and no entry says so."""
    held = look(path, "SELECT i FROM entries WHERE payload IS NOT NULL")
    change(path, "UPDATE entries SET payload = NULL, op = NULL WHERE i = ?", chance.choice(held)[0])


def relabel(path: Path, chance: random.Random) -> None:
    """An operation's id at another entry, or at one that has none."""
    i = chance.choice(look(path, "SELECT i FROM entries"))[0]
    change(path, "UPDATE entries SET op = ? WHERE i = ?", chance.choice(["", "op-of-another"]), i)


def recount(path: Path, chance: random.Random) -> None:
    """Another day's count, or another number."""
    if chance.random() < 0.5:
        change(path, "UPDATE unmatched SET day = '2027-01-01' WHERE day = '2026-03-01'")
    else:
        change(path, "UPDATE unmatched SET faces = ?", chance.choice([7, "7", b"7", bytes(42)]))


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
    erase_unsaid, relabel, recount,
]  # fmt: skip
each_tamper = pytest.mark.parametrize("tamper", TAMPERS, ids=lambda t: t.__name__)


def test_the_whole_one_verifies(tampered: Path) -> None:
    assert not broken(tampered)


@each_tamper
def test_whatever_is_done_to_it_is_found(whole: Path, tmp_path: Path, tamper: Tamper) -> None:
    for seed in range(8):
        path = tmp_path / str(seed)
        shutil.copy(whole, path)
        before = content(path)
        tamper(path, random.Random(seed))
        assert broken(path) or content(path) == before, f"{tamper.__name__} with seed {seed}"


def test_a_broken_ledger_keeps_no_handle_open(tampered: Path) -> None:
    behead(tampered, random.Random(0))
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(LedgerBrokenError, match="no signed checkpoint") as caught:
        open_ledger(tampered)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert caught.value.__cause__ is None


@settings(max_examples=150, deadline=None)
@given(
    done=st.lists(st.sampled_from(TAMPERS), min_size=1, max_size=3, unique=True),
    seed=st.integers(0, 2**16),
)
def test_several_things_done_to_it_are_found(whole: Path, done: list[Tamper], seed: int) -> None:
    check_found(whole, done, seed)


@pytest.mark.nightly
@settings(max_examples=100_000, deadline=None)
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
                break  # the row that it would alter is not there any more; what went before must be found
        assert broken(path) or content(path) == before or content(path)[:2] == NOTHING


NOTHING: list[list[Any]] = [[], []]


def content(path: Path) -> list[Any]:
    return [look(path, f"SELECT * FROM {table} ORDER BY 1") for table in COLUMNS]


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
    assert problems(ledger) == []
    ledger.append(at(49, "boot-2"), EntryType.STARTED, {})
    assert problems(ledger) == ["it is older than the entry before it"]


def test_another_device_or_key_does_not_open_it(tampered: Path) -> None:
    with pytest.raises(LedgerBrokenError, match="not signed"):
        Ledger(tampered, "gv-of-another-device", HOUSE)
    with pytest.raises(LedgerBrokenError, match="not signed"):
        Ledger(tampered, DEVICE, WRONG_HOUSE)


# --- by somebody who has keys --------------------------------------------------------------------


def sealed_anew(header: EntryHeader, salt: bytes, payload: dict[str, Any]) -> bytes:
    bond = associated("ledger", DEVICE.encode(), header.leaf(), HOUSE.entry_op("op-1").encode())
    return seal(HOUSE.journal, salt + canonical(payload), bond)


@pytest.mark.parametrize(("salt", "payload"), [(bytes(16), {"turn": 3}), (bytes(range(16)), {"turn": 4})])
def test_who_holds_the_journal_key_alone_cannot_change_salt_or_payload(
    path: Path, ledger: Ledger, salt: bytes, payload: dict[str, Any]
) -> None:
    fill(ledger, 3)
    header = ledger.entries(1, 1)[0][0]
    change(path, "UPDATE entries SET payload = ? WHERE i = 1", sealed_anew(header, salt, payload))
    assert any("altered" in found for found in problems(ledger))
    anew = msgspec.structs.replace(header, c=commitment(salt, payload))
    change(
        path,
        "UPDATE entries SET header = ?, payload = ? WHERE i = 1",
        canonical(msgspec.to_builtins(anew)),
        sealed_anew(anew, salt, payload),
    )
    assert ledger.entries(1, 1)[0][1] == payload, "by itself the forged entry is sound"
    assert ["do not lead" in found for found in problems(ledger)] == [True]


@pytest.mark.parametrize("signer", [Signer(bytes(range(32))), WRONG_HOUSE.ledger])
def test_a_checkpoint_signed_by_another_key_is_found(path: Path, ledger: Ledger, signer: Signer) -> None:
    fill(ledger, 3)
    checkpoint = read_note(ledger.note).checkpoint
    change(path, "UPDATE head SET note = ?", signed_note(checkpoint, signer))
    assert any("not signed by this device" in found for found in problems(ledger)), "by the daemon that is running"
    assert broken(path), "and at its next start"


def test_a_frontier_that_is_not_the_roots_is_found_at_once(path: Path, ledger: Ledger) -> None:
    """And one that fits the signed root, while the entries do not, by an audit."""
    fill(ledger, 3)
    edge = Frontier.over([bytes(32)] * 3)
    change(path, "UPDATE head SET frontier = ?", edge.encode())
    with pytest.raises(LedgerBrokenError, match="frontier does not lead"):
        open_ledger(path)
    change(path, "UPDATE head SET note = ?", signed_note(Checkpoint(ORIGIN, 3, edge.root()), HOUSE.ledger))
    signed = open_ledger(path)
    assert any("do not lead" in found for found in problems(signed))
    signed.close()


@pytest.mark.parametrize("back", ["head alone", "entries alone", "both"])
def test_a_rollback_to_an_earlier_checkpoint_is_seen_only_with_an_anchor(
    path: Path, ledger: Ledger, back: str
) -> None:
    """The limit that `vault.ledger` and `core.audit` tell of: rolled back as a whole, it verifies."""
    fill(ledger, 5)
    earlier, first = look(path, "SELECT note, frontier FROM head")[0], read_note(ledger.note)
    fill(ledger, 3)
    anchor = read_note(ledger.note)
    ledger.close()
    if back != "entries alone":
        change(path, "UPDATE head SET note = ?, frontier = ?", *earlier)
    if back != "head alone":
        change(path, "DELETE FROM entries WHERE i >= 5")
    assert broken(path) is (back != "both")
    if back == "both":
        assert not broken(path, first), "an anchor from before what was lost sees nothing either"
        rolled = open_ledger(path)
        (found,) = problems(rolled, anchor)
        assert "put back or cut short" in found
        fill(rolled, 5)
        (found,) = problems(rolled, anchor)
        assert "written anew" in found, "nor does it help to go on from there"
        rolled.close()


def test_a_rollback_beneath_a_running_daemon_is_seen(path: Path, ledger: Ledger) -> None:
    fill(ledger, 5)
    earlier = look(path, "SELECT note, frontier FROM head")[0]
    fill(ledger, 3)
    change(path, "UPDATE head SET note = ?, frontier = ?", *earlier)
    change(path, "DELETE FROM entries WHERE i >= 5")
    found = problems(ledger)
    assert any("not the one that the daemon wrote last" in problem for problem in found)
    assert any("5 entries, and the checkpoint is of 8" in problem for problem in found)


def test_an_anchor_of_another_key_or_device_is_a_finding(ledger: Ledger) -> None:
    fill(ledger, 5)
    checkpoint = read_note(ledger.note).checkpoint
    for note in (
        signed_note(checkpoint, WRONG_HOUSE.ledger),
        signed_note(Checkpoint("gatevault.local/gv-other", checkpoint.size, checkpoint.root), HOUSE.ledger),
        ledger.note.replace("\n5\n", "\n4\n"),
    ):
        (found,) = problems(ledger, read_note(note))
        assert "anchor" in found
    empty = signed_note(Checkpoint(ORIGIN, 0, EMPTY_ROOT), HOUSE.ledger)
    assert problems(ledger, read_note(empty)) == []


def test_a_ledger_that_was_emptied_is_as_a_new_one_and_misses_its_states_first_entry(tampered: Path) -> None:
    """The utmost rollback: the daemon finds it by the entry that every state begins with."""
    change(tampered, "DELETE FROM entries")
    assert broken(tampered)
    change(tampered, "DELETE FROM head")
    emptied = open_ledger(tampered)
    assert problems(emptied) == []
    with pytest.raises((StateError, LedgerBrokenError)):
        check_bench_flag(emptied, Device(FORMAT, DEVICE, False))
    emptied.close()
