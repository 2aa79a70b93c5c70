"""`ledger.db`: what happened, append-only and hash-linked (the arithmetic is in `core.chain`).

Payloads are sealed under the journal key and committed to in their headers; the head is signed
anew with each entry, in the same transaction, so a half-written append does not exist. What this
shows: an entry altered, removed, reordered or forged without the ledger key is found by `verify`.
What it does not: a rollback of the whole file to an earlier head, unless somebody kept a later one.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from nacl.exceptions import BadSignatureError
from nacl.utils import random as random_bytes

from gatevault.core.chain import (
    SALT_BYTES,
    EntryHeader,
    EntryType,
    commitment,
    genesis,
    head_statement,
    link,
)
from gatevault.core.consent import moment
from gatevault.core.errors import LedgerBrokenError, RecordRefusedError, StoreError
from gatevault.core.jcs import canonical
from gatevault.vault.db import Database
from gatevault.vault.keys import HouseKeys
from gatevault.vault.sealing import associated, seal, unseal

_SCHEMA: Final = """
CREATE TABLE entries (i INTEGER PRIMARY KEY, header BLOB NOT NULL, payload BLOB, op TEXT UNIQUE);
CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, head BLOB NOT NULL, signature BLOB NOT NULL
);
CREATE TABLE unmatched (day TEXT PRIMARY KEY, faces INTEGER NOT NULL) WITHOUT ROWID;
"""
_HEADERS: Final = msgspec.json.Decoder(EntryHeader)
PAGE: Final = 200
"""Entries a page of an export: about 100 KB, well within a frame of the control socket."""


class Ledger:
    """The ledger of one device. Every method may raise the StoreError family."""

    def __init__(self, path: Path, device: str, keys: HouseKeys) -> None:
        self._db = Database(path, _SCHEMA, "The ledger (ledger.db)")
        self._device = device
        self._keys = keys
        try:
            self._size, self._head = self._read_head()
        except StoreError:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    @property
    def size(self) -> int:
        return self._size

    @property
    def head(self) -> str:
        """The head's hash in hexadecimal: what an auditor writes down."""
        return self._head.hex()

    def append(self, header: Moment, kind: EntryType, payload: dict[str, Any], op: str | None = None) -> int:
        """Add one entry and return its index. With `op`, the same operation is entered only once."""
        if op is not None:
            rows = self._db.rows("SELECT i FROM entries WHERE op = ?", op)
            if rows:
                return int(str(rows[0][0]))
        salt = random_bytes(SALT_BYTES)
        entry = EntryHeader(self._size, header.boot, header.mono_ms, header.day, kind, commitment(salt, payload))
        head = link(self._head, entry)
        signature = self._keys.ledger.sign(head_statement(self._device, self._size + 1, head)).signature
        sealed = seal(self._keys.journal, salt + canonical(payload), self._bond(entry))
        with self._db.transaction() as run:
            run.execute(
                "INSERT INTO entries VALUES (?, ?, ?, ?)",
                (entry.i, canonical(msgspec.to_builtins(entry)), sealed, op),
            )
            run.execute("INSERT OR REPLACE INTO head VALUES (1, ?, ?, ?)", (entry.i + 1, head, signature))
        self._size, self._head = entry.i + 1, head
        return entry.i

    def count_unmatched(self, day: str) -> None:
        """One more face that nobody matched: a number a day, and nothing else of them."""
        with self._db.transaction() as run:
            run.execute(
                "INSERT INTO unmatched VALUES (?, 1) ON CONFLICT (day) DO UPDATE SET faces = faces + 1",
                (day,),
            )

    def unmatched(self) -> dict[str, int]:
        """Faces that nobody matched, a number a day: counted, not part of the chain."""
        return {str(day): int(str(n)) for day, n in self._db.rows("SELECT day, faces FROM unmatched")}

    def entries(self, start: int, count: int = PAGE) -> list[tuple[EntryHeader, dict[str, Any] | None]]:
        """Headers and payloads from index `start`; None for an erased payload. LedgerBrokenError."""
        rows = self._db.rows("SELECT i, header, payload FROM entries WHERE i >= ? ORDER BY i LIMIT ?", start, count)
        return [self._entry(i, header, payload) for i, header, payload in rows]

    def latest(self) -> datetime | None:
        """The wall-clock time of the last entry that still has its payload."""
        rows = self._db.rows(
            "SELECT i, header, payload FROM entries WHERE payload IS NOT NULL ORDER BY i DESC LIMIT 1"
        )
        for i, header, payload in rows:
            _, content = self._entry(i, header, payload)
            return moment(content["time"]) if content else None
        return None

    def verify(self) -> int:
        """Check every link, commitment and the signed head; the number of entries. LedgerBrokenError.

        1 the head's signature; 2 indexes contiguous from 0; 3 each payload opens and equals its
        commitment; 4 the links lead to the head; 5 monotonic time never runs back within a boot.
        """
        size, head = self._read_head()
        found, reached = 0, genesis(self._device)
        last: tuple[str, int] | None = None
        while page := self.entries(found):
            for header, _ in page:
                if header.i != found:
                    raise LedgerBrokenError(
                        f"Ledger entry {found} is missing: keep this state, and call an auditor."
                    )
                if last is not None and last[0] == header.boot and header.mono_ms < last[1]:
                    raise LedgerBrokenError(
                        f"Ledger entry {found} is older than the one before it: call an auditor."
                    )
                last = (header.boot, header.mono_ms)
                reached = link(reached, header)
                found += 1
        (count,) = self._db.rows("SELECT count(*) FROM entries")[0]  # rows below 0 as well
        if not found == count == size or reached != head:
            raise LedgerBrokenError(
                f"The ledger's {found} entries do not lead to its signed head of {size}: call an auditor."
            )
        return size

    def _entry(self, i: object, raw: object, payload: object) -> tuple[EntryHeader, dict[str, Any] | None]:
        try:
            header = _HEADERS.decode(raw)  # type: ignore[arg-type]
            if header.i != i or canonical(msgspec.to_builtins(header)) != raw:
                raise RecordRefusedError("it was moved")
            if payload is None:
                return header, None
            plain = bytes(unseal(self._keys.journal, payload, self._bond(header)))  # type: ignore[arg-type]
            content: dict[str, Any] = json.loads(plain[SALT_BYTES:])
            if commitment(plain[:SALT_BYTES], content) != header.c:
                raise RecordRefusedError("its payload is another's")
        except (msgspec.MsgspecError, RecordRefusedError, TypeError, ValueError):
            raise LedgerBrokenError(
                f"Ledger entry {i} was altered: keep this state as it is, and call an auditor."
            ) from None
        return header, content

    def _read_head(self) -> tuple[int, bytes]:
        rows = self._db.rows("SELECT size, head, signature FROM head")
        if not rows:
            if self._db.rows("SELECT 1 FROM entries LIMIT 1"):
                raise LedgerBrokenError("The ledger has entries and no signed head: call an auditor.")
            return 0, genesis(self._device)
        size, head, signature = rows[0]
        if not (isinstance(size, int) and isinstance(head, bytes) and isinstance(signature, bytes)):
            raise LedgerBrokenError("The ledger's head is not of the kind that was written: call an auditor.")
        try:
            self._keys.ledger.verify_key.verify(head_statement(self._device, size, head), signature)
        except (BadSignatureError, ValueError):
            raise LedgerBrokenError("The ledger's head is not signed by this device: call an auditor.") from None
        return size, head

    def _bond(self, header: EntryHeader) -> bytes:
        return associated("ledger", self._device.encode(), header.leaf())


class Moment(msgspec.Struct, frozen=True):
    """When an entry is made: the boot's id, monotonic milliseconds, and the day."""

    boot: str
    mono_ms: int
    day: str
