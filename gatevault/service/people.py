"""Residents, cards and consent: what an admin does at the terminal, each with its entry in the ledger."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from gatevault.core.consent import (
    ConsentState,
    Event,
    KeyMode,
    NoticeRef,
    Receipt,
    Standing,
    is_child,
    months_later,
    stamp,
)
from gatevault.core.entries import EntryType
from gatevault.core.errors import ConsentError, NotFoundError
from gatevault.core.types import is_long_secret
from gatevault.service import notice
from gatevault.service.house import House
from gatevault.service.own_taps import TOO_SHORT, OwnTaps, typed_card
from gatevault.service.stores import Person
from gatevault.vault.registry import CARD_NAME, Registry, Resident, TodoKind


class People:
    """Runs on the event loop; the disk work goes to the storage thread."""

    def __init__(self, house: House, taps: OwnTaps) -> None:
        self._house = house
        self._taps = taps

    # --- residents ---------------------------------------------------------------------------

    async def add(self, name: str, born: str | None) -> dict[str, Any]:
        """A new resident; the answer is their random pseudonym. StoreError."""
        house, resident = self._house, f"r-{secrets.token_hex(8)}"

        def work() -> None:
            house.check_writable()
            row = Resident(name, born, secrets.token_hex(32))
            subject = Person(born, None, bytes.fromhex(row.subject_key)).subject(house.clock.now())
            todo = house.todo(TodoKind.NOTE, resident, EntryType.RESIDENT_ADDED, {"subject": subject})
            house.stores.need_registry().add_resident(resident, row, todo)
            house.stores.load_person(resident)
            house.finish(todo)

        await house.storage.run(work)
        return {"resident": resident}

    async def show(self, resident: str) -> dict[str, Any]:
        """What an admin may see of one resident. That it was seen is entered first."""

        def work() -> dict[str, Any]:
            registry = self._read(resident, "show")
            row = registry.resident(resident)
            return {
                "resident": resident,
                "name": row.name,
                "born": row.born,
                "cards": sum(owner == resident for owner in self._house.stores.cards.values()),
                "consent": self._house.faces.standing(resident).value,
                "template": self._template(resident),
                "enrol_again": resident in self._house.faces.outdated,
            }

        return await self._house.storage.run(work)

    def _template(self, resident: str) -> str:
        if resident in self._house.faces.alike:
            return "look-alike"
        if resident in self._house.faces.residents:
            return "active"
        if resident in self._house.faces.holders:
            return "holder-key"
        if self._house.stores.vault is None:
            return "unknown"
        return "suspended" if self._house.faces.has_template(resident) else "none"

    async def export(self, resident: str) -> dict[str, Any]:
        """All that is held on one resident, for that resident: no other person is in it."""

        def work() -> dict[str, Any]:
            registry = self._read(resident, "export")
            row = registry.resident(resident)
            receipts = [
                {"receipt": receipt.body(), "signature": signature}
                for receipt, signature in registry.receipts(resident)
            ]
            return {
                "resident": resident,
                "name": row.name,
                "born": row.born,
                "cards": sum(owner == resident for owner in self._house.stores.cards.values()),
                "template": self._template(resident),
                "receipts": receipts,
                "certificates": registry.certificates(resident),
                "receipts_key": registry.receipts_key,
                "events": self._events(resident),
            }

        return await self._house.storage.run(work)

    def _read(self, resident: str, what: str) -> Registry:
        registry = self._house.stores.need_registry()
        registry.resident(resident)
        self._house.journal.write(EntryType.RESIDENT_READ, {"what": what}, resident=resident)
        return registry

    def _events(self, resident: str) -> list[dict[str, Any]]:
        """Every ledger entry about one resident, found by their monthly pseudonyms."""
        person, ledger = self._house.stores.people[resident], self._house.stores.need_ledger()
        found: list[dict[str, Any]] = []
        start = 0
        while page := ledger.entries(start):
            for header, payload in page:
                if payload and "subject" in payload and payload["subject"] == person.subject_at(payload["time"]):
                    found.append({"entry": header.i, "type": header.type.value, **payload})
            start += len(page)
        return found

    # --- cards -------------------------------------------------------------------------------

    async def add_card(self, resident: str, number: str) -> dict[str, Any]:
        """Give a resident a card. ConflictError where it is somebody's already."""
        house, card = self._house, typed_card(number)

        def work() -> None:
            house.check_writable()
            todo = house.todo(TodoKind.NOTE, resident, EntryType.CARD_ADDED, self._named(card))
            house.stores.need_registry().add_card(card, resident, todo)
            house.stores.reload_cards()
            house.finish(todo)

        await house.storage.run(work)
        return {"resident": resident, "card": "added"}

    async def remove_card(self, number: str) -> dict[str, Any]:
        """Take a card from its resident: it opens nothing from now on. NotFoundError."""
        house, card = self._house, typed_card(number)

        def work() -> str:
            house.check_writable()
            owner = house.stores.need_registry().card_owner(card)
            todo = house.todo(TodoKind.NOTE, owner, EntryType.CARD_REMOVED, self._named(card))
            house.stores.need_registry().remove_card(card, todo)
            house.stores.reload_cards()
            house.finish(todo)
            return owner

        return {"resident": await house.storage.run(work), "card": "removed"}

    def _named(self, card: str) -> dict[str, Any]:
        """How an entry names a card: a restore must know which was taken away."""
        return {"card": self._house.stores.house.card_hash(card).hex()[:CARD_NAME]}

    # --- consent -----------------------------------------------------------------------------

    def notice(self, language: str) -> dict[str, Any]:
        """The notice to be shown, and the hash that `consent give` must name."""
        shown = notice.render(language, self._house.settings)
        return {"language": language, "version": notice.VERSION, "sha256": shown.sha256, "text": shown.text}

    async def give_consent(
        self,
        resident: str,
        language: str,
        sha256: str,
        tap: str | None,
        mode: KeyMode,
        say: Callable[[str], None],
    ) -> dict[str, Any]:
        """Complete a consent by the resident's own card; without that tap there is none.

        `tap` stands for the card on a bench. ConsentError for a child, another notice than today's, a
        resident without a card, or no tap in time.
        """
        house = self._house
        await house.storage.run(self._may_consent, resident, language, sha256)
        say("The notice was shown. To agree, the resident taps their own card at the reader within 60 seconds.")
        number = await self._taps.of(resident, tap)
        if number is None:
            raise ConsentError("No card of this resident was tapped: there is no consent, and nothing was kept.")
        if mode is KeyMode.HOLDER and not is_long_secret(number):
            raise ConsentError(f"{TOO_SHORT}: there is no consent, and nothing was kept.")
        person = house.stores.people.get(resident)
        if person is not None and person.receipt is not None and person.receipt.mode is not mode:
            house.faces.drop(resident)  # the template of the other mode is erased
        try:
            receipt = await house.storage.run(self._keep_consent, resident, language, sha256, mode)
        finally:
            renewed = await house.storage.run(house.faces.reopen, resident)
            if renewed is not None:
                house.faces.add(resident, renewed)
        return {
            "resident": resident,
            "receipt": receipt.receipt_id,
            "expires": receipt.expires,
            "mode": receipt.mode.value,
        }

    def _may_consent(self, resident: str, language: str, sha256: str) -> None:
        house = self._house
        house.check_writable()
        house.finish_all()  # an enrolment that owes its entry is known by its record, which a renewal changes
        row = house.stores.need_registry().resident(resident)
        if is_child(row.born, house.clock.now()):
            raise ConsentError("This resident is under 14: the face is off, the card opens. Nothing was kept.")
        if notice.render(language, house.settings).sha256 != sha256:
            raise ConsentError("The notice that was shown is not today's: show it again. Nothing was kept.")
        if resident not in house.stores.cards.values():
            raise ConsentError("This resident has no card: add one first, for only their own card can consent.")

    def _keep_consent(self, resident: str, language: str, sha256: str, mode: KeyMode) -> Receipt:
        house = self._house
        registry, now = house.stores.need_registry(), house.clock.now()
        previous = registry.receipt(resident)
        live = previous is not None and previous.events[-1].state is ConsentState.GIVEN
        renews = (
            live and previous is not None and previous.mode is mode
        )  # a template never changes whose key opens it
        receipt = Receipt(
            receipt_id=f"c-{secrets.token_hex(16)}",
            record_id=f"cr-{secrets.token_hex(8)}",
            pii_principal_id=resident,
            notice=NoticeRef(notice.VERSION, sha256, language),
            controllers=(house.settings.consent.controller,),
            storage_locations=(house.stores.device.device,),
            expires=stamp(months_later(now, house.settings.consent.months)),
            events=(Event(stamp(now), ConsentState.GIVEN),),
            supersedes=previous.receipt_id if previous and renews else None,
            mode=mode,
        )
        receipts = [receipt]
        if previous and live:
            receipts.insert(0, previous.ended(ConsentState.SUPERSEDED, now))
        payload = {"notice": sha256[:16], "language": language, "renews": renews, "mode": mode.value}
        todos = [house.todo(TodoKind.NOTE, resident, EntryType.CONSENT_GIVEN, payload)]
        if live and not renews and house.faces.has_template(resident):
            todos.append(house.erasing(TodoKind.ERASE, resident, EntryType.PURGED, {"way": "mode-changed"}))
        with house.changed(resident):
            registry.put_receipts(receipts, *todos)
            for todo in todos:
                house.finish(todo)
        return receipt

    async def show_consent(self, resident: str) -> dict[str, Any]:
        """The resident's latest receipt and its standing."""

        def work() -> dict[str, Any]:
            registry = self._read(resident, "consent")
            receipt = registry.receipt(resident)
            standing = self._house.faces.standing(resident)
            if receipt is None or standing is Standing.NONE:
                raise NotFoundError("This resident has not consented: there is no receipt.")
            return {"resident": resident, "standing": standing.value, "receipt": receipt.body()}

        return await self._house.storage.run(work)
