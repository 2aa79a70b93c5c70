"""dlib's frontal face detector: needs no file, finds faces of 60 pixels and more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from gatevault.vision.detect import Detector, Points
from gatevault.vision.frame import Pixels

_BLANK_SIDE: Final = 128
"""A blank picture the detector can search: larger than its 80-pixel window."""


class HogDetector(Detector):
    """HOG at 640, 1280 and 2560 pixels, in frames of 640 first at 480.

    It doubles a 1280×720 frame to find a face of 35 pixels.

    Scores are distances to its separating plane: false boxes near 0.1, real faces mostly above 0.8.
    """

    sides = (640, 1280, 2560)
    small_side = 480
    narrowest = 60
    preferred = 90
    usual_score = 0.4

    def __init__(self, hog: Any) -> None:
        """`hog`: a `dlib.get_frontal_face_detector()` of its own."""
        self._hog = hog

    def search(self, picture: Pixels, min_score: float) -> list[tuple[Sequence[float], float, Points | None]]:
        found, scores, _ = self._hog.run(picture, 0, min_score)
        return [
            ((place.left(), place.top(), place.right() + 1, place.bottom() + 1), float(score), None)
            for place, score in zip(found, scores, strict=True)
        ]

    def forget(self) -> None:
        """Replace what dlib keeps of the last picture (its feature pyramid) by that of a blank one."""
        self._hog.run(np.zeros((_BLANK_SIDE, _BLANK_SIDE, 3), np.uint8), 0, 1.0)
