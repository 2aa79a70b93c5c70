"""What stays in RAM of keys, whoever keeps the vault's: the running daemon is read from outside, after each thing
that happens, and not one key lies outside the locked pages within a second; nor what a key was made of.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import gatevault
from gatevault.core import control
from gatevault.core.consent import KeyMode
from gatevault.core.passphrase import typed
from gatevault.service.state import KeyOptions, open_house_keys
from gatevault.vault.keys import KEY_BYTES, holder_key
from gatevault.vault.providers.credential import CREDENTIAL
from tests.bench import QUICK, Bench, configure
from tests.bench import gatevault as command
from tests.service.dump import Bytes, snapshot
from tests.service.keys_of import keys_of
from tests.service.peer import Peer, Script, shows
from tests.service.steps import LONG
from tests.softtpm import SoftTpm

Seeing = Callable[[Bench, Script], Peer]

PASSPHRASE = "quetzal 7 Basalt ombré fjordvik"

LATEST_S = 0.6
"""How long after something has happened the memory is read; reading it takes some tenths of a second."""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root reads another process's memory")


class Home:
    """A bench whose vault key one provider keeps."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.options = KeyOptions(typed(PASSPHRASE)) if kind == "passphrase" else KeyOptions()
        self.tpm = SoftTpm(folder) if kind == "tpm2" else None
        self.tcti = self.tpm.tcti if self.tpm else ""
        self.environment = {}
        if kind == "systemd-credential":
            delivered = folder / "credentials"
            delivered.mkdir()
            (delivered / CREDENTIAL).write_bytes(os.urandom(KEY_BYTES))
            self.environment = {"CREDENTIALS_DIRECTORY": str(delivered)}
        root = folder / "state"
        more = {"passphrase": ["--passphrase-stdin"], "tpm2": ["--tcti", self.tcti]}.get(kind, [])
        done = command(
            *("init", "--bench", "--keys", kind, "--state", root, *more),
            input=PASSPHRASE + "\n",
            env=os.environ | self.environment,
        )
        assert done.returncode == 0, done.stderr
        configure(root, QUICK + (f'\n[keys]\ntcti = "{self.tcti}"\n' if self.tcti else ""))
        self.bench = Bench(root).start(vision=False, **self.environment)
        self.unlock()

    def unlock(self) -> None:
        if self.bench.status()["vault"]["state"] == "locked":
            self.bench.ask(control.VaultUnlock(typed(PASSPHRASE) if self.kind == "passphrase" else None))

    def keys(self) -> dict[str, bytes]:
        known = keys_of(self.bench, self.options, self.tcti)
        if self.kind == "passphrase":  # as bytes and as text, and a part that is the same in both
            known |= {"passphrase": bytes(typed(PASSPHRASE)), "its words": PASSPHRASE[:20].encode()}
        return known

    def nothing_stays(self, after: str, keys: dict[str, bytes]) -> None:
        time.sleep(LATEST_S)
        held = snapshot(self.bench.pid)
        assert Bytes(keys).found(held) == set(), f"{after} ({self.kind})"
        device = str(self.bench.status()["device"]).encode()
        assert Bytes({"the device's name": device}).found(held), "or nothing is found by mistake"

    def close(self) -> None:
        self.bench.close()
        if self.tpm is not None:
            self.tpm.kill()


@pytest.fixture(params=["file", "passphrase", "systemd-credential", "tpm2"])
def home(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Home]:
    made = Home(str(request.param), tmp_path_factory.mktemp("m"))
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    yield made
    made.close()


def test_no_key_lies_outside_the_locked_pages(home: Home, seeing: Seeing) -> None:
    bench = home.bench
    peer = seeing(bench, shows(1))
    one = bench.enrolled("One", "11", None)
    peer.script = shows(2)
    bench.enrolled("Two", "12", None)
    home.nothing_stays("two enrolments", home.keys())
    peer.script = shows(1)
    assert bench.walk_up()["reason"] == "matched"
    assert bench.tap("11")["relay"]
    bench.ask(control.BackupMake(f"gvr1-{_RECOVERY}"))
    home.nothing_stays("a walk-up, a tap and a backup", home.keys())
    before = home.keys()
    bench.ask(control.Purge(one))
    home.nothing_stays("a purge: the keys of before and of now", _both(before, home.keys()))
    before = home.keys()
    bench.ask(control.KeyRotate())
    home.nothing_stays("a rotation", _both(before, home.keys()))
    bench.ask(control.VaultLock())
    home.nothing_stays("a lock", home.keys())
    home.unlock()
    home.nothing_stays("an unlock", home.keys())


_RECOVERY = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"


def _both(before: dict[str, bytes], now: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{name}, before": key for name, key in before.items()} | now


def test_nor_does_the_key_that_a_holders_card_gave(quick: Bench, seeing: Seeing) -> None:
    """The card's number is what a reader typed, and is not looked for: the threat model says so."""
    quick.start(vision=False)
    peer = seeing(quick, shows(1))
    resident = quick.enrolled("One", LONG, None, KeyMode.HOLDER)
    key = holder_key(LONG, open_house_keys(quick.paths).record_id(resident)).reveal()
    needles = {"the holder's key": key}
    time.sleep(LATEST_S)
    assert Bytes(needles).found(snapshot(quick.pid)) == set(), "an enrolment"
    assert quick.tap(LONG)["relay"]
    peer.script = shows(1)
    quick.walk_up()
    time.sleep(LATEST_S)
    assert Bytes(needles).found(snapshot(quick.pid)) == set(), "a tap and a walk-up"


def test_this_program_never_makes_a_copy_of_a_key_that_cannot_be_wiped() -> None:
    calls = re.compile(r"\.reveal\(")
    sources = Path(gatevault.__file__).parent.rglob("*.py")
    assert [path.name for path in sources if calls.search(path.read_text(encoding="utf-8"))] == []
