"""What carries a false face: a sheet of paper, flat, bent or cut, or a screen, and the fingers that hold it.

A carrier's own coordinates are a head's (`heads`): millimetres, x to the image's right, y up, z towards the camera,
with the middle of the pictured face as the origin.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from gatevault.lab.presentations.canvas import Canvas, Image, Mesh, Surface
from gatevault.lab.presentations.gear import Printer, Screen
from gatevault.lab.presentations.heads import grid
from gatevault.lab.presentations.light import Lights
from gatevault.lab.presentations.motion import Pose, Wander
from gatevault.lab.presentations.raster import Floats, Ints

import cv2  # isort: skip  # after gatevault.vision, which sets OpenCV's limits

_ROWS: Final = 15
_COLUMNS: Final = 25

_ORIGIN: Final = np.zeros(3)

_REFLECTED_M: Final = 350.0
"""Millimetres of the reflected surroundings that pass over a screen turned by a radian."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A rectangle around the face's middle, millimetres."""

    left: float
    right: float
    bottom: float
    top: float


@dataclass(frozen=True, slots=True, eq=False)
class Bend:
    """Curvature about the vertical axis, 1/mm, positive towards the camera: at rest, wandering, and by a turn."""

    rest: float
    change: Wander
    by_turn: float = 0.0
    """Share by which it grows at a turn of one radian."""

    def at(self, seconds: float, yaw: float) -> float:
        return (self.rest + self.change.at(seconds)) * (1.0 + self.by_turn * abs(yaw))


class Moving(Protocol):
    """Where a carrier is: a `Bearing`, or what is worn on a head."""

    @property
    def rest(self) -> Pose: ...

    def at(self, seconds: float) -> Pose: ...


Look = Callable[[float, Pose], Surface]
"""What a carrier shows at a moment, in a pose."""


@dataclass(frozen=True, slots=True, eq=False)
class Carrier:
    """A sheet or screen that is moved. `size`: height and width of its surface's pictures."""

    sheet: Sheet
    size: tuple[int, int]
    look: Look
    bearing: Moving
    bend: Bend | None = None
    fingers: Sequence[Finger] = ()

    def draw(self, canvas: Canvas, lights: Lights, seconds: float) -> Ints:
        pose = self.bearing.at(seconds)
        curvature = self.bend.at(seconds, pose.yaw - self.bearing.rest.yaw) if self.bend else 0.0
        points, outward, places = self._shape(curvature)
        mesh = Mesh(pose.placed(points, _ORIGIN), _GRID, places, pose.turned(outward), self.look(seconds, pose))
        covered = canvas.draw(mesh, lights, cull=False)
        for finger in self.fingers:
            finger.draw(canvas, lights, pose, curvature)
        return covered

    def _shape(self, curvature: float) -> tuple[Floats, Floats, Floats]:
        """Points and normals (n, 3) in the carrier's coordinates, and places (n, 2) in its pictures."""
        sheet = self.sheet
        along = np.linspace(sheet.left, sheet.right, _COLUMNS)
        up = np.linspace(sheet.bottom, sheet.top, _ROWS)
        x, z, angle = bent(along, curvature)
        level, across = np.repeat(up, _COLUMNS), np.tile(x, _ROWS)
        points = np.column_stack((across, level, np.tile(z, _ROWS)))
        outward = np.column_stack(
            (np.tile(np.sin(angle), _ROWS), np.zeros(len(level)), np.tile(np.cos(angle), _ROWS))
        )
        height, width = self.size
        places = np.column_stack(
            (
                np.tile((along - sheet.left) / (sheet.right - sheet.left) * (width - 1), _ROWS),
                (sheet.top - level) / (sheet.top - sheet.bottom) * (height - 1),
            )
        )
        return points, outward, places


_GRID: Final = grid(_ROWS, _COLUMNS)


def bent(along: Floats, curvature: float) -> tuple[Floats, Floats, Floats]:
    """x, z and the normal's angle of places along a sheet that is bent about the vertical axis."""
    angle = along * curvature
    if abs(curvature) < 1e-7:
        return along, np.zeros_like(along), angle
    return np.sin(angle) / curvature, (np.cos(angle) - 1.0) / curvature, angle


