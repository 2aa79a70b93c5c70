"""Light on a surface: what surrounds it, one window or lamp, and the gate's own emitters near the camera.

Everything is linear and relative: 1 is the light on a surface that faces the strongest of the surroundings.
Surfaces are Lambertian; a lamp near the camera falls off with the square of the distance. Camera coordinates:
metres, y down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gatevault.lab.presentations.raster import Floats

CHANNELS: Final = 6
"""Of `Lights.on`: red, green, blue of the surroundings, the white LED, near infrared around, the infrared LED."""

AT: Final = 0.6
"""Metres at which an emitter's strength is told."""


@dataclass(frozen=True, slots=True, eq=False)
class Lights:
    """The light of one presentation; it does not move."""

    ambient: Floats
    """Red, green, blue from all sides, mostly from above."""
    lamp: Floats
    """Red, green, blue of a window or lamp far away."""
    towards_lamp: Floats
    """Unit vector to it."""
    led: float
    """The white LED on a surface that faces it from 0.6 m."""
    led_at: Floats
    """Where it is, metres."""
    infrared: float
    """Near infrared around, and of the lamp, as shares of their green."""
    infrared_led: float
    """The infrared emitter, as `led`; it sits beside it."""

    def on(self, points: Floats, normals: Floats) -> npt.NDArray[np.float32]:
        """The light on surfaces at `points` (n, 3) with unit `normals` (n, 3): shape (n, 6), see CHANNELS."""
        light = np.empty((len(points), CHANNELS), np.float32)
        above = (0.7 - 0.3 * normals[:, 1])[:, None]
        facing = np.clip(normals @ self.towards_lamp, 0.0, None)[:, None]
        light[:, :3] = self.ambient * above + self.lamp * facing
        light[:, 4] = self.infrared * light[:, 1]
        towards = self.led_at - points
        squared = np.einsum("ij,ij->i", towards, towards)
        cosine = np.clip(np.einsum("ij,ij->i", normals, towards), 0.0, None) / np.sqrt(squared)
        near = cosine * (AT * AT) / np.maximum(squared, 1e-4)
        light[:, 3] = self.led * near
        light[:, 5] = self.infrared_led * near
        return light


def draw_lights(chance: np.random.Generator, led: tuple[float, float], infrared_led: tuple[float, float]) -> Lights:
    """Light at random; `led` and `infrared_led`: ranges of their strength beside surroundings of about 1."""
    warmth = chance.uniform(-0.18, 0.18)
    tint = np.array((1.0 + warmth, 1.0, 1.0 - warmth))
    other = np.array((1.0 - 0.7 * warmth, 1.0, 1.0 + 0.7 * warmth))
    share = chance.uniform(0.1, 0.7)
    azimuth, height = chance.uniform(-1.3, 1.3), chance.uniform(0.05, 1.1)
    towards = np.array((np.sin(azimuth) * np.cos(height), -np.sin(height), -np.cos(azimuth) * np.cos(height)))
    beside = chance.uniform(0.02, 0.08) * chance.choice((-1.0, 1.0))
    return Lights(
        ambient=(1.0 - share) * tint,
        lamp=share * other,
        towards_lamp=towards,
        led=float(np.exp(chance.uniform(*np.log(led)))),
        led_at=np.array((beside, chance.uniform(-0.05, 0.05), 0.0)),
        infrared=float(chance.uniform(0.1, 0.6)),
        infrared_led=float(np.exp(chance.uniform(*np.log(infrared_led)))),
    )
