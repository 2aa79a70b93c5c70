"""A bench under test: a real state, the real daemon and its vision as processes, and what they leave behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from gatevault.core import control
from gatevault.core.consent import KeyMode
from gatevault.core.errors import DaemonDownError, GateVaultError
from gatevault.devices.trace import Edge, read_trace
from gatevault.service.client import ask
from gatevault.service.state import StatePaths

PATIENCE_S = 30.0
"""How long a test waits for what has no limit of its own: a loaded machine is no fault."""

QUICK = '\n[gate]\nname = "bench"\nboard = "bench"\nstart_vision = false\n'
"""Settings of a bench whose vision the test plays itself."""

T = TypeVar("T")


def eventually(what: Callable[[], T], limit_s: float = PATIENCE_S) -> T:
    """The first true answer; the last answer, asserted, once the limit has passed."""
    deadline = time.monotonic() + limit_s
    while not (answer := what()):
        assert time.monotonic() < deadline, f"it did not come to hold in {limit_s} s; last: {answer!r}"
        time.sleep(0.02)
    return answer


def running(pid: int) -> bool:
    """Whether the process is there and no zombie (in a container nobody may reap orphans)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gatevault(*arguments: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    """The command as people type it."""
    command = [sys.executable, "-m", "gatevault", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **more)


def in_background(work: Callable[[], Any]) -> Callable[[], Any]:
    """Start something now; the function returned waits for its answer."""
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()

    def answer() -> Any:
        thread.join(60)
        return answers[0]

    return answer


class Bench:
    """One bench state and its daemon. Close it with `close`, whatever became of it."""

    def __init__(self, root: Path, before: Sequence[str] = ()) -> None:
        """`before`: a command line that the daemon is run by (`unshare …`, `strace …`)."""
        self.root = root
        self.paths = StatePaths(root)
        self.before = tuple(before)
        self.process: subprocess.Popen[bytes] | None = None
        self.log_file = root.with_name(f"{root.name}.log")
        self.said: list[str] = []

    @property
    def vault_key(self) -> Path:
        """Where the key provider `file` keeps its secret."""
        return self.paths.keys / "vault.key"

    # --- the process -------------------------------------------------------------------------

    def start(self, *, vision: bool = True, **environment: str) -> Bench:
        """Start the daemon and wait until it answers, and its vision (the real one) with it."""
        self.spawn(**environment)
        eventually(self.up)
        if vision:
            self.see()
        return self

    def spawn(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start the daemon and do not wait."""
        assert self.process is None or self.process.poll() is not None, "it runs already"
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.before, sys.executable, "-m", "gatevault", "run", "--state", str(self.root)],
                stderr=log,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **environment},
            )
        return self.process

    def up(self) -> bool:
        """Whether the daemon answers; an assertion where it has ended."""
        assert self.process is not None and self.process.poll() is None, f"the daemon ended: {self.log()}"
        try:
            self.status()
        except DaemonDownError:
            return False
        return True

    def see(self, limit_s: float = PATIENCE_S) -> int:
        """Wait until vision is there and the gallery is open; vision's pid."""
        eventually(lambda: self.status()["vision"]["state"] == "ok", limit_s)
        return int(self.status()["vision"]["pid"])

    @property
    def pid(self) -> int:
        """The daemon's own pid, also where it was started by another command."""
        assert self.process is not None
        pid = self.process.pid
        while self.before and b"gatevault" not in _program(pid):
            pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        return pid

    def stop(self) -> int:
        """End the daemon as systemd does; its exit status."""
        assert self.process is not None
        os.kill(self.pid, signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def kill9(self) -> None:
        assert self.process is not None
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    def ended(self) -> int:
        """Wait for a daemon that ends by itself; its exit status."""
        assert self.process is not None
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill9()

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    # --- commands ----------------------------------------------------------------------------

    def ask(self, command: control.Command) -> dict[str, Any]:
        """The daemon's answer, or the error that it refused with."""
        return ask(self.root, command, self.said.append)

    def refused(self, command: control.Command) -> GateVaultError:
        """The error that the daemon refuses a command with."""
        try:
            answer = self.ask(command)
        except GateVaultError as error:
            assert "\n" not in str(error) and str(error)
            assert "defect" not in str(error), self.log()
            return error
        raise AssertionError(f"not refused: {answer}")

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return gatevault(*arguments, "--state", self.root)

    def json(self, *arguments: str) -> dict[str, Any]:
        """The `--json` answer of a command that succeeds."""
        done = self.cli(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def status(self) -> dict[str, Any]:
        return self.ask(control.Status())

    def add(self, name: str, *cards: str, born: str | None = None) -> str:
        """A resident with cards; their pseudonym."""
        resident = str(self.ask(control.ResidentAdd(name, born))["resident"])
        for card in cards:
            self.ask(control.CardAdd(resident, card))
        return resident

    def consent(
        self, resident: str, card: str, language: str = "en", mode: KeyMode = KeyMode.DEVICE
    ) -> control.ConsentGive:
        """The command that a terminal sends once today's notice was shown."""
        shown = self.ask(control.Notice(language))
        return control.ConsentGive(resident, language, shown["sha256"], card, mode)

    def enrolled(self, name: str, card: str, camera: str | None, mode: KeyMode = KeyMode.DEVICE) -> str:
        """A resident who consented and is enrolled."""
        resident = self.add(name, card)
        self.ask(self.consent(resident, card, mode=mode))
        self.ask(control.Enrol(resident, camera, card if mode is KeyMode.HOLDER else None))
        return resident

    def tap(self, card: str) -> dict[str, Any]:
        return self.ask(control.Tap(card))

    def walk_up(self, camera: str | Path | None = None) -> dict[str, Any]:
        return self.ask(control.WalkUp(None if camera is None else str(camera)))

    def template(self, resident: str) -> str:
        return str(self.ask(control.ResidentShow(resident))["template"])

    def standing(self, resident: str) -> str:
        return str(self.ask(control.ResidentShow(resident))["consent"])

    # --- what is left behind -----------------------------------------------------------------

    def entries(self) -> list[dict[str, Any]]:
        """The whole ledger."""
        entries: list[dict[str, Any]] = []
        while page := self.ask(control.LedgerExport(len(entries)))["entries"]:
            entries += [{**sheet["header"], "payload": sheet.get("payload")} for sheet in page]
        return entries

    def count(self, kind: str) -> int:
        """Ledger entries of one type."""
        return sum(entry["type"] == kind for entry in self.entries())

    def edges(self, *roles: str) -> list[Edge]:
        """The pins' edges so far, of these roles."""
        return [edge for edge in read_trace(self.paths.trace) if not roles or edge.role in roles]

    def values(self, role: str) -> list[int]:
        return [edge.value for edge in self.edges(role)]

    def rows(self, name: str, query: str) -> list[tuple[Any, ...]]:
        """Read a database as an auditor would, beside the daemon."""
        connection = sqlite3.connect(f"file:{self.root / name}?mode=ro", uri=True)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def todos(self) -> int:
        """Operations that are owed to the ledger or the vault."""
        return int(self.rows("registry.db", "SELECT count(*) FROM todo")[0][0])

    def unmatched(self) -> int:
        """Faces that nobody matched, of all days."""
        return sum(self.ask(control.LedgerVerify())["unmatched_faces"].values())


def copied(state: Path, to: Path) -> Path:
    """A copy of a stopped state; the sockets of its last daemon stay behind."""
    return Path(shutil.copytree(state, to, ignore=shutil.ignore_patterns("*.sock"), copy_function=_copy))


def _copy(source: str, to: str) -> str:
    """Models, 22 MB each, are linked where they can be: nobody writes into them."""
    if Path(source).parent.name == "models":
        try:
            os.link(source, to)
        except OSError:  # another file system
            shutil.copy2(source, to)
        return to
    return str(shutil.copy2(source, to))


def configure(root: Path, text: str) -> None:
    """Replace the settings of a state; enrolment from one photograph stays as `init --bench` set it."""
    StatePaths(root).config.write_text(text + "\n[enrolment]\nmin_captures = 1\n")


def _program(pid: int) -> bytes:
    """`gatevault` for the daemon itself, also where a script runs it, and not for strace or unshare before it."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    run = [b"-m", b"gatevault", b"run"]
    is_it = b"python" in command[0] and any(command[at : at + 3] == run for at in range(1, len(command)))
    return b"gatevault" if is_it else b""
