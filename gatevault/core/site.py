"""What must be recorded before a gate looks at faces, and who may set the gate up.

FRM 9 and 13, PIPL 55–56, GDPR 35: an impact assessment first, and a sign where the camera looks. Recorded is that
they exist, who vouches for them and where they are found; that they are good, no program can tell.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

Line = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{1,200}\Z")]
Day = Annotated[str, Meta(pattern=r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}\Z")]


class SiteKind(StrEnum):
    """The records without which faces stay off."""

    ASSESSMENT = "assessment"
    SIGN = "sign"


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A record that people made; `date` is a day that there is."""

    date: Day

    def __post_init__(self) -> None:
        date.fromisoformat(self.date)  # ValueError for 30 February

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class Assessment(_Record, frozen=True):
    """The impact assessment: who made it, when, and its document's SHA-256 or where it is filed."""

    by: Line
    document: Line


class Sign(_Record, frozen=True):
    """The sign at the gate: what it says, since when it hangs, and where."""

    text: Line
    where: Line


RECORDS: Final[dict[SiteKind, type[Assessment] | type[Sign]]] = {
    SiteKind.ASSESSMENT: Assessment,
    SiteKind.SIGN: Sign,
}

MISSING: Final = {
    SiteKind.ASSESSMENT: "no impact assessment is recorded",
    SiteKind.SIGN: "no sign at the gate is recorded",
}


def faces_off(recorded: Collection[SiteKind], required: bool) -> str:
    """Why faces stay off, in words for people; empty where both records are there, or none is asked for."""
    missing = [MISSING[kind] for kind in SiteKind if required and kind not in recorded]
    return f"faces off: {', and '.join(missing)}" if missing else ""


def read_record(kind: SiteKind, content: Any) -> Assessment | Sign:
    """A record from plain values. ValueError names the field."""
    try:
        return msgspec.convert(content, RECORDS[kind])
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


class InstallerRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The installer who was admitted last: their public key, in hexadecimal, until it ended."""

    public: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?\Z")]
    admitted: str
    ended: str | None = None


_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")


def document_of(text: str) -> str:
    """A document's reference as it is kept: a SHA-256 is marked as one."""
    return f"sha256:{text.lower()}" if _SHA256.fullmatch(text) else text
