"""What people are told of liveness: why a look ended, and what passes with which tier."""

from __future__ import annotations

from typing import Final

from gatevault.core.liveness.challenge import Tier
from gatevault.core.liveness.judge import Refusal

ADVICE: Final[dict[Refusal, str]] = {
    Refusal.NOT_LIVE: "That looks like a picture of a face: take off cap or hood and try again, or use the card.",
    Refusal.WRONG_WAY: "The head was turned the other way than the arrow: try again, or use the card.",
    Refusal.TOO_EARLY: "The head moved before the arrows did: follow them and try again, or use the card.",
    Refusal.TOO_LATE: "The head followed the arrows too late, or not far enough: try again, or use the card.",
    Refusal.LAMP_DROWNED: "It is too bright here: step back or shade the face and try again, or use the card.",
    Refusal.NO_SENSOR: "What tells faces from pictures gave nothing: use the card and tell the admin.",
    Refusal.LOST_TRACK: "The face went out of sight: stand still before the camera and try again, or use the card.",
    Refusal.IDENTITY_CHANGED: "Another face took the place of the first: try again alone, or use the card.",
    Refusal.VETO: "That looks like a picture of a face: try again, or use the card.",
}
"""One sentence for each, as `walk-up` tells it."""

PASSES: Final[dict[Tier, tuple[str, ...]]] = {
    Tier.OFF: ("any photograph", "any screen", "any mask"),
    Tier.RGB: (
        "a driven face on a screen",
        "about one in sixty recordings of a turning head on a screen",
        "some prints with eye holes",
        "masks",
    ),
    Tier.LED: ("masks", "very few bent prints, with or without eye holes"),
    Tier.IR: ("masks",),
}
"""What somebody may show in place of a face with each tier; how often, docs/liveness.md tells."""
