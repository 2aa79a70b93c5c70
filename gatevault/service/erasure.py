"""Withdrawal, purge, removal, expiry: the ways in which a template ends. Each commits first, then erases."""

from __future__ import annotations

import dataclasses
from typing import Any

from gatevault.core.consent import ConsentState, Standing
from gatevault.core.entries import EntryType
from gatevault.core.errors import ConsentError, NotFoundError
from gatevault.service.house import House
from gatevault.vault.registry import TodoKind


class Erasure:
    """Runs on the event loop; the disk work goes to the storage thread."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._owed: dict[str, tuple[str, str]] = {}
        """Withdrawals that the disk refused: receipt and way by resident. `settle` tries them again."""

    async def withdraw(self, resident: str, way: str) -> dict[str, Any]:
        """End a resident's consent and destroy their template; `way` is `card` or `admin`.

        The face stops opening at once, in RAM, whatever the disk does after. ConsentError where there
        is nothing to withdraw; StoreError where it could not be made durable: `settle` will, or the
        resident again, but a restart before that forgets it.
        """
        house = self._house
        person = house.stores.people.get(resident)
        if person is None:
            house.stores.need_registry()
            raise NotFoundError(f"There is no resident {resident}: see the pseudonym that `resident add` gave.")
        if person.receipt is None or person.receipt.events[-1].state is not ConsentState.GIVEN:
            raise ConsentError("There is no consent to withdraw: the card goes on opening the gate.")
        house.faces.drop(resident)
        ended = person.receipt.ended(ConsentState.WITHDRAWN, house.clock.now())
        house.stores.people[resident] = dataclasses.replace(person, receipt=ended)

        def work() -> dict[str, Any] | None:
            todo = house.erasing(TodoKind.ERASE, resident, EntryType.CONSENT_WITHDRAWN, {"way": way})
            with house.changed(resident):
                house.stores.need_registry().put_receipts([ended], todo)
                return house.finish(todo)

        self._owed[resident] = (ended.receipt_id, way)
        certificate = await house.storage.run(work)
        del self._owed[resident]
        return {"resident": resident, "certificate": certificate}

    async def settle(self) -> None:
        """End what the disk has refused so far: operations half done, and withdrawals. StoreError."""
        house = self._house
        if house.stores.registry is None:
            return
        await house.storage.run(house.finish_all)
        for resident, (receipt_id, way) in list(self._owed.items()):
            person = house.stores.people.get(resident)
            same = person is not None and person.receipt is not None and person.receipt.receipt_id == receipt_id
            if same and house.faces.standing(resident) is not Standing.WITHDRAWN:
                await self.withdraw(resident, way)
            self._owed.pop(resident, None)

    async def purge(self, resident: str) -> dict[str, Any]:
        """Destroy a template and keep the consent. NotFoundError where there is none; StoreError."""
        house = self._house

        def check() -> None:
            house.check_open()
            house.stores.need_registry().resident(resident)
            if not house.faces.has_template(resident):
                raise NotFoundError("This resident has no template: there is nothing to purge.")

        def work() -> dict[str, Any] | None:
            todo = house.erasing(TodoKind.ERASE, resident, EntryType.PURGED, {"way": "admin"})
            house.stores.need_registry().put_todo(todo)
            return house.finish(todo)

        await house.storage.run(check)
        house.faces.drop(resident)
        return {"resident": resident, "certificate": await house.storage.run(work)}

    async def remove(self, resident: str) -> dict[str, Any]:
        """Take everything of a resident: template, name, cards, receipts, certificates. NotFoundError."""
        house = self._house

        def check() -> None:
            house.check_open()
            house.stores.need_registry().resident(resident)

        def work() -> dict[str, Any] | None:
            todo = house.erasing(TodoKind.REMOVE, resident, EntryType.RESIDENT_REMOVED, {})
            house.stores.need_registry().put_todo(todo)
            return house.finish(todo)

        await house.storage.run(check)
        house.faces.drop(resident)
        return {"resident": resident, "certificate": await house.storage.run(work)}

    async def expire(self) -> int:
        """Destroy the templates whose consent has run out; how many."""
        house = self._house
        if house.stores.registry is None or house.stores.vault is None or house.stores.ledger is None:
            return 0
        ended = [r for r in list(house.stores.people) if house.faces.standing(r) is Standing.EXPIRED]

        def work(resident: str) -> int:
            if not house.faces.has_template(resident):
                return 0
            todo = house.erasing(TodoKind.ERASE, resident, EntryType.PURGED, {"way": "expired"})
            house.stores.need_registry().put_todo(todo)
            house.finish(todo)
            return 1

        count = 0
        for resident in ended:
            house.faces.drop(resident)
            count += await house.storage.run(work, resident)
        return count
