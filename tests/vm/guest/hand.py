"""In the machine: the installer's hand. `hand.py LOG BUTTON D0 D1 CARD` does what the wizard says in LOG.

It presses the button when told to press, twice, and holds the card to the reader that is named until it was read.
"""

import subprocess
import sys
import time
from pathlib import Path

PULL = "/sys/devices/platform/gpio-sim.0/gpiochip0/sim_gpio{}/pull"
HELD_S = 1.0
BETWEEN_TAPS_S = 4.0


def press(button: str) -> None:
    for level in ("down", "up") * 2:
        Path(PULL.format(button)).write_text(f"pull-{level}")
        time.sleep(HELD_S)


def tap(reader: str, d0: str, d1: str, card: str) -> None:
    if reader == "entrance":
        subprocess.run([sys.executable, "/opt/vm/wiegand.py", d0, d1, card], stdout=subprocess.DEVNULL, check=True)
    else:
        Path("/run/vm-reader").write_text(card)


def main() -> None:
    log, button, d0, d1, card = sys.argv[1:]
    reader, tapped, heard = "", 0.0, 0
    while True:
        lines = Path(log).read_text().splitlines() if Path(log).exists() else []
        for line in lines[heard:]:
            if "press or open it" in line:
                press(button)
            elif line.startswith("Tap any card at "):
                reader, tapped = line.removeprefix("Tap any card at ").partition(".")[0], 0.0
            elif "A card was read" in line:
                reader = ""
        heard = len(lines)
        if reader and time.monotonic() - tapped > BETWEEN_TAPS_S:
            tap(reader, d0, d1, card)
            tapped = time.monotonic()
        time.sleep(0.2)


if __name__ == "__main__":
    main()
