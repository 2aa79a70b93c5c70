"""Entering what happens into the ledger, and knowing what could not be entered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from gatevault.core.audit import stepped
from gatevault.core.consent import stamp
from gatevault.core.entries import EntryType
from gatevault.core.errors import StoreError
from gatevault.service.clock import TrustedClock
from gatevault.service.storage import StorageThread
from gatevault.service.stores import Stores
from gatevault.vault.ledger import Ledger

CARD_WAIT_S: Final = 0.3
"""How long a card waits for the ledger before the gate opens all the same."""


def tell_step(ledger: Ledger, clock: TrustedClock) -> None:
    """Enter that the wall clock was set since the last entry of this boot, if so: an audit asks for it."""
    last, when, now = ledger.last(), clock.moment(), clock.now()
    if last is None or last[0].boot != when.boot:
        return
    if seconds := stepped(last[0].mono_ms, last[1], when.mono_ms, now):
        ledger.append(when, EntryType.CLOCK_STEPPED, {"time": stamp(now), "seconds": seconds})


class Journal:
    """Appends entries. `missed` counts what a full or failing disk kept out; it is entered later."""

    def __init__(self, stores: Stores, storage: StorageThread, clock: TrustedClock) -> None:
        self._stores = stores
        self._storage = storage
        self._clock = clock
        self._late: set[asyncio.Task[None]] = set()
        self.missed = 0
        self.fault: StoreError | None = None

    def write(
        self,
        kind: EntryType,
        payload: dict[str, Any],
        op: str | None = None,
        *,
        resident: str = "",
        erase: Iterable[int] = (),
    ) -> int:
        """Append now; on the storage thread only. For `op` and `erase` see `Ledger.append`. StoreError family."""
        now = self._clock.now()
        content: dict[str, Any] = {"time": stamp(now), **payload}
        person = self._stores.people.get(resident)
        if person is not None:
            content["subject"] = person.subject(now)
        try:
            tell_step(self._stores.need_ledger(), self._clock)
            index = self._stores.need_ledger().append(self._clock.moment(), kind, content, op, erase)
            self._catch_up()
        except StoreError as error:
            self.fault = error
            raise
        self.fault = None
        return index

    def _catch_up(self) -> None:
        if self.missed:
            content = {"time": stamp(self._clock.now()), "part": "ledger", "missed": self.missed}
            self._stores.need_ledger().append(self._clock.moment(), EntryType.FAULT, content)
            self.missed = 0

    async def enter(self, kind: EntryType, payload: dict[str, Any], *, resident: str = "") -> None:
        """Append, or raise: for what must not happen unrecorded."""
        await self._storage.run(self.write, kind, payload, resident=resident)

    async def enter_soon(self, kind: EntryType, payload: dict[str, Any], *, resident: str = "") -> bool:
        """Append if it can be done quickly: for what must happen all the same. Tells whether it was."""
        task = asyncio.create_task(self._or_miss(kind, payload, resident))
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        done, _ = await asyncio.wait({task}, timeout=CARD_WAIT_S)
        return bool(done) and self.fault is None

    async def _or_miss(self, kind: EntryType, payload: dict[str, Any], resident: str) -> None:
        try:
            await self.enter(kind, payload, resident=resident)
        except StoreError:
            self.missed += 1

    async def count_unmatched(self) -> None:
        """One more face that nobody matched."""
        day = self._clock.now().strftime("%Y-%m-%d")
        try:
            await self._storage.run(lambda: self._stores.need_ledger().count_unmatched(day))
        except StoreError as error:
            self.fault = error
