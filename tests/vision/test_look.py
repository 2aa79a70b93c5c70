"""One look's flow, with a camera, engine and clock that are told what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from gatevault.core.errors import ProtocolError
from gatevault.core.settings import LookSettings
from gatevault.core.wire import (
    MAX_SENTENCE,
    CameraOpen,
    FaceSeen,
    FrameEmpty,
    Hint,
    LookDone,
    LookEnd,
    Message,
    Purpose,
)
from gatevault.vision.embed import View
from gatevault.vision.look import FINITE_LIMIT_MS, failed, run_look
from tests.vision.fakes import GOOD, NONCE, START, Clock, FakeCamera, FakeEngine, Sent, a_look, face

SETTINGS = LookSettings(rival_share=0.7)


def go(
    camera: FakeCamera,
    engine: FakeEngine | None = None,
    sent: Sent | None = None,
    settings: LookSettings = SETTINGS,
    stop: object = None,
    **look: Any,
) -> tuple[LookDone, Sent]:
    sent = sent or Sent()
    stopped = stop or (lambda: False)
    done = run_look(a_look(**look), settings, camera, engine or FakeEngine(), sent, stopped, camera.clock)
    return done, sent


def test_every_fresh_frame_is_answered_once_and_in_order() -> None:
    done, sent = go(FakeCamera(Clock(), ages_ms=[10.0] * 5, finite=True))
    assert isinstance(sent.messages[0], CameraOpen)
    assert [m.frame for m in sent.of(FaceSeen)] == [0, 1, 2, 3, 4]
    assert len(sent.messages) == 6
    assert (done.end, done.frames, done.stale, done.error) == (LookEnd.END_OF_FILE, 5, 0, "")
    assert done.opened_ms == 600


def test_a_queue_of_old_frames_is_counted_and_never_examined() -> None:
    """The V4L2 trap: after a pause the first frames are of whoever stood there before."""
    engine = FakeEngine()
    camera = FakeCamera(Clock(), ages_ms=[1900.0, 1870.0, 1840.0, 1810.0, 20.0])
    done, sent = go(camera, engine, trigger_ns=START - 5_000_000_000)
    assert (done.frames, done.stale, engine.searched) == (1, 4, 1)
    assert [m.frame for m in sent.of(FaceSeen)] == [4]


def test_a_young_frame_from_before_the_trigger_is_refused() -> None:
    engine = FakeEngine()
    camera = FakeCamera(Clock(), ages_ms=[150.0, 10.0], step_ms=100.0)  # taken 50 ms before the trigger
    done, _ = go(camera, engine)
    assert (done.frames, done.stale) == (1, 1)


@pytest.mark.parametrize("age", [None, -1.0, -5000.0, 300.1])
def test_an_unknown_or_impossible_age_is_refused(age: float | None) -> None:
    engine = FakeEngine()
    done, sent = go(FakeCamera(Clock(), ages_ms=[age] * 3, step_ms=400.0), engine, trigger_ns=0)
    assert (done.frames, done.stale, engine.searched) == (0, 3, 0)
    assert len(sent.messages) == 1


def test_the_age_limit_itself_is_fresh() -> None:
    done, _ = go(FakeCamera(Clock(), ages_ms=[300.0], step_ms=400.0), trigger_ns=0)
    assert done.frames == 1


def test_the_limit_ends_an_endless_camera() -> None:
    camera = FakeCamera(Clock(), endless=True)
    done, _ = go(camera, limit_ms=1_000)
    assert (done.end, done.frames, done.opened_ms) == (LookEnd.LIMIT, 10, 1_000)
    assert camera.history == ["open", "close"]


def test_stale_frames_alone_do_not_outlive_the_limit() -> None:
    done, _ = go(FakeCamera(Clock(), ages_ms=[900.0], endless=True), limit_ms=1_000)
    assert (done.end, done.frames, done.stale) == (LookEnd.LIMIT, 0, 10)


def test_the_limit_does_not_cut_a_clip_but_a_bound_does() -> None:
    done, _ = go(FakeCamera(Clock(), ages_ms=[0.0] * 50, finite=True), limit_ms=500)
    assert (done.end, done.frames) == (LookEnd.END_OF_FILE, 50)
    done, _ = go(FakeCamera(Clock(), endless=True, finite=True, step_ms=1_000), limit_ms=500)
    assert (done.end, done.opened_ms) == (LookEnd.LIMIT, FINITE_LIMIT_MS)


def test_a_look_stopped_before_it_began_never_opens_the_camera() -> None:
    camera = FakeCamera(Clock())
    done, sent = go(camera, stop=lambda: True)
    assert (done.end, done.frames, done.opened_ms) == (LookEnd.STOPPED, 0, 0)
    assert camera.history == []
    assert sent.messages == []


def test_stop_ends_the_look_between_frames() -> None:
    sent = Sent()
    camera = FakeCamera(Clock(), endless=True)
    done, _ = go(camera, sent=sent, stop=lambda: len(sent.of(FaceSeen)) == 3)
    assert (done.end, done.frames) == (LookEnd.STOPPED, 3)
    assert camera.history == ["open", "close"]


def test_a_rival_ends_the_look_and_nobody_is_reported() -> None:
    engine = FakeEngine(faces=(face(10, 70), face(150, 100)))
    done, sent = go(FakeCamera(Clock(), ages_ms=[0.0] * 3), engine)
    assert (done.end, done.frames) == (LookEnd.SEVERAL_FACES, 1)
    assert len(sent.messages) == 1
    assert engine.vectors == []


def test_an_enrolment_passes_over_a_frame_with_a_rival() -> None:
    engine = FakeEngine(faces=(face(10, 70), face(150, 100)))
    done, sent = go(FakeCamera(Clock(), ages_ms=[0.0] * 3), engine, purpose=Purpose.ENROL)
    assert (done.end, done.frames) == (LookEnd.END_OF_FILE, 3)
    assert [m.hint for m in sent.of(FrameEmpty)] == [Hint.SEVERAL_FACES] * 3
    assert engine.vectors == []


def test_a_face_in_the_background_is_no_rival() -> None:
    engine = FakeEngine(faces=(face(10, 69), face(150, 100)))
    done, sent = go(FakeCamera(Clock()), engine)
    assert done.end is LookEnd.END_OF_FILE
    assert sent.of(FaceSeen)[0].box == (150, 20, 250, 120)


def test_a_doubtful_detection_is_neither_face_nor_rival() -> None:
    engine = FakeEngine(faces=(face(10, 100, score=0.39), face(150, 100)))
    done, sent = go(FakeCamera(Clock()), engine)
    assert (done.end, len(sent.of(FaceSeen))) == (LookEnd.END_OF_FILE, 1)


def test_only_faces_inside_the_zone_count_even_as_rivals() -> None:
    zone = LookSettings(zone=(0.5, 0.0, 1.0, 1.0), rival_share=0.7)
    nearer_but_outside = FakeEngine(faces=(face(0, 140), face(200, 100)))
    done, sent = go(FakeCamera(Clock()), nearer_but_outside, settings=zone)
    assert done.end is LookEnd.END_OF_FILE
    assert sent.of(FaceSeen)[0].box[0] == 200
    _, sent = go(FakeCamera(Clock()), FakeEngine(faces=(face(0, 140),)), settings=zone)
    assert [m.hint for m in sent.of(FrameEmpty)] == [Hint.NO_FACE]


@pytest.mark.parametrize(
    ("faces", "quality", "hint"),
    [
        ((), GOOD, Hint.NO_FACE),
        ((face(100, 59),), GOOD, Hint.COME_CLOSER),
        ((face(100, 59),), replace(GOOD, exposure=0.0), Hint.COME_CLOSER),
        ((face(100, 60),), replace(GOOD, exposure=0.11, sharpness=0.0), Hint.TOO_DARK),
        ((face(100, 60),), replace(GOOD, exposure=0.96, sharpness=0.0), Hint.TOO_BRIGHT),
        ((face(100, 60),), replace(GOOD, sharpness=7.9), Hint.BLURRED),
    ],
)
def test_hints_in_their_order(faces: tuple, quality: object, hint: Hint) -> None:
    engine = FakeEngine(faces=faces, quality=quality)  # type: ignore[arg-type]
    done, sent = go(FakeCamera(Clock(), ages_ms=[0.0, 0.0]), engine)
    assert [m.hint for m in sent.of(FrameEmpty)] == [hint, hint]
    assert done.frames == 2
    assert engine.vectors == [], "an unfit face must not reach the network"


def test_repeated_pixels_are_told() -> None:
    _, sent = go(FakeCamera(Clock(), ages_ms=[0.0] * 3, same=True))
    assert [m.distinct for m in sent.of(FaceSeen)] == [True, False, False]
    _, sent = go(FakeCamera(Clock(), ages_ms=[0.0] * 3))
    assert [m.distinct for m in sent.of(FaceSeen)] == [True, True, True]


def is_overwritten(camera: FakeCamera, engine: FakeEngine) -> bool:
    buffers = [f.pixels for f in camera.given] + [c.pixels for c in engine.chips] + list(engine.vectors)
    return not any(buffer.any() for buffer in buffers)


def test_frames_chips_and_vectors_are_overwritten() -> None:
    camera, engine = FakeCamera(Clock(), ages_ms=[0.0, 5_000.0, 0.0]), FakeEngine()
    _, sent = go(camera, engine)
    assert len(camera.given) == 3
    assert len(engine.vectors) == 2
    assert is_overwritten(camera, engine)
    assert engine.forgotten == 1
    assert all(np.all(v == 0.25) for v in sent.vectors), "what was sent was whole when it was sent"


@pytest.mark.parametrize("problem", [ProtocolError("gone"), RuntimeError("dlib")])
def test_buffers_are_overwritten_and_the_camera_closed_whatever_is_raised(problem: Exception) -> None:
    class Hostile(Sent):
        def __call__(self, message: Message) -> None:
            super().__call__(message)
            if isinstance(message, FaceSeen):
                raise problem

    camera, engine = FakeCamera(Clock(), endless=True), FakeEngine()
    with pytest.raises(type(problem)):
        go(camera, engine, sent=Hostile())
    assert camera.history == ["open", "close"]
    assert is_overwritten(camera, engine)
    assert engine.forgotten == 1


def test_several_faces_leave_nothing_behind() -> None:
    camera, engine = FakeCamera(Clock()), FakeEngine(faces=(face(10, 100), face(150, 100)))
    go(camera, engine)
    assert is_overwritten(camera, engine)


def test_a_camera_that_does_not_open_ends_the_look_with_its_sentence() -> None:
    done, sent = go(FakeCamera(Clock(), breaks="open"))
    assert (done.end, done.error) == (LookEnd.CAMERA, "the camera is broken: mend it.")
    assert sent.messages == []


def test_a_camera_that_stops_ends_the_look_after_what_it_gave() -> None:
    camera = FakeCamera(Clock(), ages_ms=[0.0, 0.0], breaks="read")
    done, sent = go(camera)
    assert (done.end, done.frames, len(sent.of(FaceSeen))) == (LookEnd.CAMERA, 2, 2)
    assert "cable" in done.error
    assert camera.history == ["open", "close"]


def test_the_camera_is_closed_before_the_end_is_told() -> None:
    camera = FakeCamera(Clock())
    done, sent = go(camera)
    assert sent.of(LookDone) == [], "the caller sends the end, after run_look returned"
    assert camera.history[-1] == "close"
    assert done.nonce == NONCE


def test_a_long_error_fits_its_message() -> None:
    assert len(failed(NONCE, "x" * 5_000).error) == MAX_SENTENCE


def test_frames_are_embedded_plain_and_mirrored_in_turn_and_an_enrolments_both_ways() -> None:
    """Faces are counted, not frames: one without a face in between must not leave one side out."""
    engine = FakeEngine()
    go(FakeCamera(Clock(), ages_ms=[10.0] * 5, finite=True), engine)
    assert engine.views == [View.PLAIN, View.MIRRORED, View.PLAIN, View.MIRRORED, View.PLAIN]
    engine = FakeEngine()
    engine.on_find = lambda: setattr(engine, "faces", () if engine.searched % 2 else (face(100, 100),))
    go(FakeCamera(Clock(), ages_ms=[10.0] * 6, finite=True), engine)
    assert engine.views == [View.PLAIN, View.MIRRORED, View.PLAIN]
    engine = FakeEngine()
    go(FakeCamera(Clock(), ages_ms=[10.0] * 3, finite=True), engine, purpose=Purpose.ENROL)
    assert engine.views == [View.BOTH] * 3


def test_a_network_that_gives_no_numbers_is_told_and_matches_nobody() -> None:
    engine = FakeEngine(broken=True)
    done, sent = go(FakeCamera(Clock(), ages_ms=[10.0] * 3, finite=True), engine)
    assert [m.hint for m in sent.of(FrameEmpty)] == [Hint.MODEL_FAULT] * 3
    assert sent.of(FaceSeen) == []
    assert done.frames == 3
    assert not any(chip.pixels.any() for chip in engine.chips)
    assert engine.forgotten == 1
