"""Both detectors: the same faces, in the same boxes, at any size that a gate sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import dlib
import numpy as np
import pytest

from gatevault.core.errors import ModelError
from gatevault.core.settings import LookSettings
from gatevault.core.types import Box
from gatevault.core.wire import FrameEmpty, Hint
from gatevault.lab.portraits import admiral
from gatevault.vision import models
from gatevault.vision.camera import open_camera
from gatevault.vision.detect import Detector, Face, Points
from gatevault.vision.engine import FaceEngine
from gatevault.vision.frame import Pixels
from gatevault.vision.hog import HogDetector
from gatevault.vision.look import run_look
from gatevault.vision.pictures import read_picture
from gatevault.vision.yunet import YunetDetector
from tests.vision.conftest import YUNET
from tests.vision.fakes import Sent, a_look


def overlap(a: Box, b: Box) -> float:
    across = max(0, min(a.right, b.right) - max(a.left, b.left))
    down = max(0, min(a.bottom, b.bottom) - max(a.top, b.top))
    both = across * down
    return both / (a.width * a.height + b.width * b.height - both)


def in_a_frame(width: int, left: int = 700, shape: tuple[int, int] = (720, 1280)) -> Pixels:
    """A 1280×720 frame in which the admiral's face is about `width` pixels wide."""
    portrait = admiral()  # its face has 142 of 340 pixels
    side = round(340 * width / 142)
    frame = np.random.default_rng(1).normal(110, 3, (*shape, 3)).clip(0, 255).astype(np.uint8)
    how = cv2.INTER_AREA if side < 340 else cv2.INTER_LINEAR
    frame[100 : 100 + side, left : left + side] = cv2.resize(portrait, (side, side), interpolation=how)
    return frame


def test_both_draw_the_box_that_dlib_draws(shared: Path, detector: Detector) -> None:
    """Sizes, landmarks and quality mean the same whichever detector found the face."""
    hog = HogDetector(dlib.get_frontal_face_detector())
    alike = []
    for path in sorted((shared / "recognition" / "photos").glob("resident_1*/1.jpg")):
        pixels = read_picture(path)
        reference, found = hog.find(pixels), detector.find(pixels)
        if len(reference) == 1 and found:
            alike.append(max(overlap(reference[0].box, face.box) for face in found))
    assert len(alike) >= 8
    assert np.median(alike) > 0.75
    assert min(alike) > 0.55


def test_points_lie_on_the_face_in_yunets_order(shared: Path, astronaut: Pixels) -> None:
    detector = YunetDetector((shared / YUNET).read_bytes())
    for factor in (1.0, 3.0):
        (face,) = detector.find(cv2.resize(astronaut, None, fx=factor, fy=factor))
        assert face.points is not None
        assert face.points.shape == (5, 2)
        right_eye, left_eye, nose, right_mouth, left_mouth = face.points / factor
        assert right_eye[0] < nose[0] < left_eye[0]
        assert right_mouth[0] < left_mouth[0]
        assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1])
        assert np.hypot(*(nose - (222, 118))) < 20
        near = detector.near(cv2.resize(astronaut, None, fx=factor, fy=factor), face.box)
        assert near[0].points is not None
        assert np.abs(near[0].points - face.points).max() < 6 * factor


def test_a_hog_face_has_no_points(astronaut: Pixels) -> None:
    (face,) = HogDetector(dlib.get_frontal_face_detector()).find(astronaut)
    assert face.points is None


@pytest.mark.parametrize("width", [50, 80, 140, 250])
def test_near_finds_what_a_full_search_found(detector: Detector, width: int) -> None:
    frame = in_a_frame(width, left=250)
    found = [face for level in range(3) for face in detector.find(frame, None, level)]
    assert found, "no level finds it"
    (near,) = detector.near(frame, found[0].box)
    assert overlap(near.box, found[0].box) > 0.6
    assert detector.near(frame, Box(900, 400, 900 + width, 400 + width)) == []
    assert detector.near(frame, Box(5000, 5000, 5100, 5100)) == [], "a box beyond the frame"


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (2, 3), (39, 41), (3000, 2)])
def test_the_smallest_pictures_hold_no_face(detector: Detector, size: tuple[int, int]) -> None:
    assert detector.find(np.full((*size, 3), 128, np.uint8), 0.3) == []


