"""Whether a face lives: the challenge, the figures that count, and the judgement. Values in, values out.

    challenge   tiers, what is asked (turns, a lamp's pattern), drawn from random bytes
    limits      what must be reached, each figure with its reason
    answers     from how far a head was turned to how it followed the arrows
    judge       evidence and the judgement over it
    veto        which network an installer added

`vision.liveness` measures the evidence.
"""

from gatevault.core.liveness.challenge import (
    PATTERN_BYTES,
    PATTERN_MS,
    SLOT_MS,
    TURN_BYTES,
    TURNS_MS,
    Cue,
    Edge,
    Lamp,
    Prompt,
    Side,
    Tier,
    draw_pattern,
    draw_turns,
)
from gatevault.core.liveness.judge import Answer, Evidence, Judgement, LampEvidence, Refusal, judge
from gatevault.core.liveness.limits import Limits, Site
from gatevault.core.liveness.words import ADVICE, PASSES

__all__ = [
    "ADVICE",
    "PASSES",
    "PATTERN_BYTES",
    "PATTERN_MS",
    "SLOT_MS",
    "TURNS_MS",
    "TURN_BYTES",
    "Answer",
    "Cue",
    "Edge",
    "Evidence",
    "Judgement",
    "Lamp",
    "LampEvidence",
    "Limits",
    "Prompt",
    "Refusal",
    "Side",
    "Site",
    "Tier",
    "draw_pattern",
    "draw_turns",
    "judge",
]
