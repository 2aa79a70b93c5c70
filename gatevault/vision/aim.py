"""A look for the installer: where the nearest face stands and how it is lit. No vector is ever computed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gatevault.core.liveness import Edge, Prompt, Refusal
from gatevault.core.types import Quality
from gatevault.core.wire import Message, Sight
from gatevault.vision.align import Points
from gatevault.vision.detect import Face
from gatevault.vision.frame import Frame


class Aiming:
    """A `release.Release` that lets nothing go but `Sight`: it wants no face, so none is embedded."""

    over = False

    def __init__(self, nonce: str, emit: Callable[[Message], None]) -> None:
        self._nonce = nonce
        self._emit = emit
        self._face: Face | None = None

    def frame(self, frame: Frame, face: Face | None, landmarks: Points | None) -> None:
        self._face = face
        self._emit(self._sight(frame, None))

    def wants(self, frame: Frame, quality: Quality) -> bool:
        """Never; but this face would do, and how well is told."""
        self._emit(self._sight(frame, quality))
        return False

    def _sight(self, frame: Frame, quality: Quality | None) -> Sight:
        height, width = frame.pixels.shape[:2]
        light = float(np.mean(frame.pixels[::8, ::8])) / 255.0
        box = self._face.box if self._face is not None else None
        corners = (box.left, box.top, box.right, box.bottom) if box is not None else None
        return Sight(self._nonce, frame.index, (width, height), light, corners, quality)

    def face(self, seen: object) -> None:
        """None comes, for none is wanted."""

    def settle(self, now_ns: int) -> Refusal | None:
        return None

    def end(self, now_ns: int) -> Refusal | None:
        return None

    def told(self, light: Prompt | Edge) -> None:
        """Nobody is asked anything."""

    def forget(self) -> None:
        self._face = None
