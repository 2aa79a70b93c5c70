"""Damaged files, wrong keys, another flag: cards go on where they can, faces do not, and status says why."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gatevault.core import control
from gatevault.core.errors import StoreError
from tests.bench import QUICK, Bench, configure, copied, gatevault
from tests.service.peer import Peer, Script, shows

Seeing = Callable[[Bench, Script], Peer]

PAGE = 4_096
DAMAGED = "is damaged: do not write to this disk; copy the state directory and restore from a backup"


@pytest.fixture(scope="module")
def lived_in(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped state with two enrolled residents: One with card 11, Two with card 22."""
    root = copied(blank, tmp_path_factory.mktemp("lived-in") / "state")
    configure(root, QUICK)
    bench = Bench(root).start(vision=False)
    try:
        for number, name in ((1, "One"), (2, "Two")):
            peer = Peer(root / "run", shows(number))
            bench.see()
            resident = bench.enrolled(name, f"{number}{number}", None)
            for spare in range(60):  # several pages a table
                bench.ask(control.CardAdd(resident, f"7{number}{spare:02}"))
            peer.close()
        assert bench.stop() == 0
    finally:
        bench.close()
    return root


@pytest.fixture
def bench(lived_in: Path, tmp_path: Path) -> Iterator[Bench]:
    """A stopped bench of a copy of that state."""
    bench = Bench(copied(lived_in, tmp_path / "state"))
    yield bench
    bench.close()


