"""What every card reader is to the daemon, and the words its decoders speak.

A read is an identifier, not proof of anything: UIDs and Wiegand numbers can be cloned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from gatevault.core.types import CardRead

OnRead = Callable[[CardRead], None]
"""Called from the reader's thread with each card."""

OnFault = Callable[[str, str], None]
"""Called from the reader's thread with the reader's name and a sentence for people."""


class Reader(Protocol):
    """A source of card numbers with a thread of its own."""

    @property
    def name(self) -> str:
        """As in the board profile or `config.toml`; goes into `CardRead.reader`."""

    @property
    def healthy(self) -> bool:
        """True while the device is open and being read; the end of a fault shows here."""

    @property
    def numbers(self) -> int:
        """How many card numbers came since construction."""

    @property
    def refused(self) -> Mapping[Refusal, int]:
        """What came and was no number, by reason, since construction."""

    def start(self, on_read: OnRead, on_fault: OnFault) -> None:
        """Begin to read, in a thread. A device that is not there is a fault, not an error."""

    def stop(self) -> None:
        """End the thread and give the device back; no call-back comes after it. May be repeated."""


class Refusal(StrEnum):
    """Why something that a device sent is no card number."""

    LENGTH = "length"
    """Neither 26 nor 34 bits; or more than 64 characters."""
    PARITY = "parity"
    GLITCH = "glitch"
    """Pulses on both lines closer together than a reader sends them."""
    ORDER = "order"
    """Time ran backwards."""
    LOST = "lost"
    """The kernel dropped events."""
    TIMEOUT = "timeout"
    """A pause in the middle of a number."""
    KEY = "key"
    """A key that no card number holds."""


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number, in `canonical_card` form; never shown."""

    text: str = field(repr=False)


Outcome = Number | Refusal
"""What a decoder gives for each thing it heard to its end."""
