"""The passphrase as bytes: the same as Python's text would tell, without ever being one string."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.errors import UsageError
from gatevault.core.passphrase import MAX_CHARACTERS, check, is_strong, typed

TYPED = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=60)


@given(TYPED)
def test_it_is_utf_8_of_the_nfkc_form_in_a_buffer_that_can_be_wiped(text: str) -> None:
    normal = unicodedata.normalize("NFKC", text)
    if any(unicodedata.category(character) == "Cc" for character in normal):
        return
    data = typed(text)
    assert bytes(data) == normal.encode() and not data.readonly
    assert is_strong(data) == (len(normal) >= 12 and len(set(normal)) >= 5)


@given(st.binary(max_size=40))
def test_bytes_that_are_no_text_are_refused_as_text_would_be(data: bytes) -> None:
    try:
        text = data.decode()
        well = len(text) >= 1 and not any(unicodedata.category(character) == "Cc" for character in text)
    except UnicodeDecodeError:
        well = False
    if well:
        check(data)
    else:
        with pytest.raises(UsageError, match="type it again"):
            check(data)


@pytest.mark.parametrize("text", ["", "x" * (MAX_CHARACTERS + 1), "é" * (MAX_CHARACTERS + 1), "a\x00b", "\ud800"])
def test_what_no_keyboard_types_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="type it again"):
        typed(text)


def test_the_longest_is_taken_in_any_script() -> None:
    for character in ("x", "é", "语", "\U0001f511"):
        check(typed(character * MAX_CHARACTERS))
