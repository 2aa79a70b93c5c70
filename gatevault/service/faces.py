"""The gallery and its vault: opening, adding and erasing templates. The only place that has both."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence, Set
from typing import Final

import numpy as np

from gatevault.core import matching
from gatevault.core.calibration import Calibration
from gatevault.core.consent import Standing
from gatevault.core.errors import RecordRefusedError, StoreError, VaultLockedError
from gatevault.core.matching import nearer, template_mean
from gatevault.core.wiped import wiped
from gatevault.service.clock import TrustedClock
from gatevault.service.look_alikes import LookAlikes
from gatevault.service.sealed_faces import SealedFaces
from gatevault.service.stores import Stores
from gatevault.vault.desk import Chunk, Desk
from gatevault.vault.gallery import Gallery
from gatevault.vault.keys import holder_key, key_protection
from gatevault.vault.locked import weakest
from gatevault.vault.record import Captures

CHUNK: Final = 256
"""Templates opened at a time: a thread's turn costs less than they do, and the loop goes on hearing cards."""

_NOBODY = matching.Gallery((), np.empty((0, 0), np.float32), np.empty(0, np.float32))


class Faces(SealedFaces):
    """Templates of residents who consent, in RAM while the vault is unlocked."""

    def __init__(self, stores: Stores, clock: TrustedClock, notices: frozenset[str]) -> None:
        super().__init__(stores, clock, notices)
        self._gallery: Gallery | None = None
        self._held: Gallery | None = None
        self.uncalibrated = ""
        """Why there are no figures by which a face could be decided on; empty where there are."""
        self._alike = LookAlikes()
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
        return self._alike.names

    @property
    def held(self) -> matching.Gallery | None:
        """The holder whose card was just read, alone, to be matched 1:1."""
        return self._held.view() if self._held is not None and self._held.residents else None

    @property
    def protection(self) -> str:
        """How the memory of templates and keys is kept (`vault/locked.Protection`)."""
        return weakest(self._gallery.protection, key_protection()) if self._gallery else "none"

    def add(self, resident: str, captures: Captures) -> None:
        """Put captures of shape (k, d) into the gallery as their mean, and overwrite them.

        Nothing is put there for somebody who withdrew while their template was being opened, or once the
        vault is locked.
        """
        self._forget(resident)
        self._put(self._gallery, resident, captures)

    def add_some(self, chunk: Chunk) -> None:
        """Put what `open_some` opened into the gallery, and overwrite it; as `add` for each."""
        with wiped(chunk.rows):
            if self._gallery is None or chunk.generation != self.generation or not self._stores.unlocked:
                return
            now = self._clock.now()
            for resident, row, penalty in zip(chunk.residents, chunk.rows, chunk.penalties, strict=True):
                if self.standing(resident, now) is Standing.LIVE:
                    self._forget(resident)
                    self._gallery.put(resident, row, penalty)

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
                self._alike.note(resident, nearer(gallery.rows[row], float(gallery.penalties[row]), limit, gallery))

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
        self._alike.forget(resident)

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
        """Whose templates there are to open, in the order of the file: some at a time, by `open_some`."""
        self.refused, self.unreadable = 0, None
        for known in (self.suspended, self.outdated, self.holders):
            known.clear()
        try:
            there = self._stores.need_vault().records()
        except StoreError as error:
            self.unreadable = error
            return []
        people = [(person.record, name) for name, person in list(self._stores.people.items())]
        return [name for record, name in sorted(people) if record in there]

    def desk(self, templates: int) -> Desk | None:
        """Where to open so many; None where there is no gallery any more. On the event loop. MemoryError."""
        if self._gallery is None or self.calibration is None:
            return None
        self._gallery.reserve(templates)
        return Desk(CHUNK, self.calibration.dimension, self.calibration.normaliser.scratch)

    def open_some(self, residents: Sequence[str], desk: Desk) -> Chunk:
        """Open the templates of CHUNK residents at most, of those whose consent lives. The caller gives it to
        `add_some`, before it opens others on this desk."""
        generation, calibration = self.generation, self.calibration  # in this order: a lock may fall between
        if calibration is None or calibration.dimension != desk.rows.shape[1]:  # locked meanwhile
            return Chunk()
        opened: list[str] = []
        rows = desk.rows
        try:
            for resident, row in self._rows(residents):
                captures = self._open_one(resident, row, desk)
                if captures is not None:
                    np.add.reduce(captures, axis=0, out=rows[len(opened)])
                    captures.fill(0.0)
                    opened.append(resident)
        except StoreError as error:
            self.unreadable = error
        except VaultLockedError:  # locked meanwhile
            pass
        well = calibration.normaliser.scale(rows[: len(opened)])
        for at in np.flatnonzero(~well)[::-1]:  # captures that cancel out: the last one takes their place
            self.refused += 1
            rows[at], opened[at] = rows[len(opened) - 1], opened[-1]
            opened.pop()
        rows = rows[: len(opened)]
        penalties = calibration.normaliser.each_penalty(rows, desk.scratch)
        desk.scratch.fill(0.0)
        return Chunk(generation, opened, rows, penalties.tolist())

    def reopen(self, resident: str) -> Captures | None:
        """One resident's captures after a renewed consent, if there is a template. StoreError."""
        if not (self._stores.unlocked and self.model):
            return None
        row = self._row(resident)
        return self._open_one(resident, row) if row is not None else None

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

    # --- when vision has told its network ----------------------------------------------------

    def use_model(self, model: bytes, calibration: Calibration) -> None:
        """Begin an empty gallery for this model's embeddings, with its figures."""
        self.close()
        self.model, self.calibration = model, calibration
        self._gallery, self._held = Gallery(calibration.dimension), Gallery(calibration.dimension)
