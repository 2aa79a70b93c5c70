"""A USB camera that keeps its state and history, behind cv2.VideoCapture's interface: the device, not one opening.

Its automatic exposure moves half-way to its aim with each frame. Its controls outlive the file that set them, as a
UVC camera's do. It says True to every setting, as drivers do.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import pytest

from gatevault.vision import live
from gatevault.vision.camera import open_camera

MANUAL, APERTURE_PRIORITY = 1.0, 3.0
AIM = 110.0
"""Mean level that the automatic aims at."""


@dataclass
class Webcam:
    scene: float = 1.0
    """Light of the scene: the level of a frame is scene × exposure."""
    exposure: float = 400.0
    """What the sensor is exposed with now; far from the aim at first."""
    obeys: bool = True
    """Whether it can give MJPG."""
    holds: bool = True
    """Whether asking for manual exposure does anything."""
    tells_exposure: bool = True
    """Whether the exposure that it tells is the one in use; else it is one of before, as with some cameras."""
    controls: bool = True
    """Whether it has controls of exposure and white balance."""
    ages_ms: Sequence[float] = ()
    """Ages of the frames that are waiting in its queue; later ones are fresh (30 ms)."""
    frames: int | None = None
    """How many frames it gives before it is pulled; None: all."""
    opens: bool = True
    size: tuple[int, int] = (72, 128)
    face: tuple[slice, slice] | None = None
    """Where a face is, rows and columns."""
    face_light: float = 1.0
    """Light of the face, in shares of the scene's."""
    mode: float = APERTURE_PRIORITY
    white: float = 1.0
    kept: list[np.ndarray] = field(default_factory=list)
    """Every picture that it gave, to see what is left in them."""
    asked: list[tuple[int, float]] = field(default_factory=list)
    opened_with: tuple[Any, ...] = ()
    opened: bool = False
    openings: int = 0
    given: int = 0
    position: float = 0.0
    fourcc: float = 0.0
    told: float = 250.0

    def __call__(self, *arguments: Any) -> Webcam:
        """Stands for `cv2.VideoCapture`: opens the device."""
        self.opened_with = arguments
        self.opened = self.opens
        self.openings += 1
        self.fourcc = float(cv2.VideoWriter.fourcc(*"YUYV"))
        return self

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def set(self, name: int, value: float) -> bool:
        self.asked.append((name, value))
        if name == cv2.CAP_PROP_FOURCC and self.obeys:
            self.fourcc = float(value)
        elif (
            name == cv2.CAP_PROP_AUTO_EXPOSURE
            and self.controls
            and self.holds
            and value in (MANUAL, APERTURE_PRIORITY)
        ):
            if value == MANUAL and self.mode != MANUAL and not self.tells_exposure:
                self.exposure = self.told  # it goes to what it told, not to what was in use
            self.mode = float(value)
        elif name == cv2.CAP_PROP_EXPOSURE and self.controls and self.mode == MANUAL:
            self.exposure = self.told = float(value)
        elif name == cv2.CAP_PROP_AUTO_WB and self.controls:
            self.white = float(value)
        return True

    def get(self, name: int) -> float:
        if name == cv2.CAP_PROP_POS_MSEC:
            return self.position
        if name == cv2.CAP_PROP_FOURCC:
            return self.fourcc
        if name in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT):
            return float(self.size[name == cv2.CAP_PROP_FRAME_WIDTH])
        if not self.controls:
            return -1.0
        if name == cv2.CAP_PROP_AUTO_EXPOSURE:
            return self.mode
        if name == cv2.CAP_PROP_EXPOSURE:
            return self.exposure if self.tells_exposure else self.told
        return self.white if name == cv2.CAP_PROP_AUTO_WB else -1.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        if not self.opened or (self.frames is not None and self.given >= self.frames):
            return False, None
        waiting = self.given < len(self.ages_ms)
        self.position = time.monotonic_ns() / 1e6 - (self.ages_ms[self.given] if waiting else 30.0)
        self.given += 1
        if self.mode != MANUAL:
            self.exposure += (AIM / self.scene - self.exposure) / 2
        level = int(min(255.0, self.scene * self.exposure))
        picture = np.full((*self.size, 3), (level // 4, level // 4, level), np.uint8)  # red, as BGR
        if self.face is not None:
            picture[self.face] = int(min(255.0, self.scene * self.face_light * self.exposure))
            # Rows that are alike are a broken frame's.
            noise = np.random.default_rng(self.given).integers(-2, 3, picture.shape)
            picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
        self.kept.append(picture)
        return True, picture

    def release(self) -> None:
        self.opened = False


DEVICE = "/dev/null"
"""A character device that everybody may open, as /dev/video0 is."""


def plug(monkeypatch: pytest.MonkeyPatch, webcam: Webcam) -> Webcam:
    monkeypatch.setattr(live.cv2, "VideoCapture", webcam)
    return webcam


def v4l2() -> Any:
    return open_camera(f"v4l2:{DEVICE}", bench=False, repeat=False)
