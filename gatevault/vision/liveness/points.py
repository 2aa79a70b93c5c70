"""Points on the face and beside it, followed from frame to frame (pyramidal Lucas-Kanade, checked backwards).

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

_WINDOW: Final = (9, 9)
_LEVELS: Final = 3
_BACK: Final = 0.8
"""Pixels that a point may miss its origin by when followed back."""

_SLIP: Final = 1.5
"""Pixels by which a point may be put back to what the first frame showed."""

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

_RING: Final = (0.72, 0.75, 1.25)
"""Of the face's width: where beside its middle, and where above its box, a head ends; and where its neighbourhood
does. Below the mouth are shoulders, which move."""
_RING_CELL: Final = 0.15
"""Of the face's width: one point in each such square beside it."""

_LEAST: Final = 8
"""Points that a face's place is told from."""

_ROUNDS: Final = 3
"""Of fitting, without the points that missed by three times the median."""

_WEAK: Final = 0.001
"""Corners of a face below this share of the strongest are noise."""
_CLEAR: Final = 1e-4
"""And beside it corners below this strength (`cornerMinEigenVal` of the prepared picture): a camera's noise on a
plain wall stays below half of it."""


class Tracker:
    """Follows points from the frame that it was made with. `wipe` overwrites what it holds of pictures."""

    def __init__(self, pixels: Pixels, box: Box, five: Points, *, around: bool = True) -> None:
        """`five`: the face's points in pixels of the frame; `around`: whether to follow what is beside it, too.

        ValueError where the points fall together.
        """
        frame_of(five)
        height, width = pixels.shape[:2]
        reach = [share * box.width for share in _REACH]
        self._left, self._right = max(0, int(box.left - reach[0])), min(width, int(box.right + reach[0]))
        self._top, self._bottom = max(0, int(box.top - reach[1])), min(height, int(box.bottom + reach[2]))
        self._scale = 1.0 if box.width <= LARGE else FACE / box.width
        self._shape = pixels.shape
        working = self.cut(pixels)
        self._picture = _prepared(working)
        working.fill(0)
        self.frame = frame_of(self._inside(five))
        """From the working picture's pixels to u and v."""
        self.distance = float(np.hypot(*(five[1] - five[0]))) * self._scale
        """Between the eyes, in the working picture's pixels."""
        self.apart = self.distance / self._scale / width
        """The same as a share of the frame's width."""
        corners = cv2.cornerMinEigenVal(self._picture, 5, ksize=3)
        self.on_face = self._spread_on_face(corners)
        """Where the face's points were in the first frame, as u and v: shape (n, 2)."""
        beside, self.sectors = self._spread_beside(corners, box if around else None)
        corners.fill(0.0)
        inverse = cv2.invertAffineTransform(self.frame)
        on_face = placed(inverse, self.on_face)
        self.count = len(on_face)
        self.places = np.concatenate((on_face, beside)).astype(np.float32)
        """Of all points, the face's first, in the working picture: shape (n + m, 2)."""
        self.alive = np.ones(len(self.places), np.bool_)
        self._first = self._picture.copy()
        self._first_places = self.places[: self.count].copy()

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
        now = _prepared(working)
        places = self.places[:, None, :]
        found, good, _ = cv2.calcOpticalFlowPyrLK(
            self._picture, now, places, None, winSize=_WINDOW, maxLevel=_LEVELS
        )
        back, well, _ = cv2.calcOpticalFlowPyrLK(now, self._picture, found, None, winSize=_WINDOW, maxLevel=_LEVELS)
        missed = np.abs(back - places).max(axis=(1, 2))
        self.alive &= (good[:, 0] == 1) & (well[:, 0] == 1) & (missed < _BACK)
        self.places = np.asarray(found[:, 0, :], np.float32)
        self._picture.fill(0)
        self._picture = now
        self._refine()

    def _refine(self) -> None:
        """Look for the face's points as the first frame showed them, near where they were followed to.

        From frame to frame a point slips a little on a face that turns; by this it finds back when the face does.
        """
        count = self.count
        guess_before = self.places[:count, None, :]
        guess = guess_before.copy()
        found, good, _ = cv2.calcOpticalFlowPyrLK(
            self._first,
            self._picture,
            self._first_places[:, None, :],
            guess,
            winSize=_WINDOW,
            maxLevel=0,
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        )
        near = (good[:, 0] == 1) & (np.abs(found - guess_before).max(axis=(1, 2)) < _SLIP)
        self.places[:count][near] = found[near, 0]

    def face_frame(self) -> Floats | None:
        """The affine matrix (2, 3) from the working picture now to u and v; None where too few points are left."""
        alive = self.alive[: self.count]
        if alive.sum() < _LEAST:
            return None
        now, then = self.places[: self.count][alive].astype(np.float64), self.on_face[alive]
        terms = np.column_stack((now, np.ones(len(now))))
        weight = np.ones(len(now))
        for _ in range(_ROUNDS):
            weighed = terms.T * weight
            fitted = np.linalg.solve(weighed @ terms + 1e-9 * np.eye(3), weighed @ then)
            missed = np.abs(terms @ fitted - then).max(axis=1)
            weight = (missed <= max(3.0 * float(np.median(missed)), 1e-6)).astype(np.float64)
        return np.asarray(fitted.T)

    def wipe(self) -> None:
        """Overwrite the picture and the points."""
        for held in (self._picture, self._first, self.places, self._first_places, self.on_face):
            held.fill(0)

    def from_view(self, width: int) -> Floats:
        """The affine matrix (2, 3) from a picture of the whole view, `width` wide, to the working picture."""
        scale = self._shape[1] / width * self._scale
        left, top = (0.5 * scale - corner * self._scale - 0.5 for corner in (self._left, self._top))
        return np.array(((scale, 0.0, left), (0.0, scale, top)))

    def _inside(self, points: Points) -> Points:
        return np.asarray((points - (self._left, self._top) + 0.5) * self._scale - 0.5)

    def _spread_on_face(self, corners: npt.NDArray[np.float32]) -> Floats:
        """The strongest corner of each square of the face, as u and v; the nose has smaller squares."""
        inverse = cv2.invertAffineTransform(self.frame)
        found: list[tuple[float, float, float]] = []
        for across, top, bottom, cell in _FACE_AREAS:
            for v in np.arange(top, bottom - 1e-9, cell):
                for u in np.arange(-across, across - 1e-9, cell):
                    square = placed(inverse, np.array(((u, v), (u + cell, v + cell))))
                    found.append(_strongest(corners, square))
        kept = _apart(_not_weak(found), _APART * self.distance)
        return placed(self.frame, np.array(kept, np.float64).reshape(-1, 2))

    def _spread_beside(
        self, corners: npt.NDArray[np.float32], box: Box | None
    ) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Corners beside the head and above it, and the sector of each: 0 the picture's left, 1 above, 2 right."""
        if box is None:
            return np.empty((0, 2)), np.empty(0, np.int64)
        width = box.width * self._scale
        (left, top), (right, bottom) = self._inside(np.array(((box.left, box.top), (box.right, box.bottom)), float))
        middle = (left + right) / 2
        step = _RING_CELL * width
        inner, above_head, outer = _RING
        found: list[tuple[float, float, float]] = []
        sectors: list[int] = []
        for y in np.arange(top - outer * width, bottom - 0.15 * width, step):
            for x in np.arange(middle - outer * width, middle + outer * width, step):
                away = abs(x + step / 2 - middle) / width
                above = (top - y - step / 2) / width
                if away < inner and above < above_head:
                    continue
                found.append(_strongest(corners, np.array(((x, y), (x + step, y + step)))))
                sectors.append(1 if away < inner else 0 if x + step / 2 < middle else 2)
        strong = [k for k, (_, _, strength) in enumerate(found) if strength > _CLEAR]
        places = np.array([found[k][:2] for k in strong], np.float64).reshape(-1, 2)
        return places, np.array([sectors[k] for k in strong], np.int64)


def _prepared(working: Pixels) -> Grey:
    """Grey, without the slow part of its brightness: a lamp changes little of it."""
    grey = cv2.cvtColor(working, cv2.COLOR_RGB2GRAY)
    light = cv2.LUT(grey, _LOG)
    slow = cv2.boxFilter(light, -1, (_SMOOTH, _SMOOTH))
    cv2.subtract(light, slow, light)
    made = cv2.convertScaleAbs(light, alpha=1.0 / _STEPS, beta=128.0)
    for held in (grey, light, slow):
        held.fill(0)
    return np.asarray(made, np.uint8)


def _strongest(corners: npt.NDArray[np.float32], edges: npt.NDArray[Any]) -> tuple[float, float, float]:
    """x, y and strength of the strongest corner between two corners of a rectangle; strength 0 outside."""
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


def _are_strong(found: Sequence[tuple[float, float, float]]) -> list[bool]:
    best = max((strength for *_, strength in found), default=0.0)
    return [strength > max(_WEAK * best, 1e-6) for *_, strength in found]


def _not_weak(found: Sequence[tuple[float, float, float]]) -> list[tuple[float, float]]:
    return [(x, y) for (x, y, _), kept in zip(found, _are_strong(found), strict=True) if kept]
