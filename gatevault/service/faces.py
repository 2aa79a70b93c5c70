"""The gallery and its vault: opening, adding and erasing templates. The only place that has both."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Set

import numpy as np

from gatevault.core import matching
from gatevault.core.calibration import Calibration
from gatevault.core.consent import KeyMode, Receipt, Standing, standing
from gatevault.core.errors import (
    ConsentError,
    EnrolmentError,
    HolderKeyNeededError,
    RecordRefusedError,
    StoreError,
    VaultLockedError,
)
from gatevault.core.matching import nearer, template_mean
from gatevault.core.wiped import wiped
from gatevault.service.clock import TrustedClock
from gatevault.service.stores import Stores
from gatevault.vault.gallery import Gallery
from gatevault.vault.keys import Secret, holder_key, key_protection
from gatevault.vault.locked import weakest
from gatevault.vault.record import Captures
from gatevault.vault.templates import Row

_NOBODY = matching.Gallery((), np.empty((0, 0), np.float32), np.empty(0, np.float32))


class Faces:
    """Templates of residents who consent, in RAM while the vault is unlocked."""

    def __init__(self, stores: Stores, clock: TrustedClock, notices: frozenset[str], slots: int) -> None:
        """`slots`: captures that every sealed record has room for, so that lengths tell nothing."""
        self._stores = stores
        self._clock = clock
        self._notices = notices
        self._slots = slots
        self._gallery: Gallery | None = None
        self._held: Gallery | None = None
        self.model: bytes = b""
        self.calibration: Calibration | None = None
        """Of the gallery's model; None while there is no gallery."""
        self.uncalibrated = ""
        """Why there are no figures by which a face could be decided on; empty where there are."""
        self.suspended: set[str] = set()
        """Residents whose template is of another model, or whose consent does not carry it."""
        self.outdated: set[str] = set()
        """Those of them whose template is of another model: only a new enrolment brings it back."""
        self.holders: set[str] = set()
        """Residents whose template opens with their card alone."""
        self._alike: dict[str, set[str]] = {}
        """Residents whose templates are too like, each with the others."""
        self.refused = 0
        """Records that did not open: altered, swapped, or without their receipt."""
        self.unreadable: StoreError | None = None
        self.opened = asyncio.Event()
        """Set once everybody's template was tried."""
        self.generation = 0
        """Which gallery it is: another one after each lock, unlock or change of network."""

    # --- asked by the event loop: RAM only ---------------------------------------------------

    @property
    def residents(self) -> list[str]:
        return list(self._gallery.residents) if self._gallery else []

    @property
    def gallery(self) -> matching.Gallery:
        """Who may be matched one to many: a view, until the next change."""
        return self._gallery.view() if self._gallery else _NOBODY

    @property
    def alike(self) -> Set[str]:
        """Residents whose faces are refused, for the gate could not tell them from another one's. Complete some
        seconds after the gallery is open."""
        return self._alike.keys()

    @property
    def held(self) -> matching.Gallery | None:
        """The holder whose card was just read, alone, to be matched 1:1."""
        return self._held.view() if self._held is not None and self._held.residents else None

    @property
    def protection(self) -> str:
        """How the memory of templates and keys is kept (`vault/locked.Protection`)."""
        return weakest(self._gallery.protection, key_protection()) if self._gallery else "none"

    def standing(self, resident: str) -> Standing:
        """Whether this resident's consent carries a template now."""
        person = self._stores.people.get(resident)
        if person is None:
            return Standing.NONE
        return standing(person.receipt, self._clock.now(), self._notices, person.born)

    def add(self, resident: str, captures: Captures) -> None:
        """Put captures of shape (k, d) into the gallery as their mean, and overwrite them.

        Nothing is put there for somebody who withdrew while their template was being opened, or once the
        vault is locked.
        """
        self._forget(resident)
        self._put(self._gallery, resident, captures)

    def hold(self, resident: str, captures: Captures) -> None:
        """Keep one holder's template for a moment, in place of any other, to be matched 1:1; as `add`."""
        self.release_held()
        self._put(self._held, resident, captures)

    def release_held(self) -> None:
        """Overwrite the holder's row."""
        if self._held is not None:
            self._held.clear()

    def _put(self, gallery: Gallery | None, resident: str, captures: Captures) -> None:
        calibration = self.calibration
        with wiped(captures):
            if gallery is None or calibration is None or not self._stores.unlocked:
                return
            if self.standing(resident) is not Standing.LIVE:
                return
            with wiped(template_mean(captures, calibration.normaliser)) as mean:
                gallery.put(resident, mean, calibration.penalty(mean))
        if gallery is self._gallery and self.opened.is_set():  # before that, all at once, by `compare`
            self.compare([resident])

    def compare(self, residents: Iterable[str]) -> None:
        """Note whose faces `matching.identify` refuses for their likeness to another one's: to be told, in numbers.

        A holder's template is compared with nobody's: it is not in the gallery.
        """
        if self._gallery is None or self.calibration is None:
            return
        gallery, limit = self.gallery, self.calibration.look_alike
        for resident in residents:
            row = self._gallery.row(resident)
            if row is not None:
                alike = set(nearer(gallery.rows[row], float(gallery.penalties[row]), limit, gallery)) - {resident}
                for other in alike:
                    self._alike.setdefault(other, set()).add(resident)
                if alike:
                    self._alike[resident] = alike

    def has_double(self, resident: str, captures: Captures) -> bool:
        """Whether these captures, shape (k, d), may be of somebody who is a resident already under another name.

        Templates that open with a card alone are not in RAM, and cannot be compared.
        """
        calibration = self.calibration
        if calibration is None:
            return False
        with wiped(template_mean(captures, calibration.normaliser)) as mean:
            near = nearer(mean, calibration.penalty(mean), calibration.duplicate, self.gallery)
            return any(other != resident for other in near)

    def drop(self, resident: str) -> None:
        """Overwrite this resident's row: no face of theirs opens from now on."""
        for gallery in (self._gallery, self._held):
            if gallery is not None:
                gallery.remove(resident)
        self._forget(resident)

    def _forget(self, resident: str) -> None:
        for known in (self.suspended, self.outdated, self.holders):
            known.discard(resident)
        for other in self._alike.pop(resident, ()):
            self._alike[other].discard(resident)
            if not self._alike[other]:
                del self._alike[other]

    def close(self) -> None:
        """Overwrite everything: nobody matches until `use_model`."""
        for gallery in (self._gallery, self._held):
            if gallery is not None:
                gallery.clear()
        self._gallery = self._held = self.calibration = None
        self._alike.clear()
        self.model = b""
        self.generation += 1
        self.opened.clear()

    # --- on the storage thread ---------------------------------------------------------------

    def begin(self) -> list[str]:
        """Whose templates there are to open: everybody's, some at a time, by `open_some`."""
        self.refused, self.unreadable = 0, None
        for known in (self.suspended, self.outdated, self.holders):
            known.clear()
        return list(self._stores.people)

    def open_some(self, residents: Iterable[str]) -> list[tuple[str, Captures]]:
        """Open the templates of those whose consent lives. The caller gives each to `add`."""
        opened: list[tuple[str, Captures]] = []
        try:
            for resident in residents:
                captures = self._open_one(resident)
                if captures is not None:
                    opened.append((resident, captures))
        except StoreError as error:
            self.unreadable = error
        except VaultLockedError:  # locked meanwhile
            pass
        return opened

    def reopen(self, resident: str) -> Captures | None:
        """One resident's captures after a renewed consent, if there is a template. StoreError."""
        return self._open_one(resident) if self._stores.unlocked and self.model else None

    def open_held(self, resident: str, number: str) -> Captures | None:
        """A holder's captures, with the secret that was read from their card; None where it is not the one."""
        row = self._row(resident)
        if row is None or not self._stores.unlocked or not self._usable(resident, row):
            return None
        key = holder_key(number, row.record)
        try:
            return self._unseal(resident, row, key)
        except RecordRefusedError:  # another card of theirs
            return None
        finally:
            key.wipe()

    def _open_one(self, resident: str) -> Captures | None:
        row = self._row(resident)
        if row is None:
            return None
        if row.model != self.model:
            self.outdated.add(resident)
        if not self._usable(resident, row):
            self.suspended.add(resident)
            return None
        try:
            return self._unseal(resident, row, None)
        except HolderKeyNeededError:
            self.holders.add(resident)
        except RecordRefusedError:
            self.refused += 1
        return None

    def _row(self, resident: str) -> Row | None:
        try:
            return self._stores.need_vault().get(self._stores.house.record_id(resident))
        except RecordRefusedError:
            self.refused += 1
            return None

    def _usable(self, resident: str, row: Row) -> bool:
        return row.model == self.model and self.standing(resident) is Standing.LIVE

    def _unseal(self, resident: str, row: Row, holder: Secret | None) -> Captures:
        """Open under the live receipt, or under one that it renewed, and then seal it anew."""
        vault = self._stores.need_open_vault()
        try:
            captures = vault.open(row, self._stores.people[resident].binding, holder)
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
        """Seal unit captures, shape (k, d), bound to this device, resident, consent and network.

        EnrolmentError where they are not of the gallery's dimension.
        """
        vault = self._stores.need_open_vault()
        if captures.shape[1] != self._dimension:
            raise EnrolmentError("Vision sent faces of another network than the gate's: nothing was kept.")
        if (receipt.mode is KeyMode.HOLDER) is not (holder is not None):
            raise ConsentError("The consent is for another kind of key than this: nothing was kept.")
        place = vault.place(self._stores.house.record_id(resident), model)
        return vault.seal(place, receipt.binding(), captures, self._slots, holder)

    def has_template(self, resident: str) -> bool:
        return self._stores.need_vault().has(self._stores.house.record_id(resident))

    # --- when vision has told its network ----------------------------------------------------

    def use_model(self, model: bytes, calibration: Calibration) -> None:
        """Begin an empty gallery for this model's embeddings, with its figures."""
        self.close()
        self.model, self.calibration = model, calibration
        self._gallery, self._held = Gallery(calibration.dimension), Gallery(calibration.dimension)

    @property
    def _dimension(self) -> int:
        return self.calibration.dimension if self.calibration else 0

    def require_consent(self, resident: str) -> Receipt:
        """The live receipt that a template of this resident will be bound to. ConsentError."""
        now = self.standing(resident)
        person = self._stores.people.get(resident)
        if now is not Standing.LIVE or person is None or person.receipt is None:
            raise ConsentError(_WHY_NOT[now])
        return person.receipt


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
