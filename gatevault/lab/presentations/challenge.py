"""What a gate asks during one look: prompts to turn the head, or patterns of its lights.

The gate draws them from `secrets`; here the same functions are given the bytes of a seeded generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from gatevault.core import liveness
from gatevault.lab.presentations.motion import Prompts
from gatevault.vision.recorded import AHEAD, Edges

RGB: Final = "rgb"
LED: Final = "led"
IR: Final = "ir"
TIERS: Final = (RGB, LED, IR)

RATES: Final = {RGB: 15.0, LED: 25.0, IR: 20.0}
"""Frames a second where nobody asks for another rate."""

BEGINS_S: Final = 0.25
"""When the challenge begins: a gate first sees the face in some frames."""

_AFTER_S: Final = 0.15
"""Filmed after the last slot of a pattern."""

SECONDS: Final = {
    RGB: BEGINS_S + liveness.TURNS_MS / 1000,
    LED: BEGINS_S + liveness.PATTERN_MS / 1000 + _AFTER_S,
    IR: BEGINS_S + liveness.PATTERN_MS / 1000 + _AFTER_S,
}
"""Length of a look."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One look's: see `Presentation`."""

    seconds: float
    prompts: Prompts = ()
    led: Edges = ()
    ir_led: Edges = ()


def draw_challenge(tier: str, chance: np.random.Generator) -> Challenge:
    """Of a tier, as a gate draws it. ValueError for no tier."""
    if tier == RGB:
        cues = liveness.draw_turns(chance.bytes(liveness.TURN_BYTES))
        prompts = tuple((BEGINS_S + cue.after_ms / 1000, cue.side.value if cue.side else AHEAD) for cue in cues)
        return Challenge(SECONDS[RGB], prompts=prompts)
    if tier == LED:
        return Challenge(SECONDS[LED], led=_edges(chance))
    if tier == IR:
        return Challenge(SECONDS[IR], ir_led=_edges(chance))
    raise ValueError(f"there is no tier {tier!r}: use one of {', '.join(TIERS)}")


def _edges(chance: np.random.Generator) -> Edges:
    """A pattern as edges; until its first slot the lamp is lit, after its last it is dark."""
    slots = (*liveness.draw_pattern(chance.bytes(liveness.PATTERN_BYTES)), False)
    edges, state = [], True
    for number, lit in enumerate(slots):
        if lit != state:
            edges.append((BEGINS_S + number * liveness.SLOT_MS / 1000, lit))
            state = lit
    return tuple(edges)
