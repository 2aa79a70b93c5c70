"""The daemon's decisions on given embeddings, without daemon or camera: enrolment, looks, who is let in.

The rules are core's own (`core.matching.Fusion`, the novelty and agreement of `service.enrolment`);
only the search over thresholds is done for many of them at once, and tested to fall as `decide` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from gatevault.core.matching import Fusion, Gallery, template_mean, unit
from gatevault.core.settings import EnrolmentSettings
from gatevault.core.types import Vector

Rows = npt.NDArray[np.float32]
"""Vectors, one a row, shape (k, d), float32."""

NOBODY: Final = -1

LOOK_FRAMES: Final = 24
"""Frames of a whole look: three seconds at 125 ms. A stranger is compared anew at each of them.

A faster machine sees more (31 on a server), but once each photograph was seen the mean hardly moves.
"""


def units(rows: Rows) -> Rows:
    """Each row at length one."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def enrol(photos: Rows, settings: EnrolmentSettings) -> Vector | None:
    """The template of unit captures, or None where the enrolment is refused."""
    kept: list[Vector] = []
    for capture in photos[: settings.max_captures]:
        if all(float(capture @ other) <= settings.novelty for other in kept):
            kept.append(capture)
    if len(kept) < settings.min_captures:
        return None
    captures = np.stack(kept)
    mean = template_mean(captures)
    return mean if float((captures @ mean).min()) >= settings.agreement else None


def look(photos: Sequence[Vector] | Rows, frames: int, min_frames: int, same_person: float) -> Rows:
    """The fused probe at each frame at which the daemon would decide, shape (≤ frames, d).

    `photos` are shown one a frame, again and again. May be empty: a look of ever other people.
    """
    dimension = len(photos[0])
    fusion = Fusion(dimension, same_person)
    probes = []
    for number in range(frames):
        fusion.add(photos[number % len(photos)])
        if fusion.count >= min_frames:
            probes.append(fusion.probe())
    return np.stack(probes) if probes else np.empty((0, dimension), np.float32)


def still(photo: Vector, min_frames: int) -> Rows:
    """A look at one photograph: the probe never changes, so it is decided once. Shape (1, d)."""
    return look([unit(photo)], min_frames, min_frames, same_person=0.0)


class Outcomes:
    """Looks against one gallery: at which threshold each would be let in, and as whom."""

    def __init__(self, looks: Sequence[Rows], gallery: Gallery, margin: float) -> None:
        """`looks` as `look` gives them; `gallery` unit rows, shape (n, d)."""
        lengths = [len(probes) for probes in looks]
        scores = np.concatenate(list(looks)) @ gallery.T
        best = np.argmax(scores, axis=1)
        top = np.max(scores, axis=1)
        if scores.shape[1] > 1:
            lead = top.astype(float) - np.partition(scores, -2, axis=1)[:, -2]
            top = np.where((lead < margin) | (lead <= 0.0), -np.inf, top)  # equals are never chosen between
        bounds = np.cumsum(lengths)[:-1]
        self._best = np.split(best, bounds)
        self._top = np.split(top, bounds)

    def highest(self) -> npt.NDArray[np.float64]:
        """For each look the highest threshold at which it is let in; -inf where at none."""
        return np.array([top.max() if len(top) else -np.inf for top in self._top], np.float64)

    def granted(self, threshold: float) -> npt.NDArray[np.int64]:
        """For each look the row of the gallery it is let in as, or NOBODY: the first that passes decides."""
        result = np.full(len(self._top), NOBODY, np.int64)
        for number, (best, top) in enumerate(zip(self._best, self._top, strict=True)):
            passing = top >= threshold
            if passing.any():
                result[number] = best[np.argmax(passing)]
        return result
