"""A camera that gives half frames: no face opens, the person is told why, and status names the camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from msgspec.structs import replace

from gatevault.core.camera import CameraState, Exposure
from gatevault.core.wire import CameraOpen, FrameEmpty, Hint, Look, LookDone, LookEnd
from tests.bench import Bench, eventually
from tests.service.conftest import Faces
from tests.service.peer import Peer, Said, Script, shows

Seeing = Callable[[Bench, Script], Peer]


def hints(*said: Hint, camera: CameraState | None = None) -> Script:
    def script(look: Look) -> Iterator[Said]:
        yield CameraOpen(look.nonce)
        for frame, hint in enumerate(said):
            yield FrameEmpty(look.nonce, frame, hint)
        end = LookEnd.LIMIT if said else LookEnd.STOPPED
        yield LookDone(look.nonce, end, len(said), 0, 50, camera=camera)

    return script


BAD, NO = Hint.BAD_FRAME, Hint.NO_FACE


@pytest.mark.parametrize("hint", Hint)
def test_every_hint_has_a_reason(quick: Bench, seeing: Seeing, hint: Hint) -> None:
    quick.start(vision=False)
    peer = seeing(quick, shows(1))
    quick.enrolled("One", "11", None)
    peer.script = hints(hint, hint, hint)
    walked = quick.walk_up()
    assert (walked["decision"], walked["reason"], walked["relay"]) == ("deny", hint.value, False)


def test_mostly_bad_frames_are_a_fault_until_a_look_is_better(quick: Bench, seeing: Seeing) -> None:
    quick.start(vision=False)
    peer = seeing(quick, shows(1))
    quick.enrolled("One", "11", None)

    def health(script: Script) -> tuple[str, str]:
        peer.script = script
        quick.walk_up()
        status = quick.status()
        assert status["health"] == ("ok" if status["vision"]["state"] == "ok" else "degraded")
        return status["vision"]["state"], status["vision"].get("reason", "")

    assert health(hints(BAD, BAD, NO, NO)) == ("ok", ""), "half of them is not most"
    state, reason = health(hints(BAD, BAD, NO))
    assert state == "fault"
    assert "2 broken frames of 3" in reason
    assert health(hints())[0] == "fault", "a look without a frame tells nothing"
    assert health(shows(1)) == ("ok", "")


def test_what_a_real_camera_does_is_told_and_what_is_wrong_with_it(quick: Bench, seeing: Seeing) -> None:
    quick.start(vision=False)
    peer = seeing(quick, shows(1))
    quick.enrolled("One", "11", None)
    good = CameraState("MJPG 1280x720", True, 380, 610, Exposure.HELD)

    def vision(camera: CameraState) -> dict[str, Any]:
        peer.script = hints(NO, camera=camera)
        quick.walk_up()
        part: dict[str, Any] = quick.status()["vision"]
        return part

    assert "camera" not in quick.status()["vision"], "no look, no word of it"
    part = vision(good)
    assert (part["camera"]["opened_ms"], part["camera"]["exposure"], part["camera"]["findings"]) == (
        380,
        "held",
        [],
    )
    assert part["privacy_light"] == "software"
    slow, loose = vision(replace(good, opened_ms=900, exposure=Exposure.IGNORED))["camera"]["findings"]
    assert "900 ms" in slow and "not held" in loose
    assert vision(good)["camera"]["findings"] == []


def test_half_frames_of_a_resident_open_nothing(bench: Bench, faces: Faces, tmp_path: Path) -> None:
    """The whole way, with the real vision: the resident's own frames, their lower half green."""
    bench.start()
    bench.enrolled("One", "11", faces.one)
    assert bench.walk_up(faces.one_later)["decision"] == "grant"
    for path in sorted(Path(faces.one_later.removeprefix("dir:")).glob("*.png")):
        frame = np.asarray(cv2.imread(str(path)), np.uint8)
        frame[frame.shape[0] // 2 :] = (0, 135, 0)
        assert cv2.imwrite(str(tmp_path / path.name), frame)
    walked = bench.walk_up(f"dir:{tmp_path}")
    assert (walked["decision"], walked["reason"], walked["frames"]) == ("deny", "bad-frame", 0)
    assert bench.status()["vision"]["state"] == "fault"
    assert bench.tap("11")["relay"] is True
    assert bench.walk_up(faces.one_later)["decision"] == "grant"
    eventually(lambda: bench.status()["health"] == "ok")  # the stopped look tells its end a little later
