"""Where the faces are, and which one counts: the port, and what its detectors share.

`hog` finds faces with dlib, `yunet` with a network from a file; `follow` chooses what to ask them.
A full search brings the frame to a working size. The smaller, the faster and the blinder: so there
are several, coarse first, each with the narrowest face that it finds (docs/recognition.md,
"Detection").
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import cv2
import numpy as np
import numpy.typing as npt

from gatevault.core.types import Box
from gatevault.vision.frame import Pixels

MAX_ENLARGEMENT: Final = 2.0
"""Beyond this, enlarging only invents faces."""

SMALL_FRAME: Final = 640
"""Long side of a small frame, in pixels."""

SURROUNDINGS: Final = 0.5
"""What `near` searches around a face, in its widths to each side: between two frames nobody moves further."""

Points = npt.NDArray[np.float64]
"""Right eye, left eye (the person's), nose tip, right and left corner of the mouth: shape (5, 2), x and y."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A detected face in pixels of the full frame (it may reach beyond the edge), and its score.

    The box is what dlib's HOG draws, from the eyebrows to the chin, whichever the detector: sizes,
    and the landmarks that start from it, mean the same.
    """

    box: Box
    score: float
    points: Points | None = field(default=None, repr=False)


class Detector(ABC):
    """Finds faces in a picture. One look at a time: it keeps working memory until `forget`."""

    sides: ClassVar[tuple[int, ...]]
    """Long sides of the pictures that a full search works on, coarse first, in pixels."""
    small_side: ClassVar[int] = 0
    """A side before those for frames of at most SMALL_FRAME, of which a face that embeds well is a larger share."""
    narrowest: ClassVar[int]
    """Width of the narrowest face that is found in a working picture, in pixels."""
    preferred: ClassVar[int]
    """Width that a followed face is brought to, in pixels: far enough above `narrowest`."""
    usual_score: ClassVar[float]
    """Least score where the configuration names none."""

    def find(self, pixels: Pixels, min_score: float | None = None, level: int = 0) -> list[Face]:
        """All faces of the frame of at least `min_score`, widest first.

        `level` counts from coarse (0) to fine; beyond the finest is the finest. `min_score` is in the
        detector's own scale, `usual_score` if None. The working copy is overwritten.
        """
        scales = self._scales(pixels.shape)
        return self._at(pixels, scales[min(level, len(scales) - 1)], min_score)

    def near(self, pixels: Pixels, box: Box, min_score: float | None = None) -> list[Face]:
        """The faces in the surroundings of `box`, where a face of about its size was; as `find`."""
        height, width = pixels.shape[:2]
        reach = round(SURROUNDINGS * box.width)
        left, right = max(0, box.left - reach), min(width, box.right + reach)
        top, bottom = max(0, box.top - reach), min(height, box.bottom + reach)
        if right <= left or bottom <= top:
            return []
        scale = min(MAX_ENLARGEMENT, self.preferred / box.width)
        return self._at(pixels[top:bottom, left:right], scale, min_score, (left, top))

    def level_for(self, shape: tuple[int, ...], width: float) -> int:
        """The coarsest level that finds faces of `width` pixels in a frame of this shape."""
        scales = self._scales(shape)
        return next((i for i, scale in enumerate(scales) if width * scale >= self.narrowest), len(scales) - 1)

    @abstractmethod
    def search(self, picture: Pixels, min_score: float) -> list[tuple[Sequence[float], float, Points | None]]:
        """Left, top, right, bottom (exclusive), score and points of each face, at the picture's own scale."""

    @abstractmethod
    def forget(self) -> None:
        """Overwrite what is kept of the pictures searched since the last time."""

    def _scales(self, shape: tuple[int, ...]) -> list[float]:
        """Scale of each level, rising; levels that would be the same are one."""
        longest = max(shape[:2])
        small = self.small_side if self.small_side < longest <= SMALL_FRAME else 0
        scales = [min(MAX_ENLARGEMENT, side / longest) for side in (small, *self.sides) if side]
        return sorted(set(scales))

    def _at(
        self, region: Pixels, scale: float, min_score: float | None, origin: tuple[int, int] = (0, 0)
    ) -> list[Face]:
        """Search a region of the frame, whose corner is `origin` (x, y), brought to `scale`."""
        height, width = region.shape[:2]
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        if size == (width, height) and region.flags.c_contiguous:
            working = region
        elif size == (width, height):
            working = np.ascontiguousarray(region)
        else:
            working = _resized(region, size)
        try:
            found = self.search(working, self.usual_score if min_score is None else min_score)
        finally:
            if working is not region:
                working.fill(0)
        faces = [_placed(corners, score, points, scale, origin) for corners, score, points in found]
        return sorted((f for f in faces if f is not None), key=lambda face: face.box.width, reverse=True)


def _resized(region: Pixels, size: tuple[int, int]) -> Pixels:
    """A copy of `region` of this size (width, height): whole pixels are averaged first, the rest is bilinear.

    Six times cheaper than averaging by fractions of pixels.
    """
    height, width = region.shape[:2]
    step = min(width // size[0], height // size[1])
    if step <= 1:
        return np.asarray(cv2.resize(region, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    few = (width // step, height // step)
    whole = region[: few[1] * step, : few[0] * step]
    reduced = np.asarray(cv2.resize(whole, few, interpolation=cv2.INTER_AREA), np.uint8)
    if few == size:
        return reduced
    try:
        return np.asarray(cv2.resize(reduced, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    finally:
        reduced.fill(0)


def _placed(
    corners: Sequence[float], score: float, points: Points | None, scale: float, origin: tuple[int, int]
) -> Face | None:
    """A face in pixels of the frame; None where a figure is not finite or the box is empty."""
    values: list[Any] = [*corners, score] if points is None else [*corners, score, *points.flat]
    if not np.isfinite(values).all():
        return None
    left, top, right, bottom = (round(c / scale) + origin[i % 2] for i, c in enumerate(corners))
    if right <= left or bottom <= top:
        return None
    return Face(Box(left, top, right, bottom), float(score), None if points is None else points / scale + origin)


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
