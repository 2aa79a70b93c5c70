"""dlib for real, on pictures that ship with scientific packages; face_recognition is the reference."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gatevault.core.settings import LookSettings
from gatevault.core.types import Box
from gatevault.core.wire import FaceSeen, FrameEmpty, Hint, LookEnd
from gatevault.vision.camera import open_camera
from gatevault.vision.detect import Face
from gatevault.vision.embed import quality
from gatevault.vision.engine import FaceEngine
from gatevault.vision.frame import Pixels
from gatevault.vision.look import run_look
from gatevault.vision.pictures import read_picture
from tests.vision.fakes import Sent, a_look

SETTINGS = LookSettings(rival_share=0.7)


def only_face(engine: FaceEngine, pixels: Pixels) -> Face:
    (found,) = engine.find(pixels, SETTINGS.min_score)
    return found


def look_at(
    engine: FaceEngine, folder: Path, pixels: Pixels, settings: LookSettings = SETTINGS
) -> tuple[LookEnd, Sent]:
    path = folder / "seen.png"
    assert cv2.imwrite(str(path), pixels[:, :, ::-1])
    sent = Sent()
    camera = open_camera(f"file:{path}", bench=True, repeat=False)
    return run_look(a_look(trigger_ns=0), settings, camera, engine, sent, lambda: False).end, sent


def hint_for(engine: FaceEngine, folder: Path, pixels: Pixels) -> Hint:
    _, sent = look_at(engine, folder, pixels)
    (empty,) = sent.of(FrameEmpty)
    return empty.hint


def noise(level: int) -> Pixels:
    """A plain wall as a camera sees it, 640×360."""
    return np.random.default_rng(level).normal(level, 3, (360, 640, 3)).clip(0, 255).astype(np.uint8)


def test_finds_the_face_where_it_is(engine: FaceEngine, astronaut: Pixels, hopper: Pixels) -> None:
    found = only_face(engine, astronaut)
    assert found.box.left <= 225 <= found.box.right
    assert found.box.top <= 115 <= found.box.bottom
    assert 70 <= found.box.width <= 150
    assert found.score > 1.0
    assert only_face(engine, hopper).box.width > 150


@pytest.mark.parametrize("factor", [0.5, 2.0, 4.0])
def test_boxes_are_in_pixels_of_the_full_frame(engine: FaceEngine, hopper: Pixels, factor: float) -> None:
    plain = only_face(engine, hopper).box
    scaled = only_face(engine, cv2.resize(hopper, None, fx=factor, fy=factor)).box
    for a, b in ((plain.left, scaled.left), (plain.top, scaled.top), (plain.width, scaled.width)):
        assert abs(a - b / factor) < 0.2 * plain.width


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (2, 3), (39, 41), (3000, 2)])
def test_pictures_too_small_for_a_face_hold_none(engine: FaceEngine, size: tuple[int, int]) -> None:
    assert engine.find(np.full((*size, 3), 128, np.uint8), 0.0) == []


def test_descriptor_equals_the_reference(engine: FaceEngine, astronaut: Pixels, hopper: Pixels) -> None:
    reference = pytest.importorskip("face_recognition")
    for pixels in (astronaut, hopper):
        face = only_face(engine, pixels)
        box, chip = face.box, engine.chip(pixels, face)
        ours = engine.vector(chip)
        css = (box.top, box.right - 1, box.bottom - 1, box.left)
        (theirs,) = reference.face_encodings(pixels, [css], num_jitters=1, model="small")
        assert ours.dtype == np.float32
        assert ours.shape == (128,)
        assert np.abs(ours - theirs).max() < 1e-5


def test_a_descriptor_is_the_same_again_after_forgetting(engine: FaceEngine, astronaut: Pixels) -> None:
    face = only_face(engine, astronaut)
    first = engine.vector(engine.chip(astronaut, face))
    engine.forget()
    assert np.array_equal(first, engine.vector(engine.chip(astronaut, face)))


def test_two_photos_of_one_person_are_nearer_than_strangers(engine: FaceEngine, shared: Path) -> None:
    def unit(name: str) -> np.ndarray:
        pixels = read_picture(shared / "faces" / name)
        vector = engine.vector(engine.chip(pixels, engine.find(pixels, SETTINGS.min_score)[0]))
        return vector / np.linalg.norm(vector)

    obama, again, other = unit("obama.jpg"), unit("obama2.jpg"), unit("lin-manuel-miranda.png")
    assert obama @ again > max(obama @ other, again @ other) + 0.02


def test_quality_of_a_good_portrait(engine: FaceEngine, hopper: Pixels) -> None:
    face = only_face(engine, hopper)
    measured = engine.chip(hopper, face).quality
    assert measured.size == face.box.width
    assert measured.sharpness > SETTINGS.min_sharpness
    assert 0.2 < measured.exposure < 0.8
    assert abs(measured.yaw) < 0.5
    assert abs(measured.roll) < 20


def test_mirroring_turns_yaw_and_roll_round(engine: FaceEngine, astronaut: Pixels) -> None:
    plain = engine.chip(astronaut, only_face(engine, astronaut)).quality
    flipped = np.ascontiguousarray(astronaut[:, ::-1])
    mirrored = engine.chip(flipped, only_face(engine, flipped)).quality
    assert abs(plain.yaw + mirrored.yaw) < 0.1
    assert abs(plain.roll + mirrored.roll) < 4


def test_quality_follows_its_definitions() -> None:
    chip = np.full((150, 150, 3), 51, np.uint8)
    # Eyes level and 40 apart, nose 10 to the image's right of the middle.
    frontal = np.array([(75, 50), (65, 50), (25, 50), (35, 50), (60, 80)], np.float64)
    level = quality(chip, frontal, 77)
    assert (level.size, level.sharpness, level.roll) == (77.0, 0.0, 0.0)
    assert level.exposure == pytest.approx(0.2)
    assert level.yaw == pytest.approx(0.25)
    # Turned by 30 degrees, clockwise as seen: the roll shows it, the yaw stays.
    angle = np.radians(30)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    tilted = quality(chip, frontal @ turn, 77)
    assert tilted.roll == pytest.approx(30)
    assert tilted.yaw == pytest.approx(0.25)
    stripes = chip.copy()
    stripes[:, ::2] = 255
    assert quality(stripes, frontal, 77).sharpness > 1_000


def test_landmarks_in_one_point_still_give_finite_figures() -> None:
    quality(np.zeros((150, 150, 3), np.uint8), np.zeros((5, 2)), 20)


def test_a_good_picture_is_seen(engine: FaceEngine, tmp_path: Path, astronaut: Pixels) -> None:
    end, sent = look_at(engine, tmp_path, astronaut)
    (seen,) = sent.of(FaceSeen)
    assert end is LookEnd.END_OF_FILE
    assert Box(*seen.box) == only_face(engine, astronaut).box
    assert seen.distinct
    assert np.linalg.norm(sent.vectors[0]) > 0.5


def test_too_far_too_dark_too_bright_blurred(engine: FaceEngine, tmp_path: Path, hopper: Pixels) -> None:
    canvas = noise(90)
    small = cv2.resize(hopper, (220, 258), interpolation=cv2.INTER_AREA)
    canvas[50:308, 200:420] = small
    far = LookSettings(min_size=200)
    _, sent = look_at(engine, tmp_path, canvas, far)
    assert [m.hint for m in sent.of(FrameEmpty)] == [Hint.COME_CLOSER]
    assert hint_for(engine, tmp_path, (hopper * 0.15).astype(np.uint8)) is Hint.TOO_DARK
    bright = (255 - (255 - hopper) * 0.03).astype(np.uint8)
    assert hint_for(engine, tmp_path, bright) in (Hint.TOO_BRIGHT, Hint.NO_FACE)
    assert hint_for(engine, tmp_path, cv2.GaussianBlur(hopper, (0, 0), 5)) is Hint.BLURRED


def test_an_empty_scene_holds_no_face(engine: FaceEngine, tmp_path: Path) -> None:
    assert hint_for(engine, tmp_path, noise(90)) is Hint.NO_FACE


def test_two_people_side_by_side_end_the_look(engine: FaceEngine, tmp_path: Path, astronaut: Pixels) -> None:
    both = np.ascontiguousarray(np.hstack([astronaut[:300, 80:380], astronaut[:300, 80:380]]))
    end, sent = look_at(engine, tmp_path, both)
    assert end is LookEnd.SEVERAL_FACES
    assert sent.of(FaceSeen) == []
    # With a zone over the left half, the other one is a passer-by.
    end, sent = look_at(engine, tmp_path, both, LookSettings(zone=(0.0, 0.0, 0.5, 1.0), rival_share=0.7))
    assert end is LookEnd.END_OF_FILE
    assert sent.of(FaceSeen)[0].box[2] < 330


def test_two_people_in_a_photograph(engine: FaceEngine, shared: Path) -> None:
    sent = Sent()
    camera = open_camera(f"file:{shared / 'faces' / 'two_people.jpg'}", bench=True, repeat=False)
    done = run_look(a_look(trigger_ns=0), SETTINGS, camera, engine, sent, lambda: False)
    assert done.end is LookEnd.SEVERAL_FACES
