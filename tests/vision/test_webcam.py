"""The fake does what it says: a suite on a camera that never breaks proves nothing."""

from __future__ import annotations

import cv2

from tests.vision.webcam import AIM, APERTURE_PRIORITY, MANUAL, Webcam


def level(webcam: Webcam) -> float:
    given, picture = webcam.read()
    assert given and picture is not None
    return float(picture[..., 2].mean())


def opened(**quirks: object) -> Webcam:
    return Webcam(**quirks)("/dev/null", cv2.CAP_V4L2)  # type: ignore[arg-type]


def test_its_automatic_finds_the_aim_and_follows_the_light() -> None:
    webcam = opened(scene=0.5)
    levels = [level(webcam) for _ in range(12)]
    assert levels[0] > levels[1] > levels[4]
    assert abs(levels[-1] - AIM) < 2
    webcam.scene = 1.0
    assert level(webcam) > 1.3 * AIM
    assert abs([level(webcam) for _ in range(12)][-1] - AIM) < 2


def test_held_it_follows_no_light_and_stays_held_when_it_is_closed() -> None:
    webcam = opened()
    for _ in range(12):
        level(webcam)
    before = webcam.get(cv2.CAP_PROP_EXPOSURE)
    webcam.set(cv2.CAP_PROP_AUTO_EXPOSURE, MANUAL)
    webcam.scene = 2.0
    assert [level(webcam) for _ in range(5)] == [219.0] * 5 or level(webcam) > 1.9 * AIM
    webcam.release()
    webcam("/dev/null", cv2.CAP_V4L2)
    assert (webcam.get(cv2.CAP_PROP_AUTO_EXPOSURE), webcam.get(cv2.CAP_PROP_EXPOSURE)) == (MANUAL, before)


def test_its_quirks() -> None:
    deaf = opened(holds=False)
    assert deaf.set(cv2.CAP_PROP_AUTO_EXPOSURE, MANUAL), "drivers say True"
    assert deaf.get(cv2.CAP_PROP_AUTO_EXPOSURE) == APERTURE_PRIORITY
    assert opened(controls=False).get(cv2.CAP_PROP_AUTO_EXPOSURE) == -1.0
    liar = opened(tells_exposure=False)
    settled = [level(liar) for _ in range(12)][-1]
    liar.set(cv2.CAP_PROP_EXPOSURE, liar.get(cv2.CAP_PROP_EXPOSURE))
    liar.set(cv2.CAP_PROP_AUTO_EXPOSURE, MANUAL)
    assert level(liar) > 2 * settled, "it jumps to the exposure that it told"
    plain = opened(obeys=False)
    assert plain.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    assert plain.get(cv2.CAP_PROP_FOURCC) == cv2.VideoWriter.fourcc(*"YUYV")
    pulled = opened(frames=1)
    assert [pulled.read()[0] for _ in range(3)] == [True, False, False]


def test_its_queue_serves_old_frames_first() -> None:
    webcam = opened(ages_ms=(1_900.0, 1_870.0))
    positions = []
    for _ in range(3):
        level(webcam)
        positions.append(webcam.get(cv2.CAP_PROP_POS_MSEC))
    assert positions[2] - positions[1] > 1_800
