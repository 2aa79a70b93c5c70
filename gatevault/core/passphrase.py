"""A passphrase as it travels: UTF-8 of its NFKC form, in a buffer that can be overwritten.

Only the program that it was typed into ever has it as text, and ends at once. The daemon reads it character by
character where it must, for a Python string could not be wiped.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Final

from gatevault.core.errors import UsageError

MIN_CHARACTERS: Final = 12
"""Of them, at least `MIN_DISTINCT` differ. Length is what counts against Argon2id: four random words do."""
MIN_DISTINCT: Final = 5
MAX_CHARACTERS: Final = 1024
MAX_BYTES: Final = 4 * MAX_CHARACTERS

_LENGTHS: Final = ((0x80, 1), (0xE0, 2), (0xF0, 3), (0xF8, 4))
"""First bytes below the one have the other number of bytes to their character (RFC 3629)."""

Typed = bytes | bytearray | memoryview


def typed(text: str) -> memoryview:
    """What somebody typed, as it travels. UsageError for what no keyboard types."""
    try:
        data = bytearray(unicodedata.normalize("NFKC", text).encode())
    except UnicodeEncodeError:
        raise UsageError("The passphrase holds half a character: type it again.") from None
    check(data)
    return memoryview(data)


def check(passphrase: Typed) -> None:
    """UsageError unless it has 1 to MAX_CHARACTERS characters, none of them a control character."""
    count = 0
    for character in _characters(passphrase):
        count += 1
        if unicodedata.category(character) == "Cc":
            raise UsageError("The passphrase holds a control character: type it again.")
    if not 1 <= count <= MAX_CHARACTERS:
        raise UsageError(f"A passphrase has 1 to {MAX_CHARACTERS} characters: type it again.")


def is_strong(passphrase: Typed) -> bool:
    """Whether it may keep a vault. UsageError as `check`."""
    characters = list(_characters(passphrase))
    return len(characters) >= MIN_CHARACTERS and len(set(characters)) >= MIN_DISTINCT


def _characters(passphrase: Typed) -> Iterator[str]:
    at = 0
    while at < len(passphrase):
        size = next((size for below, size in _LENGTHS if passphrase[at] < below), 1)
        try:
            yield bytes(passphrase[at : at + size]).decode()
        except UnicodeDecodeError:
            raise UsageError("The passphrase is not UTF-8: type it again.") from None
        at += size
