"""The loaded models behind the port that a look needs (`look.Engine`)."""

from __future__ import annotations

from gatevault.core.types import Vector
from gatevault.vision.align import Points
from gatevault.vision.detect import Face
from gatevault.vision.embed import Chip, Embedder, View
from gatevault.vision.follow import Follower
from gatevault.vision.frame import Pixels
from gatevault.vision.models import Models


class FaceEngine:
    """A detector that follows, landmarks and networks."""

    def __init__(self, models: Models) -> None:
        self._follower = Follower(models.detector)
        self._embedder = Embedder(models.landmarks, models.networks, models.shares)
        self._embedded = False

    def find(self, pixels: Pixels, min_score: float | None) -> list[Face]:
        return self._follower.find(pixels, min_score)

    def chip(self, pixels: Pixels, face: Face) -> Chip:
        return self._embedder.chip(pixels, face)

    def landmarks(self, pixels: Pixels, face: Face) -> Points | None:
        return None if face.points is not None else self._embedder.landmarks_of(pixels, face)

    def vector(self, chip: Chip, view: View = View.PLAIN) -> Vector:
        self._embedded = True
        return self._embedder.vector(chip, view)

    def forget(self) -> None:
        self._follower.forget()
        if self._embedded:
            self._embedder.forget()
            self._embedded = False
