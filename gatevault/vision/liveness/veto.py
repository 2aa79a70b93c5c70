"""An added network's opinion of a face's picture (`core.liveness.veto`): some frames of a track, and their mean."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from gatevault.core.errors import ModelError
from gatevault.core.liveness.veto import VetoModel
from gatevault.vision.detect import Face
from gatevault.vision.frame import Pixels
from gatevault.vision.models import model_bytes
from gatevault.vision.runtime import Session

LOOKS: Final = 4
"""Frames of a track that are looked at: such a network takes as long as a detector."""
EVERY: Final = 5


class Veto:
    """One network over one track. `forget` ends the track."""

    def __init__(self, model: VetoModel, folder: Path | None) -> None:
        """ModelError where the file is not the one named, or no classifier of such crops."""
        self._model = model
        self._session = Session(model_bytes(folder, model.file, model.sha256), model.file)
        classes = self._session.expect("float", (3, model.side, model.side))
        if classes <= model.live:
            raise ModelError(f"{model.file} tells {classes} classes: set which of them is a living face's.")
        self._scores: list[float] = []
        self._frames = 0

    @property
    def score(self) -> float:
        """Mean probability that it was an attack, 0 to 1; not a number, which vetoes, where it saw nothing."""
        return float(np.mean(self._scores)) if self._scores else math.nan

    def see(self, pixels: Pixels, face: Face) -> None:
        """One frame with the track's face."""
        self._frames += 1
        if len(self._scores) >= LOOKS or self._frames % EVERY != 1:
            return
        batch = self._crop(pixels, face)
        try:
            values = self._session.run(batch)[0].astype(np.float64)
        finally:
            batch.fill(0.0)
        shares = np.exp(values - values.max())
        self._scores.append(1.0 - float(shares[self._model.live] / shares.sum()))

    def forget(self) -> None:
        """Run a blank crop, so that nothing native holds the last face; the next frame begins another track."""
        if self._frames:
            side = self._model.side
            self._session.run(np.zeros((1, 3, side, side), np.float32))
        self._scores.clear()
        self._frames = 0

    def _crop(self, pixels: Pixels, face: Face) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        box, side = face.box, self._model.side
        scale = side / (self._model.reach * box.width)
        middle = np.array(((box.left + box.right) / 2, (box.top + box.bottom) / 2))
        move = np.column_stack((scale * np.eye(2), side / 2 - scale * middle))
        crop = np.asarray(cv2.warpAffine(pixels, move, (side, side), flags=cv2.INTER_LINEAR), np.uint8)
        batch = np.ascontiguousarray(crop[:, :, ::-1].transpose(2, 0, 1)[None], np.float32)
        crop.fill(0)
        return batch
