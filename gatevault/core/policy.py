"""May this resident pass now? Rules that each may only refuse, composed; an empty list refuses.

The face's rules are the card's rules and more: whatever a face may open, its owner's card opens
(SPC 10, FRM 10: tested as a property).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gatevault.core.consent import Standing
from gatevault.core.types import Decision, Reason, deny, grant


@dataclass(frozen=True, slots=True)
class Request:
    """What is known when a decision falls: who, and the circumstances."""

    resident: str
    hours_open: bool
    standing: Standing
    """The standing of the resident's consent; matters to the face alone."""
    recorded: bool
    """Whether impact assessment and sign are recorded (`core.site`); matters to the face alone."""


Rule = Callable[[Request], Reason | None]


def within_hours(request: Request) -> Reason | None:
    return None if request.hours_open else Reason.SCHEDULE


def consent_live(request: Request) -> Reason | None:
    return None if request.standing is Standing.LIVE else Reason.NO_CONSENT


def site_recorded(request: Request) -> Reason | None:
    return None if request.recorded else Reason.NOT_RECORDED


CARD_RULES: Final[tuple[Rule, ...]] = (within_hours,)
FACE_RULES: Final[tuple[Rule, ...]] = (*CARD_RULES, site_recorded, consent_live)


def decide(request: Request, rules: Sequence[Rule], reason: Reason) -> Decision:
    """Grant for `reason` if every rule lets pass; else the first refusal. No rules: refused."""
    if not rules:
        return deny(Reason.FAULT)
    for rule in rules:
        refusal = rule(request)
        if refusal is not None:
            return deny(refusal, request.resident)
    return grant(reason, request.resident)


def decide_card(request: Request) -> Decision:
    return decide(request, CARD_RULES, Reason.CARD)


def decide_face(request: Request) -> Decision:
    """As `decide`, but a denied face is told of no resident."""
    decision = decide(request, FACE_RULES, Reason.MATCHED)
    return decision if decision.granted else deny(decision.reason)
