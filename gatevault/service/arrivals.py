"""Somebody comes: a deliberate act begins a look, a PIR wakes a light and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gatevault.core.approach import Approach
from gatevault.core.board import Board
from gatevault.service.clock import monotonic_ms

LIGHT_S: Final = 20.0
"""How long the approach light stays on after the PIR last saw somebody."""


class Arrivals:
    """The contacts `presence` and `motion` of a board. Used on the event loop alone."""

    def __init__(self, board: Board, ask: Callable[[], None], light: Callable[[bool], None]) -> None:
        """`ask` begins a look; `light` drives the approach light and does not raise."""
        self._approach = None if board.presence is None else Approach(board.presence)
        self._ask = ask
        self._light = light
        self._held: asyncio.TimerHandle | None = None
        self._dark: asyncio.TimerHandle | None = None

    def presence(self, active: bool) -> None:
        """The button, the mat or the distance sensor changed."""
        _cancel(self._held)
        self._held = None
        wait_ms = None if self._approach is None else self._approach.changed(active, monotonic_ms())
        if wait_ms == 0:
            self._look()
        elif wait_ms is not None:  # one millisecond later, so that rounding cannot make the timer early
            self._held = asyncio.get_running_loop().call_later((wait_ms + 1) / 1000, self._look)

    def motion(self, active: bool) -> None:
        """The PIR changed. Nobody is looked at and nothing is noted: whoever refused walks past too."""
        _cancel(self._dark)
        self._dark = None
        if active:
            self._light(True)
        else:
            self._dark = asyncio.get_running_loop().call_later(LIGHT_S, self._light, False)

    def close(self) -> None:
        """Nobody is waited for any more."""
        _cancel(self._held)
        _cancel(self._dark)

    def _look(self) -> None:
        if self._approach is not None and self._approach.asked(monotonic_ms()):
            self._ask()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
