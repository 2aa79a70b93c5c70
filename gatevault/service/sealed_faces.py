"""Sealed templates and the consents that they are opened under: the storage thread's half of `faces`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime

from gatevault.core.calibration import Calibration
from gatevault.core.consent import KeyMode, Receipt, Standing, standing
from gatevault.core.errors import ConsentError, EnrolmentError, HolderKeyNeededError, RecordRefusedError
from gatevault.core.matching import template_mean
from gatevault.core.wiped import wiped
from gatevault.service.clock import TrustedClock
from gatevault.service.stores import Stores
from gatevault.vault.desk import Desk
from gatevault.vault.keys import Secret
from gatevault.vault.record import Captures
from gatevault.vault.templates import Row


class SealedFaces:
    """Opens one record after the other, and tells of those that do not open."""

    def __init__(self, stores: Stores, clock: TrustedClock, notices: frozenset[str]) -> None:
        """`notices`: hashes of today's notice texts."""
        self._stores = stores
        self._clock = clock
        self._notices = notices
        self.model: bytes = b""
        self.calibration: Calibration | None = None
        """Of the gallery's model; None while there is no gallery."""
        self.suspended: set[str] = set()
        """Residents whose template is of another model, or whose consent does not carry it."""
        self.outdated: set[str] = set()
        """Those of them whose template is of another model: only a new enrolment brings it back."""
        self.holders: set[str] = set()
        """Residents whose template opens with their card alone."""
        self.refused = 0
        """Records that did not open: altered, swapped, or without their receipt."""

    def standing(self, resident: str, now: datetime | None = None) -> Standing:
        """Whether this resident's consent carries a template now."""
        person = self._stores.people.get(resident)
        if person is None:
            return Standing.NONE
        return standing(person.receipt, now or self._clock.now(), self._notices, person.born)

    def require_consent(self, resident: str) -> Receipt:
        """The live receipt that a template of this resident will be bound to. ConsentError."""
        now = self.standing(resident)
        person = self._stores.people.get(resident)
        if now is not Standing.LIVE or person is None or person.receipt is None:
            raise ConsentError(_WHY_NOT[now])
        return person.receipt

    # --- one record after the other, on the storage thread -----------------------------------

    def _open_one(self, resident: str, row: Row, desk: Desk | None = None) -> Captures | None:
        if row.model != self.model:
            self.outdated.add(resident)
        if not self._usable(resident, row):
            self.suspended.add(resident)
            return None
        try:
            return self._unseal(resident, row, None, desk)
        except HolderKeyNeededError:
            self.holders.add(resident)
        except RecordRefusedError:
            self.refused += 1
        return None

    def _rows(self, residents: Sequence[str]) -> Iterator[tuple[str, Row]]:
        """The records of these residents, of those who have one. VaultLockedError, StoreError."""
        vault = self._stores.need_open_vault()
        names = {self._stores.people[name].record: name for name in residents if name in self._stores.people}
        found, epoch = vault.some(list(names)), vault.epoch
        for record, row in found.items():
            if vault.epoch != epoch:  # one of them was sealed anew, and so every key wrapped anew
                row = self._row(names[record])
            elif row is None:
                self.refused += 1
            if row is not None:
                yield names[record], row

    def _row(self, resident: str) -> Row | None:
        """One resident's record; None where there is none, or one that is not of the kind that was written."""
        try:
            return self._stores.need_vault().get(self._stores.house.record_id(resident))
        except RecordRefusedError:
            self.refused += 1
            return None

    def _usable(self, resident: str, row: Row) -> bool:
        return row.model == self.model and self.standing(resident) is Standing.LIVE

    def _unseal(self, resident: str, row: Row, holder: Secret | None, desk: Desk | None = None) -> Captures:
        """Open under the live receipt, or under one that it renewed, and then seal it anew."""
        vault, binding = self._stores.need_open_vault(), self._stores.people[resident].binding
        try:
            captures = vault.open(row, binding, holder) if desk is None else vault.open_on(desk, row, binding)
        except RecordRefusedError:
            captures = self._unseal_renewed(resident, row, holder)
        if captures.shape[1] != self._dimension:  # a vision that lied of its network
            captures.fill(0.0)
            raise RecordRefusedError("A template is of another dimension than the network's.")
        return captures

    def _unseal_renewed(self, resident: str, row: Row, holder: Secret | None) -> Captures:
        receipts = {r.receipt_id: r for r, _ in self._stores.need_registry().receipts(resident)}
        try:
            live = self.require_consent(resident)
        except ConsentError:  # withdrawn just now
            raise RecordRefusedError("A template's consent ended while it was opened.") from None
        receipt = receipts.pop(live.supersedes or "", None)
        while receipt is not None:
            try:
                captures = self._stores.need_open_vault().open(row, receipt.binding(), holder)
            except RecordRefusedError:
                receipt = receipts.pop(receipt.supersedes or "", None)
                continue
            try:
                self._stores.need_open_vault().put(self.seal(resident, live, captures, row.model, holder))
            except BaseException:
                captures.fill(0.0)
                raise
            return captures
        raise RecordRefusedError("A template does not open under its resident's consent.")

    def seal(
        self, resident: str, receipt: Receipt, captures: Captures, model: bytes, holder: Secret | None = None
    ) -> Row:
        """Seal the mean of unit captures, shape (k, d), bound to this device, resident, consent and network.

        The mean alone is ever matched, so it alone is kept (docs/adr/0013): one vector, for everybody of one
        length. EnrolmentError where they are not of the gallery's dimension, or cancel out.
        """
        vault, calibration = self._stores.need_open_vault(), self.calibration
        if calibration is None or captures.shape[1] != calibration.dimension:
            raise EnrolmentError("Vision sent faces of another network than the gate's: nothing was kept.")
        if (receipt.mode is KeyMode.HOLDER) is not (holder is not None):
            raise ConsentError("The consent is for another kind of key than this: nothing was kept.")
        place = vault.place(self._stores.house.record_id(resident), model)
        try:
            with wiped(template_mean(captures, calibration.normaliser)) as mean:
                return vault.seal(place, receipt.binding(), mean[None], 1, holder)
        except ValueError:
            raise EnrolmentError("The captures have no mean: nothing was kept. Enrol again.") from None

    def has_template(self, resident: str) -> bool:
        return self._stores.need_vault().has(self._stores.house.record_id(resident))

    @property
    def _dimension(self) -> int:
        return self.calibration.dimension if self.calibration else 0


_WHY_NOT = {
    Standing.NONE: "This resident has not consented: run `gatevault consent give` and let them tap their card.",
    Standing.WITHDRAWN: "This resident has withdrawn: only they can consent anew, with their own card.",
    Standing.EXPIRED: "This consent has expired: the resident may renew it with their own card.",
    Standing.NOTICE_CHANGED: "The notice has changed since this consent: the resident may renew it by card.",
    Standing.CHILD: "This resident is under 14: the face is off, the card opens.",
    Standing.LIVE: "This consent lives.",
}


def fingerprint(row: Row) -> str:
    """Names one sealed record, to tell after a crash whether it was stored; a rotation does not change it."""
    return hashlib.sha256(row.template.sealed).hexdigest()
