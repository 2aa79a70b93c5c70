"""Stand-ins for a gpiochip and a USB keyboard: they keep state, can break, and have their own tests."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gpiod import EdgeEvent

FALLING = EdgeEvent.Type.FALLING_EDGE.value

BIT_NS = 2_000_000
"""A reader's usual distance between bits."""


def eventually(holds: Callable[[], object], limit_s: float = 30.0) -> None:
    """Wait, long enough for a loaded machine, until something holds."""
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.01)


def wiegand_bits(data: int, length: int = 26) -> list[int]:
    """Encode `data` as a reader does, parity bits included (SIA AC-01)."""
    body = [int(bit) for bit in f"{data:0{length - 2}b}"]
    half = len(body) // 2
    return [sum(body[:half]) % 2, *body, 1 - sum(body[half:]) % 2]


class Bell:
    """A file descriptor that polls readable while it rings."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_SEMAPHORE)
        self.ringing = False

    def ring(self) -> None:
        if not self.ringing:
            os.eventfd_write(self.fd, 1)
        self.ringing = True

    def hush(self) -> None:
        if self.ringing:
            os.eventfd_read(self.fd)
        self.ringing = False

    def close(self) -> None:
        os.close(self.fd)


class FakeRequest:
    """What gpiod gives for requested lines: a queue of edges behind a descriptor."""

    def __init__(self, chip: FakeChip, lines: dict[int, Any]) -> None:
        self._chip = chip
        self.lines = lines
        self._bell = Bell()
        self._queue: list[EdgeEvent] = []
        self.released = False

    @property
    def fd(self) -> int:
        return self._bell.fd

    def push(self, line: int, ns: int) -> None:
        self._queue.append(EdgeEvent(FALLING, ns, line, 0, 0))
        self._bell.ring()

    def wake(self) -> None:
        self._bell.ring()

    def read_edge_events(self, max_events: int | None = None) -> list[EdgeEvent]:
        if self._chip.gone:
            raise OSError(errno.ENODEV, "No such device")
        events, self._queue = self._queue, []
        self._bell.hush()
        return events

    def release(self) -> None:
        if not self.released:
            self.released = True
            self._chip.held -= set(self.lines)
            self._chip.requests.remove(self)
            self._bell.close()


@dataclass
class FakeChip:
    """A gpiochip: lines are held by one request at a time; `busy` refuses that many requests first."""

    busy: int = 0
    gone: bool = False
    held: set[int] = field(default_factory=set)
    requests: list[FakeRequest] = field(default_factory=list)
    levels: dict[int, bool] = field(default_factory=dict)
    """Physical level of every line that was ever an output; kept when it is freed, as on a Pi."""
    asked: list[dict[str, Any]] = field(default_factory=list)

    def request_lines(self, path: str, config: dict[Any, Any], **options: Any) -> FakeRequest:
        """Stands for `gpiod.request_lines`."""
        import gpiod

        self.asked.append({"path": path, "config": config, **options})
        if self.gone:
            raise OSError(errno.ENOENT, "No such file or directory")
        lines = {
            line: settings for key, settings in config.items() for line in ([key] if isinstance(key, int) else key)
        }
        if self.busy > 0 or self.held & set(lines):
            self.busy -= 1
            raise OSError(errno.EBUSY, "Device or resource busy")
        for line, settings in lines.items():
            if settings.direction is gpiod.line.Direction.OUTPUT:
                self.levels[line] = bool(settings.output_value) != settings.active_low
        self.held |= set(lines)
        request = FakeRequest(self, lines)
        self.requests.append(request)
        return request

    def send(self, bits: list[int], d0: int, d1: int, start_ns: int) -> None:
        """Pulse the lines of the open request as a reader does."""
        (request,) = (r for r in self.requests if d0 in r.lines)
        for i, bit in enumerate(bits):
            request.push(d1 if bit else d0, start_ns + i * BIT_NS)

    def unplug(self) -> None:
        self.gone = True
        for request in self.requests:
            request.wake()

    def plug(self) -> None:
        self.gone = False


ENTER, SHIFT = 28, 42
KEYS = {"-": 12, " ": 57} | {
    char: first + i
    for first, row in ((2, "1234567890"), (16, "qwertyuiop"), (30, "asdfghjkl"), (44, "zxcvbnm"))
    for i, char in enumerate(row)
}


@dataclass(frozen=True)
class KeyEvent:
    """As evdev's InputEvent."""

    sec: int
    usec: int
    type: int
    code: int
    value: int


