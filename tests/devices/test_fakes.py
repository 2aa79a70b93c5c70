"""The fakes behave as the things they stand for."""

from __future__ import annotations

import select
from pathlib import Path

import gpiod
import pytest
from gpiod.line import Direction, Value

from tests.devices.fakes import Bell, FakeChip, FakePort, keystrokes, wiegand_bits

OUTPUT = gpiod.LineSettings(direction=Direction.OUTPUT, output_value=Value.ACTIVE)


def readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


def test_bell_is_readable_while_it_rings() -> None:
    bell = Bell()
    assert not readable(bell.fd)
    bell.ring()
    bell.ring()
    assert readable(bell.fd)
    bell.hush()
    assert not readable(bell.fd)
    bell.close()


def test_chip_lends_a_line_once_and_keeps_its_level() -> None:
    chip = FakeChip(busy=1)
    with pytest.raises(OSError, match="busy"):
        chip.request_lines("/dev/gpiochip0", {17: OUTPUT})
    request = chip.request_lines("/dev/gpiochip0", {17: OUTPUT})
    with pytest.raises(OSError, match="busy"):
        chip.request_lines("/dev/gpiochip0", {(17, 18): OUTPUT})
    request.release()
    request.release()
    assert chip.levels == {17: True}
    assert not chip.held


def test_chip_delivers_edges_once_and_breaks() -> None:
    chip = FakeChip()
    request = chip.request_lines("/dev/gpiochip0", {(3, 4): gpiod.LineSettings()})
    chip.send([0, 1], 3, 4, 1_000)
    assert readable(request.fd)
    assert [e.line_offset for e in request.read_edge_events()] == [3, 4]
    assert request.read_edge_events() == []
    chip.unplug()
    assert readable(request.fd)
    with pytest.raises(OSError, match="No such device"):
        request.read_edge_events()


def test_keyboard_types_only_to_who_opened_it(tmp_path: Path) -> None:
    port = FakePort()
    keyboard = port.open("kbd")
    with pytest.raises(BlockingIOError):
        list(keyboard.read())
    port.type("1\n", 0)
    assert [e.code for e in keyboard.read() if e.type == 1] == [2, 2, 28, 28]
    keyboard.grab()
    with pytest.raises(OSError, match="busy"):
        keyboard.grab()
    keyboard.ungrab()
    port.unplug()
    with pytest.raises(OSError, match="No such device"):
        list(keyboard.read())
    with pytest.raises(FileNotFoundError):
        port.open("kbd")


def test_capitals_are_shifted() -> None:
    assert keystrokes("A") == [(42, 1), (30, 1), (30, 0), (42, 0)]


def test_wiegand_encoder_against_a_published_frame() -> None:
    # Allegion, "How are the even parity bit and odd parity bit calculated in the 26A format".
    assert wiegand_bits(101 * 65536 + 4095) == [int(b) for b in "00110010100001111111111111"]
