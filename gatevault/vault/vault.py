"""The vault: sealed templates and the keys that open them, locked or open.

A purge is a **rotation**: the record's row goes and every other record's key is wrapped under a fresh
epoch key, in one transaction; then the old epoch leaves the ring. The order is such that a crash at any
point leaves a ring that holds the epoch which `vault.db` is under:

    1 ring = {old, new}   2 vault.db: rows deleted, keys under new   3 ring = {new}, provider rolled

After 3 no copy of the old vault.db, of its WAL or of a freed page opens with today's keys. A rotation
that a crash or a full disk stopped is ended by `settle`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from gatevault.core.errors import RecordRefusedError, StoreError, StoreFullError, VaultLockedError, WrongKeyError
from gatevault.vault.desk import Desk
from gatevault.vault.keys import Epoch, Secret, random_epoch
from gatevault.vault.providers.port import KeyProvider
from gatevault.vault.record import Captures, Mode, Place, mode_of, open_on, open_template, rewrap, seal_template
from gatevault.vault.remains import Remain
from gatevault.vault.ring import Ring
from gatevault.vault.sealing import associated, seal, unseal
from gatevault.vault.templates import Row, TemplateStore

_CHECK: Final = b"gatevault"


class Vault:
    """The templates of one device. Used by one thread at a time; every method may raise the StoreError family."""

    def __init__(self, path: Path, ring: Ring, device: str, bench: bool) -> None:
        """Open `vault.db`, locked."""
        self._store = TemplateStore(path)
        self._ring = ring
        self._device = device
        self._bench = bench
        self._epoch: Epoch | None = None
        self._stale = False
        """Whether the ring holds an epoch beside the present one, or may."""

    def make(self, provider: str) -> None:
        """Begin an empty vault: first epoch, ring, provider's secret. StateError where there is one."""
        first = random_epoch(1)
        self._store.begin(self._check(first))
        self._ring.make([first], provider)

    # --- locked and open ---------------------------------------------------------------------

    @property
    def unlocked(self) -> bool:
        return self._epoch is not None

    @property
    def provider(self) -> KeyProvider:
        """Where the ring's secret is. VaultLockedError, StoreError."""
        return self._ring.provider

    @property
    def epoch(self) -> int:
        """The number of the present epoch. VaultLockedError."""
        return self._open_epoch().number

    def unlock(self) -> None:
        """Get the epoch that `vault.db` is under. VaultLockedError, WrongKeyError, StoreError."""
        epochs = self._ring.open()
        self._choose(*epochs)
        self._stale = len(epochs) > 1 or self._ring.rolling

    def lock(self) -> None:
        """Overwrite the keys: nothing opens until `unlock`."""
        if self._epoch is not None:
            self._epoch.key.wipe()
            self._epoch = None
        self._ring.close()

    def close(self) -> None:
        self.lock()
        self._store.close()

    # --- records -----------------------------------------------------------------------------

    def seal(
        self, place: Place, receipt: bytes, captures: Captures, slots: int, holder: Secret | None = None
    ) -> Row:
        """Captures, shape (k, d), as a record that is not stored yet (see `record.seal_template`)."""
        template = seal_template(self._open_epoch(), place, receipt, captures, slots, holder)
        return Row(place.record, place.model, template)

    def put(self, row: Row) -> None:
        """Store a record that was sealed under the present epoch. What it replaces is destroyed as by `erase`."""
        replaces = self._store.has(row.record)
        self._store.put(row, owe_rotation=replaces)
        if replaces:
            self.rotate()
        else:
            self._tidy()

    def open(self, row: Row, receipt: bytes, holder: Secret | None = None) -> Captures:
        """A record's captures, which the caller wipes. RecordRefusedError, HolderKeyNeededError."""
        return open_template(self._open_epoch(), self._place(row), receipt, row.template, holder)

    def open_on(self, desk: Desk, row: Row, receipt: bytes) -> Captures:
        """As `open`; the captures lie in locked memory, on the desk, until the next record does."""
        return open_on(desk, self._open_epoch(), self._place(row), receipt, row.template)

    def mode(self, row: Row) -> Mode:
        """Whose key a record opens with. RecordRefusedError."""
        return mode_of(self._open_epoch(), self._place(row), row.template.wrapped)

    def place(self, record: bytes, model: bytes) -> Place:
        """Where a record of this device belongs."""
        return Place(self._device, self._bench, record, model)

    def get(self, record: bytes) -> Row | None:
        """One record, or None. RecordRefusedError where it is not of the kind that was written."""
        return self._store.get(record)

    def some(self, records: Sequence[bytes]) -> dict[bytes, Row | None]:
        """As `get`, at most 1,000 at a time: those that are there, None for one that is to be refused."""
        return self._store.some(records)

    def has(self, record: bytes) -> bool:
        return self._store.has(record)

    def rows(self) -> Iterator[Row]:
        return self._store.rows()

    def records(self) -> set[bytes]:
        """The ids of all records, readable or not."""
        return self._store.records()

    def foreign(self) -> int:
        """Rows that no record of ours has: somebody else wrote them."""
        return self._store.foreign()

    def remains(self) -> list[Remain]:
        """What deleted rows have left in the bytes of `vault.db`."""
        return self._store.remains()

    @property
    def unsettled(self) -> bool:
        """Whether a rotation is owed, or was begun and not ended, as far as is known while locked: `settle`."""
        return self._stale or self._store.owed

    # --- destruction -------------------------------------------------------------------------

    def erase(self, record: bytes) -> None:
        """Destroy a record and its key, and rotate. While locked the row goes at once and the rotation is owed."""
        if self._epoch is None:
            self._store.erase(record)
        elif self._store.has(record):
            try:
                self.rotate(record)
            except (StoreError, VaultLockedError):
                self._store.erase(record)  # at least the row; the rotation is owed
                raise
        else:
            self.settle()

    def settle(self) -> bool:
        """End a rotation that was owed or stopped; whether nothing is left to do. A locked vault is not settled."""
        if self._epoch is None:
            return False
        if self._store.owed:
            self.rotate()
        elif self._stale:
            self._drop_stale()
        return True

    def rotate(self, erase: bytes | None = None) -> None:
        """Put every record under a fresh epoch and forget the one before; with it erase one record."""
        old = self._open_epoch()
        new = old.next()
        self._stale = True
        self._ring.write([old, new])
        try:
            self._store.rotate(self._check(new), self._rewrapped(old, new), [] if erase is None else [erase])
        finally:
            self._choose(old, new)  # a commit that failed may have been made all the same
        self._drop_stale()
        self._tidy()

    @property
    def imaged(self) -> bool:
        """Whether images of the medium may exist that open, from under an earlier provider. StoreError."""
        return self._store.imaged

    def move(self, provider: str) -> None:
        """Seal the ring with another provider. The caller rotates, and destroys the secret of the one before."""
        if self.provider.image_opens:
            self._store.note_image()  # first, so that no cut forgets it
        self._ring.make([self._open_epoch()], provider)

    # --- steps -------------------------------------------------------------------------------

    def _choose(self, *epochs: Epoch) -> None:
        """Open with the epoch that `vault.db` is under, and overwrite the others; locked where there is none."""
        self._epoch = None
        try:
            check = self._store.check_box()
            for epoch in epochs:
                if self._epoch is None and self._under(epoch, check):
                    self._epoch = epoch
                else:
                    epoch.key.wipe()
        finally:
            if self._epoch is None:
                self.lock()
        if self._epoch is None:
            raise WrongKeyError(
                "vault.db is not under the epoch of keys/vault.ring: one of them is an older copy. Faces are off, "
                "cards work. Put back the two that belong together, or begin anew and enrol again."
            )

    def _rewrapped(self, old: Epoch, new: Epoch) -> list[tuple[bytes, bytes]]:
        """Every key that opens, under the new epoch. What does not open stays, and stays refused."""
        fresh = []
        for record, model, wrapped in self._store.wrapped_keys():
            with suppress(RecordRefusedError):
                fresh.append((record, rewrap(old, new, self.place(record, model), wrapped)))
        return fresh

    def _drop_stale(self) -> None:
        self._ring.roll([self._open_epoch()])
        self._stale = False

    def _tidy(self) -> None:
        """Rows in the order of ids. A disk too full for it hinders no enrolment and no purge."""
        with suppress(StoreFullError):
            self._store.rebuild()

    def _place(self, row: Row) -> Place:
        return self.place(row.record, row.model)

    def _open_epoch(self) -> Epoch:
        if self._epoch is None:
            raise VaultLockedError("The vault is locked: faces are off, cards work. Run `gatevault vault unlock`.")
        return self._epoch

    def _check(self, epoch: Epoch) -> bytes:
        return seal(epoch.key, _CHECK, self._check_data(epoch))

    def _under(self, epoch: Epoch, check: bytes) -> bool:
        with suppress(RecordRefusedError):
            return unseal(epoch.key, check, self._check_data(epoch)) == _CHECK
        return False

    def _check_data(self, epoch: Epoch) -> bytes:
        return associated("vault-check", self._device.encode(), epoch.number.to_bytes(4, "big"))
