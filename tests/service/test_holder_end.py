"""How a template that opens with a card ends: withdrawn, purged, removed, run out, or sealed in another mode."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from gatevault.core import control
from gatevault.core.consent import KeyMode
from tests.bench import Bench
from tests.service.inside import Inside, inside, now
from tests.service.peer import Peer
from tests.service.steps import LONG, certificates, nothing_is_sealed, opens_after_tap

HOLDER = KeyMode.HOLDER


@pytest.fixture
def one(quick: Bench, peer: Peer) -> str:
    """Resident One, person 1, whose template opens with the card LONG."""
    return quick.enrolled("One", LONG, None, HOLDER)


@pytest.mark.parametrize(("first", "then"), [(HOLDER, KeyMode.DEVICE), (KeyMode.DEVICE, HOLDER)])
def test_another_mode_erases_the_template_and_asks_for_a_new_one(
    quick: Bench, peer: Peer, first: KeyMode, then: KeyMode
) -> None:
    who = quick.enrolled("One", LONG, None, first)
    before = quick.ask(control.ConsentShow(who))["receipt"]["receipt_id"]
    quick.ask(quick.consent(who, LONG, mode=then))
    assert nothing_is_sealed(quick)
    assert (quick.standing(who), quick.template(who)) == ("live", "none")
    looks = len(peer.looks)
    if first is HOLDER:
        quick.tap(LONG)
    assert quick.walk_up()["reason"] == "no-consent"
    assert len(peer.looks) == looks, "no row of the erased template is in RAM"
    (certificate,) = certificates(quick, who)
    assert (certificate["receipt"], certificate["event"]) == (before, "purged")
    assert (certificate["template_was_there"], certificate["keys_rotated"]) == (True, True)
    receipt = quick.ask(control.ConsentShow(who))["receipt"]
    assert (receipt["mode"], receipt["supersedes"]) == (then.value, None)
    quick.ask(control.Enrol(who, None, LONG))
    assert quick.ask(control.LedgerVerify())["ok"] is True, "it counts templates"
    if then is HOLDER:
        opens_after_tap(quick, who)
    else:
        assert quick.walk_up()["resident"] == who


def _by_card(bench: Bench, who: str) -> None:
    for _ in range(5):
        assert bench.tap(LONG)["relay"] is True


ENDS: dict[str, tuple[Callable[[Bench, str], Any], str]] = {
    "withdrawn": (lambda bench, who: bench.ask(control.ConsentWithdraw(who)), "consent-withdrawn"),
    "withdrawn by card": (_by_card, "consent-withdrawn"),
    "purged": (lambda bench, who: bench.ask(control.Purge(who)), "purged"),
}


@pytest.mark.parametrize("end", ENDS)
def test_an_end_erases_it_also_while_its_card_was_just_read(quick: Bench, peer: Peer, one: str, end: str) -> None:
    work, event = ENDS[end]
    quick.tap(LONG)
    work(quick, one)
    assert nothing_is_sealed(quick)
    looks = len(peer.looks)
    assert quick.walk_up()["reason"] == "no-consent"
    quick.tap(LONG)
    assert quick.walk_up()["reason"] == "no-consent"
    assert len(peer.looks) == looks
    assert (quick.status()["vault"]["holder_key"], quick.template(one)) == (0, "none")
    (certificate,) = certificates(quick, one)
    assert (certificate["event"], certificate["keys_rotated"]) == (event, True)


def test_a_removed_holder_leaves_nothing(quick: Bench, peer: Peer, one: str) -> None:
    quick.tap(LONG)
    certificate = quick.ask(control.ResidentRemove(one))["certificate"]["certificate"]
    assert (certificate["event"], certificate["template_was_there"]) == ("resident-removed", True)
    assert nothing_is_sealed(quick)
    assert quick.tap(LONG)["reason"] == "unknown-card"
    assert quick.walk_up()["reason"] == "no-consent"
    assert quick.status()["vault"]["holder_key"] == 0


def test_a_holders_consent_runs_out(quick: Bench, one: str) -> None:
    assert quick.stop() == 0

    async def work(rooms: Inside) -> None:
        assert rooms.faces.holders == {one}
        rooms.clock.wall = now() + timedelta(days=367)
        assert rooms.faces.open_held(one, LONG) is None, "the right card opens no consent that has run out"
        assert await rooms.erasure.expire() == 1
        assert rooms.faces.holders == set()
        assert not rooms.faces.has_template(one)

    inside(quick, now(), work)
    assert nothing_is_sealed(quick)
