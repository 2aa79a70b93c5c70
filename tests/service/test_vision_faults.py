"""The vision process dies, lies or has a broken camera: the gate denies faces, says so, and opens for cards."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatevault.core import control, wire
from gatevault.core.errors import GateVaultError
from gatevault.core.settings import LookSettings
from gatevault.core.types import Vector
from gatevault.core.wire import CameraOpen, FaceSeen, Hello, Look, LookDone, LookEnd, Ready
from gatevault.service.sockets import connected_socket
from tests.bench import Bench, copied, eventually, in_background, running
from tests.service.conftest import Faces
from tests.service.peer import CONFINED, GOOD, MODEL, Peer, Said, Script, person, seen, shows

Seeing = Callable[[Bench, Script], Peer]


@pytest.fixture(scope="module")
def seer(blank: Path, tmp_path_factory: pytest.TempPathFactory, faces: Faces) -> Iterator[Bench]:
    """A running bench with the real vision; One is enrolled and has the cards of `CARDS` as well."""
    bench = Bench(copied(blank, tmp_path_factory.mktemp("seer") / "state")).start()
    resident = bench.enrolled("One", "11", faces.one)
    for card in CARDS:
        bench.ask(control.CardAdd(resident, card))
    yield bench
    bench.close()


CARDS = tuple(str(card) for card in range(101, 125))
NEXT_CARD = itertools.cycle(CARDS)
"""A card is tapped again after many others only: five taps of one within ten seconds withdraw."""


def _begun(bench: Bench, work: Callable[[], Any]) -> Callable[[], Any]:
    """Start a look in the background and wait until its light is on."""
    eventually(lambda: not bench.status()["vision"]["camera_open"])
    looks = bench.values("privacy_led").count(1)
    answer = in_background(work)
    eventually(lambda: bench.values("privacy_led").count(1) > looks)
    return answer


def opens(bench: Bench, card: str = "11") -> None:
    """A card opens; within 1 s as the issue asks, allowed to be 2 s on a loaded machine."""
    began = time.monotonic()
    tapped = bench.tap(card)
    assert time.monotonic() - began < 2.0
    assert (tapped["decision"], tapped["reason"], tapped["relay"]) == ("grant", "card", True)
    assert tapped["latency_ms"] < 2 * 1_000


# --- it dies -------------------------------------------------------------------------------------


def test_killed_vision_comes_back_and_cards_never_notice(seer: Bench, faces: Faces) -> None:
    pid, daemon = seer.see(), seer.pid
    restarts = seer.status()["vision"]["restarts"]
    killed = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    opens(seer, next(NEXT_CARD))
    # The 5 s, twice for a loaded machine.
    eventually(lambda: seer.status()["vision"]["pid"] not in (None, pid), 2 * 5.0 - (time.monotonic() - killed))
    assert running(seer.see(2 * 5.0 - (time.monotonic() - killed)))
    eventually(lambda: not running(pid))
    assert seer.status()["vision"]["restarts"] == restarts + 1
    assert seer.status()["health"] == "ok"
    assert seer.pid == daemon
    walked = seer.walk_up(faces.one_later)
    assert (walked["decision"], walked["reason"], walked["relay"]) == ("grant", "matched", True)
    assert seer.status()["vault"]["templates"] == 1


def test_killed_in_the_middle_of_a_look_it_is_a_fault_and_the_light_goes_out(seer: Bench, faces: Faces) -> None:
    pid = seer.see()
    answer = _begun(seer, lambda: seer.walk_up(faces.two))
    os.kill(pid, signal.SIGKILL)
    walked = answer()
    assert (walked["decision"], walked["reason"], walked["relay"]) == ("deny", "fault", False)
    assert "died" in walked["detail"]
    assert seer.values("privacy_led")[-1] == 0
    assert seer.status()["vision"]["camera_open"] is False
    opens(seer, next(NEXT_CARD))
    seer.see(limit_s=2 * 5.0)
    assert seer.walk_up(faces.one_later)["reason"] == "matched"


def test_killed_in_the_middle_of_an_enrolment_nothing_is_kept(seer: Bench, faces: Faces) -> None:
    resident = seer.add("Two", "22")
    seer.ask(seer.consent(resident, "22"))
    pid = seer.see()

    def enrol() -> GateVaultError:
        return seer.refused(control.Enrol(resident, faces.two))

    answer = _begun(seer, enrol)
    os.kill(pid, signal.SIGKILL)
    assert answer().code in ("vision-down", "enrolment")
    assert seer.values("privacy_led")[-1] == 0
    seer.see()
    assert seer.template(resident) == "none"
    assert seer.count("enrolled") == 1
    seer.ask(control.ResidentRemove(resident))


def test_a_stopped_vision_is_noticed_and_replaced(seer: Bench, faces: Faces) -> None:
    """It hangs (SIGSTOP) with the camera open: after the look's limit and a grace it is killed."""
    pid = seer.see()
    answer = _begun(seer, lambda: seer.walk_up(faces.two))
    os.kill(pid, signal.SIGSTOP)
    opens(seer, next(NEXT_CARD))
    assert answer()["reason"] == "fault"
    eventually(lambda: seer.values("privacy_led")[-1] == 0)  # once it is gone, and its camera with it
    eventually(lambda: seer.status()["vision"]["pid"] not in (None, pid))
    seer.see()
    assert not running(pid)
    assert seer.walk_up(faces.one_later)["reason"] == "matched"


