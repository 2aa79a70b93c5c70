"""Checking a ledger: one set of rules for the daemon's own file and for an exported bundle.

Fed every entry in order, and at the end the checkpoint (whose signature the caller has verified):

    1  indexes are contiguous from 0
    2  (boot, mono_ms) is monotone: no time runs back within a boot, no boot comes again, nor does a day
    3  each payload that is there equals its commitment
    4  each erased payload is covered by a later `payloads-erased` of its class, of a day after its own, and
       no more are gone than these tell
    5  within a boot the wall clock runs with the monotonic one; a step is an entry of its own
    6  the number of templates that `payloads-erased` tells is what the entries add up to
    7  the root over all headers and their number are the checkpoint's
    8  an earlier checkpoint that an auditor kept is the beginning of this ledger

What it cannot see: a whole ledger put back to an earlier checkpoint, without such an anchor.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from gatevault.core.checkpoint import Checkpoint
from gatevault.core.consent import moment
from gatevault.core.entries import (
    TEMPLATE_TYPES,
    Entry,
    EntryHeader,
    EntryType,
    Keep,
    Opening,
    Spoilt,
    is_sound,
    keep_of,
    templates_after,
)
from gatevault.core.merkle import consistency_proof, extends, root

STEP_S: Final = 120
"""The wall clock may leave the monotonic one by as much between two entries (REQUIREMENTS K11)."""

MAX_PROBLEMS: Final = 100
"""Told one by one; of more, how many."""


class Problem(msgspec.Struct, frozen=True):
    """One finding. `entry` is None for what concerns the whole."""

    entry: int | None
    problem: str


@dataclass(frozen=True, slots=True)
class _Mark:
    """When an entry was made, by both clocks."""

    boot: str
    mono_ms: int
    wall: datetime


def stepped(boot_ms: int, earlier: datetime, now_ms: int, now: datetime) -> int:
    """Seconds by which the wall clock left the monotonic one between two moments of a boot; 0 up to STEP_S."""
    seconds = (now - earlier).total_seconds() - (now_ms - boot_ms) / 1000
    return round(seconds) if abs(seconds) > STEP_S else 0


class Auditor:
    """Give it entries with `take`, then ask `problems`. Keeps 32 bytes an entry."""

    def __init__(self) -> None:
        self._leaves: list[bytes] = []
        self.next = 0
        """The index that the next entry must have."""
        self._found: list[Problem] = []
        self._last: EntryHeader | None = None
        self._mark: _Mark | None = None
        self._boots: set[str] = set()
        self._uncovered: dict[Keep, list[tuple[str, int]]] = {keep: [] for keep in Keep}
        self._covered, self._told = Counter[Keep](), Counter[Keep]()
        self.templates: int | None = 0
        """Templates alive by the entries so far; None where an entry that would tell is unreadable."""

    @property
    def size(self) -> int:
        """How many entries were taken."""
        return len(self._leaves)

    def take(self, entry: Entry | Spoilt) -> None:
        """The next entry."""
        if isinstance(entry, Spoilt):
            self._spoilt(entry)
            return
        header, index = entry.header, entry.header.i
        try:
            self._leaves.append(header.leaf())
        except ValueError:
            self._spoilt(Spoilt(index, "its header has no canonical form"))
            return
        self._in_order(header)
        opening = self._opened(header, entry.opening)
        self._clocks(header, opening)
        if opening is not None:
            self._account(header, opening.payload)
        self._last = header

    def add(self, problem: str, entry: int | None = None) -> None:
        """A finding of the caller's, about the whole or one entry."""
        self._found.append(Problem(entry, problem))

    def problems(self, checkpoint: Checkpoint, anchor: Checkpoint | None = None) -> list[Problem]:
        """Every finding, the whole's first. Call it once, after the last entry."""
        whole = self._against(checkpoint) + (self._against_anchor(anchor) if anchor else [])
        for keep, waiting in self._uncovered.items():
            # Fewer is no finding: a page may have been read before its payloads were erased.
            if self._covered[keep] > self._told[keep]:
                gone = f"{self._covered[keep]} payloads of the class {keep} are gone"
                self.add(f"{gone}, and entries tell of {self._told[keep]}")
            for _, index in sorted(waiting, key=lambda pair: pair[1]):
                told = (
                    "is never erased"
                    if keep is Keep.EVER
                    else "is gone, and no later entry says that it was erased"
                )
                self.add(f"its payload {told}", index)
        found = [Problem(None, text) for text in whole] + sorted(
            self._found, key=lambda problem: -1 if problem.entry is None else problem.entry
        )
        if len(found) > MAX_PROBLEMS:
            more = len(found) - MAX_PROBLEMS
            found = [*found[:MAX_PROBLEMS], Problem(None, f"and {more} more findings")]
        return found

    # --- the rules ---------------------------------------------------------------------------

    def _spoilt(self, entry: Spoilt) -> None:
        self.add(entry.why, entry.i)
        self._leaves.append(bytes(32))  # no hash of an entry: the root will not be the checkpoint's
        self.next, self._mark, self.templates = entry.i + 1, None, None

    def _in_order(self, header: EntryHeader) -> None:
        if header.i != self.next:
            self.add(f"it stands where entry {self.next} belongs", header.i)
        self.next = header.i + 1
        last = self._last
        if last is not None:
            if last.boot == header.boot and header.mono_ms < last.mono_ms:
                self.add("it is older than the entry before it", header.i)
            if last.boot != header.boot and header.boot in self._boots:
                self.add("it is of a boot that had ended before", header.i)
            if header.day < last.day:
                self.add("its day is before that of the entry before it", header.i)
        self._boots.add(header.boot)

    def _opened(self, header: EntryHeader, opening: Opening | None) -> Opening | None:
        """The payload, if it is what the header commits to; else a finding, or it waits to be covered."""
        keep = keep_of(header.type)
        if opening is None:
            heapq.heappush(self._uncovered[keep], (header.day, header.i))
            if header.type in TEMPLATE_TYPES:
                self.templates = None
            return None
        if is_sound(Entry(header, opening)):
            return opening
        self.add("its payload is not the one that its header commits to", header.i)
        self.templates = None
        return None

    def _clocks(self, header: EntryHeader, opening: Opening | None) -> None:
        before, self._mark = self._mark, None
        if opening is None or "time" not in opening.payload:
            return
        try:
            wall = moment(opening.payload["time"])
        except (TypeError, ValueError):
            self.add("its time is none", header.i)
            return
        self._mark = _Mark(header.boot, header.mono_ms, wall)
        if before is None or before.boot != header.boot or header.type is EntryType.CLOCK_STEPPED:
            return
        if seconds := stepped(before.mono_ms, before.wall, header.mono_ms, wall):
            self.add(f"the wall clock stepped by {seconds} s before it, and no entry says so", header.i)

    def _account(self, header: EntryHeader, payload: dict[str, Any]) -> None:
        if header.type is not EntryType.PAYLOADS_ERASED:
            self.templates = templates_after(self.templates, header.type, payload)
            return
        keep, before, templates = payload.get("class"), payload.get("before"), payload.get("templates")
        if keep not in (Keep.GATE, Keep.ADMIN) or not isinstance(before, str) or before > header.day:
            self.add("it erased what had not passed its time", header.i)
            return
        waiting = self._uncovered[Keep(keep)]
        while waiting and waiting[0][0] < before:
            heapq.heappop(waiting)
            self._covered[Keep(keep)] += 1
        self._told[Keep(keep)] += payload["count"] if type(payload.get("count")) is int else 0
        if type(templates) is int:
            if self.templates not in (None, templates):
                self.add(f"it tells of {templates} templates, the entries before it of {self.templates}", header.i)
            self.templates = templates

    def _against(self, checkpoint: Checkpoint) -> list[str]:
        if self.size != checkpoint.size:
            return [f"there are {self.size} entries, and the checkpoint is of {checkpoint.size}"]
        if root(self._leaves) != checkpoint.root:
            return ["the entries do not lead to the checkpoint's root: one was altered, removed or put in"]
        return []

    def _against_anchor(self, anchor: Checkpoint) -> list[str]:
        if anchor.size > self.size:
            short = f"the anchor is of {anchor.size} entries and the ledger has {self.size}"
            return [f"{short}: it was put back or cut short"]
        proof = consistency_proof(self._leaves, anchor.size)
        if extends(anchor.size, anchor.root, self.size, root(self._leaves), proof):
            return []
        return [f"its first {anchor.size} entries are not those that the anchor was made of: it was written anew"]
