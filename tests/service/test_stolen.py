"""A stolen state directory without `keys/`: what it reveals is counts, sizes, times, and ids that join nothing.

`docs/threat-model.md` has the list. Here every column of every table is either named in `PLAIN`, and its values are
of the kind said there, or it holds boxes; a column that is new fails until somebody says what it reveals.
"""

from __future__ import annotations

import json
import re
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatevault.cli.backup import fetch
from gatevault.core import control
from gatevault.service.stores import open_stores
from gatevault.vault.backup import new_recovery_key
from tests.bench import QUICK, Bench, configure, copied
from tests.service.dump import Area, Vectors
from tests.service.peer import Peer, Script, person, shows

Seeing = Callable[[Bench, Script], Peer]

HEX = {8: re.compile(r"[0-9a-f]{16}\Z"), 16: re.compile(r"[0-9a-f]{32}\Z")}


def random_text(prefix: str, size: int) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, str) and value.startswith(prefix) and bool(HEX[size].match(value[len(prefix) :]))
    )


def random_bytes(size: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, bytes) and len(value) == size


def one_of(*values: object) -> Callable[[Any], bool]:
    return lambda value: value in values


def small(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 100


def number(value: Any) -> bool:
    return isinstance(value, int)


def day(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"\d{4}-\d{2}-\d{2}", value))


def header(value: Any) -> bool:
    """Index, boot, monotonic time, day, type, commitment: nothing of whom."""
    return set(json.loads(value)) == {"i", "boot", "mono_ms", "day", "type", "c"}


PSEUDONYM = random_text("r-", 8)
OPERATION = random_text("", 16)
PLAIN: dict[str, dict[str, dict[str, Callable[[Any], bool]]]] = {
    "vault.db": {
        "meta": {"name": one_of("check", "owed")},
        "keys": {"record": random_bytes(16)},
        "templates": {"record": random_bytes(16), "model": one_of(bytes([0x5A]) * 32)},
    },
    "registry.db": {
        "meta": {"name": one_of("check")},
        "residents": {"id": PSEUDONYM},
        "receipts": {"place": number, "id": random_text("c-", 16), "resident": PSEUDONYM, "n": small},
        "cards": {"card": random_bytes(32)},
        "certificates": {"id": OPERATION, "resident": PSEUDONYM},
        "todo": {"op": OPERATION},
        "site": {"kind": one_of("assessment", "sign", "installer")},
    },
    "ledger.db": {
        "entries": {"i": number, "header": header, "op": lambda value: value is None or OPERATION(value)},
        "head": {"one": one_of(1), "note": lambda value: value.startswith("gatevault.local/gv-"), "frontier": bool},
        "unmatched": {"day": day},
    },
}
SEALED = {
    "vault.db": {"meta": {"value"}, "keys": {"wrapped"}, "templates": {"sealed"}},
    "registry.db": {
        name: {"sealed"} for name in ("meta", "residents", "receipts", "cards", "certificates", "todo", "site")
    },
    "ledger.db": {"entries": {"payload"}, "unmatched": {"faces"}},
}
FILES = {"vault.db", "registry.db", "ledger.db", "cards.snapshot", "config.toml", "device.json", "bench/pins.jsonl"}
FILES |= {"models/dlib-resnet-v1.onnx"}

NAMES = {
    "1001234567": "Grace Brewster Hopper",
    "2002345678": "欧阳小明",
    "3003456789": "Ουρανία Ψ",
    "4004567890": "Stan",
}


@dataclass
class Stolen:
    """The directory as the thief has it, and what we know and they must not find."""

    root: Path
    files: dict[str, bytes]
    residents: list[str]
    records: list[bytes]
    secrets: dict[str, bytes] = field(repr=False)
    backup: bytes = b""

    def tables(self, name: str) -> dict[str, tuple[list[str], list[tuple[Any, ...]]]]:
        """Columns and rows by table."""
        with closing(sqlite3.connect(self.root / name)) as connection:
            tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            return {
                table: (
                    [row[1] for row in connection.execute(f"PRAGMA table_info({table})")],
                    connection.execute(f"SELECT * FROM {table}").fetchall(),
                )
                for table in tables
            }

    def values(self, name: str) -> Iterator[tuple[str, str, Any]]:
        for table, (columns, rows) in self.tables(name).items():
            for row in rows:
                yield from ((table, column, value) for column, value in zip(columns, row, strict=True))


