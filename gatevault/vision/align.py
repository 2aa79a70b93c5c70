"""An upright 112-pixel chip on the template that most published face networks were trained on.

The template is the usual one (ArcFace's; OpenCV's `FaceRecognizerSF` has the same): where both eyes, the nose tip
and both corners of the mouth lie. A face is turned, scaled and moved onto it so that the squared distances are
least.

With YuNet all five points are there. dlib's five landmarks lie elsewhere: corners of the eyes, base of the nose, no
mouth. They are moved onto where they lie, on the average over 432 LFW photographs, in chips that YuNet's points
aligned. Mean cosine between MobileFaceNet's embedding and that of the same photograph in the project's research
data (`tests/vision/test_align.py`): with YuNet's points found at the photograph's own size, as that data has them,
0.996; found at any other size 0.95, for its points move with the size; dlib's five on these places 0.942, its two
eye centres on theirs 0.930, eye centres and nose on the template itself 0.856.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from gatevault.vision.frame import Pixels

ALIGNED_SIDE: Final = 112

Points = npt.NDArray[np.float64]
"""Five points in pixels of a picture, shape (5, 2) as x, y."""

_FIVE: Final = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)], np.float64
)
_FIVE_LANDMARKS: Final = np.array(
    [(79.0376, 53.3909), (65.3499, 53.8385), (30.5832, 53.9818), (44.2289, 54.0999), (54.8365, 80.7710)], np.float64
)


def aligned(pixels: Pixels, points: npt.NDArray[Any] | None, landmarks: Points) -> Pixels:
    """The chip, shape (112, 112, 3); the caller wipes it. `points` are YuNet's where it is the detector, else
    None."""
    if points is None:
        move = similarity(landmarks, _FIVE_LANDMARKS)
    else:
        move = similarity(np.asarray(points, np.float64), _FIVE)
    chip = cv2.warpAffine(pixels, move, (ALIGNED_SIDE, ALIGNED_SIDE), flags=cv2.INTER_LINEAR)
    return np.asarray(chip, np.uint8)


def five_from(landmarks: Points) -> Points:
    """Where the detector's five points would be, by dlib's five landmarks: shape (5, 2), in the same pixels."""
    move = similarity(_FIVE_LANDMARKS, landmarks)
    return np.asarray(_FIVE @ move[:, :2].T + move[:, 2])


def similarity(source: Points, target: Points) -> Points:
    """The turn, scale and move that brings `source` nearest to `target`, as an affine matrix (2, 3).

    Least squares in closed form (Umeyama 1991, in the plane and without mirroring). Points that all fall into one
    give the identity's scale: what is cut out is of no use, and finite.
    """
    from_middle, to_middle = source.mean(axis=0), target.mean(axis=0)
    a, b = source - from_middle, target - to_middle
    spread = max(float(np.sum(a * a)), 1e-9)
    cosine = float(np.sum(a * b)) / spread
    sine = float(np.sum(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])) / spread
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return np.hstack([turn, (to_middle - turn @ from_middle)[:, None]])
