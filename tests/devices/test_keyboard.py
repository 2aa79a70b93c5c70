"""Keys of a wedge reader: numbers, and everything that is not one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.types import canonical_card
from gatevault.devices.readers.port import Number, Outcome, Refusal
from gatevault.devices.readers.wedge import FRESH_NS, LOST, TORN_NS, KeyboardDecoder
from tests.devices.fakes import ENTER, KEYS, SHIFT, keystrokes

KEY_NS = 5_000_000
CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-"


class Typist:
    """Types with a clock of its own."""

    def __init__(self) -> None:
        self.decoder = KeyboardDecoder()
        self.now = 10**12
        self.out: list[Outcome] = []

    def keys(self, *strokes: tuple[int, int]) -> Typist:
        for code, value in strokes:
            self.now += KEY_NS
            self.out += self.decoder.feed(code, value, self.now)
        return self

    def type(self, text: str) -> Typist:
        return self.keys(*keystrokes(text))

    def wait(self, ns: int) -> Typist:
        self.now += ns
        self.out += self.decoder.flush(self.now)
        return self


@given(st.text(CHARACTERS, min_size=1, max_size=64))
def test_what_is_typed_is_read_in_canonical_form(text: str) -> None:
    assert Typist().type(text + "\n").out == [Number(canonical_card(text))]


def test_leading_zeros_spaces_and_keypad() -> None:
    assert Typist().type("00 12 34\n").out == [Number("1234")]
    assert Typist().keys((79, 1), (79, 0), (82, 1), (82, 0), (96, 1)).out == [Number("10")]
    colon = [(SHIFT, 1), (39, 1), (39, 0), (SHIFT, 0)]
    assert Typist().type("AB").keys(*colon).type("01\n").out == [Number("AB01")]


def test_enter_twice_and_locks_are_nothing() -> None:
    assert Typist().keys((69, 1), (69, 0), (58, 1), (58, 0)).type("7\n\n\n").out == [Number("7")]


def test_bounds() -> None:
    assert Typist().type("1" * 64 + "\n").out == [Number("1" * 64)]
    assert Typist().type("1" * 65 + "\n").out == [Refusal.LENGTH]
    assert Typist().type("1" * 5_000 + "\n").out == [Refusal.LENGTH]
    assert Typist().type("  \n").out == [Refusal.KEY]


@pytest.mark.parametrize(
    "stroke",
    [[(1, 1), (1, 0)], [(29, 1), (29, 0)], [(39, 1)], [(KEYS["5"], 2)], [(SHIFT, 1), (KEYS["5"], 1), (SHIFT, 0)]],
    ids=["escape", "control", "semicolon", "held", "percent"],
)
def test_any_other_key_spoils_the_number(stroke: list[tuple[int, int]]) -> None:
    typist = Typist().type("12").keys(*stroke).type("34\n")
    assert typist.out == [Refusal.KEY]
    assert typist.type("56\n").out[1:] == [Number("56")]


def test_a_pause_drops_the_number_with_its_rest() -> None:
    """The rest must not pass for a number of its own: it might be somebody's."""
    typist = Typist().type("123").wait(TORN_NS + 1).type("456\n")
    assert typist.out == [Refusal.TIMEOUT]
    assert typist.type("789\n").out[1:] == [Number("789")]


def test_a_pause_is_found_without_an_idle_call() -> None:
    typist = Typist().type("123")
    typist.now += TORN_NS
    assert typist.type("456\n").out == [Refusal.TIMEOUT]


def test_a_pause_of_200_ms_is_allowed() -> None:
    assert Typist().type("12").wait(TORN_NS - KEY_NS).type("3\n").out == [Number("123")]


def test_after_a_second_a_new_number_begins() -> None:
    typist = Typist().type("123").wait(TORN_NS + 1).wait(FRESH_NS)
    assert not typist.decoder.pending
    assert typist.type("456\n").out == [Refusal.TIMEOUT, Number("456")]


def test_keys_lost_by_the_kernel_spoil_the_number_and_free_the_shift() -> None:
    typist = Typist().type("12").keys((SHIFT, 1), (LOST, 1)).type("3\n4\n")
    assert typist.out == [Refusal.LOST, Number("4")]


def test_the_clock_running_backwards_spoils_the_number() -> None:
    typist = Typist().type("12")
    typist.now -= 10**9
    assert typist.type("3\n").out == [Refusal.TIMEOUT]


@given(st.lists(st.tuples(st.integers(0, 250), st.integers(0, 2), st.integers(0, 2 * FRESH_NS)), max_size=80))
def test_any_keys_give_numbers_or_refusals(strokes: list[tuple[int, int, int]]) -> None:
    decoder = KeyboardDecoder()
    now = 10**12
    for code, value, gap in strokes:
        now += gap
        for outcome in decoder.feed(code, value, now):
            assert isinstance(outcome, Number | Refusal)
    decoder.feed(ENTER, 1, now)
    assert not decoder.pending


def test_a_number_never_shows() -> None:
    assert "4711" not in repr(Typist().type("4711\n").out)
