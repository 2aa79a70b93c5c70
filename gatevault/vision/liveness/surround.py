"""Whether what is beside a face stands still, as it does before a gate's camera, or sways, as a hand does.

A picture in a hand brings its own surroundings: paper, a phone's rim, the room in the picture. They move with the
hand. Hair moves too, but with the turn of the head, which is known; and a wall without anything on it, on which
nothing can be followed, is nobody's hand either.

Points beside the head and above it are looked for in every frame as the first frame showed them.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from gatevault.vision.liveness.head import Floats
from gatevault.vision.liveness.points import WINDOW, Grey, Tracker, clearest

SECTORS: Final = 3
"""To the picture's left of the face, above it, to its right."""

_RING: Final = (0.72, 0.95, 1.3)
"""Of the face's width: where beside its middle, and where above its box, a head ends; and where its neighbourhood
does. Below the mouth are shoulders, which move."""
_CELL: Final = 0.15
"""Of the face's width: one point in each such square."""
_CLEAR: Final = 1e-4
"""Corners below this strength (`cornerMinEigenVal` of the prepared picture) are left out: a camera's noise on a
plain wall stays below a third of it."""

_LEVELS: Final = 2
_LEAST: Final = 3
"""Points of a sector that tell anything together."""
_LEAST_FRAMES: Final = 8
_ASTRAY: Final = 2.0
"""Pixels from the sector's common movement at which a point was not found."""
_MOST: Final = 0.6
"""Share of a sector's points astray, in a frame that cannot be followed, and"""
_OFTEN: Final = 0.3
"""share of such frames, from which what was beside the face is no longer there."""

LOST: Final = 1.0
"""The answer then: what stands still is not lost."""


class Surroundings:
    """What is beside a face, from the frame that its tracker was made with. `wipe` overwrites its picture."""

    def __init__(self, tracker: Tracker) -> None:
        self._first = tracker.picture.copy()
        self._distance = tracker.distance
        self._places, self._sectors = _spread(tracker.corners, tracker.box)
        self._common = np.zeros((SECTORS, 2), np.float32)
        self._paths: list[npt.NDArray[Any]] = []
        self._astray: list[list[float]] = []

    def see(self, picture: Grey) -> None:
        """The next frame's prepared working picture."""
        common, astray = self._common.copy(), [0.0] * SECTORS
        if len(self._places):
            near = self._places + self._common[self._sectors]
            found, good, _ = cv2.calcOpticalFlowPyrLK(
                *(self._first, picture, self._places[:, None, :], near[:, None, :].astype(np.float32)),
                winSize=WINDOW,
                maxLevel=_LEVELS,
                flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
            )
            moved = found[:, 0] - self._places
            seen = good[:, 0] == 1
            for sector in range(SECTORS):
                chosen = self._sectors == sector
                if (chosen & seen).sum() >= _LEAST:
                    common[sector] = np.median(moved[chosen & seen], axis=0)
                if chosen.sum() >= _LEAST:
                    away = np.abs(moved - common[sector]).max(axis=1) > _ASTRAY
                    astray[sector] = float((away | ~seen)[chosen].mean())
        self._common = common
        self._paths.append(common.copy())
        self._astray.append(astray)

    def sway(self, turns: Floats) -> float:
        """How far it moved, but for what goes along with the head's turn; 0 where nothing can be followed.

        Root mean square over the frames, of the sector that moved most, in inter-eye distances. `turns`: how far
        the head was turned in each frame, shape (f,).
        """
        if len(turns) < _LEAST_FRAMES or len(turns) != len(self._paths):
            return 0.0
        if (np.mean(np.array(self._astray) > _MOST, axis=0) > _OFTEN).any():
            return LOST
        paths = np.stack(self._paths).astype(np.float64).reshape(len(turns), -1) / self._distance
        terms = np.column_stack((np.ones(len(turns)), turns))
        fitted, *_ = np.linalg.lstsq(terms, paths, rcond=None)
        left = ((paths - terms @ fitted) ** 2).mean(axis=0).reshape(SECTORS, 2)
        return float(np.sqrt(left.sum(axis=1).max()))

    def wipe(self) -> None:
        """Overwrite the picture, and where its points were."""
        self._first.fill(0)
        for places in (self._places, self._common, *self._paths):
            places.fill(0.0)
        self._paths.clear()


def _spread(
    corners: npt.NDArray[Any], box: tuple[float, float, float, float]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Clear corners beside the head and above it, (m, 2), and the sector of each."""
    left, top, right, bottom = box
    width, middle = right - left, (left + right) / 2
    step = _CELL * width
    beside, above_head, outer = _RING
    places: list[tuple[float, float]] = []
    sectors: list[int] = []
    for y in np.arange(top - outer * width, bottom - 0.15 * width, step):
        for x in np.arange(middle - outer * width, middle + outer * width, step):
            aside = abs(x + step / 2 - middle) / width
            if aside < beside and (top - y - step / 2) / width < above_head:
                continue
            across, down, strength = clearest(corners, np.array(((x, y), (x + step, y + step))))
            if strength > _CLEAR:
                places.append((across, down))
                sectors.append(1 if aside < beside else 0 if x + step / 2 < middle else 2)
    return np.array(places, np.float32).reshape(-1, 2), np.array(sectors, np.int64)
