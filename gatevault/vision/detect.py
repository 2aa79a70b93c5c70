"""Where the faces are, and which one counts.

dlib's HOG detector finds faces from 80 pixels, so pictures are brought to 640 pixels on their long
side: a 640×360 clip stays as it is (its faces have 87 pixels), a 1280×720 camera is halved, and a
250-pixel portrait doubled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np

from gatevault.core.types import Box
from gatevault.vision.frame import Pixels

WORKING_SIDE: Final = 640
"""Long side of the picture that is searched, in pixels: about 18 ms on one x86-64 core at 16:9."""

MAX_ENLARGEMENT: Final = 2.0
"""Beyond this, enlarging only invents faces."""

_BLANK_SIDE: Final = 128
"""A blank picture the detector can search: larger than its 80-pixel window."""


@dataclass(frozen=True, slots=True)
class Face:
    """A detected face in pixels of the full frame (it may reach beyond the edge), and its score."""

    box: Box
    score: float


class Detector:
    """dlib's frontal face detector at working size."""

    def __init__(self, hog: Any) -> None:
        self._hog = hog

    def find(self, pixels: Pixels, min_score: float) -> list[Face]:
        """The faces of at least `min_score`, widest first. The resized copy is overwritten."""
        height, width = pixels.shape[:2]
        scale = min(MAX_ENLARGEMENT, WORKING_SIDE / max(height, width))
        if scale == 1.0:
            return self._search(pixels, min_score, 1.0)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        working = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        try:
            return self._search(working, min_score, scale)
        finally:
            working.fill(0)

    def forget(self) -> None:
        """Replace what dlib keeps of the last picture (its feature pyramid) by that of a blank one."""
        self._hog.run(np.zeros((_BLANK_SIDE, _BLANK_SIDE, 3), np.uint8), 0, 1.0)

    def _search(self, working: Pixels, min_score: float, scale: float) -> list[Face]:
        found, scores, _ = self._hog.run(working, 0, min_score)
        faces = []
        for place, score in zip(found, scores, strict=True):
            corners = (place.left(), place.top(), place.right() + 1, place.bottom() + 1)
            faces.append(Face(Box(*(round(c / scale) for c in corners)), float(score)))
        return sorted(faces, key=lambda face: face.box.width, reverse=True)


def in_zone(faces: Sequence[Face], zone: tuple[float, float, float, float], height: int, width: int) -> list[Face]:
    """The faces whose centre lies in the zone (shares of the frame: left, top, right, bottom)."""
    left, top, right, bottom = zone
    return [
        face
        for face in faces
        if left * width <= (face.box.left + face.box.right) / 2 <= right * width
        and top * height <= (face.box.top + face.box.bottom) / 2 <= bottom * height
    ]


def has_rival(faces: Sequence[Face], share: float) -> bool:
    """Whether the second of `faces` (widest first) is at least `share` as wide as the nearest."""
    return len(faces) > 1 and faces[1].box.width >= share * faces[0].box.width
