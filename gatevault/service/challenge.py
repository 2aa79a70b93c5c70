"""The challenge of one look: drawn from the system's randomness, shown by lights, told to vision as it happens.

Vision is told what was really driven, and when, not what was planned: a late thread is no reason to refuse anybody.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, Protocol

from gatevault.core.liveness import (
    PATTERN_BYTES,
    SLOT_MS,
    TURN_BYTES,
    TURNS_MS,
    Edge,
    Lamp,
    Prompt,
    Side,
    Tier,
    draw_pattern,
    draw_turns,
)

LAMPS: Final = {Tier.LED: Lamp.LED, Tier.IR: Lamp.IR}

Tell = Callable[[Prompt | Edge], None]
Done = Callable[[], None]


class Lights(Protocol):
    """What a challenge drives (`panel.Panel`). Each raises DeviceError where the part does not obey."""

    def lamp(self, lamp: Lamp, on: bool) -> None: ...
    def turn(self, side: Side, on: bool) -> None: ...


class Asking:
    """One look's challenge, which begins when vision says that somebody is there."""

    def __init__(self, tier: Tier, lights: Lights, tell: Tell, done: Done) -> None:
        """`done` is called when all was asked, be the last light still on."""
        self._what = (tier, lights, tell, done)
        self._waiting = ExitStack()
        self._task: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        """Light the lamp that is going to flicker, before the camera opens. DeviceError where it does not obey.

        The camera finds its exposure in that light: found at dusk without it, the lamp would burn the face.
        """
        tier, lights = self._what[:2]
        if tier in LAMPS:
            self._waiting.callback(lights.lamp, LAMPS[tier], False)
            lights.lamp(LAMPS[tier], True)

    def begin(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(challenge(*self._what))

    def check(self) -> None:
        """DeviceError where a light did not obey: the look is worth nothing."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    def end(self) -> None:
        """Every light goes dark. DeviceError where one does not obey."""
        if self._task is not None and self._task.done():
            return
        if self._task is not None:
            self._task.cancel()  # it may not have run at all yet
        self._waiting.close()


async def challenge(tier: Tier, lights: Lights, tell: Tell, done: Done) -> None:
    """Put the challenge of this tier; every light is dark afterwards, whatever happened. DeviceError.

    ValueError for OFF: nothing is to be asked there.
    """
    if tier is Tier.RGB:
        await _turns(lights, tell, done)
    elif tier in LAMPS:
        await _flicker(LAMPS[tier], lights, tell)
        done()
    else:
        raise ValueError("with liveness off nobody is asked anything")


async def _turns(lights: Lights, tell: Tell, done: Done) -> None:
    began, shown = _now(), None
    with ExitStack() as dark:
        for side in Side:
            dark.callback(lights.turn, side, False)
        cues = draw_turns(secrets.token_bytes(TURN_BYTES))
        for cue in cues:
            await _until(began + cue.after_ms * 1_000_000)
            if cue.side is not shown:
                if shown is not None:
                    lights.turn(shown, False)
                if cue.side is not None:
                    lights.turn(cue.side, True)
                shown = cue.side
            tell(Prompt(_now(), cue.side))
        done()
        await _until(began + TURNS_MS * 1_000_000)  # the last arrow is lit until the look ends, or nobody answers


async def _flicker(lamp: Lamp, lights: Lights, tell: Tell) -> None:
    """The pattern, from a lamp that is lit."""
    began, lit = _now(), True
    with ExitStack() as dark:
        dark.callback(lights.lamp, lamp, False)
        for slot, wanted in enumerate((*draw_pattern(secrets.token_bytes(PATTERN_BYTES)), False)):
            await _until(began + slot * SLOT_MS * 1_000_000)
            if wanted is not lit:
                lights.lamp(lamp, wanted)
                tell(Edge(_now(), lamp, wanted))
                lit = wanted


def _now() -> int:
    return time.monotonic_ns()


async def _until(at_ns: int) -> None:
    await asyncio.sleep(max(0.0, (at_ns - _now()) / 1e9))
