"""Reading what a ledger says that went on after a backup."""

from __future__ import annotations

from typing import Any

import pytest

from gatevault.core.consent import ConsentState
from gatevault.core.entries import Entry, EntryHeader, EntryType, Opening, commitment
from gatevault.service.later import Later, read_later
from gatevault.service.stores import Person

SINCE = "2026-11-30T23:59:59Z"
PEOPLE = {"r-1": Person(None, None, b"\x01" * 32), "r-2": Person(None, None, b"\x02" * 32)}
SALT = bytes(16)


def entry(
    kind: EntryType, time: str, *, who: str = "", named: str = "", erased: bool = False, **more: Any
) -> Entry:
    """An entry made at `time` about `who`, whose pseudonym is that of the time `named`."""
    payload = {"time": time, **more}
    if who:
        payload["subject"] = PEOPLE[who].subject_at(named or time)
    header = EntryHeader(0, "ab" * 16, 1, time[:10], kind, commitment(SALT, payload))
    return Entry(header, None if erased else Opening(SALT, payload))


def read(*entries: Entry) -> Later:
    return read_later(entries, PEOPLE, SINCE)


@pytest.mark.parametrize(
    ("time", "named"),
    [
        ("2026-11-30T23:59:59Z", ""),
        ("2026-12-01T00:00:00Z", ""),
        ("2026-12-01T00:00:00Z", "2026-11-30T23:59:59Z"),
        ("2028-02-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    ],
)
def test_a_resident_is_found_by_the_pseudonym_of_any_month_since(time: str, named: str) -> None:
    """An entry that a full disk owed over the end of a month bears the pseudonym of the month before."""
    news = read(entry(EntryType.CONSENT_WITHDRAWN, time, who="r-2", named=named))
    assert {who: (end.time, end.state) for who, end in news.ended.items()} == {
        "r-2": (time, ConsentState.WITHDRAWN)
    }
    assert read(entry(EntryType.RESIDENT_REMOVED, time, who="r-1", named=named)).removed == {"r-1"}


def test_somebody_of_whom_the_backup_does_not_know_is_passed_over() -> None:
    news = read(
        entry(EntryType.RESIDENT_ADDED, SINCE, subject="00" * 16),
        entry(EntryType.CONSENT_GIVEN, SINCE, subject="00" * 16, renews=False),
        entry(EntryType.CONSENT_WITHDRAWN, SINCE, subject="00" * 16),
        entry(EntryType.RESIDENT_REMOVED, SINCE, subject="00" * 16),
    )
    assert (news.added, news.unclear) == (1, 0)
    assert not news.ended and not news.removed


def test_a_withdrawal_stands_whatever_consent_came_before_or_after() -> None:
    """The consent given anew is not in the backup, and the one that is was withdrawn."""
    gave = entry(EntryType.CONSENT_GIVEN, "2026-12-03T00:00:00Z", who="r-1", renews=False)
    withdrew = entry(EntryType.CONSENT_WITHDRAWN, "2026-12-02T00:00:00Z", who="r-1")
    for entries in ((withdrew, gave), (gave, withdrew)):
        assert read(*entries).ended["r-1"].state is ConsentState.WITHDRAWN


def test_a_renewal_ends_nothing_and_another_mode_does() -> None:
    assert not read(entry(EntryType.CONSENT_GIVEN, SINCE, who="r-1", renews=True)).ended
    news = read(entry(EntryType.CONSENT_GIVEN, SINCE, who="r-1", renews=False))
    assert news.ended["r-1"].state is ConsentState.SUPERSEDED


@pytest.mark.parametrize(
    "kind",
    [EntryType.CONSENT_GIVEN, EntryType.CONSENT_WITHDRAWN, EntryType.RESIDENT_REMOVED, EntryType.CARD_REMOVED],
)
def test_what_has_forgotten_whom_it_is_about_is_counted(kind: EntryType) -> None:
    assert read(entry(kind, SINCE, who="r-1", erased=True)).unclear == 1


def test_what_takes_nothing_may_be_forgotten() -> None:
    kinds = (EntryType.DECISION, EntryType.ENROLLED, EntryType.PURGED, EntryType.CARD_ADDED)
    assert read(*(entry(kind, SINCE, erased=True) for kind in kinds)).unclear == 0


def test_a_card_is_named_or_unclear() -> None:
    assert read(entry(EntryType.CARD_REMOVED, SINCE, who="r-1", card="ab" * 8)).cards == {"ab" * 8}
    assert read(entry(EntryType.CARD_REMOVED, SINCE, who="r-1")).unclear == 1


def test_a_restore_that_ended_every_consent_still_does() -> None:
    assert read(entry(EntryType.RESTORED, SINCE, all_consents_ended=True)).all_ended == SINCE
    assert read(entry(EntryType.RESTORED, SINCE, all_consents_ended=False)).all_ended is None


def test_nothing_later_is_nothing() -> None:
    assert read() == Later(())
