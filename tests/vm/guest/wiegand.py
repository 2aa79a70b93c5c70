"""In the machine: sends a 26-bit Wiegand frame by pulling two lines of the chip, as a reader pulls its wires.

`wiegand.py D0 D1 NUMBER [PERIOD_US]`: for each bit its line goes low and high again in two writes, and the next bit
follows PERIOD_US (2000) after. This program and the kernel's threads that note edges share one processor: the host
may stop that one, and then all of it waits, but it cannot stop the noting alone while bits go on.
Prints the shortest and longest pulse and the longest period, in microseconds.
"""

import contextlib
import json
import os
import sys
import time
from itertools import pairwise
from pathlib import Path


def bits(number: int) -> list[int]:
    """26 bits: even parity of the first twelve, 24 of data, odd parity of the last twelve."""
    data = [number >> i & 1 for i in range(23, -1, -1)]
    return [sum(data[:12]) % 2, *data, 1 - sum(data[12:]) % 2]


def share_a_processor() -> None:
    os.sched_setaffinity(0, {0})
    for name in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):  # it ended
            if name.read_text().startswith("irq/"):
                os.sched_setaffinity(int(name.parent.name), {0})


def main() -> None:
    d0, d1, number = map(int, sys.argv[1:4])
    period = int(sys.argv[4]) * 1e-6 if len(sys.argv) > 4 else 0.002
    share_a_processor()
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    chip = next(Path("/sys/devices/platform").glob("gpio-sim.*/gpiochip*"))
    pulls = [os.open(chip / f"sim_gpio{line}/pull", os.O_WRONLY) for line in (d0, d1)]
    pulses, starts = [], []
    for bit in bits(number):
        due = starts[-1] + period if starts else time.monotonic()
        time.sleep(max(0.0, due - time.monotonic()))
        starts.append(time.monotonic())
        os.pwrite(pulls[bit], b"pull-down", 0)
        os.pwrite(pulls[bit], b"pull-up", 0)
        pulses.append(time.monotonic() - starts[-1])
    periods = [b - a for a, b in pairwise(starts)]
    figures = {"pulse_us": [min(pulses), max(pulses)], "longest_period_us": [max(periods)]}
    text = json.dumps({name: [round(v * 1e6) for v in values] for name, values in figures.items()})
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
