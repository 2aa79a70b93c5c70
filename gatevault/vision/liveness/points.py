"""Points on a face, followed from frame to frame (pyramidal Lucas-Kanade, checked backwards).

They are followed in a part of the frame around the face, at a scale where the face is `FACE` pixels wide, and after
the slow part of the brightness was taken away: a lamp that goes on, or exposure control, moves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from gatevault.core.types import Box
from gatevault.vision.detect import Points
from gatevault.vision.frame import Pixels
from gatevault.vision.liveness.head import Floats, frame_of, placed

Grey = npt.NDArray[np.uint8]

FACE: Final = 120
"""Width that a face is brought to, in pixels, if it is wider than `LARGE`."""
LARGE: Final = 170

_REACH: Final = (1.6, 1.3, 1.4)
"""Of the face's width, to both sides, above and below its box: what is looked at."""

WINDOW: Final = (9, 9)
"""Pixels that tell where a point is: more would smooth the nose away, fewer follow nothing."""
_LEVELS: Final = 3
_BACK: Final = 0.8
"""Pixels that a point may miss its origin by when followed back."""

_SLIP: Final = 1.5
"""Pixels by which a point may be put back to what the first frame showed."""
_AWAY: Final = 2.5
"""And pixels from where it must be, at which a lost one may be found again,"""
_LIKE: Final = 4.0
"""if its surroundings look like the first frame's: mean difference in levels of the prepared picture."""

_SMOOTH: Final = 21
"""Side in pixels of the surroundings whose mean brightness is taken away: wider than an eye."""

_STEPS: Final = 32
_LOG: Final = np.array([np.log(value + 10.0) * 64.0 * _STEPS for value in range(256)]).round().astype(np.int16)
"""Of each grey level, `_STEPS` to a level of the prepared picture."""

_FACE_AREAS: Final = ((0.36, -0.16, 0.8, 0.12), (0.8, -0.5, 1.3, 0.2))
"""u (both ways), top and bottom v, and side of the squares, inter-eye distances, of which each has one point: the
nose, whose depth tells most, and the face as far as it is skin and features and the table of depths is sure."""

_APART: Final = 0.07
"""Least distance of two points, inter-eye distances."""

_LEAST: Final = 8
"""Points that a face's place is told from."""

_ROUNDS: Final = 3
"""Of fitting, without the points that missed by three times the median."""

_WEAK: Final = 0.001
"""Corners of a face below this share of the strongest are noise."""


