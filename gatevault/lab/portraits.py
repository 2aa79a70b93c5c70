"""Two public-domain faces for the bench, each made into a short moving sequence.

The pictures come with the development wheels and are never part of GateVault: `skimage.data.astronaut()`
(Eileen Collins, NASA) and matplotlib's sample `grace_hopper.jpg` (Grace Hopper, US Navy).
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from gatevault.core.errors import GateVaultError
from gatevault.vision.frame import Pixels
from gatevault.vision.pictures import read_picture

import cv2  # isort: skip  # after gatevault.vision, which sets OpenCV's limits

WIDTH: Final = 640
HEIGHT: Final = 360

_SIDE: Final = 340
"""The portrait's side in the frame, in pixels: its face is then 120 to 155 pixels wide."""

_MIDDLE: Final = _SIDE / 2

_BACKGROUND: Final = (96, 104, 112)
"""Plain grey-blue, as a wall behind a gate."""

# Head and shoulders, found by eye: top, left, side in pixels of the picture.
_ASTRONAUT: Final = (10, 84, 280)
_ADMIRAL: Final = (20, 40, 450)


def astronaut() -> Pixels:
    """Head and shoulders, shape (340, 340, 3), RGB. GateVaultError where scikit-image is not installed."""
    if importlib.util.find_spec("skimage") is None:
        raise _absent("scikit-image")
    from skimage import data

    return _square(np.ascontiguousarray(data.astronaut()[:, :, :3]), *_ASTRONAUT)


def admiral() -> Pixels:
    """Head and shoulders, shape (340, 340, 3), RGB. GateVaultError where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise _absent("matplotlib")
    import matplotlib

    picture = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    if not picture.is_file():
        raise _absent("matplotlib's sample data")
    return _square(read_picture(picture), *_ADMIRAL)


def _square(pixels: Pixels, top: int, left: int, side: int) -> Pixels:
    cut = pixels[top : top + side, left : left + side]
    square: Pixels = cv2.resize(
        cut, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA if side > _SIDE else cv2.INTER_CUBIC
    )
    return square


def moving(portrait: Pixels, count: int, seed: int) -> Iterator[Pixels]:
    """`count` frames of shape (360, 640, 3), RGB: the portrait sways, leans, turns a little and nears.

    Its light changes and the camera is noisy. The same seed gives the same frames, another seed
    another path, light and noise.
    """
    chance = np.random.default_rng(seed)
    phases = chance.uniform(0.0, 2.0 * math.pi, 4)
    for number in range(count):
        turn = 2.0 * math.pi * number / max(count, 8)
        across, down, lean, glow = np.sin(turn * np.array((1.0, 2.0, 1.0, 1.5)) + phases)
        zoom = 0.86 + 0.2 * number / max(count - 1, 1)
        placed = cv2.getRotationMatrix2D((_MIDDLE, _MIDDLE), 4.0 * float(lean), zoom)
        narrow = 0.9 + 0.1 * float(across)  # a turned head is narrower
        placed[0] = narrow * placed[0] + (0.0, 0.0, (1.0 - narrow) * _MIDDLE)
        placed[:, 2] += (WIDTH / 2 - _MIDDLE + 45.0 * across, HEIGHT / 2 - _MIDDLE + 8.0 * down)
        frame = cv2.warpAffine(portrait, placed, (WIDTH, HEIGHT), borderValue=_BACKGROUND).astype(np.float32)
        frame *= 1.0 + 0.22 * float(glow)
        frame += chance.normal(0.0, 4.0, frame.shape).astype(np.float32)
        yield np.clip(frame, 0.0, 255.0).astype(np.uint8)


def write_sequence(folder: Path, portrait: Pixels, count: int, seed: int) -> str:
    """Write a moving sequence as pictures into a new folder; its `dir:` camera."""
    folder.mkdir()
    for number, frame in enumerate(moving(portrait, count, seed)):
        if not cv2.imwrite(str(folder / f"{number:02d}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)):
            raise GateVaultError(f"A frame could not be written into {folder}: is the disk full?")
    return f"dir:{folder}"


def _absent(what: str) -> GateVaultError:
    return GateVaultError(f"The demo's two portraits come with {what}, which is not here: run `make setup`.")
