"""Heads to render: the Surrey morphable face where its files are, else a simple built-in face.

Head coordinates: millimetres, x to the head's own left (the image's right), y up, z out of the face; the origin
lies behind the bridge of the nose, as in the Surrey model (Huber et al., VISAPP 2016; Apache-2.0, part of `eos`).
A face is an open mask; `Head` closes it with hair and the back of the skull.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from gatevault.core.errors import GateVaultError
from gatevault.lab.presentations.raster import Floats, Ints

MODES: Final = 63
_VERTICES: Final = 3448
_SPREAD: Final = 0.8
"""Standard deviation of an identity's coefficients: 1 is the model's own, whose tails look odd with a photo."""

# Landmarks by their number in the 68-point scheme (from 0): outer and inner corners of the eyes, the base of the
# nose, its tip, the corners of the mouth, and the chin.
EYE_CORNERS: Final = (36, 39, 42, 45)
NOSE_TIP: Final = 30
NOSE_BASE: Final = 33
MOUTH: Final = (48, 54)
LIDS: Final = ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47))

_BACK: Final = -185.0
_RINGS: Final = 9
_MIDDLE: Final = np.array((0.0, 15.0))


@dataclass(frozen=True, slots=True, eq=False)
class FaceModel:
    """A family of faces: `mean` (n, 3), `modes` (k, n, 3) of one standard deviation each, expressions by name."""

    mean: Floats
    modes: Floats
    triangles: Ints
    landmarks: Mapping[int, int]
    """Vertex of each landmark that is known."""
    expressions: Mapping[str, Floats]
    outline: Ints
    """Vertices of the mask's edge, in order."""

    def face(self, chance: np.random.Generator) -> Floats:
        """A face at random, shape (n, 3)."""
        weights = chance.normal(0.0, _SPREAD, len(self.modes))
        return np.asarray(self.mean + np.tensordot(weights, self.modes, 1))


def morphable(folder: Path) -> FaceModel:
    """The Surrey model from `sfm_mean.npz` and, if there, its blend shapes. GateVaultError."""
    try:
        with np.load(folder / "sfm_mean.npz", allow_pickle=False) as data:
            mean, triangles = data["mean"].astype(np.float64), data["tri"].astype(np.int64)
            basis, variance = data["basis"].astype(np.float64), data["ev"].astype(np.float64)
            landmarks = dict(zip(data["lm_idx"].tolist(), data["lm_vert"].tolist(), strict=True))
    except (OSError, KeyError, ValueError) as error:
        raise GateVaultError(
            f"{folder} has no morphable head ({error}): name the folder with sfm_mean.npz."
        ) from None
    if mean.shape != (_VERTICES, 3) or basis.shape != (_VERTICES * 3, MODES):
        raise GateVaultError(f"{folder} has a head of another kind: sfm_mean.npz has 3,448 vertices and 63 modes.")
    modes = (basis * np.sqrt(variance)).T.reshape(MODES, _VERTICES, 3)
    shapes = folder / "eos_expression_blendshapes_3448.bin"
    expressions = _blendshapes(shapes) if shapes.is_file() else {}
    loops = sorted(_loops(triangles), key=len)
    mean, modes, triangles, expressions = _closed_mouth(mean, modes, triangles, expressions, loops[0])
    return FaceModel(mean, modes, triangles, landmarks, expressions, np.array(loops[-1]))


def _blendshapes(path: Path) -> dict[str, Floats]:
    """eos's file: a count; each a name, rows and columns, and float32 values (little-endian). GateVaultError."""
    data = path.read_bytes()
    shapes: dict[str, Floats] = {}
    try:
        (count,), at = struct.unpack_from("<Q", data), 8
        for _ in range(min(count, 64)):
            (length,) = struct.unpack_from("<Q", data, at)
            name = data[at + 8 : at + 8 + length].decode("ascii")
            rows, columns = struct.unpack_from("<ii", data, at + 8 + length)
            at += 16 + length
            if (rows, columns) != (_VERTICES * 3, 1):
                raise ValueError("a blend shape has another size")
            shapes[name] = np.frombuffer(data, "<f4", rows, at).astype(np.float64).reshape(_VERTICES, 3)
            at += 4 * rows
    except (struct.error, ValueError) as error:
        raise GateVaultError(f"{path} has no blend shapes ({error}): fetch eos's file again.") from None
    return shapes


