"""Time as the daemon may believe it: never earlier than the latest time in the ledger.

A Pi without a battery starts in the past after a power cut. While the clock is behind what the ledger knows,
nobody can say what time it is: faces are off, cards open at any hour (`Access`). Three things end that, none of
them a restart: a time source moves the system's clock past the ledger's last entry; an admin sets the system's
clock; or `gatevault clock set` tells the daemon, which counts on from there by the monotonic clock.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from gatevault.core.audit import STEP_S
from gatevault.core.entries import Moment
from gatevault.core.schedule import DAY_MINUTES

TOLERATED: Final = timedelta(seconds=STEP_S)
"""A clock may be behind by as much: time servers take back a second now and then."""


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def set_system_clock(when: datetime) -> bool:
    """Set the machine's own clock; False where this process may not."""
    try:
        time.clock_settime(time.CLOCK_REALTIME, when.timestamp())
    except PermissionError:
        return False
    return True


class TrustedClock:
    """Wall clock that does not run backwards, so that turning it back revives no consent."""

    def __init__(self, latest: datetime | None) -> None:
        self._latest = latest or datetime.fromtimestamp(0, UTC)
        self._boot = _boot_id()
        self._told: tuple[datetime, int] | None = None
        """What an admin told, and the monotonic milliseconds of that moment."""

    def running(self) -> datetime:
        """The system's clock, or what an admin told and the time since, whichever is later. UTC."""
        system = self._system()
        if self._told is None:
            return system
        told, at_ms = self._told
        return max(system, told + timedelta(milliseconds=monotonic_ms() - at_ms))

    def now(self) -> datetime:
        """UTC, at whole seconds as entries record it."""
        self._latest = max(self._latest, self.running().replace(microsecond=0))
        return self._latest

    def behind(self) -> timedelta:
        """How far the clock is behind the latest time known; zero where all is well."""
        return max(timedelta(0), self._latest - self.running())

    @property
    def lost(self) -> bool:
        """Whether what time it is cannot be told: faces are off, cards open at any hour."""
        return self.behind() > TOLERATED

    @property
    def told(self) -> bool:
        """Whether it runs on an admin's word, for the system's clock says an earlier time."""
        return self._told is not None and self.running() - self._system() > TOLERATED

    def tell(self, when: datetime) -> None:
        """Run on from this moment, which the caller has found to be no earlier than `now`."""
        self._told = (when, monotonic_ms())

    def untell(self) -> None:
        """Take that back."""
        self._told = None

    def moment(self) -> Moment:
        """What a ledger entry made now says of its time."""
        return Moment(self._boot, monotonic_ms(), self.now().strftime("%Y-%m-%d"))

    def local_minute(self) -> tuple[int, int]:
        """Weekday (0 Monday) and minute of the day, local time, for schedules."""
        local = self.now().astimezone()
        minute = local.hour * 60 + local.minute
        return local.weekday(), min(minute, DAY_MINUTES - 1)

    def _system(self) -> datetime:
        return datetime.now(UTC)


def _boot_id() -> str:
    """The kernel's random id of this boot; entries' monotonic times compare within one boot only."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip().replace("-", "")
