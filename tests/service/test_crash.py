"""`kill -9` of the daemon at injected writes and syncs: afterwards all is before or after, never between.

The kill falls as the call is entered, so that this call and all later ones are not made. What a
process that dies leaves is in the kernel's hands; power cuts, which it cannot save, are played in `tests/power`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatevault.core import control
from gatevault.core.errors import DaemonDownError
from tests.bench import QUICK, Bench, configure, eventually, running
from tests.operations import CARD, OPERATIONS, WHOLE, Facts, Scene, enrolled, person, whole
from tests.service.tracing import attached, calls, killing, need_strace

SYSCALLS = ("pwrite64", "fdatasync", "ftruncate", "write", "fsync", "rename", "unlink", "sendto")
"""SQLite's and the snapshot's calls; `write` and `sendto` are the pins' trace and what the client hears as well."""


def _difference(before: Facts, after: Facts) -> Facts:
    return {name: after[name] - value if isinstance(value, int) else after[name] for name, value in before.items()}


def _with(before: Facts, change: Facts) -> Facts:
    return {
        name: value + change[name] if isinstance(value, int) else change[name] for name, value in before.items()
    }


@pytest.fixture
def scene(bench: Bench, tmp_path: Path) -> Iterator[Scene]:
    configure(bench.root, QUICK)
    scene = Scene(bench, tmp_path)
    scene.live()
    yield scene
    scene.dead()


def measure(scene: Scene, name: str) -> tuple[list[tuple[str, int]], Facts]:
    """Carry out one operation unharmed: every (syscall, n) at which it may be killed, and what it changes."""
    operation, output = OPERATIONS[name], scene.folder / "calls.txt"
    operation.prepare(scene)
    before, command = operation.facts(scene), operation.command(scene)
    with attached(scene.bench.pid, ["-e", f"trace={','.join(SYSCALLS)}"], output):
        scene.bench.ask(command)
    change = _difference(before, operation.facts(scene))
    assert change != _difference(before, before), f"{name} changes nothing"
    points = [(call, n) for call, count in sorted(calls(output).items()) for n in range(1, count + 1)]
    return points, change


