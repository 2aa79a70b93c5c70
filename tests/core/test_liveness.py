"""A judgement that nothing missing and nothing failing passes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.liveness import (
    Answer,
    Evidence,
    LampEvidence,
    Limits,
    Refusal,
    Tier,
    judge,
)
from gatevault.core.liveness.challenge import CUES

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
