"""In the machine: notes every change of some lines of the simulated chip, as the chip itself has them.

`watch.py FILE LINE…` appends {"t": CLOCK_MONOTONIC seconds, "line": n, "value": 0 or 1}; the first of each is how
it was found. Looked at every 10 ms: shorter pulses may be missed, and a relay takes as long to move.
"""

import json
import os
import sys
import time
from pathlib import Path

PAUSE_S = 0.01


def main() -> None:
    chip = next(Path("/sys/devices/platform").glob("gpio-sim.*/gpiochip*"))
    lines = {int(n): os.open(chip / f"sim_gpio{n}/value", os.O_RDONLY) for n in sys.argv[2:]}
    seen: dict[int, int] = {}
    with Path(sys.argv[1]).open("a", buffering=1) as notes:
        while True:
            for line, handle in lines.items():
                value = int(os.pread(handle, 4, 0))
                if seen.get(line) != value:
                    seen[line] = value
                    notes.write(json.dumps({"t": time.monotonic(), "line": line, "value": value}) + "\n")
            time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
