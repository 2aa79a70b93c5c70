"""USB readers that pretend to be a keyboard ("keyboard wedge") and type the card's number.

The device is grabbed exclusively, so that the number goes to the gate alone and not to whatever
console is open; a device that cannot be grabbed is not used. Key codes are those of Linux's
input-event-codes.h, for the layout that such readers have (US).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol

from gatevault.core.errors import DeviceError
from gatevault.core.types import MAX_CARD_BITS, canonical_card
from gatevault.devices.readers.polled import RETRY_S, PolledReader
from gatevault.devices.readers.port import Number, Outcome, Refusal

TORN_NS: Final = 200_000_000
"""A pause this long inside a number drops it: readers type a key every few milliseconds."""

FRESH_NS: Final = 1_000_000_000
"""After this much silence a key begins a new number. Between the two the rest of a torn number
would pass for a whole one, so it is refused up to its Enter."""

LONGEST: Final = MAX_CARD_BITS // 4
"""Characters of the longest number."""

UP, DOWN, REPEAT = 0, 1, 2
SHIFTS: Final = frozenset({42, 54})
ENTERS: Final = frozenset({28, 96, 101})
"""KEY_ENTER, KEY_KPENTER, KEY_LINEFEED."""
LOCKS: Final = frozenset({58, 69})
"""Caps lock and num lock, which some readers press around a number: letters are raised anyway."""

_ROWS: Final = {2: "1234567890-", 16: "QWERTYUIOP", 30: "ASDFGHJKL", 44: "ZXCVBNM", 57: " "}
_KEYPAD: Final = {71: "789-456", 79: "1230"}
PLAIN: Final = {first + i: char for first, row in (*_ROWS.items(), *_KEYPAD.items()) for i, char in enumerate(row)}
SHIFTED: Final = {code: char for code, char in PLAIN.items() if char.isalpha() or char == " "} | {39: ":"}

LOST: Final = -1
"""The code of a `Key` that stands for keys dropped by the kernel."""

EV_SYN, EV_KEY, SYN_DROPPED = 0, 1, 3
EVIOCSCLOCKID: Final = 0x400445A0
"""_IOW('E', 0xa0, int) of linux/input.h: which clock stamps the events."""


class Key(NamedTuple):
    """A key event: code, value (0 up, 1 down, 2 repeat), CLOCK_MONOTONIC in nanoseconds."""

    code: int
    value: int
    ns: int


class KeyboardDecoder:
    """Keys in, numbers out; no clock, no device.

    Letters, digits, hyphens, spaces and colons up to Enter make a number, 1 to 64 characters in
    canonical form. Any other key, a held key or a pause spoils it up to its Enter.
    """

    def __init__(self) -> None:
        self._text = ""
        self._spoilt: Refusal | None = None
        self._shift: set[int] = set()
        self._last_ns = 0

    @property
    def pending(self) -> bool:
        """True inside a number: call `flush` after 200 ms of silence."""
        return bool(self._text) or self._spoilt is not None

    def feed(self, code: int, value: int, timestamp_ns: int) -> list[Outcome]:
        """Take one key event."""
        done = self.flush(timestamp_ns)
        if code in SHIFTS:
            (self._shift.discard if value == UP else self._shift.add)(code)
        elif value == UP or code in LOCKS:
            pass
        elif code in ENTERS:
            done += self._end()
        else:
            self._take(code, value)
        self._last_ns = timestamp_ns
        return done

    def _take(self, code: int, value: int) -> None:
        char = (SHIFTED if self._shift else PLAIN).get(code)
        if code == LOST:
            self._shift.clear()  # its release may be among what was lost
            self._spoil(Refusal.LOST)
        elif char is None or value != DOWN:
            self._spoil(Refusal.KEY)
        elif len(self._text) == LONGEST:
            self._spoil(Refusal.LENGTH)
        elif self._spoilt is None:
            self._text += char

    def _spoil(self, why: Refusal) -> None:
        self._text = ""
        self._spoilt = self._spoilt or why

    def _end(self) -> list[Outcome]:
        text, spoilt = self._text, self._spoilt
        self._text, self._spoilt = "", None
        if spoilt is not None:
            return [spoilt]
        if not text:
            return []  # Enter alone: many readers end a number with two
        try:
            return [Number(canonical_card(text))]
        except ValueError:
            return [Refusal.KEY]  # nothing but spaces and colons

    def flush(self, now_ns: int) -> list[Outcome]:
        """Drop a number that has paused for more than 200 ms at `now_ns`."""
        pause = now_ns - self._last_ns
        if self._text and not 0 <= pause <= TORN_NS:
            self._spoil(Refusal.TIMEOUT)
        if self._spoilt is not None and pause > FRESH_NS:
            return self._end()
        return []

    def reset(self) -> None:
        """Forget everything heard so far, a held shift included."""
        self._text, self._spoilt = "", None
        self._shift.clear()


class KeyDevice(Protocol):
    """The part of evdev's `InputDevice` that is used."""

    @property
    def fd(self) -> int: ...
    def read(self) -> Iterable[Any]: ...
    def grab(self) -> None: ...
    def ungrab(self) -> None: ...
    def close(self) -> None: ...


