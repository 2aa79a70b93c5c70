"""Readers on the kernel's own devices: edges of a GPIO chip, keys of an input device."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from gatevault.devices.readers.wiegand import GAP_NS
from tests.vm.gate import REFUSED, RELAY, Gate

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1800)]

Note = Callable[[str], None]

FRAMES = 16
PERIOD_US = 2_000
"""Between two bits, as most readers send them."""

STALLED_US = GAP_NS // 1000 * 4 // 5
"""A busy host stops this machine for a while. Two bits this far apart may be two frames for the decoder, which is
right; a frame without such a stall is to be read."""

FEWEST = FRAMES // 2
"""Read in any case: a run in which the host stalls more frames than that shows nothing."""


def test_wiegand(gate: Gate, note: Note) -> None:
    """Wiegand frames of unknown cards on real edges: each sent without a stall is read whole and refused."""
    before, began = len(gate.entries()), gate.now()
    sent = [gate.send(1_000 + turn, PERIOD_US) for turn in range(FRAMES)]
    gate.machine.sh("sleep 3")
    said = [entry["payload"] or {} for entry in gate.entries()[before:]]
    read = sum(1 for payload in said if payload.get("reason") == "unknown-card")
    whole = sum(frame["longest_period_us"][0] < STALLED_US for frame in sent)
    shortest = min(frame["pulse_us"][0] for frame in sent)
    note(f"{read} of {FRAMES} frames read, {whole} sent without a stall; pulses from {shortest} µs")
    assert max(whole, FEWEST) <= read <= FRAMES, said
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
