"""Each command of the control socket, and the flow that answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gatevault.core import control, wire
from gatevault.core.chain import EntryType
from gatevault.core.errors import BenchOnlyError, UsageError
from gatevault.core.types import CardRead, canonical_card
from gatevault.service.control import Handler, Say

if TYPE_CHECKING:
    from gatevault.service.daemon import Daemon


def handlers(daemon: Daemon) -> dict[type[wire.Message], Handler]:
    """The table that the control server dispatches by: every command of `control.Command`."""
    people, erasure = daemon.people, daemon.erasure

    async def status(_: control.Status, say: Say) -> dict[str, Any]:
        return daemon.status()

    async def walk_up(command: control.WalkUp, say: Say) -> dict[str, Any]:
        _bench_only(daemon, "walk-up")
        return (await daemon.access.face(command.camera)).body()

    async def tap(command: control.Tap, say: Say) -> dict[str, Any]:
        _bench_only(daemon, "tap")
        try:
            read = CardRead(canonical_card(command.number), "bench")
        except ValueError as error:
            raise UsageError(f"That is no card number: {error}.") from None
        return (await daemon.access.card(read, repeat_ms=0)).body()

    async def enrol(command: control.Enrol, say: Say) -> dict[str, Any]:
        if command.camera is not None and not daemon.stores.device.bench:
            raise BenchOnlyError("--camera belongs to a bench: a gate enrols with the camera of its config.toml.")
        return await daemon.enrolment.enrol(command.resident, command.camera, say)

    async def consent_give(c: control.ConsentGive, say: Say) -> dict[str, Any]:
        answer = await people.give_consent(c.resident, c.language, c.sha256, c.tap, say)
        daemon.panel.consent_done()
        return answer

    async def consent_withdraw(c: control.ConsentWithdraw, say: Say) -> dict[str, Any]:
        return await erasure.withdraw(c.resident, "admin")

    async def door_unlock(_: control.DoorUnlock, say: Say) -> dict[str, Any]:
        await daemon.journal.enter(EntryType.DOOR_HELD, {"way": "admin"})
        daemon.doorway.hold()
        return _door(daemon)

    async def door_lock(_: control.DoorLock, say: Say) -> dict[str, Any]:
        daemon.doorway.lock()
        await daemon.journal.enter(EntryType.DOOR_LOCKED, {"way": "admin"})
        return _door(daemon)

    async def ledger_verify(_: control.LedgerVerify, say: Say) -> dict[str, Any]:
        ledger = daemon.stores.need_ledger()
        count = await daemon.storage.run(ledger.verify)
        return {"ok": True, "entries": count, "head": ledger.head}

    async def ledger_export(c: control.LedgerExport, say: Say) -> dict[str, Any]:
        ledger = daemon.stores.need_ledger()
        page = await daemon.storage.run(ledger.entries, c.start)
        entries = [msgspec.to_builtins(header) | {"payload": payload} for header, payload in page]
        return {"size": ledger.size, "head": ledger.head, "entries": entries}

    async def notice(c: control.Notice, say: Say) -> dict[str, Any]:
        return people.notice(c.language)

    return {
        control.Status: status,
        control.WalkUp: walk_up,
        control.Tap: tap,
        control.ResidentAdd: lambda c, say: people.add(c.name, c.born),
        control.ResidentShow: lambda c, say: people.show(c.resident),
        control.ResidentExport: lambda c, say: people.export(c.resident),
        control.ResidentRemove: lambda c, say: erasure.remove(c.resident),
        control.CardAdd: lambda c, say: people.add_card(c.resident, c.number),
        control.CardRemove: lambda c, say: people.remove_card(c.number),
        control.Notice: notice,
        control.ConsentGive: consent_give,
        control.ConsentWithdraw: consent_withdraw,
        control.ConsentShow: lambda c, say: people.show_consent(c.resident),
        control.Enrol: enrol,
        control.Purge: lambda c, say: erasure.purge(c.resident),
        control.DoorUnlock: door_unlock,
        control.DoorLock: door_lock,
        control.LedgerVerify: ledger_verify,
        control.LedgerExport: ledger_export,
    }


def _door(daemon: Daemon) -> dict[str, Any]:
    body: dict[str, Any] = {"door": daemon.doorway.state.value, "relay": daemon.doorway.state.value != "locked"}
    return body | ({"fault": str(daemon.doorway.fault)} if daemon.doorway.fault else {})


def _bench_only(daemon: Daemon, what: str) -> None:
    if not daemon.stores.device.bench:
        raise BenchOnlyError(f"`gatevault {what}` belongs to a bench state: this is a real gate.")
