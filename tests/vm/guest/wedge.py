"""In the machine: a USB reader that types, made with uinput. `wedge.py PIPE` types what comes through PIPE."""

import os
import sys
import time
from pathlib import Path

import evdev
from evdev import ecodes

DIGITS = {char: getattr(ecodes, f"KEY_{char}") for char in "0123456789"}


def main() -> None:
    pipe = Path(sys.argv[1])
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    keys = [*DIGITS.values(), ecodes.KEY_ENTER]
    with evdev.UInput({ecodes.EV_KEY: keys}, name="card reader", vendor=0xFFFF, product=0x0035) as device:
        while True:
            for key in [*(DIGITS[char] for char in pipe.read_text().strip()), ecodes.KEY_ENTER]:
                for value in (1, 0):
                    device.write(ecodes.EV_KEY, key, value)
                    device.syn()
                    time.sleep(0.004)


if __name__ == "__main__":
    main()
