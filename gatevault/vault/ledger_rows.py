"""What lies in a row of `ledger.db`: payloads and counts as boxes, bound to their place.

entries.payload   box under the journal key of salt (16) ‖ JCS(payload) ‖ spaces to a multiple of 192 bytes,
                  so that its length does not tell a grant from a denial,
                  associated "ledger" ‖ device ‖ L_i, and ‖ op where there is one
unmatched.faces   box under the journal key of the count in decimal,
                  associated "unmatched" ‖ device ‖ day
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from gatevault.core.entries import SALT_BYTES, Entry, EntryHeader, Opening, Spoilt, committed
from gatevault.core.errors import LedgerBrokenError, RecordRefusedError
from gatevault.core.jcs import canonical
from gatevault.vault.keys import Secret
from gatevault.vault.sealing import associated, seal, unseal

_HEADERS: Final = msgspec.json.Decoder(EntryHeader)
_BLOCK: Final = 192
_ALTERED: Final = "it was altered: it does not open, or is not what was written"


class RowBoxes:
    """Seals and opens the rows of one device's ledger."""

    def __init__(self, device: str, journal: Secret) -> None:
        self._device = device.encode()
        self._journal = journal

    def seal(self, entry: Entry, op: str | None) -> bytes | None:
        """The payload's box; None for an erased one."""
        if entry.opening is None:
            return None
        plain = entry.opening.salt + canonical(entry.opening.payload)
        return seal(self._journal, plain + b" " * (-len(plain) % _BLOCK), self._bond(entry.header, op))

    def open(self, i: object, header: object, payload: object, op: object) -> Entry | Spoilt:
        """A row's entry, if every column of it is what was written."""
        try:
            found = _HEADERS.decode(header)  # type: ignore[arg-type]
            if found.i != i or found.encoded() != header:
                raise RecordRefusedError("it was moved")
            if payload is None:
                return Entry(found, None) if op is None else Spoilt(found.i, _ALTERED)
            bond = self._bond(found, None if op is None else str(op))
            plain = bytes(unseal(self._journal, payload, bond)).rstrip(b" ")  # type: ignore[arg-type]
            if committed(plain) != found.c:
                raise RecordRefusedError("its payload is another's")
            content: dict[str, Any] = json.loads(plain[SALT_BYTES:])
        except (msgspec.MsgspecError, RecordRefusedError, TypeError, ValueError):
            return Spoilt(int(str(i)), _ALTERED)
        return Entry(found, Opening(plain[:SALT_BYTES], content))

    def seal_count(self, day: str, faces: int) -> bytes:
        """A day's number of unmatched faces."""
        return seal(self._journal, str(faces).encode(), self._day(day))

    def open_count(self, day: str, sealed: object) -> int:
        """The reverse. LedgerBrokenError."""
        try:
            return int(unseal(self._journal, sealed, self._day(day)))  # type: ignore[arg-type]
        except (RecordRefusedError, TypeError, ValueError):
            raise LedgerBrokenError("A day's count of unmatched faces was altered: call an auditor.") from None

    def _bond(self, header: EntryHeader, op: str | None) -> bytes:
        return associated("ledger", self._device, header.leaf(), *([] if op is None else [op.encode()]))

    def _day(self, day: str) -> bytes:
        return associated("unmatched", self._device, day.encode())


def readable(entry: Entry | Spoilt) -> Entry:
    """The entry, or LedgerBrokenError."""
    if isinstance(entry, Spoilt):
        raise LedgerBrokenError(
            f"Ledger entry {entry.i} was altered: keep this state as it is, and call an auditor."
        )
    return entry
