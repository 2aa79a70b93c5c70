"""Killing the real daemon, the one at its n-th call of some kind, and telling whether all is before or after.

The kill falls as the call is entered, so that this call and all later ones are not made.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress

from gatevault.core.errors import DaemonDownError, GateVaultError
from tests.bench import Bench, eventually
from tests.operations import OPERATIONS, TPM_OPERATIONS, Facts, Operation, Scene, whole
from tests.service.tracing import attached, calls, killing, need_strace

SYSCALLS = ("pwrite64", "fdatasync", "ftruncate", "write", "fsync", "rename", "unlink", "sendto")
"""SQLite's and the snapshot's calls; `write` and `sendto` are the pins' trace and what the client hears as well."""

KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
"""Exit statuses of a command whose process was killed, its own and strace's."""

Point = tuple[str, int]
"""A call's name and which of them, counted in each thread."""


def operation_of(name: str) -> Operation:
    return (OPERATIONS | TPM_OPERATIONS)[name]


def difference(before: Facts, after: Facts) -> Facts:
    return {name: after[name] - value if isinstance(value, int) else after[name] for name, value in before.items()}


def changed(before: Facts, change: Facts) -> Facts:
    return {
        name: value + change[name] if isinstance(value, int) else change[name] for name, value in before.items()
    }


def measure(scene: Scene, name: str) -> tuple[list[Point], Facts]:
    """Carry out one operation unharmed: every point at which it may be killed, and what it changes."""
    operation, output = operation_of(name), scene.folder / "calls.txt"
    operation.prepare(scene)
    before, command = operation.facts(scene), operation.command(scene)
    with attached(scene.bench.pid, ["-e", f"trace={','.join(SYSCALLS)}"], output):
        scene.bench.ask(command)
    change = difference(before, operation.facts(scene))
    assert change != difference(before, before), f"{name} changes nothing"
    points = [(call, n) for call, count in sorted(calls(output).items()) for n in range(1, count + 1)]
    return points, change


def spread(points: list[Point], count: int) -> list[Point]:
    """`count` of the points: the first write of all, each syscall's first while there is room, and evenly on."""
    first = [(call, 1) for call in ("pwrite64", *sorted({call for call, _ in points} - {"pwrite64"}))][: count // 2]
    rest = [point for point in points if point not in first]
    more = count - len(first)
    return first + [rest[(2 * i + 1) * len(rest) // (2 * more)] for i in range(more)]


def kill_at(scene: Scene, name: str, point: Point, change: Facts) -> bool:
    """Kill the daemon in an operation, restart it and check everything; whether the operation took place.

    Where strace meets one of the TPM's tools instead, that is killed, and the daemon refuses and lives.
    """
    bench, operation = scene.bench, operation_of(name)
    operation.prepare(scene)
    before, command = operation.facts(scene), operation.command(scene)
    answered, how = False, "the daemon"
    with attached(bench.pid, killing(*point), scene.folder / "killed.txt"):
        try:
            bench.ask(command)
            answered, how = True, "nobody"
        except DaemonDownError:
            bench.ended()
        except GateVaultError:
            assert name in TPM_OPERATIONS, "the daemon refused and was not killed"
            how = "a tool"
    scene.done.append(f"{name} at {point}: {how}")
    scene.dead()
    eventually(lambda: bench.values("relay")[-1:] in ([], [0]), 4.0)
    scene.live()
    scene.settled()
    after = operation.facts(scene)
    story = f"after {scene.done[-3:]}"
    assert after in (before, changed(before, change)), f"between, {story}: {before} {after}"
    if answered:
        assert after == changed(before, change), f"an answered operation was lost, {story}"
    whole(scene, story)
    return after != before


def count_killed(scene: Scene) -> int:
    """How many kills fell: a point that was not reached this time is none."""
    return sum(not story.endswith("nobody") for story in scene.done)


def started_under(scene: Scene, *options: str) -> int:
    """Start the daemon under strace, stop it once it answers, and tell its exit status."""
    bench = Bench(scene.bench.root, [need_strace(), "-f", "-qq", "-o", str(scene.folder / "start.txt"), *options])
    process = bench.spawn()
    try:
        eventually(lambda: process.poll() is not None or _answers(bench))
        with suppress(ProcessLookupError, FileNotFoundError, IndexError):  # it dies this very moment
            os.kill(bench.pid, signal.SIGTERM)
        return process.wait(30)
    finally:
        bench.close()


def _answers(bench: Bench) -> bool:
    try:
        bench.status()
    except GateVaultError:
        return False
    return True


def dies_at_start(scene: Scene, point: Point) -> bool:
    """Start the daemon to die at a point; whether it did."""
    return started_under(scene, *killing(*point)) in KILLED


def run_to_die(point: Point, *arguments: str) -> int:
    """A command of the program, killed at a point; its exit status."""
    run = [need_strace(), "-f", "-qq", "-o", "/dev/null", *killing(*point), sys.executable, "-m", "gatevault"]
    return subprocess.run([*run, *arguments], check=False, capture_output=True, timeout=60).returncode
