"""The picture that a presentation is drawn on, in linear light, the gate's emitters apart.

What the white LED adds lies in a buffer of its own, so that one drawing serves every row of a rolling shutter.
"""

from __future__ import annotations

from dataclasses import dataclass

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


class Canvas:
    """Linear light at each pixel of a picture of `lens`, flat: (h·w, 3), and (h·w,) in the infrared."""

    def __init__(self, lens: Lens) -> None:
        count = lens.height * lens.width
        self.lens = lens
        self.steady: Image = np.zeros((count, 3), np.float32)
        self.led: Image = np.zeros((count, 3), np.float32)
        self.infrared: Image = np.zeros(count, np.float32)
        self.infrared_led: Image = np.zeros(count, np.float32)

    def copy_from(self, other: Canvas) -> None:
        """Begin again from `other`, of the same size: the background."""
        np.copyto(self.steady, other.steady)
        np.copyto(self.led, other.led)
        np.copyto(self.infrared, other.infrared)
        np.copyto(self.infrared_led, other.infrared_led)

    def draw(self, mesh: Mesh, lights: Lights, *, cull: bool = True) -> Ints:
        """Draw a mesh over what is there; the flat places that it covers."""
        light = lights.on(mesh.points, mesh.normals)
        if mesh.shade is not None:
            light *= mesh.shade[:, None]
        fragments = rasterise(
            self.lens, mesh.points, mesh.triangles, np.concatenate((mesh.places, light), axis=1), cull=cull
        )
        places, values = fragments.places, fragments.attributes
        if not len(places):
            return places
        across, down, lit = values[:, 0], values[:, 1], values[:, 2:]
        albedo = sample(mesh.surface.albedo, across, down)
        steady, led = albedo[:, :3] * lit[:, :3], albedo[:, :3] * lit[:, 3:4]
        infrared, infrared_led = albedo[:, 3] * lit[:, 4], albedo[:, 3] * lit[:, 5]
        if mesh.surface.emission is not None:
            steady += sample(mesh.surface.emission, across, down)
        if mesh.surface.sheen is not None:
            sheen = sample(mesh.surface.sheen, across, down)
            steady += sheen[:, 0:1]
            led += sheen[:, 1:2]
            infrared += lights.infrared * sheen[:, 0]
            infrared_led += sheen[:, 2]
        if mesh.surface.cover is not None:
            cover = sample(mesh.surface.cover, across, down)
            kept = cover[:, 0] > 0.02
            places, cover = places[kept], cover[kept]
            steady = cover * steady[kept] + (1.0 - cover) * self.steady[places]
            led = cover * led[kept] + (1.0 - cover) * self.led[places]
            cover = cover[:, 0]
            infrared = cover * infrared[kept] + (1.0 - cover) * self.infrared[places]
            infrared_led = cover * infrared_led[kept] + (1.0 - cover) * self.infrared_led[places]
        self.steady[places], self.led[places] = steady, led
        self.infrared[places], self.infrared_led[places] = infrared, infrared_led
        return places
