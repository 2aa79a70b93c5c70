"""A camera of the kernel, behind a fake of OpenCV's capture."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import cv2
import pytest
from msgspec.structs import replace

from gatevault.core import wire
from gatevault.core.camera import OPEN_MS, CameraState, Exposure, findings
from gatevault.core.errors import CameraError
from gatevault.core.settings import LookSettings
from gatevault.core.wire import LookDone
from gatevault.vision import live
from gatevault.vision.frame import UNKNOWN_AGE
from gatevault.vision.look import run_look
from tests.vision.fakes import FakeEngine, Sent, a_look
from tests.vision.webcam import AIM, APERTURE_PRIORITY, DEVICE, MANUAL, Webcam, plug, v4l2


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
