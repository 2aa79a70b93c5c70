"""What the lamp's own light shows of what it falls on: the face's features, and its relief.

Fitted over time, each cell has the log ratio of lit to unlit light. Freed of smooth light, it is nothing on paper;
on a screen it is what the screen shows, upside down; on a head it is like log(n·l): light from beside the camera
falls aslant on the sides of the nose, the sockets, the cheeks.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from gatevault.vision.liveness.cells import Single, U, V
from gatevault.vision.liveness.head import Floats, normals

_FLOOR: Final = 0.1
"""Of the usual answer: below, a cell's is noise."""

_ORDER: Final = 3
"""Of the polynomials in u and v that smooth light on smooth paper can be."""


def _terms() -> Floats:
    """Smooth light: polynomials of u and v, (44, 41, k)."""
    u, v = np.meshgrid(U / 0.8, (V - 0.45) / 0.9)
    return np.stack([u**i * v**j for i in range(_ORDER + 1) for j in range(_ORDER + 1 - i)], axis=-1)


_SMOOTH: Final = _terms()
_MOVED: Final = 0.08
"""Inter-eye distances: by so much, across and down, may a nose lie beside where the generic head has it."""

_NORMALS: Final = [
    normals(U - across, V - down) for across in (0.0, -_MOVED, _MOVED) for down in (0.0, -_MOVED, _MOVED)
]
"""Of the generic head, there and moved a little."""


def _light(ratio: Single, unlit: Single, cells: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The lamp's own light over the unlit, and the unlit, in logarithms, of the `cells`.

    `ratio`: log of lit over unlit light; `unlit`: log of the latter; (44, 41). Cells that answer next to nothing,
    or stand far out, are brought nearer.
    """
    b, a = (
        np.asarray(cv2.GaussianBlur(np.asarray(part, np.float32), (0, 0), 1.0), np.float64)[cells]
        for part in (ratio, unlit)
    )
    added = np.expm1(b)
    middle = max(float(np.median(added)), 1e-6)
    light = np.log(np.maximum(added, _FLOOR * middle) / middle)
    spread = 1.4826 * float(np.median(np.abs(light)))
    return np.clip(light, -4.0 * spread, 4.0 * spread), a


def _without(nuisance: Floats, wanted: Floats) -> Floats:
    """Columns (c, k) without what `nuisance`, (c, m), explains of them."""
    gram = nuisance.T @ nuisance + 1e-9 * np.eye(nuisance.shape[1])
    return np.asarray(wanted - nuisance @ np.linalg.solve(gram, nuisance.T @ wanted))


def texture(ratio: Single, unlit: Single, cells: npt.NDArray[np.bool_]) -> float:
    """By how much the lamp's light shows the picture's own features: 1 on skin and paper, 0 on a screen's glass.

    The slope of the lamp's own light over the light with it, in logarithms: unlit, infrared pictures are all noise.
    """
    light, a = _light(ratio, unlit, cells)
    lit = a + np.asarray(cv2.GaussianBlur(np.asarray(ratio, np.float32), (0, 0), 1.0), np.float64)[cells]
    left, own = _without(_SMOOTH[cells], np.column_stack((light + a, lit))).T
    return float(left @ own) / max(float(own @ own), 1e-12)


def relief(ratio: Single, unlit: Single, cells: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """How like a head's the fine structure of the lamp's light is: a correlation, and its size, 1 as expected.

    The lamp's own light over the unlit, in logarithms, is smooth on paper; on a screen it is smooth less the
    picture that shines; on a head log(n·l) comes on top.
    """
    light, a = _light(ratio, unlit, cells)
    found = []
    for each in _NORMALS:
        across, down, towards = (part[cells] for part in each)
        nuisance = np.column_stack((_SMOOTH[cells], a, a * a, across, down))
        left, wanted = _without(nuisance, np.column_stack((light, np.log(towards)))).T
        length = float(np.linalg.norm(left) * np.linalg.norm(wanted))
        found.append((float(left @ wanted) / max(length, 1e-12), float(left @ wanted) / float(wanted @ wanted)))
    return max(found)
