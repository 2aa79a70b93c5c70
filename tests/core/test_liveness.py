"""The challenge, and a judgement that nothing missing and nothing failing passes."""

from __future__ import annotations

import math
from collections.abc import Callable
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
from gatevault.core.liveness.answers import answers, excursions
from gatevault.core.liveness.challenge import ANSWER_MS, LATEST_MS, MS, patterns
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
TURNED = (Answer(500.0, 0.4, True), Answer(700.0, 0.35, True))
ALIVE = {
    Tier.RGB: Evidence(answers=TURNED, log_ratio=0.4, sway=0.001),
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
    ("answer", "why"),
    [
        (Answer(150.0, 0.4, True), Refusal.TOO_EARLY),
        (Answer(-300.0, 0.4, True), Refusal.TOO_EARLY),
        (Answer(1_700.0, 0.4, True), Refusal.TOO_LATE),
        (Answer(500.0, -0.4, True), Refusal.WRONG_WAY),
        (Answer(500.0, 0.12, True), Refusal.TOO_LATE),
        (Answer(), Refusal.TOO_LATE),
    ],
)
@pytest.mark.parametrize("number", [0, 1])
def test_each_turn_has_to_be_the_one_asked_for(answer: Answer, why: Refusal, number: int) -> None:
    given_answers = list(TURNED)
    given_answers[number] = answer
    evidence = msgspec.structs.replace(ALIVE[Tier.RGB], answers=tuple(given_answers))
    assert refusal(Tier.RGB, evidence) is why


def test_one_turn_is_not_two() -> None:
    assert refusal(Tier.RGB, msgspec.structs.replace(ALIVE[Tier.RGB], answers=TURNED[:1])) is Refusal.TOO_LATE


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
    first, second = liveness.draw_turns(random)
    assert 300 <= first.after_ms <= 700
    assert 1_900 <= second.after_ms - first.after_ms <= 2_200
    assert second.after_ms + LATEST_MS + ANSWER_MS <= TURNS_MS <= 5_000


def test_all_four_pairs_of_sides_are_asked_alike() -> None:
    chance = np.random.default_rng(5)
    counts: dict[tuple[Side, ...], int] = {}
    for _ in range(4_000):
        sides = tuple(turn.side for turn in liveness.draw_turns(chance.bytes(TURN_BYTES)))
        counts[sides] = counts.get(sides, 0) + 1
    assert len(counts) == 4
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


def _series(*turns: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """A head at rest, but for turns: when (s) each begins, and how far; 0.4 s there, 0.4 s back, 5 s in all."""
    times = np.arange(0, 5_000 * MS, STEP, dtype=np.int64)
    seconds = times / 1e9
    turned = np.zeros(len(times))
    for begins, reach in turns:
        turned += reach * np.clip(1.0 - np.abs((seconds - begins - 0.4) / 0.4), 0.0, None)
    return times, turned


def test_a_turn_is_found_when_it_begins() -> None:
    (found,) = excursions(*_series((1.0, 0.4)), TURN)
    assert found.reach == pytest.approx(0.4, abs=0.02)
    assert found.begins_ns / 1e9 == pytest.approx(1.0 + 0.4 * TURN.begin / 0.4, abs=0.02)
    assert found.over


def test_swaying_is_no_turn() -> None:
    times, _ = _series()
    assert excursions(times, (TURN.lobe - 0.01) * np.sin(times / 3e8), TURN) == []


def test_answers_are_matched_in_their_order() -> None:
    prompts = (Prompt(500 * MS, Side.LEFT), Prompt(2_500 * MS, Side.RIGHT))
    times, turned = _series((1.0, 0.4), (3.0, -0.3))
    (first, second), unasked = answers(times, turned, prompts, TURN)
    assert (first.reach or 0.0) > 0.3
    assert (second.reach or 0.0) > 0.25
    assert 400.0 < (first.begins_ms or 0.0) < 700.0
    assert not unasked


def test_nodding_to_and_fro_answers_nothing() -> None:
    """A recording that turns all the time has turned before it was asked, or once too often."""
    prompts = (Prompt(500 * MS, Side.LEFT), Prompt(2_500 * MS, Side.RIGHT))
    for phase in np.linspace(0.0, 1.0, 24, endpoint=False):
        turns = [(t + phase, 0.4 if k % 2 == 0 else -0.4) for k, t in enumerate(np.arange(-1.0, 5.0, 0.9))]
        times, turned = _series(*turns)
        given_answers, unasked = answers(times, turned, prompts, TURN)
        evidence = Evidence(given_answers, unasked, 0.5, 0.0)
        assert not judge(Tier.RGB, evidence, LIMITS).live


@given(st.lists(st.floats(-1.0, 1.0), max_size=60))
def test_excursions_never_overlap(values: list[float]) -> None:
    times = np.arange(len(values), dtype=np.int64) * STEP
    found = excursions(times, np.array(values), TURN)
    assert all(a.begins_ns <= b.begins_ns for a, b in pairwise(found))
    assert all(abs(each.reach) >= TURN.lobe for each in found)
