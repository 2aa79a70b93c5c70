"""Restoring a backup into a new state, and honouring what was withdrawn, removed or taken away after it was made.

A backup does not know what came later; the ledger does. So `later`, a ledger exported from the device
afterwards, is verified, must continue the backup's, becomes the ledger of the new state, and is read: whoever
withdrew has no consent, whoever was removed is not there, a card that was taken away opens nothing. Without it
every consent ends, since nobody can tell which of them was withdrawn; cards and residents removed later are
back, and the command's user has said to know it.

No template is in a backup: everybody enrols anew.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gatevault.core.bundle import read_bundle
from gatevault.core.checkpoint import read_note
from gatevault.core.consent import ConsentState, stamp
from gatevault.core.entries import Entry, EntryType
from gatevault.core.errors import BackupError
from gatevault.service.clock import TrustedClock
from gatevault.service.making import build_aside
from gatevault.service.state import FORMAT, Device, KeyOptions, StatePaths
from gatevault.service.stores import Person
from gatevault.vault.audit import audit_bundle
from gatevault.vault.backup import Contents, unpack
from gatevault.vault.files import write_new
from gatevault.vault.keys import HouseKeys, Secret
from gatevault.vault.ledger import Ledger
from gatevault.vault.providers.file import FileKeyProvider
from gatevault.vault.registry import Registry, Todo, TodoKind


@dataclass(slots=True)
class Later:
    """What happened after the backup. `unclear` counts entries that can no longer tell whom they were about."""

    withdrawn: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    cards: set[str] = field(default_factory=set)
    added: int = 0
    unclear: int = 0


def restore(
    root: Path, raw: bytes, key_file: Path, later: bytes | None, *, keys: str, options: KeyOptions
) -> dict[str, Any]:
    """Make a state in `root`, absent or empty, from a backup; `later` is an exported ledger, or None.

    BackupError where backup, key or ledger are not what they should be; StateError as `make_state`.
    """
    contents = unpack(raw, key_file)
    told: dict[str, Any] = {}

    def fill(paths: StatePaths) -> None:
        write_new(paths.config, contents.config.encode(), 0o640)
        FileKeyProvider(paths.house_key).put(Secret(contents.house_key))
        write_new(paths.registry, contents.registry)
        told.update(_fill_stores(paths, contents, later))

    build_aside(root, Device(FORMAT, contents.device, contents.bench), fill, keys, options)
    return {"state": str(root), "device": contents.device, "made": contents.made, **told}


def _fill_stores(paths: StatePaths, contents: Contents, later: bytes | None) -> dict[str, Any]:
    house = HouseKeys.derive(Secret(contents.house_key))
    registry = Registry(paths.registry, contents.device, house)
    try:
        registry.check()
        ledger, news = _restored_ledger(paths, contents, house, registry, later)
        try:
            clock = TrustedClock(ledger.latest())
            ended = _apply(registry, news, clock)
            payload = {"time": stamp(clock.now()), "backup": contents.made, "later": later is not None}
            ledger.append(clock.moment(), EntryType.RESTORED, payload | {"consents_ended": ended, "templates": 0})
            return {
                "ledger_key": ledger.key.text(),
                "entries": ledger.size,
                "residents": len(registry.residents()),
                "cards": len(registry.cards()),
                "consents_ended": ended,
                "residents_removed": len(news.removed) if news else 0,
                "cards_removed": len(news.cards) if news else 0,
                "residents_added_later": news.added if news else None,
                "unclear_entries": news.unclear if news else None,
            }
        finally:
            ledger.close()
    finally:
        registry.close()


def _restored_ledger(
    paths: StatePaths, contents: Contents, house: HouseKeys, registry: Registry, later: bytes | None
) -> tuple[Ledger, Later | None]:
    """The ledger of the new state: the backup's, or the one that continues it. LedgerBrokenError, BackupError."""
    write_new(paths.ledger, contents.ledger)
    ledger = Ledger(paths.ledger, contents.device, house)
    if later is None:
        return ledger, None
    size, note = ledger.size, ledger.note
    report = audit_bundle(later, ledger.key.text(), note)
    ledger.close()
    if report.problems:
        raise BackupError(
            f"The later ledger does not verify, or does not continue the backup's ({report.problems[0].problem}): "
            "export it again from that device. Nothing was restored."
        )
    bundle = read_bundle(later)
    entries = [entry for sheet in bundle.entries if isinstance(entry := sheet.entry(), Entry)]
    for file in (paths.ledger, *paths.root.glob("ledger.db-*")):
        file.unlink(missing_ok=True)
    ledger = Ledger(paths.ledger, contents.device, house)
    ledger.adopt(read_note(bundle.checkpoint).checkpoint, entries)
    return ledger, _read_later(entries[size:], _people(registry))


def _people(registry: Registry) -> dict[str, Person]:
    return {
        name: Person(row.born, None, bytes.fromhex(row.subject_key))
        for name in registry.residents()
        for row in (registry.resident(name),)
    }


def _read_later(entries: Iterable[Entry], people: dict[str, Person]) -> Later:
    """What later entries say of residents that the backup knows, by their pseudonyms of the month."""
    news = Later()
    subjects: dict[str, dict[str, str]] = {}
    for entry in entries:
        kind = entry.header.type
        if kind is EntryType.RESIDENT_ADDED:
            news.added += 1
        if kind not in (EntryType.CONSENT_WITHDRAWN, EntryType.RESIDENT_REMOVED, EntryType.CARD_REMOVED):
            continue
        if entry.opening is None:
            news.unclear += 1
            continue
        payload = entry.opening.payload
        month = str(payload["time"])[:7]
        if month not in subjects:
            subjects[month] = {person.subject_at(payload["time"]): name for name, person in people.items()}
        who = subjects[month].get(str(payload.get("subject")))
        if kind is EntryType.CARD_REMOVED:
            news.cards.add(str(payload["card"]))
        elif who is not None:
            (news.removed if kind is EntryType.RESIDENT_REMOVED else news.withdrawn).add(who)
    return news


def _apply(registry: Registry, news: Later | None, clock: TrustedClock) -> int:
    """Take what was taken since; how many consents ended. Each is entered at the daemon's first start."""
    doubtful = news is None or news.unclear > 0
    if news is not None:
        for resident in news.removed:
            registry.remove_resident(resident)
        registry.remove_cards(news.cards)
    ended = 0
    for resident in registry.residents():
        receipt = registry.receipt(resident)
        withdrawn = news is not None and resident in news.withdrawn
        if receipt is None or receipt.events[-1].state is not ConsentState.GIVEN or not (doubtful or withdrawn):
            continue
        state = ConsentState.WITHDRAWN if withdrawn else ConsentState.EXPIRED
        person = Person(None, receipt, bytes.fromhex(registry.resident(resident).subject_key))
        payload = {"way": "restore", "template": False, "subject": person.subject(clock.now())}
        todo = Todo(secrets.token_hex(16), TodoKind.NOTE, resident, EntryType.CONSENT_WITHDRAWN, payload, {})
        registry.put_receipts([receipt.ended(state, clock.now())], todo)
        ended += 1
    return ended
