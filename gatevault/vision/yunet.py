"""YuNet (OpenCV Zoo, MIT): a small network that finds faces of 15 pixels and more, with five points.

From the bytes of `face_detection_yunet_2023mar.onnx`, run by OpenCV on the processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np

from gatevault.core.errors import ModelError
from gatevault.vision.detect import Detector, Points
from gatevault.vision.frame import Pixels

_BLANK_SIDE: Final = 64

_PAD: Final = 32
"""Sides are padded to multiples of this by OpenCV: sizes that pad alike share the network's memory."""

_OVERLAP: Final = 0.3
"""Boxes that overlap by more are one face (intersection over union), as OpenCV's sample has it."""

_MOST: Final = 50
"""Candidates looked at; a gate sees a handful."""

# dlib's box from YuNet's, fitted on 78 photographs: the centre moves by these shares of its height,
# and its side is this multiple of the geometric mean of width and height.
_ACROSS: Final = -0.017
_DOWN: Final = 0.048
_SIDE: Final = 0.992


class YunetDetector(Detector):
    """YuNet at 320 and 640 pixels, in frames of 640 first at 256.

    It finds a 1280×720 frame's faces from 60 and from 30 pixels.

    Scores lie between 0 and 1: real faces of 20 pixels and more near 0.9.
    """

    sides = (320, 640)
    small_side = 256
    narrowest = 15
    preferred = 48
    usual_score = 0.7

    def __init__(self, model: bytes) -> None:
        """`model`: the bytes of the ONNX file. ModelError if OpenCV does not load them."""
        self._sizes: set[tuple[int, int]] = set()
        try:
            self._net = cv2.FaceDetectorYN.create(
                "onnx",
                np.frombuffer(model, np.uint8),
                np.empty(0, np.uint8),
                (_BLANK_SIDE, _BLANK_SIDE),
                self.usual_score,
                _OVERLAP,
                _MOST,
            )
            self._run(np.zeros((_BLANK_SIDE, _BLANK_SIDE, 3), np.uint8))
        except cv2.error:
            raise ModelError(
                "OpenCV does not run this file as a YuNet detector: use face_detection_yunet_2023mar.onnx."
            ) from None

    def search(self, picture: Pixels, min_score: float) -> list[tuple[Sequence[float], float, Points | None]]:
        self._net.setScoreThreshold(min_score)
        bgr = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), np.uint8)
        try:
            rows = self._run(bgr)
        finally:
            bgr.fill(0)
        return [(_like_dlib(*row[:4]), float(row[14]), row[4:14].reshape(5, 2).astype(np.float64)) for row in rows]

    def forget(self) -> None:
        """Run a blank picture of each size that was searched: the network leaves memory of its own for each."""
        for width, height in sorted(self._sizes):
            self._run(np.zeros((height, width, 3), np.uint8))
        self._sizes.clear()

    def _run(self, bgr: Pixels) -> Any:
        height, width = bgr.shape[:2]
        self._sizes.add((width + -width % _PAD, height + -height % _PAD))
        self._net.setInputSize((width, height))
        _, rows = self._net.detect(bgr)
        return () if rows is None else rows


def _like_dlib(left: float, top: float, width: float, height: float) -> tuple[float, float, float, float]:
    """The square that dlib would draw around the same face: left, top, right, bottom."""
    half = _SIDE * float(np.sqrt(max(0.0, width * height))) / 2
    x, y = left + width / 2 + _ACROSS * height, top + height / 2 + _DOWN * height
    return x - half, y - half, x + half, y + half