def keystrokes(text: str) -> list[tuple[int, int]]:
    """(code, value) of typing `text`; a newline is Enter, capitals are typed with shift."""
    strokes: list[tuple[int, int]] = []
    for char in text:
        code = ENTER if char == "\n" else KEYS[char.lower()]
        press = [(code, 1), (code, 0)]
        strokes += [(SHIFT, 1), *press, (SHIFT, 0)] if char.isupper() else press
    return strokes


class FakeKeyboard:
    """An opened input device (evdev's InputDevice)."""

    def __init__(self, port: FakePort) -> None:
        self._port = port
        self._bell = Bell()
        self._queue: list[KeyEvent] = []
        self.grabbed = False
        self.closed = False

    @property
    def fd(self) -> int:
        return self._bell.fd

    def push(self, event: KeyEvent) -> None:
        self._queue.append(event)
        self._bell.ring()

    def wake(self) -> None:
        self._bell.ring()

    def grab(self) -> None:
        if self._port.grabbed_by_other or self.grabbed:
            raise OSError(errno.EBUSY, "Device or resource busy")
        self.grabbed = True

    def ungrab(self) -> None:
        if self._port.unplugged:
            raise OSError(errno.ENODEV, "No such device")
        if not self.grabbed:
            raise OSError(errno.EINVAL, "Invalid argument")
        self.grabbed = False

    def read(self) -> Iterator[KeyEvent]:
        if self._port.unplugged:
            raise OSError(errno.ENODEV, "No such device")
        if not self._queue:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        events, self._queue = self._queue, []
        self._bell.hush()
        yield from events

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._bell.close()


@dataclass
class FakePort:
    """The USB port of a wedge reader: opens keyboards, can be unplugged or grabbed by another."""

    unplugged: bool = False
    grabbed_by_other: bool = False
    keyboard: FakeKeyboard | None = None
    opened: int = 0

    def open(self, path: str) -> FakeKeyboard:
        """Stands for `evdev.InputDevice`."""
        if self.unplugged:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        self.opened += 1
        self.keyboard = FakeKeyboard(self)
        return self.keyboard

    def type(self, text: str, start_ns: int) -> None:
        """Type at 5 ms a key into the open device."""
        assert self.keyboard is not None and not self.keyboard.closed
        for i, (code, value) in enumerate(keystrokes(text)):
            sec, ns = divmod(start_ns + i * 5_000_000, 1_000_000_000)
            self.keyboard.push(KeyEvent(sec, ns // 1_000, 1, code, value))
            self.keyboard.push(KeyEvent(sec, ns // 1_000, 0, 0, 0))

    def unplug(self) -> None:
        self.unplugged = True
        if self.keyboard is not None and not self.keyboard.closed:
            self.keyboard.wake()

    def plug(self) -> None:
        self.unplugged = False


class FakeLgpio:
    """The lgpio module on a chip of 64 lines: `calls` records what was asked, in order."""

    class error(Exception):  # noqa: N801, N818 - the module's name for it
        pass

    SET_PULL_NONE, SET_PULL_UP, SET_PULL_DOWN = 128, 32, 64
    BOTH_EDGES, RISING_EDGE, FALLING_EDGE = 3, 1, 2

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.levels: dict[int, int] = {}
        self.outputs: set[int] = set()
        self.broken = False

    def gpiochip_open(self, chip: int) -> int:
        self.calls.append(("open", chip))
        return 7

    def gpiochip_close(self, handle: int) -> None:
        self.calls.append(("close",))

    def gpio_claim_input(self, handle: int, line: int, flags: int = 0) -> None:
        self.calls.append(("input", line))
        self.outputs.discard(line)

    def gpio_claim_output(self, handle: int, line: int, level: int = 0, flags: int = 0) -> None:
        self.calls.append(("output", line, level))
        self.outputs.add(line)
        self.levels[line] = level

    def gpio_get_mode(self, handle: int, line: int) -> int:
        return 2 if line in self.outputs else 0

    def gpio_read(self, handle: int, line: int) -> int:
        return self.levels.get(line, 0)

    def gpio_write(self, handle: int, line: int, level: int) -> None:
        if self.broken:
            raise self.error("bad GPIO write")
        self.calls.append(("write", line, int(level)))
        self.levels[line] = int(level)