# --- its camera ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory, faces: Faces) -> dict[str, str]:
    """Cameras that give nothing to see, each in its own way."""
    folder = tmp_path_factory.mktemp("cameras")
    (folder / "empty").mkdir()
    (folder / "text").mkdir()
    (folder / "text" / "0.jpg").write_text("not a picture at all")
    (folder / "torn").mkdir()
    picture = Path(faces.two.removeprefix("dir:")) / "0.png"
    cv2 = pytest.importorskip("cv2")
    whole = folder / "whole.jpg"
    assert cv2.imwrite(str(whole), cv2.imread(str(picture)))
    (folder / "torn" / "0.jpg").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (folder / "mixed").mkdir()
    shutil.copy(picture, folder / "mixed" / "0.png")
    shutil.copy(folder / "torn" / "0.jpg", folder / "mixed" / "1.jpg")
    (folder / "clip.mp4").write_bytes(b"\0" * 1_000)
    return {
        "missing": f"dir:{folder}/none",
        "empty": f"dir:{folder}/empty",
        "text": f"dir:{folder}/text",
        "torn": f"dir:{folder}/torn",
        "torn second": f"dir:{folder}/mixed",
        "no clip": f"file:{folder}/clip.mp4",
        "no file": f"file:{folder}/none.png",
        "folder as file": f"file:{folder}/empty",
        "no device": "v4l2:/dev/video-none",
        "no camera device": "v4l2:/dev/null",
        "no kind": "nonsense:0",
        "no colon": "photos",
    }


@pytest.mark.parametrize(
    "name",
    [
        *("missing", "empty", "text", "torn", "torn second", "no clip", "no file", "folder as file"),
        *("no device", "no camera device", "no kind", "no colon"),
    ],
)
def test_a_camera_that_cannot_be_read(seer: Bench, cameras: dict[str, str], name: str) -> None:
    resident = seer.tap(next(NEXT_CARD))["resident"]
    entries, unmatched = seer.status()["ledger"]["entries"], seer.unmatched()
    pid = seer.see()
    walked = seer.walk_up(cameras[name])
    assert (walked["decision"], walked["reason"], walked["relay"]) == ("deny", "fault", False)
    sentence = walked["detail"]
    assert 20 < len(sentence) < 500 and "\n" not in sentence and "Traceback" not in sentence
    assert seer.values("privacy_led")[-1:] in ([], [0])
    assert seer.status()["vision"]["camera_open"] is False
    assert (seer.status()["ledger"]["entries"], seer.unmatched()) == (entries, unmatched)
    opens(seer, next(NEXT_CARD))
    if name != "torn second":
        before = seer.template(resident)
        error = seer.refused(control.Enrol(resident, cameras[name]))
        assert error.code in ("enrolment", "camera")
        assert seer.template(resident) == before == "active"
    assert seer.see() == pid, "a camera that fails does not end the process"


# --- it lies -------------------------------------------------------------------------------------


@pytest.fixture
def lied_to(quick: Bench, seeing: Seeing) -> tuple[Bench, Peer]:
    """A running bench whose vision the test plays; made-up person 1 is enrolled, with card 11."""
    quick.start(vision=False)
    peer = seeing(quick, shows(1))
    quick.enrolled("One", "11", None)
    assert quick.walk_up()["reason"] == "matched"
    return quick, peer


