"""Boxes: they open whole, under exactly the data they were bound to, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as libsodium_open

from gatevault.core.errors import RecordRefusedError
from gatevault.vault.keys import Secret
from gatevault.vault.sealing import NONCE, TAG, associated, open_into, seal, unseal
from tests.core.samples import shows

KEY = Secret(b"\x07" * 32)


def flipped(box: bytes, bit: int) -> bytes:
    changed = bytearray(box)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


# --- boxes ---------------------------------------------------------------------------------------


@given(st.binary(max_size=500), st.binary(max_size=50))
def test_a_box_opens_to_what_went_in_and_is_libsodiums(plain: bytes, data: bytes) -> None:
    box = seal(KEY, plain, data)
    assert len(box) == NONCE + len(plain) + TAG
    assert unseal(KEY, box, data) == plain
    assert libsodium_open(box[NONCE:], data, box[:NONCE], KEY.reveal()) == plain


@given(st.binary(max_size=60), st.binary(max_size=20), st.data())
def test_a_box_that_is_altered_cut_or_lengthened_is_refused(plain: bytes, data: bytes, draw: st.DataObject) -> None:
    box = seal(KEY, plain, data)
    bit = draw.draw(st.integers(0, 8 * len(box) - 1))
    cut = draw.draw(st.integers(0, len(box) - 1))
    more = draw.draw(st.binary(min_size=1, max_size=20))
    for bad in (flipped(box, bit), box[:cut], box[cut + 1 :], box + more, more + box):
        with pytest.raises(RecordRefusedError):
            unseal(KEY, bad, data)
    with pytest.raises(RecordRefusedError):
        unseal(KEY, box, data + b"x")


@given(st.binary(max_size=120))
def test_any_bytes_that_are_no_box_are_refused(garbage: bytes) -> None:
    with pytest.raises(RecordRefusedError):
        unseal(KEY, garbage, b"")


def test_nothing_of_the_text_is_written_where_the_tag_is_wrong() -> None:
    box = seal(KEY, b"secret text", b"")
    out = bytearray(b"-" * 11)
    with pytest.raises(RecordRefusedError):
        open_into(KEY, flipped(box, 8 * len(box) - 1), b"", out)
    assert bytes(out) in (bytes(11), b"-" * 11)
    open_into(KEY, box, b"", memoryview(out))
    assert out == b"secret text"


@pytest.mark.parametrize("size", [0, 10, 12])
def test_the_room_for_the_plain_text_has_its_length(size: int) -> None:
    with pytest.raises(RecordRefusedError, match="length"):
        open_into(KEY, seal(KEY, b"secret text", b""), b"", bytearray(size))


def test_a_refusal_shows_neither_key_nor_text() -> None:
    with pytest.raises(RecordRefusedError) as caught:
        unseal(KEY, flipped(seal(KEY, b"secret text", b""), 300), b"")
    assert not shows(str(caught.value), KEY.reveal())
    assert "secret" not in str(caught.value)


# --- associated data -----------------------------------------------------------------------------

PARTS = st.lists(st.binary(max_size=6), max_size=4)


@given(st.text("ab-/", max_size=4), PARTS, st.text("ab-/", max_size=4), PARTS)
def test_two_lists_of_parts_never_give_the_same_bytes(
    purpose: str, parts: list[bytes], other_purpose: str, others: list[bytes]
) -> None:
    same = (purpose, parts) == (other_purpose, others)
    assert (associated(purpose, *parts) == associated(other_purpose, *others)) is same


@given(st.binary(max_size=12), st.data())
def test_where_one_part_ends_and_the_next_begins_matters(text: bytes, data: st.DataObject) -> None:
    one, other = (data.draw(st.integers(0, len(text))) for _ in range(2))
    cut = [associated("x", text[:at], text[at:]) for at in (one, other)]
    assert (cut[0] == cut[1]) is (one == other)
    assert associated("x", text) not in cut
