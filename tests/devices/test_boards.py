"""Every profile that ships can be loaded and, on mock pins, driven."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from gatevault.core.board import Board
from gatevault.devices.indicator import Indicator
from gatevault.devices.pins import open_pins
from gatevault.devices.readers import build_readers
from gatevault.devices.relay import Relay
from gatevault.devices.sensors import Sensors

ROOT = Path(__file__).parents[2]
PROFILES = sorted((ROOT / "hardware" / "boards").glob("*.toml"))


def load(path: Path) -> Board:
    return msgspec.convert(tomllib.loads(path.read_text()), Board)


def test_the_bench_and_the_default_are_there() -> None:
    assert {"bench", "pi-relay-hat"} <= {path.stem for path in PROFILES}


@pytest.mark.parametrize("path", PROFILES, ids=lambda p: p.stem)
def test_a_profile_drives_its_parts(path: Path) -> None:
    board = load(path)
    assert board.name == path.stem
    pins = [pin for _, pin in board.pins()]
    assert len(pins) == len(set(pins))
    assert all(pin <= 27 for pin in pins), "the header has GPIO 0 to 27"
    factory = open_pins(board, bench=True)
    parts = [Relay(board.relay, factory), Indicator(board, factory), Sensors(board, factory, lambda _k, _a: None)]
    for part in parts:
        part.close()
    factory.close()


@pytest.mark.parametrize("path", PROFILES, ids=lambda p: p.stem)
def test_the_wiring_table_agrees_with_the_profile(path: Path) -> None:
    board = load(path)
    rows = [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in (ROOT / "hardware" / "README.md").read_text().splitlines()
        if line.startswith("|")
    ]
    column = next(row for row in rows if row[0] == "part").index(f"`{path.stem}`")
    table = {row[0]: row[column] for row in rows if len(row) > column}
    level = "high" if board.relay.active_high else "low"
    assert table["relay"].replace("*", "") == f"{board.relay.pin}, {level}"
    lights = [board.granted_led, board.refused_led, board.fault_led]
    assert table["granted / refused / fault LED"] == " / ".join(str(p.pin) if p else "–" for p in lights)
    singles = {
        "privacy LED": board.privacy_led,
        "buzzer": board.buzzer,
        "presence button": board.presence,
        "exit button (seen only)": board.rex,
        "door contact": board.dps,
        "housing contact": board.tamper,
        "lamp": board.lamp,
    }
    assert {name: table[name] for name in singles} == {n: str(p.pin) if p else "–" for n, p in singles.items()}
    approach = [board.motion, board.approach_light]
    assert table["PIR; approach light"] == ("; ".join(str(p.pin) for p in approach if p) or "–")
    wiegand = [f"{w.d0} / {w.d1}" for w in board.wiegand] or ["–"]
    assert table["Wiegand D0 / D1"] == wiegand[0]


def test_a_bench_has_no_reader_of_the_board() -> None:
    board = load(ROOT / "hardware" / "boards" / "pi-relay-hat.toml")
    assert build_readers(board, bench=True) == []
    assert [r.name for r in build_readers(board, ["/dev/input/a"], bench=False)] == ["entrance", "wedge"]
    assert [r.name for r in build_readers(board, ["/a", "/b"], bench=True)] == ["wedge-1", "wedge-2"]
