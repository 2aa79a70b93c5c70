"""The relay of the gate: released at construction, at its limit, and when closed."""

from __future__ import annotations

import logging
import threading
from typing import Final

from gpiozero import Factory, OutputDevice

from gatevault.core import board
from gatevault.core.errors import DeviceError
from gatevault.devices.pins import pin_faults

log = logging.getLogger(__name__)

RETRY_S: Final = 0.2
"""Pause before the limit's timer tries again where the release failed, in seconds."""


class Relay:
    """One relay. Released is the safe state; every error is a DeviceError.

    Threads: any may call any method. The limit is kept by a thread of its own, so a hung event
    loop does not hold the gate open; a dead process is the guard's business (`devices.guard`).
    """

    def __init__(self, relay: board.Relay, factory: Factory) -> None:
        """Claim the pin, released. Raises DeviceError where it is taken or not there."""
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None
        self._turn = 0
        self._closed = False
        with pin_faults("relay"):
            # initial_value=None would leave the pin as it was found: perhaps on.
            self._line = OutputDevice(
                relay.pin, active_high=relay.active_high, initial_value=False, pin_factory=factory
            )

    def energise(self, limit_s: float | None) -> None:
        """Energise, and release by itself after `limit_s` seconds (None: held open by an admin).

        The last call counts: it replaces the limit of the one before. Where the limit cannot be
        armed the relay stays as it is.
        """
        if limit_s is not None and limit_s <= 0.0:
            raise ValueError("a relay's limit is some seconds, or None")
        with self._lock, pin_faults("relay"):
            if self._closed:
                raise DeviceError("relay: it is closed")
            # The new limit first: where no thread can be started, the old one still holds.
            self._arm(limit_s)
            self._line.on()

    def release(self) -> None:
        """Release, and forget the limit. Harmless where it is released already."""
        with self._lock, pin_faults("relay"):
            if not self._closed:
                self._line.off()
            self._arm(None)

    @property
    def energised(self) -> bool:
        """What the pin says now; False once closed."""
        with self._lock, pin_faults("relay"):
            return not self._closed and bool(self._line.value)

    def close(self) -> None:
        """Release, then give the pin back. May be called twice."""
        with self._lock:
            if self._closed:
                return
            try:
                self.release()
            finally:
                self._closed = True
                self._arm(None)
                with pin_faults("relay"):
                    self._line.close()

    def _arm(self, limit_s: float | None) -> None:
        """Replace the limit; None takes it away. The lock is held."""
        turn = self._turn + 1
        timer = None
        if limit_s is not None:
            timer = threading.Timer(limit_s, self._expire, (turn,))
            timer.daemon = True
            timer.name = "relay-limit"
            timer.start()
        if self._timer is not None:
            self._timer.cancel()
        # A timer that fires right now waits for the lock and finds that its turn is over.
        self._turn, self._timer = turn, timer

    def _expire(self, turn: int) -> None:
        with self._lock:
            if turn != self._turn or self._closed:
                return
            try:
                self.release()
            except DeviceError as error:
                # Nobody can be told from here; the next attempt may find the driver recovered.
                log.critical("the relay did not release at its limit (%s); trying again", error)
                self._arm(RETRY_S)
