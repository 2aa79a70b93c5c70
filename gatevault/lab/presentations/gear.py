"""What attackers print with and show on, and what the gate films with: other things for tuning than for figures.

A split has `MAKES` of each, drawn from a seed of its own: no printer, screen or camera is in both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeVar

import numpy as np

MAKES: Final = 10

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Camera:
    """A make of camera."""

    readout: float
    """Seconds from the first row's reading to the last one's."""
    defocus: float
    """Standard deviation of its blur, pixels of a picture of 640."""
    read_noise: float
    shot_noise: float
    """Standard deviation at full light."""
    quality: int
    """JPEG, of 100; 0: none."""


@dataclass(frozen=True, slots=True)
class Printer:
    """A printer with its paper."""

    black: float
    white: float
    """Reflectance of its darkest ink and of bare paper."""
    gamma: float
    saturation: float
    infrared_ink: float
    """Share of an ink's darkness left in the near infrared: dyes 0 to 0.2, carbon black up to 1."""
    infrared_paper: float
    blur: float
    """Standard deviation, millimetres on paper."""
    grain: float
    gloss: float
    """Strength of a lamp's reflection on it; 0: matte."""
    spread: float
    """Standard deviation of that reflection, millimetres."""


@dataclass(frozen=True, slots=True)
class Screen:
    """A phone or a tablet."""

    wide: float
    tall: float
    bezel: float
    """Millimetres."""
    brightness: float
    """Of its white, beside the surroundings' light on white paper."""
    black: float
    """What its black gives off, of its white."""
    glass: float
    """Diffuse reflectance."""
    mirror: float
    """Specular reflectance."""
    grid: float
    grid_pitch: float
    """Depth of the moiré between its pixels and the camera's, and the period, in pixels of the picture shown."""
    refresh: float
    """Hertz at which its light pulses."""
    pulse: float
    """Depth of that."""
    frames: float
    """Frames a second of what it plays."""


def cameras(split: str) -> tuple[Camera, ...]:
    return _makes("camera", split, _camera)


def printers(split: str) -> tuple[Printer, ...]:
    return _makes("printer", split, _printer)


def phones(split: str) -> tuple[Screen, ...]:
    return _makes("phone", split, _phone)


def tablets(split: str) -> tuple[Screen, ...]:
    return _makes("tablet", split, _tablet)


def _camera(chance: np.random.Generator) -> Camera:
    return Camera(
        readout=float(chance.uniform(0.008, 0.025)),
        defocus=float(chance.uniform(0.3, 0.9)),
        read_noise=float(chance.uniform(0.001, 0.005)),
        shot_noise=float(chance.uniform(0.008, 0.03)),
        quality=int(chance.integers(75, 96)) if chance.random() < 0.85 else 0,
    )


def _printer(chance: np.random.Generator) -> Printer:
    dye = chance.random() < 0.5
    glossy = chance.random() < 0.5
    return Printer(
        black=float(chance.uniform(0.02, 0.07)),
        white=float(chance.uniform(0.75, 0.92)),
        gamma=float(chance.uniform(0.85, 1.25)),
        saturation=float(chance.uniform(0.75, 1.15)) if chance.random() < 0.8 else 0.0,
        infrared_ink=float(chance.uniform(0.0, 0.25) if dye else chance.uniform(0.5, 1.0)),
        infrared_paper=float(chance.uniform(0.7, 0.9)),
        blur=float(chance.uniform(0.1, 0.6)),
        grain=float(chance.uniform(0.0, 0.06)),
        gloss=float(chance.uniform(0.1, 1.0)) if glossy else 0.0,
        spread=float(chance.uniform(4.0, 30.0)),
    )


def _phone(chance: np.random.Generator) -> Screen:
    return _screen(chance, float(chance.uniform(62.0, 76.0)), float(chance.uniform(130.0, 165.0)), 4.0)


def _tablet(chance: np.random.Generator) -> Screen:
    wide = float(chance.uniform(120.0, 200.0))
    return _screen(chance, wide, wide * float(chance.uniform(1.25, 1.6)), 12.0)


def _screen(chance: np.random.Generator, wide: float, tall: float, bezel: float) -> Screen:
    return Screen(
        wide=wide,
        tall=tall,
        bezel=float(bezel * chance.uniform(0.5, 1.5)),
        brightness=float(np.exp(chance.uniform(np.log(0.4), np.log(3.0)))),
        black=float(chance.choice((0.0, 0.001, 0.003))),
        glass=float(chance.uniform(0.01, 0.04)),
        mirror=float(chance.uniform(0.02, 0.06)),
        grid=float(chance.uniform(0.0, 0.08)),
        grid_pitch=float(chance.uniform(2.5, 11.0)),
        refresh=float(chance.choice((60.0, 90.0, 120.0, 240.0, 480.0))),
        pulse=float(chance.uniform(0.0, 0.25)),
        frames=float(chance.choice((24.0, 25.0, 30.0, 60.0))),
    )


def _makes(kind: str, split: str, make: Callable[[np.random.Generator], T]) -> tuple[T, ...]:
    return tuple(make(np.random.default_rng(_seed(kind, split, number))) for number in range(MAKES))


@lru_cache(maxsize=256)
def _seed(kind: str, split: str, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{kind}/{split}/{number}".encode()).digest()[:8], "big")
