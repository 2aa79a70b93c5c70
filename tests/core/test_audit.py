"""Each rule of an audit, kept and broken: a ledger that breaks one rule alone has that one finding."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from gatevault.core import merkle
from gatevault.core.audit import MAX_PROBLEMS, STEP_S, Auditor, stepped
from gatevault.core.checkpoint import Checkpoint
from gatevault.core.consent import stamp
from gatevault.core.entries import Entry, EntryHeader, EntryType, Keep, Opening, Spoilt, commitment
from gatevault.core.jcs import MAX_INTEGER

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SALT = bytes(range(16))


class Book:
    """A ledger of the test's making."""

    def __init__(self) -> None:
        self.entries: list[Entry | Spoilt] = []
        self.boot, self.mono, self.wall = "b1", 0, NOON

    def add(self, kind: EntryType = EntryType.DECISION, seconds: float = 1, **payload: Any) -> Book:
        self.mono += int(1000 * seconds)
        self.wall += timedelta(seconds=seconds)
        content = {"time": stamp(self.wall), **payload}
        day = self.wall.strftime("%Y-%m-%d")
        header = EntryHeader(len(self.entries), self.boot, self.mono, day, kind, commitment(SALT, content))
        self.entries.append(Entry(header, Opening(SALT, content)))
        return self

    def erase(self, *indexes: int) -> Book:
        for index in indexes:
            entry = self.entries[index]
            assert isinstance(entry, Entry)
            self.entries[index] = Entry(entry.header, None)
        return self

    def erased(self, before: str, keep: Keep = Keep.GATE, **payload: Any) -> Book:
        told = {"class": keep.value, "before": before, "count": 2, "templates": 0} | payload
        return self.add(EntryType.PAYLOADS_ERASED, **told)

    def header(self, index: int, **changes: Any) -> Book:
        """Change a header, and the payload's commitment not."""
        entry = self.entries[index]
        assert isinstance(entry, Entry)
        self.entries[index] = Entry(msgspec.structs.replace(entry.header, **changes), entry.opening)
        return self

    def leaves(self) -> list[bytes]:
        return [entry.header.leaf() for entry in self.entries if isinstance(entry, Entry)]

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        leaves = self.leaves()[:size]
        return Checkpoint("origin", len(leaves), merkle.root(leaves))

    def problems(self, checkpoint: Checkpoint | None = None, anchor: Checkpoint | None = None) -> list[str]:
        """Findings, each led by its entry, against the checkpoint of these very headers unless another is given."""
        auditor = Auditor()
        for entry in self.entries:
            auditor.take(entry)
        found = auditor.problems(checkpoint or self.checkpoint(), anchor)
        return [f"{problem.entry}: {problem.problem}" for problem in found]


def book(count: int = 5) -> Book:
    made = Book().add(EntryType.STATE_MADE)
    while len(made.entries) < count:
        made.add()
    return made


def test_a_sound_ledger_has_no_finding_and_an_empty_one_none() -> None:
    assert book().problems() == []
    assert Book().problems() == []
    for size in range(6):
        assert book(6).problems(anchor=book(6).checkpoint(size)) == []


BROKEN: dict[str, tuple[Callable[[], Book], str]] = {
    "a hole": (lambda: book().header(3, i=4).header(4, i=5), "4: it stands where entry 3 belongs"),
    "time": (lambda: book().header(3, mono_ms=1), "3: it is older"),
    "boot": (lambda: book().header(2, boot="b2"), "3: it is of a boot that had ended"),
    "day": (lambda: book().header(2, day="2026-03-02"), "3: its day is before"),
    "payload": (lambda: book().header(2, c="00" * 32), "2: its payload is not the one"),
    "wall": (lambda: stepping(STEP_S + 1), "5: the wall clock stepped by 121 s"),
    "wall back": (lambda: stepping(-STEP_S - 1), "5: the wall clock stepped by -121 s"),
    "no time": (lambda: book().add(time="noon"), "5: its time is none"),
    "odd time": (lambda: book().add(time=7), "5: its time is none"),
    "erased": (lambda: book().erase(2), "2: its payload is gone"),
    "first": (lambda: book().erase(0).erased("2026-03-01"), "0: its payload is never erased"),
}  # fmt: skip


def stepping(seconds: int) -> Book:
    made = book()
    made.wall += timedelta(seconds=seconds)
    return made.add(seconds=0)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_a_finding(name: str) -> None:
    make, told = BROKEN[name]
    (found, *more) = make().problems()
    assert found.startswith(told), (found, more)
    assert not more


def test_a_header_without_a_canonical_form_is_a_finding() -> None:
    made = book()
    checkpoint = made.checkpoint()
    assert "4: its header has no canonical form" in made.header(4, i=4, mono_ms=MAX_INTEGER + 1).problems(
        checkpoint
    )


def test_a_row_that_cannot_be_read_is_a_finding_and_the_root_does_not_agree() -> None:
    made = book()
    checkpoint = made.checkpoint()
    made.entries[2] = Spoilt(2, "it was altered")
    whole, entry = made.problems(checkpoint)
    assert "do not lead to the checkpoint's root" in whole
    assert entry == "2: it was altered"