def spread(points: list[tuple[str, int]], count: int) -> list[tuple[str, int]]:
    """`count` of the points: the first write of all, each syscall's first while there is room, and evenly on."""
    first = [(call, 1) for call in ("pwrite64", *sorted({call for call, _ in points} - {"pwrite64"}))][: count // 2]
    rest = [point for point in points if point not in first]
    more = count - len(first)
    return first + [rest[(2 * i + 1) * len(rest) // (2 * more)] for i in range(more)]


def kill_at(scene: Scene, name: str, call: str, n: int, change: Facts) -> bool:
    """Kill the daemon in an operation, restart it and check everything; whether the operation took place."""
    bench, operation = scene.bench, OPERATIONS[name]
    operation.prepare(scene)
    before, command = operation.facts(scene), operation.command(scene)
    answered = False
    scene.done.append(f"{name} at {call} {n}")
    with attached(bench.pid, killing(call, n), scene.folder / "killed.txt"):
        try:
            bench.ask(command)
            answered = True
        except DaemonDownError:
            bench.ended()
    scene.dead()
    eventually(lambda: bench.values("relay")[-1:] in ([], [0]), 4.0)
    scene.live()
    scene.settled()
    after = operation.facts(scene)
    story = f"after {scene.done[-3:]}: answered {answered}"
    assert after in (before, _with(before, change)), f"between, {story}: {before} {after}"
    if answered:
        assert after == _with(before, change), f"an answered operation was lost, {story}"
    whole(scene, story)
    return after != before


# 7 + 6 + 7 + 8: twenty-eight in `make test`.
@pytest.mark.timeout(170)
@pytest.mark.parametrize(("name", "count"), [("enrol", 7), ("purge", 6), ("withdraw", 7), ("key-move", 8)])
def test_killed_anywhere_an_operation_took_place_or_did_not(scene: Scene, name: str, count: int) -> None:
    points, change = measure(scene, name)
    assert {"pwrite64", "fdatasync"} <= {call for call, _ in points}
    took_place = [kill_at(scene, name, call, n, change) for call, n in spread(points, count)]
    assert True in took_place and False in took_place, "the kills all fell on one side"


@pytest.mark.nightly
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", WHOLE)
def test_killed_at_every_write_and_sync(scene: Scene, name: str) -> None:
    """Every call of every operation: well over two hundred kills together."""
    points, change = measure(scene, name)
    for call, n in points:
        kill_at(scene, name, call, n, change)
    assert len(scene.done) == len(points)


@pytest.mark.parametrize("name", ["enrol", "withdraw"])
def test_what_was_answered_survives_a_kill_at_once(scene: Scene, name: str) -> None:
    operation = OPERATIONS[name]
    operation.prepare(scene)
    before = scene.facts()
    scene.bench.ask(operation.command(scene))
    scene.bench.kill9()
    scene.dead()
    scene.live()
    scene.settled()
    kind = {"enrol": "enrolled", "withdraw": "consent-withdrawn"}[name]
    after = scene.facts()
    assert after[kind] == before[kind] + 1
    assert after["template"] == {"enrol": "active", "withdraw": "none"}[name]
    whole(scene, "killed after the answer")


@pytest.mark.parametrize("again", [1, 3, 6])
def test_killed_again_while_it_finishes_what_a_kill_left(scene: Scene, again: int) -> None:
    """The vault has forgotten the template, the ledger does not know yet; the next start dies as well."""
    _, change = measure(scene, "withdraw")
    enrolled(scene)
    before, command = scene.facts(), OPERATIONS["withdraw"].command(scene)
    with attached(scene.bench.pid, killing("ftruncate", 2), scene.folder / "killed.txt"):
        with pytest.raises(DaemonDownError):
            scene.bench.ask(command)
        scene.bench.ended()
    scene.dead()
    assert scene.bench.todos() == 1
    # Started under strace: no right to attach is needed, and its calls count from the first.
    first = [need_strace(), "-f", "-qq", "-o", str(scene.folder / "again.txt"), *killing("fdatasync", again)]
    run = [*first, sys.executable, "-m", "gatevault", "run", "--state", str(scene.bench.root)]
    died = subprocess.run(run, check=False, capture_output=True, timeout=60)
    assert died.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), died.stderr
    scene.live()
    assert scene.facts() == _with(before, change)
    whole(scene, "killed twice")


# --- the relay -----------------------------------------------------------------------------------


def test_killed_while_the_gate_is_open_the_guard_closes_it(scene: Scene) -> None:
    """Within 2 s (allowed to be 4 s on a loaded machine) another process than the dead one releases."""
    bench = scene.bench
    person(scene)
    guards = _children(bench.pid)
    bench.tap(CARD)
    opened = bench.edges("relay")[-1]
    assert (opened.value, opened.pid) == (1, bench.pid)
    killed = time.monotonic_ns()
    bench.kill9()
    released = eventually(lambda: [e for e in bench.edges("relay") if e.ns >= opened.ns and e.value == 0])[0]
    assert released.pid != opened.pid
    assert released.pid in guards
    assert released.ns - killed < 2 * 2_000_000_000
    eventually(lambda: not any(running(guard) for guard in guards))
    scene.dead()
    scene.live()
    assert bench.values("relay")[-1] == 0, "a restart does not open the gate"
    assert bench.status()["door"]["door"] == "locked"
    whole(scene, "killed while the gate was open")


def test_killed_while_an_admin_holds_the_door_the_guard_closes_it(scene: Scene) -> None:
    assert scene.bench.ask(control.DoorUnlock())["relay"] is True
    os.kill(scene.bench.pid, signal.SIGKILL)
    eventually(lambda: scene.bench.values("relay")[-1] == 0, 4.0)
    scene.dead()
    scene.live()
    assert scene.bench.status()["door"]["door"] == "locked"


def test_a_stop_releases_by_itself_and_needs_no_guard(scene: Scene) -> None:
    """SIGTERM during a pulse: released at once by the daemon, and no edge of another process."""
    bench = scene.bench
    person(scene)
    bench.tap(CARD)
    daemon = bench.pid
    assert bench.stop() == 0
    edges = bench.edges("relay")
    assert [e.value for e in edges][-2:] == [1, 0]
    assert {e.pid for e in edges} == {daemon}
    assert edges[-1].ns - edges[-2].ns < 2_500_000_000, "not the pulse's own end"
    assert "Traceback" not in bench.log()
    last = {role: bench.values(role)[-1:] for role in ("relay", "privacy_led", "granted_led", "buzzer")}
    assert all(value in ([], [0]) for value in last.values()), last


def _children(pid: int) -> set[int]:
    return {
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    }
