"""Records of the place, and the installer: on a bench that asks for them as a gate does."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from gatevault.core import control, wire
from gatevault.core.aiming import Advice, Sighting
from gatevault.core.errors import ConflictError, NotAllowedError, NotFoundError, UsageError
from gatevault.core.site import SiteKind
from gatevault.core.types import Quality
from gatevault.core.wire import CameraOpen, FrameEmpty, Hint, Look, LookDone, LookEnd, Sight
from gatevault.service.installer_key import signed
from gatevault.service.sockets import connected_socket
from gatevault.vault.installer import make_installer_key
from tests.bench import QUICK, Bench, configure, eventually, in_background
from tests.service.peer import Peer, Said, Script, person, seen, shows
from tests.site import ASSESSMENT, RECORDS, SIGN

GOOD = Quality(size=150.0, sharpness=60.0, exposure=0.5, yaw=0.0, roll=0.0)
CARD = "7001234567"


@pytest.fixture
def strict(bench: Bench, seeing: Callable[[Bench, Script], Peer]) -> Bench:
    """A bench that waits for the records; its vision sees person 1."""
    configure(bench.root, QUICK + "\n[site]\non_bench = true\n")
    bench.start(vision=False)
    seeing(bench, shows(1))
    return bench


@pytest.fixture
def key(strict: Bench, tmp_path: Path) -> Path:
    """The key of an installer who is admitted."""
    path = tmp_path / "installer.key"
    strict.ask(control.InstallerAdmit(make_installer_key(path)))
    return path


# --- records -------------------------------------------------------------------------------------


def test_faces_wait_for_both_records_and_go_with_either(strict: Bench) -> None:
    resident = strict.add("Grace", CARD)
    strict.ask(strict.consent(resident, CARD))
    assert "impact assessment" in str(strict.refused(control.Enrol(resident)))
    for record in RECORDS:
        strict.ask(record)
    strict.ask(control.Enrol(resident))
    assert strict.walk_up()["decision"] == "grant"
    looks = strict.count("decision")
    strict.ask(control.SiteRevoke(SiteKind.ASSESSMENT))
    denied = strict.walk_up()
    assert (denied["reason"], denied["detail"]) == ("not-recorded", "faces off: no impact assessment is recorded")
    assert strict.count("decision") == looks
    assert strict.tap(CARD)["decision"] == "grant", "cards never ask"
    strict.stop()
    strict.start(vision=False)
    assert strict.walk_up()["reason"] == "not-recorded", "and after a restart"
    assert strict.ask(control.SiteShow())["sign"]["where"] == "post"


def test_the_camera_is_not_opened_for_who_walks_up_without_records(
    bench: Bench, seeing: Callable[[Bench, Script], Peer]
) -> None:
    configure(bench.root, QUICK + "\n[site]\non_bench = true\n")
    bench.start(vision=False)
    peer = seeing(bench, shows(1))
    assert bench.walk_up()["reason"] == "not-recorded"
    assert (peer.looks, bench.values("privacy_led")) == ([], [])


def test_a_bench_need_not_ask(peer: Peer, quick: Bench) -> None:
    site = quick.status()["site"]
    assert (site["faces"], site["required"]) == ("on", False)
    assert quick.walk_up()["reason"] == "no-consent"


@pytest.mark.parametrize(
    "bad",
    [
        msgspec.structs.replace(ASSESSMENT, by=None),
        msgspec.structs.replace(ASSESSMENT, where="post"),
        msgspec.structs.replace(SIGN, date="2026-02-30"),
    ],
)
def test_half_a_record_is_none(strict: Bench, bad: control.SiteRecord) -> None:
    assert isinstance(strict.refused(bad), UsageError)
    assert strict.status()["site"][bad.kind.value] is None
    assert strict.count("site-recorded") == 0


def test_nothing_to_take_back_is_told(strict: Bench) -> None:
    assert isinstance(strict.refused(control.SiteRevoke(SiteKind.SIGN)), NotFoundError)


# --- the installer -------------------------------------------------------------------------------


def test_what_belongs_to_the_installer_is_refused_without_one(strict: Bench) -> None:
    for command in (control.Aim(1), control.PartTest("relay")):
        refused = strict.refused(command)
        assert isinstance(refused, NotAllowedError)
        assert "gatevault installer admit" in str(refused)
    assert strict.values("relay") == []


def test_an_installers_key_aims_tests_and_records_until_the_handover(strict: Bench, key: Path) -> None:
    strict.ask(signed(control.PartTest("relay"), key))
    assert strict.values("relay")[:1] == [1]
    strict.ask(signed(ASSESSMENT, key))
    told = [entry["payload"] for entry in strict.entries() if entry["type"].startswith(("installer", "site"))]
    assert [payload.get("by") or payload.get("what") for payload in told] == [None, "test relay", "installer"]

    ended = strict.ask(control.InstallerEnd())
    assert ended["installer"] == "ended"
    for command in (control.Aim(1), control.PartTest("relay"), SIGN):
        refused = strict.refused(signed(command, key))  # type: ignore[type-var]
        assert isinstance(refused, NotAllowedError)
        assert f"ended with the handover on {ended['at'][:10]}" in str(refused)
    assert isinstance(strict.refused(control.InstallerEnd()), NotFoundError)
    strict.stop()
    strict.start(vision=False)
    assert isinstance(strict.refused(signed(control.PartTest("relay"), key)), NotAllowedError)

    again = key.with_name("second.key")
    strict.ask(control.InstallerAdmit(make_installer_key(again)))
    assert isinstance(strict.refused(signed(control.PartTest("lights"), key)), NotAllowedError), (
        "the old key stays dead"
    )
    assert "granted_led" in strict.ask(signed(control.PartTest("lights"), again))["driven"]
    assert strict.count("installer-admitted") == 2


def test_a_signed_command_counts_once_and_for_itself_alone(strict: Bench, key: Path) -> None:
    command = signed(control.PartTest("relay"), key)
    strict.ask(command)
    assert "used already" in str(strict.refused(command))
    other = signed(control.PartTest("lights"), key)
    assert "not the key" in str(strict.refused(msgspec.structs.replace(other, part="relay")))
    old = msgspec.structs.replace(other, mono_ms=1, signature="")
    assert "key" in str(strict.refused(old))
    stranger = key.with_name("stranger.key")
    make_installer_key(stranger)
    assert "not the key" in str(strict.refused(signed(control.PartTest("relay"), stranger)))


# --- aiming --------------------------------------------------------------------------------------


def aims(look: Look) -> list[Said]:
    sight = (look.nonce, 0, (640, 480), 0.4)
    return [
        CameraOpen(look.nonce),
        Sight(*sight, None, None),
        FrameEmpty(look.nonce, 0, Hint.NO_FACE),
        Sight(look.nonce, 1, (640, 480), 0.5, (270, 180, 390, 330), None),
        Sight(look.nonce, 1, (640, 480), 0.5, (270, 180, 390, 330), GOOD),
        LookDone(look.nonce, LookEnd.LIMIT, 2, 0, 900),
    ]


def test_aiming_tells_numbers_lights_the_privacy_light_and_is_entered(
    strict: Bench, key: Path, seeing: Callable[[Bench, Script], Peer]
) -> None:
    peer = seeing(strict, aims)
    seen_ = strict.ask(signed(control.Aim(7), key))
    assert (seen_["frames"], seen_["good"], seen_["last"]["width"]) == (2, 1, 120)
    first = msgspec.json.decode(strict.said[0], type=Sighting)
    assert first.advice is Advice.NOBODY
    (look,) = peer.looks
    assert (look.purpose, look.limit_ms, look.camera) == (wire.Purpose.AIM, 7_000, None)
    assert strict.values("privacy_led") == [1, 0]
    assert [e["payload"]["what"] for e in strict.entries() if e["type"] == "installer-acted"] == ["aim"]


def test_a_vector_that_comes_while_aiming_ends_vision(
    strict: Bench, key: Path, seeing: Callable[[Bench, Script], Peer]
) -> None:
    seeing(strict, lambda look: [CameraOpen(look.nonce), seen(look.nonce, 0, person(1))])
    strict.refused(signed(control.Aim(5), key))
    assert strict.status()["vision"]["state"] != "ok"


def test_a_terminal_that_is_gone_closes_the_camera(
    strict: Bench, key: Path, seeing: Callable[[Bench, Script], Peer]
) -> None:
    def lasting(look: Look) -> Iterator[Said]:
        yield CameraOpen(look.nonce)
        for frame in range(100_000):
            yield FrameEmpty(look.nonce, frame, Hint.NO_FACE)
            time.sleep(0.05)
            if not strict.status()["vision"]["camera_open"] or stopped(peer):
                yield LookDone(look.nonce, LookEnd.STOPPED, frame, 0, 100)
                return

    def stopped(peer: Peer) -> bool:
        return bool(select.select([peer._socket], [], [], 0)[0])  # a Stop: nothing else is sent meanwhile

    peer = seeing(strict, lasting)
    terminal = connected_socket(strict.root / "run" / "control.sock", 10)
    terminal.sendall(wire.pack(signed(control.Aim(60), key)))
    assert terminal.recv(1)
    eventually(lambda: strict.status()["vision"]["camera_open"])
    terminal.close()
    eventually(lambda: not strict.status()["vision"]["camera_open"], 20)
    assert strict.values("privacy_led")[-1] == 0


def test_one_look_at_a_time_and_a_vision_that_does_not_end_it_is_ended(
    strict: Bench, key: Path, seeing: Callable[[Bench, Script], Peer]
) -> None:
    def lasting(look: Look) -> list[Said]:
        return [CameraOpen(look.nonce), Sight(look.nonce, 0, (640, 480), 0.4, None, None)]

    seeing(strict, lasting)
    waiting = in_background(lambda: strict.refused(signed(control.Aim(2), key)))
    eventually(lambda: strict.status()["vision"]["camera_open"])
    assert isinstance(strict.refused(signed(control.Aim(1), key)), ConflictError)
    assert "vision" in str(waiting()), "a vision that does not end its look is ended"
