"""From turns to answers: whoever follows the arrows is found to, and nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.liveness import (
    Evidence,
    Limits,
    Prompt,
    Side,
    Tier,
    judge,
)
from gatevault.core.liveness.answers import Following, asked_by, excursions, follow
from gatevault.core.liveness.challenge import COURSES, CUES, MS
from gatevault.core.liveness.limits import TurnLimits

LIMITS = Limits()
TURN = TurnLimits()
STEP = 40 * MS
GAP_S = 1.15


def shown(*course: Side | None) -> tuple[Prompt, ...]:
    """The cues of a course, the first at 0.5 s."""
    return tuple(Prompt(round((0.5 + GAP_S * number) * 1e9), side) for number, side in enumerate(course))


def _series(*stays: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """A head ahead but for stays at one side: from when (s), till when, and how far; 0.4 s a way. 5 s in all."""
    times = np.arange(0, 5_000 * MS, STEP, dtype=np.int64)
    seconds = times / 1e9
    turned = np.zeros(len(times))
    for begins, ends, reach in stays:
        turned += reach * (np.clip((seconds - begins) / 0.4, 0.0, 1.0) - np.clip((seconds - ends) / 0.4, 0.0, 1.0))
    return times, turned


def _following(
    course: Sequence[Side | None], late_s: float = 0.5, reach: float = 0.4
) -> tuple[np.ndarray, np.ndarray]:
    """A head that follows a course, so late."""
    cues = [*shown(*course), Prompt(9 * 10**9, None)]
    stays = [
        (a.at_ns / 1e9 + late_s, b.at_ns / 1e9 + late_s, reach if a.side is Side.LEFT else -reach)
        for a, b in pairwise(cues)
        if a.side is not None
    ]
    return _series(*stays)


def lives(following: Following, cues: int = CUES) -> bool:
    return judge(Tier.RGB, Evidence(following.answers, cues, following.unasked, 0.5, 0.0), LIMITS).live


def test_a_turn_is_found_when_it_begins_and_when_it_is_half_over() -> None:
    (found,) = excursions(*_series((1.0, 2.0, 0.4)), TURN)
    assert found.reach == pytest.approx(0.4, abs=0.02)
    assert found.begins_ns / 1e9 == pytest.approx(1.0 + 0.4 * TURN.begin / 0.4, abs=0.02)
    assert found.ends_ns is not None
    assert found.ends_ns / 1e9 == pytest.approx(2.2, abs=0.02)
    (stays,) = excursions(*_series((1.0, 9.0, 0.4)), TURN)
    assert stays.ends_ns is None


def test_swaying_is_no_turn() -> None:
    times, _ = _series()
    assert excursions(times, (TURN.lobe - 0.01) * np.sin(times / 3e8), TURN) == []


@pytest.mark.parametrize("late_s", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("course", COURSES, ids=lambda course: "-".join(side or "ahead" for side in course))
def test_whoever_follows_the_arrows_lives_and_nobody_who_followed_others(
    course: tuple[Side | None, ...], late_s: float
) -> None:
    """But for the same course one cue later by a quick head: that is what a slow one does."""
    for other in COURSES:
        times, turned = _following(other, late_s)
        following = follow(times, turned, shown(*course), TURN)
        a_cue_later = late_s == 0.3 and other == (None, *course[:-1]) and course[-1] is course[-2]
        assert lives(following) is (other == course or a_cue_later), other
        assert not (following.failed and other == course)


def test_answers_are_told_by_their_own_light() -> None:
    following = follow(*_following((Side.LEFT, None, Side.RIGHT)), shown(Side.LEFT, None, Side.RIGHT), TURN)
    first, second = following.answers
    assert (first.reach or 0.0) > 0.35
    assert (second.reach or 0.0) > 0.35
    assert first.begins_ms == pytest.approx(570.0, abs=50.0)
    assert first.ends_ms == pytest.approx(700.0, abs=50.0)
    assert (first.lit, second.lit, second.ends_ms) == (False, True, None)
    assert not following.unasked


def test_from_side_to_side_at_once_is_one_movement() -> None:
    course = (Side.LEFT, Side.RIGHT, None)
    first, second = follow(*_following(course, 0.6), shown(*course), TURN).answers
    assert second.begins_ms == pytest.approx(first.ends_ms)


def test_a_stop_between_two_sides_is_not() -> None:
    """A recording that looked ahead in between, and then to the other side: its turn was later than its leaving."""
    times, turned = _series((1.0, 2.0, 0.4), (3.3, 9.0, -0.4))
    _, second = follow(times, turned, shown(Side.LEFT, Side.RIGHT, Side.RIGHT), TURN).answers
    assert (second.begins_ms or 0.0) > 1_650.0


def test_it_is_settled_only_when_nothing_may_come_any_more() -> None:
    course = (Side.LEFT, None, Side.RIGHT)
    times, turned = _following(course)
    moved = 0.5 + 2 * GAP_S + 0.57
    for until, settled in ((moved + 0.4, False), (moved + 0.8, True)):
        seen = times <= until * 1e9
        assert follow(times[seen], turned[seen], shown(*course), TURN).settled is settled
    stays = (None, Side.LEFT, Side.LEFT)
    assert not follow(*_following((None, Side.LEFT, Side.RIGHT)), shown(None, Side.LEFT, Side.LEFT), TURN).settled
    assert not follow(*_following(stays), shown(*stays), TURN).settled, "it may still be left too early"
    two = shown(Side.LEFT, None)
    assert not follow(*_following(course), two, TURN).settled, "not all was asked"


def test_nodding_to_and_fro_answers_nothing() -> None:
    """A recording that turns all the time has turned before it was asked, or once too often."""
    for course in COURSES:
        for phase in np.linspace(0.0, 1.0, 24, endpoint=False):
            stays = [
                (t + phase, t + phase + 0.4, 0.4 if k % 2 else -0.4) for k, t in enumerate(np.arange(-1, 5, 0.9))
            ]
            assert not lives(follow(*_series(*stays), shown(*course), TURN))


@given(st.lists(st.floats(-1.0, 1.0), max_size=60))
def test_excursions_never_overlap(values: list[float]) -> None:
    times = np.arange(len(values), dtype=np.int64) * STEP
    found = excursions(times, np.array(values), TURN)
    assert all(a.begins_ns <= b.begins_ns for a, b in pairwise(found))
    assert all(a.ends_ns is not None and a.ends_ns >= a.begins_ns for a in found[:-1])
    assert all(abs(each.reach) >= TURN.lobe for each in found)


@given(st.lists(st.floats(-1.0, 1.0), max_size=60), st.sampled_from(COURSES), st.integers(0, CUES))
def test_whatever_was_seen_there_is_one_answer_for_each_turn_asked(
    values: list[float], course: tuple[Side | None, ...], told: int
) -> None:
    prompts = shown(*course)[:told]
    times = np.arange(len(values), dtype=np.int64) * STEP
    following = follow(times, np.array(values), prompts, TURN)
    assert len(following.answers) == len(asked_by(prompts))
    assert not lives(following, told) or told == CUES
