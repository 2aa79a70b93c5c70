"""Which captures make a good template: from several sides, in two lights, good enough, new, all of one person.

A guide asks for what is still missing; a resident who cannot turn the head is enrolled all the same, from what
there is. Pure: scans in, wishes and captures out; whoever asks for captures wipes them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import numpy as np

from gatevault.core.calibration import Calibration
from gatevault.core.matching import Rows, weight
from gatevault.core.settings import EnrolmentSettings
from gatevault.core.types import Scan, Vector
from gatevault.core.wiped import wiped

TURNED_FROM: Final = 0.1
"""Yaw from which a head counts as turned, in inter-eye distances: half of unposed photographs stay below 0.06."""


LIGHT_APART: Final = 0.1
"""Difference in a face's mean grey (0 to 1) that makes it another light: a lamp on or off, the other way round."""


class Pose(StrEnum):
    """Where a head is turned to, as its owner says it."""

    FRONT = "front"
    LEFT = "left"
    RIGHT = "right"


def pose(yaw: float) -> Pose:
    """The image's right, positive yaw, is the left of whoever looks into the camera."""
    if abs(yaw) < TURNED_FROM:
        return Pose.FRONT
    return Pose.LEFT if yaw > 0 else Pose.RIGHT


class Guide:
    """The captures of one enrolment: a quarter from each side, half from the front, one in another light, as far as
    they come."""

    def __init__(self, settings: EnrolmentSettings, calibration: Calibration) -> None:
        self._settings = settings
        self._calibration = calibration
        side = settings.max_captures // 4
        self._wanted = {Pose.FRONT: settings.max_captures - 2 * side, Pose.LEFT: side, Pose.RIGHT: side}
        self._kept: dict[Pose, list[Vector]] = {each: [] for each in Pose}
        self._spare: list[tuple[Pose, Vector]] = []
        self._other_light: list[tuple[Pose, Vector]] = []
        self._exposures: list[float] = []
        self.poor = 0
        """Scans that were not good enough for a template, though they would do at the gate."""

    def take(self, scan: Scan) -> bool:
        """Keep a scan's unit vector if it adds something: tells whether. ValueError if it is of another network."""
        if weight(scan.quality) < self._settings.min_quality:
            self.poor += 1
            return False
        capture = self._calibration.normaliser.unit(scan.embedding)
        novelty = self._calibration.figures.novelty
        if not scan.distinct or any(float(np.vecdot(capture, other)) > novelty for other in self._all()):
            capture.fill(0.0)
            return False
        side, exposure = pose(scan.quality.yaw), scan.quality.exposure
        if self.wants_light and self._is_other_light(exposure):
            self._other_light.append((side, capture))
        elif len(self._kept[side]) < self._wanted[side]:
            self._kept[side].append(capture)
        elif len(self._spare) < self._settings.max_captures:
            self._spare.append((side, capture))
        else:
            capture.fill(0.0)
            return False
        self._exposures.append(exposure)
        return True

    @property
    def wish(self) -> Pose | None:
        """Where the resident should look now; None where every side has been seen."""
        return next((side for side in Pose if len(self._kept[side]) < self._wanted[side]), None)

    @property
    def wants_light(self) -> bool:
        """Whether all that is missing is a capture in another light."""
        if self.wish is not None or self._other_light:
            return False
        return max(self._exposures) - min(self._exposures) < LIGHT_APART

    def _is_other_light(self, exposure: float) -> bool:
        return max(abs(exposure - known) for known in self._exposures) >= LIGHT_APART

    @property
    def count(self) -> int:
        return len(self._all())

    @property
    def enough(self) -> bool:
        """Whether there are captures for a template, be they from fewer sides than wished."""
        return self.count >= self._settings.min_captures

    def captures(self) -> tuple[Rows, dict[str, int]]:
        """Unit captures, shape (k, d), and how many of each pose: those kept, filled up with others."""
        sides = [(side, c) for side in (Pose.LEFT, Pose.RIGHT, Pose.FRONT) for c in self._kept[side]]
        chosen = [*self._other_light, *sides, *self._spare][: self._settings.max_captures]
        poses = {side.value: sum(each is side for each, _ in chosen) for side in Pose}
        return np.stack([capture for _, capture in chosen]), poses

    def wipe(self) -> None:
        for capture in self._all():
            capture.fill(0.0)

    def _all(self) -> list[Vector]:
        kept = [c for kept in self._kept.values() for c in kept]
        return kept + [c for _, c in (*self._other_light, *self._spare)]


def agree(captures: Rows, calibration: Calibration) -> bool:
    """Whether captures, shape (k, d), show one person: each is near enough to the mean of the others."""
    if len(captures) < 2:
        return True
    least = 1.0
    with wiped(captures.sum(axis=0, dtype=np.float32)) as total:
        for capture in captures:
            with wiped(total - capture) as rest:
                try:
                    others = calibration.normaliser.unit(rest)
                except ValueError:  # they cancel one another out
                    return False
                with wiped(others):
                    least = min(least, float(np.vecdot(capture, others)))
    return least >= calibration.figures.agreement
