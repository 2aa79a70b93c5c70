"""Half frames are refused, real pictures are not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gatevault.core.settings import LookSettings
from gatevault.core.types import Box
from gatevault.core.wire import FaceSeen, FrameEmpty, Hint, LookEnd
from gatevault.lab.portraits import admiral, astronaut, moving
from gatevault.vision.broken import dead_rows, is_broken, is_cut_off, is_torn
from gatevault.vision.engine import FaceEngine
from gatevault.vision.frame import Pixels
from gatevault.vision.look import run_look
from gatevault.vision.pictures import read_picture
from tests.vision.fakes import Clock, FakeCamera, FakeEngine, Sent, a_look, face

HEIGHT, WIDTH = 360, 640


def scene(seed: int = 1) -> Pixels:
    """A noisy picture with a gradient, as a camera gives."""
    chance = np.random.default_rng(seed)
    slope = np.linspace(40, 200, HEIGHT)[:, None, None]
    return (slope + chance.normal(0, 3, (HEIGHT, WIDTH, 3))).clip(0, 255).astype(np.uint8)


def broken(pixels: Pixels) -> bool:
    return is_broken(pixels, dead_rows(pixels))


@pytest.mark.parametrize("colour", [(0, 135, 0), (128, 128, 128), (0, 0, 0), (255, 255, 255), (16, 16, 16)])
def test_a_frame_of_one_colour_shows_nothing(colour: tuple[int, int, int]) -> None:
    assert broken(np.full((HEIGHT, WIDTH, 3), colour, np.uint8))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("colour", [(0, 135, 0), (128, 128, 128), (0, 154, 0)])
def test_a_frame_whose_lower_part_was_never_read(colour: tuple[int, int, int], share: float) -> None:
    pixels = scene()
    pixels[round(HEIGHT * (1 - share)) :] = colour
    assert broken(pixels)
    # The same as a camera's JPEG.
    again = cv2.imdecode(cv2.imencode(".jpg", pixels)[1], cv2.IMREAD_COLOR)
    assert broken(again)


def test_a_frame_whose_lower_part_repeats() -> None:
    last_row = scene()
    last_row[200:] = last_row[199]
    assert broken(last_row)
    block = scene()
    block[240:] = block[:120]
    assert broken(block)


def test_a_whole_frame_is_not_broken() -> None:
    assert not broken(scene())
    assert not dead_rows(scene()).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (2, 2), (900, 1), (3, 65)])
def test_the_smallest_pictures_are_judged_without_a_fault(size: tuple[int, int]) -> None:
    broken(np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8))


def test_letterboxes_and_nights_are_pictures() -> None:
    """Black and white bands are real; what lies in them is no face."""
    boxed = scene()
    boxed[:50] = boxed[-50:] = 0
    night = scene()
    night[100:] = 0
    sky = scene()
    sky[-60:] = 255
    for pixels in (boxed, night, sky):
        assert not broken(pixels)
    dead = dead_rows(night)
    assert is_cut_off(Box(100, 50, 200, 150), dead, WIDTH)
    assert not is_cut_off(Box(100, 0, 190, 90), dead, WIDTH)


def test_a_camera_that_doubles_its_lines_is_no_broken_one() -> None:
    assert not broken(np.repeat(scene()[::2], 2, axis=0))


def test_a_face_that_reaches_too_far_beyond_the_picture() -> None:
    live = np.zeros(HEIGHT, np.bool_)
    for inside in (Box(0, 0, 100, 100), Box(-15, 0, 85, 100), Box(550, 0, 655, 100), Box(10, 275, 110, 374)):
        assert not is_cut_off(inside, live, WIDTH)
    for beyond in (Box(-16, 0, 84, 100), Box(556, 0, 656, 100), Box(10, -16, 110, 84), Box(10, 276, 110, 376)):
        assert is_cut_off(beyond, live, WIDTH)


def test_a_face_torn_from_two_moments(engine: FaceEngine, hopper: Pixels) -> None:
    (found,) = engine.find(hopper, None)
    engine.forget()
    other = np.roll(cv2.resize(hopper[::-1], hopper.shape[1::-1]), 40, axis=1)
    middle = (found.box.top + found.box.bottom) // 2
    torn = hopper.copy()
    torn[middle:] = other[middle:]
    assert is_torn(torn, found.box)
    assert not is_torn(hopper, found.box)
    assert not is_torn(hopper, Box(0, 0, 4, 4))


def test_no_real_picture_is_called_broken(shared: Path) -> None:
    photos = [*(shared / "recognition" / "photos").glob("*/*.jpg"), *(shared / "faces").glob("*.[jp][pn]g")]
    photos += (shared / "pad").glob("*/*.[jJ][pP][gG]")
    assert len(photos) > 440
    assert [path.name for path in photos if broken(read_picture(path))] == []
    capture = cv2.VideoCapture(str(shared / "faces" / "short_hamilton_clip.mp4"))
    while capture.grab():
        assert not broken(capture.retrieve()[1])
    capture.release()


def test_no_whole_face_is_called_torn(engine: FaceEngine, shared: Path) -> None:
    """Every fourth photograph here; of all 536 boxes of the research data none was (docs/recognition.md)."""
    pictures = [read_picture(p) for p in sorted((shared / "recognition" / "photos").glob("*/*.jpg"))[::4]]
    for portrait in (astronaut(), admiral()):
        pictures += list(moving(portrait, 4, seed=1))
    judged = 0
    for pixels in pictures:
        engine.forget()
        for found in engine.find(pixels, None):
            assert not is_torn(pixels, found.box)
            judged += 1
    assert judged > 100


# --- in a look -----------------------------------------------------------------------------------


class Half(FakeCamera):
    """Gives frames whose lower half is green."""

    def read(self):  # type: ignore[no-untyped-def]
        frame = super().read()
        if frame is not None:
            frame.pixels[120:] = (0, 135, 0)
        return frame


def test_a_half_frame_is_counted_told_and_never_searched() -> None:
    engine, sent = FakeEngine(), Sent()
    camera = Half(Clock(), ages_ms=[0.0] * 3)
    done = run_look(a_look(), LookSettings(), camera, engine, sent, lambda: False, camera.clock)
    assert (done.end, done.frames) == (LookEnd.END_OF_FILE, 3)
    assert [m.hint for m in sent.of(FrameEmpty)] == [Hint.BAD_FRAME] * 3
    assert (engine.searched, engine.vectors) == (0, [])
    assert not any(frame.pixels.any() for frame in camera.given)


@pytest.mark.parametrize(
    ("left", "top", "hint"),
    [(-30, 20, Hint.CUT_OFF), (250, 20, Hint.CUT_OFF), (100, 160, Hint.CUT_OFF), (100, -40, Hint.CUT_OFF)],
)
def test_a_face_cut_off_by_the_edge_never_reaches_the_network(left: int, top: int, hint: Hint) -> None:
    engine, sent = FakeEngine(faces=(face(left, 100, top=top),)), Sent()
    camera = FakeCamera(Clock())
    run_look(a_look(), LookSettings(), camera, engine, sent, lambda: False, camera.clock)
    assert [m.hint for m in sent.of(FrameEmpty)] == [hint]
    assert engine.vectors == []


def test_a_torn_face_never_reaches_the_network() -> None:
    class Torn(FakeCamera):
        def read(self):  # type: ignore[no-untyped-def]
            frame = super().read()
            if frame is not None:
                frame.pixels[:] = np.random.default_rng(3).normal(60, 2, frame.pixels.shape).astype(np.uint8)
                frame.pixels[70:] += 90
            return frame

    engine, sent = FakeEngine(), Sent()
    camera = Torn(Clock())
    run_look(a_look(), LookSettings(), camera, engine, sent, lambda: False, camera.clock)
    assert [m.hint for m in sent.of(FrameEmpty)] == [Hint.BAD_FRAME]
    assert sent.of(FaceSeen) == []
    assert engine.vectors == []
