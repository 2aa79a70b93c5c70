"""What the administrative flows share: the opened state, its thread, clock, ledger and gallery.

Also the one place where an operation that spans several files is carried out, and carried to its end
after a crash: `finish` is harmless when repeated.
"""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from gatevault.core.consent import stamp
from gatevault.core.entries import EntryType
from gatevault.core.errors import StateError, StoreError, StoreFullError, VaultLockedError
from gatevault.core.settings import Settings
from gatevault.service.certificate import deletion_certificate
from gatevault.service.clock import TrustedClock
from gatevault.service.faces import Faces
from gatevault.service.journal import Journal
from gatevault.service.sealed_faces import fingerprint
from gatevault.service.state import key_provider
from gatevault.service.storage import StorageThread
from gatevault.service.stores import Stores
from gatevault.vault.registry import Todo, TodoKind

log = logging.getLogger("gatevault")

RESERVE_BYTES: Final = 512 * 1024
"""What administration leaves free. One operation writes some 40 pages of 4 KiB to three files, and must
not find room in the first and none in the third; withdrawals and the ledger may use the rest."""


@dataclass(frozen=True, slots=True)
class House:
    """The rooms behind every admin flow. Methods run on the storage thread."""

    stores: Stores
    storage: StorageThread
    clock: TrustedClock
    journal: Journal
    faces: Faces
    settings: Settings

    def todo(self, kind: TodoKind, resident: str, entry: EntryType, payload: dict[str, Any], **detail: str) -> Todo:
        """An operation to come. The ledger's pseudonym of the resident is fixed now, while it is known."""
        person = self.stores.people.get(resident)
        if person is not None:
            payload = {**payload, "subject": person.subject(self.clock.now())}
        return Todo(secrets.token_hex(16), kind, resident, entry, payload, detail)

    def erasing(self, kind: TodoKind, resident: str, entry: EntryType, payload: dict[str, Any]) -> Todo:
        """An operation to come that destroys this resident's template, and what its certificate will say."""
        with suppress(StoreError):
            self.finish_all()  # so that what is owed is entered in the order in which it happened
        person = self.stores.people.get(resident)
        receipt = person.receipt if person else None
        there = self.stores.vault is not None and self.faces.has_template(resident)
        return self.todo(
            kind,
            resident,
            entry,
            payload | {"template": there and self._counted(resident)},
            record=self.stores.house.record_id(resident).hex(),
            receipt=receipt.receipt_id if receipt else "",
            template="yes" if there else "no",
            time=stamp(self.clock.now()),
        )

    def _counted(self, resident: str) -> bool:
        """Whether the ledger counts a template of this resident's: not one whose end is owed already, nor one
        whose enrolment will never be entered, since it was not when its record goes."""
        owed = [todo for todo in self.stores.need_registry().todos() if todo.resident == resident]
        ends = any(todo.kind in (TodoKind.ERASE, TodoKind.REMOVE) for todo in owed)
        unentered = any(todo.kind is TodoKind.ENROL and not todo.payload["replaces"] for todo in owed)
        return not ends and not unentered

    def finish(self, todo: Todo) -> dict[str, Any] | None:
        """Carry out an operation that the registry has committed to; a certificate, if it erased.

        Steps: 1 the vault; 2 the registry; 3 the ledger, once only; 4 the operation is done. StoreError leaves
        it to the daemon's housekeeping, or to the next start. While the vault is locked, rows go at once, and
        the operation waits for the rotation, and with it a certificate, until it is unlocked.
        """
        if todo.kind is TodoKind.ENROL and not self._stored(todo):
            return self._drop(todo)
        certificate, owed = None, False
        if todo.kind is TodoKind.ROTATE:
            if not self._rotated(todo):
                return None
            owed = not self._left(todo)
        if todo.kind in (TodoKind.ERASE, TodoKind.REMOVE):
            owed = not self._erased(todo)
            certificate = self._certify(todo, owed)
        try:
            self.journal.write(todo.entry, todo.payload, todo.op)
        except StoreError:
            if certificate is None:
                raise
            return certificate  # erased all the same; the entry is owed, see `finish_all`
        return certificate if owed else self._drop(todo, certificate)

    def finish_all(self) -> int:
        """End what a crash, a full disk or a locked vault left half done; how many there were. StoreError."""
        if self.stores.registry is None or self.stores.vault is None or self.stores.ledger is None:
            return 0
        with suppress(VaultLockedError):
            self.stores.vault.settle()
        # Ends first: an enrolment that is still owed was before them, and its record is gone.
        pending = sorted(self.stores.registry.todos(), key=lambda todo: todo.kind is TodoKind.ENROL)
        for todo in pending:
            with suppress(VaultLockedError):  # a TPM that does not answer holds up its own operation alone
                self.finish(todo)
        return len(pending)

    def tidy(self) -> None:
        """Write the registry anew if it changed. A disk too full for it hinders nothing. StoreError."""
        if self.stores.registry is not None:
            with suppress(StoreFullError):
                self.stores.registry.tidy()

    def _drop(self, todo: Todo, certificate: dict[str, Any] | None = None) -> dict[str, Any] | None:
        self.stores.need_registry().drop_todo(todo.op)
        return certificate

    def _erased(self, todo: Todo) -> bool:
        """Erase a template, with REMOVE all else of a resident; whether the keys were rotated as well."""
        vault, rotated = self.stores.need_vault(), False
        with suppress(VaultLockedError):  # also a TPM that does not answer: the row is gone, the rotation is owed
            vault.erase(bytes.fromhex(todo.detail["record"]))
            rotated = vault.unlocked
        if todo.kind is TodoKind.REMOVE:
            self.stores.need_registry().remove_resident(todo.resident)
            self.stores.people.pop(todo.resident, None)
            self.stores.reload_cards()
        return rotated

    def _certify(self, todo: Todo, owed: bool) -> dict[str, Any] | None:
        """Sign a certificate and keep it for its resident; who withdraws while locked has it at the unlock."""
        registry, vault = self.stores.need_registry(), self.stores.need_vault()
        if owed and todo.kind is TodoKind.ERASE:
            return None
        provider = None if owed else vault.provider
        body = deletion_certificate(todo, self.stores.device.device, provider, imaged=vault.imaged)
        signed = registry.sign_certificate(body)
        if todo.kind is TodoKind.ERASE:
            registry.put_certificate(todo.op, todo.resident, signed)
        return signed

    def _rotated(self, todo: Todo) -> bool:
        """Rotate, where the ring went where it was to go; False where that must wait or was void."""
        vault, detail = self.stores.need_vault(), todo.detail
        if not vault.unlocked:
            return False
        if vault.provider.name != detail["to"]:  # a crash before the move
            if self._forgotten(detail["to"]):
                self._drop(todo)
            return False
        if vault.epoch <= int(detail["epoch"]):
            vault.rotate()
        return True

    def _left(self, todo: Todo) -> bool:
        """Whether the provider that the keys were moved from has forgotten its secret."""
        return todo.detail["from"] == todo.detail["to"] or self._forgotten(todo.detail["from"])

    def _forgotten(self, name: str) -> bool:
        """Have a provider forget its secret; False where that must be tried again. It holds up nothing else."""
        try:
            key_provider(self.stores.paths, name, self.stores.key_options).destroy()
        except (StateError, VaultLockedError) as error:
            log.warning("a secret that no key is sealed under any more: %s", error)
            return False
        return True

    @contextmanager
    def changed(self, resident: str) -> Iterator[None]:
        """Bring a resident's row into RAM whatever became of the change."""
        try:
            yield
        finally:
            if self.stores.registry is not None:
                self.stores.load_person(resident)

    def _stored(self, todo: Todo) -> bool:
        found = self.stores.need_vault().get(bytes.fromhex(todo.detail["record"]))
        return found is not None and fingerprint(found) == todo.detail["sealed"]

    def check_open(self) -> None:
        """Refuse to begin what has no place to be kept. StoreError."""
        self.stores.need_registry()
        self.stores.need_vault()
        self.stores.need_ledger()

    def check_writable(self) -> None:
        """Refuse to begin what could end half done on a disk that is nearly full. StoreError."""
        self.check_open()
        vault = self.stores.paths.vault.stat().st_size  # a rotation writes it anew, to the WAL and then here
        if shutil.disk_usage(self.stores.paths.root).free < RESERVE_BYTES + 2 * vault:
            raise StoreFullError(
                "The disk is full: nothing was changed. Free some space; cards keep opening the gate."
            )
