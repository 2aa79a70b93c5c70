"""Templates that open with their holder's card alone (R25): matched one to one, after a tap of that card.

A test taps a card four times at most, consent and enrolment included: the fifth within ten seconds withdraws.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import cast

import pytest

from gatevault.core import control
from gatevault.core.consent import KeyMode
from gatevault.core.schedule import parse
from gatevault.core.types import CardRead
from gatevault.service import access
from gatevault.service.access import Access
from gatevault.service.config import load_board
from gatevault.service.doorway import Doorway
from gatevault.service.eyes import Eyes
from gatevault.service.liveness import Liveness
from gatevault.service.site import Site
from tests.bench import Bench, eventually, in_background
from tests.service.inside import Inside, inside, now
from tests.service.peer import DIMENSION, Peer, Script, shows
from tests.service.steps import (
    LONG,
    OTHER_LONG,
    certificates,
    nothing_is_sealed,
    opens_after_tap,
    refused_without_card,
    sealed,
    ways,
)
from tests.service_units.fakes import FakeRelay

Seeing = Callable[[Bench, Script], Peer]

SHORT = {
    "4-byte UID": "04A23F91",
    "7-byte UID": "04A23F91B2C380",
    "10-byte UID": "04A23F91B2C380D4E5F6",
    "decimal": "0001234567",
    "31 digits": LONG[:-1],
    "not hexadecimal": "G" + LONG[1:],
    "never drawn at random": "01" * 16,
}
HOLDER = KeyMode.HOLDER


@pytest.fixture
def one(quick: Bench, peer: Peer) -> str:
    """Resident One, person 1, whose template opens with the card LONG."""
    return quick.enrolled("One", LONG, None, HOLDER)


# --- consent and enrolment -----------------------------------------------------------------------


@pytest.mark.parametrize("card", SHORT.values(), ids=list(SHORT))
def test_a_short_number_is_no_key_and_nothing_is_kept(quick: Bench, card: str) -> None:
    quick.start(vision=False)
    who = quick.add("One", card)
    entries = quick.count("consent-given")
    error = quick.refused(quick.consent(who, card, mode=HOLDER))
    assert error.code == "no-consent"
    assert "at least 128 random bits" in str(error) and "nothing was kept" in str(error)
    assert quick.standing(who) == "none"
    assert quick.ask(control.ResidentExport(who))["receipts"] == []
    assert quick.count("consent-given") == entries
    assert quick.tap(card)["relay"] is True, "the card opens as any card"


def test_enrolment_waits_for_the_card_and_looks_after_it(quick: Bench, peer: Peer) -> None:
    who = quick.add("One", LONG, SHORT["4-byte UID"])
    quick.add("Two", OTHER_LONG)
    assert quick.ask(quick.consent(who, LONG, mode=HOLDER))["mode"] == "holder-key"

    refused = in_background(lambda: quick.refused(control.Enrol(who)))
    _waits_for_a_card(quick, peer)
    quick.tap(SHORT["4-byte UID"])
    error = refused()
    assert error.code == "no-consent" and "128 random bits" in str(error)
    assert nothing_is_sealed(quick) and not peer.looks

    answer = in_background(lambda: quick.ask(control.Enrol(who)))
    _waits_for_a_card(quick, peer)
    quick.tap(LONG)
    assert answer()["mode"] == "holder-key"
    assert len(peer.looks) == 1
    assert quick.template(who) == "holder-key"


def _waits_for_a_card(bench: Bench, peer: Peer) -> None:
    """The terminal says so, the camera is shut, and another resident's card changes nothing."""
    eventually(lambda: any("tap that card within 60 seconds" in text for text in bench.said))
    assert bench.tap(OTHER_LONG)["relay"] is True
    assert not peer.looks
    bench.said.clear()


