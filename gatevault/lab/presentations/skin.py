"""A head that wears a portrait: its shape is fitted to the face in the picture, the picture is its texture.

The texture is an atlas: the portrait, and below it a strip of skin (left half) and of cloth (right half) for what
the portrait does not show. It holds reflectance, in linear light: red, green, blue, and a guess at near infrared,
where skin is pale and even whatever its colour, and eyes and hair stay dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gatevault.core.errors import GateVaultError
from gatevault.lab.presentations import heads
from gatevault.lab.presentations.canvas import Image
from gatevault.lab.presentations.heads import FaceModel
from gatevault.lab.presentations.motion import Pose
from gatevault.lab.presentations.raster import Floats
from gatevault.lab.presentations.sensor import linear_from
from gatevault.vision.frame import Pixels

import cv2  # isort: skip  # after gatevault.vision, which sets OpenCV's limits

STRIP: Final = 96
"""Height of the atlas's strip, pixels."""

_ROUNDS: Final = 12
_STIFF: Final = 6.0
"""Weight of a shape's coefficient against a millimetre of a landmark's error: five points bend a face a little."""

_SKIN: Final = (0.16, 0.5)
"""Green reflectance of skin, darkest to palest: photographs differ in exposure more than people do in skin."""


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A frontal face. `pixels` RGB (h, w, 3); `points`: places of `marks` in it, (k, 2)."""

    pixels: Pixels
    points: Floats
    marks: tuple[tuple[int, ...], ...]
    """For each point the landmarks (of 68) whose mean it is."""


YUNET_MARKS: Final = ((36, 39), (42, 45), (30,), (48,), (54,))
"""YuNet's five: eyes, nose tip, corners of the mouth (right and left of the person)."""
DLIB_MARKS: Final = ((45,), (42,), (36,), (39,), (33,))
"""dlib's five: corners of the eyes, base of the nose."""


@dataclass(frozen=True, slots=True, eq=False)
class Worn:
    """A shape with its texture."""

    face: Floats
    """Vertices (n, 3), head coordinates, millimetres."""
    scale: float
    """Pixels of the portrait to a millimetre."""
    turn: Floats
    """(2, 3): from head coordinates to the portrait's pixels; `shift` is added."""
    shift: Floats
    atlas: Image
    """(h + STRIP, w, 4)."""
    lids: tuple[Lid, ...]

    def places(self, points: Floats) -> Floats:
        """Where points (n, 3) of head coordinates lie in the portrait, (n, 2)."""
        return np.asarray(points @ self.turn.T + self.shift)


@dataclass(frozen=True, slots=True, eq=False)
class Lid:
    """One eye in the atlas: its corner (top, left), how far down each pixel lies between the lids (0 to 1, beyond 1
    outside), and what a closed lid looks like there."""

    top: int
    left: int
    down: Image
    skin: Image


def wear(portrait: Portrait, model: FaceModel, chance: np.random.Generator) -> Worn:
    """Fit a face of `model` to a portrait. GateVaultError where its points make no face."""
    rows = [[model.landmarks[number] for number in mark] for mark in portrait.marks]
    face = model.face(chance)
    turn, shift, scale = _pose(_means(face, rows), portrait.points)
    for _ in range(3):
        face = _shaped(face, model, rows, portrait.points, turn, shift)
        turn, shift, scale = _pose(_means(face, rows), portrait.points)
    if not np.isfinite(face).all() or not 0.1 < scale < 20.0:
        raise GateVaultError("A portrait's points are no frontal face: use another picture.")
    lids_at = [np.asarray(face[[model.landmarks[n] for n in eye]]) for eye in heads.LIDS]
    albedo = _albedo(portrait, turn, shift, face)
    atlas = _atlas(albedo, turn, shift, face, model, chance)
    lids = tuple(_lid(points @ turn.T + shift, atlas) for points in lids_at)
    return Worn(face, scale, turn, shift, atlas, lids)


def frontal(portrait: Portrait, model: FaceModel) -> float:
    """How far a portrait's face looks aside, radians: of yaw and pitch the larger."""
    rows = [[model.landmarks[number] for number in mark] for mark in portrait.marks]
    turn, _, scale = _pose(_means(model.mean, rows), portrait.points)
    forward = np.cross(turn[0], turn[1]) / scale**2
    return float(np.arcsin(np.clip(np.hypot(forward[0], forward[1]), 0.0, 1.0)))


def _means(points: Floats, rows: Sequence[Sequence[int]]) -> Floats:
    return np.stack([points[list(row)].mean(axis=0) for row in rows])


