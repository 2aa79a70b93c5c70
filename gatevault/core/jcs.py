"""Canonical JSON (RFC 8785) for what is signed and hashed, restricted to what canonicalises plainly.

Floats are refused: their canonical form is the one part of RFC 8785 that is hard to get right, and
nothing that we sign needs them.
"""

from __future__ import annotations

import json
from typing import Final

_TYPES: Final = "canonical JSON takes text, whole numbers, booleans, null, lists and objects"

MAX_INTEGER: Final = 2**53 - 1
"""Largest whole number that every JSON reader keeps exactly (RFC 8785, section 3.2.2.3)."""


def canonical(value: object) -> bytes:
    """The one UTF-8 form of `value`. ValueError for floats, huge integers, lone surrogates, odd types."""
    return json.dumps(_ordered(value), ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _ordered(value: object) -> object:
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise ValueError("a whole number beyond 2^53 - 1 has no exact JSON form")
        return value
    if isinstance(value, list | tuple):
        return [item if type(item) is str else _ordered(item) for item in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("an object's keys are text")
        # RFC 8785 orders names by their UTF-16 code units, which for ASCII is their usual order.
        plain = "".join(value).isascii()
        names = sorted(value) if plain else sorted(value, key=lambda name: name.encode("utf-16-be"))
        # Text is by far the most of it, and a gate signs and verifies thousands of receipts: no call for each.
        return {name: item if type(item := value[name]) is str else _ordered(item) for name in names}
    raise ValueError(_TYPES)
