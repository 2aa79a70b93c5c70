"""A face for the emulated camera: scikit-image's public-domain portrait, put on each disk anew and never kept."""

from __future__ import annotations

from pathlib import Path

import cv2
from skimage import data

WIDTH, HEIGHT = 640, 480


def write(path: Path) -> None:
    """One YUYV frame of 640x480 with a face some 200 pixels wide."""
    face = cv2.resize(data.astronaut()[20:260, 60:380], (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    path.write_bytes(cv2.cvtColor(face, cv2.COLOR_RGB2YUV_YUYV).tobytes())
