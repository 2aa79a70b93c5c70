"""What a ledger says that went on after a backup: whose consent ended, who was removed, which cards were taken.

Entries name a resident by a pseudonym of the month (`Person.subject`), so the backup's own residents are found
in them and nobody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gatevault.core.consent import ConsentState, Event
from gatevault.core.entries import Entry, EntryType
from gatevault.service.stores import Person

_TAKES: Final = frozenset(
    {
        EntryType.CONSENT_GIVEN,
        EntryType.CONSENT_WITHDRAWN,
        EntryType.RESIDENT_REMOVED,
        EntryType.CARD_REMOVED,
        EntryType.RESTORED,
    }
)


@dataclass(slots=True)
class Later:
    """What happened since. `entries` are all of it."""

    entries: Sequence[Entry]
    ended: dict[str, Event] = field(default_factory=dict)
    """How and when the consent of a resident ended that the backup may show as given."""
    removed: set[str] = field(default_factory=set)
    cards: set[str] = field(default_factory=set)
    """The beginnings of keyed hashes (`registry.CARD_NAME` digits)."""
    added: int = 0
    unclear: int = 0
    """Entries that can no longer tell whom they were about."""
    all_ended: str | None = None
    """When another restore ended every consent, RFC 3339."""


def read_later(entries: Sequence[Entry], people: Mapping[str, Person], since: str) -> Later:
    """Read entries made after a backup that knows `people` and was made at `since` (RFC 3339)."""
    news = Later(entries)
    until = entries[-1].header.day if entries else since
    names = {person.subject_at(month): name for month in _months(since, until) for name, person in people.items()}
    for entry in entries:
        kind = entry.header.type
        news.added += kind is EntryType.RESIDENT_ADDED
        if kind not in _TAKES:
            continue
        if entry.opening is None:
            news.unclear += 1
        else:
            _take(news, kind, entry.opening.payload, names)
    return news


def _take(news: Later, kind: EntryType, payload: dict[str, Any], names: dict[str, str]) -> None:
    who = names.get(str(payload.get("subject")))
    time = str(payload["time"])
    if kind is EntryType.RESTORED:
        news.all_ended = time if payload.get("all_consents_ended") is True else news.all_ended
    elif kind is EntryType.CARD_REMOVED:
        if "card" in payload:
            news.cards.add(str(payload["card"]))
        else:
            news.unclear += 1  # of a version that did not name it
    elif who is None:
        return  # somebody who came after the backup
    elif kind is EntryType.RESIDENT_REMOVED:
        news.removed.add(who)
    elif kind is EntryType.CONSENT_WITHDRAWN:
        news.ended[who] = Event(time, ConsentState.WITHDRAWN)
    elif payload.get("renews") is not True:  # a consent of another mode: the one before it does not live on
        news.ended.setdefault(who, Event(time, ConsentState.SUPERSEDED))


def _months(since: str, until: str) -> Iterator[str]:
    """YYYY-MM from one to the other. An entry that was owed for long may be of a later month than its pseudonym."""
    year, month = int(since[:4]), int(since[5:7])
    while (text := f"{year:04}-{month:02}") <= max(until[:7], since[:7]):
        yield text
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
