"""`registry.db`: residents, consent receipts, cards, certificates, and work not yet finished.

Every row's content is sealed under the registry key and bound to its place, so that a row that is
altered or moved is refused. Plain are only random pseudonyms, keyed card hashes and counts. Sealed content
is padded, so that its length does not tell how long a name is, and `tidy` writes the file anew, so that the
places of rows do not tell who came before whom.

`todo` makes one operation of changes in three files (registry, vault, ledger): the intention is
committed here first, carried out step by step, each step harmless if repeated, and removed last.
What a crash left is finished at the next start.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Final

import msgspec

from gatevault.core.consent import Receipt
from gatevault.core.entries import EntryType
from gatevault.core.errors import (
    ConflictError,
    NotFoundError,
    RecordRefusedError,
    StoreCorruptError,
    WrongKeyError,
)
from gatevault.vault.db import Database
from gatevault.vault.keys import HouseKeys
from gatevault.vault.remains import Remain
from gatevault.vault.sealing import associated, seal, unseal
from gatevault.vault.signed import Kind, is_by, key_text, signature_of

_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE residents (id TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE receipts (
    place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, resident TEXT NOT NULL, n INTEGER NOT NULL,
    sealed BLOB NOT NULL
);
CREATE INDEX receipts_resident ON receipts (resident, n);
CREATE TABLE cards (card BLOB PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE certificates (id TEXT PRIMARY KEY, resident TEXT NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE todo (op TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE site (kind TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;
"""
_SITE: Final = "CREATE TABLE IF NOT EXISTS site (kind TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID"
"""States of an earlier release lack it: made with the first record, so that they start on a full disk too."""
_BLOCK: Final = 512
"""Sealed JSON is padded to a multiple of it, in bytes: usual names and receipts in any state are of one length."""
INSTALLER: Final = "installer"
"""The row of the installer who was admitted last, beside the records of `core.site.SiteKind`."""
CARD_NAME: Final = 16
"""Digits of a card's keyed hash by which ledger entries name it."""


class TodoKind(StrEnum):
    NOTE = "note"
    """A change of this file that is owed to the ledger."""
    ENROL = "enrol"
    """A template is being stored: void unless the record is in the vault."""
    ERASE = "erase"
    """A template must go, whatever happens."""
    REMOVE = "remove"
    """A resident and all that is held on them must go."""
    ROTATE = "rotate"
    """The keys of the vault are rotated, and may move to another provider."""


