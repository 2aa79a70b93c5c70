"""A look for the installer: numbers of where a face stands go to the terminal, and nothing of it is kept."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Final

import msgspec

from gatevault.core import wire
from gatevault.core.aiming import Advice, Sighting, of_hint, of_place
from gatevault.core.errors import CameraError
from gatevault.core.settings import LookSettings
from gatevault.service.control import Say, hung_up
from gatevault.service.eyes import Eyes

EVERY_S: Final = 0.25
"""How often the terminal is told: a phone's ssh over a poor network keeps up with it."""


class _Sights:
    """What the frames of one look tell, joined frame by frame."""

    def __init__(self, settings: LookSettings) -> None:
        self._settings = settings
        self.now: Sighting | None = None
        self.counts: Counter[Advice] = Counter()

    def sight(self, sight: wire.Sight) -> None:
        box, width, advice, quality = None, 0, Advice.NOBODY, sight.quality
        if sight.box is not None:
            left, top, right, bottom = sight.box
            across, down = sight.size
            shares = (left / across, top / down, right / across, bottom / down)
            left_, top_, right_, bottom_ = (round(1_000 * share) for share in shares)
            box, width = (left_, top_, right_, bottom_), right - left
            advice = of_place(shares, self._settings)
        self.now = Sighting(sight.frame, sight.size, round(100 * sight.light), advice, box, width)
        if quality is not None:
            exposure, sharpness = round(100 * quality.exposure), round(quality.sharpness)
            self.now = msgspec.structs.replace(self.now, exposure=exposure, sharpness=sharpness)
            self.counts[advice] += 1

    def hint(self, empty: wire.FrameEmpty) -> None:
        advice = of_hint(empty.hint)
        self.counts[advice] += 1
        if self.now is None or self.now.frame != empty.frame:  # a broken frame, or several faces: no box was told
            self.now = Sighting(empty.frame, (0, 0), 0, advice)
        else:
            self.now = msgspec.structs.replace(self.now, advice=advice)


def _whole(event: object) -> bool:
    """Whether all of a frame was told: its hint, or its face's quality, comes last."""
    return isinstance(event, wire.FrameEmpty) or (isinstance(event, wire.Sight) and event.quality is not None)


async def aim(eyes: Eyes, camera: str | None, seconds: int, say: Say) -> dict[str, Any]:
    """Look for at most `seconds`; what was seen, in numbers. Ends as soon as the terminal hung up.

    ConflictError, VisionDownError, DeviceError as `Eyes.look`; CameraError where the camera gives nothing.
    """
    sights, told, done = _Sights(eyes.hello.look), 0.0, None
    async with eyes.look(wire.Purpose.AIM, time.monotonic_ns(), camera, aim_s=seconds) as events:
        async for event in events:
            if isinstance(event, wire.Sight):
                sights.sight(event)
            elif isinstance(event, wire.FrameEmpty):
                sights.hint(event)
            elif isinstance(event, wire.LookDone):
                done = event
            if _whole(event) and sights.now is not None and time.monotonic() - told >= EVERY_S:
                told = time.monotonic()
                say(msgspec.json.encode(sights.now).decode())
            if hung_up(say):
                break
    if done is not None and done.end is wire.LookEnd.CAMERA:
        raise CameraError(f"The camera gave no look: {done.error}")
    last = msgspec.to_builtins(sights.now) if sights.now is not None else None
    most = sights.counts.most_common()
    return {
        "frames": done.frames if done is not None else 0,
        "stale": done.stale if done is not None else 0,
        "good": sights.counts[Advice.GOOD],
        "advice": {advice.value: count for advice, count in most},
        "last": last,
    }
