"""The guard, with real processes: a killed daemon's relay is released, a clean end leaves no edge."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gpiod
import msgspec
import pytest

from gatevault.core.board import Board
from gatevault.core.errors import DeviceError
from gatevault.devices import guard as module
from gatevault.devices.guard import release_now, start_guard
from gatevault.devices.trace import read_trace
from tests.devices.fakes import FakeChip, eventually

DAEMON = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
from pathlib import Path
import msgspec
from gatevault.core.board import Board
from gatevault.devices.guard import start_guard
from gatevault.devices.pins import open_pins
from gatevault.devices.relay import Relay

board = msgspec.json.decode(sys.argv[1], type=Board)
trace = Path(sys.argv[2])
guard = start_guard(board, bench=True, trace=trace)
factory = open_pins(board, bench=True, trace=trace)
relay = Relay(board.relay, factory)
relay.energise(None)
print(guard.pid, flush=True)
sys.stdin.readline()
relay.close()
factory.close()
guard.close()
"""


@pytest.fixture
def daemon(board: Board, trace: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process with an energised bench relay, and its guard's pid."""
    process = subprocess.Popen(
        [sys.executable, "-c", DAEMON, msgspec.json.encode(board).decode(), str(trace)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stdin is not None
    yield process, int(process.stdout.readline())
    process.kill()
    process.communicate()


def running(pid: int) -> bool:
    """Whether the process is there and no zombie (in a container nobody may reap orphans)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def values(trace: Path) -> list[int]:
    return [e.value for e in read_trace(trace) if e.role == "relay"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV], ids=["kill-9", "segfault"])
def test_a_daemon_that_dies_has_its_relay_released(
    daemon: tuple[subprocess.Popen[str], int], trace: Path, how: signal.Signals
) -> None:
    process, guard = daemon
    assert values(trace) == [1]
    process.send_signal(how)
    eventually(lambda: values(trace) == [1, 0])
    eventually(lambda: not running(guard))
    assert read_trace(trace)[-1].pid == guard


def test_a_clean_end_leaves_no_edge_of_the_guard(daemon: tuple[subprocess.Popen[str], int], trace: Path) -> None:
    process, guard = daemon
    process.communicate("\n", timeout=60)
    assert process.returncode == 0
    assert not running(guard)
    assert values(trace) == [1, 0]
    assert {e.pid for e in read_trace(trace)} == {process.pid}


def test_the_guard_outlives_a_signal_to_everybody(daemon: tuple[subprocess.Popen[str], int], trace: Path) -> None:
    """systemd stops a service by a SIGTERM to all of its processes; a terminal by SIGINT."""
    process, guard = daemon
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(guard, number)
    assert os.getsid(guard) != os.getsid(process.pid)
    assert running(guard)
    os.killpg(process.pid, signal.SIGKILL)
    eventually(lambda: values(trace) == [1, 0])


def test_other_children_do_not_hold_the_pipe(full: Board, trace: Path) -> None:
    guard = start_guard(full, bench=True, trace=trace)
    with subprocess.Popen(["sleep", "600"]) as other:
        pipe = guard._process.stdin
        assert pipe is not None and not os.get_inheritable(pipe.fileno())
        pipe.close()  # as the kernel does at the daemon's death
        assert guard._process.wait(60) == 0
        other.kill()
    assert values(trace) == [0]


def test_a_guard_that_is_killed_is_seen(full: Board) -> None:
    guard = start_guard(full, bench=True)
    assert guard.alive
    os.kill(guard.pid, signal.SIGKILL)
    eventually(lambda: not guard.alive)
    guard.close()
    guard.close()


def test_a_guard_that_does_not_start_is_an_error(full: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.sys, "executable", "/bin/false")
    with pytest.raises(DeviceError, match="does not start"):
        start_guard(full, bench=True)


def test_the_guard_stays_small() -> None:
    code = "import sys, gatevault.devices.guard; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "cv2", "gpiozero", "nacl", "sqlite3"} & set(loaded)


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> FakeChip:
    chip = FakeChip()
    monkeypatch.setattr(gpiod, "request_lines", chip.request_lines)
    return chip


def test_production_drives_the_released_level(board: Board, chip: FakeChip) -> None:
    release_now(board, bench=False)
    assert chip.levels == {board.relay.pin: not board.relay.active_high}
    assert chip.asked[0]["path"] == board.gpiochip
    assert not chip.held


def test_production_waits_for_the_line_of_the_dead(
    full: Board, chip: FakeChip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    chip.busy = 5
    release_now(full, bench=False, patience_s=600)
    assert chip.levels == {17: False}


def test_production_says_when_it_cannot(full: Board, chip: FakeChip) -> None:
    chip.busy = 10**9
    with pytest.raises(DeviceError, match="another process holds it"):
        release_now(full, bench=False, patience_s=0.0)
    chip.unplug()
    with pytest.raises(DeviceError, match="No such file"):
        release_now(full, bench=False)


def test_a_bench_touches_no_chip(full: Board, chip: FakeChip, trace: Path) -> None:
    release_now(full, bench=True, trace=trace)
    release_now(full, bench=True)
    assert chip.asked == []
    assert values(trace) == [0]


def release_by_command(given: bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "gatevault.devices.guard", "--release", *options]
    return subprocess.run(command, input=given, capture_output=True, check=False, timeout=120)


def test_release_as_a_command(full: Board, trace: Path) -> None:
    done = release_by_command(msgspec.json.encode(full), "--bench", "--trace", str(trace))
    assert done.returncode == 0
    assert values(trace) == [0]
    missing = msgspec.structs.replace(full, gpiochip="/dev/gpiochip999")
    failed = release_by_command(msgspec.json.encode(missing))
    assert failed.returncode == 1
    assert b"cannot be released" in failed.stderr


@pytest.mark.parametrize("given", [b"", b"{}", b"no json", b"x" * 100_000], ids=["none", "empty", "text", "long"])
def test_a_guard_without_a_board_ends(given: bytes) -> None:
    failed = release_by_command(given, "--bench")
    assert failed.returncode == 1
    assert b"no board profile" in failed.stderr


def test_options_carry_an_absolute_trace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert module._options(bench=True, trace=Path("pins.jsonl"))[-1] == str(tmp_path / "pins.jsonl")
