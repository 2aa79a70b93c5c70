"""Following: fewer searches, the same faces; a newcomer is seen within three frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.settings import MatchSettings
from gatevault.core.types import Box
from gatevault.lab.portraits import astronaut, moving
from gatevault.vision.detect import Detector, Face, Points
from gatevault.vision.follow import FULL_EVERY, Follower
from gatevault.vision.frame import Pixels
from gatevault.vision.pictures import read_picture

SHAPE = (360, 640, 3)


@dataclass
class Scripted(Detector):
    """A scene that is told; searching a region shows the boxes whose centre lies in it."""

    sides = (640, 1280, 2560)
    narrowest = 60
    preferred = 90
    usual_score = 0.4
    scene: Sequence[Box] = ()
    done: list[str] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    forgotten: int = 0
    points: Callable[[], Points | None] = lambda: None

    def find(self, pixels: Pixels, min_score: float | None = None, level: int = 0) -> list[Face]:
        self.done.append("full")
        self.levels.append(level)
        assert pixels.any(), "the frame was overwritten before it was searched"
        found = [Face(box, 1.0, self.points()) for box in self.scene]
        return sorted(found, key=lambda face: face.box.width, reverse=True)

    def near(self, pixels: Pixels, box: Box, min_score: float | None = None) -> list[Face]:
        self.done.append("near")
        reach = box.width // 2
        return [
            Face(b, 1.0, self.points())
            for b in self.scene
            if box.left - reach <= (b.left + b.right) / 2 <= box.right + reach
            and box.top - reach <= (b.top + b.bottom) / 2 <= box.bottom + reach
        ]

    def search(self, picture: Pixels, min_score: float) -> list[tuple[Sequence[float], float, Points | None]]:
        raise AssertionError("not asked")

    def forget(self) -> None:
        self.forgotten += 1


def box(left: int, width: int = 100, top: int = 100) -> Box:
    return Box(left, top, left + width, top + width)


def wall(seed: int = 0, level: float = 100.0) -> Pixels:
    return np.random.default_rng(seed).normal(level, 4.0, SHAPE).clip(0, 255).astype(np.uint8)


def run(detector: Scripted, *scenes: Sequence[Box], follower: Follower | None = None) -> list[list[Box]]:
    follower = follower or Follower(detector)
    seen = []
    for number, scene in enumerate(scenes):
        detector.scene = scene
        seen.append([face.box for face in follower.find(wall(number))])
    return seen


def test_a_face_that_stays_is_followed_between_full_searches() -> None:
    detector = Scripted()
    seen = run(detector, *([box(200 + 5 * i)] for i in range(8)))
    assert detector.done == ["full", "full", "near", "near", "full", "near", "near", "full"]
    assert seen == [[box(200 + 5 * i)] for i in range(8)]


def test_no_look_is_decided_before_a_second_full_search() -> None:
    """A grant needs `matching.min_frames` frames with a face; one after the first was searched in full."""
    for frames in (MatchSettings().min_frames, 2):
        detector = Scripted()
        run(detector, *([box(200)] for _ in range(frames)))
        assert "full" in detector.done[1:]
    assert MatchSettings().min_frames >= FULL_EVERY


@given(st.lists(st.integers(0, 4), min_size=3, max_size=25))
def test_of_any_three_frames_one_is_searched_in_full(path: list[int]) -> None:
    """Whatever faces do, come, go and move: no three frames in a row without a full search."""
    detector, follower = Scripted(), None
    follower = Follower(detector)
    full = []
    for number, step in enumerate(path):
        before = follower.full_searches
        detector.scene = [box(100 + 20 * step + 130 * i) for i in range(min(step, 3))]
        follower.find(wall(number))
        full.append(follower.full_searches > before)
    assert all(any(full[i : i + FULL_EVERY]) for i in range(len(full) - FULL_EVERY + 1))


@pytest.mark.parametrize("beside", [30, 500])
def test_a_second_person_is_seen_within_three_frames(beside: int) -> None:
    for arrival in range(1, 8):
        detector = Scripted()
        one, two = box(250), box(beside)
        seen = run(detector, *([one] for _ in range(arrival)), *([one, two] for _ in range(3)))
        assert any(len(boxes) == 2 for boxes in seen[arrival : arrival + FULL_EVERY])


def test_a_second_person_near_the_first_is_seen_at_once() -> None:
    detector = Scripted()
    seen = run(detector, [box(200)], [box(200)], [box(200), box(290)])
    assert detector.done == ["full", "full", "near", "full"]
    assert len(seen[2]) == 2


def test_two_known_people_are_both_followed_and_the_widest_is_first() -> None:
    detector = Scripted()
    left, right = box(50, 100), box(400, 60)
    grown = box(395, 75)
    seen = run(detector, [left, right], [left, right], [left, grown], [left, box(388, 95)])
    assert detector.done == ["full", "full", "near", "near", "near", "near"]
    assert seen[2] == [left, grown]
    assert seen[3][1].width == 95


@pytest.mark.parametrize("then", [[], [box(200, 150, 75)], [box(260)], [box(200, 60, 120)]])
def test_a_face_that_is_lost_or_jumps_is_searched_in_full(then: list[Box]) -> None:
    detector = Scripted()
    assert run(detector, [box(200)], [box(200)], then)[2] == then
    assert detector.done[-1] == "full"


def test_another_scene_or_size_is_searched_in_full() -> None:
    detector = Scripted(scene=[box(200)])
    follower = Follower(detector)
    for pixels in (wall(1), wall(2), wall(3, level=160.0)):
        follower.find(pixels)
    assert detector.done == ["full"] * 3
    follower.forget()
    for pixels in (wall(1), wall(2), wall(3)[:300].copy()):
        follower.find(pixels)
    assert detector.done == ["full"] * 6


def test_while_nobody_is_found_the_search_grows_finer_now_and_then() -> None:
    detector = Scripted()
    run(detector, *([] for _ in range(20)))
    assert detector.levels == [*(0, 0, 0, 1) * 3, 0, 0, 0, 2, 0, 0, 0, 1]
    # A face near the narrowest that a coarse search finds: its rival may be a little smaller.
    detector = Scripted()
    run(detector, [box(200, 70)], [box(200, 70)])
    assert detector.levels == [0, 1]
    detector = Scripted()
    run(detector, [box(200, 20)], [box(200, 20)])
    assert detector.levels == [0, 1], "never the finest while somebody is there: it takes too long"


def test_the_looks_end_overwrites_and_forgets() -> None:
    points = np.ones((5, 2))
    detector = Scripted(scene=[box(200)], points=lambda: points)
    follower = Follower(detector)
    follower.find(wall(1))
    scene = follower._scene
    assert scene is not None
    assert scene.any()
    follower.find(wall(2))
    assert not scene.any(), "a thumbnail is overwritten when the next one takes its place"
    last = follower._scene
    follower.forget()
    assert last is not None
    assert not last.any()
    assert not points.any()
    assert detector.forgotten == 1
    follower.find(wall(3))
    follower.find(wall(4))
    assert detector.done == ["full"] * 4, "the next look begins with full searches"


def test_frames_are_never_altered() -> None:
    for shape in ((1, 1, 3), (17, 900, 3), (100, 100, 3), (300, 256, 3), SHAPE):
        pixels = np.random.default_rng(1).integers(1, 256, shape, np.uint8)
        kept = pixels.copy()
        Follower(Scripted()).find(pixels)
        assert np.array_equal(pixels, kept)


# --- with real detectors -------------------------------------------------------------------------


def follows_as_found(detector: Detector, frames: Sequence[Pixels]) -> Follower:
    """Both find as many faces in every frame, at the same places."""
    follower = Follower(detector)
    for frame in frames:
        plain, ours = detector.find(frame), follower.find(frame)
        assert len(plain) == len(ours)
        for a, b in zip(plain, ours, strict=True):
            assert abs(a.box.left + a.box.right - b.box.left - b.box.right) < 0.5 * a.box.width
            assert 0.7 < a.box.width / b.box.width < 1.4
    return follower


def test_a_moving_portrait_is_found_as_well_when_followed(detector: Detector) -> None:
    frames = list(moving(astronaut(), 12, seed=4))
    assert follows_as_found(detector, frames).full_searches <= 7


def test_different_photographs_give_the_very_same_faces(shared: Path, detector: Detector) -> None:
    """A bench's folder: consecutive pictures are of different moments, so that nothing may be followed."""
    follower = Follower(detector)
    files = sorted((shared / "recognition" / "photos").glob("resident_0*/*.jpg"))[:40]
    assert len(files) == 40
    found = 0
    for path in files:
        pixels = read_picture(path)
        plain = [(face.box, face.score) for face in detector.find(pixels)]
        assert [(face.box, face.score) for face in follower.find(pixels)] == plain, path
        found += bool(plain)
    assert found > 35


def test_a_clip_is_followed_in_less_searching(shared: Path, detector: Detector) -> None:
    """One person in close-up from its 133rd frame on, every third frame."""
    capture = cv2.VideoCapture(str(shared / "faces" / "short_hamilton_clip.mp4"))
    follower, plain, ours = Follower(detector), 0, 0
    for number in range(210):
        capture.grab()
        if number >= 132 and number % 3 == 0:
            frame = cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)
            plain += bool(detector.find(frame))
            ours += bool(follower.find(frame))
    capture.release()
    assert plain > 20
    assert ours >= plain - 1
    assert follower.full_searches <= 15
