"""Canonical JSON, against the `rfc8785` package and the RFC's own example."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.entries import EntryType
from gatevault.core.jcs import MAX_INTEGER, canonical
from tests.core.samples import JSON


@given(JSON)
def test_it_equals_the_reference_and_reads_back(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)
    assert json.loads(canonical(value)) == value


@given(st.dictionaries(st.text(max_size=4), st.integers(0, 9), max_size=12))
def test_the_order_of_names_does_not_matter(value: dict[str, int]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


def test_the_order_of_names_is_that_of_utf_16() -> None:
    # RFC 8785, 3.2.3: U+1F600 is written as surrogates from 0xD83D, so it comes before U+FB33.
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    ordered = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(canonical(dict.fromkeys(names)))) == ordered


def test_escapes_are_the_shortest() -> None:
    assert canonical("\u20ac$\u000f\nA'B\"\\/\x7f") == '"€$\\u000f\\nA\'B\\"\\\\/\x7f"'.encode()
    assert canonical("\b\t\n\f\r\0\x1f") == b'"\\b\\t\\n\\f\\r\\u0000\\u001f"'


def test_tuples_are_lists_and_enumerated_words_are_words() -> None:
    assert canonical((1, (True, None), EntryType.FAULT)) == b'[1,[true,null],"fault"]'


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        MAX_INTEGER + 1,
        -MAX_INTEGER - 1,
        10**400,
        b"bytes",
        {1: "a number as a name"},
        {None: 1},
        {"a", "set"},
        object(),
        "\ud800",
        {"\udfff": 1},
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_plain_form_is_refused_wherever_it_is(value: object) -> None:
    for wrapped in (value, [value], {"name": [1, value]}):
        with pytest.raises(ValueError, match=r".+"):
            canonical(wrapped)


@pytest.mark.parametrize("value", [MAX_INTEGER, -MAX_INTEGER, 0])
def test_whole_numbers_to_the_limit_are_exact(value: int) -> None:
    assert canonical(value) == str(value).encode()
