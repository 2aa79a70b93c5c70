"""The exposure that a look holds is made to fit the face: an automatic finds it over the whole view, and so burns a
face before a dark garden, and leaves one dark before a bright sky.

Once a face is seen, and before anything is asked of anybody, exposure is changed in a few steps until the face is
well lit; then it stays for as long as the look lasts, as the lamp's test needs it. Frames between two steps count
for nothing: whatever is measured over a look is measured in one light.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from gatevault.core.types import Box
from gatevault.core.wire import Hint
from gatevault.vision.exposure import LATE_FRAMES
from gatevault.vision.frame import Camera, Frame
from gatevault.vision.paired import PairedCamera

Picture = npt.NDArray[np.uint8]

STEPS: Final = 4
"""Changes of one look: 0.13 s each at 30 frames a second. Most faces need one."""

BURNT: Final = 250
"""Level from which a pixel tells nothing but that it is bright."""
MOST_BURNT: Final = 0.15
"""Share of such pixels in the face, in its brightest colour: a shining nose and forehead are less."""
WELL: Final = (0.22, 0.75)
"""Mean level of a face that needs no change: dark skin in fair light, and pale skin beside a lamp."""
AIM: Final = 0.5
"""Else it is brought to about this."""
BURNT_FACTOR: Final = 0.25
"""How far beyond its end a burnt face is, nobody knows: from the very end this leads to the aim. Look again."""
MOST_FACTOR: Final = 4.0
"""Of one step up: noise becomes visible."""

_GAMMA: Final = 2.2
_INNER: Final = 0.2
"""Share of a face's box that is left out at each side: hair, and what is behind."""
_EVERY: Final = 2
"""Pixel that counts, across and down."""


@runtime_checkable
class Exposing(Protocol):
    """A camera whose held exposure can be changed (`opened.OpenedCamera`)."""

    def expose(self, factor: float) -> bool: ...


class Metering:
    """One look's."""

    def __init__(self, camera: Camera) -> None:
        self._parts = (
            [_Part(camera.colour, _colour), _Part(camera.infrared, _infrared)]
            if isinstance(camera, PairedCamera)
            else [_Part(camera, _colour)]
        )

    def unfit(self, frame: Frame, box: Box) -> Hint | None:
        """Why this frame, with a face at `box`, does not count yet, or None for good: what is held fits."""
        hints = [part.unfit(frame, box) for part in self._parts]
        if not any(hints):
            self._parts = []  # from here on a face is followed, and may be asked: nothing changes any more
        return next((hint for hint in hints if hint is not None), None)


def _colour(frame: Frame) -> Picture:
    return frame.pixels


def _infrared(frame: Frame) -> Picture | None:
    return frame.infrared


class _Part:
    """One camera's."""

    def __init__(self, camera: Any, picture: Callable[[Frame], Picture | None]) -> None:
        self._camera = camera if isinstance(camera, Exposing) else None
        self._picture = picture
        self._left = STEPS
        self._waits = 0
        self._hint: Hint | None = None

    def unfit(self, frame: Frame, box: Box) -> Hint | None:
        picture = self._picture(frame)
        if self._camera is None or picture is None:
            return None
        if frame.index < self._waits:
            return self._hint
        factor = correction(picture, box, frame.pixels.shape[1])
        if factor == 1.0 or not self._left or not self._camera.expose(factor):
            self._camera = None
            return None
        self._left -= 1
        self._waits = frame.index + 1 + LATE_FRAMES
        self._hint = Hint.TOO_BRIGHT if factor < 1.0 else Hint.TOO_DARK
        return self._hint


def correction(picture: Picture, box: Box, width: int) -> float:
    """By how much more light the face at `box` should be seen, 1 for none.

    `picture`: shape (h, w) or (h, w, 3); `box` is of a picture that is `width` wide and shows the same.
    """
    scale = picture.shape[1] / width
    left, right = box.left + _INNER * box.width, box.right - _INNER * box.width
    top, bottom = box.top + _INNER * box.width, box.bottom - _INNER * box.width
    rows = slice(max(0, round(top * scale)), max(0, round(bottom * scale)), _EVERY)
    columns = slice(max(0, round(left * scale)), max(0, round(right * scale)), _EVERY)
    face = picture[rows, columns]
    if not face.size:
        return 1.0
    brightest = face if face.ndim == 2 else face.max(axis=2)
    if float(np.mean(brightest >= BURNT)) > MOST_BURNT:
        return BURNT_FACTOR
    level = float(face.mean()) / 255.0
    low, high = WELL
    if low <= level <= high:
        return 1.0
    return float(min(MOST_FACTOR, (AIM / max(level, 0.01)) ** _GAMMA))
