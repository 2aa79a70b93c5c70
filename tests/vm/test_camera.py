"""A face through the kernel's camera device: vivid, whose picture is what is written to its output.

What stands before this camera is a still picture, and the gate has a lamp: it must be refused as what it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.vm.gate import BUTTON, LAMP, LIGHT, RELAY, VISION, Gate

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1800)]

Note = Callable[[str], None]

FEED = (
    "v4l2-ctl -d /dev/video1 --set-fmt-video-out=width=640,height=480,pixelformat=YUYV "
    "--stream-out-mmap --stream-from=/opt/vm/face.yuv --stream-loop"
)


@pytest.fixture(scope="module")
def face(gate: Gate) -> Iterator[None]:
    """Somebody's picture before the camera."""
    gate.until_runs(VISION)
    machine = gate.machine
    machine.sh("v4l2-ctl -d /dev/video0 --set-ctrl hdmi_000_0_is_connected_to=2")
    machine.sh(f"systemd-run --quiet --unit vm-face sh -c 'exec {FEED} 2>/dev/null >&2'")
    yield
    machine.try_sh("systemctl stop vm-face")


def test_enrolled(gate: Gate, face: None, note: Note) -> None:
    """Consent by the resident's own card at the reader, then captures through the camera: one sealed template."""
    machine = gate.machine
    ask = f"gatevault consent give {gate.resident} --notice en --json"
    machine.sh(f"systemd-run --quiet --unit vm-consent -p StandardOutput=file:/run/vm-consent sh -c 'cd /; {ask}'")
    gate.until("the wait for a card", lambda: "tap" in machine.sh("cat /run/vm-consent").lower(), 120)
    for _ in range(3):
        gate.tap()
        machine.sh("sleep 5")
        if "receipt" in machine.sh("cat /run/vm-consent"):
            break
    assert "receipt" in machine.sh("cat /run/vm-consent")
    began = gate.now()
    answer = gate.command("enrol", gate.resident, limit_s=300)
    assert answer["captures"] >= 3
    lights = gate.edges(LIGHT, began)
    assert [level for _, level in lights] == [1, 0], "the privacy light is on exactly while the camera is open"
    assert gate.command("status")["vault"]["templates"] == 1
    note(f"{answer['captures']} captures in {lights[1][0] - lights[0][0]:.0f} s of camera")


def test_still_refused(gate: Gate, face: None, note: Note) -> None:
    """The same still walks up: the camera opens, lights go on and off, the lamp flickers, the gate stays shut."""
    before, began = len(gate.entries()), gate.now()
    gate.pull(BUTTON, "down")
    time.sleep(1)
    gate.pull(BUTTON, "up")
    gate.until("the end of the look", lambda: [level for _, level in gate.edges(LIGHT, began)] == [1, 0], 120)
    gate.machine.sh("sleep 2")
    entries = [entry["payload"] for entry in gate.entries()[before:]]
    flickers = sum(level for _, level in gate.edges(LAMP, began))
    assert gate.edges(RELAY, began) == [] and gate.line(RELAY) == 0
    assert gate.line(LIGHT) == 0 and gate.line(LAMP) == 0
    assert not any(entry.get("decision") == "grant" for entry in entries)
    said = gate.machine.sh("journalctl -b -n 3 -o cat --no-pager -u gatevault.service")
    note(f"lamp on {flickers} times; ledger: {[e.get('reason') or e for e in entries]}; {said.splitlines()[-1:]}")
