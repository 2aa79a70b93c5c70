"""Who begins a look, and what a PIR does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from gatevault.core.board import Asks, Board, Input, Output, Presence, Relay
from gatevault.service import arrivals as module
from gatevault.service.arrivals import Arrivals

BOARD = Board(
    name="some",
    description="",
    relay=Relay(pin=17),
    presence=Presence(pin=5),
    motion=Input(pin=6),
    approach_light=Output(pin=18),
)
MAT = Presence(pin=5, asks=Asks.MAT, hold_ms=500, rearm_ms=500)


class Clock:
    """Milliseconds that pass only when told, and the timers that were set on them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0
        self.timers: list[tuple[int, Callable[..., None], tuple[Any, ...], list[bool]]] = []
        monkeypatch.setattr(module, "monotonic_ms", lambda: self.now)
        monkeypatch.setattr(module.asyncio, "get_running_loop", lambda: self)

    def call_later(self, delay_s: float, then: Callable[..., None], *arguments: Any) -> Any:
        alive = [True]
        self.timers.append((self.now + round(delay_s * 1_000), then, arguments, alive))
        return type("Timer", (), {"cancel": lambda _: alive.clear()})()

    def pass_ms(self, milliseconds: int) -> None:
        self.now += milliseconds
        due, self.timers = self.timers, []
        for at, then, arguments, alive in due:
            if alive and at <= self.now:
                then(*arguments)
            elif alive:
                self.timers.append((at, then, arguments, alive))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Gate:
    def __init__(self, board: Board = BOARD) -> None:
        self.looks = 0
        self.light: list[bool] = []
        self.arrivals = Arrivals(board, self._look, self.light.append)

    def _look(self) -> None:
        self.looks += 1


def with_mat() -> Gate:
    return Gate(Board(name="some", description="", relay=Relay(pin=17), presence=MAT))


def test_a_button_begins_a_look_at_once(clock: Clock) -> None:
    gate = Gate()
    gate.arrivals.presence(True)
    assert gate.looks == 1
    clock.pass_ms(60_000)
    gate.arrivals.presence(False)
    assert gate.looks == 1, "a button that is held asks once"


def test_a_mat_must_be_stood_on_and_left(clock: Clock) -> None:
    gate = with_mat()
    gate.arrivals.presence(True)
    clock.pass_ms(300)
    gate.arrivals.presence(False)
    clock.pass_ms(10_000)
    assert gate.looks == 0, "somebody passed"
    gate.arrivals.presence(True)
    clock.pass_ms(501)
    assert gate.looks == 1
    clock.pass_ms(60_000)
    assert gate.looks == 1, "somebody stays"
    gate.arrivals.presence(False)
    clock.pass_ms(600)
    gate.arrivals.presence(True)
    clock.pass_ms(501)
    assert gate.looks == 2


def test_a_pir_wakes_the_light_and_never_the_camera(clock: Clock) -> None:
    gate = Gate()
    for _ in range(5):
        gate.arrivals.motion(True)
        clock.pass_ms(3_000)
        gate.arrivals.motion(False)
        clock.pass_ms(3_000)
    assert gate.looks == 0
    assert set(gate.light) == {True}, "lit without a break while somebody moves"
    clock.pass_ms(round(module.LIGHT_S * 1_000))
    assert gate.light[-1] is False


def test_closed_it_starts_nothing(clock: Clock) -> None:
    gate = with_mat()
    gate.arrivals.presence(True)
    gate.arrivals.close()
    clock.pass_ms(10_000)
    assert gate.looks == 0


def test_a_board_without_such_contacts(clock: Clock) -> None:
    gate = Gate(Board(name="bare", description="", relay=Relay(pin=17)))
    gate.arrivals.presence(True)
    gate.arrivals.motion(True)
    assert gate.looks == 0


def test_on_a_real_loop_the_timer_is_not_early() -> None:
    gate = with_mat()

    async def stand() -> None:
        gate.arrivals.presence(True)
        async with asyncio.timeout(20):
            while not gate.looks:
                await asyncio.sleep(0.05)

    work: Coroutine[Any, Any, None] = stand()
    asyncio.run(work)
    assert gate.looks == 1
