"""From how far a head was turned, moment by moment, to how it answered each prompt.

An excursion is what goes beyond `lobe` to one side, until it has come back half the way. The first answers the
first prompt, the second the second: whoever turns without being asked has answered too early. So a head that is
turned to and fro all the time answers nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gatevault.core.liveness.challenge import MS, Prompt, Side
from gatevault.core.liveness.judge import Answer
from gatevault.core.liveness.limits import TurnLimits

HALF: Final = 0.5
"""Share of its furthest below which a turn is over."""
SETTLED: Final = 0.85
"""Share of its furthest below which it is known to have been the furthest."""

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Excursion:
    """One turn of the head. `reach` is its furthest, in depths, positive to the resident's own left."""

    begins_ns: float
    reach: float
    over: bool
    """Whether the head is on its way back."""


def excursions(times_ns: Times, turns: Floats, limits: TurnLimits) -> list[Excursion]:
    """The turns in a series of `turns` (f,), in depths about 0, taken at `times_ns` (f,), rising.

    Whoever is asked for the same side twice may come back half the way only; so may the points that tell the turn,
    which slip a little on a face that comes back. The next excursion to that side then counts from there.
    """
    found: list[Excursion] = []
    rest, lowest = 0, 0.0  # since when, and from which level, the next excursion would begin
    side, number = 0.0, 0
    while number < len(turns):
        turn = turns[number]
        if abs(turn) < limits.begin:
            rest, lowest, side = number, 0.0, 0.0
        elif side and side * turn < lowest:
            rest, lowest = number, max(0.0, side * turn)
        if abs(turn) < limits.lobe or (side and 0.0 < side * turn < lowest + limits.lobe):
            number += 1
            continue
        now = 1.0 if turn > 0.0 else -1.0
        lowest = lowest if now == side else 0.0
        after = number
        reach = 0.0
        while after < len(turns) and now * turns[after] >= max(limits.begin, HALF * reach):
            reach = max(reach, now * turns[after])
            after += 1
        begins = _crossing(times_ns[: number + 1], now * turns[: number + 1], rest, lowest + limits.begin)
        back = bool(now * turns[after - 1 : after + 1].min() < SETTLED * reach)
        found.append(Excursion(begins, now * (reach - lowest), back))
        rest, lowest, side = after, reach, now
        number = after
    return found


def _crossing(times_ns: Times, turns: Floats, rest: int, level: float) -> float:
    """When `level` was passed for the last time, not before the moment `rest`, between two frames."""
    below = [number for number in range(rest, len(turns)) if turns[number] < level]
    if not below:
        return float(times_ns[min(rest, len(turns) - 1)])
    last = below[-1]
    if last + 1 >= len(turns):
        return float(times_ns[last])
    low, high = float(turns[last]), float(turns[last + 1])
    return float(times_ns[last]) + (level - low) / (high - low) * float(times_ns[last + 1] - times_ns[last])


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
