"""The door as a state machine: which events energise or release the relay.

The table lists every transition; an unlisted one raises. Time comes in with each event
(monotonic milliseconds), so a late or repeated timer does no harm.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class DoorState(StrEnum):
    LOCKED = "locked"
    PULSE = "pulse"
    HELD = "held"


class DoorEvent(StrEnum):
    GRANT = "grant"
    """A card or face was granted: open for one pulse."""
    EXPIRE = "expire"
    """The pulse is over."""
    UNLOCK = "unlock"
    """An admin holds the door open."""
    LOCK = "lock"
    """An admin ends that."""
    STOP = "stop"
    """The daemon starts or ends: released, whatever was."""


_S, _E = DoorState, DoorEvent
TABLE: Final[dict[tuple[DoorState, DoorEvent], DoorState]] = {
    (_S.LOCKED, _E.GRANT): _S.PULSE,
    (_S.LOCKED, _E.EXPIRE): _S.LOCKED,
    (_S.LOCKED, _E.UNLOCK): _S.HELD,
    (_S.LOCKED, _E.LOCK): _S.LOCKED,
    (_S.LOCKED, _E.STOP): _S.LOCKED,
    (_S.PULSE, _E.GRANT): _S.PULSE,
    (_S.PULSE, _E.EXPIRE): _S.LOCKED,
    (_S.PULSE, _E.UNLOCK): _S.HELD,
    (_S.PULSE, _E.LOCK): _S.LOCKED,
    (_S.PULSE, _E.STOP): _S.LOCKED,
    (_S.HELD, _E.GRANT): _S.HELD,
    (_S.HELD, _E.UNLOCK): _S.HELD,
    (_S.HELD, _E.LOCK): _S.LOCKED,
    (_S.HELD, _E.STOP): _S.LOCKED,
}
"""HELD has no EXPIRE: entering it cancels the pulse, so a timer that fires there is a defect."""


class Door:
    """One door. `pulse_ms` is how long a grant energises the relay."""

    def __init__(self, pulse_ms: int) -> None:
        if pulse_ms <= 0:
            raise ValueError("a pulse lasts some milliseconds")
        self._pulse_ms = pulse_ms
        self._state = DoorState.LOCKED
        self._until: int | None = None

    @property
    def state(self) -> DoorState:
        return self._state

    @property
    def until(self) -> int | None:
        """When the pulse ends, in monotonic milliseconds; None where no timer runs."""
        return self._until

    @property
    def energised(self) -> bool:
        """Whether the relay must be energised now."""
        return self._state is not DoorState.LOCKED

    def handle(self, event: DoorEvent, now_ms: int) -> bool:
        """Take one event and return `energised`. An EXPIRE before its time changes nothing.

        Raises ValueError for a transition that the table does not list.
        """
        if event is DoorEvent.EXPIRE and self._until is not None and now_ms < self._until:
            return self.energised
        try:
            self._state = TABLE[self._state, event]
        except KeyError:
            raise ValueError(f"a door that is {self._state} has no {event}") from None
        if self._state is not DoorState.PULSE:
            self._until = None
        elif event is DoorEvent.GRANT:
            self._until = now_ms + self._pulse_ms
        return self.energised
