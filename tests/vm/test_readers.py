"""Readers on the kernel's own devices: edges of a GPIO chip, keys of an input device."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.vm.gate import REFUSED, RELAY, Gate

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1800)]

Note = Callable[[str], None]

FRAMES = 12


def test_wiegand(gate: Gate, note: Note) -> None:
    """Wiegand frames of unknown cards on real edges: nearly all are read whole, each is refused, none opens."""
    before, began = len(gate.entries()), gate.now()
    pulses = [gate.send(1_000 + turn) for turn in range(FRAMES)]
    gate.machine.sh("sleep 3")
    entries = gate.entries()[before:]
    read = [entry for entry in entries if entry["payload"].get("reason") == "unknown-card"]
    assert len(read) >= FRAMES * 3 // 4, [entry["payload"] for entry in entries]
    assert not any(level for _, level in gate.edges(RELAY, began))
    assert any(level for _, level in gate.edges(REFUSED, began))
    shortest = min(p["pulse_us"][0] for p in pulses)
    longest = max(p["longest_period_us"][0] for p in pulses)
    note(f"{len(read)} of {FRAMES} frames; pulses from {shortest} µs, periods of 2 to {longest / 1000:.1f} ms")


def test_keyboard(gate: Gate, note: Note) -> None:
    """A USB reader that types, through uinput: read, and had by the daemon alone."""
    began = gate.now()
    gate.until("the reader", lambda: gate.command("status")["readers"]["fitted"].get("wedge") is True)
    gate.machine.sh(f"echo {gate.card} > /run/vm-reader")
    gate.until("a grant", lambda: any(level for _, level in gate.edges(RELAY, began)), 20)
    other = "import evdev, os; evdev.InputDevice(os.path.realpath('/dev/gatevault/reader0')).grab()"
    refused = gate.machine.try_sh(f'python3 -c "{other}"')
    assert refused.code != 0 and re.search("busy", refused.err)
    note(gate.machine.sh("stat -L -c '%A %U:%G' /dev/gatevault/reader0"))
