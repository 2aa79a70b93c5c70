"""`gatevault clock set`: an admin's word for what time it is, believed only forwards, and on record."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from gatevault.core.consent import moment, stamp
from gatevault.core.entries import EntryType
from gatevault.core.errors import ConflictError, StoreError, UsageError
from gatevault.service.clock import TrustedClock
from gatevault.service.journal import Journal

FAR: Final = timedelta(days=31)
"""A longer leap is asked for twice: templates whose consent ends within it are destroyed, and a typing error
in the year would destroy all of them."""


async def set_clock(clock: TrustedClock, journal: Journal, time: str, far: bool, uid: int) -> dict[str, Any]:
    """Believe `time` (RFC 3339, UTC) from now on, and enter who said so. Nothing earlier than the ledger's last
    entry is believed, so no consent that has ended lives again (R7).

    ConflictError, UsageError, StoreError: nothing was changed.
    """
    wanted = _read(time)
    known, before, behind = clock.now(), clock.running(), clock.behind()
    if wanted < known:
        raise ConflictError(
            f"The ledger knows a later time, {stamp(known)}: nothing was changed. No earlier one is believed, or "
            "ended consents would live again. Faces come on when the clock has reached it; cards open."
        )
    if wanted - known > FAR and not far:
        raise UsageError(
            f"{stamp(wanted)} is {(wanted - known).days} days after the last time known, and consents that end "
            "before it are ended for good: nothing was changed. If it is right, give --far."
        )
    clock.tell(wanted)
    told = {"from": stamp(before), "to": stamp(wanted), "behind_s": int(behind.total_seconds())}
    try:
        await journal.enter(EntryType.CLOCK_SET, {**told, "by": "admin", "uid": uid})
    except StoreError:
        clock.untell()
        raise
    return told


def _read(time: str) -> datetime:
    try:
        return moment(time)
    except ValueError:
        raise UsageError(f"{time!r} is no time like 2026-11-26T15:00:00Z: nothing was changed.") from None
