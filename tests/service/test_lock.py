"""A vault that is locked: by an admin, or since its key is away. Faces are off, cards open, the rest waits."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator

import pytest

from gatevault.core import control
from gatevault.core.consent import KeyMode
from gatevault.core.passphrase import typed
from gatevault.core.types import Vector
from gatevault.core.wire import CameraOpen, Look, LookDone, LookEnd
from tests.bench import Bench, eventually, in_background
from tests.calibrations import shipped
from tests.service.inside import Inside, inside, now
from tests.service.peer import MODEL, Peer, Said, Script, person, seen, shows
from tests.service.steps import LONG, certificates, is_locked, rows, unlocked

Seeing = Callable[[Bench, Script], Peer]


@pytest.fixture
def one(quick: Bench, peer: Peer) -> str:
    """Resident One, person 1, with card 11."""
    return quick.enrolled("One", "11", None)


@pytest.fixture
def two(quick: Bench, peer: Peer, one: str) -> str:
    """Resident Two, person 2, with card 22."""
    peer.script = shows(2)
    who = quick.enrolled("Two", "22", None)
    peer.script = shows(1)
    return who


# --- by commands ---------------------------------------------------------------------------------


def test_lock_and_unlock_by_commands(quick: Bench, peer: Peer, one: str, two: str) -> None:
    assert quick.json("vault", "lock") == {"vault": "locked"}
    is_locked(quick, peer)
    assert "An admin locked the vault" in quick.status()["vault"]["reason"]
    assert quick.template(one) == "suspended"
    assert quick.json("key", "show")["vault"] == "locked"
    assert quick.json("vault", "unlock") == {"vault": "unlocked", "finished": 0}
    eventually(lambda: quick.status()["vault"]["templates"] == 2)
    for number, who in ((1, one), (2, two)):
        peer.script = shows(number)
        assert quick.walk_up()["resident"] == who
    assert (quick.count("vault-locked"), quick.count("vault-unlocked")) == (1, 1)
    (entry,) = [entry for entry in quick.entries() if entry["type"] == "vault-locked"]
    assert entry["payload"]["by"] == "admin"


def test_unlocking_what_is_open_changes_nothing(quick: Bench, peer: Peer, one: str) -> None:
    refused = quick.cli("vault", "unlock", "--json")
    assert (refused.returncode, json.loads(refused.stdout)["error"]) == (1, "conflict")
    assert quick.walk_up()["resident"] == one
    assert quick.count("vault-unlocked") == 0


def test_locking_twice_is_locking_once(quick: Bench, peer: Peer, one: str) -> None:
    quick.ask(control.VaultLock())
    quick.ask(control.VaultLock())
    is_locked(quick, peer)
    unlocked(quick, 1)
    assert quick.walk_up()["resident"] == one


def test_vision_that_comes_back_opens_no_locked_gallery(quick: Bench, peer: Peer, one: str, seeing: Seeing) -> None:
    quick.ask(control.VaultLock())
    peer.close()
    eventually(lambda: quick.status()["vision"]["state"] != "ok")
    is_locked(quick, seeing(quick, shows(1)))


def test_a_restart_unlocks_with_a_key_in_a_file(quick: Bench, peer: Peer, one: str, seeing: Seeing) -> None:
    """An admin's lock holds until the next start: what opens the vault by itself does so again."""
    quick.ask(control.VaultLock())
    assert quick.stop() == 0
    quick.start(vision=False)
    seeing(quick, shows(1))
    assert quick.walk_up()["resident"] == one


# --- in the middle of something ------------------------------------------------------------------


class Slow:
    """A look whose frames come when the test says so."""

    def __init__(self, face: Vector, frames: int = 6) -> None:
        self.face = face
        self.frames = frames
        self.go = threading.Semaphore(0)
        self.sent = 0

    def __call__(self, look: Look) -> Iterator[Said]:
        yield CameraOpen(look.nonce)
        for frame in range(self.frames):
            assert self.go.acquire(timeout=30)
            noise = person(1_000 + frame) * 0.09  # as the noise of `shows`: frames differ, the person does not
            yield seen(look.nonce, frame, self.face + noise)
            self.sent += 1
        yield LookDone(look.nonce, LookEnd.LIMIT, self.frames, 0, 50)


