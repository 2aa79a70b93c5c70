"""Auditing a ledger: the rules of `core.audit` and the signatures, over `ledger.db` or an exported bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from gatevault.core.audit import Auditor, Problem
from gatevault.core.bundle import SingleEntry, read_exported
from gatevault.core.checkpoint import Note, VerifierKey, read_key, read_note
from gatevault.core.errors import LedgerBrokenError
from gatevault.vault.ledger import Ledger
from gatevault.vault.notes import is_signed


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit found. `note` is the signed checkpoint that it was made against."""

    entries: int
    note: str
    key: VerifierKey
    problems: list[Problem]

    def body(self) -> dict[str, Any]:
        return {
            "ok": not self.problems,
            "entries": self.entries,
            "checkpoint": self.note,
            "key": self.key.text(),
            "problems": [msgspec.to_builtins(problem) for problem in self.problems],
        }


class LedgerAudit:
    """An audit of the device's own file, a page at a time, so that nobody at the gate waits for it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._next = 0
        self._note = ledger.note
        self.auditor = Auditor()

    def step(self) -> bool:
        """Take the next page; False once there is no more, and the checkpoint is the one of all before it.

        StoreError where the file cannot be read.
        """
        page = self._ledger.page(self._next)
        for entry in page:
            self.auditor.take(entry)
            self._next = self.auditor.next
        if page:
            return True
        self._note = self._ledger.note
        try:
            if self._ledger.read_note() != self._note:
                self.auditor.add("the checkpoint on the disk is not the one that the daemon wrote last")
        except LedgerBrokenError as error:
            self.auditor.add(str(error))
        if (count := self._ledger.count()) != self.auditor.size:
            self.auditor.add(f"there are {count} rows, {self.auditor.size} of them entries")
        return False

    def report(self, anchor: Note | None = None) -> Report:
        """What was found, once `step` has said False. Needs the file no more."""
        return _conclude(self.auditor, self._note, self._ledger.key, anchor)


def audit_ledger(ledger: Ledger, anchor: Note | None = None) -> Report:
    """The whole audit of a ledger at once. StoreError."""
    audit = LedgerAudit(ledger)
    while audit.step():
        pass
    return audit.report(anchor)


def audit_bundle(raw: bytes, pinned: str, anchor: str | None = None) -> Report:
    """The audit of an exported ledger with the pinned key and, if one was kept, an earlier checkpoint.

    Of one exported entry as well: a checkpoint that was kept must be the one that its path leads to.
    CheckpointError where bundle, key or anchor cannot be read.
    """
    key, bundle = read_key(pinned), read_exported(raw)
    earlier = None if anchor is None else read_note(anchor)
    if isinstance(bundle, SingleEntry):
        return _audit_single(bundle, key, earlier)
    auditor = Auditor()
    if bundle.key != key.text():
        auditor.add("the bundle names another key than the pinned one")
    for sheet in bundle.entries:
        auditor.take(sheet.entry())
    return _conclude(auditor, bundle.checkpoint, key, earlier)


def _audit_single(single: SingleEntry, key: VerifierKey, anchor: Note | None) -> Report:
    note, index = read_note(single.checkpoint), single.entry.header.i
    problems = []
    if single.key != key.text():
        problems.append(Problem(None, "it names another key than the pinned one"))
    if not is_signed(note, key):
        problems.append(Problem(None, "the checkpoint is not signed by the pinned key"))
    if anchor is not None and anchor.checkpoint != note.checkpoint:
        problems.append(Problem(None, "its path leads to another checkpoint: export it with --anchor"))
    if (why := single.problem(note.checkpoint)) is not None:
        problems.append(Problem(index, why))
    return Report(1, single.checkpoint, key, problems)


def _conclude(auditor: Auditor, text: str, key: VerifierKey, anchor: Note | None) -> Report:
    note = read_note(text)
    if not is_signed(note, key):
        auditor.add("the checkpoint is not signed by the pinned key")
    if anchor is not None and not is_signed(anchor, key):
        auditor.add("the anchor is not of this ledger, or not signed by its key")
        anchor = None
    problems = auditor.problems(note.checkpoint, anchor.checkpoint if anchor else None)
    return Report(auditor.size, text, key, problems)
