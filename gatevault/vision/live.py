"""Cameras of a real gate. A frame says when its light was caught, or that nobody knows.

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
from types import TracebackType
from typing import Any, Final, Self

import cv2
import numpy as np

from gatevault.core.errors import CameraError
from gatevault.vision.frame import UNKNOWN_AGE, Frame, check_size

WIDTH: Final = 1280
HEIGHT: Final = 720
"""Asked of the camera: a face a metre away is 150 to 250 pixels wide."""


class V4l2Camera:
    """A camera of the kernel, by its device file.

    MJPG is asked since uncompressed 720p does not fit USB 2.0 at 30 frames/s. Drivers answer True
    and ignore it, so it is read back: `compressed` tells.
    """

    finite = False

    def __init__(self, device: str) -> None:
        self._device = device
        self._capture: Any = None
        self._index = 0
        self.compressed = False

    def __enter__(self) -> Self:
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
        self.compressed = int(capture.get(cv2.CAP_PROP_FOURCC)) == mjpg
        self._index = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def read(self) -> Frame | None:
        try:
            given, bgr = self._capture.read()
        except cv2.error:
            given, bgr = False, None
        if not given or bgr is None:
            raise CameraError(f"the camera {self._device} gives no frames: check its cable and power.")
        try:
            check_size(bgr.shape, f"the camera {self._device}")
            taken = _from_position(float(self._capture.get(cv2.CAP_PROP_POS_MSEC)))
            pixels = cv2.cvtColor(bgr, cv2.COLOR_GRAY2RGB if bgr.ndim == 2 else cv2.COLOR_BGR2RGB)
        finally:
            bgr.fill(0)
        self._index += 1
        return Frame(pixels, taken, self._index - 1)

    def _release(self) -> None:
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()


class PiCamera:
    """A Raspberry Pi camera through libcamera; Debian's `python3-picamera2` provides it."""

    finite = False

    def __init__(self, number: int) -> None:
        self._number = number
        self._camera: Any = None
        self._index = 0

    def __enter__(self) -> Self:
        try:
            from picamera2 import Picamera2  # not on PyPI for every board; only this camera needs it
        except ImportError:
            raise CameraError(
                "picamera2 is not installed: apt install python3-picamera2, and make the venv with "
                "--system-site-packages."
            ) from None
        try:
            self._camera = Picamera2(self._number)
            # Named from the low bit up: picamera2's "BGR888" lies in memory as R, G, B ("RGB888" as
            # B, G, R). queue=False: a request made now is never answered by a frame kept from before.
            layout = {"size": (WIDTH, HEIGHT), "format": "BGR888"}
            self._camera.configure(
                self._camera.create_video_configuration(main=layout, buffer_count=2, queue=False)
            )
            self._camera.start()
        except (RuntimeError, IndexError, ValueError, OSError) as error:
            self._release()
            raise CameraError(
                f"camera {self._number} of libcamera does not start ({type(error).__name__}): check its "
                "ribbon cable and `rpicam-hello --list-cameras`."
            ) from None
        self._index = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def read(self) -> Frame | None:
        try:
            request = self._camera.capture_request()
            try:
                given = request.make_array("main")
                sensor = int(request.get_metadata().get("SensorTimestamp", 0))
            finally:
                request.release()
        except (RuntimeError, ValueError, OSError) as error:
            raise CameraError(
                f"camera {self._number} of libcamera gives no frames ({type(error).__name__}): check its cable."
            ) from None
        pixels = np.ascontiguousarray(given)
        if pixels is not given:  # rows were padded: the copy is ours, the camera's goes
            given.fill(0)
        check_size(pixels.shape, f"camera {self._number} of libcamera")
        self._index += 1
        return Frame(pixels, _from_boottime(sensor), self._index - 1)

    def _release(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            for end in (camera.stop, camera.close):
                with contextlib.suppress(RuntimeError, OSError):
                    end()


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


def _from_position(milliseconds: float) -> int:
    """CAP_PROP_POS_MSEC of OpenCV's V4L2, the buffer's CLOCK_MONOTONIC time in ms, as ns.

    Fails closed: 0, not a number, or a time to come (a driver stamping another clock) is unknown.
    """
    now = time.monotonic_ns()
    if not 0.0 < milliseconds <= now / 1e6:
        return UNKNOWN_AGE
    return int(milliseconds * 1e6)


def _from_boottime(sensor_ns: int) -> int:
    """libcamera's SensorTimestamp (CLOCK_BOOTTIME, ns) on CLOCK_MONOTONIC.

    The clocks differ by the time spent suspended, which does not change while the gate is awake.
    """
    if sensor_ns <= 0:
        return UNKNOWN_AGE
    now = time.monotonic_ns()
    taken = sensor_ns - (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - now)
    return taken if 0 < taken <= now else UNKNOWN_AGE
