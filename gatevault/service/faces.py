"""The gallery and its vault: opening, adding and erasing templates. The only place that has both."""

from __future__ import annotations

import asyncio
import hashlib

import numpy as np
import numpy.typing as npt

from gatevault.core.consent import Receipt, Standing, standing
from gatevault.core.errors import ConsentError, EnrolmentError, RecordRefusedError, StoreError
from gatevault.core.matching import Gallery as Matrix
from gatevault.core.matching import template_mean
from gatevault.core.wiped import wiped
from gatevault.service.clock import TrustedClock
from gatevault.service.stores import Stores
from gatevault.vault.gallery import Gallery
from gatevault.vault.keys import key_protection
from gatevault.vault.locked import weakest
from gatevault.vault.sealing import Bond, SealedTemplate, open_template, seal_template


class Faces:
    """Templates of residents who consent, in RAM while the vault is unlocked."""

    def __init__(self, stores: Stores, clock: TrustedClock, notices: frozenset[str]) -> None:
        self._stores = stores
        self._clock = clock
        self._notices = notices
        self._gallery: Gallery | None = None
        self.model: bytes = b""
        self._dimension = 0
        self.suspended: set[str] = set()
        """Residents whose template is of another network, or whose consent does not carry it."""
        self.refused = 0
        """Records that did not open: altered, swapped, or without their receipt."""
        self.unreadable: StoreError | None = None
        self.opened = asyncio.Event()
        """Set once everybody's template was tried."""

    # --- asked by the event loop: RAM only ---------------------------------------------------

    @property
    def residents(self) -> list[str]:
        return list(self._gallery.residents) if self._gallery else []

    @property
    def matrix(self) -> Matrix:
        """Unit rows, shape (n, d), in the order of `residents`."""
        return self._gallery.matrix if self._gallery else np.empty((0, 0), dtype=np.float32)

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

    def add(self, resident: str, captures: npt.NDArray[np.float32]) -> None:
        """Put captures of shape (k, d) into the gallery as their mean, and overwrite them.

        Nothing is put there for somebody who withdrew while their template was being opened, or once the
        vault is locked.
        """
        with wiped(captures):
            gallery = self._gallery if self._stores.vault_keys is not None else None
            if gallery is not None and self.standing(resident) is Standing.LIVE:
                with wiped(template_mean(captures)) as mean:
                    gallery.put(resident, mean)
                self.suspended.discard(resident)

    def drop(self, resident: str) -> None:
        """Overwrite this resident's row: no face of theirs opens from now on."""
        if self._gallery is not None:
            self._gallery.remove(resident)
        self.suspended.discard(resident)

    def clear(self) -> None:
        if self._gallery is not None:
            self._gallery.clear()

    # --- on the storage thread ---------------------------------------------------------------

    def open_all(self) -> list[tuple[str, npt.NDArray[np.float32]]]:
        """Open the template of everybody whose consent lives. The caller gives each to `add`."""
        self.refused, self.unreadable = 0, None
        self.suspended.clear()
        opened: list[tuple[str, npt.NDArray[np.float32]]] = []
        try:
            for resident in list(self._stores.people):
                captures = self._open_one(resident)
                if captures is not None:
                    opened.append((resident, captures))
        except StoreError as error:
            self.unreadable = error
        return opened

    def reopen(self, resident: str) -> npt.NDArray[np.float32] | None:
        """One resident's captures after a renewed consent, if there is a template. StoreError."""
        if self._stores.vault_keys is None or not self.model:
            return None
        return self._open_one(resident)

    def _open_one(self, resident: str) -> npt.NDArray[np.float32] | None:
        record = self._stores.house.record_id(resident)
        found = self._stores.need_templates().get(record)
        if found is None:
            return None
        model, sealed = found
        if model != self.model or self.standing(resident) is not Standing.LIVE:
            self.suspended.add(resident)
            return None
        try:
            captures = self._unseal(resident, record, model, sealed)
        except RecordRefusedError:
            self.refused += 1
            return None
        if captures.shape[1] != self._dimension:  # a vision that lied of its network
            captures.fill(0.0)
            self.refused += 1
            return None
        return captures

    def _unseal(
        self, resident: str, record: bytes, model: bytes, sealed: SealedTemplate
    ) -> npt.NDArray[np.float32]:
        """Open under the live receipt, or under one that it renewed, and then seal it anew."""
        wrap = self._stores.need_vault_keys().wrap
        receipts = {r.receipt_id: r for r, _ in self._stores.need_registry().receipts(resident)}
        live = self.require_consent(resident)
        receipt: Receipt | None = live
        while receipt is not None:
            try:
                captures = open_template(wrap, self._bond(record, receipt, model), sealed)
            except RecordRefusedError:
                receipt = receipts.pop(receipt.supersedes or "", None)
                continue
            if receipt is not live:
                try:
                    self.store(resident, live, captures, model)
                except BaseException:
                    captures.fill(0.0)
                    raise
            return captures
        raise RecordRefusedError("A template does not open under its resident's consent.")

    def seal(
        self, resident: str, receipt: Receipt, captures: npt.NDArray[np.float32], model: bytes
    ) -> SealedTemplate:
        """Seal unit captures, shape (k, d), bound to this device, resident, consent and network.

        EnrolmentError where they are not of the gallery's dimension.
        """
        if captures.shape[1] != self._dimension:
            raise EnrolmentError("Vision sent faces of another network than the gate's: nothing was kept.")
        record = self._stores.house.record_id(resident)
        return seal_template(self._stores.need_vault_keys().wrap, self._bond(record, receipt, model), captures)

    def store(self, resident: str, receipt: Receipt, captures: npt.NDArray[np.float32], model: bytes) -> None:
        record = self._stores.house.record_id(resident)
        self._stores.need_templates().put(record, model, self.seal(resident, receipt, captures, model))

    def has_template(self, resident: str) -> bool:
        return self._stores.need_templates().get(self._stores.house.record_id(resident)) is not None

    def _bond(self, record: bytes, receipt: Receipt, model: bytes) -> Bond:
        device = self._stores.device
        return Bond(device.device, device.bench, record, receipt.binding(), model)

    # --- when vision has told its network ----------------------------------------------------

    def use_model(self, model: bytes, dimension: int) -> None:
        """Begin an empty gallery for this network's embeddings."""
        self.clear()
        self.opened.clear()
        self.model, self._dimension = model, dimension
        self._gallery = Gallery(dimension)

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


def fingerprint(sealed: SealedTemplate) -> str:
    """Names one sealed record, to tell after a crash whether it was stored."""
    return hashlib.sha256(sealed.wrapped_key + sealed.sealed).hexdigest()
