"""An exported ledger: one JSON object that anybody can check with the pinned key alone.

    {"format": "gatevault-ledger/1", "key": verifier key, "checkpoint": signed note,
     "entries": [{"header": {…}, "salt": hexadecimal, "payload": {…}} | {"header": {…}}, …]}

An entry without salt and payload is one whose payload was erased. The key in it says whose it claims to be;
a verifier goes by the key that was pinned.

One entry alone, for somebody whom the others do not concern, with the path that leads from it to a checkpoint
(RFC 9162, section 2.1.3):

    {"format": "gatevault-entry/1", "key": verifier key, "checkpoint": signed note, "entry": as above,
     "path": [hexadecimal, …]}
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from gatevault.core.checkpoint import Checkpoint
from gatevault.core.entries import SALT_BYTES, Entry, EntryHeader, Opening, Spoilt, is_sound
from gatevault.core.errors import CheckpointError, NotFoundError
from gatevault.core.merkle import includes, inclusion_proof, root

FORMAT: Final = "gatevault-ledger/1"
ENTRY_FORMAT: Final = "gatevault-entry/1"


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


class SingleEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry, and the path from it to a checkpoint."""

    format: Literal["gatevault-entry/1"]
    key: str
    checkpoint: str
    entry: Sheet
    path: tuple[Annotated[str, Meta(pattern="^[0-9a-f]{64}$")], ...]

    def problem(self, checkpoint: Checkpoint) -> str | None:
        """Why it is not that entry of the tree of this checkpoint; None where it is. Its signature stands apart."""
        entry, path = self.entry.entry(), [bytes.fromhex(hash_) for hash_ in self.path]
        if isinstance(entry, Spoilt):
            return entry.why
        if not is_sound(entry):
            return "its payload is not the one that was entered"
        if not includes(entry.header.leaf(), entry.header.i, checkpoint.size, path, checkpoint.root):
            return "its path does not lead to the checkpoint"
        return None


def single_entry(bundle: dict[str, Any], index: int, note: str, checkpoint: Checkpoint) -> dict[str, Any]:
    """One entry of a whole ledger, with its path to a checkpoint of this ledger, whose signed `note` it is.

    NotFoundError where the checkpoint has no such entry; CheckpointError where it is not of this ledger.
    """
    entries = bundle["entries"]
    leaves = [msgspec.convert(one["header"], EntryHeader).leaf() for one in entries[: checkpoint.size]]
    if len(leaves) != checkpoint.size or root(leaves) != checkpoint.root:
        raise CheckpointError("The checkpoint that was kept is not of this ledger, or the ledger was altered.")
    if not index < len(leaves):
        raise NotFoundError(f"There is no entry {index}: that checkpoint is of {checkpoint.size} entries.")
    path = [hash_.hex() for hash_ in inclusion_proof(leaves, index)]
    return {
        "format": ENTRY_FORMAT,
        "key": bundle["key"],
        "checkpoint": note,
        "entry": entries[index],
        "path": path,
    }


def sheet_of(entry: Entry) -> dict[str, Any]:
    """An entry as it travels and is exported."""
    sheet: dict[str, Any] = {"header": msgspec.to_builtins(entry.header)}
    if entry.opening is not None:
        sheet |= {"salt": entry.opening.salt.hex(), "payload": entry.opening.payload}
    return sheet


def read_bundle(raw: bytes) -> Bundle:
    """A whole ledger from its file. CheckpointError where it is none, or one of another version."""
    try:
        return _BUNDLES.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise _none(error) from None


def read_exported(raw: bytes) -> Bundle | SingleEntry:
    """A whole ledger or one entry from its file. CheckpointError as `read_bundle`."""
    try:
        if _HEADS.decode(raw).format == ENTRY_FORMAT:
            return _SINGLE.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise _none(error) from None
    return read_bundle(raw)


def _none(error: Exception) -> CheckpointError:
    why = "".join(letter if letter.isprintable() else "?" for letter in str(error)[:200])  # may quote the file
    return CheckpointError(f"That is no exported ledger ({why}): make one with `gatevault ledger export`.")


class _Head(msgspec.Struct, frozen=True):
    format: str


_HEADS: Final = msgspec.json.Decoder(_Head)
_BUNDLES: Final = msgspec.json.Decoder(Bundle)
_SINGLE: Final = msgspec.json.Decoder(SingleEntry)
