"""Whether what is beside a face stands still, as it does before a gate's camera, or sways, as a hand does.

A picture in a hand brings its own surroundings: paper, a phone's rim, the room in the picture. They move with the
hand on every side of the face. Hair moves too, and passers-by; but not on the left, on the right and above at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_LEAST: Final = 3
"""Points of a sector that tell anything together."""

SECTORS: Final = 3


def sway(
    places: Sequence[npt.NDArray[Any]],
    alive: npt.NDArray[np.bool_],
    sectors: npt.NDArray[np.int64],
    distance: float,
) -> float | None:
    """How far what is beside the face moved, in inter-eye distances: root mean square of the calmest sector.

    `places`: for each frame (m, 2) in pixels; `alive` (m,): still followed; `distance`: between the eyes, pixels.
    None where nothing could be followed.
    """
    if not len(places):
        return None
    paths = np.stack(places).astype(np.float64)
    found = []
    for sector in range(SECTORS):
        chosen = alive & (sectors == sector)
        if chosen.sum() >= _LEAST:
            common = np.median(paths[:, chosen], axis=1)
            found.append(float(np.sqrt(np.mean(np.sum((common - common.mean(axis=0)) ** 2, axis=1)))))
    return min(found) / distance if found else None
