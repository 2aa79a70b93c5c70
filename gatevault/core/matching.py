"""From the scans of one look to one resident, or nobody.

Each frame's embedding is brought to unit length, and the mean over frames, weighted by quality, is compared with
each resident's mean template by the normalised score of `core.calibration`, whose threshold follows from the FPIR
that the site asks for, the number of residents and the number of frames. One frame never decides.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from gatevault.core.calibration import Calibration
from gatevault.core.normalisation import Normaliser
from gatevault.core.settings import MatchSettings
from gatevault.core.types import Match, NoMatch, Quality, Reason, Vector, check_vector
from gatevault.core.wiped import wiped
from gatevault.core.wire import Hint, LookEnd

Rows = npt.NDArray[np.float32]
"""Unit vectors, one a row, shape (n, d), float32."""

LEAST_WEIGHT: Final = 0.25
"""Weight of the worst frame that is usable at all, beside 1 for a good one."""

GOOD_SIZE: Final = 110.0
GOOD_SHARPNESS: Final = 60.0
TURNED: Final = 0.5
"""Box width in pixels and sharpness from which a frame counts fully, and the yaw at which it counts least."""


def unit(vector: Vector) -> Vector:
    """`vector` at length one, shape (d,), a new array. ValueError if it is zero or not finite."""
    check_vector(vector)
    return np.divide(vector, np.linalg.norm(vector), out=np.empty_like(vector))


def template_mean(captures: Rows, normaliser: Normaliser) -> Vector:
    """The unit mean of unit captures, shape (k, d) to (d,). The caller wipes it. ValueError if they cancel out."""
    with wiped(np.empty(captures.shape[1], dtype=np.float32)) as total:
        np.add.reduce(captures, axis=0, out=total)
        return normaliser.unit(total)


def weight(quality: Quality) -> float:
    """How much a frame counts in the fusion, LEAST_WEIGHT to 1: large, sharp and frontal faces embed best."""
    size = min(1.0, quality.size / GOOD_SIZE)
    sharp = min(1.0, max(0.0, quality.sharpness) / GOOD_SHARPNESS)
    frontal = 1.0 - min(1.0, abs(quality.yaw) / TURNED) / 2.0
    return max(LEAST_WEIGHT, float(size * math.sqrt(sharp) * frontal))


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Who may be matched: a view of the templates in RAM."""

    residents: Sequence[str]
    rows: Rows = field(repr=False)
    """Row i is the unit mean template of `residents[i]`."""
    penalties: npt.NDArray[np.float32] = field(repr=False)
    """`Calibration.penalty` of each row, shape (n,)."""

    def scores(self, probe: Vector) -> npt.NDArray[np.float32]:
        """Normalised scores of a probe, shape (d,), but for its own penalty: shape (n,)."""
        scores: npt.NDArray[np.float32] = np.vecdot(self.rows, probe)
        scores -= self.penalties
        return scores


def nearer(template: Vector, penalty: float, least: float, gallery: Gallery) -> list[str]:
    """Residents whose templates reach the score `least` with this mean template, shape (d,), and its penalty."""
    return [gallery.residents[int(i)] for i in np.flatnonzero(gallery.scores(template) >= least + penalty)]


class Fusion:
    """The running mean of one person's embeddings in one look, overwritten by `wipe`.

    A frame that disagrees with the mean so far is of somebody else, and the fusion begins anew with
    it: the mean of many people nears the mean of all faces, and so some template.
    """

    def __init__(self, calibration: Calibration) -> None:
        self._sum = np.zeros(calibration.dimension, dtype=np.float32)
        self._normaliser = calibration.normaliser
        self._same_person = calibration.figures.same_person
        self._count = 0

    def add(self, embedding: Vector, weight: float = 1.0) -> None:
        """Take one more frame. ValueError if it is of another dimension or no vector."""
        if embedding.shape != self._sum.shape:
            raise ValueError("an embedding of another dimension than the look's")
        with wiped(unit(embedding)) as scaled:
            if self._count and not float(np.vecdot(self._sum, scaled)) >= self._same_person * float(
                np.linalg.norm(self._sum)
            ):
                self.wipe()
            scaled *= np.float32(weight)
            self._sum += scaled
        self._count += 1

    @property
    def count(self) -> int:
        """Frames of the person seen last."""
        return self._count

    def probe(self) -> Vector:
        """The fused unit vector, a new array that the caller wipes."""
        return self._normaliser.unit(self._sum)

    def wipe(self) -> None:
        self._sum.fill(0.0)
        self._count = 0


def identify(
    probe: Vector, frames: int, gallery: Gallery, calibration: Calibration, settings: MatchSettings
) -> Match | NoMatch:
    """Compare a probe fused from `frames` frames with the gallery.

    UNSURE where the best resident passes the threshold but has a look-alike among the residents, or
    does not lead the second by the margin: they use the card.
    """
    count = len(gallery.residents)
    if not count == len(gallery.rows) == len(gallery.penalties):
        raise ValueError("a gallery has one resident a row")
    if not count:
        return NoMatch(Reason.NO_MATCH)
    scores = gallery.scores(probe)
    best = int(np.argmax(scores))
    top = float(scores[best])
    threshold = calibration.threshold(count, frames, settings.fpir)
    if not top - calibration.penalty(probe) >= threshold:  # a NaN denies
        return NoMatch(Reason.NO_MATCH)
    if count > 1:
        second = float(np.partition(scores, -2)[-2])
        if top - second < settings.margin * calibration.spread or top == second:  # a margin of 0 chooses not either
            return NoMatch(Reason.UNSURE)
        alike = nearer(gallery.rows[best], float(gallery.penalties[best]), calibration.look_alike, gallery)
        if any(other != gallery.residents[best] for other in alike):
            return NoMatch(Reason.UNSURE)
    return Match(gallery.residents[best])


def decide(
    fusion: Fusion, gallery: Gallery, calibration: Calibration, settings: MatchSettings
) -> Match | NoMatch | None:
    """The decision over a look so far; None while too few frames were seen."""
    if fusion.count < settings.min_frames:
        return None
    with wiped(fusion.probe()) as probe:
        return identify(probe, fusion.count, gallery, calibration, settings)


_HINTS = {hint: Reason(hint.value) for hint in Hint}


def reason_without_match(last: NoMatch | None, end: LookEnd, scans: int, hints: Counter[Hint]) -> Reason:
    """Why a look that is over granted nobody: what the person at the gate should be told.

    `last` is the last decision over the look, if any; `scans` how many usable faces were seen;
    `hints` why the other frames gave none.
    """
    if end is LookEnd.SEVERAL_FACES:
        return Reason.SEVERAL_FACES
    if end is LookEnd.CAMERA:
        return Reason.FAULT
    if end is LookEnd.NOT_LIVE:
        return Reason.NOT_LIVE
    if last is not None:
        return last.reason
    useful = Counter({hint: n for hint, n in hints.items() if hint is not Hint.NO_FACE})
    if useful and not scans:
        return _HINTS[useful.most_common(1)[0][0]]
    return Reason.NO_MATCH if scans else Reason.NO_FACE
