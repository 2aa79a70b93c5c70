"""A Raspberry Pi's camera, behind a fake of picamera2."""

from __future__ import annotations

import sys
import time

import pytest

from gatevault.core.camera import Exposure
from gatevault.core.errors import CameraError
from gatevault.vision.camera import open_camera, prepare
from gatevault.vision.frame import UNKNOWN_AGE
from tests.vision.picam import Picamera2
from tests.vision.webcam import AIM


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
