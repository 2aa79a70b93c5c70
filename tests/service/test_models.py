"""The model port as the daemon lives with it: missing and altered files, another model, a network that is
broken."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatevault.core import control, wire
from gatevault.core.models import DLIB, ModelSettings, model_name
from gatevault.core.wire import CameraOpen, FrameEmpty, Hint, Look, LookDone, LookEnd, Unfit
from tests.bench import QUICK, Bench, configure, eventually
from tests.service.conftest import Faces
from tests.service.peer import Peer, Said, Script, shows

Seeing = Callable[[Bench, Script], Peer]
CARD = "11"

YUNET_MISSING = f"""
[models]
detector = {{ kind = "yunet", file = "yunet.onnx", sha256 = "{"ab" * 32}" }}
"""


def own(bench: Bench) -> Path:
    """A models folder of this bench alone: those of copied states are links to one file."""
    folder = bench.paths.models
    data = (folder / DLIB.file).read_bytes()
    (folder / DLIB.file).unlink()
    (folder / DLIB.file).write_bytes(data)
    return folder


def off_with_a_reason(bench: Bench, says: str) -> None:
    """Faces are denied with `fault`, status and doctor say why, and a card opens."""
    vision = eventually(lambda: part if "reason" in (part := bench.status()["vision"]) else None)
    assert vision["state"] == "fault"
    assert says in vision["reason"] and "cards" in vision["reason"]
    walked = bench.walk_up()
    assert (walked["decision"], walked["reason"], walked["relay"]) == ("deny", "fault", False)
    assert bench.tap(CARD)["relay"] is True
    told = bench.cli("doctor")
    assert told.returncode == 1
    lines = {line.split()[1]: line for line in told.stdout.splitlines()}
    assert lines["models"].startswith("problem") and "vision" in lines


@pytest.fixture
def lived(bench: Bench) -> Bench:
    bench.start()
    bench.add("One", CARD)
    assert bench.stop() == 0
    return bench


def test_a_file_that_config_names_and_is_not_there_stops_faces_and_nothing_takes_its_place(lived: Bench) -> None:
    lived.paths.config.write_text(lived.paths.config.read_text() + YUNET_MISSING)
    lived.start(vision=False)
    off_with_a_reason(lived, "yunet.onnx")
    assert lived.status()["vision"]["detector"] == "yunet"
    eventually(lambda: lived.status()["vision"]["restarts"] >= 2)


def test_an_altered_file_stops_faces_and_the_right_one_brings_them_back(lived: Bench) -> None:
    path = own(lived) / DLIB.file
    sound = path.read_bytes()
    path.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    lived.start(vision=False)
    off_with_a_reason(lived, DLIB.file)
    assert path.read_bytes() != sound, "nobody mends what somebody altered"
    path.write_bytes(sound)
    lived.see()
    assert "reason" not in lived.status()["vision"]


def test_a_state_of_an_earlier_release_gets_the_network_at_its_start(lived: Bench) -> None:
    shutil.rmtree(lived.paths.models)
    lived.start()
    assert lived.status()["vision"]["model"] == model_name(ModelSettings())[:16]
    made = lived.paths.models
    assert (made.stat().st_mode & 0o777, (made / DLIB.file).stat().st_mode & 0o777) == (0o755, 0o644)
    assert [path.name for path in made.iterdir()] == [DLIB.file]


def test_where_the_network_cannot_be_made_it_says_so_and_cards_open(lived: Bench) -> None:
    shutil.rmtree(lived.paths.models)
    lived.paths.models.write_text("a file in the folder's place")
    lived.start(vision=False)
    eventually(lambda: "cannot be made" in lived.status()["vision"].get("reason", ""))
    assert lived.status()["vision"]["state"] == "fault"
    assert lived.tap(CARD)["relay"] is True


# --- what vision says, played by the test --------------------------------------------------------


def test_vision_that_says_unfit_is_a_fault_until_one_is_ready(quick: Bench, seeing: Seeing) -> None:
    quick.start(vision=False)
    quick.add("One", CARD)
    peer = Peer(quick.root / "run", shows(), first=Unfit(wire.VERSION, "the model file x is not there: add it."))
    off = eventually(lambda: part if (part := quick.status()["vision"])["state"] == "fault" else None)
    assert off["reason"].startswith("the model file x is not there")
    assert quick.walk_up()["reason"] == "fault"
    peer.close()
    seeing(quick, shows(1))
    assert "reason" not in quick.status()["vision"]


def broken(look: Look) -> Iterator[Said]:
    """A network that gives NaN for every face."""
    yield CameraOpen(look.nonce)
    for frame in range(4):
        yield FrameEmpty(look.nonce, frame, Hint.MODEL_FAULT)
    yield LookDone(look.nonce, LookEnd.LIMIT, 4, 0, 50)


def test_a_network_that_gives_no_numbers_is_refused_counted_and_told(quick: Bench, seeing: Seeing) -> None:
    quick.start(vision=False)
    peer = seeing(quick, shows(1))
    one = quick.enrolled("One", CARD, None)
    peer.script = broken
    walked = quick.walk_up()
    assert (walked["decision"], walked["reason"], walked["relay"]) == ("deny", "model-fault", False)
    vision = quick.status()["vision"]
    assert (vision["state"], vision["model_faults"]) == ("fault", 4)
    assert "models add" in vision["reason"]
    assert "model-fault in 4 frames" in str(quick.refused(control.Enrol(one, None)))
    assert quick.tap(CARD)["relay"] is True
    seeing(quick, shows(1))
    assert quick.status()["vision"]["state"] == "ok", "another process, another count"


def test_after_a_change_of_model_it_is_told_who_enrols_again(quick: Bench, seeing: Seeing) -> None:
    quick.start(vision=False)
    first = seeing(quick, shows(1))
    one, two = quick.enrolled("One", CARD, None), quick.add("Two", "22")
    quick.ask(quick.consent(two, "22"))
    first.close()
    other = Peer(quick.root / "run", shows(1), model="6b" * 32)
    vault = eventually(lambda: part if (part := quick.status()["vault"])["enrol_again"] == 1 else None)
    assert (vault["suspended"], vault["templates"]) == (1, 0)
    assert "problem  enrolments   the model changed: 1 residents" in quick.cli("doctor").stdout
    assert again(quick, one) == ("suspended", True)
    assert again(quick, two) == ("none", False)
    quick.ask(control.Enrol(one, None))
    assert again(quick, one) == ("active", False)
    assert quick.status()["vault"]["enrol_again"] == 0
    other.close()


def again(bench: Bench, resident: str) -> tuple[str, bool]:
    shown = bench.ask(control.ResidentShow(resident))
    return shown["template"], shown["enrol_again"]


def test_a_suspended_consent_does_not_ask_for_another_enrolment(quick: Bench, seeing: Seeing) -> None:
    """The consent's renewal brings that template back."""
    quick.start(vision=False)
    peer = seeing(quick, shows(1))
    one = quick.enrolled("One", CARD, None)
    quick.stop()
    peer.close()
    configure(quick.root, QUICK + '[consent]\ncontroller = "somebody else"\n')
    quick.start(vision=False)
    seeing(quick, shows(1))
    eventually(lambda: quick.status()["vault"]["suspended"] == 1)
    assert again(quick, one) == ("suspended", False)
    assert quick.status()["vault"]["enrol_again"] == 0


# --- with real faces -----------------------------------------------------------------------------


def test_two_networks_fused_let_in_who_is_enrolled_and_nobody_else(bench: Bench, faces: Faces) -> None:
    """YuNet, MobileFaceNet and dlib, added by the command as an installer would."""
    data = Path(__file__).resolve().parents[3] / "shared" / "data" / "models"
    if not data.is_dir():
        pytest.skip("the research data is not beside this checkout (../shared/data)")
    added = bench.json("models", "add", str(data / "face_detection_yunet_2023mar.onnx"), "--use")
    assert added["used"] is True
    added = bench.json("models", "add", str(data / "foamliu_MobileFaceNet.onnx"), "--fuse")
    assert (added["dimension"], added["enrol_again"]) == (128, 0)
    bench.start()
    vision = bench.status()["vision"]
    assert (vision["detector"], vision["embedders"]) == ("yunet", "dlib + mobilefacenet")
    one = bench.enrolled("One", CARD, faces.one)
    assert bench.walk_up(faces.one_later)["resident"] == one
    assert bench.walk_up(faces.two_later)["decision"] == "deny"
