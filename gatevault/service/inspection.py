"""`gatevault vault check`: every record opened, both stores compared, free pages looked through.

What is wrong is told as a list of problems, each a sentence with the store, and the record and resident where
it is about one. One bad record hinders no other. Nothing is mended here, but that WALs are brought into
their files, and no vector outlives its own look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from gatevault.core.consent import ConsentState, KeyMode, Receipt
from gatevault.core.errors import GateVaultError, RecordRefusedError, StoreError, VaultLockedError
from gatevault.service.stores import Stores
from gatevault.vault.record import Mode
from gatevault.vault.registry import Registry, TodoKind
from gatevault.vault.remains import Remain, Where
from gatevault.vault.templates import Row
from gatevault.vault.vault import Vault

MOST_PROBLEMS: Final = 1_000
"""Problems told: all of them would not fit a frame of the control socket where every record is bad."""

_FREE: Final = (Where.FREE_PAGE, Where.FREE_LIST, Where.NO_TREE)
_VAULT: Final = "vault.db"
_REGISTRY: Final = "registry.db"
_LEDGER: Final = "ledger.db"
_ENDED: Final = (ConsentState.WITHDRAWN, ConsentState.EXPIRED)


def vault_check(stores: Stores) -> dict[str, Any]:
    """What is wrong with the stores; on the storage thread. Raises nothing of the StoreError family: it tells it.

    Answers `ok`, `records`, `opened`, `holder_key` (those that open with a card alone: their outer box was
    opened) and `problems`: `store`, `record` (hexadecimal or None), `resident` (pseudonym or None), `problem`.
    """
    check = _Check(stores)
    for part, look in ((_REGISTRY, check.registry), (_VAULT, check.vault), (_LEDGER, check.ledger)):
        try:
            look()
        except GateVaultError as error:
            check.tell(part, str(error))
    return check.answer()


@dataclass
class _Check:
    stores: Stores
    problems: list[dict[str, str | None]] = field(default_factory=list)
    records: int = 0
    opened: int = 0
    holders: int = 0
    known: bool = True
    """Whether the registry could be read: a record whose resident is not found is an orphan only then."""
    residents: dict[bytes, str] = field(default_factory=dict)
    latest: dict[str, Receipt] = field(default_factory=dict)
    """Residents' latest receipts, verified once: most records open under them."""
    owed: dict[str, TodoKind] = field(default_factory=dict)

    def tell(self, store: str, problem: str, record: bytes | None = None, resident: str | None = None) -> None:
        name = None if record is None else record.hex()
        self.problems.append({"store": store, "record": name, "resident": resident, "problem": problem})

    def answer(self) -> dict[str, Any]:
        return {
            "ok": not self.problems,
            "records": self.records,
            "opened": self.opened,
            "holder_key": self.holders,
            "problems": self.problems[:MOST_PROBLEMS],
            "problems_left_out": max(0, len(self.problems) - MOST_PROBLEMS),
        }

    # --- the registry ------------------------------------------------------------------------

    def registry(self) -> None:
        self.known = False
        registry = self.stores.need_registry()
        self.residents = {self.stores.house.record_id(name): name for name in registry.residents()}
        self.known = True
        self._attempt(_REGISTRY, lambda: self._owed(registry))
        self._attempt(_REGISTRY, lambda: self._everybody(registry))
        self._remains(_REGISTRY, registry.remains, _FREE)

    def _everybody(self, registry: Registry) -> None:
        found = registry.check()
        self.latest = {resident: receipt for resident, (_, receipt) in found.items() if receipt is not None}

    def _owed(self, registry: Registry) -> None:
        for todo in registry.todos():
            self.owed[todo.resident] = todo.kind
            waits = " until the vault is unlocked" if not self.stores.unlocked else ""
            text = f"An operation ({todo.kind.value}) is owed and not ended yet: it is tried each minute{waits}."
            self.tell(_REGISTRY, text, resident=todo.resident or None)

    # --- the vault ---------------------------------------------------------------------------

    def vault(self) -> None:
        vault = self.stores.need_vault()
        self._attempt(_VAULT, self._log)
        if not self.stores.unlocked:
            why = self.stores.faults.get("vault") or VaultLockedError("The vault is locked.")
            self.tell(_VAULT, f"locked: records were not opened. {why}")
        if vault.unsettled:
            self.tell(_VAULT, "A rotation of the keys is owed: older copies of vault.db may still open.")
        if foreign := vault.foreign():
            self.tell(_VAULT, f"{foreign} rows are no records of ours: somebody else wrote them.")
        found = sorted(vault.records())
        self.records = len(found)
        for record in found:
            resident = self.residents.get(record)
            try:
                self._record(vault, record, resident)
            except RecordRefusedError as error:
                self.tell(_VAULT, f"It does not open: {error}", record, resident)
        self._remains(_VAULT, vault.remains, tuple(Where))

    def _log(self) -> None:
        log = self.stores.paths.vault.with_name("vault.db-wal")
        try:
            size = log.stat().st_size
        except FileNotFoundError:
            size = 0
        except OSError as error:
            raise StoreError(f"vault.db-wal cannot be looked at ({error.strerror}).") from None
        if size:
            self.tell(_VAULT, f"vault.db-wal held {size} bytes, of erased rows perhaps: it was emptied now.")

    def _record(self, vault: Vault, record: bytes, resident: str | None) -> None:
        row = vault.get(record)
        if row is None:
            self.tell(_VAULT, "Half a record: its key or its template is missing.", record, resident)
        elif resident is None and self.known:
            self.tell(_VAULT, "An orphan: it is no resident's.", record)
        if row is not None and self.stores.unlocked:
            self._open(vault, row, resident)

    def _open(self, vault: Vault, row: Row, resident: str | None) -> None:
        mode = vault.mode(row)
        self.holders += mode is Mode.HOLDER
        if resident is None:
            return
        latest = self.latest.get(resident)
        well = latest is not None and latest.mode is KeyMode.DEVICE and latest.events[-1].state not in _ENDED
        if latest is not None and well and mode is Mode.DEVICE and _opens(vault, row, latest):
            self.opened += 1
        else:
            self._compare(vault, row, resident, mode)

    def _compare(self, vault: Vault, row: Row, resident: str, mode: Mode) -> None:
        """A record and all consents of its resident: one of those that live must carry it."""
        chain, others = _chain([receipt for receipt, _ in self.stores.need_registry().receipts(resident)])
        if resident not in self.owed and (not chain or chain[0].events[-1].state in _ENDED):
            self.tell(_VAULT, "A template without a consent that could carry it.", row.record, resident)
        if mode is Mode.HOLDER:
            if not any(receipt.mode is KeyMode.HOLDER for receipt in chain):
                self.tell(_VAULT, "It opens with a card, its consent is for another kind.", row.record, resident)
            return
        receipt = next((receipt for receipt in (*chain, *others) if _opens(vault, row, receipt)), None)
        if receipt is None:
            raise RecordRefusedError("altered, swapped, or sealed under no consent of its resident.")
        self.opened += 1
        if receipt in others and resident not in self.owed:
            self.tell(_VAULT, "It is sealed under a consent that has ended.", row.record, resident)
        if receipt.mode is not KeyMode.DEVICE:
            self.tell(_VAULT, "The consent asks for a card's key, and it opens without.", row.record, resident)

    # --- the ledger --------------------------------------------------------------------------

    def ledger(self) -> None:
        ledger = self.stores.need_ledger()
        self._remains(_LEDGER, ledger.remains, _FREE)
        if self.known and not self.owed and self.stores.vault is not None:
            self._attempt(_LEDGER, lambda: self._entered(ledger.templates()))

    def _entered(self, told: int) -> None:
        """A record that is gone whole is missed by nobody else."""
        if told != self.records:
            text = (
                f"The ledger tells of {told} templates, and there are {self.records}: some were taken or put there."
            )
            self.tell(_VAULT, text)

    # --- steps -------------------------------------------------------------------------------

    def _attempt(self, store: str, work: Callable[[], object]) -> None:
        """Do one part of the check; what it raises is a problem, and the rest goes on."""
        try:
            work()
        except GateVaultError as error:
            self.tell(store, str(error))

    def _remains(self, store: str, look: Callable[[], list[Remain]], where: Iterable[Where]) -> None:
        """Tell what is left of deleted rows in the places `where`; in a file not rebuilt at once, not in all."""

        def work() -> None:
            found = [remain for remain in look() if remain.where in where]
            if found:
                total = sum(remain.count for remain in found)
                self.tell(store, f"{total} bytes of deleted rows remain in {len(found)} places, first {found[0]}.")

        self._attempt(store, work)


def _chain(receipts: list[Receipt]) -> tuple[list[Receipt], list[Receipt]]:
    """The latest receipt and those that it renewed, newest first; and the others."""
    by_id = {receipt.receipt_id: receipt for receipt in receipts}
    chain, receipt = [], receipts[-1] if receipts else None
    while receipt is not None:
        chain.append(by_id.pop(receipt.receipt_id))
        receipt = by_id.get(receipt.supersedes or "")
    return chain, list(by_id.values())


def _opens(vault: Vault, row: Row, receipt: Receipt) -> bool:
    try:
        captures = vault.open(row, receipt.binding())
    except RecordRefusedError:
        return False
    captures.fill(0.0)
    return True
