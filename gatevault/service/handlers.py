"""Each command of the control socket, and the flow that answers it."""

from __future__ import annotations

from typing import Any

from gatevault.core import control, wire
from gatevault.core.bundle import sheet_of
from gatevault.core.entries import EntryType
from gatevault.core.errors import BenchOnlyError, UsageError
from gatevault.core.types import CardRead, canonical_card
from gatevault.service.audit import verify
from gatevault.service.control import COMMANDER, Handler, Say
from gatevault.service.gate import Gate
from gatevault.service.inspection import vault_check
from gatevault.service.state import KeyOptions
from gatevault.service.status import report
from gatevault.service.timekeeper import set_clock
from gatevault.vault.ledger_rows import readable


def handlers(gate: Gate) -> dict[type[wire.Message], Handler]:
    """The table that the control server dispatches by: every command of `control.Command`."""
    people, erasure = gate.people, gate.erasure

    async def status(_: control.Status, say: Say) -> dict[str, Any]:
        return report(gate)

    async def walk_up(command: control.WalkUp, say: Say) -> dict[str, Any]:
        _bench_only(gate, "walk-up")
        return (await gate.access.face(command.camera, command.tier)).body()

    async def tap(command: control.Tap, say: Say) -> dict[str, Any]:
        _bench_only(gate, "tap")
        try:
            read = CardRead(canonical_card(command.number), "bench")
        except ValueError as error:
            raise UsageError(f"That is no card number: {error}.") from None
        return (await gate.access.card(read, repeat_ms=0)).body()

    async def enrol(command: control.Enrol, say: Say) -> dict[str, Any]:
        if command.camera is not None and not gate.stores.device.bench:
            raise BenchOnlyError("--camera belongs to a bench: a gate enrols with the camera of its config.toml.")
        return await gate.enrolment.enrol(command.resident, command.camera, command.tap, command.another, say)

    async def consent_give(c: control.ConsentGive, say: Say) -> dict[str, Any]:
        answer = await people.give_consent(c.resident, c.language, c.sha256, c.tap, c.mode, say)
        gate.panel.consent_done()
        return answer

    async def consent_withdraw(c: control.ConsentWithdraw, say: Say) -> dict[str, Any]:
        return await erasure.withdraw(c.resident, "admin")

    async def door_unlock(_: control.DoorUnlock, say: Say) -> dict[str, Any]:
        await gate.journal.enter(EntryType.DOOR_HELD, {"way": "admin"})
        gate.doorway.hold()
        return _door(gate)

    async def door_lock(_: control.DoorLock, say: Say) -> dict[str, Any]:
        gate.doorway.lock()  # done, whatever becomes of its entry
        await gate.journal.enter_soon(EntryType.DOOR_LOCKED, {"way": "admin"})
        return _door(gate)

    async def ledger_export(c: control.LedgerExport, say: Say) -> dict[str, Any]:
        ledger = gate.stores.need_ledger()

        def work() -> dict[str, Any]:  # entries and checkpoint of one moment
            page = [sheet_of(readable(entry)) for entry in ledger.page(c.start)]
            told = {"size": ledger.size, "checkpoint": ledger.note, "key": ledger.key.text(), "entries": page}
            registry = gate.stores.registry
            return told | ({"receipts_key": registry.receipts_key} if registry is not None else {})

        return await gate.storage.run(work)

    async def clock_set(c: control.ClockSet, say: Say) -> dict[str, Any]:
        told = await set_clock(gate.clock, gate.journal, c.time, c.far, COMMANDER.get().uid)
        return told | {"bench": gate.stores.device.bench}

    async def notice(c: control.Notice, say: Say) -> dict[str, Any]:
        return people.notice(c.language)

    async def site_record(c: control.SiteRecord, say: Say) -> dict[str, Any]:
        if c.signature:
            gate.installer.check(c)
        return await gate.site_desk.record(c, "installer" if c.signature else "admin")

    async def aim(c: control.Aim, say: Say) -> dict[str, Any]:
        if c.camera is not None and not gate.stores.device.bench:
            raise BenchOnlyError("--camera belongs to a bench: a gate is aimed by the camera of its config.toml.")
        return await gate.installer.aim(c, say)

    async def test_part(c: control.PartTest, say: Say) -> dict[str, Any]:
        gate.installer.check(c)
        return await gate.installer.test(c.part)

    async def backup_page(c: control.BackupPage, say: Say) -> dict[str, Any]:
        return gate.backup.page(c.sha256, c.start)

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
        control.VaultLock: lambda c, say: gate.keys.lock("admin"),
        control.VaultUnlock: lambda c, say: gate.keys.unlock(c.passphrase),
        control.VaultCheck: lambda c, say: gate.house.storage.run(vault_check, gate.stores),
        control.KeyShow: lambda c, say: gate.keys.show(),
        control.KeyRotate: lambda c, say: gate.keys.rotate(),
        control.KeyMove: lambda c, say: gate.keys.move(c.to, KeyOptions(c.passphrase, c.pcrs, c.tpm_index)),
        control.BackupMake: lambda c, say: gate.backup.make(c.recipient),
        control.BackupPage: backup_page,
        control.LedgerVerify: lambda c, say: verify(gate.stores, gate.storage, c.anchor),
        control.LedgerExport: ledger_export,
        control.ClockSet: clock_set,
        control.SiteShow: lambda c, say: gate.site_desk.show(),
        control.SiteRecord: site_record,
        control.SiteRevoke: lambda c, say: gate.site_desk.revoke(c.kind),
        control.InstallerAdmit: lambda c, say: gate.installer.admit(c.public),
        control.InstallerEnd: lambda c, say: gate.installer.end(),
        control.Aim: aim,
        control.PartTest: test_part,
    }


def _door(gate: Gate) -> dict[str, Any]:
    body: dict[str, Any] = {"door": gate.doorway.state.value, "relay": gate.doorway.state.value != "locked"}
    return body | ({"fault": str(gate.doorway.fault)} if gate.doorway.fault else {})


def _bench_only(gate: Gate, what: str) -> None:
    if not gate.stores.device.bench:
        raise BenchOnlyError(f"`gatevault {what}` belongs to a bench state: this is a real gate.")
