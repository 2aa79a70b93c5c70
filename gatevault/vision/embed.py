"""From a face's box to its vector: five landmarks, upright chips, their quality, one network or two.

dlib's five points, left and right as seen in the image:

    2 ─ 3     1 ─ 0        2, 3 outer and inner corner of the left eye
         \\   /             0, 1 outer and inner corner of the right eye
           4               4    base of the nose

The chip is `dlib.get_face_chip`, 150 pixels with a padding of 0.25, as dlib's network was trained on and as quality
is measured on; other networks cut theirs beside it (`networks`). They read only the face's surroundings of the full
frame and copy no more, so large frames need no cropping.

A face and its mirror image are the same person to us and two to a network. Averaging both misses a tenth fewer
residents and costs nothing here: the frames of a look are taken plain and mirrored in turn. An enrolment takes both
of each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

import cv2
import dlib
import numpy as np

from gatevault.core.matching import unit
from gatevault.core.types import Box, Quality, Vector, check_vector
from gatevault.core.wiped import wiped
from gatevault.vision.align import Points
from gatevault.vision.detect import Face
from gatevault.vision.dlib_file import SIDE
from gatevault.vision.frame import Pixels
from gatevault.vision.networks import Cut, Network

CHIP_SIDE: Final = SIDE
CHIP_PADDING: Final = 0.25


class NoVectorError(Exception):
    """A network gave NaN, an infinite number or nothing but zeros for a good chip."""


class View(Enum):
    """Which way round a chip is embedded."""

    PLAIN = "plain"
    MIRRORED = "mirrored"
    BOTH = "both"
    """The unit mean of both."""


@dataclass(frozen=True, slots=True, eq=False)
class Chip:
    """One upright face, shape (150, 150, 3), whether it will embed well, and the chips that the networks take."""

    pixels: Pixels = field(repr=False)
    quality: Quality
    crops: tuple[Pixels, ...] = field(repr=False, default=())

    def wipe(self) -> None:
        for pixels in (self.pixels, *self.crops):
            pixels.fill(0)


class Embedder:
    """dlib's five-point landmarks and one or two networks, whose unit vectors are joined."""

    def __init__(self, landmarks: Any, networks: Sequence[Network], shares: Sequence[float] = (1.0,)) -> None:
        """`shares`: of each network in the fused cosine (`core.models.shares`)."""
        self._landmarks = landmarks
        self._networks = tuple(networks)
        self._shares = tuple(shares)

    @property
    def dimension(self) -> int:
        return sum(network.dimension for network in self._networks)

    def chip(self, pixels: Pixels, face: Face) -> Chip:
        """Cut the face out of the full frame, upright. The caller wipes the chip."""
        shape = self._shape(pixels, face.box)
        chip = dlib.get_face_chip(pixels, shape, CHIP_SIDE, CHIP_PADDING)
        landmarks = _points(shape)
        cut = Cut(pixels, face.points, landmarks, chip)
        crops = tuple(network.crop(cut) for network in self._networks)
        return Chip(chip, quality(chip, landmarks, face.box.width), crops)

    def landmarks_of(self, pixels: Pixels, face: Face) -> Points:
        """dlib's five landmarks of a face, shape (5, 2) as x, y, in pixels of the full frame."""
        return _points(self._shape(pixels, face.box))

    def _shape(self, pixels: Pixels, box: Box) -> Any:
        # dlib's rectangles include their right and bottom pixel.
        return self._landmarks(pixels, dlib.rectangle(box.left, box.top, box.right - 1, box.bottom - 1))

    def vector(self, chip: Chip, view: View = View.PLAIN) -> Vector:
        """The chip's embedding, shape (d,): raw of one network and one way round, else of length one.

        The caller wipes it. NoVectorError where it would be no vector.
        """
        try:
            if len(self._networks) == 1:
                return _viewed(self._networks[0], chip.crops[0], view)
            return self._fused(chip, view)
        except ValueError:
            raise NoVectorError from None

    def _fused(self, chip: Chip, view: View) -> Vector:
        joined = np.empty(self.dimension, np.float32)
        at = 0
        try:
            for network, crop, share in zip(self._networks, chip.crops, self._shares, strict=True):
                with wiped(_viewed(network, crop, view)) as raw, wiped(unit(raw)) as scaled:
                    np.multiply(scaled, np.float32(math.sqrt(share)), out=joined[at : at + scaled.size])
                at += network.dimension
        except BaseException:
            joined.fill(0.0)
            raise
        return joined

    def forget(self) -> None:
        """Overwrite what the networks keep of the last face: their inputs and every layer's output."""
        for network in self._networks:
            network.forget()


def _points(shape: Any) -> Points:
    return np.array([(p.x, p.y) for p in shape.parts()], np.float64)


def _viewed(network: Network, crop: Pixels, view: View) -> Vector:
    """ValueError where it is no vector, which then is overwritten."""
    if view is View.PLAIN:
        return _checked(network.vector(crop))
    mirrored = np.ascontiguousarray(crop[:, ::-1])
    try:
        turned = _checked(network.vector(mirrored))
    finally:
        mirrored.fill(0)
    if view is View.MIRRORED:
        return turned
    with (
        wiped(turned),
        wiped(_checked(network.vector(crop))) as plain,
        wiped(unit(plain)) as total,
        wiped(unit(turned)) as other,
    ):
        total += other
        return unit(total)


def _checked(vector: Vector) -> Vector:
    try:
        check_vector(vector)
    except ValueError:
        vector.fill(0.0)
        raise
    return vector


def quality(chip: Pixels, points: np.ndarray[Any, np.dtype[np.float64]], size: float) -> Quality:
    """Measure a chip; `points` are the five landmarks in the frame, shape (5, 2) as x, y.

    Definitions and units: `core.types.Quality`. Yaw is measured along the eye line, so that a
    tilted head does not read as a turned one.
    """
    grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY)
    edges = cv2.Laplacian(grey, cv2.CV_16S)  # exact: its values are whole, within 1,020
    _, deviation = cv2.meanStdDev(edges)
    sharpness, exposure = float(deviation[0, 0]) ** 2, cv2.mean(grey)[0] / 255.0
    grey.fill(0)
    edges.fill(0)
    right_eye, left_eye = (points[0] + points[1]) / 2, (points[2] + points[3]) / 2
    line = right_eye - left_eye
    distance = max(float(np.hypot(*line)), 1e-6)
    yaw = float(np.dot(points[4] - (left_eye + right_eye) / 2, line)) / distance**2
    roll = math.degrees(math.atan2(line[1], line[0]))
    return Quality(float(size), sharpness, exposure, yaw, roll)
