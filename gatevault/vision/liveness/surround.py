"""Whether what is beside a face stands still, as it does before a gate's camera, or sways, as a hand does.

A picture in a hand brings its own surroundings: paper, a phone's rim, the room in the picture. They move with the
hand. Hair moves too, but with the turn of the head, which is known; and a wall without anything on it, on which
nothing can be followed, is nobody's hand either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gatevault.vision.liveness.head import Floats

SECTORS: Final = 3
"""To the picture's left of the face, above it, to its right."""

_LEAST: Final = 3
"""Points of a sector that tell anything together."""
_FEW: Final = 6
"""Points beside a face below which their loss tells nothing."""
_LEAST_FRAMES: Final = 8

LOST: Final = 1.0
"""The answer where most points beside the face are lost: what stands still is not."""


def sway(
    places: Sequence[npt.NDArray[Any]],
    alive: Sequence[npt.NDArray[np.bool_]],
    sectors: npt.NDArray[np.int64],
    turns: Floats,
    distance: float,
) -> float:
    """How far what is beside the face moved, but for what goes along with the head's turn; 0 where nothing could be
    followed.

    Root mean square over the frames, of the sector that moved most, in inter-eye distances. `places`: for each
    frame (m, 2) in pixels; `alive`: for each (m,), still followed; `turns`: for each how far the head was turned;
    `distance`: between the eyes, pixels.
    """
    if not places or len(sectors) < _LEAST:
        return 0.0
    kept = np.stack(alive)
    if len(sectors) >= _FEW and kept[-1].mean() < 0.5:
        return LOST
    paths = (np.stack(places) - places[0]) / distance
    known = [_sector(paths, kept & (sectors == sector), turns) for sector in range(SECTORS)]
    return max(known)


def _sector(paths: npt.NDArray[Any], alive: npt.NDArray[np.bool_], turns: Floats) -> float:
    """Root mean square of the common path of the points `alive`, (f, m), without what the turn explains."""
    enough = alive.sum(axis=1) >= _LEAST
    if enough.sum() < _LEAST_FRAMES:
        return 0.0
    common = np.array(
        [np.median(path[there], axis=0) for path, there in zip(paths[enough], alive[enough], strict=True)]
    )
    terms = np.column_stack((np.ones(len(common)), turns[enough]))
    fitted, *_ = np.linalg.lstsq(terms, common, rcond=None)
    return float(np.sqrt(np.mean(np.sum((common - terms @ fitted) ** 2, axis=1))))