class Resident(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who a pseudonym is. `subject_key` (hexadecimal) keys this person's ledger pseudonyms."""

    name: str
    born: str | None
    subject_key: str

    def __repr__(self) -> str:
        return "Resident(…)"


class Todo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One operation under way: the entry that it owes the ledger, and what carrying it out needs.

    `op` is random and names the operation in the ledger as well.
    """

    op: str
    kind: TodoKind
    resident: str
    entry: EntryType
    payload: dict[str, Any]
    detail: dict[str, str]


class Registry:
    """The registry of one device. One writer; every method may raise the StoreError family."""

    def __init__(self, path: Path, device: str, keys: HouseKeys) -> None:
        self._db = Database(path, _SCHEMA, "The registry (registry.db)")
        self._device = device.encode()
        self._keys = keys
        self._tidied = -1

    def close(self) -> None:
        self._db.close()

    # --- the key that it is under ------------------------------------------------------------

    def set_check(self) -> None:
        """Remember, sealed, which key this registry is under; once, when the state is made."""
        with self._db.transaction() as run:
            run.execute("INSERT INTO meta VALUES ('check', ?)", (self._seal({}, "meta", "check"),))

    def check(self) -> dict[str, tuple[Resident, Receipt | None]]:
        """Open every row; everybody with their latest receipt, whatever its state.

        WrongKeyError under another key; StoreCorruptError for a row that fails.
        """
        rows = self._db.rows("SELECT sealed FROM meta WHERE name = 'check'")
        if not rows:
            raise StoreCorruptError("registry.db was emptied or is not ours: restore it from a backup.")
        try:
            self._open(rows[0][0], "meta", "check")
        except RecordRefusedError:
            if self._opens_a_resident():
                raise StoreCorruptError("A row of the registry was altered: restore it from a backup.") from None
            raise WrongKeyError(
                "The house key is not the one that the registry is sealed under: put it back and restart."
            ) from None
        try:
            self.cards()
            self.todos()
            self.site()
            for name, resident, sealed in self._db.rows("SELECT id, resident, sealed FROM certificates"):
                self._open(sealed, "certificate", f"{resident}/{name}")
            return self._everybody()
        except RecordRefusedError as error:
            raise StoreCorruptError(f"A row of the registry is refused: {error}") from None

    def _everybody(self) -> dict[str, tuple[Resident, Receipt | None]]:
        """Each receipt is verified once here: at ten thousand residents that is what a start takes."""
        latest: dict[str, Receipt] = {}
        for name, resident, sealed in self._db.rows(
            "SELECT id, resident, sealed FROM receipts ORDER BY resident, n"
        ):
            latest[str(resident)], _ = self._receipt(str(name), sealed, str(resident))
        return {
            str(name): (self._resident(str(name), sealed), latest.get(str(name)))
            for name, sealed in self._db.rows("SELECT id, sealed FROM residents")
        }

    def _opens_a_resident(self) -> bool:
        """Whether any resident's row opens: then the key is right, and it is the file that was altered."""
        for resident in self.residents():
            with suppress(RecordRefusedError):
                self.resident(resident)
                return True
        return False

    def image(self) -> bytes:
        """The whole registry as the bytes of one SQLite file."""
        return self._db.image()

    def rebuild(self) -> None:
        """Write the file anew: rows in the order of their ids, and nothing of deleted ones between them."""
        self._db.rebuild()

    def remains(self) -> list[Remain]:
        """What deleted rows have left in the bytes of the file: between two `tidy`, pieces of pages."""
        return self._db.remains()

    def tidy(self) -> None:
        """`rebuild` where anything changed since the last time, or may have before this start."""
        if self._tidied != self._db.changes:
            self.rebuild()
            self._tidied = self._db.changes

    # --- residents ---------------------------------------------------------------------------

    def add_resident(self, resident: str, who: Resident, todo: Todo) -> None:
        with self._db.transaction() as run:
            self._insert_todo(run, todo)
            sealed = self._seal(msgspec.to_builtins(who), "resident", resident)
            run.execute("INSERT INTO residents VALUES (?, ?)", (resident, sealed))

    def resident(self, resident: str) -> Resident:
        """NotFoundError for a pseudonym that is not (or no longer) here."""
        rows = self._db.rows("SELECT sealed FROM residents WHERE id = ?", resident)
        if not rows:
            raise NotFoundError(f"There is no resident {resident}: see the pseudonym that `resident add` gave.")
        return self._resident(resident, rows[0][0])

    def _resident(self, resident: str, sealed: object) -> Resident:
        return msgspec.convert(self._open(sealed, "resident", resident), Resident)

    def residents(self) -> list[str]:
        """All pseudonyms, for the device's own use: no command lists them."""
        return [str(row[0]) for row in self._db.rows("SELECT id FROM residents")]

    def remove_resident(self, resident: str) -> None:
        """Take name, receipts, certificates and cards of one resident."""
        cards = [card for card, owner in self.cards().items() if owner == resident]
        with self._db.transaction() as run:
            run.executemany("DELETE FROM cards WHERE card = ?", [(card,) for card in cards])
            for table in ("receipts", "certificates"):
                run.execute(f"DELETE FROM {table} WHERE resident = ?", (resident,))  # noqa: S608
            run.execute("DELETE FROM residents WHERE id = ?", (resident,))
        self._db.checkpoint()

    # --- cards -------------------------------------------------------------------------------

    def add_card(self, number: str, resident: str, todo: Todo) -> None:
        """Bind a canonical card number. ConflictError where it is somebody's already."""
        card = self._keys.card_hash(number)
        self.resident(resident)
        if self._db.rows("SELECT 1 FROM cards WHERE card = ?", card):
            raise ConflictError("This card is registered already: remove it first, then add it again.")
        with self._db.transaction() as run:
            self._insert_todo(run, todo)
            run.execute("INSERT INTO cards VALUES (?, ?)", (card, self._seal(resident, "card", card.hex())))

    def card_owner(self, number: str) -> str:
        """Whose a canonical card number is. NotFoundError."""
        card = self._keys.card_hash(number)
        rows = self._db.rows("SELECT sealed FROM cards WHERE card = ?", card)
        if not rows:
            raise NotFoundError("No resident has this card: nothing was changed.")
        return str(self._open(rows[0][0], "card", card.hex()))

    def remove_card(self, number: str, todo: Todo) -> None:
        """Unbind a canonical card number."""
        with self._db.transaction() as run:
            self._insert_todo(run, todo)
            run.execute("DELETE FROM cards WHERE card = ?", (self._keys.card_hash(number),))
        self._db.checkpoint()

    def remove_cards(self, prefixes: Iterable[str]) -> None:
        """Unbind the cards whose keyed hashes begin so (hexadecimal, as ledger entries name them)."""
        gone = [(card,) for card in self.cards() if card.hex()[:CARD_NAME] in set(prefixes)]
        with self._db.transaction() as run:
            run.executemany("DELETE FROM cards WHERE card = ?", gone)
        self._db.checkpoint()

    def cards(self) -> dict[bytes, str]:
        """Keyed card hash to pseudonym, all of them. RecordRefusedError for an altered row."""
        found: dict[bytes, str] = {}
        for card, sealed in self._db.rows("SELECT card, sealed FROM cards"):
            if not isinstance(card, bytes):
                raise RecordRefusedError("a card's row is not of the kind that was written.")
            found[card] = str(self._open(sealed, "card", card.hex()))
        return found

    # --- receipts ----------------------------------------------------------------------------

    def put_receipts(self, receipts: Iterable[Receipt], *todos: Todo) -> None:
        """Sign and keep receipts (or their newer states); with them, in one step, what must follow."""
        with self._db.transaction() as run:
            for todo in todos:
                self._insert_todo(run, todo)
            for receipt in receipts:
                self._put_receipt(run, receipt)

    def _put_receipt(self, run: Connection, receipt: Receipt) -> None:
        body = receipt.body()
        signature = signature_of(Kind.RECEIPT, body, self._keys.receipts)
        sealed = self._seal({"receipt": body, "signature": signature.hex()}, "receipt", receipt.receipt_id)
        changed = run.execute("UPDATE receipts SET sealed = ? WHERE id = ?", (sealed, receipt.receipt_id))
        if not changed.rowcount:
            # A random place: rising numbers would tell, in the file, who consented before whom.
            run.execute(
                "INSERT INTO receipts SELECT ?1, ?2, ?3, 1 + count(*), ?4 FROM receipts WHERE resident = ?3",
                (secrets.randbits(62), receipt.receipt_id, receipt.pii_principal_id, sealed),
            )

    def receipts(self, resident: str) -> list[tuple[Receipt, str]]:
        """A resident's receipts, oldest first, each with its signature in hexadecimal."""
        rows = self._db.rows("SELECT id, sealed FROM receipts WHERE resident = ? ORDER BY n", resident)
        return [self._receipt(str(name), sealed, resident) for name, sealed in rows]

    def receipt(self, resident: str) -> Receipt | None:
        """The latest receipt of a resident, whatever its state."""
        found = self.receipts(resident)
        return found[-1][0] if found else None

    def _receipt(self, name: str, sealed: object, resident: str) -> tuple[Receipt, str]:
        try:
            content = self._open(sealed, "receipt", name)
            receipt = msgspec.convert(content["receipt"], Receipt)
            signature = bytes.fromhex(content["signature"])
            well = is_by(Kind.RECEIPT, receipt.body(), signature, self._keys.receipts.verify_key)
        except (msgspec.ValidationError, KeyError, TypeError, ValueError):
            well = False
        if not well:
            raise RecordRefusedError("a receipt's signature does not hold.")
        if receipt.pii_principal_id != resident:
            raise RecordRefusedError("a receipt was moved to another resident.")
        return receipt, signature.hex()

    # --- deletion certificates ---------------------------------------------------------------

    def put_certificate(self, name: str, resident: str, signed: dict[str, Any]) -> None:
        """Keep a signed certificate; the same one again changes nothing."""
        with self._db.transaction() as run:
            run.execute(
                "INSERT OR IGNORE INTO certificates VALUES (?, ?, ?)",
                (name, resident, self._seal(signed, "certificate", f"{resident}/{name}")),
            )

    def certificates(self, resident: str) -> list[dict[str, Any]]:
        rows = self._db.rows("SELECT id, sealed FROM certificates WHERE resident = ? ORDER BY id", resident)
        return [self._open(sealed, "certificate", f"{resident}/{name}") for name, sealed in rows]

    @property
    def receipts_key(self) -> str:
        """The public key that receipts and certificates are checked with, as people keep it."""
        return key_text(self._keys.receipts)

    def sign_certificate(self, body: dict[str, Any]) -> dict[str, Any]:
        """A certificate with its Ed25519 signature, under the receipts' key."""
        signature = signature_of(Kind.CERTIFICATE, body, self._keys.receipts)
        return {"certificate": body, "signature": signature.hex()}

    # --- what is recorded of the place, and its installer ------------------------------------

    def put_site(self, kind: str, content: Any, todo: Todo) -> None:
        """Keep one record, in place of an earlier one of its kind."""
        with self._db.transaction() as run:
            run.execute(_SITE)
            self._insert_todo(run, todo)
            run.execute("INSERT OR REPLACE INTO site VALUES (?, ?)", (kind, self._seal(content, "site", kind)))

    def set_installer(self, content: Any) -> None:
        """The installer who is admitted when the state is made."""
        with self._db.transaction() as run:
            run.execute("INSERT INTO site VALUES (?, ?)", (INSTALLER, self._seal(content, "site", INSTALLER)))

    def drop_site(self, kind: str, todo: Todo) -> None:
        """Forget one record."""
        with self._db.transaction() as run:
            run.execute(_SITE)
            self._insert_todo(run, todo)
            run.execute("DELETE FROM site WHERE kind = ?", (kind,))
        self._db.checkpoint()

    def clear_site(self) -> None:
        """Forget all of them: a restored state stands in another place, or at another time."""
        with self._db.transaction() as run:
            run.execute(_SITE)
            run.execute("DELETE FROM site")
        self._db.checkpoint()

    def site(self) -> dict[str, Any]:
        """Every record. RecordRefusedError for an altered row."""
        if not self._db.rows("SELECT 1 FROM sqlite_schema WHERE name = 'site'"):
            return {}
        rows = self._db.rows("SELECT kind, sealed FROM site")
        return {str(kind): self._open(sealed, "site", str(kind)) for kind, sealed in rows}

    # --- operations under way ----------------------------------------------------------------

    def put_todo(self, todo: Todo) -> None:
        with self._db.transaction() as run:
            self._insert_todo(run, todo)

    def drop_todo(self, op: str) -> None:
        with self._db.transaction() as run:
            run.execute("DELETE FROM todo WHERE op = ?", (op,))

    def todos(self) -> list[Todo]:
        rows = self._db.rows("SELECT op, sealed FROM todo")
        return [msgspec.convert(self._open(sealed, "todo", str(op)), Todo) for op, sealed in rows]

    def _insert_todo(self, run: Connection, todo: Todo) -> None:
        sealed = self._seal(msgspec.to_builtins(todo), "todo", todo.op)
        run.execute("INSERT INTO todo VALUES (?, ?)", (todo.op, sealed))

    # --- sealing -----------------------------------------------------------------------------

    def _seal(self, content: object, table: str, row: str) -> bytes:
        plain = json.dumps(content, ensure_ascii=False).encode()
        padded = plain + b" " * (-len(plain) % _BLOCK) if table != "card" else plain  # all pseudonyms are alike
        return seal(self._keys.registry, padded, associated("registry", self._device, table.encode(), row.encode()))

    def _open(self, sealed: object, table: str, row: str) -> Any:
        if not isinstance(sealed, bytes):
            raise RecordRefusedError("a row is not of the kind that was written.")
        data = associated("registry", self._device, table.encode(), row.encode())
        return json.loads(unseal(self._keys.registry, sealed, data))


def card_snapshot(keys: HouseKeys, device: str, cards: Iterable[tuple[bytes, str]]) -> bytes:
    """The cards, sealed into one small file that opens the gate if the registry is ever damaged."""
    plain = json.dumps(sorted((card.hex(), owner) for card, owner in cards)).encode()
    return seal(keys.registry, plain, associated("cards", device.encode()))


def open_card_snapshot(keys: HouseKeys, device: str, box: bytes) -> dict[bytes, str]:
    """The reverse of `card_snapshot`. RecordRefusedError for an altered one."""
    plain = unseal(keys.registry, box, associated("cards", device.encode()))
    return {bytes.fromhex(card): str(owner) for card, owner in json.loads(plain)}
