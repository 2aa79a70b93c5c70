"""Faces made of formulas: points of heads and of paper that turn, pictures of a lamp's light on them.

Nothing here comes from the generic head's own table, which is what is tested.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FOCAL: Final = 11.0
"""Focal length in inter-eye distances of a face at `AWAY`: pictures are told in those."""
AWAY: Final = 11.0
"""Inter-eye distances from the camera: 0.7 m."""


def grid(chance: np.random.Generator) -> Floats:
    """Places on a face as u and v, spread like a tracker's: shape (n, 2)."""
    u, v = np.meshgrid(np.arange(-0.7, 0.71, 0.175), np.arange(-0.4, 1.25, 0.2))
    nose_u, nose_v = np.meshgrid(np.arange(-0.3, 0.31, 0.15), np.arange(-0.05, 0.75, 0.14))
    places = np.concatenate([np.column_stack((a.ravel(), b.ravel())) for a, b in ((u, v), (nose_u, nose_v))])
    return np.asarray(places + chance.uniform(-0.04, 0.04, places.shape))


def head(u: Floats, v: Floats, nose: float = 0.36, width: float = 1.2) -> Floats:
    """Depth of an ellipsoid with a nose and sockets, inter-eye distances towards the camera."""
    round_ = 1.3 * np.sqrt(np.clip(1.0 - (u / width) ** 2 - ((v - 0.45) / 1.9) ** 2, 0.02, None)) - 1.3
    ridge = np.clip((v + 0.1) / 0.6, 0.0, 1.0) * np.clip((0.78 - v) / 0.2, 0.0, 1.0)
    sockets = np.exp(-(((np.abs(u) - 0.5) / 0.2) ** 2) - (v / 0.14) ** 2)
    return np.asarray(round_ + nose * ridge * np.exp(-((u / 0.17) ** 2)) - 0.08 * sockets)


def bent(u: Floats, v: Floats, radius: float, lean: float = 0.0) -> Floats:
    """Paper on a cylinder of this radius, whose axis leans so far (radians) from upright."""
    across = u * np.cos(lean) + (1.055 * v - 0.5) * np.sin(lean)
    return np.asarray(np.sqrt(np.clip(radius**2 - across**2, 0.01, None)) - radius)


def folded(u: Floats, slope: float) -> Floats:
    """Paper folded along the nose."""
    return np.asarray(-slope * np.abs(u))


def seen(places: Floats, depth: Floats, yaw: float, pitch: float = 0.0, aside: float = 0.0) -> Floats:
    """Where points at `places` with `depth` are seen after a turn about an axis behind them, in perspective."""
    points = np.column_stack((places[:, 0], places[:, 1] * 1.055 - 0.5, depth + 1.4))
    cosine, sine = np.cos(yaw), np.sin(yaw)
    turned = points @ np.array(((cosine, 0.0, -sine), (0.0, 1.0, 0.0), (sine, 0.0, cosine)))
    cosine, sine = np.cos(pitch), np.sin(pitch)
    turned = turned @ np.array(((1.0, 0.0, 0.0), (0.0, cosine, sine), (0.0, -sine, cosine)))
    away = AWAY + 1.4 - turned[:, 2]
    return np.column_stack((FOCAL * (turned[:, 0] + aside) / away, FOCAL * turned[:, 1] / away))


def towards(u: Floats, v: Floats, depth: Floats) -> Floats:
    """How far each place of a relief looks towards the camera: its normal's third part, shape (h, w)."""
    across, down = np.gradient(depth, u[0], axis=1), np.gradient(depth, v[:, 0] * 1.055, axis=0)
    return np.asarray(1.0 / np.sqrt(1.0 + across**2 + down**2))
