"""picamera2, as far as a gate uses it: a Raspberry Pi's camera that keeps its state."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from tests.vision.webcam import AIM


class Picamera2:
    """picamera2's class as far as it is used: RGB by the name of BGR888, times on CLOCK_BOOTTIME.

    Its automatic moves half-way to its aim with each frame; what it is asked shows two frames later.
    """

    made: list[Picamera2] = []  # noqa: RUF012
    fails = ""
    metadata: dict[str, Any] | None = None
    obeys = True
    grey = False

    def __init__(self, number: int) -> None:
        if self.fails == "open":
            raise IndexError(number)
        self.calls: list[str] = []
        self.made.append(self)
        self.exposure = 400.0
        self.scene = 1.0
        self.controls: dict[str, Any] = {}
        self.coming: list[dict[str, Any]] = []

    def create_video_configuration(self, **wishes: Any) -> dict[str, Any]:
        return wishes

    def configure(self, wishes: dict[str, Any]) -> None:
        assert wishes["queue"] is False
        assert wishes["main"]["format"] == "BGR888"
        assert wishes["controls"]["FrameDurationLimits"] == (33_333, 33_333)
        self._check(wishes["controls"])
        self.controls = {"AeEnable": True} | wishes["controls"]

    def _check(self, controls: dict[str, Any]) -> None:
        if self.grey and {"AwbEnable", "ColourGains"} & controls.keys():
            raise RuntimeError("Control AwbEnable is not advertised by libcamera")

    def start(self) -> None:
        self.calls.append("start")

    def set_controls(self, controls: dict[str, Any]) -> None:
        if self.fails == "set":
            raise RuntimeError("Control ColourGains is not advertised by libcamera")
        self._check(controls)
        self.coming = [{}, *self.coming[1:], controls]

    def capture_request(self) -> Picamera2:
        if self.fails == "read":
            raise RuntimeError("camera frontend has timed out")
        if self.coming and self.obeys:
            self.controls |= self.coming.pop(0)
        if self.controls["AeEnable"]:
            self.exposure += (AIM / self.scene - self.exposure) / 2
        else:
            self.exposure = self.controls["ExposureTime"]
        level = int(min(255.0, self.scene * self.exposure))
        self.padded = np.full((720, 1344, 3), (level, 0, 0), np.uint8)
        return self

    def make_array(self, stream: str) -> np.ndarray:
        return self.padded[:, :1280]

    def get_metadata(self) -> dict[str, Any]:
        if self.metadata is not None:
            return self.metadata
        stamp = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 20_000_000
        gains = {"AnalogueGain": 1.0} if self.grey else {"AnalogueGain": 1.0, "ColourGains": (1.5, 1.7)}
        return {"SensorTimestamp": stamp, "ExposureTime": round(self.exposure), **gains}

    def release(self) -> None:
        pass

    def stop(self) -> None:
        self.calls.append("stop")
        raise RuntimeError("stop failed")

    def close(self) -> None:
        self.calls.append("close")
