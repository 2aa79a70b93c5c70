"""A resident's own card, waited for: what consents and holder keys rest on."""

from __future__ import annotations

import asyncio
from typing import Final

from gatevault.core.errors import BenchOnlyError, UsageError
from gatevault.core.types import CardRead, canonical_card
from gatevault.service.access import Access

TAP_WAIT_S: Final = 60.0
"""How long a terminal waits for the resident's card."""

TOO_SHORT: Final = (
    "This card gives a short number, which is no secret: it is told to any reader, and who has the device would "
    "try them all. A holder's key takes a card that gives at least 128 random bits (32 hexadecimal digits)"
)


class OwnTaps:
    """Runs on the event loop."""

    def __init__(self, access: Access, bench: bool) -> None:
        self._access = access
        self._bench = bench

    async def of(self, resident: str, tap: str | None) -> str | None:
        """The number of a card of this resident's, read now; None where none was in time.

        `tap` stands for the card on a bench. BenchOnlyError, ConflictError where it is waited for already.
        """
        if tap is None:
            return await self._access.own_tap(resident, TAP_WAIT_S)
        if not self._bench:
            raise BenchOnlyError("--tap belongs to a bench: here the resident taps the card at the reader.")
        read = CardRead(typed_card(tap), "bench")
        waiting = asyncio.create_task(self._access.own_tap(resident, TAP_WAIT_S))
        await asyncio.sleep(0)  # let the wait begin before the card is read
        await self._access.card(read, repeat_ms=0)
        await asyncio.sleep(0)
        if not waiting.done():
            waiting.cancel()
            return None
        return waiting.result()


def typed_card(number: str) -> str:
    """A card number as an admin types it, in its one form. UsageError."""
    try:
        return canonical_card(number)
    except ValueError as error:
        raise UsageError(f"That is no card number: {error}.") from None
