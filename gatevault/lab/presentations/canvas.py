"""The picture that a presentation is drawn on, in linear light, the gate's emitters apart.

What the white LED adds lies in a buffer of its own, so that one drawing serves every row of a rolling shutter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gatevault.lab.presentations.light import Lights
from gatevault.lab.presentations.raster import Floats, Ints, Lens, rasterise, sample

Image = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """What covers a mesh. All are pictures of one size in linear light."""

    albedo: Image
    """Red, green, blue and near-infrared reflectance, shape (h, w, 4), 0 to 1."""
    emission: Image | None = None
    """Red, green, blue that it gives off, shape (h, w, 3)."""
    cover: Image | None = None
    """Where it is not cut away, shape (h, w): 0 to 1."""
    sheen: Image | None = None
    """Light that its gloss adds (h, w, 3): of the surroundings, of the LED, of the infrared LED."""
    pulse: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Depth, hertz and phase (in cycles, at the first row) with which the emission pulses."""


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """Points (n, 3) in camera coordinates, triangles (t, 3), places (n, 2) on the surface, unit normals (n, 3)."""

    points: Floats
    triangles: Ints
    places: Floats
    normals: Floats
    surface: Surface
    shade: Floats | None = None
    """How much of the surroundings reaches each vertex, (n,): creases are darker. None: all."""


@dataclass(frozen=True, slots=True)
class Sees:
    """Which lights matter: the white LED's, and the near infrared. What does not is not drawn."""

    led: bool
    infrared: bool


class Canvas:
    """Linear light at each pixel of a picture of `lens`, flat: (h·w, 3), and (h·w,) in the infrared."""

    def __init__(self, lens: Lens, sees: Sees, readout: float = 0.0) -> None:
        """`readout`: seconds from the reading of the first row to that of the last."""
        count = lens.height * lens.width
        self.lens, self.sees = lens, sees
        self._readout = readout
        self.steady: Image = np.zeros((count, 3), np.float32)
        self.led: Image = np.zeros((count * sees.led, 3), np.float32)
        self.infrared: Image = np.zeros(count * sees.infrared, np.float32)
        self.infrared_led: Image = np.zeros(count * sees.infrared, np.float32)

    def copy_from(self, other: Canvas) -> None:
        """Begin again from `other`, of the same size that sees as much: the background."""
        np.copyto(self.steady, other.steady)
        np.copyto(self.led, other.led)
        np.copyto(self.infrared, other.infrared)
        np.copyto(self.infrared_led, other.infrared_led)

    def draw(self, mesh: Mesh, lights: Lights, *, cull: bool = True) -> Ints:
        """Draw a mesh over what is there; the flat places that it covers."""
        light = lights.on(mesh.points, mesh.normals)
        if mesh.shade is not None:
            light *= mesh.shade[:, None]
        wanted = [0, 1, 2] + [3] * self.sees.led + [4, 5] * self.sees.infrared
        attributes = np.concatenate((mesh.places, light[:, wanted]), axis=1)
        fragments = rasterise(self.lens, mesh.points, mesh.triangles, attributes, cull=cull)
        places, values = fragments.places, fragments.attributes
        if not len(places):
            return places
        surface = mesh.surface
        at = (values[:, 0], values[:, 1])
        albedo = sample(surface.albedo, *at)
        sheen = sample(surface.sheen, *at) if surface.sheen is not None else None
        cover = None
        if surface.cover is not None:
            cover = sample(surface.cover, *at)
            kept = cover[:, 0] > _HARDLY
            places, values, albedo, cover = places[kept], values[kept], albedo[kept], cover[kept]
            sheen = sheen[kept] if sheen is not None else None
            at = (at[0][kept], at[1][kept])
        steady = albedo[:, :3] * values[:, 2:5]
        if surface.emission is not None:
            shining = sample(surface.emission, *at)
            if surface.pulse[0] > 0.0:
                shining *= self._pulsing(surface.pulse, places)
            steady += shining
        if sheen is not None:
            steady += sheen[:, 0:1]
        _lay(self.steady, places, steady, cover)
        if self.sees.led:
            led = albedo[:, :3] * values[:, 5:6]
            if sheen is not None:
                led += sheen[:, 1:2]
            _lay(self.led, places, led, cover)
        if self.sees.infrared:
            infrared, infrared_led = albedo[:, 3] * values[:, -2], albedo[:, 3] * values[:, -1]
            if sheen is not None:
                infrared += np.float32(lights.infrared) * sheen[:, 0]
                infrared_led += sheen[:, 2]
            flat = cover[:, 0] if cover is not None else None
            _lay(self.infrared, places, infrared, flat)
            _lay(self.infrared_led, places, infrared_led, flat)
        return places

    def _pulsing(self, pulse: tuple[float, float, float], places: Ints) -> Image:
        """How much of a pulsing light each place's row gathers, (m, 1)."""
        depth, hertz, phase = pulse
        rows = np.arange(self.lens.height) / self.lens.height * self._readout
        share = 1.0 + depth * np.sin(2.0 * np.pi * (hertz * rows + phase))
        return np.asarray(share.astype(np.float32)[places // self.lens.width][:, None])


_HARDLY: Final = 0.02
"""Cover below which nothing is drawn."""


def _lay(buffer: Image, places: Ints, light: Image, cover: Image | None) -> None:
    """Put light at places, over what is there where it covers in part."""
    buffer[places] = light if cover is None else cover * light + (1.0 - cover) * buffer[places]
