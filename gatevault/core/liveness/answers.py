"""From how far a head was turned, moment by moment, to how it answered each prompt.

An excursion is what goes beyond `lobe` to one side and comes back below `begin`. The first answers the first
prompt, the second the second: whoever turns without being asked has answered too early. So a head that is turned to
and fro all the time answers nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gatevault.core.liveness.challenge import MS, Prompt, Side
from gatevault.core.liveness.judge import Answer
from gatevault.core.liveness.limits import TurnLimits

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Excursion:
    """One turn of the head. `reach` is its furthest, in depths, positive to the resident's own left."""

    begins_ns: float
    reach: float
    over: bool
    """Whether the head has come back."""


def excursions(times_ns: Times, turns: Floats, limits: TurnLimits) -> list[Excursion]:
    """The turns in a series of `turns` (f,), in depths about 0, taken at `times_ns` (f,), rising."""
    found: list[Excursion] = []
    still = 0  # the last moment at rest
    number = 0
    while number < len(turns):
        if abs(turns[number]) < limits.begin:
            still = number
        elif abs(turns[number]) >= limits.lobe:
            side = 1.0 if turns[number] > 0.0 else -1.0
            after = number
            while after < len(turns) and side * turns[after] >= limits.begin:
                after += 1
            reach = side * float(np.max(side * turns[number:after]))
            found.append(
                Excursion(_crossing(times_ns, side * turns, still, limits.begin), reach, after < len(turns))
            )
            number = still = after
            continue
        number += 1
    return found


def _crossing(times_ns: Times, turns: Floats, still: int, level: float) -> float:
    """When `level` was passed after the last moment at rest, between two frames."""
    if still + 1 >= len(turns) or turns[still] >= level:
        return float(times_ns[min(still, len(turns) - 1)])
    low, high = float(turns[still]), float(turns[still + 1])
    share = (level - low) / (high - low) if high > low else 0.0
    return float(times_ns[still]) + min(1.0, share) * float(times_ns[still + 1] - times_ns[still])


def answers(
    times_ns: Times, turns: Floats, prompts: Sequence[Prompt], limits: TurnLimits
) -> tuple[tuple[Answer, ...], bool]:
    """One answer for each prompt, as far as there is one, and whether somebody turned who was not asked."""
    made = excursions(times_ns, turns, limits)
    found = []
    for prompt, excursion in zip(prompts, made, strict=False):
        side = 1.0 if prompt.side is Side.LEFT else -1.0
        found.append(Answer((excursion.begins_ns - prompt.at_ns) / MS, side * excursion.reach, excursion.over))
    return tuple(found), len(made) > len(prompts)