def _pose(points: Floats, seen: Floats) -> tuple[Floats, Floats, float]:
    """Scaled orthography that brings points (k, 3) onto places (k, 2): Gauss-Newton on six numbers.

    Yaw and pitch are held near zero: five points tell them poorly, and portraits are chosen to be frontal.
    """
    spread = float(
        np.sqrt(((seen - seen.mean(axis=0)) ** 2).sum() / ((points[:, :2] - points[:, :2].mean(0)) ** 2).sum())
    )
    values = np.array(
        (np.log(spread), 0.0, 0.0, 0.0, *(seen.mean(axis=0) - spread * points.mean(axis=0)[:2] * (1, -1)))
    )
    hold = np.array((0.0, 6.0, 10.0, 0.0, 0.0, 0.0)) * spread

    def error(v: Floats) -> Floats:
        turn = _projection(v)
        return np.concatenate(((points @ turn.T + v[4:6] - seen).reshape(-1), hold * v))

    for _ in range(_ROUNDS):
        now = error(values)
        slopes = np.stack([(error(values + step) - now) / 1e-5 for step in np.eye(6) * 1e-5], axis=1)
        values = values - np.linalg.lstsq(slopes, now, rcond=None)[0]
    return _projection(values), values[4:6], float(np.exp(values[0]))


def _projection(values: Floats) -> Floats:
    rotation = Pose(values[1], values[2], values[3], (0.0, 0.0, 0.0)).rotation()
    return np.asarray(np.exp(values[0]) * rotation[:2] * np.array(((1.0,), (-1.0,))))


def _shaped(
    face: Floats, model: FaceModel, rows: Sequence[Sequence[int]], seen: Floats, turn: Floats, shift: Floats
) -> Floats:
    """The nearest face whose points project nearer to where they were seen: ridge regression on the modes."""
    scale = float(np.linalg.norm(turn[0]))
    lacking = (seen - _means(face, rows) @ turn.T - shift) / scale
    effects = np.stack([(_means(mode, rows) @ turn.T / scale).reshape(-1) for mode in model.modes], axis=1)
    normal = effects.T @ effects + _STIFF * np.eye(len(model.modes))
    weights = np.linalg.solve(normal, effects.T @ lacking.reshape(-1))
    return np.asarray(face + np.tensordot(weights, model.modes, 1))


def _albedo(portrait: Portrait, turn: Floats, shift: Floats, face: Floats) -> Image:
    """Reflectance of the portrait, (h, w, 4): its cheeks and forehead brought into the range of skin."""
    linear = linear_from(portrait.pixels)
    x, y = np.clip(_cheeks() @ turn.T + shift, 0, np.array(linear.shape[1::-1]) - 1).astype(np.int64).T
    skin = np.median(linear[y, x], axis=0)
    green = float(np.clip(skin[1], *_SKIN))
    linear = np.clip(linear * np.float32(green / max(float(skin[1]), 1e-3)), 0.0, 0.95)
    grey = linear.mean(axis=2)
    smooth = cv2.GaussianBlur(grey, (0, 0), 0.04 * linear.shape[1])
    level = max(float(skin.mean() * green / max(float(skin[1]), 1e-3)), 1e-3)
    infrared = 0.5 * np.clip((linear[..., 0] / max(float(np.median(linear[y, x, 0])), 1e-3)), 0.0, 1.3) ** 0.45
    infrared *= np.clip(smooth / level, 0.3, 1.2) ** 0.15
    return np.dstack((linear, np.clip(infrared, 0.02, 0.9).astype(np.float32)))


def _cheeks() -> Floats:
    """Places on cheeks and forehead, head coordinates."""
    spots = [(x, y, -25.0) for x in (-38, -30, 30, 38) for y in (-8, 0, 8)] + [
        (x, 70.0, -20.0) for x in (-15, 0, 15)
    ]
    return np.array(spots, np.float64)


def _atlas(
    albedo: Image, turn: Floats, shift: Floats, face: Floats, model: FaceModel, chance: np.random.Generator
) -> Image:
    height, width = albedo.shape[:2]
    atlas = np.empty((height + STRIP, width, 4), np.float32)
    atlas[:height] = albedo
    x, y = np.clip(_cheeks() @ turn.T + shift, 0, (width - 1, height - 1)).astype(np.int64).T
    half = width // 2
    grain = cv2.GaussianBlur(chance.standard_normal((STRIP, width)).astype(np.float32), (0, 0), 2.0)
    skin = np.median(albedo[y, x], axis=0) * 0.85
    atlas[height:, :half] = skin * (1.0 + 0.25 * grain[:, :half, None])
    atlas[height:, half:] = cloth(chance, STRIP, width - half)
    atlas[:height] = _beyond_the_face(atlas[:height], face[model.outline], turn, shift, skin, grain)
    return np.clip(atlas, 0.0, 1.0)


