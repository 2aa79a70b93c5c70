"""A scene before the gate's cameras, filmed: background, what stands before it, light, and the cameras."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from gatevault.lab.presentations.canvas import Canvas, Image, Sees
from gatevault.lab.presentations.challenge import Challenge
from gatevault.lab.presentations.figure import Figure, Mien
from gatevault.lab.presentations.light import AT, Lights
from gatevault.lab.presentations.motion import Bearing
from gatevault.lab.presentations.raster import Ints, Lens
from gatevault.lab.presentations.sensor import Sensor
from gatevault.vision.recorded import Presentation

import cv2  # isort: skip  # after gatevault.vision, which sets OpenCV's limits

JITTER_S: Final = 0.002

_INFRARED_M: Final = 0.8
_PALE: Final = 0.5
"""Skin's reflectance in the near infrared."""


class Actor(Protocol):
    """Something in the scene that may move."""

    def draw(self, canvas: Canvas, lights: Lights, seconds: float) -> Ints:
        """Draw it as it is at this moment; the places by which a camera would set its exposure."""


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """A living person."""

    figure: Figure
    bearing: Bearing
    mien: Mien

    def draw(self, canvas: Canvas, lights: Lights, seconds: float) -> Ints:
        places = np.empty(0, np.int64)
        for mesh in self.figure.meshes(self.bearing, self.mien, seconds):
            places = canvas.draw(mesh, lights)
        return places


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What is filmed: actors, the farther first; the last one is what the exposure is set by."""

    lens: Lens
    lights: Lights
    background: Canvas
    actors: Sequence[Actor]

    def at(self, canvas: Canvas, seconds: float) -> Ints:
        """Draw the moment; the places of the last actor."""
        canvas.copy_from(self.background)
        places = np.empty(0, np.int64)
        for actor in self.actors:
            places = actor.draw(canvas, self.lights, seconds)
        return places

    def exposed(self, lit: float) -> tuple[float, float]:
        """The mean green and near-infrared light of the last actor at the beginning: what exposure is set by.

        `lit`: share of the time for which the lamp was lit while the camera settled. The infrared camera's exposure
        is for a face at 0.8 m, or less: it does not brighten what is dark.
        """
        canvas = Canvas(self.lens, self.background.sees)
        places = self.at(canvas, 0.0)
        if not len(places):
            return 0.2, 0.2
        colour = float(canvas.steady[places, 1].mean())
        if canvas.sees.led:
            colour += lit * float(canvas.led[places, 1].mean())
        if not canvas.sees.infrared:
            return colour, 0.0
        seen = float((canvas.infrared[places] + canvas.infrared_led[places]).mean())
        lamp = self.lights.infrared_led * (AT / _INFRARED_M) ** 2
        return colour, max(seen, _PALE * (self.lights.infrared + lamp))


@dataclass(frozen=True, slots=True)
class Shooting:
    """How a look is filmed. `late`: seconds by which a frame's time stamp follows its last row's reading."""

    rate: float
    late: float


def moments(chance: np.random.Generator, seconds: float, rate: float) -> npt.NDArray[np.float64]:
    """Times of frames in a look, rising, with the jitter of a USB camera."""
    begins = chance.uniform(0.3, 1.0) / rate
    times = np.arange(begins, seconds, 1.0 / rate)
    times = times + np.clip(chance.normal(0.0, JITTER_S, len(times)), -0.3 / rate, 0.3 / rate)
    return np.asarray(np.sort(times), np.float64)


def film(
    scene: Scene,
    challenge: Challenge,
    sensor: Sensor,
    infrared: Sensor | None,
    shooting: Shooting,
    chance: np.random.Generator,
) -> Presentation:
    """The whole look, without its species' name."""
    times = moments(chance, challenge.seconds, shooting.rate)
    size = (len(times), scene.lens.height, scene.lens.width)
    frames = np.empty((*size, 3), np.uint8)
    ir = np.empty(size, np.uint8) if infrared is not None else None
    for number, (colour, dark) in enumerate(
        shots(scene, challenge, sensor, infrared, times - shooting.late, chance)
    ):
        frames[number] = colour
        if ir is not None and dark is not None:
            ir[number] = dark
    return Presentation(frames, times, ir, challenge.prompts, challenge.led, challenge.ir_led)