def _face(look: Look, frame: int, vector: Vector, **changes: Any) -> FaceSeen:
    values: dict[str, Any] = {
        "box": (10, 10, 160, 160),
        "score": 1.5,
        "quality": GOOD,
        "distinct": True,
        "nonce": look.nonce,
    }
    return FaceSeen(frame=frame, vector=vector.data.cast("B"), **(values | changes))


def _done(look: Look) -> LookDone:
    return LookDone(look.nonce, LookEnd.LIMIT, 4, 0, 50)


def _faces(look: Look, *vectors: Vector) -> Iterator[Said]:
    yield CameraOpen(look.nonce)
    for frame, vector in enumerate(vectors):
        yield _face(look, frame, vector)
    yield _done(look)


def _garbage(look: Look) -> Iterator[Said]:
    yield CameraOpen(look.nonce)
    yield os.urandom(300)


def _half(look: Look) -> Iterator[Said]:
    yield CameraOpen(look.nonce)
    yield bytes(wire.pack(seen(look.nonce, 0, person(1))))[:200]
    yield HANG_UP


def _huge(look: Look) -> Iterator[Said]:
    yield b"\xff\xff\xff\xff"


def _of_the_daemon(look: Look) -> Iterator[Said]:
    yield Hello(wire.VERSION, True, "", LookSettings())


def _of_the_cli(look: Look) -> Iterator[Said]:
    yield control.Tap("11")


def _ready_again(look: Look) -> Iterator[Said]:
    yield Ready(wire.VERSION, os.getpid(), MODEL, 128, CONFINED)


def _one_frame_twice(look: Look) -> Iterator[Said]:
    yield CameraOpen(look.nonce)
    for frame in (0, 0, 0):
        yield seen(look.nonce, frame, person(1))
    yield _done(look)


def _frames_backwards(look: Look) -> Iterator[Said]:
    yield CameraOpen(look.nonce)
    for frame in (3, 2, 1):
        yield seen(look.nonce, frame, person(1))
    yield _done(look)


def _not_a_number(look: Look) -> Iterator[Said]:
    yield from _faces(look, *[np.full(128, np.nan, dtype=np.float32)] * 4)


def _endless(look: Look) -> Iterator[Said]:
    yield from _faces(look, *[np.full(128, np.inf, dtype=np.float32)] * 4)


def _nothing(look: Look) -> Iterator[Said]:
    yield from _faces(look, *[np.zeros(128, dtype=np.float32)] * 4)


def _short(look: Look) -> Iterator[Said]:
    yield from _faces(look, *[person(1)[:127].copy()] * 4)


def _long(look: Look) -> Iterator[Said]:
    yield from _faces(look, *[np.concatenate([person(1), person(1)])] * 4)


def _odd_bytes(look: Look) -> Iterator[Said]:
    yield CameraOpen(look.nonce)
    yield FaceSeen(look.nonce, 0, (10, 10, 160, 160), 1.5, GOOD, memoryview(bytes(511)), True)


def _impossible_box(look: Look) -> Iterator[Said]:
    yield CameraOpen(look.nonce)
    for frame in range(4):
        yield _face(look, frame, person(1), box=(160, 10, 10, 160))
    yield _done(look)


HANG_UP = b""
"""In a script: close the connection now."""

LIES: dict[str, Script] = {
    "garbage": _garbage,
    "half a message": _half,
    "a huge length": _huge,
    "a daemon's message": _of_the_daemon,
    "an admin's command": _of_the_cli,
    "ready twice": _ready_again,
    "one frame thrice": _one_frame_twice,
    "frames backwards": _frames_backwards,
    "not a number": _not_a_number,
    "infinity": _endless,
    "zero": _nothing,
    "127 values": _short,
    "256 values": _long,
    "511 bytes": _odd_bytes,
    "an impossible box": _impossible_box,
}


