"""Readers on the kernel's own devices: edges of a GPIO chip, keys of an input device."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.vm.gate import REFUSED, RELAY, Gate

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1800)]

Note = Callable[[str], None]

FRAMES = 16
PERIOD_US = 5_000
"""Between two bits. A busy host stops this machine for a while; the kernel's thread of a line may then find two
edges where it tells of one, and frames are lost here as they are not on a board."""

FEWEST = FRAMES // 4


def test_wiegand(gate: Gate, note: Note) -> None:
    """Wiegand frames of unknown cards on real edges: read whole or refused as torn; none opens."""
    before, began = len(gate.entries()), gate.now()
    sent = [gate.send(1_000 + turn, PERIOD_US) for turn in range(FRAMES)]
    gate.machine.sh("sleep 3")
    said = [entry["payload"] or {} for entry in gate.entries()[before:]]
    read = sum(1 for payload in said if payload.get("reason") == "unknown-card")
    shortest = min(frame["pulse_us"][0] for frame in sent)
    note(
        f"{read} of {FRAMES} frames read; pulses from {shortest} µs, a bit every {PERIOD_US / 1000:.0f} ms or later"
    )
    assert read >= FEWEST, said
    assert not any(level for _, level in gate.edges(RELAY, began))
    assert any(level for _, level in gate.edges(REFUSED, began))


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
