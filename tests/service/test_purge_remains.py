"""After a purge: no file holds the record, no key of today opens an older copy, and its certificate is true.

For each key provider: what became of the files, of a copy of `vault.db` from before with today's keys, and of an
image of the whole state from before with what that provider asks for (a passphrase, this TPM). The words of the
deletion certificate are compared with what was seen.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatevault.cli.backup import fetch
from gatevault.core import control
from gatevault.core.errors import RecordRefusedError, VaultLockedError, WrongKeyError
from gatevault.core.passphrase import typed
from gatevault.service.making import make_state
from gatevault.service.state import KeyOptions, StatePaths, key_provider, open_house_keys, open_vault, read_device
from gatevault.vault.backup import new_recovery_key, unpack
from gatevault.vault.keys import Epoch, Secret
from gatevault.vault.record import Place, rewrap
from gatevault.vault.registry import Registry
from gatevault.vault.ring import Ring
from gatevault.vault.templates import Row
from tests.bench import QUICK, Bench, copied, eventually
from tests.service.peer import Peer, Script, person, shows
from tests.softtpm import SoftTpm

Seeing = Callable[[Bench, Script], Peer]

PASSPHRASE = "four words drawn by dice"
OPTIONS = {"passphrase": KeyOptions(typed(PASSPHRASE)), "tpm2 plain": KeyOptions(tpm_index=False)}
OPENS_AGAIN = "that image opens again"
IS_DEAD = "does not open again, even with this device's TPM"


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftTpm]:
    soft = SoftTpm(tmp_path_factory.mktemp("t"))
    yield soft
    soft.kill()


@pytest.fixture(params=["file", "passphrase", "tpm2", "tpm2 plain"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@dataclass
class Home:
    """A running bench with two residents, one of whom will go."""

    bench: Bench
    kind: str
    goes: str
    stays: str
    row: Row
    """The record of who goes."""
    place: Place
    recovery: Path
    backup: bytes
    """Made while both were there."""

    @property
    def options(self) -> KeyOptions:
        return OPTIONS.get(self.kind, KeyOptions())

    def copied(self, to: Path) -> StatePaths:
        """An image of the whole medium, as a thief takes it from under the running daemon."""
        return StatePaths(copied(self.bench.root, to))

    def pieces(self) -> list[bytes]:
        """What must be in no file: the record's two boxes in stretches of 16 bytes, the second's head and tail."""
        wrapped, sealed = self.row.template.wrapped, self.row.template.sealed
        raw = [wrapped[at : at + 16] for at in range(0, len(wrapped) - 16, 16)]
        raw += [sealed[at : at + 16] for at in range(0, len(sealed) - 16, 64)]
        found = list(raw)
        for piece in raw:
            found += [piece.hex().encode(), piece.hex().upper().encode(), base64.b64encode(piece)[:20]]
        return found


@pytest.fixture
def home(kind: str, request: pytest.FixtureRequest, tmp_path: Path, seeing: Seeing) -> Iterator[Home]:
    tcti = request.getfixturevalue("tpm").tcti if kind.startswith("tpm2") else None
    root, options = tmp_path / "state", OPTIONS.get(kind, KeyOptions())
    make_state(root, bench=True, keys=kind.partition(" ")[0], name="bench", board=None, options=options, tcti=tcti)
    paths = StatePaths(root)
    text = paths.config.read_text()
    paths.config.write_text(QUICK + text[text.index("[consent]") :])
    bench = Bench(root)
    try:
        bench.start(vision=False)
        if kind == "passphrase":
            bench.ask(control.VaultUnlock(typed(PASSPHRASE)))
        peer = seeing(bench, shows(1))
        goes = bench.enrolled("Grace Goes", "1001", None)
        peer.script = shows(2)
        stays = bench.enrolled("Stan Stays", "2002", None)
        device = read_device(paths)
        record = open_house_keys(paths).record_id(goes)
        with closing(open_vault(paths, device, lambda: options)) as vault:
            row = vault.get(record)
        assert row is not None
        place = Place(device.device, True, record, row.model)
        key = tmp_path / "recovery.key"
        home = Home(bench, kind, goes, stays, row, place, key, b"")
        home.backup = backup(bench, new_recovery_key(key))
        yield home
    finally:
        bench.close()


def backup(bench: Bench, recipient: str) -> bytes:
    return fetch(bench.root, bench.ask(control.BackupMake(recipient)))


def held(root: Path) -> dict[str, bytes]:
    """Every byte of every file, by its name."""
    files = [path for path in root.rglob("*") if path.is_file()]
    assert {"vault.db", "registry.db", "ledger.db", "vault.ring", "house.key"} <= {path.name for path in files}
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def found(pieces: list[bytes], files: dict[str, bytes]) -> set[str]:
    return {name for name, content in files.items() for piece in pieces if piece in content}


def certificate(home: Home, command: control.Command) -> dict[str, Any]:
    body: dict[str, Any] = home.bench.ask(command)["certificate"]["certificate"]
    return body


def opened(paths: StatePaths, resident: str, options: KeyOptions) -> np.ndarray[Any, Any]:
    """A resident's captures, from a state directory and what its provider asks for. As `Vault.unlock`."""
    device, house = read_device(paths), open_house_keys(paths)
    with closing(Registry(paths.registry, device.device, house)) as registry:
        receipt = registry.receipt(resident)
    with closing(open_vault(paths, device, lambda: options)) as vault:
        vault.unlock()
        row = vault.get(house.record_id(resident))
        assert row is not None
        assert receipt is not None
        return vault.open(row, receipt.binding())


