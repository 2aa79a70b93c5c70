"""The relay: released when made, at its limit, when closed, and whatever fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gpiozero
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.board import Board
from gatevault.core.errors import DeviceError
from gatevault.devices import relay as module
from gatevault.devices.pins import open_pins
from gatevault.devices.relay import Relay
from gatevault.devices.trace import read_trace
from tests.devices.conftest import FULL
from tests.devices.fakes import eventually

LONG_S = 600.0


@pytest.fixture
def factory(board: Board, trace: Path) -> Iterator[gpiozero.Factory]:
    factory = open_pins(board, bench=True, trace=trace)
    yield factory
    factory.close()


@pytest.fixture
def relay(board: Board, factory: gpiozero.Factory) -> Iterator[Relay]:
    relay = Relay(board.relay, factory)
    yield relay
    relay.close()


def level(board: Board, factory: gpiozero.Factory) -> bool:
    return bool(factory.pin(board.relay.pin).state)


def test_the_pin_really_toggles(board: Board, factory: gpiozero.Factory, relay: Relay) -> None:
    on = board.relay.active_high
    assert not relay.energised
    assert level(board, factory) is not on
    relay.energise(LONG_S)
    assert relay.energised
    assert level(board, factory) is on
    relay.release()
    assert not relay.energised
    assert level(board, factory) is not on


def test_it_releases_by_itself(relay: Relay, trace: Path) -> None:
    relay.energise(0.01)
    eventually(lambda: [e.value for e in read_trace(trace)] == [1, 0])
    assert not relay.energised


def test_a_later_limit_replaces_the_earlier(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the old timer fires at that very moment: its turn is over."""
    relay.energise(LONG_S)
    first = relay._timer
    relay.energise(None)
    assert first is not None
    first.function(*first.args)
    assert relay.energised
    relay.release()
    assert relay._timer is None


def test_closing_releases_and_ends_the_timer(board: Board, factory: gpiozero.Factory, trace: Path) -> None:
    relay = Relay(board.relay, factory)
    relay.energise(LONG_S)
    relay.close()
    relay.close()
    relay.release()
    assert not relay.energised
    assert [e.value for e in read_trace(trace)] == [1, 0]
    with pytest.raises(DeviceError, match="closed"):
        relay.energise(1.0)
    assert not [t for t in threading.enumerate() if t.name == "relay-limit" and not t.daemon]


@pytest.mark.parametrize("limit", [0.0, -1.0])
def test_a_limit_is_some_time(relay: Relay, limit: float) -> None:
    with pytest.raises(ValueError, match="seconds"):
        relay.energise(limit)
    assert not relay.energised


def test_without_a_thread_for_the_limit_it_is_not_energised(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(module.threading.Timer, "start", no_thread)
    with pytest.raises(DeviceError, match="start new thread"):
        relay.energise(1.0)
    assert not relay.energised


def test_a_release_that_fails_at_the_limit_is_tried_again(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, fails = relay._line.off, 3

    def off() -> None:
        nonlocal fails
        if fails:
            fails -= 1
            raise OSError("the driver is away")
        whole()

    monkeypatch.setattr(module, "RETRY_S", 0.01)
    relay._line.__dict__["off"] = off
    relay.energise(0.01)
    eventually(lambda: not relay.energised)
    del relay._line.__dict__["off"]
    assert fails == 0


def test_a_taken_pin_and_one_that_is_not_there(board: Board, factory: gpiozero.Factory, relay: Relay) -> None:
    with pytest.raises(DeviceError, match="already in use"):
        Relay(board.relay, factory)
    with pytest.raises(DeviceError, match="not a valid pin"):
        Relay(type(board.relay)(pin=55), factory)


@given(st.lists(st.sampled_from(["energise", "hold", "release", "expire"]), max_size=30))
def test_whatever_is_called_the_last_word_counts(calls: list[str]) -> None:
    factory = open_pins(FULL, bench=True)
    relay = Relay(FULL.relay, factory)
    stale: list[Any] = []
    want = False
    for call in calls:
        if relay._timer is not None:
            stale.append(relay._timer)
        if call == "release":
            relay.release()
            want = False
        elif call == "expire":
            for timer in stale:
                if timer is relay._timer:
                    want = False
                timer.function(*timer.args)
        else:
            relay.energise(LONG_S if call == "energise" else None)
            want = True
        assert relay.energised is want
    relay.close()
    assert not factory.pin(FULL.relay.pin).state
    factory.close()
