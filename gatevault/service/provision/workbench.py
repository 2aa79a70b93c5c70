"""The board's pins in the wizard's hands, before a daemon has them. The relay ends released, whatever happens.

Left in order (an answer, an error, Ctrl-C, a hang-up) it is released here; killed, by the guard.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from gatevault.core.board import Board
from gatevault.core.types import CardRead
from gatevault.devices.guard import start_guard
from gatevault.devices.indicator import Indicator
from gatevault.devices.pins import open_pins
from gatevault.devices.readers import Reader, build_readers
from gatevault.devices.relay import Relay
from gatevault.devices.sensors import SensorEvent, Sensors

CLICK_S: Final = 0.4
"""How long the relay is energised for its test: to be heard, and too short to walk through a door."""

BLINK_S: Final = 0.3
BLINKS: Final = 3

Changes = list[tuple[SensorEvent, bool]]


class Workbench:
    """One board's parts. Use it from one thread."""

    def __init__(self, board: Board, relay: Relay, lights: Indicator, sensors: Sensors, changes: Changes) -> None:
        self.board = board
        self._relay = relay
        self._lights = lights
        self._sensors = sensors
        self._changes = changes

    def click(self, times: int = 2) -> None:
        """Energise and release. DeviceError."""
        for _ in range(times):
            try:
                self._relay.energise(CLICK_S * 2)  # its own timer releases it should this thread hang
                time.sleep(CLICK_S)
            finally:
                self._relay.release()
            time.sleep(CLICK_S)

    def blink(self, role: str) -> None:
        """A light, a lamp or the buzzer, three times. DeviceError."""
        for _ in range(BLINKS):
            try:
                self._lights.drive(role, True)
                time.sleep(BLINK_S)
            finally:
                self._lights.drive(role, False)
            time.sleep(BLINK_S)

    def state(self) -> dict[SensorEvent, bool | None]:
        """As `Sensors.state`."""
        return self._sensors.state()

    def changes(self) -> Changes:
        """Which contacts changed since this was last asked, and to what."""
        seen = self._changes[:]
        del self._changes[: len(seen)]
        return seen


@contextmanager
def workbench(board: Board, *, bench: bool, trace: Path | None = None) -> Iterator[Workbench]:
    """The pins of `board`, claimed with the relay released. DeviceError where another program has them."""
    with ExitStack() as stack:
        pins = open_pins(board, bench=bench, trace=trace)
        stack.callback(pins.close)
        guard = start_guard(board, bench=bench, trace=trace)
        stack.callback(guard.close)
        relay = Relay(board.relay, pins)
        stack.callback(relay.close)
        lights = Indicator(board, pins)
        stack.callback(lights.close)
        changes: Changes = []
        sensors = Sensors(board, pins, lambda kind, active: changes.append((kind, active)))
        stack.callback(sensors.close)
        yield Workbench(board, relay, lights, sensors, changes)


@contextmanager
def listening(
    board: Board, wedge: Sequence[str], *, bench: bool
) -> Iterator[tuple[list[Reader], list[str], list[tuple[str, str]]]]:
    """The readers, started; names of readers that gave a card, and faults that they told. DeviceError."""
    readers = build_readers(board, wedge, bench=bench)
    cards: list[str] = []
    faults: list[tuple[str, str]] = []
    heard: Callable[[CardRead], None] = lambda read: cards.append(read.reader)  # noqa: E731
    with ExitStack() as stack:
        for reader in readers:
            reader.start(heard, lambda name, why: faults.append((name, why)))
            stack.callback(_stopped, reader)
        yield readers, cards, faults


def _stopped(reader: Reader) -> None:
    with contextlib.suppress(OSError):
        reader.stop()
