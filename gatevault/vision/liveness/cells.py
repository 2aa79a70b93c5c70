"""What a frame leaves of a face under a flickering lamp: small pictures of linear light.

The face's is brought onto its own frame (u, v), so that a cell stays on its piece of skin; blocks beside the face
stay where they are.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from gatevault.vision.liveness.head import Floats, placed

Single = npt.NDArray[np.float32]
Grey = npt.NDArray[np.uint8]

U: Final = np.linspace(-0.8, 0.8, 41)
V: Final = np.linspace(-0.45, 1.3, 44)
"""Middles of the cells, across and down."""
_SIZE: Final = (len(U), len(V))
_FINE: Final = 2
"""Pixels to a cell and side while a face is brought onto the cells; averaged as linear light."""

_FULL: Final = 250
"""Of 255: such a pixel may be more."""
_BURNT: Final = 0.1
"""Share of a cell's pixels that may be saturated."""

_LINEAR: Final = np.array(
    [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in np.arange(256) / 255.0], np.float32
)
"""Linear light of sRGB's levels, which cameras approach."""

_WIDTH: Final = 2.2
"""A face's box in inter-eye distances."""
_BLOCK: Final = 0.2
"""Side of a block beside the face, of the face's width."""
_SAMPLES: Final = 8
"""Pixels of a block's side that are read."""


class LampLog:
    """What frames left for the analysis. `wipe` overwrites it."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self.faces: list[Single] = []
        """Linear light of the cells, (44, 41) each."""
        self.besides: list[Single] = []
        """Linear light of the blocks beside the face, (b,) each."""
        self.middles: list[tuple[float, float]] = []
        """Where the face is, in cells."""
        self.full: list[npt.NDArray[np.bool_]] = []
        """Cells with saturated pixels, (44, 41) each."""
        self._blocks: tuple[tuple[int, int], Any] | None = None

    def see(self, picture: Grey, to_cells: Floats, taken_ns: int) -> None:
        """One frame's picture, (h, w, 3) or (h, w), and the affine matrix (2, 3) from its pixels to u and v."""
        inverse = cv2.invertAffineTransform(to_cells)
        fine = _cut(picture, inverse)
        grey = np.asarray(fine if fine.ndim == 2 else fine.max(axis=2), np.uint8)
        full = np.asarray(cv2.resize((grey >= _FULL).astype(np.float32), _SIZE, interpolation=cv2.INTER_AREA))
        self.full.append(full > _BURNT)
        self.faces.append(_cells(fine))
        fine.fill(0)
        self.besides.append(self._beside(picture, inverse))
        self.times.append(taken_ns)
        x, y = inverse @ np.array((0.0, 0.5, 1.0))
        self.middles.append((float(x), float(y)))

    def wipe(self) -> None:
        for picture in (*self.faces, *self.besides):
            picture.fill(0.0)
        self.faces.clear()
        self.besides.clear()
        self.times.clear()

    def _beside(self, picture: Grey, inverse: Floats) -> Single:
        """Linear light of blocks to the left, to the right and above the head, where it was in the first frame."""
        height, width = picture.shape[:2]
        if self._blocks is None:
            side = _BLOCK * _WIDTH * float(np.hypot(*inverse[:, 0]))
            size = (max(3, round(width / side)), max(3, round(height / side)))
            x, y = np.meshgrid(
                (np.arange(size[0]) + 0.5) * width / size[0], (np.arange(size[1]) + 0.5) * height / size[1]
            )
            there = placed(cv2.invertAffineTransform(inverse), np.column_stack((x.ravel(), y.ravel())))
            u, v = np.abs(there[:, 0]).reshape(x.shape), there[:, 1].reshape(x.shape)
            self._blocks = (
                size,
                ((u > 1.7) & (u < 4.0) & (v < 1.0) & (v > -2.5)) | ((v < -1.9) & (v > -3.5) & (u < 4.0)),
            )
        size, chosen = self._blocks
        step = max(1, min(width // size[0], height // size[1]) // _SAMPLES)
        few = picture[::step, ::step].copy()
        coarse = cv2.resize(few, size, interpolation=cv2.INTER_AREA)
        light = _LINEAR[coarse[chosen]]
        few.fill(0)
        coarse.fill(0)
        return np.asarray(light if light.ndim == 1 else light.mean(axis=1), np.float32)


def face_cells(picture: Grey, to_cells: Floats) -> Single:
    """Linear light of the face's cells in a picture, shape (44, 41)."""
    fine = _cut(picture, cv2.invertAffineTransform(to_cells))
    try:
        return _cells(fine)
    finally:
        fine.fill(0)


def _cut(picture: Grey, inverse: Floats) -> Grey:
    """The face, `_FINE` pixels to a cell."""
    step_u, step_v = (U[1] - U[0]) / _FINE, (V[1] - V[0]) / _FINE
    corner = np.array((U[0] - step_u / 2, V[0] - step_v / 2))
    move = np.column_stack((inverse[:, :2] * (step_u, step_v), inverse[:, :2] @ corner + inverse[:, 2]))
    size = (_FINE * len(U), _FINE * len(V))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(picture, move, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _cells(fine: Grey) -> Single:
    """Linear light of the cells, (44, 41)."""
    light = _LINEAR[fine]
    grey = light if light.ndim == 2 else light.mean(axis=2)
    cells = grey.reshape(len(V), _FINE, len(U), _FINE).mean(axis=(1, 3), dtype=np.float32)
    light.fill(0.0)
    grey.fill(0.0)
    return np.asarray(cells, np.float32)


def _regions() -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Cells of any face, an ellipse; and those of them that are skin: not the eyes, which blink and shine."""
    u, v = np.meshgrid(U, V)
    inside = (u / 0.8) ** 2 + ((v - 0.45) / 0.95) ** 2 < 1.0
    eyes = (np.abs(np.abs(u) - 0.5) < 0.26) & (np.abs(v) < 0.14)
    return np.asarray(inside), np.asarray(inside & ~eyes)


FACE, SKIN = _regions()
"""(44, 41) each."""