OpenDevice = Callable[[str], KeyDevice]


def open_evdev(path: str) -> KeyDevice:
    """Open an input device with evdev. Raises OSError, or DeviceError where evdev is missing."""
    try:
        import evdev
    except ImportError as error:
        raise DeviceError(
            "USB readers need evdev: pip install 'gatevault[wedge]', or Debian's python3-evdev"
        ) from error
    device: KeyDevice = evdev.InputDevice(path)
    return device


class GrabbedKeys:
    """An open device, grabbed, as a `Source` of keys. Raises DeviceError where that fails."""

    def __init__(self, path: str, open_device: OpenDevice) -> None:
        try:
            self._device = open_device(path)
        except OSError as error:
            raise DeviceError(f"reader {path} cannot be opened: {os.strerror(error.errno or 0)}") from error
        try:
            self._device.grab()
        except OSError as error:
            self._device.close()
            raise DeviceError(
                f"reader {path} cannot be had alone: another program holds it (its keys would go there too)"
            ) from error
        # Older than Linux 3.4: the wall clock stamps the keys, and its jumps cost one number each.
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._device.fd, EVIOCSCLOCKID, struct.pack("i", time.CLOCK_MONOTONIC))
        try:
            self.read()  # what was typed before the grab was perhaps seen by others
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        return self._device.fd

    def read(self) -> list[Key]:
        try:
            events = list(self._device.read())
        except BlockingIOError:
            return []
        return [key for event in events if (key := _key(event)) is not None]

    def close(self) -> None:
        with contextlib.suppress(OSError):  # unplugged: nothing is grabbed any more
            self._device.ungrab()
        with contextlib.suppress(OSError):
            self._device.close()


def _key(event: Any) -> Key | None:
    ns = event.sec * 1_000_000_000 + event.usec * 1_000
    if event.type == EV_KEY:
        return Key(event.code, event.value, ns)
    if event.type == EV_SYN and event.code == SYN_DROPPED:
        return Key(LOST, DOWN, ns)
    return None


class WedgeReader(PolledReader[Key]):
    """A `Reader` on an input device, best named by its stable link under /dev/input/by-id."""

    def __init__(
        self,
        path: str,
        name: str = "wedge",
        open_device: OpenDevice = open_evdev,
        retry_s: tuple[float, float] = RETRY_S,
    ) -> None:
        super().__init__(name, lambda: GrabbedKeys(path, open_device), retry_s)
        self._decoder = KeyboardDecoder()

    def _decode(self, event: Key) -> list[Outcome]:
        return self._decoder.feed(*event)

    def _idle(self, now_ns: int) -> list[Outcome]:
        return self._decoder.flush(now_ns)

    def _forget(self) -> None:
        self._decoder.reset()

    def _pause_ms(self) -> int | None:
        return TORN_NS // 1_000_000 + 1 if self._decoder.pending else None
