"""A vault whose key systemd delivers: `init` and the real daemon, run as `systemd/drop-ins/credential.conf` has it.

systemd itself is not running here. Its part is played by its own program: `systemd-creds` encrypts a key as an
installer does, under a host key of the test's, and decrypts it into the directory that the daemon is told of.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gatevault.core import control
from gatevault.vault.providers.credential import CREDENTIAL, STAND_IN
from tests.bench import QUICK, Bench, gatevault
from tests.service.peer import Peer, Script, shows

Seeing = Callable[[Bench, Script], Peer]
ENCRYPTED, PLAIN = "encrypted by systemd-creds", "a plain file"


@dataclass
class Unit:
    """What systemd does for a unit: a credential at rest, and a directory that it is delivered in."""

    folder: Path
    encrypts: bool

    @property
    def delivered(self) -> Path:
        return self.folder / "delivered"

    @property
    def environment(self) -> dict[str, str]:
        return {"CREDENTIALS_DIRECTORY": str(self.delivered)}

    def make(self) -> None:
        """What the installer types, as the provider tells them to."""
        self.delivered.mkdir(mode=0o700)
        key = os.urandom(32)
        (self.folder / "credential").write_bytes(
            self._creds("encrypt", "-", "-", stdin=key) if self.encrypts else key
        )

    def deliver(self, content: bytes | None = None) -> None:
        """Before a start: the credential, or what stands in for it."""
        if content is None:
            content = (self.folder / "credential").read_bytes()
            if self.encrypts:
                content = self._creds("decrypt", str(self.folder / "credential"), "-")
        path = self.delivered / CREDENTIAL
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        path.chmod(0o400)

    def _creds(self, verb: str, *arguments: str, stdin: bytes = b"") -> bytes:
        done = subprocess.run(
            ["systemd-creds", "--newline=no", verb, f"--name={CREDENTIAL}", *arguments],
            input=stdin,
            capture_output=True,
            check=False,
            env=os.environ | {"SYSTEMD_CREDENTIAL_SECRET": str(self.folder / "host.key")},
        )
        if verb == "encrypt" and done.returncode != 0:
            pytest.skip(f"systemd-creds does not work here: {done.stderr.decode().strip()}")
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(params=[ENCRYPTED, PLAIN])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Unit:
    if request.param == ENCRYPTED and (os.geteuid() != 0 or shutil.which("systemd-creds") is None):
        pytest.skip("systemd-creds needs to be installed, and root")
    unit = Unit(tmp_path, request.param == ENCRYPTED)
    unit.make()
    unit.deliver()
    return unit


@pytest.fixture
def gate(unit: Unit, tmp_path: Path) -> Iterator[Bench]:
    root = tmp_path / "state"
    made = gatevault(
        *("init", "--bench", "--state", root, "--keys", "systemd-credential"), env=os.environ | unit.environment
    )
    assert made.returncode == 0, made.stderr
    bench = Bench(root)
    text = bench.paths.config.read_text()
    bench.paths.config.write_text(QUICK + text[text.index("[consent]") :])
    yield bench
    bench.close()


def started(bench: Bench, unit: Unit, seeing: Seeing) -> None:
    bench.start(vision=False, **unit.environment)
    seeing(bench, shows(1))


def restarted(bench: Bench, unit: Unit, seeing: Seeing, content: bytes | None = None) -> None:
    assert bench.stop() == 0
    unit.deliver(content)
    started(bench, unit, seeing)


def test_a_face_opens_under_a_key_that_systemd_delivered(gate: Bench, unit: Unit, seeing: Seeing) -> None:
    started(gate, unit, seeing)
    shown = gate.ask(control.KeyShow())
    assert (shown["provider"], shown["vault"], shown["rolls"]) == ("systemd-credential", "unlocked", False)
    one = gate.enrolled("One", "11", None)
    assert gate.walk_up()["resident"] == one
    restarted(gate, unit, seeing)
    assert gate.walk_up()["resident"] == one
    assert gate.ask(control.Purge(one))["certificate"]["certificate"]["keys_rotated"] is True
    assert gate.ask(control.VaultCheck())["ok"] is True


def test_without_its_credential_the_vault_is_locked_and_cards_open(gate: Bench, unit: Unit, seeing: Seeing) -> None:
    started(gate, unit, seeing)
    one = gate.enrolled("One", "11", None)
    for content, state in ((STAND_IN, "locked"), (bytes(32), "locked"), (b"cut short", "fault")):
        restarted(gate, unit, seeing, content)
        assert gate.status()["vault"]["state"] == state
        assert gate.walk_up()["decision"] == "deny"
        assert gate.tap("11")["relay"] is True
    restarted(gate, unit, seeing)
    assert gate.walk_up()["resident"] == one, "nothing was lost"


def test_the_key_moves_to_a_credential_and_from_it(gate: Bench, unit: Unit, seeing: Seeing) -> None:
    started(gate, unit, seeing)
    one = gate.enrolled("One", "11", None)
    for to in ("file", "systemd-credential"):
        assert gate.ask(control.KeyMove(to))["provider"] == to
        assert gate.walk_up()["resident"] == one
    restarted(gate, unit, seeing)
    assert gate.walk_up()["resident"] == one


def test_no_file_of_the_state_holds_the_key(gate: Bench, unit: Unit, seeing: Seeing) -> None:
    key = (unit.delivered / CREDENTIAL).read_bytes()
    started(gate, unit, seeing)
    gate.enrolled("One", "11", None)
    assert gate.stop() == 0
    for path in gate.root.rglob("*"):
        if path.is_file():
            held = path.read_bytes()
            assert key not in held and key.hex().encode() not in held, path
