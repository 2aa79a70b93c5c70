"""Contacts: somebody is there, the exit button, the door, the housing. Reported, never relied on.

Free exit is wired past this software (see hardware/README.md): the exit button's second contact is
only seen here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import StrEnum
from functools import partial

from gpiozero import DigitalInputDevice, Factory

from gatevault.core.board import Board, Input
from gatevault.devices.pins import pin_faults

log = logging.getLogger(__name__)


class SensorEvent(StrEnum):
    """Which contact changed; the names are the roles of the board profile."""

    PRESENCE = "presence"
    """Active: somebody pressed the button, stands on the mark or within the distance sensor's reach."""
    MOTION = "motion"
    """A PIR. Active: something warm moves. It wakes a light and never the camera."""
    REX = "rex"
    """Request to exit. Active: the button is pressed."""
    DPS = "dps"
    """Door position switch. Active: the contact is closed, the door shut; a cut wire reads open."""
    TAMPER = "tamper"
    """The housing's contact. Active: closed, the housing shut; a cut wire reads open."""


OnEvent = Callable[[SensorEvent, bool], None]
"""Called with the contact and whether it is active now."""


class Sensors:
    """The contacts of a board. Active means closed: to ground with `pull_up`, else to 3.3 V.

    `on_event` is called from gpiozero's threads, one at a time per contact, never from the
    caller's: an asyncio daemon hands it `loop.call_soon_threadsafe`. It must be quick. Contacts
    that are active at construction give no event; ask `state()`.
    """

    def __init__(self, board: Board, factory: Factory, on_event: OnEvent) -> None:
        """Claim the pins that the board has. Raises DeviceError."""
        self._on_event = on_event
        self._contacts: dict[SensorEvent, DigitalInputDevice] = {}
        try:
            for kind in SensorEvent:
                part: Input | None = getattr(board, kind.value)
                if part is not None:
                    with pin_faults(kind.value):
                        self._contacts[kind] = self._contact(kind, part, factory)
        except BaseException:
            self.close()
            raise

    def _contact(self, kind: SensorEvent, part: Input, factory: Factory) -> DigitalInputDevice:
        contact = DigitalInputDevice(
            part.pin,
            pull_up=part.pull_up,
            bounce_time=part.bounce_ms / 1000 or None,
            pin_factory=factory,
        )
        contact.when_activated = partial(self._report, kind, True)
        contact.when_deactivated = partial(self._report, kind, False)
        return contact

    def _report(self, kind: SensorEvent, active: bool) -> None:
        try:
            self._on_event(kind, active)
        except Exception:
            # lgpio calls from the one thread that serves every contact: an error that escapes
            # here (a loop that is just closing) would end it and deafen all of them.
            log.exception("an event of %s could not be delivered", kind)

    def state(self) -> dict[SensorEvent, bool | None]:
        """Whether each contact is active now; None where it is not fitted."""
        state: dict[SensorEvent, bool | None] = dict.fromkeys(SensorEvent)
        for kind, contact in self._contacts.items():
            with pin_faults(kind.value):
                state[kind] = bool(contact.is_active)
        return state

    def close(self) -> None:
        """Give the pins back. May be called twice."""
        while self._contacts:
            kind, contact = self._contacts.popitem()
            with pin_faults(kind.value):
                contact.close()
