"""What pins do, on the bench's mock and on a real chip: one suite.

The real half runs where GATEVAULT_TEST_GPIOCHIP names a chip (a gpio-sim in the test machine, say). It
does not take whatever chip it finds: that could have a gate's relay on it.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import gpiozero
import msgspec
import pytest

from gatevault.core.board import Board, Output, Presence
from gatevault.core.board import Relay as RelayPart
from gatevault.core.errors import DeviceError
from gatevault.devices.guard import release_now
from gatevault.devices.indicator import Indicator
from gatevault.devices.pins import open_pins
from gatevault.devices.relay import Relay
from gatevault.devices.sensors import Sensors
from tests.devices.fakes import eventually

CHIP = os.environ.get("GATEVAULT_TEST_GPIOCHIP", "")


@pytest.fixture(params=["bench", "chip"])
def bench(request: pytest.FixtureRequest) -> bool:
    if request.param == "chip":
        if not CHIP or not Path(CHIP).exists():
            pytest.skip("no real chip: GATEVAULT_TEST_GPIOCHIP names none (it must not carry a gate's relay)")
        if importlib.util.find_spec("lgpio") is None:
            pytest.skip("lgpio is not installed")
    return bool(request.param == "bench")


@pytest.fixture(params=[True, False], ids=["active-high", "active-low"])
def board(request: pytest.FixtureRequest) -> Board:
    return Board(
        name="contract",
        description="",
        gpiochip=CHIP or "/dev/gpiochip0",
        relay=RelayPart(pin=17, active_high=request.param),
        privacy_led=Output(pin=27, active_high=request.param),
        presence=Presence(pin=5, pull_up=request.param),
    )


@pytest.fixture
def factory(board: Board, bench: bool, tmp_path: Path) -> Iterator[gpiozero.Factory]:
    factory = open_pins(board, bench=bench, trace=tmp_path / "pins.jsonl", runtime_dir=tmp_path)
    yield factory
    factory.close()


def test_a_relay_is_released_when_made_and_moves(board: Board, factory: gpiozero.Factory) -> None:
    relay = Relay(board.relay, factory)
    assert not relay.energised
    relay.energise(600.0)
    assert relay.energised
    relay.release()
    assert not relay.energised
    relay.close()


def test_a_relay_releases_at_its_limit(board: Board, factory: gpiozero.Factory) -> None:
    relay = Relay(board.relay, factory)
    relay.energise(0.05)
    eventually(lambda: not relay.energised)
    relay.close()


def test_a_pin_can_be_had_once_and_again_after_closing(board: Board, factory: gpiozero.Factory) -> None:
    relay = Relay(board.relay, factory)
    with pytest.raises(DeviceError):
        Relay(board.relay, factory)
    relay.energise(None)
    relay.close()
    again = Relay(board.relay, factory)
    assert not again.energised
    again.close()


def test_a_pin_off_the_header_is_refused(board: Board, factory: gpiozero.Factory) -> None:
    with pytest.raises(DeviceError):
        Relay(msgspec.structs.replace(board.relay, pin=55), factory)


def test_everything_of_a_board_opens_together(board: Board, factory: gpiozero.Factory) -> None:
    relay = Relay(board.relay, factory)
    indicator = Indicator(board, factory)
    sensors = Sensors(board, factory, lambda _kind, _active: None)
    indicator.privacy(True)
    assert set(sensors.state().values()) <= {True, False, None}
    for part in (sensors, indicator, relay):
        part.close()


def test_the_factory_is_never_the_global_one(factory: gpiozero.Factory) -> None:
    assert gpiozero.Device.pin_factory is None


def test_the_guard_can_release_after_the_daemon_let_go(
    board: Board, bench: bool, factory: gpiozero.Factory, tmp_path: Path
) -> None:
    relay = Relay(board.relay, factory)
    relay.close()
    factory.close()
    release_now(board, bench=bench, trace=tmp_path / "pins.jsonl")
