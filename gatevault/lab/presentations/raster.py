"""A software rasteriser for small meshes: a z-buffer over all triangles at once, in numpy.

Triangles of a head are a few pixels wide, so they are grouped by the size of their bounding boxes and each group
is tested in one array operation. Attributes are interpolated with perspective.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import cv2  # isort: skip  # after gatevault.vision, which sets OpenCV's limits

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.signedinteger[Any]]

NEAREST: Final = 0.05
"""Metres before the camera within which nothing is drawn."""

_ROW: Final = 256
"""Fragments to a row when a texture is sampled: OpenCV's maps have two dimensions."""

_KINDS: Final = 16
"""Powers of two among the sides of boxes: more than any picture has."""

_SMALLEST: Final = 4
"""Side of the smallest boxes: fewer groups cost less than the pixels that are tested in vain."""

_MARGIN: Final = 1e-4
"""Share of a triangle by which its edges reach outwards, so that no seam stays open."""


@dataclass(frozen=True, slots=True, eq=False)
class Lens:
    """A pinhole camera at the origin looking along +z; x to the image's right, y down, metres.

    `focal`: pixels; the principal point is the middle of the picture of `height` by `width` pixels.
    """

    focal: float
    height: int
    width: int

    def project(self, points: Floats) -> Floats:
        """Pixels, shape (n, 2) as x, y, of points (n, 3) before the camera; pixel centres are whole numbers."""
        middle = np.array(((self.width - 1) / 2.0, (self.height - 1) / 2.0))
        depth = np.maximum(points[:, 2:3], NEAREST)
        return np.asarray(self.focal * points[:, :2] / depth + middle)


@dataclass(frozen=True, slots=True, eq=False)
class Fragments:
    """The pixels that a mesh covers: flat indices (m,), attributes (m, k) float32."""

    places: Ints
    attributes: npt.NDArray[np.float32]


def rasterise(lens: Lens, points: Floats, triangles: Ints, attributes: Floats, *, cull: bool = True) -> Fragments:
    """What the lens sees of a mesh: `points` (n, 3) metres, `triangles` (t, 3), `attributes` (n, k).

    With `cull` only triangles whose corners run anticlockwise as seen are drawn: the front of a closed mesh.
    """
    flat = lens.project(points)
    corners = flat[triangles]
    ahead = (points[:, 2] > NEAREST)[triangles].all(axis=1)
    (ax, ay), (bx, by), (cx, cy) = (corners[:, i].T for i in range(3))
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    low = np.maximum(np.ceil(corners.min(axis=1)), 0.0)
    high = np.minimum(np.floor(corners.max(axis=1)), (lens.width - 1, lens.height - 1))
    drawn = ahead & (high >= low).all(axis=1) & ((area < -1e-6) if cull else (np.abs(area) > 1e-6))
    chosen = np.flatnonzero(drawn)
    extent = (high[chosen] - low[chosen]).astype(np.int64) + 1
    classes = np.ceil(np.log2(np.maximum(extent, _SMALLEST))).astype(np.int64) @ (1, _KINDS)
    found = []
    for kind in np.flatnonzero(np.bincount(classes)).tolist():
        part = chosen[classes == kind]
        wide, tall = 1 << kind % _KINDS, 1 << kind // _KINDS
        found.append(_inside(corners[part], area[part], low[part], high[part], part, (wide, tall), lens.width))
    if not found:
        return Fragments(np.empty(0, np.int64), np.empty((0, attributes.shape[1]), np.float32))
    places = np.concatenate([each[0] for each in found])
    whose = np.concatenate([each[1] for each in found])
    weights = np.concatenate([each[2] for each in found])
    # Inverse depth is linear over the picture; so is an attribute divided by its depth.
    near = (1.0 / np.maximum(points[:, 2], NEAREST)).astype(np.float32)
    scaled = weights * near[triangles[whose]]
    nearness = scaled.sum(axis=1)
    buffer = np.zeros(lens.height * lens.width, np.float32)
    np.maximum.at(buffer, places, nearness)
    seen = np.flatnonzero(nearness == buffer[places])
    scaled = scaled[seen] / nearness[seen, None]
    values = attributes.astype(np.float32)
    owners = triangles[whose[seen]]
    mixed = scaled[:, 0:1] * values[owners[:, 0]]
    mixed += scaled[:, 1:2] * values[owners[:, 1]]
    mixed += scaled[:, 2:3] * values[owners[:, 2]]
    return Fragments(places[seen], mixed)


def _inside(
    corners: Floats, area: Floats, low: Floats, high: Floats, whose: Ints, box: tuple[int, int], row: int
) -> tuple[Ints, Ints, npt.NDArray[np.float32]]:
    """Pixels inside triangles whose boxes fit `box` (width, height): places, triangles, three weights."""
    wide, tall = box
    base = corners - low[:, None]  # small numbers, so that float32 is exact enough
    (ax, ay), (bx, by), (cx, cy) = (base[:, i].T.astype(np.float32)[..., None, None] for i in range(3))
    scale = (1.0 / area).astype(np.float32)[:, None, None]
    x = np.arange(wide, dtype=np.float32)[None, None, :]
    y = np.arange(tall, dtype=np.float32)[None, :, None]
    first = ((bx - x) * (cy - y) - (by - y) * (cx - x)) * scale
    second = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) * scale
    third = 1.0 - first - second
    least = np.minimum(np.minimum(first, second), third)
    room = (high - low).astype(np.int64)
    inside = (least >= -_MARGIN) & (x <= room[:, 0, None, None]) & (y <= room[:, 1, None, None])
    which, down, across = np.nonzero(inside)
    corner = low.astype(np.int64)
    places = (corner[which, 1] + down) * row + corner[which, 0] + across
    weights = np.stack((first[inside], second[inside], third[inside]), axis=1)
    return places, whose[which], weights


def sample(texture: Floats, across: Floats, down: Floats) -> npt.NDArray[np.float32]:
    """The texture, shape (h, w, c), at places in its pixels, each (m,): shape (m, c), bilinear."""
    count = len(across)
    rows = -(-count // _ROW)
    maps = np.zeros((2, rows * _ROW), np.float32)
    maps[0, :count], maps[1, :count] = across, down
    taken = cv2.remap(
        texture,
        maps[0].reshape(rows, _ROW),
        maps[1].reshape(rows, _ROW),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(taken, np.float32).reshape(rows * _ROW, -1)[:count]


def normals(points: Floats, triangles: Ints) -> Floats:
    """Unit normals of the vertices, shape (n, 3): the mean of their triangles', weighted by area."""
    first, second, third = (points[triangles[:, i]] for i in range(3))
    faces = np.cross(second - first, third - first)
    total = np.zeros_like(points)
    for axis in range(3):
        for corner in range(3):
            total[:, axis] += np.bincount(triangles[:, corner], faces[:, axis], len(points))
    lengths = np.linalg.norm(total, axis=1, keepdims=True)
    return np.asarray(total / np.maximum(lengths, 1e-12))
