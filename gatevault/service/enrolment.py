"""Enrolment: a live consent, a look, captures that agree, one sealed record."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from gatevault.core import wire
from gatevault.core.consent import KeyMode, Receipt
from gatevault.core.entries import EntryType
from gatevault.core.errors import ConsentError, EnrolmentError
from gatevault.core.matching import template_mean, unit
from gatevault.core.settings import EnrolmentSettings
from gatevault.core.types import Scan, Vector, is_long_secret
from gatevault.core.wiped import wiped
from gatevault.service.eyes import Eyes
from gatevault.service.faces import fingerprint
from gatevault.service.house import House
from gatevault.service.own_taps import TOO_SHORT, OwnTaps
from gatevault.vault.keys import Secret, holder_key
from gatevault.vault.registry import TodoKind


class Enrolment:
    """Runs on the event loop; the disk work goes to the storage thread."""

    def __init__(self, house: House, eyes: Eyes, taps: OwnTaps) -> None:
        self._house = house
        self._eyes = eyes
        self._taps = taps

    async def enrol(
        self, resident: str, camera: str | None, tap: str | None, say: Callable[[str], None]
    ) -> dict[str, Any]:
        """Take captures of a resident who consents, and seal them in place of any earlier template.

        For a holder-key consent their card is read first; `tap` stands for it on a bench. The camera stays shut
        unless the consent lives and the vault is open. ConsentError, VaultLockedError, EnrolmentError,
        VisionDownError, StoreError.
        """
        house = self._house
        house.check_writable()
        house.stores.need_open_vault()
        await house.storage.run(house.stores.need_registry().resident, resident)
        receipt = house.faces.require_consent(resident)
        holder = await self._holder(resident, receipt, tap, say)
        say("The camera is looking: one person in front of it, from several sides.")
        captures = await self._capture(camera)
        matrix = np.stack(captures)
        _wipe(captures)
        model = house.faces.model

        def work() -> None:
            house.finish_all()  # an erasure that still owes its entry must not erase this template later
            house.faces.require_consent(resident)  # withdrawn meanwhile by five taps?
            row = house.faces.seal(resident, receipt, matrix, model, holder)
            replaces = house.faces.has_template(resident)
            payload = {"captures": len(matrix), "model": model.hex()[:16], "replaces": replaces}
            todo = house.todo(
                TodoKind.ENROL,
                resident,
                EntryType.ENROLLED,
                payload,
                record=row.record.hex(),
                sealed=fingerprint(row),
            )
            house.stores.need_registry().put_todo(todo)
            house.stores.need_open_vault().put(row)
            house.finish(todo)

        count = len(matrix)
        try:
            await house.storage.run(work)
            if holder is None:
                house.faces.add(resident, matrix)
            else:
                house.faces.drop(resident)
                house.faces.holders.add(resident)
        finally:
            matrix.fill(0.0)
            if holder is not None:
                holder.wipe()
        return {"resident": resident, "captures": count, "model": model.hex()[:16], "mode": receipt.mode.value}

    async def _holder(
        self, resident: str, receipt: Receipt, tap: str | None, say: Callable[[str], None]
    ) -> Secret | None:
        """The key that this resident's card gives, where their consent asks for one. ConsentError."""
        if receipt.mode is not KeyMode.HOLDER:
            return None
        say("By this consent the template opens with the resident's card alone: tap that card within 60 seconds.")
        number = await self._taps.of(resident, tap)
        if number is None or not is_long_secret(number):
            raise ConsentError(f"{'No card was tapped' if number is None else TOO_SHORT}: nothing was kept.")
        return holder_key(number, self._house.stores.house.record_id(resident))

    async def _capture(self, camera: str | None) -> list[Vector]:
        """Unit captures of one person, each shape (d,), different from one another and in agreement."""
        settings = self._house.settings.enrolment
        taken: list[Vector] = []
        hints: Counter[str] = Counter()
        try:
            async with self._eyes.look(wire.Purpose.ENROL, time.monotonic_ns(), camera) as events:
                async for event in events:
                    if isinstance(event, Scan):
                        _take(event, taken, settings.novelty)
                        if len(taken) >= settings.max_captures:
                            break
                    elif isinstance(event, wire.FrameEmpty):
                        hints[event.hint.value] += 1
                    elif isinstance(event, wire.LookDone) and event.end is wire.LookEnd.CAMERA:
                        raise EnrolmentError(f"The camera gave no look: {event.error} Nothing was kept.")
            _check(taken, hints, settings)
        except BaseException:  # also a command whose terminal hung up
            _wipe(taken)
            raise
        return taken


def _take(scan: Scan, taken: list[Vector], novelty: float) -> None:
    """Keep a scan's unit vector unless it adds nothing (cosine above `novelty`); wipe the scan."""
    try:
        capture = unit(scan.embedding)
        if scan.distinct and all(float(capture @ other) <= novelty for other in taken):
            taken.append(capture)
        else:
            capture.fill(0.0)
    finally:
        scan.wipe()


def _check(taken: list[Vector], hints: Counter[str], settings: EnrolmentSettings) -> None:
    """Refuse too few captures, and captures of different people."""
    if len(taken) < settings.min_captures:
        causes = ", ".join(f"{hint} in {n} frames" for hint, n in hints.most_common()) or "no other fault seen"
        raise EnrolmentError(
            f"{len(taken)} usable captures, {settings.min_captures} are needed ({causes}): nothing was kept. "
            "Alone, nearer, in even light, turning the head a little, and again."
        )
    with wiped(np.stack(taken)) as matrix, wiped(template_mean(matrix)) as mean:
        worst = float(np.vecdot(matrix, mean).min())
    if worst < settings.agreement:
        raise EnrolmentError("The captures show different people: nothing was kept. Only the resident, and again.")


def _wipe(captures: list[Vector]) -> None:
    for capture in captures:
        capture.fill(0.0)
