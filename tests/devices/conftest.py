"""Boards and files for the tests of this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatevault.core.board import Board, Input, Output, Presence, Relay

FULL = Board(
    name="full",
    description="every part",
    relay=Relay(pin=17),
    privacy_led=Output(pin=27),
    granted_led=Output(pin=22),
    refused_led=Output(pin=23, active_high=False),
    fault_led=Output(pin=24),
    buzzer=Output(pin=25),
    presence=Presence(pin=5),
    rex=Input(pin=6),
    dps=Input(pin=13, pull_up=False, bounce_ms=0),
    tamper=Input(pin=19, bounce_ms=0),
    motion=Input(pin=12, pull_up=False),
    approach_light=Output(pin=18),
)
BARE = Board(name="bare", description="a relay", relay=Relay(pin=26, active_high=False))


@pytest.fixture
def full() -> Board:
    return FULL


@pytest.fixture
def bare() -> Board:
    return BARE


@pytest.fixture(params=[FULL, BARE], ids=["active-high", "active-low"])
def board(request: pytest.FixtureRequest) -> Board:
    board: Board = request.param
    return board


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "pins.jsonl"
