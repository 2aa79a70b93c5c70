"""From how far a head was turned, moment by moment, to how it followed the arrows.

An excursion is what goes beyond `lobe` to one side, until it has come back half the way. The first answers the
first arrow, the second the second: whoever turns without being asked has answered too early. So a head that is
turned to and fro all the time answers nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from gatevault.core.liveness.challenge import CUES, MS, Prompt, Side
from gatevault.core.liveness.judge import Answer
from gatevault.core.liveness.limits import TurnLimits

HALF: Final = 0.5
"""Share of its furthest below which a turn is over."""

SWEEP_MS: Final = 650
"""At most from the end of one turn to the beginning of the next, where a head went from side to side at once."""

SETTLED_MS: Final = 600
"""After the last movement that was asked for: a head that goes on to the other side has begun that by then."""

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Excursion:
    """One turn of the head. `reach` is its furthest, in depths, positive to the resident's own left."""

    begins_ns: float
    reach: float
    ends_ns: float | None
    """When it had come back half the way; None while it has not."""


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
        half = max(limits.begin, HALF * reach)
        ends = _passed(times_ns, now * turns, after - 1, half) if after < len(turns) else None
        found.append(Excursion(begins, now * (reach - lowest), ends))
        rest, lowest, side = after, reach, now
        number = after
    return found


def _crossing(times_ns: Times, turns: Floats, rest: int, level: float) -> float:
    """When `level` was passed for the last time, not before the moment `rest`, between two frames."""
    below = [number for number in range(rest, len(turns)) if turns[number] < level]
    if not below:
        return float(times_ns[min(rest, len(turns) - 1)])
    last = below[-1]
    return float(times_ns[last]) if last + 1 >= len(turns) else _passed(times_ns, turns, last, level)


def _passed(times_ns: Times, turns: Floats, number: int, level: float) -> float:
    """When `level` was passed between the frames `number` and the next."""
    before, after = float(turns[number]), float(turns[number + 1])
    since = float(times_ns[number + 1] - times_ns[number])
    return float(times_ns[number]) + (level - before) / (after - before) * since


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn that was asked for."""

    side: Side
    on_ns: int
    off_ns: int | None
    """When its arrow went out; None while it is lit."""


def asked_by(prompts: Sequence[Prompt]) -> list[Turn]:
    """The turns that the arrows asked for, in their order."""
    turns: list[Turn] = []
    shown: Side | None = None
    for prompt in prompts:
        if prompt.side is shown:
            continue
        if shown is not None:
            turns[-1] = replace(turns[-1], off_ns=prompt.at_ns)
        if prompt.side is not None:
            turns.append(Turn(prompt.side, prompt.at_ns, None))
        shown = prompt.side
    return turns


@dataclass(frozen=True, slots=True)
class Following:
    """How a head followed the arrows so far."""

    answers: tuple[Answer, ...]
    """One for each turn that was asked for."""
    unasked: bool
    """Whether somebody turned who was not asked."""
    settled: bool
    """Whether all was asked, and followed, and what comes now would be no answer."""

    @property
    def failed(self) -> bool:
        """Whether nothing that may follow mends it."""
        return self.unasked or any(
            (each.reach or 0.0) < 0.0
            or (each.begins_ms or 0.0) < 0.0
            or (each.ends_ms is not None and (each.lit or each.ends_ms < 0.0))
            for each in self.answers
        )


def follow(times_ns: Times, turns: Floats, prompts: Sequence[Prompt], limits: TurnLimits) -> Following:
    """How the head that was turned so followed the arrows of `prompts`, in their order."""
    asked, made = asked_by(prompts), excursions(times_ns, turns, limits)
    given = []
    before: tuple[Turn, Excursion] | None = None
    for turn, excursion in zip(asked, made, strict=False):
        begins = excursion.begins_ns
        if before is not None and before[0].off_ns == turn.on_ns and before[1].ends_ns is not None:
            # From side to side at once: it began where the other side was left.
            begins = before[1].ends_ns if begins - before[1].ends_ns <= SWEEP_MS * MS else begins
        over = None if excursion.ends_ns is None else excursion.ends_ns - (turn.off_ns or turn.on_ns)
        given.append(
            Answer(
                begins_ms=(begins - turn.on_ns) / MS,
                reach=excursion.reach if turn.side is Side.LEFT else -excursion.reach,
                ends_ms=None if over is None else over / MS,
                lit=turn.off_ns is None,
            )
        )
        before = turn, excursion
    missing = [Answer(lit=turn.off_ns is None) for turn in asked[len(made) :]]
    return Following((*given, *missing), len(made) > len(asked), _settled(times_ns, prompts, asked, made, limits))


def _settled(
    times_ns: Times, prompts: Sequence[Prompt], asked: list[Turn], made: list[Excursion], limits: TurnLimits
) -> bool:
    """Not before the end where the last cue changed nothing: whoever does not wait for it moves until then."""
    if len(prompts) < CUES or len(made) != len(asked) or prompts[-1].side is prompts[-2].side:
        return False
    last = made[-1]
    moved = last.begins_ns if asked[-1].off_ns is None else last.ends_ns
    reached = all(abs(each.reach) >= limits.reach for each in made)
    return reached and moved is not None and int(times_ns[-1]) >= moved + SETTLED_MS * MS
