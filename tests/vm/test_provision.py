"""The wizard and the handover, as an installer goes through them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.vm.gate import RELAY, Gate
from tests.vm.wizard import LOG, SHEET

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1800)]

Note = Callable[[str], None]


def test_parts_and_key(gate: Gate, note: Note) -> None:
    """The wizard, before a daemon: each part tested on real lines, the state made, its key in the TPM."""
    made = gate.wizard[0]
    assert made["made"] is True and made["running"] is False
    assert set(made["tested"].values()) == {"works"}, made["tested"]
    before, during = gate.edges(RELAY, 0.0)[0], [level for _, level in gate.edges(RELAY, 0.0)[1:]]
    assert before[1] == 0, "released since power-on"
    assert during == [1, 0, 1, 0], "on, off, on, off, and nothing since: neither by the state nor by the start"
    assert gate.command("status")["vault"]["keys"] == "tpm2"
    note(f"works: {', '.join(made['tested'])}; the relay's line: on, off, on, off")


def test_records_and_sheet(gate: Gate, note: Note) -> None:
    """The wizard again, beside the running gate: faces were off, both records turn them on, the sheet is there."""
    again = gate.wizard[1]
    assert again["made"] is False and again["running"] is True and again["faces"] == "on"
    sheet = gate.machine.sh(f"cat {SHEET}")
    assert "Gate in a machine" in sheet and "tpm2" in sheet
    assert str(gate.card) not in sheet + gate.machine.sh(f"cat {LOG}"), "no card's number is shown or kept"
    note(f"{len(sheet) // 1024} KB of HTML")


def test_handover(gate: Gate) -> None:
    """`gatevault provision --handover`: the installer's key is gone, and what it did is refused from then on."""
    key = "/var/lib/gatevault/keys/installer.key"
    gate.machine.sh(f"test -s {key}")
    gate.command("provision", "--handover")
    assert gate.machine.try_sh(f"test -e {key}").code == 1
    refused = gate.machine.gatevault(["installer", "test", "lights", "--json"])
    assert refused.code != 0 and "error" in json.loads(refused.out)
    assert "installer-ended" in [entry["header"]["type"] for entry in gate.entries()]
