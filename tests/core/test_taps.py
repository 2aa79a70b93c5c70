"""Withdrawal by card alone: five taps of one card within ten seconds, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.taps import MAX_CARDS, TAPS, WINDOW_MS, TapCounter

A, B = b"card A", b"card B"


def tap_all(times: list[int], card: bytes = A, repeat_ms: int = 0) -> list[bool]:
    counter = TapCounter()
    return [counter.tap(card, now, repeat_ms) for now in times]


def test_five_taps_within_ten_seconds_withdraw_and_the_count_begins_anew() -> None:
    assert tap_all([0, 1, 2, 3, 4]) == [False] * 4 + [True]
    assert tap_all(list(range(10))) == ([False] * 4 + [True]) * 2


@pytest.mark.parametrize(("last", "withdrawn"), [(WINDOW_MS - 1, True), (WINDOW_MS, False)])
def test_the_fifth_must_come_within_ten_seconds_of_the_first(last: int, withdrawn: bool) -> None:
    assert tap_all([0, 2_000, 4_000, 6_000, last])[-1] is withdrawn


def test_a_tap_that_is_too_old_leaves_and_the_others_stay() -> None:
    assert tap_all([0, 9_000, 9_100, 9_200, 10_000, 10_100]) == [False] * 5 + [True]


def test_different_cards_do_not_add_up() -> None:
    counter = TapCounter()
    assert not any(counter.tap(card, now, 0) for now, card in enumerate([A, B] * (TAPS - 1)))
    assert counter.tap(A, 100, 0)
    assert counter.tap(B, 101, 0)


def test_a_card_held_against_a_repeating_reader_is_one_tap() -> None:
    assert not any(tap_all(list(range(0, 60_000, 300)), repeat_ms=500))


def test_a_card_taken_away_and_back_counts_on_a_repeating_reader() -> None:
    held_and_lifted = [start + i * 250 for start in range(0, 10_000, 1_500) for i in range(3)]
    assert sum(tap_all(held_and_lifted, repeat_ms=500)) == 1


def test_the_repeat_time_is_half_open() -> None:
    assert tap_all([0, 500, 1_000, 1_500, 2_000], repeat_ms=500)[-1]
    assert not tap_all([0, 499, 998, 1_497, 1_996], repeat_ms=500)[-1]


def test_memory_is_bounded() -> None:
    counter = TapCounter()
    for number in range(1_000):
        counter.tap(number.to_bytes(2, "big"), 0, 0)
        assert len(counter._taps) <= MAX_CARDS
        assert counter._taps.keys() == counter._last.keys()
    counter.tap(A, WINDOW_MS, 0)
    assert list(counter._taps) == [A]


@given(
    st.lists(st.tuples(st.sampled_from([A, B]), st.integers(0, 4_000)), max_size=40),
    st.sampled_from([0, 500, 1_000]),
)
def test_it_counts_as_a_plain_reading_of_the_rule_does(steps: list[tuple[bytes, int]], repeat_ms: int) -> None:
    counter, now = TapCounter(), 0
    last: dict[bytes, int] = {}
    counted: dict[bytes, list[int]] = {A: [], B: []}
    for card, later in steps:
        now += later
        fresh = card not in last or now - last[card] >= repeat_ms
        last[card] = now
        within = [t for t in counted[card] if now - t < WINDOW_MS] + [now] * fresh
        complete = fresh and len(within) == TAPS
        counted[card] = [] if complete else within
        assert counter.tap(card, now, repeat_ms) is complete