def shots(
    scene: Scene,
    challenge: Challenge,
    sensor: Sensor,
    infrared: Sensor | None,
    reads: npt.NDArray[np.float64],
    chance: np.random.Generator,
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None]]:
    """Each frame as it is read (its last row at `reads`), and the infrared camera's."""
    height, width = scene.lens.height, scene.lens.width
    canvas = Canvas(scene.lens, scene.background.sees, sensor.camera.readout)
    before: tuple[float, float, float] | None = None
    for read_at in reads.tolist():
        seconds = read_at - (sensor.exposure + sensor.camera.readout) / 2.0
        places = scene.at(canvas, seconds)
        moved, before = _moved(places, before, seconds, width, sensor.exposure)
        light = canvas.steady.reshape(height, width, 3)
        if challenge.led:
            lit = sensor.lit(challenge.led, read_at, height)
            light += lit[:, None, None] * canvas.led.reshape(height, width, 3)
        colour = sensor.take(light, moved, chance)
        dark = None
        if infrared is not None:
            grey = canvas.infrared.reshape(height, width)
            lit = infrared.lit(challenge.ir_led, read_at, height)
            grey += lit[:, None] * canvas.infrared_led.reshape(height, width)
            dark = infrared.take(grey, moved, chance)
        yield colour, dark


def _moved(
    places: Ints, before: tuple[float, float, float] | None, seconds: float, width: int, exposure: float
) -> tuple[tuple[float, float], tuple[float, float, float] | None]:
    """Pixels that the last actor's middle moves across and down during an exposure."""
    if not len(places):
        return (0.0, 0.0), before
    down, across = divmod(places, width)
    now = (float(across.mean()), float(down.mean()), seconds)
    if before is None or now[2] <= before[2]:
        return (0.0, 0.0), now
    share = exposure / (now[2] - before[2])
    return ((now[0] - before[0]) * share, (now[1] - before[1]) * share), now


def draw_background(lens: Lens, lights: Lights, sees: Sees, chance: np.random.Generator) -> Canvas:
    """What lies behind: a wall with things on it, drawn once; some are plain, most have corners to follow."""
    canvas = Canvas(lens, sees)
    distance = float(chance.uniform(1.4, 4.5))
    picture = scenery(lens.height, lens.width, chance)
    flat = picture.reshape(-1, 4)
    bright = float(np.exp(chance.uniform(-0.7, 0.5)))
    light = lights.ambient + 0.6 * lights.lamp
    canvas.steady[:] = bright * flat[:, :3] * light.astype(np.float32)
    if sees.led:
        canvas.led[:] = lights.led * (AT / distance) ** 2 * flat[:, :3]
    if sees.infrared:
        canvas.infrared[:] = bright * lights.infrared * float(light[1]) * flat[:, 3]
        canvas.infrared_led[:] = lights.infrared_led * (AT / distance) ** 2 * flat[:, 3]
    return canvas


def scenery(height: int, width: int, chance: np.random.Generator) -> Image:
    """Reflectance of a made-up place, (h, w, 4): planes of colour, edges, tiles, foliage; out of focus a little."""
    picture = np.empty((height, width, 4), np.float32)
    picture[:] = _paint(chance)
    across = np.linspace(-1.0, 1.0, width)[None, :, None]
    picture *= (1.0 + chance.uniform(-0.3, 0.3) * across).astype(np.float32)
    if chance.random() < 0.5:  # tiles, bricks or panels
        wide, tall = chance.integers(18, 90, 2)
        seam = float(chance.uniform(0.5, 0.9))
        picture[:: int(tall)] *= seam
        picture[:, :: int(wide)] *= seam
    for _ in range(int(chance.integers(2, 26))):
        left, top = int(chance.integers(0, width)), int(chance.integers(0, height))
        wide, tall = (int(chance.integers(6, max(7, side // 3))) for side in (width, height))
        colour = _paint(chance)
        if chance.random() < 0.3:
            cv2.ellipse(picture, (left, top), (wide // 2, tall // 2), 0, 0, 360, colour.tolist(), -1)
        else:
            picture[top : top + tall, left : left + wide] = colour
    leaves = chance.standard_normal((height // 4, width // 4)).astype(np.float32)
    leaves = cv2.resize(leaves, (width, height), interpolation=cv2.INTER_CUBIC)
    picture *= (1.0 + chance.uniform(0.01, 0.3) * leaves)[..., None]
    return np.asarray(np.clip(cv2.GaussianBlur(picture, (0, 0), chance.uniform(0.5, 2.0)), 0.01, 0.95), np.float32)


def _paint(chance: np.random.Generator) -> npt.NDArray[np.float32]:
    """Reflectance (4,) as walls and things have: mostly grey and brown, now and then a colour."""
    grey = float(np.exp(chance.uniform(np.log(0.05), np.log(0.75))))
    vivid = 0.6 if chance.random() < 0.15 else 0.15
    colour = np.append(grey * (1.0 + vivid * chance.uniform(-1.0, 1.0, 3)), chance.uniform(0.1, 0.8))
    return np.asarray(np.clip(colour, 0.02, 0.9), np.float32)
