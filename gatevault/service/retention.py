"""Retention: what the ledger may keep no longer is erased once a day, and that it was is entered."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from gatevault.core.entries import EntryType, Keep
from gatevault.service.house import House

BATCH: Final = 1_000
"""Payloads erased in one transaction: some tens of milliseconds, for cards wait behind it."""


class Retention:
    """Runs on the event loop; the disk work goes to the storage thread."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._done = ""
        """The day of the last round."""

    async def keep(self) -> int:
        """Today's round, if it has not been; how many payloads were erased. StoreError: it comes again."""
        house = self._house
        today = house.clock.now().strftime("%Y-%m-%d")
        if house.stores.ledger is None or today == self._done:
            return 0
        kept = house.settings.retention
        total = 0
        for keep, days in ((Keep.GATE, kept.gate_days), (Keep.ADMIN, kept.admin_days)):
            while count := await house.storage.run(self._erase, keep, days):
                total += count
        await house.storage.run(house.stores.ledger.tidy)
        self._done = today
        return total

    def _erase(self, keep: Keep, days: int) -> int:
        """One batch. Nothing is entered where nothing was erased."""
        house = self._house
        ledger = house.stores.need_ledger()
        before = (house.clock.now() - timedelta(days=days)).strftime("%Y-%m-%d")
        indexes = ledger.past(keep, before, BATCH)
        if indexes:
            told = {"class": keep.value, "before": before, "count": len(indexes), "templates": ledger.templates()}
            house.journal.write(EntryType.PAYLOADS_ERASED, told, erase=indexes)
        return len(indexes)
