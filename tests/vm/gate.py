"""A gate in the machine, as an installer, a resident and an attacker meet it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any, Final

from tests.vm.machine import Machine

RELAY, LIGHT, GRANTED, REFUSED, LAMP, BUTTON, D0, D1 = 17, 27, 22, 23, 18, 5, 16, 12
"""Lines of the chip, as vm.toml has them."""

CHIP: Final = "/sys/devices/platform/gpio-sim.0/gpiochip0"
DAEMON, VISION, TARGET = "gatevault.service", "gatevault-vision.service", "gatevault.target"
NOTES: Final = "/run/vm-lines.jsonl"

SLOW: Final = "[Service]\nTimeoutStartSec=300\nTimeoutStopSec=120\n"
"""Emulated, a Python starts far more slowly than on a Pi: the units' patience is stretched, the watchdog not."""

CONFIG: Final = """
[enrolment]
max_captures = 3

[look]
limit_ms = 8000
max_frame_age_ms = 2000
"""
"""Emulated, a frame takes a second to search and four to embed: a look may take longer, frames may be older, and
three captures are all that a minute has time for."""


class Gate:
    """One gate. `wizard`: what `gatevault provision` answered, each time; `started`: when it was started first."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.wizard: list[dict[str, Any]] = []
        self.started = 0.0
        self.resident = ""
        self.card = 8_106_606

    # --- commands ----------------------------------------------------------------------------

    def command(self, *words: str, limit_s: float = 180.0) -> dict[str, Any]:
        """`gatevault … --json` as root; what it answers."""
        done = self.machine.gatevault([*words, "--json"], limit_s)
        if done.code:
            raise AssertionError(f"gatevault {' '.join(words)} ended with {done.code}: {done.out}{done.err}")
        answer: dict[str, Any] = json.loads(done.out.splitlines()[-1])
        return answer

    def renew(self) -> None:
        """Commands of the release that is in place now: their server has imported the one before."""
        self.machine.sh("systemctl restart vm-cli")

    def show(self, unit: str, name: str) -> str:
        return self.machine.sh(f"systemctl show -P {name} {unit}")

    def pid(self, unit: str = DAEMON) -> int:
        return int(self.show(unit, "MainPID"))

    def until(self, what: str, found: Callable[[], bool], limit_s: float = 240.0) -> None:
        """Wait for something, or fail with its name."""
        end = time.monotonic() + limit_s
        while not found():
            if time.monotonic() > end:
                log = self.machine.sh(f"journalctl -b -n 40 --no-pager -u {DAEMON} -u {VISION}")
                raise AssertionError(f"{what} did not happen within {limit_s:.0f} s\n{log}")
            time.sleep(0.5)

    def until_runs(self, unit: str = DAEMON, other_than: int = 0) -> int:
        """Wait until `unit` is up with another process than `other_than`; its id."""
        self.until(
            f"start of {unit}",
            lambda: self.show(unit, "ActiveState") == "active" and self.pid(unit) not in (0, other_than),
        )
        return self.pid(unit)

    # --- lines -------------------------------------------------------------------------------

    def now(self) -> float:
        """The machine's monotonic clock, by which edges are noted."""
        return float(self.machine.sh("python3 -c 'import time; print(time.monotonic())'"))

    def line(self, number: int) -> int:
        """The level of a line, as the chip has it."""
        return int(self.machine.sh(f"cat {CHIP}/sim_gpio{number}/value"))

    def pull(self, number: int, level: str) -> None:
        """Drive an input: `up` or `down`."""
        self.machine.sh(f"echo pull-{level} > {CHIP}/sim_gpio{number}/pull")

    def edges(self, number: int, since: float) -> list[tuple[float, int]]:
        """(time, level) of each change of a line after `since`."""
        notes = [json.loads(text) for text in self.machine.sh(f"cat {NOTES}").splitlines()]
        return [(note["t"], note["value"]) for note in notes if note["line"] == number and note["t"] > since]

    def pulse(self, since: float) -> tuple[float, float] | None:
        """When the relay was energised after `since`, and when released (both, or None)."""
        edges = self.edges(RELAY, since)
        on = next((t for t, level in edges if level), None)
        off = next((t for t, level in edges if not level and on is not None and t > on), None)
        return (on, off) if on is not None and off is not None else None

    # --- cards -------------------------------------------------------------------------------

    def send(self, number: int, period_us: int = 2000) -> dict[str, list[int]]:
        """One Wiegand frame; how long its pulses were."""
        figures: dict[str, list[int]] = json.loads(
            self.machine.sh(f"python3 /opt/vm/wiegand.py {D0} {D1} {number} {period_us}")
        )
        return figures

    def tap(self) -> None:
        """Hold the card to the USB reader once."""
        self.machine.sh(f"echo {self.card} > /run/vm-reader")

    def present(self, tries: int = 5) -> float:
        """Hold the card to the USB reader until the relay is energised, as people do; when that was.

        Not to the Wiegand reader: a busy host stops the machine for longer than a frame may pause.
        """
        since = self.now()
        for _ in range(tries):
            self.tap()
            end = time.monotonic() + 6
            while time.monotonic() < end:
                on = next((t for t, level in self.edges(RELAY, since) if level), None)
                if on is not None:
                    return on
                time.sleep(0.2)
        raise AssertionError(f"the card did not open the gate in {tries} tries")

    def entries(self) -> list[dict[str, Any]]:
        """The ledger's entries, each with what it says."""
        return list(self.command("ledger", "export")["entries"])


def device_of(text: str) -> str:
    """The pseudonym of a resident in an answer."""
    found = re.search(r"r-[0-9a-f]{16}", text)
    assert found is not None
    return found[0]
