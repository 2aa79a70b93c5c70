"""Following: between full searches, only the surroundings of the faces that were just seen.

Every frame is answered by what a full search would have found, as far as it can be told cheaply:

- the first two frames with a face, and at least every third after them, are searched in full: of any
  three frames one was, and no look is decided before a second full search;
- all faces of the last full search are followed; one that is lost, or that jumps in place or size, or
  another face near it, means a full search of this very frame;
- so does another scene (a coarse thumbnail tells: consecutive photographs, a moved camera) or size.

While nobody is found, every fourth full search is one level finer, every sixteenth two: somebody far off
is told to come closer within the look, at a price that is paid rarely.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from gatevault.vision.detect import SURROUNDINGS, Detector, Face
from gatevault.vision.frame import Pixels

FULL_EVERY: Final = 3
"""Of this many frames at least one is searched in full; a look is decided over three at least."""

FIRST_FULL: Final = 2
"""So many full searches in a row find faces before anybody is followed."""

MOST_FOLLOWED: Final = 3
"""More faces are searched for in full: that costs less than their surroundings."""

MOVED: Final = 0.35
"""A followed face's centre moves by less than this share of its width."""

GREW: Final = 1.33
"""And its width changes by less than this factor."""

LOOK_FINER: Final = 0.8
"""After a face of some width, a full search also finds faces of this share of it: a rival's."""

FINER_EVERY: Final = 4
"""Of so many full searches that find nobody the last is one level finer, of so many of these one more."""

AFFORDABLE: Final = 1
"""Finest level of the full searches while somebody is seen; finer ones are for finding anybody at all."""

_THUMBNAIL: Final = (32, 18)
_SAMPLE: Final = 96
"""Pixels to a row that the thumbnail is made from."""

_CHANGED: Final = 24.0
"""Grey levels by which a cell of the thumbnail has changed: noise and swaying light stay below."""

_SCENE: Final = 0.3
"""Share of changed cells, of those beside the followed faces, that makes it another scene.

Consecutive photographs of a folder differ in two thirds of them and more, a swaying body in a fifth.
"""

_TOLD: Final = 0.1
"""Share of the cells that must lie beside the faces for them to tell anything."""


class Follower:
    """Finds the faces of the frames of one look, in their order. `forget` ends the look."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._scene: Pixels | None = None
        self._begin()

    def _begin(self) -> None:
        self._faces: list[Face] = []
        self._shape: tuple[int, ...] = ()
        self._since_full = 0
        self._seen_in_full = 0
        self._empty = 0
        self.full_searches = 0
        """How many frames of this look were searched in full."""

    def find(self, pixels: Pixels, min_score: float | None = None) -> list[Face]:
        """The faces of the look's next frame, widest first."""
        scene = _thumbnail(pixels)
        faces = self._follow(pixels, scene, min_score)
        if faces is None:
            faces = self._search(pixels, min_score)
            self._keep_scene(scene)
        else:
            self._since_full += 1
            scene.fill(0)
        self._faces, self._shape = faces, pixels.shape
        return faces

    def forget(self) -> None:
        """Overwrite what is kept of this look, here and in the detector; the next frame begins another."""
        self._keep_scene(None)
        for face in self._faces:
            if face.points is not None:
                face.points.fill(0.0)
        self._begin()
        self._detector.forget()

    def _search(self, pixels: Pixels, min_score: float | None) -> list[Face]:
        """A full search, as fine as the faces seen last or the number of empty searches ask for."""
        if self._faces:
            wanted = LOOK_FINER * self._faces[0].box.width
            level = min(AFFORDABLE, self._detector.level_for(pixels.shape, wanted))
        else:
            level = _divisions(self._empty + 1, FINER_EVERY)
        faces = self._detector.find(pixels, min_score, level)
        self.full_searches += 1
        self._since_full = 0
        self._seen_in_full = self._seen_in_full + 1 if faces else 0
        self._empty = 0 if faces else self._empty + 1
        return faces

    def _follow(self, pixels: Pixels, scene: Pixels, min_score: float | None) -> list[Face] | None:
        """The known faces where they are now; None where only a full search can tell."""
        if not 0 < len(self._faces) <= MOST_FOLLOWED or pixels.shape != self._shape:
            return None
        if self._seen_in_full < FIRST_FULL or self._since_full >= FULL_EVERY - 1:
            return None
        if self._scene is None or _changed(self._scene, scene, self._faces, pixels.shape):
            return None
        now: list[Face] = []
        for known in self._faces:
            near = self._detector.near(pixels, known.box, min_score)
            same = [face for face in near if is_same(face, known)]
            if len(same) != 1 or any(not any(is_same(f, k) for k in self._faces) for f in near):
                return None
            now.append(same[0])
        return sorted(now, key=lambda face: face.box.width, reverse=True)

    def _keep_scene(self, scene: Pixels | None) -> None:
        if self._scene is not None:
            self._scene.fill(0)
        self._scene = scene


def is_same(face: Face, before: Face) -> bool:
    """Whether `face` lies where `before` was, at about its size."""
    a, b = face.box, before.box
    across = abs(a.left + a.right - b.left - b.right) / 2
    down = abs(a.top + a.bottom - b.top - b.bottom) / 2
    return max(across, down) < MOVED * b.width and 1 / GREW < a.width / b.width < GREW


def _divisions(number: int, by: int) -> int:
    """How often `by` divides `number` (positive): by 4 it is 0 0 0 1, three times, then 0 0 0 2, and so on."""
    count = 0
    while number % by == 0:
        number, count = number // by, count + 1
    return count


def _thumbnail(pixels: Pixels) -> Pixels:
    """The frame as 32 by 18 cells, RGB, each the mean of some of its pixels."""
    step = max(1, max(pixels.shape[:2]) // _SAMPLE)
    few = pixels[step // 2 :: step, step // 2 :: step].copy()  # never the frame itself: it is overwritten
    if few.size == 0:
        few = pixels[:1, :1].copy()
    cells = np.asarray(cv2.resize(few, _THUMBNAIL, interpolation=cv2.INTER_AREA), np.uint8)
    few.fill(0)
    return cells


def _changed(before: Pixels, now: Pixels, faces: Sequence[Face], shape: tuple[int, ...]) -> bool:
    """Whether too many cells differ beside the surroundings of `faces`, where a head may move."""
    columns, rows = _THUMBNAIL
    height, width = shape[:2]
    beside = np.ones((rows, columns), np.bool_)
    for face in faces:
        reach = SURROUNDINGS * face.box.width
        left, right = (edge / width * columns for edge in (face.box.left - reach, face.box.right + reach))
        top, bottom = (edge / height * rows for edge in (face.box.top - reach, face.box.bottom + reach))
        beside[max(0, int(top)) : max(0, int(bottom) + 1), max(0, int(left)) : max(0, int(right) + 1)] = False
    different = np.abs(before.astype(np.int16) - now).max(axis=2) > _CHANGED
    count = int(beside.sum())
    return count < _TOLD * beside.size or int(different[beside].sum()) > _SCENE * count
