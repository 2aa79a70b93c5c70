"""What is recorded of this place: faces stay off until the impact assessment and the sign are (R17).

A record that is taken back, or not there, turns faces off at once and without a restart; cards never ask.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gatevault.core import control
from gatevault.core.entries import EntryType
from gatevault.core.errors import NotFoundError, UsageError
from gatevault.core.site import MISSING, InstallerRow, SiteKind, document_of, faces_off, read_record
from gatevault.service.house import House
from gatevault.service.stores import Stores
from gatevault.vault.registry import INSTALLER, TodoKind


class Site:
    """Asked by the event loop: RAM only."""

    def __init__(self, stores: Stores, *, required: bool) -> None:
        """`required`: whether faces wait for the records; on a gate they always do."""
        self._stores = stores
        self._required = required

    def faces_off(self) -> str:
        """Why faces are off, for whoever comes; empty where they are on."""
        return faces_off([kind for kind in SiteKind if kind in self._stores.site], self._required)

    def report(self) -> dict[str, Any]:
        """Its part of `status`. A gate for cards alone is no fault."""
        off, site = self.faces_off(), self._stores.site
        part: dict[str, Any] = {"state": "ok", "faces": "off" if off else "on", "required": self._required}
        part |= {kind.value: site[kind]["date"] if kind in site else None for kind in SiteKind}
        part["installer"] = installer_standing(self.installer)
        return part | ({"reason": f"{off}. Cards work; `gatevault site record` ends it."} if off else {})

    @property
    def installer(self) -> InstallerRow | None:
        row = self._stores.site.get(INSTALLER)
        return msgspec.convert(row, InstallerRow) if row is not None else None


def installer_standing(row: InstallerRow | None) -> str:
    """For people: whether an installer may set this gate up."""
    if row is None:
        return "none was admitted"
    return f"ended {row.ended}" if row.ended else f"admitted {row.admitted}"


class SiteDesk:
    """Records and revokes. Runs on the event loop; the disk work goes to the storage thread."""

    def __init__(self, house: House, site: Site) -> None:
        self._house = house
        self._site = site

    async def show(self) -> dict[str, Any]:
        """Both records as they were made, and what else the handover sheet tells of this device."""
        house = self._house

        def work() -> dict[str, Any]:
            registry, ledger = house.stores.need_registry(), house.stores.need_ledger()
            return {
                **{kind.value: house.stores.site.get(kind) for kind in SiteKind},
                "faces": self._site.faces_off() or "on",
                "installer": installer_standing(self._site.installer),
                "ledger_key": ledger.key.text(),
                "receipts_key": registry.receipts_key,
            }

        return await house.storage.run(work)

    async def record(self, command: control.SiteRecord, by: str) -> dict[str, Any]:
        """Keep a record in place of an earlier one of its kind. UsageError, StoreError."""
        content = _content(command)
        await self._change(command.kind, content, EntryType.SITE_RECORDED, by)
        return {"recorded": command.kind.value, "faces": self._site.faces_off() or "on"}

    async def revoke(self, kind: SiteKind) -> dict[str, Any]:
        """Faces are off from this moment, whatever becomes of the disk. NotFoundError, StoreError."""
        if self._house.stores.site.pop(kind, None) is None:
            raise NotFoundError(f"There is nothing to revoke: {MISSING[kind]}.")
        await self._change(kind, None, EntryType.SITE_REVOKED, "admin")
        return {"revoked": kind.value, "faces": self._site.faces_off() or "on"}

    async def _change(self, kind: SiteKind, content: dict[str, Any] | None, entry: EntryType, by: str) -> None:
        house = self._house

        def work() -> None:
            house.check_open() if content is None else house.check_writable()
            registry = house.stores.need_registry()
            todo = house.todo(TodoKind.NOTE, "", entry, {"record": kind.value, "by": by})
            if content is None:
                registry.drop_site(kind, todo)
            else:
                registry.put_site(kind, content, todo)
                house.stores.site[kind] = content
            house.finish(todo)

        await house.storage.run(work)


def _content(command: control.SiteRecord) -> dict[str, Any]:
    given = {"date": command.date, "by": command.by, "text": command.text, "where": command.where}
    given["document"] = document_of(command.document) if command.document is not None else None
    try:
        record = read_record(command.kind, {name: value for name, value in given.items() if value is not None})
    except ValueError as error:
        raise UsageError(f"That is no record of the {command.kind}: {error}. Nothing was changed.") from None
    content: dict[str, Any] = msgspec.to_builtins(record)
    return content
