"""Vectors that stand at known angles from one another, and galleries of them."""

from __future__ import annotations

import numpy as np

from gatevault.core.matching import Gallery
from gatevault.core.types import Vector

DIMENSION = 8


def turned(degrees: float) -> Vector:
    """The unit vector that stands so far from the first axis: its cosine to it is known."""
    vector = np.zeros(DIMENSION, dtype=np.float32)
    vector[:2] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vector


def gallery(*degrees: float, penalties: list[float] | None = None) -> Gallery:
    rows = np.array([turned(d) for d in degrees], dtype=np.float32).reshape(-1, DIMENSION)
    return Gallery(names(len(rows)), rows, np.array(penalties or [0.0] * len(rows), np.float32))


def names(count: int) -> list[str]:
    return [f"r-{i:016x}" for i in range(count)]