@dataclass(frozen=True, slots=True, eq=False)
class Finger:
    """A fingertip on the edge: its middle (x, y) and size on the sheet, millimetres, and what it looks like."""

    x: float
    y: float
    wide: float
    tall: float
    surface: Surface

    def draw(self, canvas: Canvas, lights: Lights, pose: Pose, curvature: float) -> None:
        across = self.x + self.wide * np.linspace(-0.5, 0.5, 7)
        x, z, _ = bent(across, curvature)
        round_to = 7.0 * np.sqrt(np.clip(1.0 - np.linspace(-0.98, 0.98, 7) ** 2, 0.0, 1.0))
        up = self.y + self.tall * np.linspace(-0.5, 0.5, 4)
        points = np.column_stack((np.tile(x, 4), np.repeat(up, 7), np.tile(z + 2.0 + round_to, 4)))
        side = np.linspace(-0.9, 0.9, 7)
        outward = np.column_stack((np.tile(side, 4), np.zeros(28), np.tile(np.sqrt(1.0 - side**2), 4)))
        height, width = self.surface.albedo.shape[:2]
        places = np.column_stack(
            (np.tile(np.linspace(0.0, width - 1.0, 7), 4), np.repeat(np.linspace(height - 1.0, 0.0, 4), 7))
        )
        mesh = Mesh(pose.placed(points, _ORIGIN), grid(4, 7), places, pose.turned(outward), self.surface)
        canvas.draw(mesh, lights, cull=False)


def held(sheet: Sheet, chance: np.random.Generator) -> tuple[Finger, ...]:
    """Fingers on one or both sides, below the middle, or none: the sheet stands on something."""
    skin = chance.uniform(0.18, 0.5)
    tint = np.array((1.35, 1.0, 0.8, 1.0)) * skin
    tint[3] = chance.uniform(0.4, 0.6)
    side = 24
    y, x = np.mgrid[-1.0 : 1.0 : side * 1j, -1.0 : 1.0 : side * 1j]
    cover = np.clip(6.0 * (1.0 - (x**4 + y**4)), 0.0, 1.0).astype(np.float32)
    albedo = np.broadcast_to(np.clip(tint, 0.0, 0.9).astype(np.float32), (side, side, 4)).copy()
    surface = Surface(albedo, cover=cover)
    fingers: list[Finger] = []
    wide = min(44.0, 0.3 * (sheet.right - sheet.left))
    for edge in (sheet.left, sheet.right):
        if chance.random() < 0.25:
            continue
        base = sheet.bottom + (sheet.top - sheet.bottom) * chance.uniform(0.03, 0.35)
        inward = 1.0 if edge < 0 else -1.0
        fingers += [
            Finger(edge + inward * chance.uniform(-0.25, 0.2) * wide, base + 19.0 * n, wide, 17.0, surface)
            for n in range(int(chance.integers(1, 4)))
        ]
    return tuple(fingers)


# --- paper ---------------------------------------------------------------------------------------------


def printed(picture: Image, printer: Printer, mm_per_pixel: float, chance: np.random.Generator) -> Image:
    """What a printer makes of a picture in linear light (h, w, 3), 0 to 1: reflectance (h, w, 4)."""
    grey = picture.mean(axis=2, keepdims=True)
    ink = np.clip(grey + printer.saturation * (picture - grey), 0.0, 1.0) ** np.float32(printer.gamma)
    if printer.blur / mm_per_pixel > 0.25:
        ink = cv2.GaussianBlur(ink, (0, 0), printer.blur / mm_per_pixel)
    ink = ink * (1.0 + printer.grain * chance.standard_normal((*ink.shape[:2], 1)).astype(np.float32))
    colour = np.clip(printer.black + (printer.white - printer.black) * ink, printer.black, printer.white)
    # The near infrared sees the black ink, of which only dark places have any.
    black = np.clip(1.0 - ink.mean(axis=2) * 1.6, 0.0, 1.0)
    infrared = printer.infrared_paper * (1.0 - 0.95 * printer.infrared_ink * black)
    return np.dstack((colour, infrared)).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Paper:
    """A print as a carrier's look, with a lamp's reflection where it is glossy."""

    surface: Surface
    sheet: Sheet
    lights: Lights
    printer: Printer

    def __call__(self, seconds: float, pose: Pose) -> Surface:
        if self.printer.gloss <= 0.0:
            return self.surface
        size = self.surface.albedo.shape[:2]
        spot = lamp_spot(self.lights, pose, self.sheet, (size[0], size[1]), self.printer.spread)
        strength = 0.04 * self.printer.gloss * (60.0 / self.printer.spread) ** 2
        sheen = np.dstack(
            (np.zeros_like(spot), strength * self.lights.led * spot, strength * self.lights.infrared_led * spot)
        )
        return dataclasses.replace(self.surface, sheen=sheen.astype(np.float32))