def test_locked_in_the_middle_of_a_look_nobody_is_let_in(quick: Bench, peer: Peer, one: str) -> None:
    slow = Slow(person(1))
    peer.script = slow
    walked = in_background(quick.walk_up)
    slow.go.release(2)
    eventually(lambda: slow.sent == 2)
    relay = len(quick.edges("relay"))
    quick.ask(control.VaultLock())
    slow.go.release(10)
    assert walked()["decision"] == "deny"
    assert len(quick.edges("relay")) == relay
    peer.script = shows(1)
    is_locked(quick, peer)
    unlocked(quick, 1)
    assert quick.walk_up()["resident"] == one


def test_locked_in_the_middle_of_an_enrolment_nothing_is_kept(quick: Bench, peer: Peer, one: str) -> None:
    two = quick.add("Two", "22")
    quick.ask(quick.consent(two, "22"))
    slow = Slow(person(2))
    peer.script = slow
    enrolled = in_background(lambda: quick.refused(control.Enrol(two)))
    slow.go.release(2)
    eventually(lambda: slow.sent == 2)
    quick.ask(control.VaultLock())
    slow.go.release(10)
    assert enrolled().code == "vault-locked"
    assert rows(quick) == [1, 1] and quick.todos() == 0
    unlocked(quick, 1)
    assert quick.template(two) == "none"


def test_locked_while_the_gallery_is_filled_nobody_is_left_in_it(
    quick: Bench, peer: Peer, one: str, two: str, seeing: Seeing
) -> None:
    """The lock falls some moment after the unlock: status finds nobody each time."""
    for _ in range(6):
        quick.ask(control.VaultLock())
        quick.ask(control.VaultUnlock())
        quick.ask(control.VaultLock())
        vault = quick.status()["vault"]
        assert (vault["templates"], vault["holder_key"], vault["state"]) == (0, 0, "locked")
    is_locked(quick, peer)
    unlocked(quick, 2)
    assert quick.walk_up()["resident"] == one


def test_what_was_being_opened_when_the_lock_fell_is_overwritten(quick: Bench, one: str, two: str) -> None:
    """Between the storage thread and the gallery, in the daemon's own rooms; the keys go last, as they do there."""
    assert quick.stop() == 0

    async def work(rooms: Inside) -> None:
        assert set(rooms.faces.residents) == {one, two}
        for anew in (False, True):
            desk = rooms.faces.desk(2)
            assert desk is not None
            opened = rooms.faces.open_some(rooms.faces.begin(), desk)
            assert set(opened.residents) == {one, two} and opened.rows.all()
            rooms.stores.shut("The test locked the vault.")
            rooms.faces.close()
            if anew:  # whatever begins a gallery now, nobody comes into it
                rooms.faces.use_model(bytes.fromhex(MODEL), shipped("dlib"))
            rooms.faces.add_some(opened)
            assert not opened.rows.any() and not desk.scratch.any() and not any(desk.plain(64)[4:])
            assert rooms.faces.residents == []
            assert not rooms.faces.open_some([one, two], desk).residents
            rooms.stores.need_vault().lock()
            rooms.stores.unlock()
            rooms.open()
            assert set(rooms.faces.residents) == {one, two}

    inside(quick, now(), work)


# --- withdrawal, purge, removal and enrolment while locked ---------------------------------------


def test_a_withdrawal_while_locked_deletes_at_once_and_certifies_at_unlock(
    quick: Bench, peer: Peer, one: str, two: str
) -> None:
    epoch = quick.ask(control.KeyShow())["epoch"]
    quick.ask(control.VaultLock())
    answer = quick.ask(control.ConsentWithdraw(one))
    assert answer == {"resident": one, "certificate": None}
    assert rows(quick) == [1, 1], "at once"
    assert (quick.standing(one), quick.template(one)) == ("withdrawn", "none")
    assert certificates(quick, one) == []
    assert quick.count("consent-withdrawn") == 1, "entered at once"
    assert quick.todos() == 1, "the rotation and the certificate are owed"
    is_locked(quick, peer)
    assert quick.ask(control.VaultUnlock())["finished"] == 1
    (certificate,) = certificates(quick, one)
    assert (certificate["event"], certificate["template_was_there"]) == ("consent-withdrawn", True)
    assert (certificate["keys_rotated"], certificate["key_provider"]) == (True, "file")
    assert quick.ask(control.KeyShow())["epoch"] == epoch + 1
    assert quick.count("consent-withdrawn") == 1, "and once"
    assert quick.todos() == 0
    eventually(lambda: quick.status()["vault"]["templates"] == 1)
    assert quick.walk_up()["reason"] == "no-match"
    peer.script = shows(2)
    assert quick.walk_up()["resident"] == two


