"""The held exposure fits the face before anything counts, and stays then."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.settings import LookSettings
from gatevault.core.types import Box
from gatevault.core.wire import FaceSeen, FrameEmpty, Hint
from gatevault.vision.exposure import LATE_FRAMES
from gatevault.vision.frame import Frame
from gatevault.vision.look import run_look
from gatevault.vision.metering import BURNT_FACTOR, STEPS, WELL, Metering, correction
from gatevault.vision.paired import PairedCamera
from tests.vision.fakes import FakeCamera, FakeEngine, Sent, a_look, face
from tests.vision.webcam import AIM, Webcam, plug, v4l2

BOX = Box(40, 10, 90, 60)
FACE = (slice(10, 60), slice(40, 90))
SIZE = (72, 128)
LOW, HIGH = (share * 255 for share in WELL)


def picture(level: float, beside: float = 20.0) -> np.ndarray:
    made = np.full((*SIZE, 3), round(beside), np.uint8)
    made[FACE] = round(min(255.0, level))
    return made


# --- by how much ---------------------------------------------------------------------------------


@given(st.floats(1.0, 400.0))
def test_one_step_brings_a_face_near_the_aim(level: float) -> None:
    """Of a face that is not burnt one step comes near the aim, or as far up as a step goes."""
    factor = correction(picture(level), BOX, SIZE[1])
    if LOW + 1 <= level <= HIGH - 1:
        assert factor == 1.0
    elif level < LOW - 1:
        assert 1.0 < factor <= 4.0
    elif level > HIGH + 1:
        assert BURNT_FACTOR * 0.8 < factor < 0.5


def test_a_shining_nose_is_no_burnt_face_and_a_red_one_is() -> None:
    shining = picture(150.0)
    shining[30:42, 60:70] = 255
    assert correction(shining, BOX, SIZE[1]) == 1.0
    red = picture(110.0)
    red[FACE][..., 0] = 255
    assert correction(red, BOX, SIZE[1]) == BURNT_FACTOR, "one colour at its end says nothing of light any more"


def test_what_is_beside_a_face_does_not_count_nor_does_one_outside_the_picture() -> None:
    assert correction(picture(150.0, beside=255.0), BOX, SIZE[1]) == 1.0
    assert correction(picture(150.0), Box(-90, -90, -10, -10), SIZE[1]) == 1.0


def test_an_infrared_picture_of_another_size_is_looked_at_in_the_same_place() -> None:
    small = np.full((36, 64), 20, np.uint8)
    small[5:30, 20:45] = 255
    assert correction(small, BOX, SIZE[1]) == BURNT_FACTOR


# --- step by step --------------------------------------------------------------------------------


@dataclass
class Exposed:
    """A camera that has been opened: its exposure scales the light of what it sees, some frames later."""

    light: float
    late: int = LATE_FRAMES
    obeys: bool = True
    exposure: float = 1.0
    asked: list[float] = field(default_factory=list)
    pending: list[tuple[int, float]] = field(default_factory=list)
    read_frames: int = 0
    finite: bool = False

    def expose(self, factor: float) -> bool:
        self.asked.append(factor)
        if self.obeys:
            last = self.pending[-1][1] if self.pending else self.exposure
            self.pending.append((self.read_frames + self.late, last * factor))
        return self.obeys

    def read(self) -> Frame:
        for at, exposure in self.pending:
            if self.read_frames >= at:
                self.exposure = exposure
        level = 255.0 * min(1.0, (self.light * self.exposure)) ** (1 / 2.2)
        self.read_frames += 1
        return Frame(picture(level), 1, self.read_frames - 1)


def metered(camera: Any, frames: int = 40) -> list[Hint | None]:
    metering = Metering(camera)
    return [metering.unfit(camera.read(), BOX) for _ in range(frames)]


@pytest.mark.parametrize("light", [0.02, 0.05, 0.2, 0.5, 1.0, 3.0, 6.0])
def test_any_light_is_met_and_then_nothing_changes_any_more(light: float) -> None:
    camera = Exposed(light)
    hints = metered(camera)
    fits = hints.index(None)
    assert all(hint is None for hint in hints[fits:]), "once is for good"
    assert fits <= STEPS * (LATE_FRAMES + 1)
    assert LOW <= 255.0 * (light * camera.exposure) ** (1 / 2.2) <= HIGH
    assert set(hints[:fits]) <= {Hint.TOO_BRIGHT, Hint.TOO_DARK}
    before = len(camera.asked)
    camera.light *= 5.0
    metered_again = [camera.read() for _ in range(5)]
    assert len(camera.asked) == before and metered_again


def test_a_face_that_is_well_lit_waits_for_nothing() -> None:
    camera = Exposed(0.3)
    assert metered(camera, 3) == [None, None, None] and camera.asked == []


def test_light_beyond_all_steps_is_left_to_the_tests_that_refuse_it() -> None:
    camera = Exposed(1_000.0)
    hints = metered(camera)
    assert len(camera.asked) == STEPS and hints[-1] is None


def test_a_camera_that_does_not_obey_costs_one_try() -> None:
    camera = Exposed(3.0, obeys=False)
    assert metered(camera, 5) == [None] * 5 and len(camera.asked) == 1


def test_a_camera_of_the_bench_is_taken_as_it_is() -> None:
    metering = Metering(FakeCamera(lambda: 0))  # type: ignore[arg-type]
    assert metering.unfit(Frame(picture(255.0), 1, 0), BOX) is None


def test_both_of_a_pair_are_metered_each_by_its_own_picture() -> None:
    colour, infrared = Exposed(0.3), Exposed(4.0)
    metering = Metering(PairedCamera(colour, infrared))  # type: ignore[arg-type]

    def both(number: int) -> Hint | None:
        grey = np.ascontiguousarray(infrared.read().pixels[..., 1])
        return metering.unfit(Frame(colour.read().pixels, 1, number, grey), BOX)

    hints = [both(number) for number in range(20)]
    assert hints[0] is Hint.TOO_BRIGHT and hints[-1] is None
    assert colour.asked == [] and infrared.asked
    assert metering.unfit(Frame(picture(150.0), 1, 21), BOX) is None, "a moment without an infrared picture"


def test_a_pair_whose_infrared_picture_comes_late_is_not_changed_within_a_look() -> None:
    """The first frame counted, so somebody may have been asked since."""
    colour, infrared = Exposed(0.3), Exposed(4.0)
    metering = Metering(PairedCamera(colour, infrared))  # type: ignore[arg-type]
    assert metering.unfit(Frame(colour.read().pixels, 1, 0), BOX) is None
    grey = np.ascontiguousarray(infrared.read().pixels[..., 1])
    assert metering.unfit(Frame(colour.read().pixels, 1, 1, grey), BOX) is None
    assert infrared.asked == []


# --- a whole look with a camera of the kernel ----------------------------------------------------


@pytest.mark.parametrize(("face_light", "hint"), [(6.0, Hint.TOO_BRIGHT), (0.15, Hint.TOO_DARK)])
def test_a_look_counts_no_frame_before_its_face_is_well_lit(
    face_light: float, hint: Hint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lit face before a dark garden, and one before a bright sky."""
    webcam = Webcam(4.0, 60.0, size=(240, 320), face=(slice(20, 120), slice(100, 200)), face_light=face_light)
    plug(monkeypatch, webcam)
    levels: list[float] = []
    sent, ends = Sent(), itertools.count()
    engine = FakeEngine((face(100, 100),))
    _watch_levels(webcam, engine, levels)
    run_look(a_look(trigger_ns=time.monotonic_ns()), LookSettings(), v4l2(), engine, sent, lambda: next(ends) > 40)
    told = [message for message in sent.messages if isinstance(message, FrameEmpty | FaceSeen)]
    first = next(number for number, message in enumerate(told) if isinstance(message, FaceSeen))
    assert 0 < first <= STEPS * (LATE_FRAMES + 1)
    assert {m.hint for m in told[:first] if isinstance(m, FrameEmpty)} == {hint}
    assert all(isinstance(message, FaceSeen) for message in told[first:]) and len(told) > first + 5
    assert all(LOW <= level <= HIGH for level in levels[first:]) and np.ptp(levels[first:]) <= 5.0
    assert webcam.scene * webcam.exposure != pytest.approx(AIM, rel=0.1), (
        "the view is no longer as the automatic has it"
    )


def _watch_levels(webcam: Webcam, engine: FakeEngine, levels: list[float]) -> None:
    find: Callable[..., Any] = engine.find

    def watched(pixels: np.ndarray, score: float | None) -> Any:
        levels.append(float(pixels[70, 150].mean()))
        return find(pixels, score)

    engine.find = watched  # type: ignore[method-assign]