def _loops(triangles: Ints) -> list[list[int]]:
    """The edges of a mesh's holes, each as its vertices in order."""
    sides = np.concatenate([triangles[:, (0, 1)], triangles[:, (1, 2)], triangles[:, (2, 0)]])
    keys = np.sort(sides, axis=1)
    _, first, counts = np.unique(keys, axis=0, return_index=True, return_counts=True)
    following: dict[int, list[int]] = defaultdict(list)
    for a, b in sides[first[counts == 1]].tolist():
        following[a].append(b)
    loops = []
    while following:
        loop = [next(iter(following))]
        while loop[-1] in following:
            after = following.pop(loop[-1])[0]
            if after == loop[0]:
                break
            loop.append(after)
        loops.append(loop)
    return loops


def _closed_mouth(
    mean: Floats, modes: Floats, triangles: Ints, expressions: Mapping[str, Floats], loop: list[int]
) -> tuple[Floats, Floats, Ints, dict[str, Floats]]:
    """The slit between the lips as a fan around a vertex of its own, a little inside the mouth."""
    middle = len(mean)
    fan = np.array([(b, a, middle) for a, b in zip(loop, [*loop[1:], loop[0]], strict=True)])
    inside = mean[loop].mean(axis=0) - (0.0, 0.0, 4.0)
    return (
        np.vstack((mean, inside)),
        np.concatenate((modes, modes[:, loop].mean(axis=1, keepdims=True)), axis=1),
        np.vstack((triangles, fan)),
        {name: np.vstack((shape, shape[loop].mean(axis=0))) for name, shape in expressions.items()},
    )


# --- the built-in face -------------------------------------------------------------------------------

_ACROSS: Final = 61
_DOWN: Final = 73
_PLACES: Final[dict[int, tuple[float, float]]] = {
    36: (-46.0, 34.0), 37: (-36.0, 38.0), 38: (-26.0, 38.5),
    39: (-18.5, 31.5), 40: (-29.0, 29.0), 41: (-35.5, 30.5),
    42: (18.5, 31.5), 43: (26.0, 38.5), 44: (36.0, 38.0),
    45: (46.0, 34.0), 46: (35.5, 30.5), 47: (29.0, 29.0),
    30: (0.0, -3.0), 33: (0.0, -16.5), 48: (-24.0, -36.0), 54: (24.0, -36.0), 8: (0.0, -78.0),
}  # fmt: skip
"""Where landmarks lie on the built-in face, x and y in millimetres: the mean of the Surrey model, rounded."""


def builtin() -> FaceModel:
    """An ellipsoid with nose, eye sockets, brows, lips and chin: a relief over (x, y), with eight simple modes."""
    angles = np.linspace(-1.0, 1.0, _ACROSS)
    heights = np.linspace(-1.0, 1.0, _DOWN)
    a, b = np.meshgrid(angles, heights)
    width = (
        74.0
        * np.sqrt(np.clip(1.0 - 0.8 * np.clip(-b, 0.0, 1.0) ** 2.6, 0.05, 1.0))
        * np.sqrt(1.0 - 0.6 * np.clip(b, 0.0, 1.0) ** 3)
    )
    x = width * np.sin(a * np.pi / 2.0 * 0.96)
    y = 12.0 + 93.0 * np.sin(b * np.pi / 2.0 * 0.97)
    mean = _relief(x, y, 1.0, 1.0)
    none = np.zeros_like(x)
    modes = (
        (0.05 * mean[..., 0], none, none),
        (none, 0.04 * (mean[..., 1] - 12.0), none),
        (none, none, _relief(x, y, 1.25, 1.0)[..., 2] - mean[..., 2]),
        (none, none, _relief(x, y, 1.0, 1.3)[..., 2] - mean[..., 2]),
        (none, none, 3.0 * _bump(x, y, 0.0, -74.0, 16.0, 12.0)),
        (none, none, 2.5 * (_bump(x, y, 40.0, 5.0, 16.0, 16.0) + _bump(x, y, -40.0, 5.0, 16.0, 16.0))),
        (0.06 * mean[..., 0] * np.clip(-b, 0.0, 1.0), none, none),
        (none, none, 4.0 * a**2),
    )
    count = _ACROSS * _DOWN
    stacked = np.stack([np.stack(mode, axis=-1).reshape(count, 3) for mode in modes])
    flat = mean.reshape(count, 3)
    landmarks = {
        number: int(np.argmin(np.hypot(flat[:, 0] - px, flat[:, 1] - py))) for number, (px, py) in _PLACES.items()
    }
    return FaceModel(flat, stacked, grid(_DOWN, _ACROSS), landmarks, _smile(flat), _rim())


def _bump(x: Floats, y: Floats, at_x: float, at_y: float, wide: float, tall: float) -> Floats:
    return np.asarray(np.exp(-(((x - at_x) / wide) ** 2 + ((y - at_y) / tall) ** 2)))