def alike(captures: np.ndarray[Any, Any], number: int) -> bool:
    return bool((captures @ person(number) > 0.95).all())


def keys_of_today(home: Home) -> list[Secret]:
    """Every key that the state gives now: the provider's secret, each epoch's, and all that the house key gives."""
    paths = home.bench.paths
    secret = key_provider(paths, home.kind.partition(" ")[0], home.options).load()
    device = read_device(paths).device
    ring = Ring(paths.ring, device, lambda name: key_provider(paths, name, home.options))
    epochs = ring.open()
    assert len(epochs) == 1
    house = open_house_keys(paths)
    return [secret, *(epoch.key for epoch in epochs), house.registry, house.card, house.link, house.journal]


def opens_with(home: Home, keys: list[Secret]) -> bool:
    """Whether any of these keys opens the old record's wrapped key, whatever epoch it says to be."""
    scratch = Epoch(99, Secret.random())
    for key in keys:
        for number in range(1, 20):
            try:
                rewrap(Epoch(number, key), scratch, home.place, home.row.template.wrapped)
            except RecordRefusedError:
                continue
            return True
    return False


ENDS: dict[str, Callable[[Home], control.Command]] = {
    "purge": lambda home: control.Purge(home.goes),
    "withdraw": lambda home: control.ConsentWithdraw(home.goes),
    "remove": lambda home: control.ResidentRemove(home.goes),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_certificate_says_what_is_so(home: Home, end: str, tmp_path: Path) -> None:
    before = held(home.bench.root)
    assert found(home.pieces(), before) == {"vault.db"}, "or the search below finds nothing by mistake"
    assert opens_with(home, keys_of_today(home))
    old = home.copied(tmp_path / "old")
    said = certificate(home, ENDS[end](home))
    assert (said["template_was_there"], said["keys_rotated"]) == (True, True)
    assert said["key_provider"] == home.kind.partition(" ")[0]

    # No file has a copy, nor does a backup; and no key of today would open one.
    assert found(home.pieces(), held(home.bench.root)) == set()
    assert not opens_with(home, keys_of_today(home))
    fresh = backup(home.bench, new_recovery_key(tmp_path / "another.key"))
    for sealed, key in ((home.backup, home.recovery), (fresh, tmp_path / "another.key")):
        contents = unpack(sealed, key)
        inside = {"registry": contents.registry, "ledger": contents.ledger, "config": contents.config.encode()}
        assert found([*home.pieces(), home.row.record], inside | {"sealed": sealed}) == set()
    assert home.bench.status()["vault"]["templates"] == 1
    assert home.bench.stop() == 0

    # An older vault.db, with its log, does not open with today's keys. (It does with its own: see below.)
    assert "does not open with the keys that the device has now" in said["method"]
    mixed = home.copied(tmp_path / "mixed")
    for name in ("vault.db", "vault.db-wal", "vault.db-shm"):
        (mixed.root / name).unlink(missing_ok=True)
        if (old.root / name).exists():
            shutil.copy(old.root / name, mixed.root / name)
    with pytest.raises(WrongKeyError):
        opened(mixed, home.stays, home.options)

    # The whole older image opens, or does not, as the certificate says.
    try:
        opens = alike(opened(old, home.goes, home.options), 1)
    except (VaultLockedError, WrongKeyError):
        opens = False
    assert opens is said["image_of_medium_opens"] is (home.kind != "tpm2")
    assert (OPENS_AGAIN in said["does_not_prove"], IS_DEAD in said["does_not_prove"]) == (opens, not opens)
    assert alike(opened(StatePaths(home.bench.root), home.stays, home.options), 2), "who stays is there"


@pytest.mark.parametrize("kind", ["file"], indirect=True)
def test_the_ring_of_before_is_dead_where_the_provider_rolls(home: Home, tmp_path: Path) -> None:
    """With a key file, an older ring and vault.db do not open with today's vault.key: the secret itself is new."""
    old = home.copied(tmp_path / "old")
    home.bench.ask(control.Purge(home.goes))
    assert home.bench.stop() == 0
    shutil.copy(home.bench.root / "keys" / "vault.key", old.keys / "vault.key")
    with pytest.raises(WrongKeyError):
        opened(old, home.goes, home.options)


@pytest.mark.parametrize("kind", ["file", "passphrase"], indirect=True)
def test_while_locked_the_rows_go_and_the_certificate_waits_for_the_rotation(home: Home, tmp_path: Path) -> None:
    old = home.copied(tmp_path / "old")
    home.bench.ask(control.VaultLock())
    removed = certificate(home, control.ResidentRemove(home.goes))
    assert (removed["keys_rotated"], removed["key_provider"], removed["image_of_medium_opens"]) == (
        False,
        None,
        True,
    )
    assert "until then an older copy of vault.db opens with the vault's key" in removed["method"]
    assert "does not open" not in removed["method"]
    assert found(home.pieces(), held(home.bench.root)) == set(), "the rows are gone at once"

    # As it says: the older copy still opens with today's ring.
    assert opens_with(home, keys_of_today(home))
    mixed = home.copied(tmp_path / "mixed")
    for path in mixed.root.glob("vault.db*"):
        path.unlink()
    for path in (*old.root.glob("vault.db*"), old.registry):
        shutil.copy(path, mixed.root / path.name)
    for path in mixed.root.glob("registry.db-*"):
        path.unlink()
    for path in old.root.glob("registry.db-*"):
        shutil.copy(path, mixed.root / path.name)
    assert alike(opened(mixed, home.goes, home.options), 1)

    # And not after the unlock.
    home.bench.ask(control.VaultUnlock(typed(PASSPHRASE) if home.kind == "passphrase" else None))
    assert not opens_with(home, keys_of_today(home))
    assert found(home.pieces(), held(home.bench.root)) == set()


@pytest.mark.parametrize("kind", ["file"], indirect=True)
def test_a_killed_daemon_leaves_no_copy(home: Home) -> None:
    """What would lie in a write-ahead log that nobody emptied."""
    home.bench.ask(control.Purge(home.goes))
    home.bench.kill9()
    assert found(home.pieces(), held(home.bench.root)) == set()
    assert not opens_with(home, keys_of_today(home))
    home.bench.start(vision=False)
    assert eventually(lambda: home.bench.status()["vault"]["state"] == "unlocked")
    assert found(home.pieces(), held(home.bench.root)) == set()