def test_forty_megapixels_are_searched_at_working_size(detector: Detector, astronaut: Pixels) -> None:
    large = cv2.resize(astronaut, (6320, 6320))
    (face,) = detector.find(large)
    assert overlap(face.box, Box(*(round(e * 12.34) for e in (175, 62, 279, 166)))) > 0.5


def test_searching_alters_nothing_and_repeats_after_forgetting(detector: Detector, astronaut: Pixels) -> None:
    def told(faces: Sequence[Face]) -> list[tuple[Box, float]]:
        return [(face.box, face.score) for face in faces]

    kept = astronaut.copy()
    first = detector.find(astronaut)
    near = detector.near(astronaut, first[0].box)
    detector.forget()
    assert told(detector.find(astronaut)) == told(first)
    assert told(detector.near(astronaut, first[0].box)) == told(near)
    assert np.array_equal(astronaut, kept)


def test_the_least_score_is_the_detectors_own_unless_named(detector: Detector, astronaut: Pixels) -> None:
    (face,) = detector.find(astronaut)
    assert face.score >= detector.usual_score
    assert detector.find(astronaut, face.score + 0.05) == []
    assert len(detector.find(astronaut, face.score - 0.05)) == 1


@pytest.mark.parametrize("width", [40, 48, 55])
def test_somebody_far_off_is_told_to_come_closer(
    detector: Detector, loaded: models.Models, tmp_path: Path, width: int
) -> None:
    """A face below `look.min_size` must be found to be told so; HOG doubles the frame for it, now and then."""
    path = tmp_path / "far.png"
    assert cv2.imwrite(str(path), in_a_frame(width)[:, :, ::-1])
    camera = open_camera(f"file:{path}", bench=True, repeat=True)
    sent = Sent()
    engine = FaceEngine(replace(loaded, detector=detector))
    run_look(
        a_look(trigger_ns=0, limit_ms=60_000),
        LookSettings(),
        camera,
        engine,
        sent,
        lambda: len(sent.messages) > 20,
    )
    assert Hint.COME_CLOSER in {m.hint for m in sent.of(FrameEmpty)}


class Odd(Detector):
    """Answers what it is told."""

    sides, narrowest, preferred, usual_score = (640,), 60, 90, 0.4

    def __init__(self, *rows: tuple[Sequence[float], float, Points | None]) -> None:
        self.rows = list(rows)

    def search(self, picture: Pixels, min_score: float) -> list[tuple[Sequence[float], float, Points | None]]:
        return self.rows

    def forget(self) -> None: ...


def test_what_is_no_number_or_no_box_is_no_face() -> None:
    nan, good = float("nan"), (10.0, 10.0, 90.0, 90.0)
    points = np.full((5, 2), 20.0)
    broken = points.copy()
    broken[3, 1] = np.inf
    odd = Odd(
        ((nan, 0, 50, 50), 1.0, None),
        ((0, 0, float("inf"), 50), 1.0, None),
        (good, nan, None),
        (good, 1.0, broken),
        ((50, 50, 50, 50), 1.0, None),
        ((60, 60, 10, 10), 1.0, None),
        (good, 0.5, points),
    )
    (face,) = odd.find(np.zeros((640, 640, 3), np.uint8))
    assert (face.box, face.score) == (Box(10, 10, 90, 90), 0.5)
    assert "20." not in repr(face)


def test_levels_suit_the_faces_width() -> None:
    hog = HogDetector(None)
    assert [hog.level_for((720, 1280, 3), width) for width in (300, 120, 119, 60, 59, 5)] == [0, 0, 1, 1, 2, 2]
    assert hog.level_for((250, 250, 3), 10) == 0, "a small photograph has one level"


@pytest.mark.parametrize("data", [b"", b"no model", bytes(4096)])
def test_a_file_that_is_no_yunet_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match="YuNet"):
        YunetDetector(data)


def test_another_network_is_no_yunet(shared: Path) -> None:
    with pytest.raises(ModelError, match="YuNet"):
        YunetDetector((shared / "models" / "foamliu_MobileFaceNet.onnx").read_bytes())
