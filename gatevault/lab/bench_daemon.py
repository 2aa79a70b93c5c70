"""A bench of one's own: a fresh state, the real daemon and its vision process, for as long as a `with` lasts.

Everything goes through the `gatevault` command, as an operator would type it, so what is shown or
measured is the running system and nothing else.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final, Self

from gatevault.core.errors import GateVaultError
from gatevault.devices.trace import Edge, read_trace

START_S: Final = 60.0
"""Longest wait for daemon and vision; a Pi loads dlib's network in some seconds."""

STOP_S: Final = 20.0
"""How long SIGTERM may take before the daemon is killed."""

CALL_S: Final = 300.0
"""Longest command; an enrolment looks for up to a minute."""

_COMMAND: Final = (sys.executable, "-m", "gatevault")


class RefusedError(GateVaultError):
    """The running system refused a command; `code` is its error's own."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Bench:
    """`with Bench() as bench:` starts a daemon on a new bench state; leaving stops it and removes both."""

    def __init__(self) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="gatevault-bench-", ignore_cleanup_errors=True)
        self._daemon: subprocess.Popen[bytes] | None = None
        self._previous: Any = None
        self.state = Path(self._home.name) / "state"

    @property
    def pid(self) -> int | None:
        """The daemon's process id."""
        return self._daemon.pid if self._daemon else None

    def __enter__(self) -> Self:
        """Make the state, start the daemon and wait until its vision is ready. GateVaultError."""
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, _leave)  # else a daemon would outlive us
        try:
            self.call("init", "--bench")
            with self._log.open("wb") as log:
                self._daemon = subprocess.Popen(
                    [*_COMMAND, "run", "--state", str(self.state)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is for us, who then stop it
                )
            self._await_vision()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(self, *arguments: str) -> dict[str, Any]:
        """Run `gatevault ARGUMENTS --json` on this state and return its answer.

        RefusedError with the command's own sentence where it fails.
        """
        try:
            done = subprocess.run(
                [*_COMMAND, *arguments, "--state", str(self.state), "--json"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=CALL_S,
                check=False,
            )
            body: dict[str, Any] = json.loads(done.stdout)
        except subprocess.TimeoutExpired:
            raise GateVaultError(f"`gatevault {arguments[0]}` did not answer within {CALL_S:.0f} s.") from None
        except ValueError:
            raise GateVaultError(f"`gatevault {arguments[0]}` failed: {_last_line(done.stderr)}") from None
        if done.returncode and "error" in body:
            raise RefusedError(body["error"], body["message"])
        return body

    def edges(self) -> list[Edge]:
        """What the mock pins did so far; times are CLOCK_MONOTONIC."""
        return read_trace(self.state / "bench" / "pins.jsonl")

    def close(self) -> None:
        """Stop the daemon and remove the state. May be called twice."""
        daemon, self._daemon = self._daemon, None
        if daemon is not None:
            daemon.terminate()
            try:
                daemon.wait(STOP_S)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._home.cleanup()
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)
            self._previous = None

    @property
    def _log(self) -> Path:
        return Path(self._home.name) / "daemon.log"

    def _await_vision(self) -> None:
        deadline = time.monotonic() + START_S
        while self._daemon is not None and self._daemon.poll() is None:
            try:
                if self.call("status")["vision"]["state"] == "ok":
                    return
            except RefusedError as error:
                if error.code != "daemon-down":
                    raise
            if time.monotonic() > deadline:
                raise GateVaultError(f"The bench was not ready within {START_S:.0f} s: {self._last_words()}")
            time.sleep(0.1)
        raise GateVaultError(f"The bench's daemon ended at its start: {self._last_words()}")

    def _last_words(self) -> str:
        return _last_line(self._log.read_text(errors="replace"))


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing."


def _leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)
