"""Backups of a running device: what is in one, what is never in one, and that it comes whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest

from gatevault.cli.backup import fetch
from gatevault.core import control
from gatevault.core.consent import stamp
from gatevault.core.entries import EntryType
from gatevault.core.errors import BackupError, ConfigError, NotAllowedError, StoreError, UsageError
from gatevault.service.backup import PAGE
from gatevault.service.clock import TrustedClock
from gatevault.service.restore import restore
from gatevault.service.state import NO_OPTIONS, open_house_keys, read_device
from gatevault.vault.backup import Contents, unpack
from gatevault.vault.ledger import Ledger
from tests.bench import QUICK, Bench, configure, copied
from tests.service.backups import CARDS, NAMES, BackedUp, backed_up_by, exported
from tests.service.peer import DIMENSION, Peer, Script, person

Seeing = Callable[[Bench, Script], Peer]


@pytest.fixture
def bench(backed_up: BackedUp, tmp_path: Path) -> Iterator[Bench]:
    """A stopped copy of the device."""
    bench = Bench(copied(backed_up.root, tmp_path / "state"))
    yield bench
    bench.close()


def opened(backed_up: BackedUp, raw: bytes | None = None) -> Contents:
    return unpack(backed_up.raw if raw is None else raw, backed_up.key)


def plain(contents: Contents) -> bytes:
    return contents.registry + contents.ledger + contents.config.encode() + bytes(contents.house_key)


# --- what a backup shows -------------------------------------------------------------------------


def test_without_the_recovery_key_a_backup_shows_nothing(backed_up: BackedUp) -> None:
    needles = [name.encode() for name in (*NAMES, *CARDS, backed_up.one, backed_up.two)]
    needles += [b"SQLite", b"registry", b"receipts", b"house_key", b"gv-", b"[gate]", b"gatevault.local"]
    inside = plain(opened(backed_up)) + b"house_key"
    assert sum(needle in inside for needle in needles) >= 8, "or the search below finds nothing by mistake"
    assert not [needle for needle in needles if needle in backed_up.raw.removeprefix(b"gatevault-backup-v1\n")]


def test_with_it_there_is_no_template_and_no_key_of_one(backed_up: BackedUp) -> None:
    query = "SELECT record, model, wrapped, sealed FROM templates JOIN keys USING (record)"
    with closing(sqlite3.connect(backed_up.before / "vault.db")) as vault:
        rows = vault.execute(query).fetchall()
    needles = [part for row in rows for column in row for part in (column[:16], column[-16:])]
    assert len(rows) == 1 and len(needles) == 8
    for frame in range(4):
        noise = np.random.default_rng((frame, 1)).standard_normal(DIMENSION).astype(np.float32)
        shown = person(1) + noise * np.float32(0.008)
        needles += [shown[:4].tobytes(), (shown / np.linalg.norm(shown))[:4].tobytes()]
    keys = backed_up.before / "keys"
    (box,) = msgspec.json.decode((keys / "vault.ring").read_bytes())["boxes"]
    for digits in (box, (keys / "vault.key").read_text().split()[1]):
        needles += [digits[:32].encode(), bytes.fromhex(digits)[:16], bytes.fromhex(digits)[-16:]]
    inside = plain(opened(backed_up))
    assert not [needle for needle in needles if needle in inside]
    assert all(len(needle) >= 16 for needle in needles)
    assert {"templates", "keys"}.isdisjoint(tables(opened(backed_up).registry) | tables(opened(backed_up).ledger))


def tables(image: bytes) -> set[str]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(image)
        return {str(row[0]) for row in connection.execute("SELECT name FROM sqlite_schema")}


def test_with_it_all_else_is_there(backed_up: BackedUp) -> None:
    contents = opened(backed_up)
    device = read_device(Bench(backed_up.root).paths)
    assert (contents.device, contents.bench) == (device.device, True)
    assert contents.config == (backed_up.root / "config.toml").read_text()
    assert contents.house_key.hex().encode() in (backed_up.root / "keys" / "house.key").read_bytes()
    assert {"residents", "receipts", "cards", "certificates"} <= tables(contents.registry)
    for image in (contents.registry, contents.ledger):
        assert image[18:20] == b"\x01\x01", "not in WAL mode: one file is all of it"


def test_that_a_backup_was_made_is_entered_with_the_end_of_its_key(bench: Bench, backed_up: BackedUp) -> None:
    bench.start(vision=False)
    backed_up_by(bench, backed_up.public)
    told = [e["payload"]["recipient"] for e in bench.entries() if e["type"] == "backed-up"]
    assert told == [backed_up.public[-16:]] * 2


# --- who may have one ----------------------------------------------------------------------------


def test_a_recovery_key_in_the_configuration_is_the_only_one(bench: Bench, backed_up: BackedUp) -> None:
    """So that an admin cannot make a backup for a key of their own."""
    configure(bench.root, QUICK + f'\n[backup]\nrecovery_key = "{backed_up.public}"\n')
    bench.start(vision=False)
    other = "gvr1-09" + "00" * 31
    assert isinstance(bench.refused(control.BackupMake(other)), NotAllowedError)
    assert bench.count("backed-up") == 1, "that of the fixture"
    for named in (None, backed_up.public):
        unpack(fetch(bench.root, bench.ask(control.BackupMake(named))), backed_up.key)


def test_without_one_it_must_be_named(bench: Bench) -> None:
    bench.start(vision=False)
    assert isinstance(bench.refused(control.BackupMake()), UsageError)
    assert isinstance(bench.refused(control.BackupMake("gvr1-" + "00" * 32)), BackupError), "a point of no order"
    assert bench.count("backed-up") == 1


# --- when one can be made ------------------------------------------------------------------------


def test_a_backup_that_could_not_be_restored_is_not_made(bench: Bench, backed_up: BackedUp) -> None:
    bench.start(vision=False)
    config = bench.paths.config.read_text()
    bench.paths.config.write_text(config + "\n[gate]\nmisspelt = 1\n")
    assert isinstance(bench.refused(control.BackupMake(backed_up.public)), ConfigError)
    bench.paths.config.write_text(config)
    with closing(sqlite3.connect(bench.paths.registry)) as registry, registry:
        registry.execute("UPDATE residents SET sealed = zeroblob(80) WHERE id = ?", (backed_up.two,))
    assert isinstance(bench.refused(control.BackupMake(backed_up.public)), StoreError)
    assert bench.count("backed-up") == 1


def test_a_damaged_or_lost_vault_hinders_no_backup(bench: Bench, backed_up: BackedUp, tmp_path: Path) -> None:
    for damage in (lambda path: path.write_bytes(b"x" * 8192), lambda path: path.unlink()):
        damage(bench.paths.vault)
        bench.start(vision=False)
        assert bench.status()["vault"]["state"] != "unlocked"
        opened(backed_up, backed_up_by(bench, backed_up.public))
        assert bench.stop() == 0


def test_what_a_locked_vault_owes_is_settled_by_the_restore(
    bench: Bench, backed_up: BackedUp, tmp_path: Path
) -> None:
    """Withdrawn and removed while locked: the backup has the intentions, a later ledger has their entries."""
    bench.start(vision=False)
    bench.ask(control.VaultLock())
    bench.ask(control.ConsentWithdraw(backed_up.one))
    assert bench.todos() == 1
    raw = backed_up_by(bench, backed_up.public)
    bench.ask(control.ResidentRemove(backed_up.two))
    raw_after = backed_up_by(bench, backed_up.public)
    later = exported(bench)
    assert bench.stop() == 0
    for number, (backup, ledger) in enumerate([(raw, None), (raw, later), (raw_after, None), (raw_after, later)]):
        root = tmp_path / f"new-{number}"
        restore(root, backup, backed_up.key, ledger, keys="file", options=NO_OPTIONS)
        new = Bench(root).start(vision=False)
        try:
            assert new.todos() == 0
            assert new.standing(backed_up.one) == "withdrawn"
            assert new.count("consent-withdrawn") == 1
            assert new.status()["registry"]["residents"] == (2 if number == 0 else 1)
            verdict = new.ask(control.LedgerVerify())
            assert verdict["ok"], verdict
            assert new.stop() == 0
        finally:
            new.close()


def test_an_entry_that_was_owed_at_the_backup_is_made_once(
    bench: Bench, backed_up: BackedUp, tmp_path: Path
) -> None:
    """The vault was damaged, so the withdrawal was kept in the registry alone; later the vault was put back."""
    away = bench.paths.vault.rename(tmp_path / "vault.db")
    bench.paths.vault.write_bytes(b"x" * 8192)
    bench.start(vision=False)
    assert isinstance(bench.refused(control.ConsentWithdraw(backed_up.one)), StoreError)
    assert (bench.todos(), bench.count("consent-withdrawn")) == (1, 0)
    raw = backed_up_by(bench, backed_up.public)
    assert bench.stop() == 0
    for file in bench.root.glob("vault.db*"):
        file.unlink()
    away.rename(bench.paths.vault)
    bench.start(vision=False)
    assert (bench.todos(), bench.count("consent-withdrawn")) == (0, 1)
    later = exported(bench)
    for name, ledger in (("with", later), ("without", None)):
        restore(tmp_path / name, raw, backed_up.key, ledger, keys="file", options=NO_OPTIONS)
        new = Bench(tmp_path / name).start(vision=False)
        try:
            assert (new.todos(), new.count("consent-withdrawn")) == (0, 1)
            assert new.standing(backed_up.one) == "withdrawn"
            verdict = new.ask(control.LedgerVerify())
            assert verdict["ok"], verdict
        finally:
            new.close()


# --- pages ---------------------------------------------------------------------------------------


@pytest.fixture
def large(bench: Bench) -> Bench:
    """A device whose backup has several pages."""
    clock = TrustedClock(None)
    ledger = Ledger(bench.paths.ledger, read_device(bench.paths).device, open_house_keys(bench.paths))
    for _ in range(30):
        payload = {"time": stamp(clock.now()), "part": "x" * 60_000}
        ledger.append(clock.moment(), EntryType.FAULT, payload)
    ledger.close()
    return bench.start(vision=False)


def test_a_large_backup_comes_whole(large: Bench, backed_up: BackedUp, tmp_path: Path) -> None:
    made = large.ask(control.BackupMake(backed_up.public))
    assert made["bytes"] > 3 * PAGE > 1 << 20
    raw = fetch(large.root, made)
    assert len(raw) == made["bytes"]
    restore(tmp_path / "new", raw, backed_up.key, None, keys="file", options=NO_OPTIONS)
    error = large.refused(control.BackupPage(made["sha256"], 0))
    assert isinstance(error, BackupError), "what was fetched is no longer kept"


def test_a_backup_begun_meanwhile_is_never_mixed_with_another(large: Bench, backed_up: BackedUp) -> None:
    first = large.ask(control.BackupMake(backed_up.public))
    large.ask(control.BackupPage(first["sha256"], 0))
    second = large.ask(control.BackupMake(backed_up.public))
    assert first["sha256"] != second["sha256"]
    error = large.refused(control.BackupPage(first["sha256"], PAGE))
    assert isinstance(error, BackupError) and "another was begun meanwhile" in str(error)
    opened(backed_up, fetch(large.root, second))


def test_a_page_that_there_is_not_is_refused(large: Bench, backed_up: BackedUp) -> None:
    assert isinstance(large.refused(control.BackupPage("0" * 64, 0)), BackupError)
    made = large.ask(control.BackupMake(backed_up.public))
    assert isinstance(large.refused(control.BackupPage(made["sha256"], made["bytes"])), BackupError)
    opened(backed_up, fetch(large.root, made))
