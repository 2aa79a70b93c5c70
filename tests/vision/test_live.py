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
from msgspec.structs import replace

from gatevault.core import wire
from gatevault.core.camera import OPEN_MS, CameraState, Exposure, findings
from gatevault.core.errors import CameraError
from gatevault.core.settings import LookSettings
from gatevault.core.wire import LookDone
from gatevault.vision import live
from gatevault.vision.camera import open_camera, prepare
from gatevault.vision.frame import UNKNOWN_AGE
from gatevault.vision.look import run_look
from tests.vision.fakes import FakeEngine, Sent, a_look
from tests.vision.webcam import AIM, APERTURE_PRIORITY, MANUAL, Webcam

DEVICE = "/dev/null"
"""A character device that everybody may open, as /dev/video0 is."""


def plug(monkeypatch: pytest.MonkeyPatch, webcam: Webcam) -> Webcam:
    monkeypatch.setattr(live.cv2, "VideoCapture", webcam)
    return webcam


def v4l2() -> Any:
    return open_camera(f"v4l2:{DEVICE}", bench=False, repeat=False)


def shown(webcam: Webcam, **look: Any) -> tuple[LookDone, FakeEngine]:
    engine = FakeEngine()
    look = {"trigger_ns": time.monotonic_ns()} | look
    return run_look(a_look(**look), LookSettings(), v4l2(), engine, Sent(), lambda: False), engine


def test_v4l2_asks_for_mjpg_and_one_buffer_and_reads_back(monkeypatch: pytest.MonkeyPatch) -> None:
    webcam = plug(monkeypatch, Webcam())
    camera = v4l2()
    assert webcam.opened_with == (), "nothing is opened before the look"
    with camera:
        assert webcam.opened_with == (DEVICE, cv2.CAP_V4L2)
        assert (cv2.CAP_PROP_BUFFERSIZE, 1) in webcam.asked
        frame = camera.read()
        assert (frame.camera.mode, frame.camera.compressed) == ("MJPG 128x72", True)
        red, green, blue = frame.pixels[0, 0]
        assert red > 2 * green and green == blue
        assert not any(picture.any() for picture in webcam.kept), "OpenCV's own copies are overwritten"
    assert not webcam.opened
    plug(monkeypatch, Webcam(obeys=False))
    with v4l2() as camera:
        assert (camera.read().camera.mode, camera.read().camera.compressed) == ("YUYV 128x72", False)


@pytest.mark.parametrize("position", [0.0, -1.0, float("nan"), float("inf"), 1e15])
def test_v4l2_times_that_cannot_be_are_unknown(monkeypatch: pytest.MonkeyPatch, position: float) -> None:
    webcam = plug(monkeypatch, Webcam())
    get = webcam.get
    monkeypatch.setattr(webcam, "get", lambda name: position if name == cv2.CAP_PROP_POS_MSEC else get(name))
    with v4l2() as camera:
        assert camera.read().taken_ns == UNKNOWN_AGE


def test_v4l2_position_is_the_monotonic_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    webcam = plug(monkeypatch, Webcam())
    with v4l2() as camera:
        assert abs(camera.read().taken_ns - webcam.position * 1e6) < 1e4


