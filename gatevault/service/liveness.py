"""What this gate checks against pictures of a face: the tier, whether faces are on, and pauses after failures."""

from __future__ import annotations

from typing import Any, Final

from gatevault.core.board import Board
from gatevault.core.liveness import PASSES, Tier
from gatevault.core.settings import LivenessSettings
from gatevault.core.types import Reason
from gatevault.service.clock import monotonic_ms

_PARTS: Final[dict[Tier, tuple[str, ...]]] = {
    Tier.OFF: (),
    Tier.RGB: ("turn_left_led", "turn_right_led"),
    Tier.LED: ("lamp",),
    Tier.IR: ("infrared_lamp",),
}
"""What of the board each tier drives."""


class Liveness:
    """One gate's. Used on the event loop alone."""

    def __init__(self, settings: LivenessSettings, board: Board, bench: bool) -> None:
        self._settings = settings
        self._board = board
        self._bench = bench
        self.tier = settings.tier or (Tier.OFF if bench else _best(settings, board))
        self._failed = 0
        self._refused = 0
        self._pause_until_ms = 0

    def forbidden(self, asked: Tier | None = None) -> tuple[Reason, str] | None:
        """Why no face is looked at now, with a sentence, or None. `asked`: a tier that a bench measures."""
        if asked is None and (off := self.off()):
            return Reason.USE_CARD, off
        if asked is None and monotonic_ms() < self._pause_until_ms:
            return Reason.USE_CARD, (
                f"{self._settings.failures} looks in a row did not find anybody alive: use the card, faces are on "
                f"again within {self._settings.pause_s} seconds."
            )
        return None

    def off(self) -> str:
        """Why faces are off at this gate, whoever comes; empty where they are on."""
        if self._bench:
            return ""
        missing = [part for part in _PARTS[self.tier] if getattr(self._board, part) is None]
        if self.tier is Tier.OFF:
            return (
                "liveness.tier is off, which belongs to a bench: a photograph would open this gate. Faces are off."
            )
        if missing:
            return (
                f'The board has no {" and no ".join(missing)}, which liveness.tier = "{self.tier}" needs: faces '
                "are off, cards work. Fit it and name its pin in the board's profile, or choose another tier."
            )
        if self.tier is Tier.IR and not self._settings.infrared_camera:
            return "liveness.infrared_camera names no camera, which rgb+ir needs: faces are off, cards work."
        if self.tier is Tier.RGB and not self._settings.rgb_alone:
            return (
                "This gate has a colour camera alone, before which some pictures pass for faces: cards alone open "
                "it. Fit a lamp, or set liveness.rgb_alone = true knowing which do (`gatevault status`)."
            )
        return ""

    def failed(self) -> None:
        """A look found somebody who does not live."""
        self._failed += 1
        self._refused += 1
        if self._failed >= self._settings.failures:
            self._failed = 0
            self._pause_until_ms = monotonic_ms() + 1_000 * self._settings.pause_s

    def passed(self) -> None:
        """A look found a living face."""
        self._failed = 0

    def report(self) -> dict[str, Any]:
        """Its part of `status`: tier, whether faces are on, what may pass for one, looks that found nobody."""
        off = self.off()
        part: dict[str, Any] = {
            "state": "ok",
            "tier": self.tier.value,
            "faces": "off" if off else "on",
            "passes": list(PASSES[self.tier]),
            "refused": self._refused,
        }
        if self.tier is Tier.OFF and self._bench:
            part["reason"] = "LIVENESS IS OFF: on this bench a photograph opens by face"
        return part | ({"reason": off} if off else {})


def _best(settings: LivenessSettings, board: Board) -> Tier:
    """The best that the parts allow."""
    if board.infrared_lamp is not None and settings.infrared_camera:
        return Tier.IR
    return Tier.RGB if board.lamp is None else Tier.LED
