"""A person before the camera: a textured head that turns on its neck, neck and shoulders that hardly do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gatevault.lab.presentations import heads
from gatevault.lab.presentations.canvas import Image, Mesh, Surface
from gatevault.lab.presentations.heads import FaceModel, grid
from gatevault.lab.presentations.motion import Bearing, Pose, Wander, closed
from gatevault.lab.presentations.raster import Floats, Ints, normals
from gatevault.lab.presentations.skin import STRIP, Worn, blinked, cloth

PIVOT: Final = np.array((0.0, -50.0, -95.0))
"""What a head turns about, head coordinates: the top of the spine."""

_NECK: Final = (9, 20)
_CHEST: Final = (12, 28)

_FOLLOWS: Final = 0.12
"""Share of the head's yaw that the shoulders take."""


@dataclass(frozen=True, slots=True)
class Mien:
    """What a face does beside turning: expressions, each a name, its rest and its wandering; when it blinks."""

    moods: tuple[tuple[str, float, Wander], ...]
    blinks: tuple[float, ...]


class Figure:
    """One person, ready to be posed."""

    def __init__(self, model: FaceModel, worn: Worn, hair: float) -> None:
        """`hair`: its thickness over the forehead, 0.15 to 0.35 of the head's height."""
        self._model = model
        self._worn = worn
        back, closing, shown = heads.skull(worn.face, model.outline, hair)
        self._back = back
        self._triangles = np.concatenate((model.triangles, closing))
        self._head_places = worn.places(np.vstack((worn.face, np.column_stack((shown, np.zeros(len(shown)))))))
        self._body, self._body_triangles, self._body_places = _body(worn.atlas)
        self._body_normals = normals(self._body, self._body_triangles)
        self._shade = np.concatenate((np.ones(len(worn.face)), np.full(len(back), 0.85)))
        self._normals: dict[tuple[float, ...], Floats] = {}

    @property
    def atlas(self) -> Image:
        return self._worn.atlas

    def landmark(self, number: int) -> Floats:
        """A landmark's place (3,) in head coordinates, at rest."""
        return np.asarray(self._worn.face[self._model.landmarks[number]])

    def shape(self, mien: Mien, seconds: float) -> Floats:
        """The head's vertices with its expression of this moment, (n, 3), head coordinates."""
        face = self._worn.face
        for name, rest, change in mien.moods:
            if name in self._model.expressions:
                face = face + max(0.0, rest + change.at(seconds)) * self._model.expressions[name]
        return np.vstack((face, self._back))

    def meshes(self, bearing: Bearing, mien: Mien, seconds: float) -> Sequence[Mesh]:
        """Body and head at a moment, the farther first."""
        pose = bearing.at(seconds)
        body = Pose(
            bearing.rest.yaw + _FOLLOWS * (pose.yaw - bearing.rest.yaw),
            0.3 * pose.pitch,
            0.2 * pose.roll,
            pose.place,
        )
        surface = Surface(blinked(self._worn.atlas, self._worn.lids, closed(mien.blinks, seconds)))
        head = self.shape(mien, seconds)
        return (
            Mesh(
                body.placed(self._body, PIVOT),
                self._body_triangles,
                self._body_places,
                body.turned(self._body_normals),
                surface,
                _under_the_chin(self._body),
            ),
            Mesh(
                pose.placed(head, PIVOT),
                self._triangles,
                self._head_places,
                pose.turned(normals(head, self._triangles)),
                surface,
                self._shade,
            ),
        )


def torso(chance: np.random.Generator, place: tuple[float, float, float]) -> Mesh:
    """Somebody's shoulders without a head, for who stands behind what is held: `place` of the neck, metres."""
    atlas = np.empty((2 * STRIP, 2 * STRIP, 4), np.float32)
    atlas[:] = np.array((1.35, 1.0, 0.8, 1.1)) * chance.uniform(0.15, 0.45)
    atlas[STRIP:, STRIP:] = cloth(chance, STRIP, STRIP)
    points, triangles, places = _body(atlas)
    pose = Pose(float(chance.normal(0.0, 0.2)), 0.0, 0.0, place)
    outward = normals(points, triangles)
    return Mesh(
        pose.placed(points, PIVOT), triangles, places, pose.turned(outward), Surface(np.clip(atlas, 0.0, 1.0))
    )


def _body(atlas: Image) -> tuple[Floats, Ints, Floats]:
    """Neck and shoulders, head coordinates: points, triangles, places in the atlas's strip."""
    height, width = atlas.shape[:2]
    half = width // 2
    top = height - STRIP
    neck, neck_places = _tube(*_NECK, (-45.0, -150.0), (54.0, 60.0), (52.0, 50.0), (-92.0, -100.0))
    rows, columns = _CHEST
    down = np.linspace(0.0, 1.0, rows)[::-1]
    wide = 58.0 + 150.0 * np.clip(down / 0.28, 0.0, 1.0) ** 0.6
    deep = 52.0 + 55.0 * np.clip(down / 0.5, 0.0, 1.0) ** 0.7
    level = -128.0 - 330.0 * down**1.4
    angle = np.linspace(-np.pi / 2.0, np.pi / 2.0, columns)
    chest = np.stack(
        (
            wide[:, None] * np.sin(angle),
            np.repeat(level[:, None], columns, axis=1),
            -110.0 + deep[:, None] * np.cos(angle),
        ),
        axis=-1,
    ).reshape(-1, 3)
    across, up = np.meshgrid(np.linspace(0.0, 1.0, columns), np.linspace(0.0, 1.0, rows))
    chest_places = np.column_stack(
        (half + 2 + across.reshape(-1) * (width - half - 5), top + 2 + up.reshape(-1) * (STRIP - 5))
    )
    neck_places = np.column_stack((1 + neck_places[:, 0] * (half - 4), top + 2 + neck_places[:, 1] * (STRIP - 5)))
    triangles = np.concatenate((grid(*_NECK), grid(rows, columns) + len(neck)))
    return np.vstack((neck, chest)), triangles, np.vstack((neck_places, chest_places))


def _tube(
    rows: int,
    columns: int,
    levels: tuple[float, float],
    wide: tuple[float, float],
    deep: tuple[float, float],
    middle: tuple[float, float],
) -> tuple[Floats, Floats]:
    """The front half of an elliptic tube, rows going up; each pair is its top and bottom value, millimetres."""
    share = np.linspace(1.0, 0.0, rows)[:, None]
    angle = np.linspace(-np.pi / 2.0, np.pi / 2.0, columns)[None]

    def along(pair: tuple[float, float]) -> Floats:
        return np.asarray(pair[0] + (pair[1] - pair[0]) * share)

    x, y = along(wide) * np.sin(angle), along(levels) + 0.0 * angle
    z = along(middle) + along(deep) * np.cos(angle)
    across, up = np.meshgrid(np.linspace(0.0, 1.0, columns), np.linspace(0.0, 1.0, rows))
    return np.stack((x, y, z), axis=-1).reshape(-1, 3), np.column_stack((across.reshape(-1), up.reshape(-1)))


def _under_the_chin(body: Floats) -> Floats:
    """The head's shadow on the neck, from the light above: (n,)."""
    return np.asarray(np.clip(0.55 + (-body[:, 1] - 80.0) / 120.0, 0.55, 1.0))
