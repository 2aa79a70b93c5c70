"""How often luck follows a course of the arrows, and how often people do not: heads moved as the bench moves them
(`presentations.motion`), without pictures.

    python -m gatevault.lab.courses [N]

shows N of each, 2,000 where none is named: what a course alone is worth, before anything else is measured.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gatevault.core.liveness import Evidence, Limits, Prompt, Refusal, Side, Tier, judge
from gatevault.core.liveness.answers import follow
from gatevault.core.liveness.challenge import CUES
from gatevault.lab.presentations import motion
from gatevault.lab.presentations.challenge import RATES, RGB, SECONDS, Challenge, draw_challenge
from gatevault.vision.recorded import AHEAD

NOISE: Final = 0.02
"""Of a turn as it is measured, in depths. Seen in frames of rendered heads: less."""

_SWAY: Final = 0.012
"""Radians, as people sway on the bench."""


@dataclass(frozen=True, slots=True)
class Luck:
    """Of recordings of somebody willing who followed another challenge, shown so often."""

    shown: int
    same: int
    """Passed, and had been recorded under the same course."""
    other: int
    """Passed under another."""


def refusal(challenge: Challenge, moves: Sequence[motion.Move], chance: np.random.Generator) -> Refusal | None:
    """What a course's checks say of a head that moves so, whatever else is measured; None where it passes."""
    times = np.arange(0.0, SECONDS[RGB], 1.0 / RATES[RGB]) + chance.uniform(0.0, 1.0 / RATES[RGB])
    sway = motion.wander(chance, _SWAY)
    yaw = np.array([sum(move.at(at) for move in moves) + sway.at(at) for at in times.tolist()])
    turns = np.sin(yaw) + chance.normal(0.0, NOISE, len(times))
    prompts = [Prompt(round(at * 1e9), None if side == AHEAD else Side(side)) for at, side in challenge.prompts]
    following = follow(np.asarray(times * 1e9, np.int64), turns, prompts, Limits().turn)
    evidence = Evidence(following.answers, CUES, following.unasked, log_ratio=9.0, sway=0.0)
    return judge(Tier.RGB, evidence, Limits()).refusal


def refused(manner: motion.Manner, number: int, chance: np.random.Generator) -> int:
    """How many of so many people who follow their course are refused all the same."""
    count = 0
    for _ in range(number):
        challenge = draw_challenge(RGB, chance)
        count += refusal(challenge, motion.answer(chance, challenge.prompts, manner), chance) is not None
    return count


def luck(number: int, chance: np.random.Generator) -> Luck:
    """How many of so many recordings pass."""
    same = other = 0
    for _ in range(number):
        challenge, recorded = draw_challenge(RGB, chance), draw_challenge(RGB, chance)
        if refusal(challenge, motion.answer(chance, recorded.prompts, motion.WILLING), chance) is None:
            alike = [side for _, side in challenge.prompts] == [side for _, side in recorded.prompts]
            same, other = same + alike, other + (not alike)
    return Luck(number, same, other)


def report(number: int) -> str:
    """Of so many each, drawn alike every time."""
    chance = np.random.default_rng(1)
    lines = [
        f"{name:8} {refused(manner, number, chance):6} of {number} refused"
        for name, manner in (("willing", motion.WILLING), ("slow", motion.SLOW))
    ]
    found = luck(number, chance)
    passed = found.same + found.other
    return "\n".join(
        (*lines, f"recorded {passed:6} of {number} passed, {found.other} of them under another course")
    )


if __name__ == "__main__":
    sys.stdout.write(report(int(sys.argv[1]) if sys.argv[1:] else 2_000) + "\n")
