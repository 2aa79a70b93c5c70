"""A look for the installer tells numbers and computes no vector."""

from __future__ import annotations

from msgspec.structs import replace

from gatevault.core.settings import LookSettings
from gatevault.core.wire import CameraOpen, FaceSeen, FrameEmpty, Hint, Purpose, Sight
from gatevault.vision.look import run_look
from tests.vision.fakes import GOOD, Clock, FakeCamera, FakeEngine, Sent, a_look, face


def aimed(engine: FakeEngine, frames: int = 3) -> tuple[FakeCamera, Sent]:
    camera, sent = FakeCamera(Clock(), ages_ms=[10.0] * frames, finite=True), Sent()
    run_look(a_look(purpose=Purpose.AIM), LookSettings(), camera, engine, sent, lambda: False, camera.clock)
    return camera, sent


def test_where_a_good_face_stands_is_told_and_never_what_it_is_like() -> None:
    engine = FakeEngine()
    camera, sent = aimed(engine)
    assert (engine.vectors, sent.vectors, sent.of(FaceSeen)) == ([], [], [])
    assert isinstance(sent.messages[0], CameraOpen)
    fit = [sight for sight in sent.of(Sight) if sight.quality is not None]
    assert [(sight.frame, sight.box, sight.size) for sight in fit] == [
        (frame, (100, 20, 200, 120), (320, 240)) for frame in range(3)
    ]
    assert all(0.4 < sight.light < 0.6 for sight in fit), "random pixels are grey in the mean"
    assert not any(frame.pixels.any() for frame in camera.given), "every frame was overwritten"
    assert not any(chip.pixels.any() for chip in engine.chips)


def test_a_face_that_will_not_do_is_told_with_its_reason_and_nobody_without_a_box() -> None:
    for faces, hint, boxed in (
        ((), Hint.NO_FACE, False),
        ((face(100, 40),), Hint.COME_CLOSER, True),
        ((face(20, 100), face(180, 100)), Hint.SEVERAL_FACES, False),
    ):
        _, sent = aimed(FakeEngine(faces=faces), 1)
        assert [empty.hint for empty in sent.of(FrameEmpty)] == [hint]
        assert [sight.box is not None for sight in sent.of(Sight)] == (
            [boxed] if hint is not Hint.SEVERAL_FACES else []
        )
    _, sent = aimed(FakeEngine(quality=replace(GOOD, exposure=0.05)), 1)
    assert [empty.hint for empty in sent.of(FrameEmpty)] == [Hint.TOO_DARK]
