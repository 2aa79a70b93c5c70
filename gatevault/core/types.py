"""The values that travel through the house, validated when they are made.

A vector, a card number or a key never shows itself in `repr`, a log or an error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]
"""One face embedding, shape (d,), float32."""

MAX_DIMENSION: Final = 4096
"""Largest embedding accepted: published face networks give 128 to 2,048 values."""

MAX_CARD_BITS: Final = 256
"""Longest credential accepted from a reader; UIDs have 32 to 80 bits, secure credentials 128."""


class Reason(StrEnum):
    """Why a decision fell as it did: the same words in CLI, ledger and docs."""

    MATCHED = "matched"
    CARD = "card"
    NO_FACE = "no-face"
    NO_MATCH = "no-match"
    UNSURE = "unsure"
    SEVERAL_FACES = "several-faces"
    COME_CLOSER = "come-closer"
    TOO_DARK = "too-dark"
    TOO_BRIGHT = "too-bright"
    BLURRED = "blurred"
    MODEL_FAULT = "model-fault"
    CUT_OFF = "cut-off"
    BAD_FRAME = "bad-frame"
    NOT_LIVE = "not-live"
    USE_CARD = "use-card"
    NOT_RECORDED = "not-recorded"
    """Impact assessment or sign at the gate: faces are off until both are recorded (`core.site`)."""
    NO_CONSENT = "no-consent"
    SUSPENDED = "suspended"
    VAULT_LOCKED = "vault-locked"
    HOLDER_CARD = "holder-card"
    SCHEDULE = "schedule"
    UNKNOWN_CARD = "unknown-card"
    BUSY = "busy"
    CLOCK = "clock"
    """The clock is behind the ledger: what time it is, and so whose consent lives, cannot be told."""
    FAULT = "fault"


class Verdict(StrEnum):
    GRANT = "grant"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Box:
    """A face's rectangle in pixels of the frame; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    def __post_init__(self) -> None:
        if self.right <= self.left or self.bottom <= self.top:
            raise ValueError("a box needs right > left and bottom > top")

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


class Quality(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What decides whether a face embeds well.

    `size` is the face box's width in pixels; `sharpness` the variance of the Laplacian of the grey
    150-pixel chip (0 blurred, some hundreds sharp); `exposure` the mean grey of the chip, 0 to 1;
    `yaw` how far the nose stands from between the eyes, in inter-eye distances (0 frontal, about
    0.5 at 45 degrees, sign: to the image's right); `roll` the eye line's slope in degrees.
    """

    size: float
    sharpness: float
    exposure: float
    yaw: float
    roll: float

    def __post_init__(self) -> None:
        values = (self.size, self.sharpness, self.exposure, self.yaw, self.roll)
        if not all(math.isfinite(v) for v in values):
            raise ValueError("quality must be finite")


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One face of one frame, reported by vision for the `Look` that carried this nonce."""

    nonce: str
    frame: int
    box: Box
    score: float
    quality: Quality
    embedding: Vector = field(repr=False)
    distinct: bool = True
    """False where the frame's pixels equal an earlier one's of the same look (a photograph repeated)."""

    def __post_init__(self) -> None:
        check_vector(self.embedding)

    def wipe(self) -> None:
        """Overwrite the vector in place; the scan is useless afterwards."""
        self.embedding.fill(0.0)


def check_vector(vector: Vector) -> None:
    """Raise ValueError unless `vector` is a finite, non-zero float32 embedding of shape (d,)."""
    if vector.dtype != np.float32 or vector.ndim != 1 or not 0 < vector.size <= MAX_DIMENSION:
        raise ValueError("an embedding is a float32 vector of 1 to 4,096 values")
    with np.errstate(over="ignore"):  # an infinite norm is refused below
        norm = float(np.dot(vector, vector))
    if not math.isfinite(norm) or norm <= 0.0:
        raise ValueError("an embedding must be finite and not zero")


@dataclass(frozen=True, slots=True)
class CardRead:
    """A credential as a reader gave it: the reader's name, and the number (never shown).

    `number` is canonical: upper-case letters, digits and hyphens, 1 to 64 characters, so that the
    same card typed by an admin and read at the gate hash alike.
    """

    number: str = field(repr=False)
    reader: str

    def __post_init__(self) -> None:
        if self.number != canonical_card(self.number):
            raise ValueError("a card number must be canonical")


def canonical_card(number: str) -> str:
    """Bring a card number as typed or read into its one form.

    Spaces and colons are dropped and letters raised; leading zeros of an all-digit number go, as
    readers pad differently. Raises ValueError for anything that no reader would give.
    """
    text = number.replace(" ", "").replace(":", "").upper()
    if not number.isascii() or not 1 <= len(text) <= MAX_CARD_BITS // 4:
        raise ValueError("a card number has 1 to 64 letters and digits")
    if not all(c.isalnum() or c == "-" for c in text):
        raise ValueError("a card number has letters, digits and hyphens only")
    if text.isdigit():
        text = text.lstrip("0") or "0"
    return text


SECRET_DIGITS: Final = 32
"""Hexadecimal digits of the shortest credential that can be a key: 128 bits."""


def is_long_secret(number: str) -> bool:
    """Whether a canonical credential is long enough to be a key.

    A UID has 8 to 20 hexadecimal digits and is told to any reader: whoever has the device would try them all.
    That a long number was drawn at random, no program can see; with fewer than eight different digits it was not.
    """
    return len(number) >= SECRET_DIGITS and set(number) <= set("0123456789ABCDEF") and len(set(number)) >= 8


@dataclass(frozen=True, slots=True)
class Match:
    """The gallery's answer: this resident, and only this one."""

    resident: str


@dataclass(frozen=True, slots=True)
class NoMatch:
    """The gallery's answer: nobody, and why (`NO_MATCH`, or `UNSURE` between two residents)."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate does and why. `resident` is a pseudonym; a denied face has none."""

    verdict: Verdict
    reason: Reason
    resident: str | None = None

    def __post_init__(self) -> None:
        if self.verdict is Verdict.GRANT and self.resident is None:
            raise ValueError("a grant names the resident that it is for")

    @property
    def granted(self) -> bool:
        return self.verdict is Verdict.GRANT


def grant(reason: Reason, resident: str) -> Decision:
    return Decision(Verdict.GRANT, reason, resident)


def deny(reason: Reason, resident: str | None = None) -> Decision:
    return Decision(Verdict.DENY, reason, resident)
