"""What is doubtful in a profile, and the schema that editors check profiles by."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gatevault.core import wiring
from gatevault.core.board import Board, schema
from gatevault.core.wiring import Doubt, findings

BOARDS = Path(__file__).parents[2] / "hardware" / "boards"
PROFILES = sorted(BOARDS.glob("*.toml"))


def board(**parts: Any) -> Board:
    given = {"name": "some", "description": "", "relay": {"pin": 17}, "privacy_led": {"pin": 27}}
    return msgspec.convert(given | parts, Board)


def of(role: str, board: Board) -> list[Doubt]:
    return [doubt for doubt in findings(board) if doubt.role == role]


def test_a_sound_board_gives_no_doubt() -> None:
    assert findings(board(lamp={"pin": 18})) == []


@pytest.mark.parametrize(
    ("pin", "active_high", "cure"),
    [
        (17, False, "gpio=17=op,dh"),
        (26, False, "gpio=26=op,dh"),
        (5, True, "gpio=5=op,dl"),
        (17, True, ""),
        (5, False, ""),
    ],
)
def test_a_relay_that_its_reset_pull_energises(pin: int, active_high: bool, cure: str) -> None:
    doubts = of("relay", board(relay={"pin": pin, "active_high": active_high}))
    assert [doubt.cure for doubt in doubts] == ([cure] if cure else [])
    if doubts:
        assert cure in doubts[0].fix and str(pin) in doubts[0].what


def test_a_lamp_that_shines_at_boot() -> None:
    assert of("lamp", board(lamp={"pin": 5}))
    assert of("infrared_lamp", board(infrared_lamp={"pin": 5}))
    assert not of("lamp", board(lamp={"pin": 5, "active_high": False}))


def test_pins_that_others_want() -> None:
    assert "console" in of("buzzer", board(buzzer={"pin": 14}))[0].what
    assert "clock module" in of("wiegand.d0", board(wiegand=[{"d0": 2, "d1": 4}]))[0].why


def test_a_gate_without_a_privacy_light() -> None:
    assert of("privacy_led", board(privacy_led=None))
    assert not of("privacy_led", board(privacy_led=None, privacy_light="camera-supply"))


def test_another_header_than_a_pis_has_no_pulls_that_we_know() -> None:
    assert findings(board(header="none", relay={"pin": 17, "active_high": False}, buzzer={"pin": 14})) == []


def test_what_is_doubtful_in_the_profiles_that_ship() -> None:
    """One: the HAT's relay is low-active on a pin that is pulled down, as its maker chose; the page tells of it."""
    doubts = {path.stem: [(d.role, d.cure) for d in findings(load(path))] for path in PROFILES}
    assert doubts.pop("pi-relay-hat") == [("relay", "gpio=26=op,dh")]
    assert not any(doubts.values())
    assert "gpio=26=op,dh" in (BOARDS / "pi-relay-hat.toml").read_text(encoding="utf-8")


def load(path: Path) -> Board:
    return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Board)


def test_the_line_of_config_txt() -> None:
    assert (wiring.boot_line(5, high=True), wiring.boot_line(6, high=False)) == ("gpio=5=op,dh", "gpio=6=op,dl")


# --- the schema ----------------------------------------------------------------------------------


def test_the_schema_in_the_folder_is_the_one_that_is_read_by() -> None:
    """`make drawings` writes it."""
    found = json.loads((BOARDS / "schema.json").read_text(encoding="utf-8"))
    assert found == json.loads(json.dumps(schema()))


def test_its_patterns_are_those_of_json_schema() -> None:
    patterns = re.findall(r'"pattern": "([^"]+)"', json.dumps(schema()))
    assert patterns
    assert all(pattern.startswith("^") and pattern.endswith("$") for pattern in patterns)


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_a_profile_names_its_schema_and_keeps_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#:schema ./schema.json\n")
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    jsonschema.validate(tomllib.loads(text), schema())
