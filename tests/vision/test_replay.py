"""A recorded presentation as a camera: every frame at its own time, its lights told once, nothing left behind."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from gatevault.core.errors import BenchOnlyError, CameraError
from gatevault.core.liveness import Edge, Lamp, Prompt, Side
from gatevault.vision.camera import open_camera
from gatevault.vision.recorded import Presentation, save
from gatevault.vision.replay import ReplayCamera

TIMES = np.array([0.0, 0.04, 0.08, 0.3])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    frames = np.repeat(np.arange(1, 5, dtype=np.uint8)[:, None, None, None], 6, 1).repeat(8, 2).repeat(3, 3)
    made = Presentation(
        np.ascontiguousarray(frames),
        TIMES,
        np.ascontiguousarray(frames[..., 0] + 10),
        ((0.05, "left"), (0.1, "ahead"), (0.2, "right")),
        ((0.0, True), (0.1, False)),
        ((0.1, True),),
    )
    save(made, tmp_path / "it.npz")
    return tmp_path / "it.npz"


def test_every_frame_comes_with_the_recordings_own_times(path: Path) -> None:
    began = time.monotonic_ns()
    with ReplayCamera(path) as camera:
        frames = [camera.read() for _ in TIMES]
        assert camera.read() is None and camera.finite
        assert time.monotonic_ns() - began >= 300_000_000, "no faster than it happened"
    given = [frame for frame in frames if frame is not None]
    assert [frame.pixels[0, 0, 0] for frame in given] == [1, 2, 3, 4]
    assert [int(frame.infrared[0, 0]) for frame in given if frame.infrared is not None] == [11, 12, 13, 14]
    assert np.allclose([(frame.taken_ns - given[0].taken_ns) / 1e9 for frame in given], TIMES)
    assert camera.clock() == given[-1].taken_ns >= began


def test_its_lights_are_told_with_the_first_frame(path: Path) -> None:
    with ReplayCamera(path) as camera:
        first, second = camera.read(), camera.read()
    assert first is not None and second is not None and second.lights == ()
    at = first.taken_ns
    assert first.lights == (
        Prompt(at + 50_000_000, Side.LEFT),
        Prompt(at + 100_000_000, None),
        Prompt(at + 200_000_000, Side.RIGHT),
        Edge(at, Lamp.LED, True),
        Edge(at + 100_000_000, Lamp.LED, False),
        Edge(at + 100_000_000, Lamp.IR, True),
    )


def test_a_late_reader_misses_nothing(path: Path) -> None:
    with ReplayCamera(path) as camera:
        camera.read()
        time.sleep(0.2)
        second = camera.read()
    assert second is not None and second.pixels[0, 0, 0] == 2


def test_a_frame_is_its_readers_own_and_the_recording_is_overwritten(path: Path) -> None:
    camera = ReplayCamera(path)
    with camera:
        frame = camera.read()
        assert frame is not None and camera._recording is not None
        frame.wipe()
        held = camera._recording.frames
        assert held[0].any() and not frame.pixels.any() and frame.infrared is not None and not frame.infrared.any()
    assert not held.any()


def test_a_real_gate_refuses_it_and_a_damaged_one_is_told(path: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchOnlyError):
        open_camera(f"file:{path}", bench=False, repeat=True)
    assert isinstance(open_camera(f"file:{path}", bench=True, repeat=True), ReplayCamera)
    broken = tmp_path / "broken.npz"
    broken.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CameraError, match=r"broken\.npz"), ReplayCamera(broken):
        pass
    with pytest.raises(CameraError, match=r"none\.npz"), ReplayCamera(tmp_path / "none.npz"):
        pass
