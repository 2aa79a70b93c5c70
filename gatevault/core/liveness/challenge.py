"""What is asked of whoever stands there: to follow the arrows, or nothing at all while a lamp flickers.

Random bytes in, a plan out; the daemon draws the bytes (`secrets`), drives lights and lamp, and tells vision when
it really did so, as `Prompt` and `Edge`.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from itertools import product
from typing import Annotated, Final

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

MS: Final = 1_000_000
"""Nanoseconds."""


class Tier(StrEnum):
    """What the board has to tell a face from its picture with."""

    OFF = "off"
    """Nothing is checked. A bench alone may be so."""
    RGB = "rgb"
    """A colour camera: the head follows the arrows."""
    LED = "rgb+led"
    """And a white lamp beside it, on a line of its own: nothing is asked of anybody."""
    IR = "rgb+ir"
    """And a near-infrared camera with its emitter on a line of its own."""


class Side(StrEnum):
    """The resident's own left or right, which is the picture's right or left."""

    LEFT = "left"
    RIGHT = "right"


class Lamp(StrEnum):
    """What flickers."""

    LED = "led"
    IR = "ir"


Moment = Annotated[int, Meta(ge=0)]
"""CLOCK_MONOTONIC in nanoseconds."""


class Prompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From `at_ns` on the arrow of this side is lit, or none is. It may be as it was before."""

    at_ns: Moment
    side: Side | None
    """None: look ahead."""


class Edge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The lamp was driven at `at_ns`, to be lit or dark from then on."""

    at_ns: Moment
    lamp: Lamp
    lit: bool


class Cue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Planned: so long after the challenge began show this side's arrow alone, or none."""

    after_ms: int
    side: Side | None


CUES: Final = 3

FIRST_MS: Final = (200, 350)
"""When the first cue comes, after a frontal face was seen: nobody may know when."""

GAP_MS: Final = (1_100, 1_200)
"""From one cue to the next: a slow head has nearly come to where it was going."""

EARLIEST_MS: Final = 200
"""An answer that begins sooner was no answer: people need 200 ms to see a light and begin to move."""

LATEST_MS: Final = 1_500
"""An answer has begun by then: children and old people too, measured from a light in plain sight."""

ANSWER_MS: Final = 500
"""From the last moment to begin to the end of the challenge, for the turn itself."""

TURNS_MS: Final = FIRST_MS[1] + (CUES - 1) * GAP_MS[1] + LATEST_MS + ANSWER_MS
"""The whole challenge: 4.75 s, so that with its last frame a look is decided within 5 s of a face."""

COURSES: Final = tuple(course for course in product((Side.LEFT, Side.RIGHT, None), repeat=CUES) if any(course))
"""What the three cues may show: 26 courses that turn the head at least once."""

TURN_BYTES: Final = 16
"""Random bytes of one challenge of turns: far more than its choices, so that their division is fair."""


def draw_turns(random: bytes) -> tuple[Cue, ...]:
    """Three cues from `TURN_BYTES` random bytes. ValueError for fewer.

    One of `COURSES`, all as likely, and times to the millisecond. What a recording can meet by luck is the course,
    one in 26; the times narrow that little, since an answer may begin within 1.3 s.
    """
    number, course = divmod(_number(random, TURN_BYTES), len(COURSES))
    cues: list[Cue] = []
    at = 0
    for side, (shortest, longest) in zip(COURSES[course], (FIRST_MS, *[GAP_MS] * (CUES - 1)), strict=True):
        number, extra = divmod(number, longest - shortest + 1)
        at += shortest + extra
        cues.append(Cue(at, side))
    return tuple(cues)


SLOTS: Final = 16
SLOT_MS: Final = 100
"""Three frames at 30 a second: long enough for a camera to see each, short enough that nobody waits."""

PATTERN_MS: Final = SLOTS * SLOT_MS

LIT: Final = (6, 10)
"""So many slots are lit: both kinds of frames are there to compare."""

CHANGES: Final = (7, 11)
"""So often the lamp changes within the pattern: slower, a passing cloud follows it; faster, a frame's own time is
too coarse to see a delay."""

LONGEST_RUN: Final = 3
"""In slots: light that drifts must not look like the lamp."""

MOVED: Final = 6
"""In slots: a relay through a camera, a network and a screen is late by less than that."""

ALIKE: Final = 0.3
"""Highest correlation of the pattern with itself moved by one to `MOVED` slots, so that a relay that answers late
does not answer well by chance."""

PATTERN_BYTES: Final = 16


def draw_pattern(random: bytes) -> tuple[bool, ...]:
    """Which of the 16 slots are lit, from `PATTERN_BYTES` random bytes. ValueError for fewer.

    One of `patterns()`, all as likely: 6,301, 12.6 bits. The lamp is lit until then, so that the camera finds its
    exposure in that light, and the first slot is always dark, so that its edge tells where the pattern begins;
    after the last the lamp is dark.
    """
    rows = patterns()
    return tuple(bool(slot) for slot in rows[_number(random, PATTERN_BYTES) % len(rows)])


@cache
def patterns() -> npt.NDArray[np.bool_]:
    """All patterns that are balanced, change often and are unlike themselves at another time: shape (n, 16)."""
    rows = (np.arange((1 << SLOTS) - 2, -1, -2)[:, None] >> np.arange(SLOTS) & 1).astype(np.bool_)
    lit = rows.sum(axis=1)
    same = rows[:, 1:] == rows[:, :-1]
    changes = SLOTS - 1 - same.sum(axis=1)
    fit = (lit >= LIT[0]) & (lit <= LIT[1]) & (changes >= CHANGES[0]) & (changes <= CHANGES[1])
    held = np.lib.stride_tricks.sliding_window_view(same, LONGEST_RUN, axis=1)
    fit &= np.sum(held.all(axis=2), axis=1) == 0
    rows = rows[fit]
    centred = rows - rows.mean(axis=1, keepdims=True)
    alone = (centred**2).sum(axis=1)
    alike = np.array([(centred[:, lag:] * centred[:, :-lag]).sum(axis=1) / alone for lag in range(1, MOVED + 1)])
    kept: npt.NDArray[np.bool_] = rows[alike.max(axis=0) <= ALIKE]
    kept.flags.writeable = False
    return kept


def _number(random: bytes, least: int) -> int:
    if len(random) < least:
        raise ValueError(f"a challenge is drawn from {least} random bytes")
    return int.from_bytes(random, "big")