@pytest.fixture(scope="module")
def stolen(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Stolen:
    """A gate that was lived with: passages, a withdrawal, a removal, a backup, a withdrawal while locked; then the
    plug is pulled and `keys/` is not in what the thief copies."""
    folder = tmp_path_factory.mktemp("stolen")
    root = copied(blank, folder / "state")
    configure(root, QUICK)
    bench = Bench(root)
    peer: Peer | None = None
    try:
        bench.start(vision=False)
        peer = Peer(root / "run", shows(0))
        who = {}
        for i, (card, name) in enumerate(NAMES.items()):
            peer.script = shows(i)
            who[card] = bench.enrolled(name, card, None)
            bench.ask(control.ConsentShow(who[card]))
        peer.script = shows(0)
        assert bench.walk_up()["resident"] == who["1001234567"]
        peer.script = shows(77)
        assert bench.walk_up()["decision"] == "deny"
        assert bench.tap("2002345678")["relay"] is True
        assert bench.tap("99999999")["relay"] is False
        bench.ask(control.ConsentWithdraw(who["3003456789"]))
        bench.ask(bench.consent(who["3003456789"], "3003456789"))
        recipient = new_recovery_key(folder / "recovery.key")
        backup = fetch(bench.root, bench.ask(control.BackupMake(recipient)))
        bench.ask(control.VaultLock())
        bench.ask(control.ConsentWithdraw(who["4004567890"]))
        bench.kill9()
    finally:
        bench.close()
        if peer is not None:
            peer.close()
    stores = open_stores(copied_paths(root, folder / "known"))
    try:
        secrets = known(stores)
        records = [stores.house.record_id(resident) for resident in who.values()]
    finally:
        stores.close()
    taken = copied(root, folder / "taken")
    for path in (taken / "keys").iterdir():
        path.unlink()
    (taken / "keys").rmdir()
    files = {str(path.relative_to(taken)): path.read_bytes() for path in taken.rglob("*") if path.is_file()}
    return Stolen(taken, files, list(who.values()), records, secrets, backup)


def copied_paths(root: Path, to: Path) -> Any:
    from gatevault.service.state import StatePaths

    return StatePaths(copied(root, to))


def known(stores: Any) -> dict[str, bytes]:
    """Everything that says who somebody is, from the opened stores."""
    found: dict[str, bytes] = {}
    registry = stores.need_registry()
    for resident in registry.residents():
        row = registry.resident(resident)
        found[f"name of {resident}"] = row.name.encode()
        found[f"name of {resident} in UTF-16"] = row.name.encode("utf-16-le")
        found[f"name of {resident} in JSON"] = json.dumps(row.name).strip('"').encode()
        found[f"subject key of {resident}"] = row.subject_key[:32].encode()
        found[f"subject key of {resident} in bytes"] = bytes.fromhex(row.subject_key)[:16]
        found[f"subject of {resident}"] = stores.people[resident].subject_at("2026-11-24T00:00:00Z").encode()
        for i, (receipt, signature) in enumerate(registry.receipts(resident)):
            found[f"receipt {i} of {resident}: record"] = receipt.record_id.encode()
            found[f"receipt {i} of {resident}: binding"] = receipt.binding()
            found[f"receipt {i} of {resident}: signature"] = bytes.fromhex(signature)[:16]
            found[f"receipt {i} of {resident}: time"] = receipt.events[0].time.encode()
        for signed in registry.certificates(resident):
            found[f"certificate of {resident}"] = signed["signature"][:32].encode()
    for card in NAMES:
        found[f"card {card}"] = card.encode()
        found[f"card {card} in UTF-16"] = card.encode("utf-16-le")
        for order in ("big", "little"):
            found[f"card {card} as a {order}-endian number"] = int(card).to_bytes(5, order)  # type: ignore[arg-type]
    for name, key in vars_of(stores.house).items():
        found[f"key {name}"] = key
    return found


def vars_of(house: Any) -> dict[str, bytes]:
    return {name: getattr(house, name).reveal() for name in ("registry", "card", "link", "journal")}


# --- the files ------------------------------------------------------------------------------------


def test_these_files_and_no_others_are_there(stolen: Stolen) -> None:
    names = {re.sub(r"-(wal|shm)\Z", "", name) for name in stolen.files}
    assert names == FILES
    assert any(name.endswith("-wal") for name in stolen.files), "the plug was pulled: logs are part of it"


def test_no_name_card_date_or_key_is_in_any_byte(stolen: Stolen) -> None:
    assert len(stolen.secrets) > 50
    for name, content in [*stolen.files.items(), ("backup", stolen.backup)]:
        for what, secret in stolen.secrets.items():
            assert secret not in content, f"{what} in {name}"


def test_no_embedding_is_in_any_byte(stolen: Stolen) -> None:
    faces = Vectors({f"person {i}": np.asarray(person(i)) for i in (*range(len(NAMES)), 77)})
    held = [Area(0, len(c), "r--p", name, frozenset(), 0, c) for name, c in stolen.files.items()]
    assert faces.found(held) == set()
    mine = Area(0, 0, "r--p", "control", frozenset(), 0, b"xyz" + np.asarray(person(1)).tobytes())
    assert faces.found([mine]), "or the search finds nothing by mistake"


def test_the_card_snapshot_tells_how_many_cards(stolen: Stolen) -> None:
    """40 bytes of nonce and tag, and the same length for each card."""
    plain = json.dumps([["0" * 64, "r-" + "0" * 16]] * len(NAMES))
    assert len(stolen.files["cards.snapshot"]) == 40 + len(plain)


def test_settings_and_device_are_what_the_installer_wrote(stolen: Stolen) -> None:
    assert set(json.loads(stolen.files["device.json"])) == {"format", "device", "bench"}
    assert stolen.files["config.toml"].decode().endswith(QUICK + "\n[enrolment]\nmin_captures = 1\n")
    edges = [json.loads(line) for line in stolen.files["bench/pins.jsonl"].splitlines()]
    assert {key for edge in edges for key in edge} == {"ns", "pid", "pin", "role", "value"}


# --- the columns ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLAIN)
def test_every_column_is_a_box_or_named_as_plain(stolen: Stolen, name: str) -> None:
    for table, (columns, _) in stolen.tables(name).items():
        assert set(columns) == set(PLAIN[name][table]) | SEALED[name].get(table, set()), table
    assert set(stolen.tables(name)) == set(PLAIN[name])


@pytest.mark.parametrize("name", PLAIN)
def test_plain_values_are_of_the_kind_that_is_told(stolen: Stolen, name: str) -> None:
    for table, column, value in stolen.values(name):
        if column in PLAIN[name][table]:
            assert PLAIN[name][table][column](value), f"{table}.{column}: {value!r}"


@pytest.mark.parametrize("name", SEALED)
def test_boxes_have_no_pattern(stolen: Stolen, name: str) -> None:
    boxes = [
        value for table, column, value in stolen.values(name) if column in SEALED[name].get(table, ()) and value
    ]
    assert len({box[:24] for box in boxes}) == len(boxes) > 3, "each has a nonce of its own"
    whole = b"".join(box for box in boxes if box != b"\x01")  # meta.owed is a mark
    assert len(zlib.compress(whole, 9)) > 0.99 * len(whole)


def test_lengths_tell_nobody_from_another(stolen: Stolen) -> None:
    """Short names and long ones; a receipt that lives and one that was withdrawn; a grant and a denial."""
    lengths: dict[str, set[int]] = {}
    for name in PLAIN:
        for table, column, value in stolen.values(name):
            if column in ("sealed", "wrapped", "payload"):
                lengths.setdefault(f"{table}.{column}", set()).add(len(value))
    boxes = ("residents.sealed", "receipts.sealed", "cards.sealed", "templates.sealed", "keys.wrapped")
    for what in (*boxes, "entries.payload"):
        assert len(lengths[what]) == 1, what


# --- joins ----------------------------------------------------------------------------------------


def tokens(stolen: Stolen, name: str) -> set[bytes]:
    """Plain values of 5 bytes or more that are some row's own, as bytes, text and hexadecimal."""
    found: set[bytes] = set()
    for table, column, value in stolen.values(name):
        if column not in PLAIN[name][table] or (table, column) in (("head", "note"), ("meta", "name")):
            continue
        raw = str(value).encode() if isinstance(value, int) else value.encode() if isinstance(value, str) else value
        if raw is None or len(raw) < 5:
            continue
        found |= {raw, raw.hex().encode()}
        text = raw.decode("ascii", "ignore").rpartition("-")[2]
        if HEX[8].match(text) or HEX[16].match(text):
            found |= {text.encode(), bytes.fromhex(text)}
    return found


@pytest.mark.parametrize(("one", "other"), list(combinations(PLAIN, 2)))
def test_no_id_of_one_file_is_in_another(stolen: Stolen, one: str, other: str) -> None:
    """Also of the withdrawal that waits for the unlock, and of what the write-ahead logs still have."""
    assert stolen.tables("registry.db")["todo"][1], "the withdrawal while locked waits"
    for source, target in ((one, other), (other, one)):
        held = b"".join(content for name, content in stolen.files.items() if name.startswith(target))
        mine = tokens(stolen, source)
        assert len(mine) > 5
        assert {token for token in mine if token in held} == set()


def test_record_ids_and_pseudonyms_are_in_their_own_file_alone(stolen: Stolen) -> None:
    for name, content in stolen.files.items():
        for resident in stolen.residents:
            for form in (resident.encode(), resident[2:].encode(), bytes.fromhex(resident[2:])):
                assert form not in content or name.startswith("registry.db"), (name, form)
        for record in stolen.records:
            for form in (record, record.hex().encode(), record[:6]):
                assert form not in content or name.startswith("vault.db"), (name, form)
    assert all(
        resident.encode() in stolen.files["registry.db"] + stolen.files["registry.db-wal"]
        for resident in stolen.residents
    )
