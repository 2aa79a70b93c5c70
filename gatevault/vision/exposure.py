"""Exposure, gain and white balance: found by the camera's automatic, then fixed for as long as the look lasts.

A lamp that flickers is judged by how much brighter it makes a face (`liveness.lamp`), which an automatic exposure
would undo frame by frame. So each look begins with a few frames for the automatic, whose values are then read and
held; nothing of it is believed before it was read back and the picture has stayed as bright as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import cv2

from gatevault.core.camera import Exposure
from gatevault.vision.frame import Pixels

CALM: Final = 0.03
"""Share of its level by which a settled picture may still change from frame to frame."""

CALM_FRAMES: Final = 2
"""So many calm changes in a row are no accident of a wave that turns."""

MOST_FRAMES: Final = 15
"""Half a second at 30 frames/s: a picture that still changes then has something moving in it."""

LATE_FRAMES: Final = 3
"""A setting shows two or three frames after it was made (sensors and UVC cameras pipeline)."""

JUMP: Final = (0.7, 1.4)
"""The level after the hold, in shares of the one before. Beyond, the values read were not those in use."""

LONGEST_S: Final = 1.0 / 30.0
"""Longest exposure that is asked for: a longer one makes frames rare, and faces that move blur."""

_TICKS: Final = 10_000
"""Of V4L2's absolute exposure, in a second."""

_EVERY: Final = 16
"""Pixel that counts for the level, across and down."""

Level = Callable[[], float]
"""Reads one frame, overwrites it and tells its mean level, 0 to 255."""


class Control(Protocol):
    """What holds a camera's exposure."""

    def hold(self) -> Exposure:
        """Fix it at its present values; HELD where they were read back so."""

    def holds(self) -> bool:
        """Whether it is still held, some frames later."""

    def scale(self, factor: float) -> bool:
        """Hold this many times the exposure held now, as far as the camera goes; whether it changed."""

    def free(self) -> None:
        """Give it back to the automatic."""


def scaled(held: float, factor: float, longest: float) -> int:
    """This many times `held`, at most `longest`, or `held` itself where that is longer already; 0: too short."""
    return round(min(held * factor, max(held, longest)))


def level_of(pixels: Pixels) -> float:
    """Mean of a picture, grey or in colours, over a grid."""
    return float(pixels[::_EVERY, ::_EVERY].mean())


def settle_and_hold(control: Control, level: Level) -> Exposure:
    """Wait for the automatic, hold what it found, see that the picture stays; what came of it."""
    before = _settled(level)
    outcome = control.hold()
    if outcome is not Exposure.HELD:
        return outcome
    after = before
    for _ in range(LATE_FRAMES):
        after = level()
    low, high = JUMP
    if control.holds() and low * before <= after <= high * max(before, 1.0):
        return Exposure.HELD
    control.free()
    return Exposure.IGNORED


def _settled(level: Level) -> float:
    """The level once it stays, or after `MOST_FRAMES`."""
    last, calm = level(), 0
    for _ in range(MOST_FRAMES - 1):
        now = level()
        calm = calm + 1 if abs(now - last) <= CALM * max(last, 1.0) else 0
        last = now
        if calm == CALM_FRAMES:
            break
    return last


# linux/v4l2-controls.h, enum v4l2_exposure_auto_type; UVC cameras have the second and the fourth.
_AUTOMATIC: Final = 0
_MANUAL: Final = 1
_APERTURE_PRIORITY: Final = 3


class V4l2Control:
    """By the driver's controls, through OpenCV, which tells of an absent one by a value below 0.

    The controls outlive the file that set them: whoever is killed in a look leaves the camera fixed. So each look
    begins by giving the exposure to the automatic.
    """

    def __init__(self, capture: Any) -> None:
        """`capture`: an open cv2.VideoCapture, whose exposure is the automatic's from now on."""
        self._capture = capture
        self._exposure = -1.0
        self._automatic = self._automatic_mode()
        if self._get(cv2.CAP_PROP_AUTO_WB) == 0.0:
            capture.set(cv2.CAP_PROP_AUTO_WB, 1)

    @property
    def absent(self) -> bool:
        """Whether the camera has no such control."""
        return self._automatic is None

    def hold(self) -> Exposure:
        if self._automatic is None:
            return Exposure.ABSENT
        self._exposure = self._get(cv2.CAP_PROP_EXPOSURE)
        found = {name: self._get(name) for name in (cv2.CAP_PROP_GAIN, cv2.CAP_PROP_WB_TEMPERATURE)}
        self._capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _MANUAL)
        self._capture.set(cv2.CAP_PROP_EXPOSURE, self._exposure)
        self._capture.set(cv2.CAP_PROP_AUTO_WB, 0)
        for name, value in found.items():
            if value >= 0.0:
                self._capture.set(name, value)
        if self.holds():
            return Exposure.HELD
        self.free()
        return Exposure.IGNORED

    def holds(self) -> bool:
        mode, exposure = self._get(cv2.CAP_PROP_AUTO_EXPOSURE), self._get(cv2.CAP_PROP_EXPOSURE)
        return (
            mode == _MANUAL
            and self._exposure >= 0.0
            and abs(exposure - self._exposure) <= max(1.0, CALM * self._exposure)
            and self._get(cv2.CAP_PROP_AUTO_WB) <= 0.0
        )

    def scale(self, factor: float) -> bool:
        before = self._exposure
        wanted = scaled(before, factor, LONGEST_S * _TICKS)
        if wanted < 1 or not self.holds():
            return False
        self._capture.set(cv2.CAP_PROP_EXPOSURE, wanted)
        self._exposure = self._get(cv2.CAP_PROP_EXPOSURE)
        return self._exposure != before and self.holds()

    def free(self) -> None:
        if self._automatic is not None:
            self._capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, self._automatic)
            if self._get(cv2.CAP_PROP_AUTO_WB) == 0.0:
                self._capture.set(cv2.CAP_PROP_AUTO_WB, 1)

    def _automatic_mode(self) -> int | None:
        """Which of the automatic modes this camera has, and has now; None where it has no such control."""
        now = self._get(cv2.CAP_PROP_AUTO_EXPOSURE)
        if now < 0.0:
            return None
        if now != _MANUAL:
            return int(now)
        for mode in (_APERTURE_PRIORITY, _AUTOMATIC):
            self._capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, mode)
            if self._get(cv2.CAP_PROP_AUTO_EXPOSURE) == mode:
                return mode
        return _MANUAL  # fixed by its maker: held without our doing

    def _get(self, name: int) -> float:
        return float(self._capture.get(name))
