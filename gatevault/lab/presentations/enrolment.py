"""A resident's head as an enrolment sees it: one still picture in good light."""

from __future__ import annotations

from typing import Final

import numpy as np

from gatevault.lab.presentations.canvas import Canvas, Sees
from gatevault.lab.presentations.gear import Camera
from gatevault.lab.presentations.light import draw_lights
from gatevault.lab.presentations.living import figure_of, mien, standing
from gatevault.lab.presentations.people import Identities, Identity
from gatevault.lab.presentations.raster import Lens
from gatevault.lab.presentations.scene import Person, Scene, draw_background
from gatevault.lab.presentations.sensor import draw_sensor
from gatevault.vision.frame import Pixels

_CAMERA: Final = Camera(readout=0.01, defocus=0.5, read_noise=0.002, shot_noise=0.01, quality=90)


def capture(identity: Identity, identities: Identities, seed: int, height: int = 360, width: int = 640) -> Pixels:
    """One capture, shape (height, width, 3), RGB: the same for the same seed."""
    chance = np.random.default_rng((seed, 5))
    lens = Lens(560.0 * width / 640, height, width)
    lights = draw_lights(chance, (0.3, 0.6), (0.3, 0.6))
    bearing = standing(chance, lens, float(chance.uniform(0.5, 0.65)), (), 0.5)
    person = Person(figure_of(identity, identities), bearing, mien(chance, 0.0))
    scene = Scene(lens, lights, draw_background(lens, lights, Sees(False, False), chance), (person,))
    canvas = Canvas(lens, scene.background.sees)
    scene.at(canvas, 0.0)
    sensor = draw_sensor(chance, scene.exposed(0.0)[0], _CAMERA)
    return np.ascontiguousarray(sensor.take(canvas.steady.reshape(height, width, 3), (0.0, 0.0), chance))
