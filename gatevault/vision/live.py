"""A camera of the kernel. A frame says when its light was caught, or that nobody knows.

A V4L2 queue serves old frames: after a pause the first ones show whoever stood there before. The
queue is kept to one buffer here, but drivers may keep more, so what protects the gate is the age
that each frame carries and that `look` checks.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from pathlib import Path
from typing import Any

import cv2

from gatevault.core.camera import CameraState, Exposure
from gatevault.core.errors import CameraError
from gatevault.vision.exposure import Control, V4l2Control, settle_and_hold
from gatevault.vision.frame import HEIGHT, UNKNOWN_AGE, WIDTH, Pixels, check_size
from gatevault.vision.opened import OpenedCamera


class V4l2Camera(OpenedCamera):
    """A camera of the kernel, by its device file.

    MJPG is asked since uncompressed 720p does not fit USB 2.0 at 30 frames/s. Drivers answer True
    and ignore it, so it is read back, as is all else: each frame's `camera` tells.
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self._device = device
        self._capture: Any = None
        self._control: V4l2Control | None = None

    def _open(self) -> None:
        _check_device(self._device)
        capture = cv2.VideoCapture(self._device, cv2.CAP_V4L2)
        self._capture = capture
        if not capture.isOpened():
            self._release()
            raise CameraError(
                f"the camera {self._device} does not open: see whether another program holds it "
                f"(fuser {self._device}) and whether it is a capture device (v4l2-ctl --list-devices)."
            )
        mjpg = cv2.VideoWriter.fourcc(*"MJPG")
        capture.set(cv2.CAP_PROP_FOURCC, mjpg)
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, WIDTH)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, HEIGHT)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self._control = V4l2Control(capture)

    def _seen(self) -> tuple[Pixels, int]:
        bgr = self._take()
        try:
            taken = _from_position(float(self._capture.get(cv2.CAP_PROP_POS_MSEC)))
            pixels = cv2.cvtColor(bgr, cv2.COLOR_GRAY2RGB if bgr.ndim == 2 else cv2.COLOR_BGR2RGB)
        finally:
            bgr.fill(0)
        return pixels, taken

    def _take(self) -> Pixels:
        """The next picture as OpenCV gives it, BGR or grey; the caller overwrites it."""
        try:
            given, bgr = self._capture.read()
        except cv2.error:
            given, bgr = False, None
        if not given or bgr is None:
            raise CameraError(f"the camera {self._device} gives no frames: check its cable and power.")
        try:
            check_size(bgr.shape, f"the camera {self._device}")
        except CameraError:
            bgr.fill(0)
            raise
        picture: Pixels = bgr
        return picture

    def _steady(self) -> CameraState:
        """The first frames are the automatic exposure's."""
        control = self._held_by()
        exposure = Exposure.ABSENT if control is None else settle_and_hold(control, self._level)
        code = int(self._capture.get(cv2.CAP_PROP_FOURCC))
        width, height = (
            int(self._capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        compressed = code == cv2.VideoWriter.fourcc(*"MJPG")
        return CameraState(
            f"{_letters(code)} {width}x{height}", compressed, self._opened_ms, self._since(), exposure
        )

    def _held_by(self) -> Control | None:
        return None if self._control is None or self._control.absent else self._control

    def _release(self) -> None:
        capture, self._capture = self._capture, None
        control, self._control = self._control, None
        if capture is not None:
            if control is not None:
                with contextlib.suppress(cv2.error):  # it was pulled: there is nothing to give back
                    control.free()
            capture.release()


def _check_device(device: str) -> None:
    path = Path(device)
    try:
        kind = path.stat().st_mode
    except OSError:
        raise CameraError(
            f"there is no camera at {device}: plug it in, or set [gate] camera to one that "
            "`v4l2-ctl --list-devices` lists."
        ) from None
    if not stat.S_ISCHR(kind):
        raise CameraError(f"{device} is not a camera device: set [gate] camera to one such as v4l2:/dev/video0.")
    if not os.access(path, os.R_OK | os.W_OK):
        raise CameraError(f"the camera {device} may not be opened: add this process's user to the group video.")


def _letters(code: int) -> str:
    """A FOURCC as its four letters; what is no letter is a question mark."""
    letters = (chr(code >> shift & 0xFF) for shift in (0, 8, 16, 24))
    return "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in letters)


def _from_position(milliseconds: float) -> int:
    """CAP_PROP_POS_MSEC of OpenCV's V4L2, the buffer's CLOCK_MONOTONIC time in ms, as ns.

    Fails closed: 0, not a number, or a time to come (a driver stamping another clock) is unknown.
    """
    now = time.monotonic_ns()
    if not 0.0 < milliseconds <= now / 1e6:
        return UNKNOWN_AGE
    return int(milliseconds * 1e6)