class Tracker:
    """Follows points from the frame that it was made with. `wipe` overwrites what it holds of pictures."""

    def __init__(self, pixels: Pixels, box: Box, five: Points) -> None:
        """`five`: the face's points in pixels of the frame. ValueError where they fall together."""
        frame_of(five)
        height, width = pixels.shape[:2]
        reach = [share * box.width for share in _REACH]
        self._left, self._right = max(0, int(box.left - reach[0])), min(width, int(box.right + reach[0]))
        self._top, self._bottom = max(0, int(box.top - reach[1])), min(height, int(box.bottom + reach[2]))
        self._scale = 1.0 if box.width <= LARGE else FACE / box.width
        self._shape = pixels.shape
        working = self.cut(pixels)
        self.picture = prepared(working)
        working.fill(0)
        self.frame = frame_of(self._inside(five))
        """From the working picture's pixels to u and v."""
        self.distance = float(np.hypot(*(five[1] - five[0]))) * self._scale
        """Between the eyes, in the working picture's pixels."""
        self.apart = self.distance / self._scale / width
        """The same as a share of the frame's width."""
        self.corners = cv2.cornerMinEigenVal(self.picture, 5, ksize=3)
        """How clear a corner each pixel of the first picture is."""
        (left, top), (right, bottom) = self._inside(np.array(((box.left, box.top), (box.right, box.bottom)), float))
        self.box = (float(left), float(top), float(right), float(bottom))
        """The face's, in the first working picture: left, top, right, bottom."""
        self.on_face = self._spread()
        """Where the face's points were in the first frame, as u and v: shape (n, 2)."""
        self._first = self.picture.copy()
        self._first_places = placed(cv2.invertAffineTransform(self.frame), self.on_face).astype(np.float32)
        self.places = self._first_places.copy()
        """Where they are in the working picture now, (n, 2)."""
        self.alive = np.ones(len(self.places), np.bool_)
        """Which of them are followed."""
        self.unbroken = len(self.places)
        """How many of those followed before were found in the newest frame."""

    def cut(self, pixels: Pixels) -> Pixels:
        """The working picture of a frame, RGB; the caller wipes it. ValueError for a frame of another size."""
        if pixels.shape != self._shape:
            raise ValueError("a track's frames have one size")
        part = pixels[self._top : self._bottom, self._left : self._right]
        if self._scale == 1.0:
            return part.copy()
        size = (max(32, round(part.shape[1] * self._scale)), max(32, round(part.shape[0] * self._scale)))
        finely = cv2.INTER_LINEAR if self._scale > 0.5 else cv2.INTER_AREA
        return np.asarray(cv2.resize(part, size, interpolation=finely), np.uint8)

    def follow(self, working: Pixels) -> None:
        """Find the points in the next frame's working picture."""
        now = prepared(working)
        places = self.places[:, None, :]
        found, good, _ = cv2.calcOpticalFlowPyrLK(self.picture, now, places, None, winSize=WINDOW, maxLevel=_LEVELS)
        back, well, _ = cv2.calcOpticalFlowPyrLK(now, self.picture, found, None, winSize=WINDOW, maxLevel=_LEVELS)
        missed = np.abs(back - places).max(axis=(1, 2))
        self.alive &= (good[:, 0] == 1) & (well[:, 0] == 1) & (missed < _BACK)
        self.unbroken = int(self.alive.sum())
        self.places = np.asarray(found[:, 0, :], np.float32)
        self.picture.fill(0)
        self.picture = now
        self._refine()

    def _refine(self) -> None:
        """Look for the points as the first frame showed them, near where they are, or must be.

        From frame to frame a point slips a little on a face that turns, or is lost where it turns away; by this it
        is found again when the face comes back.
        """
        frame = self.face_frame()
        if frame is None:
            return
        near = self.places.copy()
        near[~self.alive] = placed(cv2.invertAffineTransform(frame), self.on_face[~self.alive])
        found, good, differs = cv2.calcOpticalFlowPyrLK(
            *(self._first, self.picture, self._first_places[:, None, :], near[:, None, :].copy()),
            winSize=WINDOW,
            maxLevel=0,
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        )
        moved = np.abs(found[:, 0] - near).max(axis=1)
        sure = (good[:, 0] == 1) & np.where(self.alive, moved < _SLIP, (moved < _AWAY) & (differs[:, 0] < _LIKE))
        self.places[sure] = found[sure, 0]
        self.alive |= sure

    def face_frame(self) -> Floats | None:
        """The affine matrix (2, 3) from the working picture now to u and v; None where too few points are left."""
        if self.alive.sum() < _LEAST:
            return None
        now, then = self.places[self.alive].astype(np.float64), self.on_face[self.alive]
        terms = np.column_stack((now, np.ones(len(now))))
        weight = np.ones(len(now))
        for _ in range(_ROUNDS):
            weighed = terms.T * weight
            fitted = np.linalg.solve(weighed @ terms + 1e-9 * np.eye(3), weighed @ then)
            missed = np.abs(terms @ fitted - then).max(axis=1)
            weight = (missed <= max(3.0 * float(np.median(missed)), 1e-6)).astype(np.float64)
        return np.asarray(fitted.T)

    def wipe(self) -> None:
        """Overwrite the pictures and the points."""
        for held in (self.picture, self._first, self.corners, self.places, self._first_places, self.on_face):
            held.fill(0)

    def from_view(self, width: int) -> Floats:
        """The affine matrix (2, 3) from a picture of the whole view, `width` wide, to the working picture."""
        scale = self._shape[1] / width * self._scale
        left, top = (0.5 * scale - corner * self._scale - 0.5 for corner in (self._left, self._top))
        return np.array(((scale, 0.0, left), (0.0, scale, top)))

    def _inside(self, points: Points) -> Points:
        return np.asarray((points - (self._left, self._top) + 0.5) * self._scale - 0.5)

    def _spread(self) -> Floats:
        """The clearest corner of each square of the face, as u and v; the nose has smaller squares."""
        inverse = cv2.invertAffineTransform(self.frame)
        found: list[tuple[float, float, float]] = []
        for across, top, bottom, cell in _FACE_AREAS:
            for v in np.arange(top, bottom - 1e-9, cell):
                for u in np.arange(-across, across - 1e-9, cell):
                    square = placed(inverse, np.array(((u, v), (u + cell, v + cell))))
                    found.append(clearest(self.corners, square))
        least = max(_WEAK * max((strength for *_, strength in found), default=0.0), 1e-6)
        clear = [(x, y) for x, y, strength in found if strength > least]
        return placed(self.frame, np.array(_apart(clear, _APART * self.distance), np.float64).reshape(-1, 2))


def prepared(working: Pixels) -> Grey:
    """Grey, without the slow part of its brightness: a lamp changes little of it."""
    grey = cv2.cvtColor(working, cv2.COLOR_RGB2GRAY)
    light = cv2.LUT(grey, _LOG)
    slow = cv2.boxFilter(light, -1, (_SMOOTH, _SMOOTH))
    cv2.subtract(light, slow, light)
    made = cv2.convertScaleAbs(light, alpha=1.0 / _STEPS, beta=128.0)
    for held in (grey, light, slow):
        held.fill(0)
    return np.asarray(made, np.uint8)


def clearest(corners: npt.NDArray[np.float32], edges: npt.NDArray[Any]) -> tuple[float, float, float]:
    """x, y and strength of the clearest corner between two corners of a rectangle; strength 0 outside."""
    low, high = np.sort(edges, axis=0)
    left, top = np.maximum(np.ceil(low), 4).astype(int)
    right, bottom = np.minimum(high, (corners.shape[1] - 5, corners.shape[0] - 5)).astype(int) + 1
    part = corners[top:bottom, left:right]
    if part.size == 0 or right <= left or bottom <= top:
        return 0.0, 0.0, 0.0
    row, column = divmod(int(part.argmax()), part.shape[1])
    return float(left + column), float(top + row), float(part[row, column])


def _apart(points: Sequence[tuple[float, float]], least: float) -> list[tuple[float, float]]:
    """Those that lie at least so far from all before them."""
    kept: list[tuple[float, float]] = []
    for x, y in points:
        if all(max(abs(x - a), abs(y - b)) >= least for a, b in kept):
            kept.append((x, y))
    return kept
