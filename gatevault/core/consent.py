"""Consent receipts: what one says, and whether it lives.

Fields follow ISO/IEC TS 27560:2023 as mapped by W3C DPV, with ours beside them. A receipt is made
when the resident taps their own card after the notice; later events are appended and the whole is
signed anew (by the vault). Its `binding` covers all but the later events, and is what the sealed
template is bound to. Times are RFC 3339 in UTC, to the second.
"""

from __future__ import annotations

import calendar
import hashlib
import re
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import msgspec

from gatevault.core.jcs import canonical

SCHEMA: Final = "gatevault-consent/1 (ISO/IEC TS 27560:2023)"
CHILD_YEARS: Final = 14
"""Below this age the face is off (PIPL 31, FRM 7)."""


class Standing(StrEnum):
    """Whether a consent carries a template today."""

    LIVE = "live"
    NONE = "none"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    NOTICE_CHANGED = "notice-changed"
    CHILD = "child"


class ConsentState(StrEnum):
    GIVEN = "given"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    """Ended without its resident: a restore that nothing later vouches for."""


class KeyMode(StrEnum):
    """Whose key a template opens with: the device's, or the secret on the resident's card as well (1:1)."""

    DEVICE = "device-key"
    HOLDER = "holder-key"


class _Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of a receipt's parts."""


class NoticeRef(_Value, frozen=True):
    """The notice that was shown; `sha256` is of its rendered text, in hexadecimal."""

    version: str
    sha256: str
    language: str


class Event(_Value, frozen=True):
    time: str
    state: ConsentState


class PurposeRef(_Value, frozen=True):
    id: str = "gate-entry"
    lawful_basis: str = "separate explicit consent"
    pii: str = "face template"


class Receipt(_Value, frozen=True):
    """One consent. `pii_principal_id` is the resident's random pseudonym; no name is in here."""

    receipt_id: str
    record_id: str
    pii_principal_id: str
    notice: NoticeRef
    controllers: tuple[str, ...]
    storage_locations: tuple[str, ...]
    expires: str
    events: tuple[Event, ...]
    supersedes: str | None = None
    schema_version: str = SCHEMA
    purposes: tuple[PurposeRef, ...] = (PurposeRef(),)
    recipient_third_parties: tuple[str, ...] = ()
    retention_period: str = "until withdrawal or expiry, whichever is first; then destroyed at once"
    jurisdiction: str = "of the place of the gate"
    withdrawal_method: str = "own card, five taps in ten seconds; or any admin"
    rights: tuple[str, ...] = ("access", "copy", "correction", "withdrawal", "erasure", "complaint")
    impact_assessment: str | None = None
    alternative_offered: str = "card"
    risk_ack: bool = True
    mode: KeyMode = KeyMode.DEVICE

    def body(self) -> dict[str, Any]:
        """The receipt as plain JSON values."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    def binding(self) -> bytes:
        """SHA-256 over the receipt as it was given, 32 bytes: later events do not change it."""
        given = msgspec.structs.replace(self, events=self.events[:1])
        return hashlib.sha256(b"gv/receipt/v1\0" + canonical(given.body())).digest()

    def ended(self, state: ConsentState, now: datetime) -> Receipt:
        """This receipt with its end appended."""
        return msgspec.structs.replace(self, events=(*self.events, Event(stamp(now), state)))


_STAMP: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}Z")


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC, to the second: `2026-03-01T07:30:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """The reverse of `stamp`; ValueError for another form."""
    if _STAMP.fullmatch(text):  # fromisoformat takes 2026-03-01 and 20260301T073000+01 as well
        with suppress(ValueError):  # a 30th of February
            return datetime.fromisoformat(text)
    raise ValueError(f"{text!r} is not like 2026-03-01T07:30:00Z")


def months_later(start: datetime, months: int) -> datetime:
    """The same day and hour `months` later, or the last day of a shorter month."""
    index = start.year * 12 + start.month - 1 + months
    year, month = divmod(index, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day)


def is_child(born: str | None, now: datetime) -> bool:
    """Whether somebody born in `YYYY-MM` may still be under 14: the month of birth counts whole.

    None means that the admin recorded no date of birth: an adult. ValueError for another form.
    """
    if born is None:
        return False
    return now < _comes_of_age(born)


@lru_cache(maxsize=2048)
def _comes_of_age(born: str) -> datetime:
    """When nobody born in that month, `YYYY-MM`, is a child any more. Asked of everybody as the gallery fills."""
    return months_later(moment(f"{born}-01T00:00:00Z"), 12 * CHILD_YEARS + 1)


def standing(receipt: Receipt | None, now: datetime, notices: frozenset[str], born: str | None) -> Standing:
    """Whether `receipt` carries a template at `now`.

    `now` never runs backwards (the caller holds it at the latest time in the ledger), so that
    turning the clock back revives nothing. `notices` are the hashes of today's notice texts: a
    materially changed notice suspends older receipts.
    """
    if receipt is None:
        return Standing.NONE
    if is_child(born, now):
        return Standing.CHILD
    if receipt.events[-1].state is ConsentState.EXPIRED:
        return Standing.EXPIRED
    if receipt.events[-1].state is not ConsentState.GIVEN:
        return Standing.WITHDRAWN
    if now >= moment(receipt.expires):
        return Standing.EXPIRED
    if receipt.notice.sha256 not in notices:
        return Standing.NOTICE_CHANGED
    return Standing.LIVE
