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

_LEAST_AREA: Final = 1e-6

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
    x, y = flat[:, 0][triangles.T], flat[:, 1][triangles.T]
    area = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0])
    drawn = np.flatnonzero((area < -_LEAST_AREA) if cull else (np.abs(area) > _LEAST_AREA))
    x, y, area = x[:, drawn], y[:, drawn], area[drawn]
    left, right = _span(x, lens.width)
    top, bottom = _span(y, lens.height)
    ahead = points[:, 2] > NEAREST
    kept = np.flatnonzero((right >= left) & (bottom >= top) & ahead[triangles[drawn]].all(axis=1))
    if not len(kept):
        return Fragments(np.empty(0, np.int64), np.empty((0, attributes.shape[1]), np.float32))
    boxes = _Boxes(x[:, kept], y[:, kept], area[kept], left[kept], top[kept], right[kept], bottom[kept])
    found = [
        boxes.inside(np.flatnonzero(boxes.kinds == kind), kind, lens.width)
        for kind in np.flatnonzero(np.bincount(boxes.kinds)).tolist()
    ]
    places, whose, first, second = (np.concatenate([each[n] for each in found]) for n in range(4))
    owners = triangles[drawn[kept]]
    # Inverse depth is linear over the picture; so is an attribute divided by its depth.
    near = (1.0 / np.maximum(points[:, 2], NEAREST)).astype(np.float32)[owners]
    first, second, third = (
        weight * near[:, corner][whose]
        for corner, weight in enumerate((first, second, np.float32(1.0) - first - second))
    )
    nearness = first + second
    nearness += third
    buffer = np.zeros(lens.height * lens.width, np.float32)
    np.maximum.at(buffer, places, nearness)
    seen = np.flatnonzero(nearness == buffer[places])
    places, whose, scale = places[seen], whose[seen], np.float32(1.0) / nearness[seen]
    values = attributes.astype(np.float32)
    mixed = (first[seen] * scale)[:, None] * values[owners[:, 0][whose]]
    mixed += (second[seen] * scale)[:, None] * values[owners[:, 1][whose]]
    mixed += (third[seen] * scale)[:, None] * values[owners[:, 2][whose]]
    return Fragments(places, mixed)


def _span(places: Floats, size: int) -> tuple[Ints, Ints]:
    """First and last whole pixel of triangles along one axis, (t,), within a picture of `size`; `places` (3, t)."""
    low = np.minimum(np.minimum(places[0], places[1]), places[2])
    high = np.maximum(np.maximum(places[0], places[1]), places[2])
    return (
        np.clip(np.ceil(low), 0, size).astype(np.int64),
        np.clip(np.floor(high), -1, size - 1).astype(np.int64),
    )


class _Boxes:
    """Triangles with their boxes: corners x, y (3, t), area twice, and the box's edges (t,)."""

    def __init__(
        self, x: Floats, y: Floats, area: Floats, left: Ints, top: Ints, right: Ints, bottom: Ints
    ) -> None:
        self._left, self._top = left, top
        self._wide, self._tall = right - left, bottom - top
        wide, tall = (np.maximum(side + 1, _SMALLEST).astype(np.float64) for side in (self._wide, self._tall))
        self.kinds = (np.ceil(np.log2(wide)) + _KINDS * np.ceil(np.log2(tall))).astype(np.int64)
        # Small numbers, so that float32 is exact enough.
        self._x, self._y = (x - left).astype(np.float32), (y - top).astype(np.float32)
        self._scale = (1.0 / area).astype(np.float32)

    def inside(self, part: Ints, kind: int, row: int) -> tuple[Ints, Ints, Floats, Floats]:
        """Pixels inside the triangles `part` of a kind: places, triangles, weights of the first two corners."""
        wide, tall = 1 << kind % _KINDS, 1 << kind // _KINDS
        x, y, scale = self._x[:, part], self._y[:, part], self._scale[part]
        # A weight is linear over the box: its value at the corner, and its steps across and down.
        first = _plane(
            (x[1] * y[2] - y[1] * x[2]) * scale, (y[1] - y[2]) * scale, (x[2] - x[1]) * scale, wide, tall
        )
        second = _plane(
            (x[2] * y[0] - y[2] * x[0]) * scale, (y[2] - y[0]) * scale, (x[0] - x[2]) * scale, wide, tall
        )
        inside = (first >= -_MARGIN) & (second >= -_MARGIN)
        inside &= first + second <= 1.0 + _MARGIN
        hits = np.flatnonzero(inside)
        which, within = np.divmod(hits, wide * tall)
        down, across = np.divmod(within, wide)
        chosen = part[which]
        room = (across <= self._wide[chosen]) & (down <= self._tall[chosen])
        hits, chosen, across, down = hits[room], chosen[room], across[room], down[room]
        places = (self._top[chosen] + down) * row + self._left[chosen] + across
        return places, chosen, first.reshape(-1)[hits], second.reshape(-1)[hits]


def _plane(base: Floats, across: Floats, down: Floats, wide: int, tall: int) -> Floats:
    """base + across·x + down·y over boxes: shape (t, tall, wide)."""
    x = np.arange(wide, dtype=np.float32)
    y = np.arange(tall, dtype=np.float32)
    rows = base[:, None] + down[:, None] * y
    return np.asarray(rows[:, :, None] + (across[:, None] * x)[:, None, :])


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
