"""Where pins come from: the real chip in production, mock pins on a bench, and never a guess.

gpiozero chooses a factory by itself where none is given: from the environment
(`GPIOZERO_PIN_FACTORY=mock` silently makes a gate of air) or by falling back from driver to driver
with a warning. So every device of this room gets its factory explicitly, and gpiozero's global
`Device.pin_factory` stays None.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from gpiozero import Factory, GPIOZeroError
from gpiozero.pins.mock import MockFactory, MockPWMPin

from gatevault.core.board import Board, Output
from gatevault.core.errors import DeviceError
from gatevault.devices.trace import Trace

HEADER_REVISION: Final = "c04170"
"""Revision code of a Raspberry Pi 5: its 40-pin header is the one every profile here counts on."""

LGPIO_HELP: Final = (
    "install Debian's python3-lgpio (an installed gate sees it; an environment of your own, made with "
    "python3 -m venv --system-site-packages)"
)


def open_pins(board: Board, *, bench: bool, trace: Path | None = None, runtime_dir: Path | None = None) -> Factory:
    """Give the pin factory of `board`; its `close()` gives every pin back.

    On a bench, mock pins whose outputs are recorded in the file `trace`; no chip is touched. In
    production, `board.gpiochip` through lgpio, which needs a directory to write in for a moment:
    one is made in `runtime_dir`, by default where temporary files go.

    Raises DeviceError: the environment asks for another factory, lgpio is missing, or the chip
    cannot be opened.
    """
    if bench:
        return BenchFactory(board, Trace(trace) if trace is not None else None)
    asked = os.environ.get("GPIOZERO_PIN_FACTORY", "lgpio")
    if asked.lower() != "lgpio":
        raise DeviceError(
            f"GPIOZERO_PIN_FACTORY={asked!r} would replace the gate's pins: unset it (a gate uses lgpio only)"
        )
    number = chip_number(board.gpiochip)
    try:
        with _lgpio_home(runtime_dir):
            from gatevault.devices.chip import ChipFactory
    except ImportError as error:
        raise DeviceError(f"lgpio, the driver of the GPIO pins, is not there: {LGPIO_HELP}") from error
    except OSError as error:
        raise DeviceError(f"lgpio needs a directory to write in: {error}") from error
    with pin_faults(f"GPIO chip {board.gpiochip}"):
        return ChipFactory(number)


def chip_number(path: str) -> int:
    """Give n of `/dev/gpiochip{n}`, following links (a Pi 5's gpiochip4 is a link to gpiochip0)."""
    match = re.fullmatch(r"/dev/gpiochip(\d{1,3})", str(Path(path).resolve()))
    if match is None:
        raise DeviceError(f"the board's gpiochip must be a /dev/gpiochipN, not {path!r}")
    return int(match[1])


@contextmanager
def _lgpio_home(runtime_dir: Path | None) -> Iterator[None]:
    """Import lgpio within.

    At import lgpio changes the working directory of the process to `LG_WD` (else stays in the current
    one) and makes a FIFO there, always of the same name and writable by the group, through which it
    tells itself of edges. So it gets an empty directory that is ours alone, which may go as soon
    as both ends are open; and the working directory is put back.
    """
    before, asked = Path.cwd(), os.environ.get("LG_WD")
    with tempfile.TemporaryDirectory(prefix="gatevault-lgpio-", dir=runtime_dir) as home:
        os.environ["LG_WD"] = home
        try:
            yield
        finally:
            os.chdir(before)
            del os.environ["LG_WD"]
            if asked is not None:
                os.environ["LG_WD"] = asked


@contextmanager
def pin_faults(what: str) -> Iterator[None]:
    """Turn what gpiozero and its driver raise into DeviceError."""
    try:
        yield
    except _pin_errors() as error:
        raise DeviceError(f"{what}: {error} (run `gatevault doctor`)") from error


def _pin_errors() -> tuple[type[Exception], ...]:
    """What gpiozero, lgpio and the kernel raise; RuntimeError is a thread that does not start."""
    lgpio = sys.modules.get("lgpio")
    driver = (lgpio.error,) if lgpio is not None else ()
    return (GPIOZeroError, OSError, RuntimeError, *driver)


class BenchPin(MockPWMPin):  # type: ignore[misc]  # gpiozero has no types
    """A mock pin that records when its part is switched on or off."""

    def __init__(self, factory: BenchFactory, info: Any) -> None:
        super().__init__(factory, info)
        self._on = False
        self._part = factory.outputs.get(self._number)

    def _set_state(self, value: float) -> None:
        super()._set_state(value)
        if self._part is not None:
            self._record(on=bool(value) == self._part[1].active_high)

    def _record(self, *, on: bool) -> None:
        if on == self._on or self._part is None:
            return
        self._on = on
        if self.factory.trace is not None:
            self.factory.trace.edge(self._part[0], self._part[1].pin, on=on)

    def close(self) -> None:
        self._record(on=False)  # a pin given back drives nothing
        super().close()


class BenchFactory(MockFactory):  # type: ignore[misc]
    """Mock pins of one board. The revision is given, so that no variable of gpiozero's decides."""

    def __init__(self, board: Board, trace: Trace | None) -> None:
        super().__init__(revision=HEADER_REVISION, pin_class=BenchPin)
        self.trace = trace
        parts = {role: getattr(board, role, None) for role, _ in board.pins()}
        self.outputs: dict[int, tuple[str, Output]] = {
            part.pin: (role, part) for role, part in parts.items() if isinstance(part, Output)
        }

    def close(self) -> None:
        super().close()
        if self.trace is not None:
            self.trace.close()
