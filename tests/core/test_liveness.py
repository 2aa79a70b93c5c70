"""The challenge, and a judgement that nothing missing and nothing failing passes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core import liveness
from gatevault.core.liveness import (
    PATTERN_BYTES,
    TURN_BYTES,
    TURNS_MS,
    Answer,
    Evidence,
    LampEvidence,
    Limits,
    Prompt,
    Refusal,
    Side,
    Tier,
    judge,
)
from gatevault.core.liveness import challenge as drawn
from gatevault.core.liveness.answers import Following, asked_by, excursions, follow
from gatevault.core.liveness.challenge import ANSWER_MS, COURSES, CUES, LATEST_MS, MS, patterns
from gatevault.core.liveness.limits import TurnLimits

LIMITS = Limits()
LAMP = LampEvidence(
    signal=80.0,
    saturated=0.05,
    correlation=0.97,
    lag_ms=20.0,
    amplitude=0.4,
    of_predicted=1.0,
    texture=0.9,
    relief=0.6,
    relief_gain=0.9,
    over_surroundings=0.8,
)
TURNED = (Answer(500.0, 0.4, 650.0), Answer(700.0, 0.35, lit=True))
"""One turn that was to end, and one that was to stay."""
ALIVE = {
    Tier.RGB: Evidence(TURNED, CUES, log_ratio=0.4, sway=0.001),
    Tier.LED: Evidence(lamp=LAMP),
    Tier.IR: Evidence(lamp=LAMP, infrared_level=0.2, infrared_structure=0.9),
}
JUDGED = (Tier.RGB, Tier.LED, Tier.IR)


def refusal(tier: Tier, evidence: Evidence) -> Refusal | None:
    return judge(tier, evidence, LIMITS).refusal


def with_lamp(**changes: float | None) -> LampEvidence:
    return msgspec.structs.replace(LAMP, **changes)


# --- the judgement -------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", JUDGED)
def test_a_face_that_passes_everything_lives(tier: Tier) -> None:
    assert judge(tier, ALIVE[tier], LIMITS).live


@pytest.mark.parametrize("tier", JUDGED)
def test_nothing_measured_is_not_alive(tier: Tier) -> None:
    assert refusal(tier, Evidence()) is not None


def test_with_liveness_off_nobody_is_judged_alive() -> None:
    with pytest.raises(ValueError, match="off"):
        judge(Tier.OFF, ALIVE[Tier.RGB], LIMITS)


@dataclass(frozen=True)
class Broken:
    """One figure of the evidence set to `value`, in a tier that needs it."""

    tier: Tier
    name: str
    change: Callable[[Evidence, float | None], Evidence]

    def __str__(self) -> str:
        return f"{self.tier}-{self.name}"


def _lamp_figure(name: str) -> Callable[[Evidence, float | None], Evidence]:
    return lambda evidence, value: msgspec.structs.replace(evidence, lamp=with_lamp(**{name: value}))


def _own_figure(name: str) -> Callable[[Evidence, float | None], Evidence]:
    return lambda evidence, value: msgspec.structs.replace(evidence, **{name: value})


def _answer_figure(number: int, name: str) -> Callable[[Evidence, float | None], Evidence]:
    def change(evidence: Evidence, value: float | None) -> Evidence:
        changed = list(evidence.answers)
        changed[number] = msgspec.structs.replace(changed[number], **{name: value})
        return msgspec.structs.replace(evidence, answers=tuple(changed))

    return change


NEEDED = [
    *(
        Broken(tier, name, _lamp_figure(name))
        for tier in (Tier.LED, Tier.IR)
        for name in LampEvidence.__struct_fields__
    ),
    Broken(Tier.IR, "infrared_level", _own_figure("infrared_level")),
    Broken(Tier.IR, "infrared_structure", _own_figure("infrared_structure")),
    Broken(Tier.RGB, "log_ratio", _own_figure("log_ratio")),
    Broken(Tier.RGB, "sway", _own_figure("sway")),
    *(
        Broken(Tier.RGB, f"{name}-{number}", _answer_figure(number, name))
        for number in (0, 1)
        for name in ("begins_ms", "reach")
    ),
    Broken(Tier.RGB, "ends_ms-0", _answer_figure(0, "ends_ms")),
]


@pytest.mark.parametrize("broken", NEEDED, ids=str)
@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_no_other_figure_makes_up_for_one_that_is_missing(broken: Broken, value: float | None) -> None:
    assert refusal(broken.tier, broken.change(ALIVE[broken.tier], value)) is not None


def test_a_camera_that_is_not_there_is_told_apart_from_a_picture() -> None:
    assert refusal(Tier.IR, Evidence(lamp=LAMP)) is Refusal.NO_SENSOR
    assert refusal(Tier.LED, Evidence()) is Refusal.NO_SENSOR


@given(st.sampled_from(NEEDED), st.floats(allow_nan=True, allow_infinity=True))
def test_a_better_figure_elsewhere_never_saves_a_failing_one(broken: Broken, value: float) -> None:
    """AND, not an average: with one figure changed, all others at their best, the verdict is that figure's own."""
    alone = judge(broken.tier, broken.change(ALIVE[broken.tier], value), LIMITS).live
    best = msgspec.structs.replace(ALIVE[broken.tier], log_ratio=9.0, infrared_level=1.0, infrared_structure=1.0)
    if broken.name not in ("log_ratio", "infrared_level", "infrared_structure"):
        assert judge(broken.tier, broken.change(best, value), LIMITS).live == alone


