"""One doorway: the door's state machine joined to the relay, its timer and the lights."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from gatevault.core.door import Door, DoorEvent, DoorState
from gatevault.core.errors import DeviceError
from gatevault.service.clock import monotonic_ms

RETRY_S: Final = 1.0
"""How soon a release that failed is tried again, until it succeeds."""

SLACK_MS: Final = 500
"""How much longer than a pulse the relay's own timer waits, should the loop hang."""


class RelayLine(Protocol):
    """What a doorway asks of a relay (`devices.relay.Relay`)."""

    def energise(self, limit_s: float | None) -> None: ...
    def release(self) -> None: ...


class Doorway:
    """Opens for a pulse, or is held open by an admin. Used by the event loop alone."""

    def __init__(self, relay: RelayLine, pulse_ms: int) -> None:
        self._relay = relay
        self._door = Door(pulse_ms)
        self._timer: asyncio.TimerHandle | None = None
        self.fault: DeviceError | None = None

    @property
    def state(self) -> DoorState:
        return self._door.state

    def grant(self) -> bool:
        """Open for one pulse; tells whether the relay moved."""
        return self._handle(DoorEvent.GRANT)

    def hold(self) -> bool:
        return self._handle(DoorEvent.UNLOCK)

    def lock(self) -> bool:
        return self._handle(DoorEvent.LOCK)

    def stop(self) -> None:
        """Release, whatever was."""
        self._handle(DoorEvent.STOP)

    def _expire(self) -> None:
        self._timer = None
        if self._door.state is DoorState.PULSE:
            self._handle(DoorEvent.EXPIRE)

    def _handle(self, event: DoorEvent) -> bool:
        now = monotonic_ms()
        energised = self._door.handle(event, now)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        until = self._door.until
        try:
            if not energised:
                self._relay.release()
            elif until is None:
                self._relay.energise(None)
            else:
                self._relay.energise((until - now + SLACK_MS) / 1000)
            self.fault = None
        except DeviceError as error:
            self.fault = error
        finally:
            if until is not None:
                # One millisecond later, so that rounding cannot make the timer early.
                self._later((until - now + 1) / 1000, self._expire)
            elif self.fault is not None and not energised:
                self._later(RETRY_S, self.stop)
        return self.fault is None

    def _later(self, delay_s: float, then: Callable[[], None]) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay_s, then)
