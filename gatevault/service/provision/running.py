"""The gate started, and what is done through it: the camera aimed, the records made."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from gatevault.core import control
from gatevault.core.aiming import Advice, Sighting
from gatevault.core.errors import ConflictError, DaemonDownError, GateVaultError
from gatevault.core.site import SiteKind
from gatevault.service.client import ask
from gatevault.service.installer_key import key_file, signed
from gatevault.service.provision.talk import Talk

START_S: Final = 60.0
"""How long a gate may take to answer: some seconds on a Pi."""

STOP_S: Final = 20.0

SETUP: Final = Path("/usr/local/sbin/gatevault-setup")
"""The installer, as it stays on a gate."""

SETUP_S: Final = 150.0
"""How long it may take: it waits itself until the gate is well."""


def answers(root: Path) -> bool:
    """Whether a daemon answers."""
    try:
        ask(root, control.Status(), lambda text: None)
    except DaemonDownError:
        return False
    return True


@contextlib.contextmanager
def gate_running(root: Path, talk: Talk, *, bench: bool) -> Iterator[bool]:
    """Have a daemon on this state: the one that runs, or one that is started. False where there is none.

    A bench's own daemon ends with the wizard; a gate's goes on.
    """
    if answers(root):
        yield True
        return
    if not bench:
        yield _start_units(root, talk)
        return
    command = [sys.executable, "-P", "-m", "gatevault", "run", "--state", str(root.absolute())]
    daemon = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield _await(root, daemon, talk)
    finally:
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(STOP_S)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def _start_units(root: Path, talk: Talk) -> bool:
    systemctl = shutil.which("systemctl")
    booted = Path("/run/systemd/system").is_dir()
    if systemctl is None or not booted or os.geteuid() != 0 or not talk.wants("start.gate", "start-now"):
        talk.say("start-by-hand")
        return False
    # The installer's own way also gives the unit what this key provider needs; it says itself what went wrong.
    starts = [str(SETUP), "--start"] if SETUP.exists() else [systemctl, "start", "gatevault.target"]
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(starts, check=False, timeout=SETUP_S)
    return _await(root, None, talk)


def _await(root: Path, daemon: subprocess.Popen[bytes] | None, talk: Talk) -> bool:
    """Wait until the daemon answers; where it does not, that is said."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if daemon is not None and daemon.poll() is not None:
            break
        if answers(root):
            return True
        time.sleep(0.2)
    talk.say("not-started")
    return False


def seeing(root: Path, limit_s: float = START_S) -> bool:
    """Wait until vision is there; False where it does not come."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        vision = ask(root, control.Status(), lambda text: None)["vision"]
        if vision["state"] == "ok":
            return True
        if vision["state"] == "fault":
            return False
        time.sleep(0.3)
    return False


def unlock(root: Path, passphrase: memoryview, talk: Talk) -> None:
    """Open a vault whose passphrase was just typed, for the first time."""
    with contextlib.suppress(ConflictError):  # it is open already
        ask(root, control.VaultUnlock(passphrase), lambda text: None)
    talk.say("unlocked")


class _EnoughError(Exception):
    """Enter was pressed: the aim is good enough."""


class _Watch:
    """Hears the look and counts along, for the person who ends it before its time."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._counts: Counter[str] = Counter()
        self._last: dict[str, Any] | None = None

    def __call__(self, text: str) -> None:
        with contextlib.suppress(msgspec.DecodeError):
            sighting = msgspec.json.decode(text, type=Sighting)
            self._last = msgspec.to_builtins(sighting)
            self._counts[sighting.advice.value] += 1
        self._talk.progress(text)
        if self._talk.watched(0.0):
            raise _EnoughError

    def seen(self) -> dict[str, Any]:
        """As `aiming.aim` answers, of the frames that were shown."""
        frames = self._counts.total()
        return {"frames": frames, "good": self._counts[Advice.GOOD.value], "last": self._last}


def aim(root: Path, talk: Talk, seconds: int, camera: str | None) -> dict[str, Any] | None:
    """Aim the camera through the daemon; what was seen in numbers, None where nothing was."""
    try:
        if not seeing(root):
            talk.say("aim-failed", why=ask(root, control.Status(), lambda text: None)["vision"].get("reason", "-"))
            return None
        command = signed(control.Aim(seconds, camera), key_file(root, None))
        watch = _Watch(talk)
        try:
            seen = ask(root, command, watch)
        except _EnoughError:  # the connection is closed, and with it the camera
            seen = watch.seen()
    except GateVaultError as error:
        talk.say("aim-failed", why=error)
        return None
    talk.say("aim-done", good=seen["good"], frames=seen["frames"])
    return seen


def record(root: Path, kind: SiteKind, fields: dict[str, str]) -> str:
    """Keep an impact assessment or a sign, in the installer's name; whether faces are on. GateVaultError."""
    plain = {"t": "site-record", "kind": kind.value, **fields}
    command = signed(msgspec.convert(plain, control.SiteRecord), key_file(root, None))
    return str(ask(root, command, lambda text: None)["faces"])
