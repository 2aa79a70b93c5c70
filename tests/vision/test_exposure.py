"""A held exposure is changed (`metering`), by both kinds of real cameras."""

from __future__ import annotations

from typing import Any

import pytest

from gatevault.vision.camera import open_camera
from tests.vision.webcam import APERTURE_PRIORITY, Webcam, plug, v4l2


def opened(kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A camera of either kind, each with a picture's level of AIM for its automatic."""
    if kind == "v4l2":
        plug(monkeypatch, Webcam(scene=4.0))
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
