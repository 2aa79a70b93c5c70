"""From what was measured to whether somebody lives: every test of the tier must pass, none makes up for another.

    tier      what must be there and pass
    rgb       turns, depth, surroundings
    rgb+led   lamp: strong enough, followed, in time, by enough, with relief, more than the surroundings
    rgb+ir    the same of the emitter, and the face seen in infrared

A figure that is missing (None) fails, whatever the others say. A model's veto counts where there is a model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from gatevault.core.liveness.challenge import CUES, EARLIEST_MS, LATEST_MS, Tier
from gatevault.core.liveness.limits import LampLimits, Limits, TurnLimits


class Refusal(StrEnum):
    """Why nobody was found alive: told to people and to the counters, never with a figure."""

    NOT_LIVE = "not-live"
    """It looks like a picture."""
    WRONG_WAY = "wrong-way"
    TOO_EARLY = "too-early"
    TOO_LATE = "too-late"
    """Or no answer at all, or too small a one: a picture that is turned answers so."""
    LAMP_DROWNED = "lamp-drowned"
    """Too much light to tell: daylight is stronger than the lamp, or the face is at the camera's end."""
    NO_SENSOR = "no-sensor"
    """What the tier needs gave nothing."""
    LOST_TRACK = "lost-track"
    """The face was gone for too long, or jumped."""
    IDENTITY_CHANGED = "identity-changed"
    VETO = "veto"
    """An added model says so."""


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one turn was answered. None: not measured, or it did not happen."""

    begins_ms: float | None = None
    """From its light to the beginning of the movement; negative before the light."""
    reach: float | None = None
    """The furthest to the side asked for, in depths (about the sine of the turn); negative to the other."""
    ends_ms: float | None = None
    """From the end of its light to the head's coming back half the way; from its beginning while it is lit."""
    lit: bool = False
    """Whether its light is on to the end, and so the head is to stay."""

    @property
    def delays(self) -> tuple[float | None, ...]:
        """Of its movements."""
        return (self.begins_ms,) if self.lit else (self.begins_ms, self.ends_ms)


class LampEvidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answer to the flickering lamp. None: not measured."""

    signal: float | None = None
    """Amplitude in standard errors."""
    saturated: float | None = None
    """Share of the skin at the sensor's end."""
    correlation: float | None = None
    lag_ms: float | None = None
    amplitude: float | None = None
    """Log of lit over unlit skin."""
    of_predicted: float | None = None
    """Share of what site and distance predict; 1 where the site was not calibrated."""
    texture: float | None = None
    """How much of the face's own features the lamp's light shows: 1 on skin, 0 on glass."""
    relief: float | None = None
    """Correlation of its fine structure with that of a head's normals."""
    relief_gain: float | None = None
    """Size of the relief beside what a head's normals predict; 1 as predicted."""
    over_surroundings: float | None = None


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything measured over one track. None: not measured."""

    answers: tuple[Answer, ...] = ()
    cues: int = 0
    """How many were given."""
    unasked: bool = False
    """Whether the head was turned once more than it was asked to."""
    log_ratio: float | None = None
    sway: float | None = None
    lamp: LampEvidence = LampEvidence()
    infrared_level: float | None = None
    infrared_structure: float | None = None
    veto: float | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """`refusal` is None for a live face alone."""

    refusal: Refusal | None

    @property
    def live(self) -> bool:
        return self.refusal is None


@dataclass(frozen=True, slots=True)
class _Check:
    """Passed where `least` ≤ `value` ≤ `most`; a value that is missing or not a number never is."""

    value: float | None
    least: float = -math.inf
    most: float = math.inf
    failed: Refusal = Refusal.NOT_LIVE
    missing: Refusal = Refusal.NO_SENSOR

    def refusal(self) -> Refusal | None:
        if self.value is None or not math.isfinite(self.value):
            return self.missing
        return None if self.least <= self.value <= self.most else self.failed


def judge(tier: Tier, evidence: Evidence, limits: Limits) -> Judgement:
    """Whether everything that `tier` asks for is there and passes; else the first thing that does not.

    ValueError for OFF: there nothing is to be judged, and nobody may take that for a live face.
    """
    checks = list(_checks(tier, evidence, limits))
    if not checks:
        raise ValueError("nothing is judged with liveness off")
    if evidence.veto is not None:
        checks.append(_Check(evidence.veto, most=limits.veto, failed=Refusal.VETO, missing=Refusal.VETO))
    return Judgement(next((r for r in (check.refusal() for check in checks) if r is not None), None))


def _checks(tier: Tier, evidence: Evidence, limits: Limits) -> Iterator[_Check]:
    """The tests of a tier, in the order in which a failure is told: what the person can mend first."""
    if tier is Tier.RGB:
        yield from _turns(evidence, limits.turn)
    elif tier is Tier.LED:
        yield from _lamp(evidence.lamp, limits.led)
    elif tier is Tier.IR:
        yield _Check(evidence.infrared_level, limits.infrared.level)
        yield _Check(evidence.infrared_structure, limits.infrared.structure)
        yield from _lamp(evidence.lamp, limits.ir)


def _turns(evidence: Evidence, limits: TurnLimits) -> Iterator[_Check]:
    early, late, way = Refusal.TOO_EARLY, Refusal.TOO_LATE, Refusal.WRONG_WAY
    for answer in evidence.answers:
        yield _Check(answer.begins_ms, EARLIEST_MS, failed=early, missing=late)
        yield _Check(answer.begins_ms, most=LATEST_MS + limits.noticed_ms, failed=late, missing=late)
        yield _Check(answer.reach, -limits.lobe, failed=way, missing=late)
        yield _Check(answer.reach, limits.reach, failed=late, missing=late)
        if answer.lit:
            yield _Check(float(answer.ends_ms is not None), most=0.0, failed=early)
        else:
            yield _Check(answer.ends_ms, EARLIEST_MS, failed=early, missing=late)
            yield _Check(answer.ends_ms, most=LATEST_MS + limits.returned_ms, failed=late, missing=late)
    delays = [ms for answer in evidence.answers for ms in answer.delays if ms is not None]
    yield _Check(max(delays, default=0.0) - min(delays, default=0.0), most=limits.apart_ms, failed=late)
    yield _Check(float(evidence.unasked), most=0.0, failed=early)
    yield _Check(float(evidence.cues), CUES, failed=Refusal.NO_SENSOR)
    yield _Check(float(len(evidence.answers)), 1.0, failed=Refusal.NO_SENSOR)
    yield _Check(evidence.log_ratio, limits.log_ratio)
    yield _Check(evidence.sway, most=limits.sway)


def _lamp(evidence: LampEvidence, limits: LampLimits) -> Iterator[_Check]:
    drowned = Refusal.LAMP_DROWNED
    # Light that changes a lot and does not follow is no daylight: a screen.
    steady = evidence.amplitude is None or not evidence.amplitude >= limits.amplitude
    yield _Check(evidence.saturated, most=limits.saturated, failed=drowned)
    yield _Check(evidence.signal, limits.signal, failed=drowned if steady else Refusal.NOT_LIVE)
    yield _Check(evidence.amplitude, limits.amplitude, failed=drowned)
    yield _Check(evidence.correlation, limits.correlation)
    yield _Check(evidence.lag_ms, *limits.lag_ms)
    yield _Check(evidence.of_predicted, limits.of_predicted)
    yield _Check(evidence.texture, limits.texture)
    yield _Check(evidence.relief, limits.relief)
    yield _Check(evidence.relief_gain, limits.relief_gain)
    yield _Check(evidence.over_surroundings, limits.over_surroundings)
