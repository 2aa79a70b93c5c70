"""Normalised scores of many embeddings at once: for the laboratory, leaves copies in RAM."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gatevault.core.normalisation import Normaliser
from gatevault.lab.sets import Rows

Floats = npt.NDArray[np.float64]


def normalised(a: Rows, pa: Floats, b: Rows, pb: Floats) -> Floats:
    """Scores of rows a (n, d) against rows b (m, d) with their penalties, shape (n, m)."""
    scores: Floats = a @ b.T - pa[:, None] - pb[None]
    return scores


def against(normaliser: Normaliser, a: Rows, b: Rows) -> Floats:
    """Scores of rows a (n, d) against rows b (m, d), shape (n, m)."""
    return normalised(a, normaliser.penalties(a), b, normaliser.penalties(b))


def pairs(scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The scores above the diagonal, shape (n, n): each pair of different rows once."""
    above: npt.NDArray[Any] = scores[np.triu_indices(len(scores), 1)]
    return above