def _beyond_the_face(
    picture: Image, edge: Floats, turn: Floats, shift: Floats, skin: Floats, grain: Image
) -> Image:
    """The portrait with hair for whatever lies about the head: its own background would cling to a turned skull."""
    height, width = picture.shape[:2]
    middle = edge.mean(axis=0) @ turn.T + shift
    rim = edge @ turn.T + shift - middle
    angles, reach = np.arctan2(rim[:, 1], rim[:, 0]), np.hypot(*rim.T)
    order = np.argsort(angles)
    y, x = np.mgrid[:height, :width]
    angle = np.arctan2(y - middle[1], x - middle[0])
    beyond = np.hypot(x - middle[0], y - middle[1]) / np.interp(
        angle, angles[order], reach[order], period=2.0 * np.pi
    )
    up = -np.sin(angle)
    crown = (beyond > 1.1) & (beyond < 1.3) & (up > 0.7)
    hair = np.median(picture[crown], axis=0) if crown.any() else 0.3 * skin
    share = np.clip((up + 0.35) / 0.5, 0.0, 1.0)[..., None]
    strands = cv2.resize(grain, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    other = (share * hair * (1.0 + 0.8 * strands) + (1.0 - share) * skin * (1.0 + 0.2 * strands)).astype(np.float32)
    # The fitted mask is wider than many a face: its sides end sooner, its forehead and chin where it ends.
    begins = 0.93 + 0.09 * np.clip((np.abs(up) - 0.3) / 0.3, 0.0, 1.0)
    mixed = np.clip((beyond - begins) / 0.1, 0.0, 1.0)[..., None].astype(np.float32)
    return np.asarray(picture * (1.0 - mixed) + other * mixed, np.float32)


def cloth(chance: np.random.Generator, height: int, width: int) -> Image:
    """Reflectance of cloth, (h, w, 4): one colour, or stripes, with folds."""
    colours = chance.uniform(0.02, 0.55, (2, 4)) ** 1.5
    colours[:, 3] = chance.uniform(0.1, 0.7, 2)  # dyes say little about the infrared
    wave = np.sin(np.arange(width) * chance.uniform(0.1, 0.6) + chance.uniform(0.0, 6.0)) > chance.uniform(
        -0.5, 1.2
    )
    picture = np.where(wave[None, :, None], colours[1], colours[0]) * np.ones((height, 1, 1))
    folds = cv2.GaussianBlur(chance.standard_normal((height, width)), (0, 0), 6.0)
    return np.asarray(np.clip(picture * (1.0 + 2.0 * folds[..., None]), 0.01, 0.8), np.float32)


def _lid(points: Floats, atlas: Image) -> Lid:
    """`points`: the six around an eye in the atlas, in the order of the 68-point scheme."""
    order = np.argsort(points[[0, 1, 2, 3], 0])
    upper = points[[0, 1, 2, 3]][order]
    lower = points[[0, 5, 4, 3]][np.argsort(points[[0, 5, 4, 3], 0])]
    wide = upper[-1, 0] - upper[0, 0]
    left, right = int(upper[0, 0]), int(np.ceil(upper[-1, 0])) + 1
    top = int(upper[:, 1].min() - 0.12 * wide)
    bottom = int(np.ceil(lower[:, 1].max() + 0.1 * wide)) + 1
    height, width = atlas.shape[0] - STRIP, atlas.shape[1]
    left, right, top, bottom = max(left, 1), min(right, width - 1), max(top, 1), min(bottom, height - 1)
    if right <= left or bottom <= top:
        raise GateVaultError("A portrait's eyes lie outside the picture: use another one.")
    x = np.arange(left, right)
    above = np.interp(x, upper[:, 0], upper[:, 1]) - 0.04 * wide
    below = np.interp(x, lower[:, 0], lower[:, 1]) + 0.04 * wide
    rows = np.arange(top, bottom)[:, None]
    down = (rows - above) / np.maximum(below - above, 1.0)
    down[(down < 0.0) | (down > 1.0)] = 9.0
    source = np.clip(above - 0.16 * wide, 0, height - 1).astype(np.int64)
    skin = cv2.GaussianBlur(np.repeat(atlas[source, x][None], len(rows), axis=0), (0, 0), 1.5)
    return Lid(top, left, down.astype(np.float32), np.asarray(skin, np.float32))


def blinked(atlas: Image, lids: Sequence[Lid], share: float) -> Image:
    """The atlas with the lids closed by `share`; itself where they are open."""
    if share <= 0.0:
        return atlas
    shut = atlas.copy()
    for lid in lids:
        part = shut[lid.top : lid.top + lid.down.shape[0], lid.left : lid.left + lid.down.shape[1]]
        covered = lid.down <= share
        part[covered] = lid.skin[covered]
        part[(lid.down > share - 0.12) & covered] *= 0.35  # lashes
    return shut
