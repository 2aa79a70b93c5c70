"""A power cut, and what is there after it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.vm.gate import DAEMON, RELAY, VISION, Gate
from tests.vm.machine import Machine

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1800)]

Note = Callable[[str], None]


def test_power_cut(machine: Machine, gate: Gate, note: Note) -> None:
    """The plug is pulled in a grant: the relay stays released at the boot, the state opens, and so does a card."""
    gate.present()
    machine.cut()
    booted = machine.boot()
    ready = time.monotonic()
    gate.until_runs(DAEMON)
    assert all(level == 0 for _, level in gate.edges(RELAY, 0.0))
    began = gate.now()
    on = gate.present(tries=10)
    started = float(gate.show(DAEMON, "ExecMainStartTimestampMonotonic")) / 1e6
    note(f"boot {booted:.0f} s; the daemon's process to the first tap accepted: {on - started:.1f} s")
    assert began and ready
    gate.until_runs(VISION)
    gate.until("a healthy gate", lambda: gate.command("status")["health"] == "ok")
    status = gate.command("status")
    assert status["vault"]["state"] == "unlocked" and status["vault"]["keys"] == "tpm2"
    assert status["registry"]["residents"] == 1
    assert gate.command("ledger", "verify")["problems"] == []


def test_writes(machine: Machine, gate: Gate, note: Note) -> None:
    """What taps write: to the disk by the daemon, and to the disk as a whole."""

    def written() -> tuple[int, int]:
        own = machine.sh(f"sed -n 's/^write_bytes: //p' /proc/{gate.pid()}/io")
        return int(own), int(machine.sh("sync; cut -c1- /sys/block/vda/stat").split()[6]) * 512

    before = written()
    for _ in range(3):
        gate.present()
        machine.sh("sleep 4")
    after = written()
    own, whole = ((now - then) / 3 / 1024 for now, then in zip(after, before, strict=True))
    assert own > 0
    note(f"{own:.0f} KB a passage by the daemon, {whole:.0f} KB by the whole system in those seconds")