def lamp_spot(lights: Lights, pose: Pose, sheet: Sheet, size: tuple[int, int], spread: float) -> Image:
    """Where the gate's lamp is mirrored in a flat carrier: a picture (h, w) with a peak of 1, `spread` mm wide."""
    height, width = size
    middle = np.array(pose.place)
    axes = pose.turned(np.eye(3))
    outward = axes[2]
    lamp = lights.led_at - 2.0 * ((lights.led_at - middle) @ outward) * outward
    slope = lamp @ outward
    if abs(slope) < 1e-9:
        return np.zeros(size, np.float32)
    seen = lamp * (middle @ outward / slope)
    x, y = 1e3 * axes[:2] @ (seen - middle)
    across = sheet.left + (sheet.right - sheet.left) * np.arange(width) / (width - 1)
    up = sheet.top - (sheet.top - sheet.bottom) * np.arange(height) / (height - 1)
    profile = np.exp(-((across - x) ** 2) / (2.0 * spread**2))
    spot = np.exp(-((up - y) ** 2) / (2.0 * spread**2))[:, None] * profile[None]
    return np.asarray(spot, np.float32)


# --- screens -------------------------------------------------------------------------------------------

Show = Callable[[float], Image]
"""The picture that is shown at a moment: linear light (h, w, 3), 0 to 1."""


class Display:
    """A screen as a carrier's look: it shines, its glass mirrors the room and the gate's lamp, its light pulses."""

    def __init__(
        self,
        screen: Screen,
        show: Show,
        size: tuple[int, int],
        lights: Lights,
        room: Image,
        chance: np.random.Generator,
    ) -> None:
        """`size`: height and width in pixels of what is shown; `room`: what it mirrors, (h, w, 3)."""
        self._screen, self._show, self._lights = screen, show, lights
        scale = size[1] / screen.wide
        self._edge = max(1, round(screen.bezel * scale))
        self.size = (size[0] + 2 * self._edge, size[1] + 2 * self._edge)
        self.sheet = Sheet(
            -screen.wide / 2 - screen.bezel,
            screen.wide / 2 + screen.bezel,
            -screen.tall / 2 - screen.bezel,
            screen.tall / 2 + screen.bezel,
        )
        self._albedo = np.full((*self.size, 4), screen.glass, np.float32)
        self._albedo[..., 3] = screen.glass * 1.3
        self._room = cv2.resize(room, (self.size[1] * 2, self.size[0] * 2), interpolation=cv2.INTER_LINEAR)
        angle, phase = chance.uniform(0.0, np.pi), chance.uniform(0.0, 6.0)
        y, x = np.mgrid[: size[0], : size[1]]
        wave = 2.0 * np.pi / screen.grid_pitch * (np.cos(angle) * x + np.sin(angle) * y) + phase
        self._grid = (1.0 + screen.grid * np.sin(wave)).astype(np.float32)[..., None]
        self._phase = float(chance.uniform(0.0, 1.0))

    def __call__(self, seconds: float, pose: Pose) -> Surface:
        screen, edge = self._screen, self._edge
        number = np.floor(seconds * screen.frames) / screen.frames
        shown = self._show(float(number))
        emission = np.zeros((*self.size, 3), np.float32)
        inside = emission[edge:-edge, edge:-edge]
        inside[:] = np.float32(screen.brightness) * (screen.black + (1.0 - screen.black) * shown * self._grid)
        height, width = self.size
        moved = np.array(
            ((1.0, 0.0, -width / 2 + _REFLECTED_M * pose.yaw), (0.0, 1.0, -height / 2 + _REFLECTED_M * pose.pitch)),
            np.float32,
        )
        room = cv2.warpAffine(self._room, moved, (width, height), borderMode=cv2.BORDER_REFLECT)
        emission += np.float32(screen.mirror) * room
        spot = lamp_spot(self._lights, pose, self.sheet, self.size, 3.0)
        sheen = np.zeros((*self.size, 3), np.float32)
        sheen[..., 1] = 12.0 * screen.mirror * self._lights.led * spot
        sheen[..., 2] = 12.0 * screen.mirror * self._lights.infrared_led * spot
        return Surface(self._albedo, emission=emission, sheen=sheen, pulse=self._pulse(seconds))

    def _pulse(self, seconds: float) -> tuple[float, float, float]:
        """Depth, cycles and phase of the bands that a rolling shutter makes of the pulsing light."""
        return self._screen.pulse, self._screen.refresh, self._screen.refresh * seconds + self._phase
