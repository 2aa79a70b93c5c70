"""Hardware cameras behind fakes of OpenCV's capture and of picamera2."""

from __future__ import annotations

import os
import sys
import time
import types
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gatevault.core.errors import CameraError
from gatevault.core.settings import LookSettings
from gatevault.vision import live
from gatevault.vision.camera import open_camera
from gatevault.vision.frame import UNKNOWN_AGE
from gatevault.vision.look import run_look
from tests.vision.fakes import FakeEngine, Sent, a_look

DEVICE = "/dev/null"
"""A character device that everybody may open, as /dev/video0 is."""


class Capture:
    """cv2.VideoCapture of a webcam with a queue: `positions` are its frames' CAP_PROP_POS_MSEC."""

    def __init__(self, positions: list[float], *, opens: bool = True, obeys: bool = True) -> None:
        self.positions = list(positions)
        self.opens = opens
        self.obeys = obeys
        self.asked: dict[int, float] = {}
        self.position = 0.0
        self.released = 0
        self.opened_with: tuple = ()
        self.kept: list[np.ndarray] = []

    def __call__(self, *arguments: Any) -> Capture:
        self.opened_with = arguments
        return self

    def isOpened(self) -> bool:  # noqa: N802
        return self.opens

    def set(self, name: int, value: float) -> bool:
        self.asked[name] = value
        return True  # drivers say so even when they ignore it

    def get(self, name: int) -> float:
        if name == cv2.CAP_PROP_POS_MSEC:
            return self.position
        if name == cv2.CAP_PROP_FOURCC:
            return self.asked[name] if self.obeys else float(cv2.VideoWriter.fourcc(*"YUYV"))
        return 0.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        if not self.positions:
            return False, None
        self.position = self.positions.pop(0)
        bgr = np.zeros((72, 128, 3), np.uint8)
        bgr[..., 0] = 200  # blue
        self.kept.append(bgr)
        return True, bgr

    def release(self) -> None:
        self.released += 1


def plug(monkeypatch: pytest.MonkeyPatch, capture: Capture) -> Capture:
    monkeypatch.setattr(live.cv2, "VideoCapture", capture)
    return capture


def now_ms() -> float:
    return time.monotonic_ns() / 1e6


def v4l2() -> Any:
    return open_camera(f"v4l2:{DEVICE}", bench=False, repeat=False)


def test_v4l2_asks_for_mjpg_and_one_buffer_and_reads_back(monkeypatch: pytest.MonkeyPatch) -> None:
    capture = plug(monkeypatch, Capture([now_ms()]))
    camera = v4l2()
    assert capture.opened_with == (), "nothing is opened before the look"
    with camera:
        assert capture.opened_with == (DEVICE, cv2.CAP_V4L2)
        assert capture.asked[cv2.CAP_PROP_BUFFERSIZE] == 1
        assert camera.compressed
        frame = camera.read()
        assert tuple(frame.pixels[0, 0]) == (0, 0, 200)
        assert not capture.kept[0].any(), "OpenCV's own copy is overwritten"
    assert capture.released == 1
    plug(monkeypatch, Capture([], obeys=False))
    with v4l2() as camera:
        assert not camera.compressed


@pytest.mark.parametrize("position", [0.0, -1.0, float("nan"), float("inf"), 1e15])
def test_v4l2_times_that_cannot_be_are_unknown(monkeypatch: pytest.MonkeyPatch, position: float) -> None:
    plug(monkeypatch, Capture([position]))
    with v4l2() as camera:
        assert camera.read().taken_ns == UNKNOWN_AGE


def test_v4l2_position_is_the_monotonic_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    at = now_ms() - 40
    plug(monkeypatch, Capture([at]))
    with v4l2() as camera:
        assert abs(camera.read().taken_ns - at * 1e6) < 1e4