def test_the_v4l2_queue_trap(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a pause the queued frames are of the person before; no face in them may open the gate."""
    webcam = plug(monkeypatch, Webcam(controls=False, ages_ms=[1_900, 1_870, 1_840, 1_810], frames=4))
    done, engine = shown(webcam)
    assert (done.stale, done.frames, engine.searched) == (3, 0, 0), "the first told that the camera is open"
    assert "gives no frames" in done.error
    assert not webcam.opened


def test_a_young_frame_from_before_the_trigger_is_refused_by_the_real_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """30 ms old, so young enough, but taken before somebody asked: whoever it shows did not."""
    webcam = plug(monkeypatch, Webcam(controls=False, frames=3))
    done, engine = shown(webcam, trigger_ns=time.monotonic_ns() + 60_000_000_000)
    assert (done.stale, done.frames, engine.searched) == (2, 0, 0)


def test_v4l2_failures_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    webcam = plug(monkeypatch, Webcam(opens=False))
    with pytest.raises(CameraError, match="does not open"), v4l2():
        pass
    assert not webcam.opened
    for frames in (0, 1):
        webcam = plug(monkeypatch, Webcam(frames=frames))
        with pytest.raises(CameraError, match="gives no frames"), v4l2() as camera:
            camera.read()
        assert not webcam.opened
    with pytest.raises(CameraError, match="no camera at"), live.V4l2Camera(str(tmp_path / "video0")):
        pass
    plain = tmp_path / "clip.mp4"
    plain.touch()
    with pytest.raises(CameraError, match="not a camera device"), live.V4l2Camera(str(plain)):
        pass
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(CameraError, match="group video"), v4l2():
        pass


# --- exposure ------------------------------------------------------------------------------------


def test_exposure_settles_and_is_held_while_the_look_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    webcam = plug(monkeypatch, Webcam())
    with v4l2() as camera:
        frame = camera.read()
        assert frame.camera.exposure is Exposure.HELD
        assert (webcam.mode, webcam.white) == (MANUAL, 0.0)
        level = int(frame.pixels[..., 0].mean())
        assert abs(level - AIM) < 0.1 * AIM, "held once it was settled, not before"
        webcam.scene = 1.5  # the lamp lights up: the picture must tell of it, for good
        lit = [int(camera.read().pixels[..., 0].mean()) for _ in range(20)]
        assert min(lit) > 1.4 * level
    assert (webcam.mode, webcam.white) == (APERTURE_PRIORITY, 1.0), "given back"


@pytest.mark.parametrize(
    ("webcam", "exposure"),
    [
        (Webcam(holds=False), Exposure.IGNORED),
        (Webcam(tells_exposure=False), Exposure.IGNORED),
        (Webcam(controls=False), Exposure.ABSENT),
    ],
    ids=["says True and does nothing", "tells another exposure than it uses", "has no such control"],
)
def test_a_driver_that_does_not_hold_it_is_noticed(
    monkeypatch: pytest.MonkeyPatch, webcam: Webcam, exposure: Exposure
) -> None:
    plug(monkeypatch, webcam)
    with v4l2() as camera:
        state = camera.read().camera
        assert state.exposure is exposure
        assert any("exposure is not held" in found.what for found in findings(state))
        levels = [int(camera.read().pixels[..., 0].mean()) for _ in range(12)]
        assert abs(levels[-1] - AIM) < 0.1 * AIM, "the automatic has it again"
    assert webcam.mode == APERTURE_PRIORITY


def test_a_camera_that_a_killed_look_left_fixed_is_given_to_its_automatic_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    webcam = plug(monkeypatch, Webcam(mode=MANUAL, white=0.0, exposure=5.0))
    with v4l2() as camera:
        frame = camera.read()
        assert frame.camera.exposure is Exposure.HELD
        assert abs(frame.pixels[..., 0].mean() - AIM) < 0.1 * AIM, "not at the exposure of another day"
    assert webcam.mode == APERTURE_PRIORITY


def test_exposure_is_given_back_when_the_camera_is_pulled(monkeypatch: pytest.MonkeyPatch) -> None:
    webcam = plug(monkeypatch, Webcam(frames=20))
    done, _ = shown(webcam)
    assert done.camera is not None and done.camera.exposure is Exposure.HELD
    assert "gives no frames" in done.error
    assert webcam.mode == APERTURE_PRIORITY


def test_a_look_tells_what_the_camera_did(monkeypatch: pytest.MonkeyPatch) -> None:
    done, _ = shown(plug(monkeypatch, Webcam(frames=25)))
    state = done.camera
    assert state is not None
    assert 0 <= state.opened_ms <= state.steady_ms
    assert findings(state) == []
    assert wire.unpack(wire.FROM_VISION, memoryview(wire.pack(done))[wire.HEADER :]) == done


def test_what_an_installer_hears_of_a_camera() -> None:
    good = CameraState("MJPG 1280x720", True, OPEN_MS, 900, Exposure.HELD)
    assert findings(good) == []
    assert findings(replace(good, compressed=None)) == []
    (slow,) = findings(replace(good, opened_ms=OPEN_MS + 1))
    assert "501 ms" in slow.what
    (raw,) = findings(replace(good, mode="YUYV 1280x720", compressed=False))
    assert "YUYV" in raw.what


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
        assert abs(int(frame.pixels[0, 0, 0]) - AIM) < 0.1 * AIM and not frame.pixels[0, 0, 1:].any()
        assert 0 < time.monotonic_ns() - frame.taken_ns - 20_000_000 < 5_000_000_000
        assert not picamera2.made[0].padded[:, :1280].any()
    assert picamera2.made[0].calls == ["start", "stop", "close"]


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


def test_picamera2_holds_the_exposure_that_its_frames_tell(picamera2: type[Picamera2]) -> None:
    with open_camera("picamera2:0", bench=False, repeat=False) as camera:
        frame = camera.read()
        assert frame is not None and frame.camera is not None
        assert (frame.camera.exposure, frame.camera.compressed) == (Exposure.HELD, None)
        controls = picamera2.made[0].controls
        assert (controls["AeEnable"], controls["AwbEnable"], controls["ColourGains"]) == (False, False, (1.5, 1.7))
        picamera2.made[0].scene = 1.5
        lit = [int(camera.read().pixels[0, 0, 0]) for _ in range(10)]
        assert min(lit) > 1.4 * AIM * 0.9


def test_picamera2_of_a_grey_sensor_has_no_white_balance_to_hold(
    picamera2: type[Picamera2], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picamera2, "grey", True)
    with open_camera("picamera2:0", bench=False, repeat=False) as camera:
        frame = camera.read()
        assert frame is not None and frame.camera is not None
        assert frame.camera.exposure is Exposure.HELD


@pytest.mark.parametrize(("quirk", "exposure"), [("deaf", "ignored"), ("set", "ignored"), ("silent", "absent")])
def test_picamera2_that_does_not_hold_it_is_noticed(
    picamera2: type[Picamera2], monkeypatch: pytest.MonkeyPatch, quirk: str, exposure: str
) -> None:
    if quirk == "deaf":
        monkeypatch.setattr(picamera2, "obeys", False)
        told = iter(range(1_000, 90_000, 500))  # its exposure goes on moving
        monkeypatch.setattr(picamera2, "get_metadata", lambda _: {"ExposureTime": next(told), "AnalogueGain": 1.0})
    elif quirk == "set":
        monkeypatch.setattr(picamera2, "fails", "set")
    else:
        monkeypatch.setattr(picamera2, "metadata", {})
    with open_camera("picamera2:0", bench=False, repeat=False) as camera:
        frame = camera.read()
        assert frame is not None and frame.camera is not None
        assert frame.camera.exposure.value == exposure


def test_picamera2_is_loaded_before_anybody_waits_and_its_absence_waits_for_a_look(
    picamera2: type[Picamera2], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare("picamera2:0")
    assert picamera2.made == [], "nothing is opened"
    monkeypatch.setitem(sys.modules, "picamera2", None)
    prepare("picamera2:0")
    prepare("v4l2:/dev/video0")


# --- the held exposure is changed (`metering`) ---------------------------------------------------


def opened(kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, **quirks: Any) -> Any:
    """A camera of either kind, each with a picture's level of AIM for its automatic."""
    if kind == "v4l2":
        plug(monkeypatch, Webcam(scene=4.0, **quirks))
        return v4l2()
    request.getfixturevalue("picamera2")
    return open_camera("picamera2:0", bench=False, repeat=False)


def level(camera: Any) -> float:
    for _ in range(4):
        frame = camera.read()
    return float(frame.pixels[0, 0, 0])


@pytest.mark.parametrize("kind", ["v4l2", "picamera2"])
def test_a_held_exposure_is_changed_and_is_held_again(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(kind, request, monkeypatch) as camera:
        assert not camera.expose(0.5), "nothing is held before the first frame"
        before = level(camera)
        assert camera.expose(0.5)
        assert level(camera) == pytest.approx(before / 2, rel=0.1)
        assert camera.expose(1.5)
        assert level(camera) == pytest.approx(before * 0.75, rel=0.1)
        assert not camera.expose(0.0001), "less than a camera can"
        assert level(camera) == pytest.approx(before * 0.75, rel=0.1)


def test_no_exposure_is_longer_than_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    webcam = plug(monkeypatch, Webcam(scene=0.5))
    with v4l2() as camera:
        camera.read()
        assert camera.expose(4.0)
        assert webcam.exposure == 333.0
        assert not camera.expose(2.0)
    assert webcam.mode == APERTURE_PRIORITY, "given back as ever"


@pytest.mark.parametrize("quirks", [{"holds": False}, {"controls": False}])
def test_an_exposure_that_is_not_held_is_not_changed(
    quirks: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    plug(monkeypatch, Webcam(**quirks))  # type: ignore[arg-type]
    with v4l2() as camera:
        camera.read()
        assert not camera.expose(0.5)