def test_another_root_or_size_is_a_finding() -> None:
    assert "5 entries, and the checkpoint is of 4" in book().problems(book().checkpoint(4))[0]
    assert "root" in book().problems(book().header(1, day="2026-02-28").checkpoint())[0]


def test_an_anchor_of_another_history_or_of_a_longer_one_is_a_finding() -> None:
    other = book().header(1, day="2026-02-28")
    for size in (2, 3, 5):
        (found,) = book().problems(anchor=other.checkpoint(size))
        assert f"its first {size} entries" in found
    (found,) = book().problems(anchor=book(9).checkpoint())
    assert "put back or cut short" in found


def test_a_step_of_the_clock_that_is_entered_is_none() -> None:
    made = book()
    made.wall += timedelta(days=20_000)
    made.add(EntryType.CLOCK_STEPPED, seconds=0.5).add()
    assert made.problems() == []
    made.boot = "b2"
    made.wall += timedelta(days=1)
    made.mono = 0
    assert made.add(EntryType.STARTED).problems() == [], "between two boots any time may pass"


def test_a_step_is_more_than_two_minutes_either_way() -> None:
    for seconds in (0, STEP_S, -STEP_S):
        assert stepped(1_000, NOON, 6_000, NOON + timedelta(seconds=5 + seconds)) == 0
    assert stepped(1_000, NOON, 6_000, NOON + timedelta(seconds=5 + STEP_S + 1)) == STEP_S + 1
    assert stepped(1_000, NOON, 6_000, NOON) == 0
    assert stepped(0, NOON, 3_600_000, NOON) == -3_600


# --- erasure -------------------------------------------------------------------------------------


def erased(keep: Keep, before: str) -> Book:
    """Two gate and one admin payload of the first day are gone; then an erasure is entered on the third."""
    made = book().add(EntryType.CARD_ADDED).erase(1, 2, 5)
    made.wall += timedelta(days=2)
    made.mono += 2 * 86_400_000
    return made.erased(before, keep)


def test_an_erasure_covers_its_class_before_its_day() -> None:
    def gone(made: Book) -> list[str]:
        return [found.partition(":")[0] for found in made.problems()]

    assert gone(erased(Keep.GATE, "2026-03-02")) == ["5"]
    assert gone(erased(Keep.ADMIN, "2026-03-02")) == ["1", "2"]
    assert gone(erased(Keep.GATE, "2026-03-01")) == ["1", "2", "5"], "of its own day it covers nothing"
    assert gone(erased(Keep.GATE, "2026-03-02").erased("2026-03-02", Keep.ADMIN)) == []
    after = erased(Keep.GATE, "2026-03-02").erased("2026-03-02", Keep.ADMIN).add()
    assert gone(after.erase(len(after.entries) - 1)) == ["8"], "what is erased after it is not covered"


def test_more_that_is_gone_than_was_told_is_a_finding() -> None:
    made = erased(Keep.GATE, "2026-03-02").erased("2026-03-02", Keep.ADMIN)
    assert made.problems() == [], "fewer are gone than told: those were read before they went"
    (found,) = made.erase(3).problems()
    assert found == "None: 3 payloads of the class gate are gone, and entries tell of 2"


@pytest.mark.parametrize(
    "told", [{"class": "ever"}, {"class": "x"}, {"class": None}, {"before": "2026-03-04"}, {"before": 7}], ids=str
)
def test_an_erasure_of_what_had_not_passed_its_time_is_a_finding(told: dict[str, Any]) -> None:
    made = erased(Keep.GATE, "2026-03-02").erased("2026-03-02", Keep.ADMIN)
    assert made.problems() == []
    made.add(EntryType.PAYLOADS_ERASED, **({"class": "gate", "before": "2026-03-02", "templates": 0} | told))
    (found,) = made.problems()
    assert "8: it erased what had not passed its time" in found


# --- templates -----------------------------------------------------------------------------------


def counted(made: Book) -> int | None:
    auditor = Auditor()
    for entry in made.entries:
        auditor.take(entry)
    return auditor.templates


def test_enrolments_less_erasures_are_counted() -> None:
    made = book().add(EntryType.ENROLLED, replaces=False).add(EntryType.ENROLLED, replaces=False)
    made.add(EntryType.ENROLLED, replaces=True).add(EntryType.PURGED, template=False)
    assert counted(made) == 2
    assert counted(made.add(EntryType.CONSENT_WITHDRAWN, template=True)) == 1
    assert counted(made.erase(5)) is None, "what an erased enrolment did is not known"
    assert counted(made.erased("2026-03-01", templates=1)) == 1, "an erasure tells it"
    assert counted(made.add(EntryType.RESIDENT_REMOVED, template=True)) == 0


def test_an_erasure_that_tells_another_number_of_templates_is_a_finding() -> None:
    made = book().add(EntryType.ENROLLED, replaces=False)
    assert made.erased("2026-03-01", templates=1).problems() == []
    assert "tells of 3 templates" in made.erased("2026-03-01", templates=3).problems()[0]


def test_more_findings_than_anybody_reads_are_summed_up() -> None:
    found = book(300).erase(*range(1, 300)).problems()
    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1].endswith("199 more findings")
