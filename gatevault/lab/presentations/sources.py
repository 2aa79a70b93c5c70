"""What attackers have of a resident: a photograph, or a film. Both may be rendered: no renderer's look tells.

A picture is linear light, and knows where in it the face is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gatevault.lab.presentations import heads
from gatevault.lab.presentations.canvas import Canvas, Image
from gatevault.lab.presentations.figure import PIVOT, Figure
from gatevault.lab.presentations.heads import FaceModel
from gatevault.lab.presentations.raster import Floats, Lens
from gatevault.lab.presentations.scene import Person, Scene
from gatevault.lab.presentations.sensor import Sensor, linear_from
from gatevault.lab.presentations.skin import Portrait, Worn
from gatevault.vision.recorded import Edges

import cv2  # isort: skip  # after gatevault.vision, which sets OpenCV's limits

_FOREHEAD: Final = 16.0
"""Millimetres by which a face that is cut out reaches beyond the mask's edge."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture of a face: linear light (h, w, 3), 0 to 1."""

    linear: Image
    middle: Floats
    """The face's middle (x, y), pixels."""
    scale: float
    """Pixels to a millimetre of the face."""
    outline: Floats
    """The face's edge, (k, 2), pixels."""
    eyes: tuple[Floats, Floats]
    """The lids of either eye, (6, 2), pixels."""


def photograph(portrait: Portrait, worn: Worn, model: FaceModel) -> Picture:
    """A portrait as it is; `worn` was fitted to it."""
    return _picture(linear_from(portrait.pixels), worn.places(worn.face), worn.scale, model)


def still(person: Person, scene: Scene, sensor: Sensor, model: FaceModel, chance: np.random.Generator) -> Picture:
    """A photograph taken of a rendered `person`, who is the last actor of `scene`."""
    lens = scene.lens
    canvas = Canvas(lens, scene.background.sees)
    scene.at(canvas, 0.0)
    taken = sensor.take(canvas.steady.reshape(lens.height, lens.width, 3), (0.0, 0.0), chance)
    pose = person.bearing.at(0.0)
    face = person.figure.shape(person.mien, 0.0)[: len(model.mean)]
    places = lens.project(pose.placed(face, PIVOT))
    distance = pose.place[2] + 1e-3 * float(PIVOT[2])
    return _picture(linear_from(taken), places, 1e-3 * lens.focal / distance, model)


def _picture(linear: Image, places: Floats, scale: float, model: FaceModel) -> Picture:
    landmarks = model.landmarks
    corners = places[[landmarks[n] for n in (*heads.EYE_CORNERS, *heads.MOUTH)]]
    first, second = (places[[landmarks[n] for n in eye]] for eye in heads.LIDS)
    middle = np.array((corners[:, 0].mean(), (corners[:4, 1].mean() + corners[4:, 1].mean()) / 2.0))
    return Picture(linear, middle, scale, places[model.outline], (first, second))


def face_cover(picture: Picture) -> Image:
    """Where a face cut out along its edge is, (h, w): 1 inside, hair of the forehead with it."""
    height, width = picture.linear.shape[:2]
    away = picture.outline - picture.middle
    reach = np.linalg.norm(away, axis=1, keepdims=True)
    wider = picture.middle + away * (1.0 + _FOREHEAD * picture.scale / np.maximum(reach, 1.0))
    cover = np.zeros((height, width), np.float32)
    cv2.fillPoly(cover, [np.round(wider).astype(np.int32)], 1.0)
    return np.asarray(cv2.GaussianBlur(cover, (0, 0), 0.7), np.float32)


def holes(cover: Image, eyes: Sequence[Floats], larger: float) -> Image:
    """The cover with a hole at each eye, its lids' span enlarged so much."""
    cut = cover.copy()
    for lids in eyes:
        middle, span = lids.mean(axis=0), np.ptp(lids, axis=0)
        axes = (max(1, round(0.5 * larger * span[0])), max(1, round(0.62 * larger * span[0] * 0.55)))
        cv2.ellipse(cut, (round(float(middle[0])), round(float(middle[1]))), axes, 0, 0, 360, 0.0, -1)
    return np.asarray(cv2.GaussianBlur(cut, (0, 0), 0.5), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """A film of a rendered scene under a light that an attacker drives; drawn when a frame is asked for."""

    scene: Scene
    sensor: Sensor
    led: Edges
    late: float
    """Seconds after which a moment is seen: 0 of a recording, the delay of a live link."""
    chance: np.random.Generator

    def __call__(self, seconds: float) -> Image:
        """The picture shown at a moment: linear light (h, w, 3)."""
        lens = self.scene.lens
        canvas = Canvas(lens, self.scene.background.sees, self.sensor.camera.readout)
        moment = seconds - self.late
        self.scene.at(canvas, moment)
        light = canvas.steady.reshape(lens.height, lens.width, 3)
        if self.led:
            lit = self.sensor.lit(self.led, moment, lens.height)
            light += lit[:, None, None] * canvas.led.reshape(lens.height, lens.width, 3)
        return linear_from(self.sensor.take(light, (0.0, 0.0), self.chance))


def film_lens(wide: float, tall: float, pixels: int, face: float) -> Lens:
    """The lens of a film that fills a screen of `wide` by `tall` millimetres, its width `pixels`.

    A face at 0.6 m is shown `face` millimetres wide.
    """
    scale = pixels / wide
    return Lens(focal=face * scale * 0.6 / 0.15, height=round(tall * scale), width=pixels)


def middle_of(figure: Figure) -> Floats:
    """The middle of a figure's face, head coordinates (3,)."""
    corners = np.stack([figure.landmark(n) for n in (*heads.EYE_CORNERS, *heads.MOUTH)])
    return np.array((0.0, (corners[:4, 1].mean() + corners[4:, 1].mean()) / 2.0, 0.0))
