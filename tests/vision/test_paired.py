"""A colour camera and an infrared one: what they give, and tell, together."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gatevault.core.camera import CameraState, Exposure
from gatevault.core.errors import CameraError
from gatevault.vision.frame import Frame
from gatevault.vision.paired import APART_NS, PairedCamera
from tests.vision.fakes import Clock, FakeCamera

GOOD = CameraState("MJPG 1280x720", True, 300, 500, Exposure.HELD)


class Telling(FakeCamera):
    """Tells of itself as a real camera does."""

    state: CameraState | None = GOOD

    def read(self) -> Frame | None:
        frame = super().read()
        return None if frame is None else Frame(frame.pixels, frame.taken_ns, frame.index, camera=self.state)


def pair(colour: CameraState | None, infrared: CameraState | None, ages: tuple[float, float] = (0.0, 0.0)) -> Frame:
    clock = Clock()
    cameras = [Telling(clock, ages_ms=[age], step_ms=0.0) for age in ages]
    cameras[0].state, cameras[1].state = colour, infrared
    with PairedCamera(*cameras) as paired:
        frame = paired.read()
        assert frame is not None
        assert paired.read() is None
    assert [camera.history for camera in cameras] == [["open", "close"]] * 2
    return frame


def test_one_moment_makes_one_frame() -> None:
    frame = pair(GOOD, GOOD)
    assert frame.infrared is not None and frame.infrared.shape == frame.pixels.shape[:2]
    assert frame.camera == GOOD


def test_pictures_of_two_moments_are_not_paired() -> None:
    late = APART_NS / 1e6 + 1
    assert pair(GOOD, GOOD, (0.0, late)).infrared is None


def test_the_worse_of_the_two_is_told() -> None:
    worse = replace(GOOD, opened_ms=700, steady_ms=900, exposure=Exposure.IGNORED)
    for frame in (pair(GOOD, worse), pair(worse, GOOD)):
        assert frame.camera is not None
        assert (frame.camera.opened_ms, frame.camera.exposure) == (700, Exposure.IGNORED)
    assert pair(None, None).camera is None


@pytest.mark.parametrize("breaks", ["open", "read"])
def test_one_that_breaks_leaves_none_open(breaks: str) -> None:
    clock = Clock()
    colour, infrared = FakeCamera(clock), FakeCamera(clock, ages_ms=[], breaks=breaks)
    with pytest.raises(CameraError), PairedCamera(colour, infrared) as paired:
        paired.read()
    assert colour.history[-1] == "close"
    assert not any(frame.pixels.any() for frame in colour.given), "no picture is left behind"
