"""`ledger verify`: in the daemon, where it also asks whether the vault agrees; or on the file of a stopped gate."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from gatevault.core.checkpoint import read_note
from gatevault.core.errors import LedgerBrokenError
from gatevault.service.state import StateLock, StatePaths, check_bench_flag, open_house_keys, read_device
from gatevault.service.storage import StorageThread
from gatevault.service.stores import Stores
from gatevault.vault.audit import LedgerAudit, audit_ledger
from gatevault.vault.ledger import Ledger


async def verify(stores: Stores, storage: StorageThread, anchor: str | None) -> dict[str, Any]:
    """Audit the ledger page by page: entries made meanwhile are taken as well, and cards go between.

    CheckpointError for an anchor that cannot be read; StoreError where the ledger is not open or readable.
    """
    earlier = None if anchor is None else read_note(anchor)
    ledger = stores.need_ledger()
    audit = LedgerAudit(ledger)
    unmatched: dict[str, int] = {}

    def step() -> bool:
        if audit.step():
            return True
        _compare_templates(stores, audit)
        try:
            unmatched.update(ledger.unmatched())
        except LedgerBrokenError as error:
            audit.auditor.add(str(error))
        return False

    while await storage.run(step):
        pass
    report = await asyncio.to_thread(audit.report, earlier)
    return report.body() | {"unmatched_faces": unmatched}


def verify_stopped(root: Path, anchor: str | None) -> dict[str, Any]:
    """Audit the ledger of a gate whose daemon does not run. As `verify`; StateError where one runs."""
    paths = StatePaths(root)
    earlier = None if anchor is None else read_note(anchor)
    device = read_device(paths)
    lock = StateLock(paths)
    try:
        ledger = Ledger(paths.ledger, device.device, open_house_keys(paths))
        try:
            check_bench_flag(ledger, device)
            return audit_ledger(ledger, earlier).body()
        finally:
            ledger.close()
    finally:
        lock.release()


def _compare_templates(stores: Stores, audit: LedgerAudit) -> None:
    """Enrolments less erasures are the live templates, while no operation is half done."""
    if stores.registry is None or stores.vault is None or stores.registry.todos():
        return
    told, there = audit.auditor.templates, len(stores.vault.records())
    if told is not None and told != there:
        audit.auditor.add(f"the entries tell of {told} templates, and the vault has {there}")
