"""Restoring a backup into a new state, and honouring what was withdrawn, removed or taken away after it was made.

A backup does not know what came later; the ledger does. So `later`, a ledger exported from the device
afterwards, is verified, must continue the backup's, becomes the ledger of the new state, and is read (`later.py`):
whoever withdrew has no consent, whoever was removed is not there, a card that was taken away opens nothing.
Without it, and where it has forgotten whom it speaks of, every consent ends, since nobody can tell which of them
was withdrawn; cards and residents removed later are back, and the command's user has said to know it.

No template is in a backup: everybody enrols anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from gatevault.core.bundle import read_bundle
from gatevault.core.checkpoint import read_note
from gatevault.core.consent import ConsentState, Event, Receipt, stamp
from gatevault.core.entries import Entry, EntryType
from gatevault.core.errors import BackupError
from gatevault.service.clock import TrustedClock
from gatevault.service.journal import tell_step
from gatevault.service.later import Later, read_later
from gatevault.service.making import build_aside
from gatevault.service.state import FORMAT, Device, KeyOptions, StatePaths, check_bench_flag
from gatevault.service.stores import Person
from gatevault.vault.audit import audit_bundle
from gatevault.vault.backup import Contents, unpack
from gatevault.vault.files import write_new
from gatevault.vault.keys import HouseKeys, Secret
from gatevault.vault.ledger import Ledger
from gatevault.vault.providers.file import FileKeyProvider
from gatevault.vault.registry import Registry, Todo, TodoKind

_OWE_AN_ENTRY: Final = frozenset({TodoKind.NOTE, TodoKind.ERASE, TodoKind.REMOVE})
"""Operations that took place, whatever the vault did: what the others were about, keys and templates, is gone."""


def restore(
    root: Path, raw: bytes, key_file: Path, later: bytes | None, *, keys: str, options: KeyOptions
) -> dict[str, Any]:
    """Make a state in `root`, absent or empty, from a backup; `later` is an exported ledger, or None.

    BackupError, CheckpointError where backup, key or ledger are not what they should be; StateError as
    `make_state`; StoreError. Whatever is raised, nothing is left behind.
    """
    contents = unpack(raw, key_file)
    device = Device(FORMAT, contents.device, contents.bench)
    told: dict[str, Any] = {}

    def fill(paths: StatePaths) -> None:
        write_new(paths.config, contents.config.encode(), 0o640)
        FileKeyProvider(paths.house_key).put(Secret(contents.house_key))
        write_new(paths.registry, contents.registry)
        house = HouseKeys.derive(Secret(contents.house_key))
        registry = Registry(paths.registry, contents.device, house)
        try:
            registry.check()
            ledger, news, owed = _ledger(paths, contents, house, registry, later)
            try:
                check_bench_flag(ledger, device)
                told.update(_carry_on(registry, ledger, news, owed, contents.made))
            finally:
                ledger.close()
        finally:
            registry.close()

    build_aside(root, device, fill, keys, options)
    return {"state": str(root), "device": contents.device, "made": contents.made, **told}


def _ledger(
    paths: StatePaths, contents: Contents, house: HouseKeys, registry: Registry, later: bytes | None
) -> tuple[Ledger, Later | None, list[Todo]]:
    """The ledger of the new state: the backup's, or the one that continues it; what that says; what it lacks.

    LedgerBrokenError, BackupError, CheckpointError.
    """
    write_new(paths.ledger, contents.ledger)
    ledger = Ledger(paths.ledger, contents.device, house)
    owed = [todo for todo in registry.todos() if todo.kind in _OWE_AN_ENTRY and ledger.entered(todo.op) is None]
    if later is None:
        return ledger, None, owed
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
    news = read_later(entries[size:], _people(registry), contents.made)
    return ledger, news, [todo for todo in owed if not _is_told(todo, news.entries)]


def _is_told(todo: Todo, entries: Sequence[Entry]) -> bool:
    """Whether one of these, which do not name their operations, is the entry that an operation owed."""
    return any(
        entry.header.type is todo.entry
        and entry.opening is not None
        and {**entry.opening.payload, "time": ""} == {**todo.payload, "time": ""}
        for entry in entries
    )


def _people(registry: Registry) -> dict[str, Person]:
    return {
        name: Person(row.born, None, bytes.fromhex(row.subject_key))
        for name in registry.residents()
        for row in (registry.resident(name),)
    }


def _carry_on(
    registry: Registry, ledger: Ledger, news: Later | None, owed: list[Todo], made: str
) -> dict[str, Any]:
    """Bring the registry to what the ledger knows, and enter that the state was restored; what people are told."""
    known = ledger.latest()
    clock = TrustedClock(known)
    tell_step(ledger, clock)
    for todo in owed:
        ledger.append(clock.moment(), todo.entry, {"time": stamp(clock.now()), **todo.payload}, todo.op)
    for todo in registry.todos():
        if todo.kind is TodoKind.REMOVE:
            registry.remove_resident(todo.resident)
        registry.drop_todo(todo.op)
    for resident in news.removed if news else ():
        registry.remove_resident(resident)
    registry.remove_cards(news.cards if news else ())
    ended = _ended(registry, news, stamp(clock.now()))
    registry.put_receipts(ended)
    registry.clear_site()  # another place, or another time: faces are off until both are recorded anew
    doubtful = news is None or news.unclear > 0
    payload = {"time": stamp(clock.now()), "backup": made, "later": news is not None, "templates": 0}
    payload |= {"consents_ended": len(ended), "all_consents_ended": doubtful}
    ledger.append(clock.moment(), EntryType.RESTORED, payload)
    return {
        "ledger_key": ledger.key.text(),
        "entries": ledger.size,
        "known_until": stamp(known) if known else None,
        "residents": len(registry.residents()),
        "cards": len(registry.cards()),
        "consents_ended": len(ended),
        "all_consents_ended": doubtful,
        "residents_removed": len(news.removed) if news else None,
        "cards_removed": len(news.cards) if news else None,
        "residents_added_later": news.added if news else None,
        "unclear_entries": news.unclear if news else None,
    }


def _ended(registry: Registry, news: Later | None, now: str) -> list[Receipt]:
    """Receipts that the backup shows as given, with the end that they came to."""
    ended = []
    for resident in registry.residents():
        receipt = registry.receipt(resident)
        if receipt is None or receipt.events[-1].state is not ConsentState.GIVEN:
            continue
        if end := _end(news, resident, now):
            ended.append(msgspec.structs.replace(receipt, events=(*receipt.events, end)))
    return ended


def _end(news: Later | None, resident: str, now: str) -> Event | None:
    if news is None:
        return Event(now, ConsentState.EXPIRED)
    if resident in news.ended:
        return news.ended[resident]
    if news.all_ended or news.unclear:
        return Event(news.all_ended or now, ConsentState.EXPIRED)
    return None
