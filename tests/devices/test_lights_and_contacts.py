"""Indicator and sensors on mock pins."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import gpiozero
import pytest

from gatevault.core.board import Board
from gatevault.core.errors import DeviceError
from gatevault.devices import indicator as module
from gatevault.devices.indicator import Blink, Indicator
from gatevault.devices.pins import open_pins
from gatevault.devices.sensors import SensorEvent, Sensors
from gatevault.devices.trace import read_trace
from tests.devices.fakes import eventually


@pytest.fixture
def factory(full: Board, trace: Path) -> Iterator[gpiozero.Factory]:
    factory = open_pins(full, bench=True, trace=trace)
    yield factory
    factory.close()


@pytest.fixture
def indicator(full: Board, factory: gpiozero.Factory) -> Iterator[Indicator]:
    indicator = Indicator(full, factory)
    yield indicator
    indicator.close()


def edges(trace: Path, role: str) -> list[int]:
    return [e.value for e in read_trace(trace) if e.role == role]


def test_steady_lights(indicator: Indicator, trace: Path) -> None:
    indicator.privacy(True)
    indicator.privacy(True)
    indicator.fault(True)
    indicator.privacy(False)
    indicator.approach(True)
    assert edges(trace, "privacy_led") == [1, 0]
    assert edges(trace, "approach_light") == [1]
    assert edges(trace, "fault_led") == [1]
    indicator.close()
    indicator.close()
    assert edges(trace, "fault_led") == [1, 0]


def test_messages_differ_in_rhythm_also_without_colour() -> None:
    messages = [module.GRANTED, module.REFUSED, module.CONSENT_DONE, module.WITHDRAWN]
    assert len({m["buzzer"] for m in messages}) == 4
    lights = [{b for role, b in m.items() if role != "buzzer"} for m in messages]
    assert len({frozenset(light) for light in lights}) == 4


def test_a_message_plays_to_its_end(indicator: Indicator, trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = {role: Blink(0.001, 0.001, blink.times) for role, blink in module.WITHDRAWN.items()}
    monkeypatch.setattr(module, "WITHDRAWN", quick)
    indicator.withdrawn()
    eventually(lambda: edges(trace, "buzzer") == [1, 0] * 3)
    eventually(lambda: edges(trace, "refused_led") == [1, 0] * 2)
    eventually(lambda: edges(trace, "granted_led") == [1, 0] * 2)


def test_a_message_ends_the_one_before(indicator: Indicator, trace: Path) -> None:
    indicator.granted()
    eventually(lambda: edges(trace, "granted_led") == [1])
    indicator.refused()
    assert edges(trace, "granted_led") == [1, 0]
    eventually(lambda: edges(trace, "refused_led")[:1] == [1])
    indicator.close()
    assert edges(trace, "refused_led")[-1] == 0


def test_a_board_without_lights_says_nothing(bare: Board) -> None:
    factory = open_pins(bare, bench=True)
    indicator = Indicator(bare, factory)
    indicator.privacy(True)
    indicator.fault(True)
    for message in (indicator.granted, indicator.refused, indicator.consent_done, indicator.withdrawn):
        message()
    indicator.close()
    factory.close()


def test_trouble_is_a_device_error_and_leaves_nothing_claimed(full: Board, factory: gpiozero.Factory) -> None:
    taken = gpiozero.LED(full.buzzer.pin if full.buzzer else 0, pin_factory=factory)
    with pytest.raises(DeviceError, match="buzzer"):
        Indicator(full, factory)
    taken.close()
    Indicator(full, factory).close()


def test_closing_goes_on_past_a_part_that_fails(
    indicator: Indicator, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    indicator.privacy(True)
    indicator.fault(True)

    def broken() -> None:
        raise OSError("the driver is away")

    indicator._parts["fault_led"].__dict__["off"] = broken
    with pytest.raises(DeviceError, match="fault_led"):
        indicator.close()
    assert edges(trace, "privacy_led") == [1, 0]
    assert edges(trace, "fault_led") == [1, 0]


def test_contacts_report_both_ways(full: Board, factory: gpiozero.Factory) -> None:
    heard: list[tuple[SensorEvent, bool]] = []
    sensors = Sensors(full, factory, lambda kind, active: heard.append((kind, active)))
    assert sensors.state() == dict.fromkeys(SensorEvent, False)
    factory.pin(5).drive_low()  # the presence button, to ground
    factory.pin(13).drive_high()  # the door contact, to 3.3 V on this board
    assert sensors.state() == {
        SensorEvent.PRESENCE: True,
        SensorEvent.MOTION: False,
        SensorEvent.REX: False,
        SensorEvent.DPS: True,
        SensorEvent.TAMPER: False,
    }
    factory.pin(5).drive_high()
    factory.pin(19).drive_low()  # the housing is shut,
    factory.pin(19).drive_high()  # and opened
    assert heard == [
        (SensorEvent.PRESENCE, True),
        (SensorEvent.DPS, True),
        (SensorEvent.PRESENCE, False),
        (SensorEvent.TAMPER, True),
        (SensorEvent.TAMPER, False),
    ]
    sensors.close()
    sensors.close()
    assert sensors.state() == dict.fromkeys(SensorEvent)


def test_bounce_is_given_to_the_driver_in_seconds(full: Board, factory: gpiozero.Factory) -> None:
    sensors = Sensors(full, factory, lambda _kind, _active: None)
    assert factory.pin(5).bounce == pytest.approx(0.03)
    assert factory.pin(13).bounce is None
    sensors.close()


def test_a_listener_that_fails_does_not_deafen_the_others(
    full: Board, factory: gpiozero.Factory, caplog: pytest.LogCaptureFixture
) -> None:
    heard = threading.Event()

    def listen(kind: SensorEvent, active: bool) -> None:
        if kind is SensorEvent.PRESENCE:
            raise RuntimeError("Event loop is closed")
        heard.set()

    sensors = Sensors(full, factory, listen)
    factory.pin(5).drive_low()
    factory.pin(6).drive_low()
    assert heard.is_set()
    assert "presence" in caplog.text
    sensors.close()


def test_a_board_without_contacts(bare: Board) -> None:
    factory = open_pins(bare, bench=True)
    sensors = Sensors(bare, factory, lambda _kind, _active: None)
    assert sensors.state() == dict.fromkeys(SensorEvent)
    sensors.close()
    factory.close()
