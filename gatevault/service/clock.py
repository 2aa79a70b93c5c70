"""Time as the daemon may believe it: never earlier than the latest time in the ledger."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gatevault.core.entries import Moment
from gatevault.core.schedule import DAY_MINUTES


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class TrustedClock:
    """Wall clock that does not run backwards, so that turning it back revives no consent."""

    def __init__(self, latest: datetime | None) -> None:
        self._latest = latest or datetime.fromtimestamp(0, UTC)
        self._boot = _boot_id()

    def now(self) -> datetime:
        """UTC, at whole seconds as entries record it."""
        self._latest = max(self._latest, datetime.now(UTC).replace(microsecond=0))
        return self._latest

    def behind(self) -> timedelta:
        """How far the wall clock is behind the latest time known; zero where all is well."""
        return max(timedelta(0), self._latest - datetime.now(UTC))

    def moment(self) -> Moment:
        """What a ledger entry made now says of its time."""
        return Moment(self._boot, monotonic_ms(), self.now().strftime("%Y-%m-%d"))

    def local_minute(self) -> tuple[int, int]:
        """Weekday (0 Monday) and minute of the day, local time, for schedules."""
        local = self.now().astimezone()
        minute = local.hour * 60 + local.minute
        return local.weekday(), min(minute, DAY_MINUTES - 1)


def _boot_id() -> str:
    """The kernel's random id of this boot; entries' monotonic times compare within one boot only."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip().replace("-", "")
