"""Whether the face that the colour camera sees is there in near infrared too, where screens are dark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from gatevault.vision.liveness.head import Floats

Single = npt.NDArray[np.float32]

_FAINT: Final = 0.004
"""Linear light added before a logarithm is taken."""

_COARSE: Final = 6.0
"""Cells over which the slow part of the brightness is taken away: it is the light's, not the face's."""


def level(faces: Sequence[Single]) -> float | None:
    """Linear light of the face in the brighter half of the frames, where the emitter is lit; None without any."""
    if not faces:
        return None
    means = np.sort([float(face.mean()) for face in faces])
    return float(np.median(means[len(means) // 2 :]))


def structure(infrared: Sequence[Single], colour: Sequence[Single]) -> float | None:
    """Correlation of the face's features in both cameras' cells: eyes, nostrils, lips. None without either."""
    if not infrared or not colour:
        return None
    brightest = sorted(infrared, key=lambda face: float(face.mean()))[len(infrared) // 2 :]
    one, other = _features(brightest), _features(colour)
    length = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(np.sum(one * other)) / max(length, 1e-9)


def _features(faces: Sequence[Single]) -> Floats:
    light = np.log(np.mean(np.stack(faces), axis=0) + _FAINT).astype(np.float32)
    fine = np.asarray(cv2.GaussianBlur(light, (0, 0), 1.0) - cv2.GaussianBlur(light, (0, 0), _COARSE), np.float64)
    return np.asarray(fine - fine.mean())