def _relief(x: Floats, y: Floats, nose: float, sockets: float) -> Floats:
    side = np.clip(np.abs(x) / 78.0, 0.0, 1.0)
    up = np.clip((y - 12.0) / 100.0, -1.0, 1.0)
    z = -16.0 - 88.0 * (1.0 - np.sqrt(1.0 - side**2.4 * 0.985)) - 26.0 * np.abs(up) ** 2.6
    ridge = np.clip((38.0 - y) / 41.0, 0.0, 1.0) * np.clip((y + 19.0) / 13.0, 0.0, 1.0)
    z = z + nose * 21.0 * ridge * np.exp(-((x / (8.5 + 5.0 * np.clip(-y / 14.0, 0.0, 1.0))) ** 2))
    for eye in (-31.0, 31.0):
        z = z - sockets * 8.0 * _bump(x, y, eye, 32.0, 15.0, 9.0) + 3.0 * _bump(x, y, eye, 32.0, 9.0, 6.0)
        z = z + 3.0 * _bump(x, y, eye, 53.0, 18.0, 6.0)
    z = z + 4.0 * _bump(x, y, 0.0, -29.0, 18.0, 5.0) + 4.0 * _bump(x, y, 0.0, -41.0, 16.0, 5.0)
    z = z - 3.0 * _bump(x, y, 0.0, -54.0, 18.0, 6.0) + 5.0 * _bump(x, y, 0.0, -70.0, 16.0, 11.0)
    return np.stack((x, y, z), axis=-1)


def _smile(flat: Floats) -> dict[str, Floats]:
    shape = np.zeros_like(flat)
    for side in (-1.0, 1.0):
        near = _bump(flat[:, 0], flat[:, 1], 24.0 * side, -36.0, 14.0, 12.0)
        shape[:, 0] += 4.0 * side * near
        shape[:, 1] += 4.0 * near
        shape[:, 2] -= 2.0 * near
    return {"happiness": shape}


def grid(rows: int, columns: int) -> Ints:
    """Triangles of a grid whose rows go up (y) and columns right, seen from the front: anticlockwise."""
    at = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (part.reshape(-1) for part in (at[:-1, :-1], at[:-1, 1:], at[1:, :-1], at[1:, 1:]))
    return np.concatenate((np.stack((a, b, d), axis=1), np.stack((a, d, c), axis=1)))


def _rim() -> Ints:
    at = np.arange(_ACROSS * _DOWN).reshape(_DOWN, _ACROSS)
    return np.concatenate((at[0, :-1], at[:-1, -1], at[-1, :0:-1], at[:0:-1, 0]))


# --- closing the head --------------------------------------------------------------------------------


def skull(face: Floats, outline: Ints, hair: float) -> tuple[Floats, Ints, Floats]:
    """Hair and the back of the head: rings from the mask's edge backwards.

    Returns points (r, 3), triangles over the face's vertices followed by these points, and for each point the place
    (x, y) of the front whose texture it shows. `hair`: thickness over the forehead, as a share of its height.
    """
    edge = face[outline]
    outward = edge[:, :2] - _MIDDLE
    reach = np.maximum(np.linalg.norm(outward, axis=1), 1e-6)
    side, up = outward.T / reach
    crown = 1.0 / np.sqrt((side / 80.0) ** 2 + (up / (100.0 * (1.0 + hair))) ** 2)
    bulge = np.where(up > 0.0, np.maximum(crown / reach - 1.0, 0.05), 0.05 + 0.2 * up)
    steps = np.linspace(0.0, 1.0, _RINGS + 1)[1:]
    rings, shown = [], []
    for step in steps:
        widening = 1.0 + bulge * np.sin(min(step * 2.2, 1.0) * np.pi / 2.0)
        closing = np.sqrt(np.clip(1.0 - max(step - 0.45, 0.0) ** 2 / 0.31, 0.0, 1.0))
        depth = edge[:, 2] + (_BACK - edge[:, 2]) * step**1.25
        rings.append(np.column_stack((_MIDDLE + outward * (widening * closing)[:, None], depth)))
        shown.append(_MIDDLE + outward * (1.0 + bulge * min(step * 2.2, 1.0))[:, None])
    count, size = len(face), len(outline)
    loops = [outline] + [count + np.arange(size) + size * number for number in range(_RINGS)]
    triangles = []
    for near, far in pairwise(loops):
        a, b, c, d = near, np.roll(near, -1), far, np.roll(far, -1)
        triangles += [np.stack((a, d, b), axis=1), np.stack((a, c, d), axis=1)]
    return np.vstack(rings), np.concatenate(triangles), np.vstack(shown)
