"""The challenge as the daemon puts it: told as it was driven, and dark afterwards, whatever happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from gatevault.core.errors import DeviceError
from gatevault.core.liveness import TURN_BYTES, TURNS_MS, Cue, Edge, Lamp, Prompt, Side, Tier
from gatevault.core.liveness.challenge import CUES, MS
from gatevault.service.challenge import Asking, challenge


class FakeLights:
    """Remembers each move, and can break at the n-th."""

    def __init__(self, breaks_at: int | None = None) -> None:
        self.moves: list[tuple[Lamp | Side, bool]] = []
        self._breaks_at = breaks_at

    def lamp(self, lamp: Lamp, on: bool) -> None:
        self._move(lamp, on)

    def turn(self, side: Side, on: bool) -> None:
        self._move(side, on)

    def _move(self, part: Lamp | Side, on: bool) -> None:
        if on and self._breaks_at is not None and len(self.moves) >= self._breaks_at:
            raise DeviceError("lamp: it does not answer")
        self.moves.append((part, on))

    @property
    def lit(self) -> set[Lamp | Side]:
        now: dict[Lamp | Side, bool] = dict(self.moves)
        return {part for part, on in now.items() if on}


def put(tier: Tier, lights: FakeLights) -> tuple[list[Prompt | Edge], list[int]]:
    told: list[Prompt | Edge] = []
    done: list[int] = []
    Asking(tier, lights, told.append, lambda: None).prepare()
    asyncio.run(challenge(tier, lights, told.append, lambda: done.append(len(told))))
    return told, done


@pytest.mark.parametrize(("tier", "lamp"), [(Tier.LED, Lamp.LED), (Tier.IR, Lamp.IR)])
def test_a_pattern_is_told_as_it_was_driven(tier: Tier, lamp: Lamp) -> None:
    lights = FakeLights()
    told, done = put(tier, lights)
    edges = [light for light in told if isinstance(light, Edge)]
    assert len(edges) == len(told) >= 8 and done == [len(told)]
    driven = [(edge.lamp, edge.lit) for edge in edges]
    assert lights.moves[0] == (lamp, True), "for the camera's exposure, and not told: it is no part of the pattern"
    assert driven == lights.moves[1 : len(driven) + 1] and {part for part, _ in driven} == {lamp}
    assert [edge.lit for edge in edges] == [number % 2 == 1 for number in range(len(edges))]
    times = [edge.at_ns for edge in edges]
    assert times == sorted(times) and not lights.lit


@pytest.mark.parametrize(
    "course", [(Side.LEFT, Side.RIGHT, None), (None, Side.RIGHT, Side.RIGHT), (Side.LEFT, None, Side.LEFT)]
)
def test_cues_are_told_as_they_are_shown_and_the_last_arrow_is_lit_until_the_end(
    course: tuple[Side | None, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatevault.service.challenge.draw_turns", lambda random: cues(course, len(random)))
    lights = FakeLights()
    seen: list[set[Lamp | Side]] = []
    told: list[Prompt | Edge] = []
    done: list[int] = []

    def tell(light: Prompt | Edge) -> None:
        told.append(light)
        seen.append(lights.lit)

    began = time.monotonic_ns()
    asyncio.run(challenge(Tier.RGB, lights, tell, lambda: done.append(len(told))))
    assert tuple(light.side for light in told if isinstance(light, Prompt)) == course
    assert seen == [set() if side is None else {side} for side in course], "one arrow, or none"
    assert done == [CUES] and not lights.lit
    assert time.monotonic_ns() - began >= TURNS_MS * MS, "the last arrow is lit for as long as it may be answered"
    changes = [side for side, before in zip(course, (None, *course), strict=False) if side is not before and side]
    assert [part for part, on in lights.moves if on] == changes, "an arrow that stays is not lit again"


def cues(course: Sequence[Side | None], bytes_given: int) -> tuple[Cue, ...]:
    assert bytes_given == TURN_BYTES
    return tuple(Cue(100 + 50 * number, side) for number, side in enumerate(course))


@pytest.mark.parametrize(("tier", "breaks_at"), [(Tier.RGB, 0), (Tier.LED, 2)])
def test_a_light_that_breaks_ends_it_in_the_dark(tier: Tier, breaks_at: int) -> None:
    lights = FakeLights(breaks_at)
    with pytest.raises(DeviceError):
        put(tier, lights)
    assert not lights.lit


def test_a_look_that_ends_early_leaves_no_light_on_and_a_fault_is_told() -> None:
    async def leave(lights: FakeLights) -> None:
        asking = Asking(Tier.LED, lights, lambda _: None, lambda: None)
        asking.prepare()
        asking.begin()
        asking.begin()  # asked once, whatever vision says
        await asyncio.sleep(0.15)
        asking.check()
        asking.end()
        await asyncio.sleep(0.02)

    lights = FakeLights()
    asyncio.run(leave(lights))
    assert lights.moves[0] == (Lamp.LED, True) and not lights.lit and len(lights.moves) < 6
    with pytest.raises(DeviceError):
        asyncio.run(leave(FakeLights(breaks_at=0)))


@pytest.mark.parametrize("begun", [False, True])
def test_a_lamp_that_waited_for_a_face_is_dark_when_the_look_ends(begun: bool) -> None:
    async def leave(lights: FakeLights) -> None:
        asking = Asking(Tier.LED, lights, lambda _: None, lambda: None)
        asking.prepare()
        assert lights.lit == {Lamp.LED}
        if begun:
            asking.begin()  # and ended before its task has run
        asking.end()

    lights = FakeLights()
    asyncio.run(leave(lights))
    assert lights.moves == [(Lamp.LED, True), (Lamp.LED, False)]


def test_a_turn_challenge_lights_nothing_while_it_waits() -> None:
    lights = FakeLights()
    Asking(Tier.RGB, lights, lambda _: None, lambda: None).prepare()
    assert lights.moves == []


def test_nothing_is_asked_where_liveness_is_off() -> None:
    with pytest.raises(ValueError, match="off"):
        put(Tier.OFF, FakeLights())