def test_the_commands_as_people_type_them(quick: Bench, peer: Peer) -> None:
    who = quick.add("One", LONG)
    given = quick.cli("consent", "give", who, "--notice", "en", "--holder-key", "--tap", LONG, "--json")
    assert given.returncode == 0, given.stderr
    assert json.loads(given.stdout)["mode"] == "holder-key"
    assert "opens only with that card" in given.stderr, "the notice tells of the choice"
    assert quick.json("enrol", who, "--tap", LONG)["mode"] == "holder-key"
    assert quick.json("consent", "show", who)["receipt"]["mode"] == "holder-key"
    opens_after_tap(quick, who)


def test_the_template_is_not_in_the_gallery(quick: Bench, one: str) -> None:
    vault = quick.status()["vault"]
    assert (vault["state"], vault["templates"], vault["holder_key"], vault["suspended"]) == ("unlocked", 0, 1, 0)
    assert quick.template(one) == "holder-key"
    assert len(sealed(quick)) == 1


def test_the_secret_is_in_no_file_and_no_log(quick: Bench, one: str) -> None:
    opens_after_tap(quick, one)
    assert quick.stop() == 0
    needles = (LONG.encode(), LONG.lower().encode(), bytes.fromhex(LONG))
    for path in (quick.log_file, *quick.root.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            assert not any(needle in content for needle in needles), path


# --- at the gate ---------------------------------------------------------------------------------


def test_without_the_card_the_camera_stays_shut(quick: Bench, peer: Peer, one: str) -> None:
    refused_without_card(quick, peer)


def test_a_tap_opens_and_the_face_is_matched_one_to_one_once(quick: Bench, peer: Peer, one: str) -> None:
    opens_after_tap(quick, one)
    refused_without_card(quick, peer)
    opens_after_tap(quick, one)


def test_the_row_is_overwritten_when_its_time_is_over(
    quick: Bench, one: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a minute, made short here: the rooms are the daemon's, the clock of the release is asyncio's."""
    assert access.HELD_S == 30.0
    assert quick.stop() == 0
    monkeypatch.setattr(access, "HELD_S", 0.3)

    async def work(rooms: Inside) -> None:
        gate = _access(rooms)
        await gate.card(CardRead(LONG, "bench"), 0)
        held = rooms.faces.held
        assert held is not None and held.residents == [one] and held.rows.shape == (1, DIMENSION)
        assert held.rows.any(), "the view shows the row"
        async with asyncio.timeout(10):
            while rooms.faces.held is not None:
                await asyncio.sleep(0.02)
        assert not held.rows.any()

    inside(quick, now(), work)


class _Dark:
    """Lights that nobody looks at."""

    def granted(self) -> None: ...
    def refused(self) -> None: ...


def _access(rooms: Inside) -> Access:
    """The daemon's own doorway, without its vision."""
    doorway = Doorway(FakeRelay(), 60)
    house = rooms.house
    return Access(
        rooms.stores,
        house.storage,
        rooms.faces,
        cast(Eyes, None),
        doorway,
        _Dark(),
        house.journal,
        rooms.clock,
        parse(house.settings.schedule.hours),
        house.settings.matching,
        Liveness(house.settings.liveness, load_board("bench"), bench=True),
        Site(rooms.stores, required=False),
    )


@pytest.mark.nightly
def test_after_half_a_minute_the_tap_is_over(quick: Bench, peer: Peer, one: str) -> None:
    quick.tap(LONG)
    peer.script = shows()
    assert quick.walk_up()["reason"] == "no-face", "the card was read: the camera looks"
    peer.script = shows(1)
    time.sleep(access.HELD_S + 1)
    refused_without_card(quick, peer)


def test_another_long_card_of_theirs_does_not_open_it(quick: Bench, peer: Peer, one: str) -> None:
    quick.ask(control.CardAdd(one, OTHER_LONG))
    quick.ask(control.CardAdd(one, SHORT["7-byte UID"]))
    for card in (OTHER_LONG, SHORT["7-byte UID"]):
        assert quick.tap(card)["relay"] is True
        refused_without_card(quick, peer)
    assert quick.status()["vault"]["state"] == "unlocked", "another card is no fault of the vault"
    opens_after_tap(quick, one)


def test_another_face_after_the_tap_is_denied(quick: Bench, peer: Peer, one: str) -> None:
    quick.tap(LONG)
    peer.script = shows(2)
    walked = quick.walk_up()
    assert (walked["decision"], walked["reason"], walked["resident"]) == ("deny", "no-match", None)
    assert quick.unmatched() == 1
    peer.script = shows(1)
    assert quick.walk_up()["resident"] == one, "the holder's half-minute goes on"


def test_others_are_matched_as_before(quick: Bench, peer: Peer, one: str) -> None:
    peer.script = shows(2)
    two = quick.enrolled("Two", "22", None)
    assert quick.walk_up()["resident"] == two
    peer.script = shows(1)
    assert quick.walk_up()["reason"] == "no-match", "One is not in the gallery"
    quick.tap(LONG)
    peer.script = shows(2)
    assert quick.walk_up()["resident"] == two
    assert ways(quick)[-1] == "face", "a card of another's says nothing of Two"
    peer.script = shows(1)
    opens_after_tap(quick, one)


def test_in_a_locked_vault_a_tap_opens_and_no_face_does(quick: Bench, peer: Peer, one: str) -> None:
    quick.ask(control.VaultLock())
    assert quick.tap(LONG)["relay"] is True
    looks = len(peer.looks)
    assert quick.walk_up()["reason"] == "vault-locked"
    quick.ask(control.VaultUnlock())
    eventually(lambda: quick.status()["vault"]["holder_key"] == 1)
    refused_without_card(quick, peer)
    assert len(peer.looks) == looks
    opens_after_tap(quick, one)


def test_a_lock_overwrites_what_a_tap_had_opened(quick: Bench, peer: Peer, one: str) -> None:
    quick.tap(LONG)
    quick.ask(control.VaultLock())
    quick.ask(control.VaultUnlock())
    eventually(lambda: quick.status()["vault"]["holder_key"] == 1)
    refused_without_card(quick, peer)


# --- renewal and other people's purges -----------------------------------------------------------


def test_anothers_purge_wraps_it_anew_without_its_card(quick: Bench, peer: Peer, one: str) -> None:
    peer.script = shows(2)
    two = quick.enrolled("Two", "22", None)
    record = next(row for row in sealed(quick) if row[0] == _record(quick, one))
    epoch = quick.ask(control.KeyShow())["epoch"]
    quick.ask(control.Purge(two))
    assert quick.ask(control.KeyShow())["epoch"] == epoch + 1
    (after,) = sealed(quick)
    assert after[0] == record[0] and after[2] == record[2], "the template itself is as it was"
    assert after[1] != record[1], "its key is under the new epoch"
    peer.script = shows(1)
    opens_after_tap(quick, one)


def _record(bench: Bench, resident: str) -> bytes:
    """Which row is a resident's: told by the house key, which the test reads as a thief would."""
    from gatevault.service.state import open_house_keys

    return open_house_keys(bench.paths).record_id(resident)


def test_a_renewed_consent_seals_it_anew_at_the_next_tap(
    quick: Bench, peer: Peer, seeing: Seeing, one: str
) -> None:
    quick.ask(control.CardAdd(one, OTHER_LONG))
    (before,) = sealed(quick)
    for language in ("zh", "en"):  # twice, by the card that is not its key
        quick.ask(quick.consent(one, OTHER_LONG, language, HOLDER))
    (renewed,) = sealed(quick)
    assert renewed == before, "without the card nothing can be sealed anew"
    assert quick.template(one) == "holder-key"
    opens_after_tap(quick, one)
    (after,) = sealed(quick)
    assert after[2] != before[2]
    assert quick.stop() == 0
    quick.start(vision=False)
    again = seeing(quick, shows(1))
    eventually(lambda: quick.status()["vault"]["holder_key"] == 1)
    refused_without_card(quick, again)
    opens_after_tap(quick, one)
    assert sealed(quick)[0][2] == after[2], "once"
    assert quick.count("enrolled") == 1
    assert certificates(quick, one) == []
