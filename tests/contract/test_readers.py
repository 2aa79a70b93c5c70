"""What every card reader does, on each of them: `devices.readers.port.Reader`."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import gpiod
import pytest

from gatevault.core.board import Board, Relay, Wiegand
from gatevault.core.errors import DeviceError
from gatevault.core.types import CardRead
from gatevault.devices.readers import build_readers
from gatevault.devices.readers.polled import PolledReader
from gatevault.devices.readers.wedge import GrabbedKeys, WedgeReader, open_evdev
from gatevault.devices.readers.wiegand import EVENT_BUFFER, WiegandReader, request_edges
from tests.devices.fakes import FakeChip, FakePort, wiegand_bits

QUICK = (0.01, 0.05)
"""Pauses before a device is opened again, in seconds."""

WIRING = Wiegand(d0=16, d1=12, name="entrance")
NUMBER = "8106606"
LIMIT_S = 30.0


@dataclass
class Rig:
    """A reader, the hands that work its device, and what it said."""

    reader: PolledReader[Any]
    tap: Callable[[], None]
    garbage: Callable[[], None]
    unplug: Callable[[], None]
    plug: Callable[[], None]
    released: Callable[[], bool]
    reads: list[CardRead] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)
    told: threading.Condition = field(default_factory=threading.Condition)

    def on_read(self, read: CardRead) -> None:
        with self.told:
            self.reads.append(read)
            self.told.notify_all()

    def on_fault(self, name: str, sentence: str) -> None:
        with self.told:
            self.faults.append((name, sentence))
            self.told.notify_all()

    def start(self) -> None:
        self.reader.start(self.on_read, self.on_fault)
        self.wait(lambda: self.reader.healthy)

    def wait(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + LIMIT_S
        with self.told:
            while not holds():
                assert time.monotonic() < deadline, "it did not come to hold"
                self.told.wait(0.01)


def past_ns() -> int:
    """A moment ago, so that what is sent is over when it arrives."""
    return time.monotonic_ns() - 3_000_000_000


@pytest.fixture
def wiegand(monkeypatch: pytest.MonkeyPatch) -> Rig:
    chip = FakeChip()
    monkeypatch.setattr(gpiod, "request_lines", chip.request_lines)
    reader = WiegandReader(WIRING, lambda: request_edges("/dev/gpiochip0", WIRING), QUICK)

    def send(bits: list[int]) -> None:
        chip.send(bits, WIRING.d0, WIRING.d1, past_ns())

    return Rig(
        reader,
        tap=lambda: send(wiegand_bits(int(NUMBER))),
        garbage=lambda: send([1, 0, 1]),
        unplug=chip.unplug,
        plug=chip.plug,
        released=lambda: not chip.requests,
    )


@pytest.fixture
def wedge() -> Rig:
    port = FakePort()
    reader = WedgeReader("/dev/input/by-id/reader", "wedge", port.open, QUICK)
    return Rig(
        reader,
        tap=lambda: port.type(f"0{NUMBER}\n", past_ns()),
        garbage=lambda: port.type("1" * 70 + "\n", past_ns()),
        unplug=port.unplug,
        plug=port.plug,
        released=lambda: port.keyboard is not None and port.keyboard.closed,
    )


@pytest.fixture(params=["wiegand", "wedge"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig: Rig = request.getfixturevalue(request.param)
    yield rig
    rig.reader.stop()


def test_a_tap_is_read_once(rig: Rig) -> None:
    rig.start()
    rig.tap()
    rig.wait(lambda: rig.reads)
    assert rig.reads == [CardRead(number=NUMBER, reader=rig.reader.name)]
    assert rig.faults == []


def test_garbage_is_no_read_and_no_fault(rig: Rig) -> None:
    rig.start()
    rig.garbage()
    rig.wait(lambda: rig.reader.refused.total() == 1)
    rig.tap()
    rig.wait(lambda: rig.reads)
    assert len(rig.reads) == 1
    assert rig.faults == []
    assert rig.reader.healthy


def test_an_unplugged_device_is_told_once_and_comes_back(rig: Rig) -> None:
    rig.start()
    rig.unplug()
    rig.wait(lambda: rig.faults)
    assert not rig.reader.healthy
    # Several attempts later: one report of it being gone, one of it not being there, no more.
    time.sleep(0.3)
    assert len(rig.faults) <= 2
    assert {name for name, _ in rig.faults} == {rig.reader.name}
    assert all(len(sentence) > 20 for _, sentence in rig.faults)
    rig.plug()
    rig.wait(lambda: rig.reader.healthy)
    rig.tap()
    rig.wait(lambda: rig.reads)
    assert rig.reads[0].number == NUMBER


def test_a_device_that_is_not_there_at_the_start_is_a_fault(rig: Rig) -> None:
    rig.unplug()
    rig.reader.start(rig.on_read, rig.on_fault)
    rig.wait(lambda: rig.faults)
    rig.plug()
    rig.wait(lambda: rig.reader.healthy)


def test_half_a_number_does_not_survive_a_fault(rig: Rig) -> None:
    """What was heard before the device went may not complete what comes after."""
    rig.start()
    rig.garbage()
    rig.unplug()
    rig.wait(lambda: rig.faults)
    rig.plug()
    rig.wait(lambda: rig.reader.healthy)
    rig.tap()
    rig.wait(lambda: rig.reads)
    assert [r.number for r in rig.reads] == [NUMBER]


def test_stop_ends_the_thread_and_gives_the_device_back(rig: Rig) -> None:
    rig.start()
    rig.reader.stop()
    rig.reader.stop()
    assert rig.released()
    assert not rig.reader.healthy
    assert not [t for t in threading.enumerate() if t.name == f"reader-{rig.reader.name}"]


def test_stop_ends_the_pause_after_a_fault(rig: Rig) -> None:
    rig.reader._retry_s = (3600.0, 3600.0)
    rig.unplug()
    rig.reader.start(rig.on_read, rig.on_fault)
    rig.wait(lambda: rig.faults)
    rig.reader.stop()
    assert not [t for t in threading.enumerate() if t.name == f"reader-{rig.reader.name}"]


def test_it_starts_again_after_a_stop(rig: Rig) -> None:
    rig.start()
    rig.reader.stop()
    rig.start()
    rig.tap()
    rig.wait(lambda: rig.reads)


def test_a_listener_that_fails_does_not_end_the_reader(rig: Rig) -> None:
    def on_read(read: CardRead) -> None:
        if not rig.faults:
            raise KeyError(read.number)
        rig.on_read(read)

    rig.reader.start(on_read, rig.on_fault)
    rig.wait(lambda: rig.reader.healthy)
    rig.tap()
    rig.wait(lambda: rig.faults)
    assert NUMBER not in rig.faults[0][1]
    rig.wait(lambda: rig.reader.healthy)
    rig.tap()
    rig.wait(lambda: rig.reads)


def test_one_reader_does_not_stop_another(wiegand: Rig, wedge: Rig) -> None:
    wiegand.start()
    wedge.start()
    wedge.unplug()
    wedge.wait(lambda: wedge.faults)
    wiegand.tap()
    wiegand.wait(lambda: wiegand.reads)
    wiegand.reader.stop()
    wedge.reader.stop()


def test_a_wedge_that_another_program_holds_is_not_used() -> None:
    port = FakePort(grabbed_by_other=True)
    reader = WedgeReader("/dev/input/x", "wedge", port.open, QUICK)
    rig = Rig(reader, *(lambda: None,) * 4, released=lambda: True)
    reader.start(rig.on_read, rig.on_fault)
    rig.wait(lambda: rig.faults)
    assert "another program holds it" in rig.faults[0][1]
    assert port.keyboard is not None and port.keyboard.closed
    port.grabbed_by_other = False
    rig.wait(lambda: reader.healthy)
    assert port.keyboard.grabbed
    reader.stop()


def test_a_missing_device_and_a_missing_library_are_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("evdev")
    with pytest.raises(DeviceError, match="No such file"):
        GrabbedKeys("/dev/input/none", open_evdev)
    monkeypatch.setitem(sys.modules, "evdev", None)
    with pytest.raises(DeviceError, match=r"gatevault\[wedge\].*python3-evdev"):
        GrabbedKeys("/dev/input/none", open_evdev)
    with pytest.raises(DeviceError, match="/dev/gpiochip999"):
        request_edges("/dev/gpiochip999", WIRING)


def test_two_readers_of_one_name_are_refused() -> None:
    twice = Board(
        name="x", description="", relay=Relay(pin=17), wiegand=(WIRING, Wiegand(d0=3, d1=4, name="entrance"))
    )
    with pytest.raises(DeviceError, match="one name"):
        build_readers(twice, bench=False)


def test_wiegand_asks_for_falling_edges_only(wiegand: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both edges lose frames on a real chip (see the module's docstring)."""
    asked: list[tuple[Any, ...]] = []
    take = gpiod.request_lines

    def request_lines(path: str, config: Any, **options: Any) -> Any:
        asked.append((path, config, options))
        return take(path, config, **options)

    monkeypatch.setattr(gpiod, "request_lines", request_lines)
    wiegand.start()
    wiegand.reader.stop()
    ((path, config, options),) = asked
    ((lines, settings),) = config.items()
    assert (path, lines) == ("/dev/gpiochip0", (WIRING.d0, WIRING.d1))
    assert settings.edge_detection is gpiod.line.Edge.FALLING
    assert options["event_buffer_size"] == EVENT_BUFFER == 1024
