"""The relay's guard: a small process that releases the relay when the daemon dies.

A killed process runs no code, and the Raspberry Pi's kernel leaves a freed GPIO output driven as
it was (raspberrypi/linux pull requests 6117 and 6150): `kill -9` during a grant would leave the
gate open. So before the relay is claimed the daemon starts this process, which waits on a pipe
whose other end only the daemon holds:

    daemon -> guard   the board profile, one line of JSON
    guard -> daemon   b"r": ready
    daemon -> guard   b"q": a clean end, the relay is released already; the guard just exits
    end of file       the daemon is dead: release the relay, then exit

It speaks to the chip through gpiod and not lgpio: lgpio needs a writable directory, where the FIFOs
of two processes collide, and the guard must work where disks are full.

`python -m gatevault.devices.guard --release`, with the profile as JSON on standard input, releases
once and exits (0 released, 1 not): for systemd's ExecStopPost.
"""

from __future__ import annotations

import argparse
import errno
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType, ModuleType
from typing import Final

import msgspec

from gatevault.core.board import Board
from gatevault.core.errors import DeviceError
from gatevault.devices.trace import Trace

READY_LIMIT_S: Final = 30.0
"""How long a guard may take to start: about a second on a Pi, more under load."""

PATIENCE_S: Final = 2.0
"""How long to wait for the kernel to free the line of the dead process, in seconds."""

PAUSE_S: Final = 0.02
MAX_PROFILE: Final = 65_536
"""Longest profile accepted, in bytes; real ones have under 2,000."""

READY: Final = b"r"
QUIT: Final = b"q"


class Guard:
    """The daemon's handle on its guard. Hold it as long as the relay is in use."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        """False where somebody killed the guard: start another."""
        return self._process.poll() is None

    def close(self, limit_s: float = 5.0) -> None:
        """End the guard without a release: call it after the relay is closed. May be called twice."""
        pipe = self._process.stdin
        if pipe is not None and not pipe.closed:
            try:
                os.write(pipe.fileno(), QUIT)
            except BrokenPipeError:
                pass  # it is gone already
            finally:
                pipe.close()
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def start_guard(board: Board, *, bench: bool, trace: Path | None = None) -> Guard:
    """Start the guard of `board` and wait until it watches. Raises DeviceError where it does not.

    Call it before the relay is claimed. Popen's pipe is closed on exec, so no other child (the
    vision process) inherits the write end and keeps the guard waiting for a dead daemon; a bare
    `os.fork` would, and nothing here forks.
    """
    command = [sys.executable, "-P", "-m", "gatevault.devices.guard", *_options(bench=bench, trace=trace)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        cwd="/",
        # Its own session: a terminal's Ctrl-C or a kill of the daemon's process group passes it by.
        start_new_session=True,
    )
    guard = Guard(process)
    assert process.stdin is not None and process.stdout is not None  # noqa: S101
    try:
        process.stdin.write(msgspec.json.encode(board) + b"\n")
        ready, _, _ = select.select([process.stdout], [], [], READY_LIMIT_S)
        heard = process.stdout.read(1) if ready else b""
    except OSError:
        heard = b""
    finally:
        process.stdout.close()
    if heard != READY:
        process.kill()
        guard.close()
        raise DeviceError("the relay's guard process does not start: see its message in the log")
    return guard


def release_now(board: Board, *, bench: bool, trace: Path | None = None, patience_s: float = PATIENCE_S) -> None:
    """Drive the relay of `board` to released. On a bench, record that edge in `trace`.

    In production the line may still be held by a process that is just dying: tried again for
    `patience_s` seconds, then DeviceError.
    """
    relay = board.relay
    if bench:
        if trace is not None:
            record = Trace(trace)
            record.edge("relay", relay.pin, on=False)
            record.close()
        return
    gpiod = _gpiod()
    settings = gpiod.LineSettings(
        direction=gpiod.line.Direction.OUTPUT,
        active_low=not relay.active_high,
        output_value=gpiod.line.Value.INACTIVE,
    )
    deadline = time.monotonic() + patience_s
    while True:
        try:
            request = gpiod.request_lines(board.gpiochip, {relay.pin: settings}, consumer="gatevault-guard")
        except (OSError, ValueError) as error:
            busy = isinstance(error, OSError) and error.errno in (errno.EBUSY, errno.EAGAIN)
            if busy and time.monotonic() < deadline:
                time.sleep(PAUSE_S)
                continue
            why = "another process holds it" if busy else str(error)
            raise DeviceError(f"the relay on {board.gpiochip} cannot be released: {why}") from error
        request.release()
        return


def _gpiod() -> ModuleType:
    try:
        import gpiod
        import gpiod.line
    except ImportError as error:
        raise DeviceError("gpiod, which releases the relay, is not there: pip install 'gpiod>=2.5'") from error
    return gpiod


def main(arguments: list[str] | None = None) -> int:
    """Run as the guard, or with `--release` release once. Give the exit status."""
    parser = argparse.ArgumentParser(prog="gatevault.devices.guard")
    parser.add_argument("--release", action="store_true")
    parser.add_argument("--bench", action="store_true")
    parser.add_argument("--trace", type=Path)
    options = parser.parse_args(arguments)
    if not options.release:
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(name, _ignore)
    try:
        board = _read_board()
        if options.release or _daemon_died(bench=options.bench):
            release_now(board, bench=options.bench, trace=options.trace)
    except DeviceError as error:
        os.write(2, f"gatevault guard: {error}\n".encode())
        return 1
    return 0


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """A stop of the whole service reaches the guard too: it leaves when the daemon has left."""


def _read_board() -> Board:
    text = b""
    while not text.endswith(b"\n") and len(text) <= MAX_PROFILE:
        # One byte at a time: what follows the line belongs to the watch.
        byte = os.read(0, 1)
        if not byte:
            break
        text += byte
    try:
        return msgspec.json.decode(text, type=Board)
    except msgspec.DecodeError as error:
        raise DeviceError("the guard was given no board profile") from error


def _daemon_died(*, bench: bool) -> bool:
    """Say that the guard is ready, wait, and give how the daemon ended: True without a word."""
    if not bench:
        _gpiod()  # find out now, not at the death
    os.write(1, READY)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 1)
    os.close(nothing)
    return os.read(0, 1) != QUIT


def _options(*, bench: bool, trace: Path | None) -> list[str]:
    options = ["--bench"] if bench else []
    if trace is not None:
        options += ["--trace", str(trace.absolute())]
    return options


if __name__ == "__main__":
    sys.exit(main())
