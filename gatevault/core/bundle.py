"""An exported ledger: one JSON object that anybody can check with the pinned key alone.

    {"format": "gatevault-ledger/1", "key": verifier key, "checkpoint": signed note,
     "entries": [{"header": {…}, "salt": hexadecimal, "payload": {…}} | {"header": {…}}, …]}

An entry without salt and payload is one whose payload was erased. The key in it says whose it claims to be;
a verifier goes by the key that was pinned.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from gatevault.core.entries import SALT_BYTES, Entry, EntryHeader, Opening, Spoilt
from gatevault.core.errors import CheckpointError

FORMAT: Final = "gatevault-ledger/1"


class Sheet(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One entry as it is exported."""

    header: EntryHeader
    salt: str | None = None
    payload: dict[str, Any] | None = None

    def entry(self) -> Entry | Spoilt:
        """The entry, as `Auditor.take` wants it."""
        if self.salt is None and self.payload is None:
            return Entry(self.header, None)
        if self.salt is None or self.payload is None:
            return Spoilt(self.header.i, "it has a salt or a payload, not both")
        try:
            salt = bytes.fromhex(self.salt)
        except ValueError:
            salt = b""
        if len(salt) != SALT_BYTES or salt.hex() != self.salt:
            return Spoilt(self.header.i, "its salt is not 16 bytes")
        return Entry(self.header, Opening(salt, self.payload))


class Bundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole exported ledger."""

    format: Literal["gatevault-ledger/1"]
    key: str
    checkpoint: str
    entries: tuple[Sheet, ...]


def sheet_of(entry: Entry) -> dict[str, Any]:
    """An entry as it travels and is exported."""
    sheet: dict[str, Any] = {"header": msgspec.to_builtins(entry.header)}
    if entry.opening is not None:
        sheet |= {"salt": entry.opening.salt.hex(), "payload": entry.opening.payload}
    return sheet


def read_bundle(raw: bytes) -> Bundle:
    """A bundle from its file. CheckpointError where it is none, or one of another version."""
    try:
        return _BUNDLES.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        why = "".join(letter if letter.isprintable() else "?" for letter in str(error)[:200])  # may quote the file
        raise CheckpointError(
            f"That is no exported ledger ({why}): make one with `gatevault ledger export`."
        ) from None


_BUNDLES: Final = msgspec.json.Decoder(Bundle)
