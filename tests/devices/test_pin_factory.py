"""Where pins come from, and what a bench records of them."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import gpiozero
import pytest
from gpiozero.pins.local import LocalPiFactory

from gatevault.core.board import Board
from gatevault.core.errors import DeviceError
from gatevault.devices import trace as tracing
from gatevault.devices.pins import chip_number, open_pins
from gatevault.devices.relay import Relay
from gatevault.devices.trace import Trace, read_trace
from tests.devices.fakes import FakeLgpio


@pytest.fixture
def lgpio(monkeypatch: pytest.MonkeyPatch) -> FakeLgpio:
    """The real gpiozero driver on a fake chip; both are imported afresh."""
    fake = FakeLgpio()
    monkeypatch.setitem(sys.modules, "lgpio", fake)
    for module in ("gpiozero.pins.lgpio", "gatevault.devices.chip"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.delattr("gatevault.devices.chip", raising=False)
    LocalPiFactory.pins.clear()
    LocalPiFactory._reservations.clear()
    return fake


@pytest.mark.parametrize("factory", ["mock", "native", "pigpio", "Mock"])
def test_production_refuses_another_factory(full: Board, monkeypatch: pytest.MonkeyPatch, factory: str) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", factory)
    with pytest.raises(DeviceError, match=f"GPIOZERO_PIN_FACTORY='{factory}'.*unset it"):
        open_pins(full, bench=False)


def test_production_says_how_to_install_lgpio(full: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lgpio", None)
    monkeypatch.delitem(sys.modules, "gpiozero.pins.lgpio", raising=False)
    monkeypatch.delitem(sys.modules, "gatevault.devices.chip", raising=False)
    with pytest.raises(DeviceError, match="python3-lgpio"):
        open_pins(full, bench=False)


def test_a_bench_ignores_the_environment(
    full: Board, trace: Path, monkeypatch: pytest.MonkeyPatch, lgpio: FakeLgpio
) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "lgpio")
    monkeypatch.setenv("GPIOZERO_MOCK_REVISION", "nonsense")
    factory = open_pins(full, bench=True, trace=trace)
    Relay(full.relay, factory).close()
    factory.close()
    assert lgpio.calls == []
    assert gpiozero.Device.pin_factory is None


@pytest.mark.parametrize("path", ["/dev/null", "gpiochip0", "/dev/gpiochip", "/dev/gpiochip0/../mem"])
def test_only_a_gpiochip_is_a_chip(path: str) -> None:
    with pytest.raises(DeviceError, match="/dev/gpiochipN"):
        chip_number(path)


def test_a_link_to_a_chip_is_followed(tmp_path: Path) -> None:
    link = tmp_path / "chip"
    link.symlink_to("/dev/gpiochip12")
    assert chip_number(str(link)) == 12


def test_production_never_pulses_an_active_low_relay(bare: Board, lgpio: FakeLgpio, tmp_path: Path) -> None:
    """Claimed high in one step, released before it is given back, and left driven."""
    here = Path.cwd()
    factory = open_pins(bare, bench=False, runtime_dir=tmp_path)
    relay = Relay(bare.relay, factory)
    relay.energise(None)
    assert relay.energised
    relay.close()
    factory.close()
    line = bare.relay.pin
    assert lgpio.calls == [
        ("open", 0),
        ("input", line),
        ("output", line, 1),
        ("write", line, 0),
        ("write", line, 1),
        ("close",),
    ]
    assert Path.cwd() == here
    assert list(tmp_path.iterdir()) == []
    assert "LG_WD" not in os.environ
    assert gpiozero.Device.pin_factory is None


def test_a_driver_that_fails_is_a_device_error(full: Board, lgpio: FakeLgpio) -> None:
    factory = open_pins(full, bench=False)
    relay = Relay(full.relay, factory)
    lgpio.broken = True
    with pytest.raises(DeviceError, match="bad GPIO write"):
        relay.energise(1.0)
    lgpio.broken = False
    relay.close()
    factory.close()


def test_the_trace_tells_on_and_off_whatever_the_level(board: Board, trace: Path) -> None:
    factory = open_pins(board, bench=True, trace=trace)
    relay = Relay(board.relay, factory)
    for _ in range(2):
        relay.energise(None)
        relay.energise(None)
        relay.release()
        relay.release()
    relay.energise(None)
    relay.close()
    factory.close()
    edges = read_trace(trace)
    assert [e.value for e in edges] == [1, 0, 1, 0, 1, 0]
    assert {(e.role, e.pin, e.pid) for e in edges} == {("relay", board.relay.pin, os.getpid())}
    assert [e.ns for e in edges] == sorted(e.ns for e in edges)


def test_closing_the_factory_alone_ends_an_energised_relay(board: Board, trace: Path) -> None:
    factory = open_pins(board, bench=True, trace=trace)
    relay = Relay(board.relay, factory)
    relay.energise(None)
    factory.close()
    assert [e.value for e in read_trace(trace)] == [1, 0]


def test_a_full_disk_does_not_stop_the_relay(board: Board, trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    factory = open_pins(board, bench=True, trace=trace)
    relay = Relay(board.relay, factory)

    def full_disk(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tracing.os, "write", full_disk)
        relay.energise(None)
        assert relay.energised
        relay.release()
        assert not relay.energised
    assert factory.trace.failures == 2
    relay.energise(None)
    relay.close()
    assert [e.value for e in read_trace(trace)] == [1, 0]
    factory.close()


def test_a_trace_that_cannot_be_opened_is_tried_again(tmp_path: Path) -> None:
    trace = Trace(tmp_path / "later" / "pins.jsonl")
    trace.edge("relay", 1, on=True)
    assert trace.failures == 1
    (tmp_path / "later").mkdir()
    trace.edge("relay", 1, on=False)
    trace.close()
    trace.close()
    assert [e.value for e in read_trace(tmp_path / "later" / "pins.jsonl")] == [0]


def test_a_line_cut_short_is_skipped(trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = Trace(trace)
    record.edge("relay", 1, on=True)
    whole = os.write
    with monkeypatch.context() as patch:
        patch.setattr(tracing.os, "write", lambda fd, data: whole(fd, data[:9]))
        record.edge("relay", 1, on=False)
    record.edge("relay", 1, on=False)
    record.close()
    assert record.failures == 1
    assert [e.value for e in read_trace(trace)] == [1, 0]


def test_no_trace_is_an_empty_one(trace: Path) -> None:
    assert read_trace(trace) == []