RISING = (
    *("signal", "correlation", "amplitude", "of_predicted"),
    *("texture", "relief", "relief_gain", "over_surroundings"),
)


@given(st.sampled_from(RISING), st.floats(-2.0, 2.0), st.floats(0.0, 2.0))
def test_more_of_what_a_head_shows_never_turns_a_live_face_away(name: str, value: float, more: float) -> None:
    here, beyond = (Evidence(lamp=with_lamp(**{name: v})) for v in (value, value + more))
    assert judge(Tier.LED, here, LIMITS).live <= judge(Tier.LED, beyond, LIMITS).live


def test_a_drowned_lamp_says_so_rather_than_that_nobody_lives() -> None:
    faint = with_lamp(signal=1.0, correlation=0.1, amplitude=0.01)
    assert refusal(Tier.LED, Evidence(lamp=faint)) is Refusal.LAMP_DROWNED
    flickering = with_lamp(signal=3.0, correlation=0.4, amplitude=0.2)
    assert refusal(Tier.LED, Evidence(lamp=flickering)) is Refusal.NOT_LIVE
    assert refusal(Tier.LED, Evidence(lamp=with_lamp(saturated=0.9))) is Refusal.LAMP_DROWNED


def test_a_late_answer_of_the_lamp_is_a_relay() -> None:
    assert refusal(Tier.LED, Evidence(lamp=with_lamp(lag_ms=150.0))) is Refusal.NOT_LIVE


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"begins_ms": 150.0}, Refusal.TOO_EARLY),
        ({"begins_ms": -300.0}, Refusal.TOO_EARLY),
        ({"begins_ms": 1_700.0}, Refusal.TOO_LATE),
        ({"begins_ms": None}, Refusal.TOO_LATE),
        ({"reach": -0.4}, Refusal.WRONG_WAY),
        ({"reach": 0.12}, Refusal.TOO_LATE),
        ({"reach": None}, Refusal.TOO_LATE),
    ],
)
@pytest.mark.parametrize("number", [0, 1])
def test_each_turn_has_to_be_the_one_asked_for(changed: dict[str, float | None], why: Refusal, number: int) -> None:
    assert refusal(Tier.RGB, answered(number, **changed)) is why


def answered(number: int, **changed: float | None) -> Evidence:
    """Alive, but for what changed in one answer."""
    given = list(TURNED)
    given[number] = msgspec.structs.replace(given[number], **changed)
    return msgspec.structs.replace(ALIVE[Tier.RGB], answers=tuple(given))


@pytest.mark.parametrize(
    ("number", "ends_ms", "why"),
    [
        (0, -100.0, Refusal.TOO_EARLY),
        (0, 150.0, Refusal.TOO_EARLY),
        (0, 1_850.0, Refusal.TOO_LATE),
        (0, None, Refusal.TOO_LATE),
        (1, 900.0, Refusal.TOO_EARLY),
    ],
)
def test_a_turn_lasts_as_long_as_its_light(number: int, ends_ms: float | None, why: Refusal) -> None:
    """Back before the light went out, or not at all; and back though the light is still on."""
    assert refusal(Tier.RGB, answered(number, ends_ms=ends_ms)) is why


def test_one_that_is_quick_once_and_slow_once_was_recorded() -> None:
    evidence = answered(0, begins_ms=300.0, ends_ms=1_150.0)
    assert refusal(Tier.RGB, evidence) is None
    assert refusal(Tier.RGB, answered(0, begins_ms=300.0, ends_ms=1_250.0)) is Refusal.TOO_LATE


def test_a_course_that_was_not_asked_to_its_end_is_none() -> None:
    assert refusal(Tier.RGB, msgspec.structs.replace(ALIVE[Tier.RGB], cues=CUES - 1)) is Refusal.NO_SENSOR
    assert refusal(Tier.RGB, msgspec.structs.replace(ALIVE[Tier.RGB], answers=())) is Refusal.NO_SENSOR


def test_a_head_that_also_turns_unasked_is_refused() -> None:
    assert refusal(Tier.RGB, msgspec.structs.replace(ALIVE[Tier.RGB], unasked=True)) is Refusal.TOO_EARLY


@pytest.mark.parametrize("tier", JUDGED)
def test_a_model_may_only_veto(tier: Tier) -> None:
    certain = msgspec.structs.replace(ALIVE[tier], veto=0.99)
    assert refusal(tier, certain) is Refusal.VETO
    assert refusal(tier, msgspec.structs.replace(ALIVE[tier], veto=math.nan)) is Refusal.VETO
    assert not judge(tier, Evidence(veto=0.0), LIMITS).live


# --- what is asked -------------------------------------------------------------------------------


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


# --- from turns to answers -----------------------------------------------------------------------

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
