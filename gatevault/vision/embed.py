"""From a face's box to its vector: five landmarks, an upright chip, its quality, the network.

dlib's five points, left and right as seen in the image:

    2 ─ 3     1 ─ 0        2, 3 outer and inner corner of the left eye
         \\   /             0, 1 outer and inner corner of the right eye
           4               4    base of the nose

The chip is `dlib.get_face_chip`, 150 pixels with a padding of 0.25, as the network was trained on;
the vector equals `face_recognition.face_encodings(…, model="small")` of the same box. Both read
only the face's surroundings of the full frame and copy no more, so large frames need no cropping.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final

import cv2
import dlib
import numpy as np

from gatevault.core.types import Box, Quality, Vector
from gatevault.vision.frame import Pixels

CHIP_SIDE: Final = 150
CHIP_PADDING: Final = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Chip:
    """One upright face, shape (150, 150, 3), and whether it will embed well."""

    pixels: Pixels = field(repr=False)
    quality: Quality

    def wipe(self) -> None:
        self.pixels.fill(0)


class Embedder:
    """dlib's five-point landmarks and ResNet: 128 float32 values a face, about 80 ms on one core."""

    def __init__(self, landmarks: Any, network: Any) -> None:
        self._landmarks = landmarks
        self._network = network

    def chip(self, pixels: Pixels, box: Box) -> Chip:
        """Cut the face out of the full frame, upright. The caller wipes the chip."""
        # dlib's rectangles include their right and bottom pixel.
        place = dlib.rectangle(box.left, box.top, box.right - 1, box.bottom - 1)
        shape = self._landmarks(pixels, place)
        chip = dlib.get_face_chip(pixels, shape, CHIP_SIDE, CHIP_PADDING)
        points = np.array([(p.x, p.y) for p in shape.parts()], np.float64)
        return Chip(chip, quality(chip, points, box.width))

    def vector(self, chip: Chip) -> Vector:
        """The chip's embedding, not normalised. The caller wipes it; dlib's copy is overwritten."""
        values = self._network.compute_face_descriptor(chip.pixels)
        vector = np.array(values, np.float32)
        for i in range(len(values)):
            values[i] = 0.0
        return vector

    def forget(self) -> None:
        """Run a blank chip: dlib's network keeps its input and every layer's output of the last one."""
        self._network.compute_face_descriptor(np.zeros((CHIP_SIDE, CHIP_SIDE, 3), np.uint8))


def quality(chip: Pixels, points: np.ndarray[Any, np.dtype[np.float64]], size: float) -> Quality:
    """Measure a chip; `points` are the five landmarks in the frame, shape (5, 2) as x, y.

    Definitions and units: `core.types.Quality`. Yaw is measured along the eye line, so that a
    tilted head does not read as a turned one.
    """
    grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY)
    edges = cv2.Laplacian(grey, cv2.CV_64F)
    sharpness, exposure = float(edges.var()), float(grey.mean()) / 255.0
    grey.fill(0)
    edges.fill(0.0)
    right_eye, left_eye = (points[0] + points[1]) / 2, (points[2] + points[3]) / 2
    line = right_eye - left_eye
    distance = max(float(np.hypot(*line)), 1e-6)
    yaw = float(np.dot(points[4] - (left_eye + right_eye) / 2, line)) / distance**2
    roll = math.degrees(math.atan2(line[1], line[0]))
    return Quality(float(size), sharpness, exposure, yaw, roll)