def edit(path: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Change a stopped database behind the daemon's back."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(query, values).fetchall()


def overwrite(path: Path, page: int) -> bytes:
    """Garbage over one page; the whole file as it is then."""
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(secrets.token_bytes(PAGE))
    return path.read_bytes()


def pages(path: Path) -> int:
    return path.stat().st_size // PAGE


def opens_for_cards(bench: Bench) -> None:
    for card in ("11", "22"):
        tapped = bench.tap(card)
        assert (tapped["decision"], tapped["relay"]) == ("grant", True)
        assert tapped["latency_ms"] < 2 * 1_000
    assert bench.tap("33")["reason"] == "unknown-card"


def names_the_part(bench: Bench, part: str, words: str) -> None:
    status = bench.status()
    assert status["health"] == "degraded"
    assert status[part]["state"] == "fault"
    assert words in status[part]["reason"], status[part]
    told = bench.cli("doctor")
    assert told.returncode == 1
    assert words in told.stdout


def where(name: str) -> list[int]:
    return {"header": [0], "middle": [1, -1]}[name]


# --- pages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["header", "middle"])
def test_a_damaged_registry_leaves_the_cards_of_its_snapshot(bench: Bench, seeing: Seeing, place: str) -> None:
    path = bench.paths.registry
    for page in where(place):
        as_damaged = overwrite(path, page % pages(path))
    bench.start(vision=False)
    seeing(bench, shows(1))
    opens_for_cards(bench)
    assert bench.tap("7159")["relay"] is True, "the last card added"
    walked = bench.walk_up()
    assert (walked["decision"], walked["relay"]) == ("deny", False)
    names_the_part(bench, "registry", "The registry (registry.db) " + DAMAGED)
    error = bench.refused(control.ResidentAdd("Three"))
    assert isinstance(error, StoreError)
    assert "registry.db" in str(error)
    assert bench.stop() == 0
    assert path.read_bytes() == as_damaged, "what an expert may still save was left as it was"


def test_a_missing_registry_is_not_silently_made_anew(bench: Bench) -> None:
    bench.paths.registry.unlink()
    bench.start(vision=False)
    assert bench.tap("11")["relay"] is True
    assert bench.status()["registry"]["state"] == "fault"


def test_a_damaged_registry_and_no_snapshot_leaves_a_clear_word(bench: Bench) -> None:
    overwrite(bench.paths.registry, 1)
    bench.paths.snapshot.unlink()
    bench.start(vision=False)
    assert bench.tap("11")["reason"] == "unknown-card"
    names_the_part(bench, "cards", "no snapshot of the cards")


def test_an_altered_snapshot_is_not_believed(bench: Bench) -> None:
    overwrite(bench.paths.registry, 1)
    box = bytearray(bench.paths.snapshot.read_bytes())
    box[len(box) // 2] ^= 1
    bench.paths.snapshot.write_bytes(box)
    bench.start(vision=False)
    assert bench.tap("11")["reason"] == "unknown-card"
    names_the_part(bench, "cards", "cannot be used")


@pytest.mark.parametrize("place", ["header", "middle"])
def test_a_damaged_vault_leaves_cards_and_administration(bench: Bench, seeing: Seeing, place: str) -> None:
    path = bench.paths.vault
    for page in where(place):
        as_damaged = overwrite(path, page % pages(path))
    bench.start(vision=False)
    seeing(bench, shows(1))
    opens_for_cards(bench)
    assert bench.walk_up()["reason"] == "fault"
    names_the_part(bench, "vault", "The template store (vault.db) " + DAMAGED)
    assert bench.ask(control.LedgerVerify())["ok"] is True
    assert bench.stop() == 0
    assert path.read_bytes() == as_damaged


@pytest.mark.parametrize("place", ["header", "middle"])
def test_a_damaged_ledger_leaves_cards_and_stops_faces(bench: Bench, seeing: Seeing, place: str) -> None:
    path = bench.paths.ledger
    for page in where(place):
        as_damaged = overwrite(path, page % pages(path))
    bench.start(vision=False)
    peer = seeing(bench, shows(1))
    opens_for_cards(bench)
    assert bench.walk_up()["reason"] == "fault"
    assert not peer.looks, "the camera stays shut"
    names_the_part(bench, "ledger", "The ledger (ledger.db) " + DAMAGED)
    assert bench.status()["ledger"]["missed"] >= 5
    assert isinstance(bench.refused(control.LedgerVerify()), StoreError)
    assert bench.stop() == 0
    assert path.read_bytes() == as_damaged


def test_a_missing_ledger_leaves_cards_and_stops_faces(bench: Bench, seeing: Seeing) -> None:
    for path in bench.root.glob("ledger.db*"):
        path.unlink()
    bench.start(vision=False)
    seeing(bench, shows(1))
    opens_for_cards(bench)
    assert bench.walk_up()["reason"] == "fault"
    names_the_part(bench, "ledger", "first entry")
    assert bench.refused(control.LedgerVerify()).code == "ledger-broken"


@pytest.mark.parametrize("which", ["first", "middle", "last"])
def test_an_altered_ledger_entry_is_found(bench: Bench, seeing: Seeing, which: str) -> None:
    path = bench.paths.ledger
    ((size,),) = edit(path, "SELECT max(i) FROM entries")
    index = {"first": 0, "middle": size // 2, "last": size}[which]
    ((payload,),) = edit(path, "SELECT payload FROM entries WHERE i = ?", index)
    edit(path, "UPDATE entries SET payload = ? WHERE i = ?", payload[:-1] + bytes([payload[-1] ^ 1]), index)
    bench.start(vision=False)
    seeing(bench, shows(1))
    opens_for_cards(bench)
    if which == "middle":
        found = bench.ask(control.LedgerVerify())
        assert not found["ok"]
        assert any(problem["entry"] == index and "altered" in problem["problem"] for problem in found["problems"])
        told = bench.cli("ledger", "verify", "--json")
        assert (told.returncode, json.loads(told.stdout)["ok"]) == (1, False)
        assert "ledger audit" in bench.cli("doctor").stdout
    else:  # what is read at start: the bench flag and the time
        assert "auditor" in str(bench.refused(control.LedgerVerify()))
        assert bench.walk_up()["reason"] == "fault"
        names_the_part(bench, "ledger", "auditor")


def test_a_removed_ledger_entry_is_found(bench: Bench) -> None:
    edit(bench.paths.ledger, "DELETE FROM entries WHERE i = 5")
    bench.start(vision=False)
    assert bench.tap("11")["relay"] is True
    found = bench.ask(control.LedgerVerify())
    assert not found["ok"]
    assert {"entry": 6, "problem": "it stands where entry 5 belongs"} in found["problems"]


@pytest.mark.parametrize("column", ["note", "frontier"])
def test_an_altered_head_of_the_ledger_is_the_ledgers_fault(bench: Bench, column: str) -> None:
    ((value,),) = edit(bench.paths.ledger, f"SELECT {column} FROM head")
    altered = isinstance(value, str) and value[:-9] + ("A" if value[-9] != "A" else "B") + value[-8:]
    new = altered or bytes(len(value))
    edit(bench.paths.ledger, f"UPDATE head SET {column} = ?", new)
    bench.start(vision=False)
    assert bench.tap("11")["relay"] is True
    names_the_part(bench, "ledger", "auditor")
    assert bench.refused(control.LedgerVerify()).code == "ledger-broken"


# --- rows ----------------------------------------------------------------------------------------


def residents(bench: Bench) -> tuple[str, str]:
    return bench.tap("11")["resident"], bench.tap("22")["resident"]


def test_one_flipped_byte_refuses_that_template_alone(bench: Bench, seeing: Seeing) -> None:
    path = bench.paths.vault
    ((record, sealed),) = edit(path, "SELECT record, sealed FROM templates LIMIT 1")
    flipped = bytearray(sealed)
    flipped[len(flipped) // 2] ^= 1
    edit(path, "UPDATE templates SET sealed = ? WHERE record = ?", bytes(flipped), record)
    bench.start(vision=False)
    peer = seeing(bench, shows(1))
    opens = []
    for number in (1, 2):
        peer.script = shows(number)
        opens.append(bench.walk_up()["reason"])
    assert sorted(opens) == ["matched", "no-match"]
    assert (bench.status()["vault"]["templates"], bench.status()["vault"]["refused"]) == (1, 1)
    names_the_part(bench, "vault", "1 sealed records do not open")
    opens_for_cards(bench)


@pytest.mark.parametrize(
    "boxes", [{"keys": "wrapped", "templates": "sealed"}, {"templates": "sealed"}, {"keys": "wrapped"}]
)
def test_swapped_templates_are_both_refused(bench: Bench, seeing: Seeing, boxes: dict[str, str]) -> None:
    path = bench.paths.vault
    for table, column in boxes.items():
        (first, one), (second, two) = edit(path, f"SELECT record, {column} FROM {table}")
        edit(path, f"UPDATE {table} SET {column} = ? WHERE record = ?", two, first)
        edit(path, f"UPDATE {table} SET {column} = ? WHERE record = ?", one, second)
    bench.start(vision=False)
    peer = seeing(bench, shows(1))
    for number in (1, 2):
        peer.script = shows(number)
        assert bench.walk_up()["decision"] == "deny"
    assert (bench.status()["vault"]["templates"], bench.status()["vault"]["refused"]) == (0, 2)
    opens_for_cards(bench)


def test_a_card_row_moved_to_another_hash_is_found(bench: Bench) -> None:
    """Somebody with the file, without the key, gives their own card the row of a resident's."""
    path = bench.paths.registry
    edit(path, "UPDATE cards SET card = ? WHERE card = (SELECT min(card) FROM cards)", secrets.token_bytes(32))
    bench.start(vision=False)
    opens_for_cards(bench)
    names_the_part(bench, "registry", "A row of the registry is refused")


def test_a_receipt_moved_to_another_resident_is_found(bench: Bench) -> None:
    path = bench.paths.registry
    (one,), (two,) = edit(path, "SELECT id FROM residents")
    edit(path, "DELETE FROM receipts WHERE resident = ?", two)
    edit(path, "UPDATE receipts SET resident = ? WHERE resident = ?", two, one)
    bench.start(vision=False)
    opens_for_cards(bench)
    names_the_part(bench, "registry", "moved to another resident")


# --- keys ----------------------------------------------------------------------------------------


def _another_key(path: Path) -> None:
    text = path.read_bytes()
    path.write_bytes(text.split()[0] + b" " + secrets.token_hex(32).encode() + b"\n")


def _no_key(path: Path) -> None:
    path.unlink()


def _open_key(path: Path) -> None:
    path.chmod(0o644)


def _torn_key(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


@pytest.mark.parametrize(
    ("harm", "state", "words"),
    [
        (_another_key, "locked", "keys/vault.ring does not open with the vault key"),
        (_no_key, "locked", "is not there: faces are off, cards work"),
        (_open_key, "fault", "may be read by others (mode 644): run chmod 600"),
        (_torn_key, "fault", "is damaged"),
    ],
)
def test_without_its_vault_key_it_opens_for_cards(
    bench: Bench, seeing: Seeing, harm: Callable[[Path], None], state: str, words: str
) -> None:
    harm(bench.vault_key)
    before = bench.paths.vault.read_bytes()
    bench.start(vision=False)
    peer = seeing(bench, shows(1))
    opens_for_cards(bench)
    walked = bench.walk_up()
    assert (walked["decision"], walked["reason"]) == ("deny", "vault-locked")
    assert not peer.looks, "the camera stays shut"
    vault = bench.status()["vault"]
    assert vault["state"] == state
    assert words in vault["reason"]
    one, _ = residents(bench)
    error = bench.refused(control.Enrol(one))
    assert words in str(error)
    assert bench.stop() == 0
    assert bench.paths.vault.read_bytes() == before


def test_a_withdrawal_needs_no_vault_key(bench: Bench, seeing: Seeing) -> None:
    """Erasing does not wait for the key: the record goes, and does not come back with it; the rotation waits."""
    key = bench.vault_key.read_bytes()
    bench.vault_key.unlink()
    bench.start(vision=False)
    one, _ = residents(bench)
    assert bench.ask(control.ConsentWithdraw(one))["certificate"] is None
    assert bench.rows("vault.db", "SELECT count(*) FROM templates") == [(1,)]
    assert bench.stop() == 0
    bench.vault_key.write_bytes(key)
    bench.vault_key.chmod(0o600)
    bench.start(vision=False)
    peer = seeing(bench, shows(1))
    (certificate,) = bench.ask(control.ResidentExport(one))["certificates"]
    assert certificate["certificate"]["keys_rotated"] is True
    assert bench.walk_up()["decision"] == "deny"
    peer.script = shows(2)
    assert bench.walk_up()["reason"] == "matched"


@pytest.mark.parametrize("harm", [_another_key, _no_key, _open_key, _torn_key])
def test_without_its_house_key_it_does_not_start(bench: Bench, harm: Callable[[Path], None]) -> None:
    """Neither cards nor faces can be known then, and guessing would be worse."""
    harm(bench.paths.house_key)
    before = {path.name: path.read_bytes() for path in bench.root.glob("*.db")}
    ended = gatevault("run", "--state", bench.root, "--json")
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert "key" in ended.stderr
    assert json.loads(ended.stdout)["error"] in ("wrong-key", "state", "store", "ledger-broken")
    assert {path.name: path.read_bytes() for path in bench.root.glob("*.db")} == before
    assert bench.values("relay")[-1:] in ([], [0])


# --- the state -----------------------------------------------------------------------------------


def test_a_flipped_bench_flag_is_refused(bench: Bench) -> None:
    device = json.loads(bench.paths.device.read_text())
    bench.paths.device.write_text(json.dumps(device | {"bench": False}))
    ended = gatevault("run", "--state", bench.root)
    assert ended.returncode == 1
    assert "does not agree with the ledger's first entry" in ended.stderr


def test_templates_do_not_open_under_another_device_id(bench: Bench) -> None:
    device = json.loads(bench.paths.device.read_text())
    bench.paths.device.write_text(json.dumps(device | {"device": "gv-0000000000000000"}))
    ended = gatevault("run", "--state", bench.root)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1, ended.stderr


@pytest.mark.parametrize("text", ["", "{", '{"format": 2, "device": "x", "bench": true, "keys": "file"}', "[]"])
def test_a_broken_device_file_is_told_in_one_line(bench: Bench, text: str) -> None:
    bench.paths.device.write_text(text)
    ended = gatevault("run", "--state", bench.root)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1, ended.stderr


def test_a_second_daemon_is_refused_and_the_first_goes_on(bench: Bench) -> None:
    bench.start(vision=False)
    second = gatevault("run", "--state", bench.root)
    assert second.returncode == 1
    assert "already" in second.stderr
    assert bench.tap("11")["relay"] is True
    os.kill(bench.pid, signal.SIGTERM)
    assert bench.ended() == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[gate]\nnme = 'x'\n", "nme"),
        ("[gate\n", "config.toml"),
        ("[gate]\nboard = 'none-such'\n", "no board profile"),
        ("[gate]\nboard = 'pi-relay-hat'\n", "bench"),
        ("[matching]\nthreshold = 1.5\n", "threshold"),
        ("[schedule]\nhours = ['Mon 25:00-26:00']\n", "hours"),
    ],
)
def test_wrong_settings_are_told_in_one_line(bench: Bench, text: str, words: str) -> None:
    bench.paths.config.write_text(text)
    ended = gatevault("run", "--state", bench.root)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert words in ended.stderr