@pytest.mark.parametrize("name", LIES)
def test_an_impostors_message_opens_nothing_and_stores_nothing(
    lied_to: tuple[Bench, Peer], seeing: Seeing, name: str
) -> None:
    bench, peer = lied_to
    resident = bench.tap("11")["resident"]
    relay = bench.values("relay").count(1)
    peer.script = LIES[name]
    walked = bench.walk_up()
    assert (walked["decision"], walked["reason"], walked["relay"]) == ("deny", "fault", False)
    assert bench.values("relay").count(1) == relay
    assert bench.values("privacy_led")[-1] == 0
    honest = seeing(bench, shows(1))
    honest.script = LIES[name]
    if name not in ("one frame thrice", "frames backwards"):
        assert bench.refused(control.Enrol(resident, None)).code in ("vision-down", "enrolment", "protocol")
    assert bench.values("privacy_led")[-1] == 0
    honest = seeing(bench, shows(1))
    eventually(lambda: bench.walk_up()["reason"] == "matched")
    assert bench.ask(control.LedgerVerify())["ok"]
    assert "Traceback" not in bench.log()
    opens(bench)
    bench.kill9()
    bench.start(vision=False)
    seeing(bench, shows(1))
    assert bench.walk_up()["reason"] == "matched", "what it stored is still what it was"
    assert honest.looks


def test_scans_of_another_nonce_count_for_nothing(lied_to: tuple[Bench, Peer]) -> None:
    """A recorded look replayed, or the rest of the look before: not of this trigger."""
    bench, peer = lied_to
    old = peer.looks[-1].nonce

    def replay(look: Look) -> Iterable[Said]:
        yield CameraOpen(look.nonce)
        for frame in range(6):
            yield seen(old, frame, person(1))
        yield LookDone(old, LookEnd.LIMIT, 6, 0, 50)
        yield LookDone(look.nonce, LookEnd.LIMIT, 0, 0, 50)

    peer.script = replay
    walked = bench.walk_up()
    assert (walked["decision"], walked["reason"], walked["frames"]) == ("deny", "no-face", 0)


def test_scans_that_nobody_asked_for_count_for_nothing(lied_to: tuple[Bench, Peer]) -> None:
    bench, peer = lied_to
    relay = bench.values("relay").count(1)
    for frame in range(6):
        peer._send(seen("0" * 32, frame, person(1)))
    peer._send(seen(peer.looks[-1].nonce, 9, person(1)))
    assert bench.status()["vision"]["state"] == "ok"
    assert bench.values("relay").count(1) == relay


def test_a_vision_of_another_network_suspends_every_template(lied_to: tuple[Bench, Peer]) -> None:
    """Vectors of two networks are never compared; the right network brings the templates back."""
    bench, first = lied_to
    resident = bench.tap("11")["resident"]
    other = Peer(bench.root / "run", shows(1), model="6b" * 32)
    eventually(lambda: bench.status()["vision"]["model"] == "6b" * 8)
    eventually(lambda: bench.status()["vault"]["suspended"] == 1)
    assert bench.walk_up()["reason"] == "suspended"
    assert bench.template(resident) == "suspended"
    other.close()
    first.close()
    third = Peer(bench.root / "run", shows(1))
    eventually(lambda: bench.status()["vault"]["templates"] == 1)
    assert bench.walk_up()["reason"] == "matched"
    third.close()


def test_a_vision_of_the_same_network_and_another_dimension_harms_nobody(
    lied_to: tuple[Bench, Peer], seeing: Seeing
) -> None:
    bench, _ = lied_to
    resident = bench.tap("11")["resident"]

    def short(look: Look) -> Iterable[Said]:
        return _faces(look, *[person(1, 64)] * 4)

    liar = Peer(bench.root / "run", short, dimension=64)
    eventually(lambda: bench.walk_up()["reason"] == "fault")
    bench.refused(control.Enrol(resident, None))
    liar.close()
    seeing(bench, shows(1))
    assert bench.walk_up()["reason"] == "matched"
    bench.kill9()
    bench.start(vision=False)
    seeing(bench, shows(1))
    assert bench.walk_up()["reason"] == "matched"


def test_a_vision_of_another_version_is_refused(lied_to: tuple[Bench, Peer]) -> None:
    bench, _ = lied_to
    with connected_socket(bench.root / "run" / "vision.sock", 10) as client:
        client.sendall(wire.pack(Ready(wire.VERSION + 1, os.getpid(), MODEL, 128, CONFINED)))
        while client.recv(4_096):  # its Hello, then the end
            pass
    assert bench.walk_up()["reason"] == "matched", "the other one stays"


def test_without_vision_faces_wait_a_little_and_are_denied(quick: Bench) -> None:
    quick.start(vision=False)
    quick.add("One", "11")
    walked = quick.walk_up()
    assert (walked["decision"], walked["reason"]) == ("deny", "fault")
    assert quick.status()["vision"]["state"] == "down"
    opens(quick)