def test_five_taps_withdraw_while_locked(quick: Bench, peer: Peer, one: str) -> None:
    quick.ask(control.CardAdd(one, "12"))
    quick.ask(control.VaultLock())
    for _ in range(5):
        assert quick.tap("12")["relay"] is True
    assert quick.standing(one) == "withdrawn"
    assert rows(quick) == [0, 0]
    unlocked(quick, 0)
    (certificate,) = certificates(quick, one)
    assert certificate["keys_rotated"] is True
    (entry,) = [entry for entry in quick.entries() if entry["type"] == "consent-withdrawn"]
    assert entry["payload"]["way"] == "card"


def test_a_purge_while_locked_is_certified_at_unlock(quick: Bench, peer: Peer, one: str) -> None:
    quick.ask(control.VaultLock())
    assert quick.ask(control.Purge(one))["certificate"] is None
    assert rows(quick) == [0, 0]
    assert quick.refused(control.Purge(one)).code == "not-found"
    unlocked(quick, 0)
    (certificate,) = certificates(quick, one)
    assert (certificate["event"], certificate["keys_rotated"]) == ("purged", True)
    assert (quick.count("purged"), quick.todos()) == (1, 0)


def test_a_removal_while_locked_says_that_no_key_was_rotated(quick: Bench, peer: Peer, one: str, two: str) -> None:
    quick.ask(control.VaultLock())
    certificate = quick.ask(control.ResidentRemove(two))["certificate"]["certificate"]
    assert (certificate["template_was_there"], certificate["keys_rotated"]) == (True, False)
    assert (certificate["key_provider"], certificate["image_of_medium_opens"]) == (None, True)
    assert "is not rotated yet" in certificate["method"]
    assert rows(quick) == [1, 1]
    assert quick.tap("22")["reason"] == "unknown-card"
    assert quick.count("resident-removed") == 1
    epoch = _epoch_after_unlock(quick)
    assert (quick.count("resident-removed"), quick.todos()) == (1, 0)
    assert epoch > 1, "what was owed is done"
    assert quick.refused(control.ResidentShow(two)).code == "not-found"


def _epoch_after_unlock(bench: Bench) -> int:
    unlocked(bench, 1)
    return int(bench.ask(control.KeyShow())["epoch"])


def test_who_withdrew_while_locked_can_consent_and_enrol_anew(quick: Bench, peer: Peer, one: str) -> None:
    """What is owed from before does not touch the new consent's template."""
    quick.ask(control.VaultLock())
    quick.ask(control.ConsentWithdraw(one))
    quick.ask(quick.consent(one, "11"))
    unlocked(quick, 0)
    assert len(certificates(quick, one)) == 1
    quick.ask(control.Enrol(one))
    assert quick.walk_up()["resident"] == one
    quick.ask(control.VaultLock())
    unlocked(quick, 1)
    assert quick.walk_up()["resident"] == one


def test_a_renewal_while_locked_holds_after_it(quick: Bench, peer: Peer, one: str) -> None:
    quick.ask(control.VaultLock())
    quick.ask(quick.consent(one, "11", "zh"))
    is_locked(quick, peer)
    unlocked(quick, 1)
    assert quick.walk_up()["resident"] == one


def test_another_mode_while_locked_erases_at_once(quick: Bench, peer: Peer, one: str) -> None:
    quick.ask(control.CardAdd(one, LONG))
    quick.ask(control.VaultLock())
    quick.ask(quick.consent(one, LONG, mode=KeyMode.HOLDER))
    assert rows(quick) == [0, 0]
    assert certificates(quick, one) == []
    unlocked(quick, 0)
    (certificate,) = certificates(quick, one)
    assert (certificate["event"], certificate["keys_rotated"]) == ("purged", True)
    assert (quick.template(one), quick.standing(one), quick.todos()) == ("none", "live", 0)


def test_no_camera_opens_for_an_enrolment_while_locked(quick: Bench, peer: Peer, one: str) -> None:
    two = quick.add("Two", "22")
    quick.ask(quick.consent(two, "22"))
    quick.ask(control.VaultLock())
    looks, light = len(peer.looks), len(quick.edges("privacy_led"))
    for who in (one, two):
        assert quick.refused(control.Enrol(who)).code == "vault-locked"
    for command in (control.KeyRotate(), control.KeyMove("passphrase", typed("four words drawn by dice"))):
        assert quick.refused(command).code == "vault-locked"
    assert (len(peer.looks), len(quick.edges("privacy_led"))) == (looks, light)
    assert quick.todos() == 0
