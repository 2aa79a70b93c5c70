"""Before the emulated camera: the demo's public-domain portrait, put on each disk anew and never kept."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gatevault.lab.portraits import HEIGHT, WIDTH, astronaut, moving

import cv2  # isort: skip  # after gatevault, which sets OpenCV's limits

FRAMES: Final = 16

__all__ = ["HEIGHT", "WIDTH", "write"]


def write(path: Path) -> None:
    """A picture that is moved about, as BGR frames of 640x360: none is like another, and the face stays one."""
    with path.open("wb") as clip:
        for frame in moving(astronaut(), FRAMES, seed=1):
            clip.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR).tobytes())
