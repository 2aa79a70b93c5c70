"""A camera: exposure, rolling shutter, blur, noise, eight bits, JPEG.

Times are seconds. A frame's rows are read one after the other; each gathers light for the exposure before its
reading, so an LED that changes meanwhile lights part of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gatevault.core.errors import GateVaultError
from gatevault.lab.presentations.canvas import Image
from gatevault.lab.presentations.gear import Camera

import cv2  # isort: skip  # after gatevault.vision, which sets OpenCV's limits

Edges = Sequence[tuple[float, bool]]
"""When a light changes, and whether it then is lit; before the first it was what that one ended."""


def lit_before(edges: Edges) -> bool:
    """Whether the light is lit until its first edge."""
    return bool(edges) and not edges[0][1]


_STEPS: Final = 4096
_POOL: Final = 1 << 21


def _curve() -> npt.NDArray[np.uint8]:
    """sRGB's transfer curve from 4,096 linear steps to eight bits."""
    linear = np.arange(_STEPS) / (_STEPS - 1.0)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.round(curved * 255.0), np.uint8)


_CURVE: Final = _curve()


def linear_from(pixels: npt.NDArray[np.uint8]) -> Image:
    """Linear light, 0 to 1, of sRGB pixels."""
    value = np.arange(256) / 255.0
    table = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return np.asarray(table.astype(np.float32)[pixels])


def pixels_from(linear: Image) -> npt.NDArray[np.uint8]:
    """sRGB pixels of linear light; beyond 0 to 1 is clipped."""
    steps = np.clip(linear, 0.0, 1.0) * np.float32(_STEPS - 1) + np.float32(0.5)
    return np.asarray(_CURVE[steps.astype(np.uint16)])


@dataclass(frozen=True, slots=True, eq=False)
class Sensor:
    """One camera of one presentation."""

    camera: Camera
    gain: float
    """Of linear light, so that a face lies where exposure control puts it."""
    balance: npt.NDArray[np.float32]
    """Red, green, blue: white balance is never quite right."""
    exposure: float
    """Seconds."""
    pool: npt.NDArray[np.float32] = field(repr=False)
    """Normal noise, from which each frame takes another piece."""

    def lit(self, edges: Edges, read_at: float, height: int) -> npt.NDArray[np.float32]:
        """The share of each row's exposure in which the light was lit, shape (height,); the last row is read at
        `read_at`."""
        ends = read_at - self.camera.readout + self.camera.readout * (np.arange(height) + 1.0) / height
        starts = ends - self.exposure
        total = np.zeros(height)
        changes = [(-np.inf, lit_before(edges)), *edges]
        for number, (at, is_lit) in enumerate(changes):
            if is_lit:
                until = changes[number + 1][0] if number + 1 < len(changes) else np.inf
                total += np.clip(np.minimum(ends, until) - np.maximum(starts, at), 0.0, None)
        return np.asarray(total / self.exposure, np.float32)

    def take(self, linear: Image, moved: tuple[float, float], chance: np.random.Generator) -> npt.NDArray[np.uint8]:
        """Eight-bit pixels of a linear picture (h, w, 3) or (h, w); `moved`: pixels of blur across and down."""
        light = linear * (self.gain * self.balance if linear.ndim == 3 else np.float32(self.gain))
        if self.camera.defocus > 0.25:
            light = cv2.GaussianBlur(light, (0, 0), self.camera.defocus)
        if max(abs(moved[0]), abs(moved[1])) > 0.6:
            light = cv2.filter2D(light, -1, _smear(*moved))
        start = int(chance.integers(0, self.pool.size - light.size))
        noise = self.pool[start : start + light.size].reshape(light.shape)
        spread = np.sqrt(np.clip(light, 0.0, 1.0)) * np.float32(self.camera.shot_noise)
        spread += np.float32(self.camera.read_noise)
        spread *= noise
        light += spread
        pixels = pixels_from(light)
        if not self.camera.quality:
            return pixels
        return _jpeg(pixels, self.camera.quality)


def _smear(across: float, down: float) -> npt.NDArray[np.float32]:
    """The kernel of a straight movement by so many pixels."""
    reach = int(np.ceil(max(abs(across), abs(down)) / 2.0))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for share in np.linspace(-0.5, 0.5, 8 * reach + 1):
        kernel[round(reach + share * down), round(reach + share * across)] += 1.0
    return np.asarray(kernel / kernel.sum(), np.float32)


def _jpeg(pixels: npt.NDArray[np.uint8], quality: int) -> npt.NDArray[np.uint8]:
    """Coded and decoded; the order of the channels is only swapped twice."""
    done, coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise GateVaultError("OpenCV could not code a frame as JPEG.")
    decoded: Any = cv2.imdecode(coded, cv2.IMREAD_COLOR if pixels.ndim == 3 else cv2.IMREAD_GRAYSCALE)
    return np.ascontiguousarray(decoded, np.uint8)


def draw_sensor(chance: np.random.Generator, exposed: float, camera: Camera) -> Sensor:
    """A camera of a make. `exposed`: the linear light that shall come out as a face's usual grey."""
    return Sensor(
        camera=camera,
        gain=float(chance.uniform(0.16, 0.32) / max(exposed, 1e-3)),
        balance=chance.uniform(0.93, 1.07, 3).astype(np.float32),
        exposure=float(chance.uniform(0.006, 0.03)),
        pool=_pool(int(chance.integers(0, 4))),
    )


_pools: dict[int, npt.NDArray[np.float32]] = {}


def _pool(number: int) -> npt.NDArray[np.float32]:
    if number not in _pools:
        _pools[number] = np.random.default_rng((17, number)).standard_normal(_POOL, np.float32)
    return _pools[number]
