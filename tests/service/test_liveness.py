"""Liveness on the running daemon: what is asked, shown by lights and told to vision, and when vision may answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from gatevault.core import control
from gatevault.core.liveness import ADVICE, Edge, Lamp, Prompt, Refusal, Side, Tier
from gatevault.core.wire import Begin, CameraOpen, Look, LookDone, LookEnd
from tests.bench import QUICK, Bench, configure
from tests.service.peer import DIMENSION, Peer, Said, Script, person, seen, shows

Seeing = Callable[[Bench, Script], Peer]
Told = list[Prompt | Edge]


def lives(peer: Peer, told: Told, number: int = 1, frames: int = 4) -> Script:
    """A look that asks for its challenge, and then tells of a living face."""

    def script(look: Look) -> Iterator[Said]:
        yield CameraOpen(look.nonce)
        yield Begin(look.nonce)
        told.extend(peer.lights(4.0 if look.tier is Tier.RGB else 2.2))
        for frame in range(frames):
            noise = person(1000 + frame, DIMENSION)
            yield seen(look.nonce, frame, person(number) + noise * 0.05)
        yield LookDone(look.nonce, LookEnd.LIMIT, frames, 0, 50)

    return script


def refused(refusal: Refusal) -> Script:
    def script(look: Look) -> Iterator[Said]:
        yield CameraOpen(look.nonce)
        yield Begin(look.nonce)
        yield LookDone(look.nonce, LookEnd.NOT_LIVE, 5, 0, 50, "", refusal)

    return script


@pytest.fixture
def one(quick: Bench, seeing: Seeing) -> Peer:
    """A bench with one resident, whose vision is the test's."""
    configure(quick.root, QUICK + '\n[liveness]\ntier = "rgb+led"\npause_s = 600\n')
    quick.start(vision=False)
    peer = seeing(quick, shows(1))
    quick.enrolled("One", "11", None)
    return peer


def test_a_living_face_opens_and_the_ledger_tells_what_was_checked(quick: Bench, one: Peer) -> None:
    told: Told = []
    one.script = lives(one, told)
    assert quick.walk_up()["reason"] == "matched"
    assert one.looks[-1].tier is Tier.LED and one.looks[-1].same_person is not None
    decision = next(e["payload"] for e in reversed(quick.entries()) if e["type"] == "decision")
    assert (decision["way"], decision["liveness"]) == ("face", "rgb+led")
    assert [edge.lamp for edge in told if isinstance(edge, Edge)] == [Lamp.LED] * len(told)
    assert [edge.lit for edge in told if isinstance(edge, Edge)] == [n % 2 == 1 for n in range(len(told))]
    times = [light.at_ns for light in told]
    assert times == sorted(times)


def test_the_lamp_moved_when_vision_was_told_so_and_is_dark_afterwards(quick: Bench, one: Peer) -> None:
    told: Told = []
    one.script = lives(one, told)
    quick.walk_up()
    # Lit before the camera opens, so that its exposure fits; then the pattern, which ends in the dark.
    assert quick.values("lamp") == [1, *(n % 2 for n in range(len(told)))] and len(told) % 2 == 1


@pytest.mark.parametrize("tier", [Tier.RGB, Tier.IR])
def test_a_bench_may_ask_for_another_tier(quick: Bench, one: Peer, tier: Tier) -> None:
    told: Told = []
    one.script = lives(one, told)
    assert quick.ask(control.WalkUp(None, tier))["reason"] == "matched"
    if tier is Tier.RGB:
        course = [light.side for light in told if isinstance(light, Prompt)]
        assert len(course) == len(told) == 3
        for side in Side:
            lit = [
                now is side for before, now in pairwise((None, *course)) if (now is side) is not (before is side)
            ]
            shown = quick.values(f"turn_{side}_led")
            assert shown[: len(lit)] == lit
            assert shown[-1:] != [1], "dark when the look is over"
    else:
        assert {edge.lamp for edge in told if isinstance(edge, Edge)} == {Lamp.IR}


def test_a_face_before_its_challenge_was_over_is_no_face(quick: Bench, one: Peer) -> None:
    """Vision is not believed that somebody lives whom nobody has asked anything."""
    one.script = shows(1)
    walked = quick.walk_up()
    assert (walked["decision"], walked["reason"]) == ("deny", "fault")
    assert "before its challenge" in quick.status()["vision"]["reason"]


def test_vision_cannot_ask_for_a_challenge_twice_nor_for_none(quick: Bench, one: Peer, seeing: Seeing) -> None:
    def twice(look: Look) -> Iterator[Said]:
        yield CameraOpen(look.nonce)
        yield Begin(look.nonce)
        yield Begin(look.nonce)

    one.script = twice
    assert quick.walk_up()["reason"] == "fault"
    again = seeing(quick, twice)
    assert quick.ask(control.WalkUp(None, Tier.OFF))["reason"] == "fault", "with liveness off"
    assert again.looks[-1].tier is Tier.OFF


@pytest.mark.parametrize("refusal", Refusal)
def test_who_does_not_live_is_told_what_to_do(quick: Bench, one: Peer, refusal: Refusal) -> None:
    one.script = refused(refusal)
    walked = quick.walk_up()
    assert (walked["decision"], walked["reason"], walked["relay"]) == ("deny", "not-live", False)
    assert walked["detail"] == ADVICE[refusal]
    assert not quick.status()["vision"]["camera_open"]


def test_three_failures_turn_faces_off_for_a_while_and_cards_go_on(quick: Bench, one: Peer) -> None:
    one.script = refused(Refusal.NOT_LIVE)
    for _ in range(3):
        assert quick.walk_up()["reason"] == "not-live"
    looks = len(one.looks)
    walked = quick.walk_up()
    assert (walked["decision"], walked["reason"]) == ("deny", "use-card") and "use the card" in walked["detail"]
    assert len(one.looks) == looks, "the camera stays shut"
    assert quick.tap("11")["relay"]
    assert quick.status()["liveness"]["refused"] == 3


def test_a_living_face_between_ends_the_count(quick: Bench, one: Peer) -> None:
    for _ in range(2):
        one.script = refused(Refusal.TOO_LATE)
        quick.walk_up()
        quick.walk_up()
        one.script = lives(one, [])
        assert quick.walk_up()["reason"] == "matched"


def test_status_tells_which_tier_and_what_passes_with_it(quick: Bench, one: Peer) -> None:
    part = quick.status()["liveness"]
    assert (part["state"], part["tier"], part["faces"]) == ("ok", "rgb+led", "on")
    assert "masks" in part["passes"]


def test_a_bench_as_it_is_made_says_loudly_that_nothing_is_checked(bench: Bench) -> None:
    bench.start(vision=False)
    part = bench.status()["liveness"]
    assert part["tier"] == "off" and "LIVENESS IS OFF" in part["reason"]
    assert 'tier = "off"' in bench.paths.config.read_text()
