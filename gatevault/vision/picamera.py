"""The camera on a Raspberry Pi's ribbon cable, through libcamera."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Final

import numpy as np

from gatevault.core.camera import CameraState, Exposure
from gatevault.core.errors import CameraError
from gatevault.vision.exposure import LONGEST_S, Control, scaled, settle_and_hold
from gatevault.vision.frame import HEIGHT, UNKNOWN_AGE, WIDTH, Pixels, check_size
from gatevault.vision.opened import OpenedCamera

FRAME_US: Final = round(LONGEST_S * 1_000_000)
"""One frame, in microseconds: without bounds libcamera makes frames longer in the dark, and each is older then."""

NEAR: Final = 0.05
"""Share by which a sensor rounds the exposure that it is asked for to whole lines."""


class PiCamera(OpenedCamera):
    """A Raspberry Pi camera through libcamera; Debian's `python3-picamera2` provides it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number
        self._camera: Any = None
        self._control: _Control | None = None
        self._told: dict[str, Any] = {}
        """Metadata of the last frame."""

    def _open(self) -> None:
        kind = picamera2()
        try:
            self._camera = kind(self._number)
            # Named from the low bit up: picamera2's "BGR888" lies in memory as R, G, B ("RGB888" as
            # B, G, R). queue=False: a request made now is never answered by a frame kept from before.
            layout = {"size": (WIDTH, HEIGHT), "format": "BGR888"}
            controls = {"FrameDurationLimits": (FRAME_US, FRAME_US)}
            self._camera.configure(
                self._camera.create_video_configuration(main=layout, buffer_count=2, queue=False, controls=controls)
            )
            self._camera.start()
        except (RuntimeError, IndexError, ValueError, OSError) as error:
            self._release()
            raise CameraError(
                f"camera {self._number} of libcamera does not start ({type(error).__name__}): check its "
                "ribbon cable and `rpicam-hello --list-cameras`."
            ) from None

    def _seen(self) -> tuple[Pixels, int]:
        pixels = self._take()
        return pixels, _from_boottime(int(self._told.get("SensorTimestamp", 0)))

    def _steady(self) -> CameraState:
        """The first frames are the automatic's."""
        self._control = _Control(self._camera, self._metadata)
        exposure = settle_and_hold(self._control, self._level)
        return CameraState(f"RGB {WIDTH}x{HEIGHT}", None, self._opened_ms, self._since(), exposure)

    def _held_by(self) -> Control | None:
        return self._control

    def _metadata(self) -> dict[str, Any]:
        return self._told

    def _take(self) -> Pixels:
        try:
            request = self._camera.capture_request()
            try:
                given = request.make_array("main")
                self._told = request.get_metadata()
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
        return pixels

    def _release(self) -> None:
        camera, self._camera = self._camera, None
        self._control = None
        if camera is not None:
            for end in (camera.stop, camera.close):
                with contextlib.suppress(RuntimeError, OSError):
                    end()


class _Control:
    """By libcamera's controls; each frame's metadata tells the values that it was taken with."""

    def __init__(self, camera: Any, metadata: Any) -> None:
        self._camera = camera
        self._metadata = metadata
        self._wanted: dict[str, float] = {}

    def hold(self) -> Exposure:
        now = self._metadata()
        if not {"ExposureTime", "AnalogueGain"} <= now.keys():
            return Exposure.ABSENT
        self._wanted = {name: float(now[name]) for name in ("ExposureTime", "AnalogueGain")}
        fixed = {"AeEnable": False, "ExposureTime": now["ExposureTime"], "AnalogueGain": now["AnalogueGain"]}
        if "ColourGains" in now:  # a grey sensor has none, and no AwbEnable either
            fixed |= {"AwbEnable": False, "ColourGains": now["ColourGains"]}
        try:
            self._camera.set_controls(fixed)
        except RuntimeError:  # picamera2 names a control that this sensor does not have
            self.free()
            return Exposure.IGNORED
        return Exposure.HELD

    def holds(self) -> bool:
        now = self._metadata()
        return all(abs(float(now.get(name, 0.0)) - value) <= NEAR * value for name, value in self._wanted.items())

    def scale(self, factor: float) -> bool:
        before = self._wanted.get("ExposureTime", 0.0)
        wanted = scaled(before, factor, FRAME_US)
        if wanted < 1 or wanted == before:
            return False
        try:
            self._camera.set_controls({"ExposureTime": wanted})
        except RuntimeError:
            return False
        self._wanted["ExposureTime"] = wanted
        return True

    def free(self) -> None:
        for name in ("AeEnable", "AwbEnable"):
            with contextlib.suppress(RuntimeError):
                self._camera.set_controls({name: True})


def picamera2() -> Any:
    """The class of Debian's package. CameraError where it is not there."""
    try:
        from picamera2 import Picamera2  # not on PyPI for every board; only this camera needs it
    except ImportError:
        raise CameraError(
            "picamera2 is not installed: apt install python3-picamera2, and run GateVault's installer with "
            "--debian-packages (docs/install.md)."
        ) from None
    return Picamera2


def _from_boottime(sensor_ns: int) -> int:
    """libcamera's SensorTimestamp (CLOCK_BOOTTIME, ns) on CLOCK_MONOTONIC.

    The clocks differ by the time spent suspended, which does not change while the gate is awake.
    """
    if sensor_ns <= 0:
        return UNKNOWN_AGE
    now = time.monotonic_ns()
    taken = sensor_ns - (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - now)
    return taken if 0 < taken <= now else UNKNOWN_AGE
