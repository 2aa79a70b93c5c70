"""What the administrative flows share: the opened state, its thread, clock, ledger and gallery.

Also the one place where an operation that spans several files is carried out, and carried to its end
after a crash: `finish` is harmless when repeated.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from gatevault.core.entries import EntryType
from gatevault.core.errors import StoreError, StoreFullError
from gatevault.core.settings import Settings
from gatevault.service.certificate import deletion_certificate
from gatevault.service.clock import TrustedClock
from gatevault.service.faces import Faces, fingerprint
from gatevault.service.journal import Journal
from gatevault.service.storage import StorageThread
from gatevault.service.stores import Stores
from gatevault.vault.registry import Todo, TodoKind

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

    def finish(self, todo: Todo) -> dict[str, Any] | None:
        """Carry out an operation that the registry has committed to; a certificate, if it erased.

        Steps: 1 the vault; 2 the registry; 3 the ledger, once only; 4 the operation is done.
        StoreError leaves it to the daemon's housekeeping, or to the next start.
        """
        registry = self.stores.need_registry()
        certificate: dict[str, Any] | None = None
        if todo.kind is TodoKind.ENROL and not self._stored(todo):
            registry.drop_todo(todo.op)
            return None
        if todo.kind in (TodoKind.ERASE, TodoKind.REMOVE):
            self.stores.need_templates().erase(bytes.fromhex(todo.detail["record"]))
            certificate = registry.sign_certificate(deletion_certificate(todo, self.stores.device.device))
        if todo.kind is TodoKind.REMOVE:
            registry.remove_resident(todo.resident)
            self.stores.people.pop(todo.resident, None)
            self.stores.reload_cards()
        elif certificate is not None:
            registry.put_certificate(todo.op, todo.resident, certificate)
        try:
            self.journal.write(todo.entry, todo.payload, todo.op)
        except StoreError:
            if certificate is None:
                raise
            return certificate  # erased all the same; the entry is owed, see `finish_all`
        registry.drop_todo(todo.op)
        return certificate

    def finish_all(self) -> int:
        """End what a crash or a full disk left half done; how many operations there were. StoreError."""
        if self.stores.registry is None or self.stores.templates is None or self.stores.ledger is None:
            return 0
        # Ends first: an enrolment that is still owed was before them, and its record is gone.
        pending = sorted(self.stores.registry.todos(), key=lambda todo: todo.kind is TodoKind.ENROL)
        for todo in pending:
            self.finish(todo)
        return len(pending)

    @contextmanager
    def changed(self, resident: str) -> Iterator[None]:
        """Bring a resident's row into RAM whatever became of the change."""
        try:
            yield
        finally:
            if self.stores.registry is not None:
                self.stores.load_person(resident)

    def _stored(self, todo: Todo) -> bool:
        found = self.stores.need_templates().get(bytes.fromhex(todo.detail["record"]))
        return found is not None and fingerprint(found[1]) == todo.detail["sealed"]

    def check_open(self) -> None:
        """Refuse to begin what has no place to be kept. StoreError."""
        self.stores.need_registry()
        self.stores.need_templates()
        self.stores.need_ledger()

    def check_writable(self) -> None:
        """Refuse to begin what could end half done on a disk that is nearly full. StoreError."""
        self.check_open()
        if shutil.disk_usage(self.stores.paths.root).free < RESERVE_BYTES:
            raise StoreFullError(
                "The disk is full: nothing was changed. Free some space; cards keep opening the gate."
            )
