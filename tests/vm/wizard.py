"""`gatevault provision` in the machine, from an answer file, with somebody there who does what it says."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.vm.gate import BUTTON, D0, D1, Gate

LOG: Final = "/run/vm-wizard.log"
SHEET: Final = "/root/handover.html"
_FILE: Final = "/root/gate.toml"

_ANSWERS: Final = """
[gate]
name = "Gate in a machine"
board = "vm"
camera = "v4l2:/dev/video0"
[readers]
wedge = ["/dev/gatevault/reader0"]
[consent]
controller = "Owners of the machine"
contact = "porter@example.org"
[schedule]
hours = ["Mon-Sun 00:00-24:00"]
[keys]
provider = "tpm2"
[tests]
relay = "works"
privacy_led = "works"
granted_led = "works"
refused_led = "works"
lamp = "works"
presence = "watch"
reader = "watch"
[assessment]
by = "The tests"
date = {day}
document = "none"
[sign]
text = "Face recognition. A card always opens."
date = {day}
where = "in the machine"
[start]
gate = false
[aim]
seconds = 0
[sheet]
out = "{sheet}"
"""


def write_answers(gate: Gate) -> None:
    """The answer file, as the installer brings it. The gate is started by hand: see `SLOW`."""
    day = gate.machine.sh("date -u +%F")
    gate.machine.write(_FILE, _ANSWERS.format(day=day, sheet=SHEET))


def provision(gate: Gate) -> dict[str, Any]:
    """Run the wizard once; what it answers. What it said to people is in `LOG`."""
    hand = f"python3 /opt/vm/hand.py {LOG} {BUTTON} {D0} {D1} {gate.card}"
    gate.machine.sh(f"rm -f {LOG}; systemd-run --quiet --collect --unit vm-hand {hand}")
    done = gate.machine.try_sh(f"cd /; gatevault provision --answers {_FILE} --json 2>{LOG}", 900)
    gate.machine.sh("systemctl stop vm-hand")
    if done.code:
        raise AssertionError(f"the wizard ended with {done.code}: {done.out}{gate.machine.sh(f'cat {LOG}')}")
    told: dict[str, Any] = json.loads(done.out.splitlines()[-1])
    return told
