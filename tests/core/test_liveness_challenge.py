"""What is asked: drawn fairly, within its time, and unlike itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core import liveness
from gatevault.core.liveness import (
    PATTERN_BYTES,
    TURN_BYTES,
    TURNS_MS,
)
from gatevault.core.liveness import challenge as drawn
from gatevault.core.liveness.challenge import ANSWER_MS, COURSES, CUES, LATEST_MS, patterns


@given(st.binary(min_size=TURN_BYTES, max_size=TURN_BYTES))
def test_turns_fit_into_five_seconds(random: bytes) -> None:
    cues = liveness.draw_turns(random)
    assert len(cues) == CUES
    assert 200 <= cues[0].after_ms <= 350
    assert all(1_100 <= b.after_ms - a.after_ms <= 1_200 for a, b in pairwise(cues))
    assert cues[-1].after_ms + LATEST_MS + ANSWER_MS <= TURNS_MS < 5_000


def test_all_26_courses_are_asked_alike() -> None:
    chance = np.random.default_rng(5)
    counts = dict.fromkeys(COURSES, 0)
    for _ in range(26_000):
        counts[tuple(cue.side for cue in liveness.draw_turns(chance.bytes(TURN_BYTES)))] += 1
    assert len(COURSES) == 26
    assert all(any(course) for course in COURSES), "each turns the head"
    assert all(abs(count - 1_000) < 150 for count in counts.values())


@given(st.binary(min_size=PATTERN_BYTES, max_size=PATTERN_BYTES))
def test_patterns_are_balanced_and_change_often(random: bytes) -> None:
    slots = liveness.draw_pattern(random)
    assert len(slots) == 16
    assert not slots[0]
    assert 6 <= sum(slots) <= 10
    changes = [number for number, (a, b) in enumerate(pairwise(slots), 1) if a != b]
    assert 7 <= len(changes) <= 11
    assert max(b - a for a, b in pairwise([0, *changes, 16])) <= 3


def test_twelve_bits_remain_of_a_pattern() -> None:
    rows = patterns()
    assert len(np.unique(rows, axis=0)) == len(rows) == 6_301
    assert math.log2(len(rows)) > 12.6


def test_no_pattern_is_like_itself_at_another_time() -> None:
    centred = patterns() - patterns().mean(axis=1, keepdims=True)
    for lag in range(1, drawn.MOVED + 1):
        likeness = (centred[:, lag:] * centred[:, :-lag]).sum(axis=1) / (centred**2).sum(axis=1)
        assert likeness.max() <= drawn.ALIKE + 1e-9


@pytest.mark.parametrize("draw", [liveness.draw_turns, liveness.draw_pattern])
def test_a_challenge_is_not_drawn_from_too_little_chance(draw: Callable[[bytes], object]) -> None:
    with pytest.raises(ValueError, match="random bytes"):
        draw(b"1234567")