def test_the_v4l2_queue_trap(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a pause four queued frames are of the person before; no face in them may open the gate."""
    old = now_ms() - 1_900
    capture = plug(monkeypatch, Capture([old, old + 33, old + 66, 0.0]))
    engine, sent = FakeEngine(), Sent()
    look = a_look(trigger_ns=time.monotonic_ns())
    done = run_look(look, LookSettings(), v4l2(), engine, sent, lambda: False)
    assert (done.stale, done.frames, engine.searched) == (4, 0, 0)
    assert "gives no frames" in done.error
    assert capture.released == 1


def test_v4l2_failures_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    capture = plug(monkeypatch, Capture([], opens=False))
    with pytest.raises(CameraError, match="does not open"), v4l2():
        pass
    assert capture.released == 1
    plug(monkeypatch, Capture([]))
    with v4l2() as camera, pytest.raises(CameraError, match="gives no frames"):
        camera.read()
    with pytest.raises(CameraError, match="no camera at"), live.V4l2Camera(str(tmp_path / "video0")):
        pass
    plain = tmp_path / "clip.mp4"
    plain.touch()
    with pytest.raises(CameraError, match="not a camera device"), live.V4l2Camera(str(plain)):
        pass
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(CameraError, match="group video"), v4l2():
        pass


class Picamera2:
    """picamera2's class as far as it is used: RGB by the name of BGR888, times on CLOCK_BOOTTIME."""

    made: list[Picamera2] = []  # noqa: RUF012
    fails = ""
    metadata: dict[str, int] | None = None

    def __init__(self, number: int) -> None:
        if self.fails == "open":
            raise IndexError(number)
        self.calls: list[str] = []
        self.made.append(self)

    def create_video_configuration(self, **wishes: Any) -> dict[str, Any]:
        return wishes

    def configure(self, wishes: dict[str, Any]) -> None:
        assert wishes["queue"] is False
        assert wishes["main"]["format"] == "BGR888"

    def start(self) -> None:
        self.calls.append("start")

    def capture_request(self) -> Picamera2:
        if self.fails == "read":
            raise RuntimeError("camera frontend has timed out")
        self.padded = np.full((720, 1344, 3), (250, 0, 0), np.uint8)
        return self

    def make_array(self, stream: str) -> np.ndarray:
        return self.padded[:, :1280]

    def get_metadata(self) -> dict[str, int]:
        if self.metadata is not None:
            return self.metadata
        return {"SensorTimestamp": time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 20_000_000}

    def release(self) -> None:
        self.calls.append("release")

    def stop(self) -> None:
        self.calls.append("stop")
        raise RuntimeError("stop failed")

    def close(self) -> None:
        self.calls.append("close")


@pytest.fixture
def picamera2(monkeypatch: pytest.MonkeyPatch) -> type[Picamera2]:
    module = types.ModuleType("picamera2")
    made = type("Picamera2", (Picamera2,), {"made": []})
    module.Picamera2 = made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    return made


def test_picamera2_gives_rgb_on_the_monotonic_clock(picamera2: type[Picamera2]) -> None:
    with open_camera("picamera2:0", bench=False, repeat=False) as camera:
        frame = camera.read()
        assert frame is not None
        assert frame.pixels.shape == (720, 1280, 3)
        assert tuple(frame.pixels[0, 0]) == (250, 0, 0)
        assert 0 < time.monotonic_ns() - frame.taken_ns - 20_000_000 < 5_000_000_000
        assert not picamera2.made[0].padded[:, :1280].any()
    assert picamera2.made[0].calls == ["start", "release", "stop", "close"]


@pytest.mark.parametrize("stamp", [{}, {"SensorTimestamp": 0}, {"SensorTimestamp": 2**62}])
def test_picamera2_without_a_believable_time_is_unknown(
    picamera2: type[Picamera2], monkeypatch: pytest.MonkeyPatch, stamp: dict[str, int]
) -> None:
    monkeypatch.setattr(picamera2, "metadata", stamp)
    with open_camera("picamera2:0", bench=False, repeat=False) as camera:
        frame = camera.read()
        assert frame is not None
        assert frame.taken_ns == UNKNOWN_AGE


@pytest.mark.parametrize(("fails", "says"), [("open", "does not start"), ("read", "gives no frames")])
def test_picamera2_failures_are_told(
    picamera2: type[Picamera2], monkeypatch: pytest.MonkeyPatch, fails: str, says: str
) -> None:
    monkeypatch.setattr(picamera2, "fails", fails)
    with pytest.raises(CameraError, match=says), open_camera("picamera2:0", bench=False, repeat=False) as camera:
        camera.read()


def test_picamera2_absent_tells_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with (
        pytest.raises(CameraError, match="python3-picamera2"),
        open_camera("picamera2:0", bench=False, repeat=False),
    ):
        pass
