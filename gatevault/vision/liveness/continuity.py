"""Whether it is still the same face: found without long gaps, near where it was, of one person."""

from __future__ import annotations

import numpy as np

from gatevault.core.liveness import Refusal
from gatevault.core.liveness.challenge import MS
from gatevault.core.liveness.limits import TrackLimits
from gatevault.core.types import Vector
from gatevault.core.wiped import wiped
from gatevault.vision.detect import Face


class Continuity:
    """One face's frames. Each method tells why the track is broken, or None."""

    def __init__(self, limits: TrackLimits, same_person: float | None = None) -> None:
        self._limits = limits
        self._same_person = limits.same_person if same_person is None else same_person
        self._last: tuple[int, float, float, float] | None = None
        self._newest_ns = -1
        self._total: Vector | None = None
        self._seen: set[int] = set()

    def see(self, taken_ns: int, face: Face | None) -> Refusal | None:
        """The next frame, in the order in which they were taken."""
        if taken_ns <= self._newest_ns:
            return Refusal.LOST_TRACK
        self._newest_ns = taken_ns
        lost = self.lost(taken_ns)
        if lost is not None or face is None:
            return lost
        box = face.box
        now = (taken_ns, (box.left + box.right) / 2, (box.top + box.bottom) / 2, float(box.width))
        if self._last is not None and not self._near(self._last, now):
            return Refusal.LOST_TRACK
        self._last = now
        self._seen.add(taken_ns)
        return None

    def lost(self, now_ns: int) -> Refusal | None:
        """Whether the face has not been found for too long."""
        if self._last is not None and now_ns - self._last[0] > self._limits.max_gap_ms * MS:
            return Refusal.LOST_TRACK
        return None

    def vector(self, taken_ns: int, vector: Vector) -> Refusal | None:
        """A unit vector of one of the frames: of the same person as those before it?

        ValueError for a frame that is none of the track's, or a vector of another length.
        """
        if taken_ns not in self._seen:
            raise ValueError("a track takes vectors of its own frames")
        if self._total is None:
            self._total = vector.copy()
            return None
        length = float(np.sqrt(np.vecdot(self._total, self._total)))
        if length < 1e-6 or not float(np.vecdot(self._total, vector)) / length >= self._same_person:
            return Refusal.IDENTITY_CHANGED
        self._total += vector
        return None

    def forget(self) -> None:
        """Overwrite the vectors."""
        if self._total is not None:
            with wiped(self._total):
                self._total = None

    def _near(self, before: tuple[int, float, float, float], now: tuple[int, float, float, float]) -> bool:
        """Whether the face can have moved and grown that much; whoever is away longer may have moved further."""
        longer = max(1.0, (now[0] - before[0]) / (self._limits.frame_ms * MS)) ** 0.5
        moved = max(abs(now[1] - before[1]), abs(now[2] - before[2]))
        growth = max(now[3] / before[3], before[3] / now[3])
        near: bool = moved <= self._limits.max_move * before[3] * longer
        return near and growth <= float(self._limits.max_growth**longer)
