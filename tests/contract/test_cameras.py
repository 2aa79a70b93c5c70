"""One suite for every camera: what the look relies on, whatever gives the frames."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gatevault.core.errors import CameraError
from gatevault.vision import live, pictures
from gatevault.vision.camera import open_camera
from gatevault.vision.frame import Camera, Frame
from tests.vision.webcam import Webcam

CLIP_FRAMES = 20
CLIP_FPS = 20.0


WEBCAMS: dict[str, Callable[[], Webcam]] = {
    "v4l2": Webcam,
    "v4l2-raw": lambda: Webcam(obeys=False),
    "v4l2-queue": lambda: Webcam(ages_ms=[900.0] * 4),
    "v4l2-deaf": lambda: Webcam(holds=False),
    "v4l2-liar": lambda: Webcam(tells_exposure=False),
    "v4l2-plain": lambda: Webcam(controls=False),
}
"""USB cameras by what they do not do; see `tests/vision/webcam.py`."""


@dataclass
class Given:
    """A camera under test: how to make it, how many frames it has (None: endless), whether it is shut."""

    make: Callable[[], Camera]
    count: int | None
    released: Callable[[], bool] = lambda: True


def a_clip(folder: Path) -> Path:
    for name, code in (("clip.mp4", "mp4v"), ("clip.avi", "MJPG")):
        path = folder / name
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), CLIP_FPS, (128, 72))
        if writer.isOpened():
            for _ in range(CLIP_FRAMES):
                writer.write(np.full((72, 128, 3), (20, 20, 220), np.uint8))
            writer.release()
            return path
    pytest.skip("this OpenCV writes neither MPEG-4 nor MJPG clips")


@pytest.fixture(params=["still-once", "still-again", "clip", "dir-once", "dir-again", *WEBCAMS])
def given(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Given:
    folder = tmp_path / "a folder with spaces"
    folder.mkdir()
    kind = request.param
    if kind in WEBCAMS:
        webcam = WEBCAMS[kind]()
        monkeypatch.setattr(live.cv2, "VideoCapture", webcam)
        return Given(
            lambda: open_camera("v4l2:/dev/null", bench=False, repeat=True),
            None,
            released=lambda: not webcam.opened,
        )
    if kind == "clip":
        path = a_clip(folder)
        opened: list[Any] = []
        capture = cv2.VideoCapture

        def remember(*arguments: Any) -> Any:
            opened.append(capture(*arguments))
            return opened[-1]

        monkeypatch.setattr(pictures.cv2, "VideoCapture", remember)
        return Given(
            lambda: open_camera(f"file:{path}", bench=True, repeat=False),
            CLIP_FRAMES // 2,
            released=lambda: not any(c.isOpened() for c in opened),
        )
    for name in ("1.png", "2.png", "3.png"):
        assert cv2.imwrite(str(folder / name), np.full((72, 128, 3), (20, 20, 220), np.uint8))
    again = kind.endswith("-again")
    if kind.startswith("still"):
        still = f"file:{folder / '1.png'}"
        return Given(lambda: open_camera(still, bench=True, repeat=again), None if again else 1)
    return Given(lambda: open_camera(f"dir:{folder}", bench=True, repeat=again), None if again else 3)


def read(camera: Camera, most: int = 30) -> list[Frame]:
    frames = []
    while len(frames) < most and (frame := camera.read()) is not None:
        frames.append(frame)
    return frames


def test_frames_are_rgb_contiguous_and_wipeable(given: Given) -> None:
    with given.make() as camera:
        for frame in read(camera):
            assert frame.pixels.shape == (72, 128, 3)
            assert frame.pixels.dtype == np.uint8
            assert frame.pixels.flags.c_contiguous
            red, _, blue = frame.pixels[36, 64].astype(int)
            assert red > blue + 60
            frame.wipe()
            assert not frame.pixels.any()


def test_frames_are_numbered_from_nought(given: Given) -> None:
    with given.make() as camera:
        frames = read(camera)
    assert [f.index for f in frames] == list(range(given.count or 30))


def test_times_are_of_the_monotonic_clock_and_of_this_look(given: Given) -> None:
    before = time.monotonic_ns() - 1_000_000_000
    with given.make() as camera:
        for frame in read(camera, 3):
            assert before < frame.taken_ns <= time.monotonic_ns()


def test_a_frame_is_the_callers_own(given: Given) -> None:
    with given.make() as camera:
        frames = read(camera, 2)
        frames[0].wipe()
        assert all(frame.pixels.any() for frame in frames[1:])


def test_a_finite_camera_ends_and_stays_ended(given: Given) -> None:
    with given.make() as camera:
        frames = read(camera)
        assert len(frames) == (given.count or 30)
        assert camera.finite == (given.count is not None)
        if camera.finite:
            assert camera.read() is None
            assert camera.read() is None


def test_it_is_released_however_the_look_ends(given: Given) -> None:
    with given.make() as camera:
        camera.read()
    assert given.released()
    with pytest.raises(CameraError, match="the look broke"), given.make() as camera:
        camera.read()
        raise CameraError("the look broke")
    assert given.released()


def test_nothing_is_opened_before_the_look(given: Given) -> None:
    given.make()
    assert given.released()


def test_the_same_clip_gives_the_same_frames(given: Given) -> None:
    if given.count is None:
        pytest.skip("an endless camera has no series to repeat")
    series = []
    for _ in range(2):
        with given.make() as camera:
            series.append([frame.pixels for frame in read(camera)])
    assert all(np.array_equal(a, b) for a, b in zip(*series, strict=True))
