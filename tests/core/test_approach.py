"""When a contact asks for a look."""

from __future__ import annotations

import msgspec
import pytest

from gatevault.core.approach import Approach
from gatevault.core.board import LEAST_HOLD_MS, Asks, Presence

BUTTON = Presence(pin=5)
MAT = Presence(pin=5, asks=Asks.MAT, hold_ms=800, rearm_ms=2_000)


def test_a_button_asks_at_once_and_once_a_press() -> None:
    button = Approach(BUTTON)
    assert button.changed(True, 1_000) == 0
    assert button.asked(1_000)
    assert not button.asked(9_000), "a button that is held, or stuck, asks once"
    assert button.changed(False, 9_000) is None
    assert button.changed(True, 9_001) == 0
    assert button.asked(9_001)


def test_whoever_passes_over_the_mat_is_not_looked_at() -> None:
    mat = Approach(MAT)
    assert mat.changed(True, 0) == 800
    assert mat.changed(False, 500) is None
    assert not mat.asked(800)
    assert mat.changed(True, 900) == 800
    assert not mat.asked(1_300)
    assert mat.asked(1_700)


def test_whoever_stays_on_the_mark_asks_once() -> None:
    mat = Approach(MAT)
    mat.changed(True, 0)
    assert mat.asked(800)
    for now in range(900, 60_000, 700):
        assert not mat.asked(now)
        assert mat.changed(True, now) is None, "told twice without leaving"


def test_an_output_that_trembles_asks_once() -> None:
    mat = Approach(MAT)
    mat.changed(True, 0)
    assert mat.asked(800)
    for now in range(1_000, 30_000, 500):
        assert mat.changed(False, now) is None
        assert mat.changed(True, now + 100) is None
        assert not mat.asked(now + 450)


def test_leaving_for_long_enough_arms_it_again() -> None:
    mat = Approach(MAT)
    mat.changed(True, 0)
    assert mat.asked(800)
    mat.changed(False, 5_000)
    assert mat.changed(True, 6_999) is None
    mat.changed(False, 7_000)
    assert mat.changed(True, 9_000) == 800
    assert mat.asked(9_800)


def test_told_inactive_twice_it_does_not_count_from_the_second() -> None:
    mat = Approach(MAT)
    mat.changed(True, 0)
    assert mat.asked(800)
    mat.changed(False, 1_000)
    mat.changed(False, 2_900)
    assert mat.changed(True, 3_000) == 800


@pytest.mark.parametrize("asks", ["mat", "distance"])
def test_what_nobody_touches_must_be_held(asks: str) -> None:
    for times in ({}, {"hold_ms": LEAST_HOLD_MS - 1, "rearm_ms": 5_000}, {"hold_ms": 1_000, "rearm_ms": 0}):
        with pytest.raises(msgspec.ValidationError, match="only pass"):
            msgspec.convert({"pin": 5, "asks": asks, **times}, Presence)
    msgspec.convert({"pin": 5, "asks": asks, "hold_ms": LEAST_HOLD_MS, "rearm_ms": LEAST_HOLD_MS}, Presence)
