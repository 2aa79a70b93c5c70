"""Sealed records: they open whole, under exactly what they were bound to, or not at all.

The fixed vectors are built here with libsodium's own call and `struct`, byte for byte as the module's
docstring lays a record out: a change of format is a change of this file.
"""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as libsodium_open
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as libsodium_seal

from gatevault.core.errors import RecordRefusedError
from gatevault.core.types import MAX_DIMENSION
from gatevault.vault import sealing
from gatevault.vault.keys import Secret
from gatevault.vault.sealing import (
    MAX_CAPTURES,
    NONCE,
    TAG,
    Bond,
    SealedTemplate,
    associated,
    open_into,
    open_template,
    seal,
    seal_template,
    unseal,
)
from tests.core.samples import shows
from tests.vault.samples import BOND, VAULT, WRONG_VAULT, captures

KEY = Secret(b"\x07" * 32)
TEMPLATES = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=16),
    elements=st.floats(width=32, allow_nan=False),
)


def refused(record: SealedTemplate, bond: Bond = BOND, wrap: Secret = VAULT.wrap) -> bool:
    try:
        open_template(wrap, bond, record)
    except RecordRefusedError as error:
        assert error.__cause__ is None
        return True
    return False


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


# --- template records ----------------------------------------------------------------------------


@given(TEMPLATES)
def test_a_template_comes_back_bit_for_bit(template: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    opened = open_template(VAULT.wrap, BOND, seal_template(VAULT.wrap, BOND, template))
    assert opened.dtype == np.float32
    assert opened.shape == template.shape
    assert opened.tobytes() == template.tobytes()
    opened.fill(0.0)  # a buffer of its own, which the caller wipes


@pytest.mark.parametrize("shape", [(MAX_CAPTURES, MAX_DIMENSION), (1, 1)])
def test_the_largest_and_the_smallest_template(shape: tuple[int, int]) -> None:
    template = captures(*shape)
    assert (open_template(VAULT.wrap, BOND, seal_template(VAULT.wrap, BOND, template)) == template).all()


@pytest.mark.parametrize("shape", [(0, 8), (MAX_CAPTURES + 1, 8), (1, 0), (1, MAX_DIMENSION + 1), (8,), (2, 2, 2)])
def test_an_impossible_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"a template has|unpack"):
        seal_template(VAULT.wrap, BOND, np.ones(shape, dtype=np.float32))


def test_any_flipped_bit_of_either_box_is_refused() -> None:
    record = seal_template(VAULT.wrap, BOND, captures(2, 2))
    for bit in range(8 * len(record.wrapped_key)):
        assert refused(replace(record, wrapped_key=flipped(record.wrapped_key, bit)))
    for bit in range(8 * len(record.sealed)):
        assert refused(replace(record, sealed=flipped(record.sealed, bit)))
    assert not refused(record)


@given(st.data())
def test_a_record_cut_or_lengthened_is_refused(data: st.DataObject) -> None:
    record = seal_template(VAULT.wrap, BOND, captures(2, 4))
    part = data.draw(st.sampled_from(["wrapped_key", "sealed"]))
    box: bytes = getattr(record, part)
    cut = data.draw(st.integers(0, len(box) - 1))
    more = data.draw(st.binary(min_size=1, max_size=80))
    for bad in (box[:cut], box[cut + 1 :], box + more, more + box, b""):
        assert refused(replace(record, **{part: bad}))


@pytest.mark.parametrize(
    "other",
    [
        replace(BOND, device="gv-0011223344556678"),
        replace(BOND, bench=True),
        replace(BOND, record=b"\xab" * 16),
        replace(BOND, receipt=b"\xba" * 32),
        replace(BOND, model=b"\xcd" * 32),
        replace(BOND, receipt=BOND.model, model=BOND.receipt),
        replace(BOND, record=BOND.record + BOND.receipt[:1], receipt=BOND.receipt[1:]),
    ],
    ids=["device", "bench", "record", "receipt", "model", "two exchanged", "a byte moved over"],
)
def test_a_record_opens_only_under_what_it_was_bound_to(other: Bond) -> None:
    record = seal_template(VAULT.wrap, BOND, captures())
    assert refused(record, other)
    assert refused(seal_template(VAULT.wrap, other, captures()))
    theirs = seal_template(VAULT.wrap, other, captures())
    assert refused(replace(record, wrapped_key=theirs.wrapped_key))
    assert refused(replace(record, sealed=theirs.sealed))


def test_two_records_swapped_are_refused_and_so_are_their_halves() -> None:
    theirs = replace(BOND, record=b"\x0f" * 16)
    mine = seal_template(VAULT.wrap, BOND, captures(seed=1))
    other = seal_template(VAULT.wrap, theirs, captures(seed=2))
    assert refused(other, BOND)
    assert refused(mine, theirs)
    assert refused(SealedTemplate(mine.wrapped_key, other.sealed))
    assert refused(SealedTemplate(other.wrapped_key, mine.sealed))


def test_an_older_record_of_the_same_resident_does_not_mix_with_the_newer() -> None:
    old, new = (seal_template(VAULT.wrap, BOND, captures(seed=seed)) for seed in (1, 2))
    assert refused(SealedTemplate(old.wrapped_key, new.sealed))
    assert refused(SealedTemplate(new.wrapped_key, old.sealed))


def test_the_two_boxes_of_a_record_cannot_change_places() -> None:
    record = seal_template(VAULT.wrap, BOND, captures(1, 7))
    assert len(record.sealed) == len(record.wrapped_key)
    assert refused(SealedTemplate(record.sealed, record.wrapped_key))


def test_another_wrap_key_opens_nothing() -> None:
    assert refused(seal_template(VAULT.wrap, BOND, captures()), wrap=WRONG_VAULT.wrap)


def test_nonces_and_record_keys_never_repeat() -> None:
    template = captures(1, 4)
    records = [seal_template(VAULT.wrap, BOND, template) for _ in range(500)]
    nonces = {box[:NONCE] for record in records for box in (record.wrapped_key, record.sealed)}
    assert len(nonces) == 1000
    keys = {bytes(unseal(VAULT.wrap, r.wrapped_key, BOND.data("template-key"))) for r in records}
    assert len(keys) == 500


def test_the_records_key_and_plain_text_are_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Secret] = []

    class Watched(Secret):
        __slots__ = ()

        def __init__(self, value: bytes | bytearray) -> None:
            super().__init__(value)
            made.append(self)

    monkeypatch.setattr(sealing, "Secret", Watched)
    record = seal_template(VAULT.wrap, BOND, captures())
    open_template(VAULT.wrap, BOND, record)
    assert refused(replace(record, sealed=flipped(record.sealed, 300)))
    assert len(made) == 3
    assert all(key.reveal() == bytes(32) for key in made)


def test_a_record_shows_nothing_of_itself() -> None:
    record = seal_template(VAULT.wrap, BOND, captures())
    assert not shows(f"{record!r}{record}", record.wrapped_key[:8])
    assert not shows(f"{record!r}{record}", record.sealed[:8])


# --- the layout ----------------------------------------------------------------------------------

VECTOR_KEY = bytes.fromhex(
    "01010101010101010101010101010101010101010101010189c0352b58339f65b4adc7088abf3a252e2b409be24030e638bf07"
    "3d1758e1bc9a4d53141546d58372d2ab7cba0b5432"
)
VECTOR_SEALED = bytes.fromhex(
    "020202020202020202020202020202020202020202020202793f4b0cd6d0f3ba24bbd49bd0138d87c9405b4c486c16180e64a8"
    "1eabfe9a27b32dfa17"
)
VECTOR_BOND = Bond("gv-0011223344556677", False, b"\xaa" * 16, b"\xbb" * 32, b"\xcc" * 32)
VECTOR_TEMPLATE = [[1.0, 0.0], [0.6, 0.8]]
WRAP, RECORD_KEY = bytes(range(32)), bytes(range(32, 64))


def parts(purpose: bytes) -> bytes:
    """The associated data, written out."""
    listed = (purpose, b"gv-0011223344556677", b"gate", b"\xaa" * 16, b"\xbb" * 32, b"\xcc" * 32)
    return b"".join(struct.pack(">I", len(part)) + part for part in listed)


def by_hand(plain: bytes) -> SealedTemplate:
    """A record of any plain text, made with libsodium alone."""
    wrapped = libsodium_seal(RECORD_KEY, parts(b"gv/template-key"), b"\x01" * 24, WRAP)
    sealed = libsodium_seal(plain, parts(b"gv/template"), b"\x02" * 24, RECORD_KEY)
    return SealedTemplate(b"\x01" * 24 + wrapped, b"\x02" * 24 + sealed)


def test_the_fixed_record_opens() -> None:
    plain = struct.pack("<BBH4f", 1, 2, 2, 1.0, 0.0, 0.6, 0.8)
    record = by_hand(plain)
    assert (record.wrapped_key, record.sealed) == (VECTOR_KEY, VECTOR_SEALED)
    opened = open_template(Secret(WRAP), VECTOR_BOND, record)
    assert opened.tolist() == np.array(VECTOR_TEMPLATE, dtype=np.float32).tolist()


def test_what_we_write_has_the_documented_offsets() -> None:
    template = np.array(VECTOR_TEMPLATE, dtype=np.float32)
    record = seal_template(Secret(WRAP), VECTOR_BOND, template)
    nonce, wrapped = record.wrapped_key[:24], record.wrapped_key[24:]
    record_key = libsodium_open(wrapped, parts(b"gv/template-key"), nonce, WRAP)
    assert len(record_key) == 32
    plain = libsodium_open(record.sealed[24:], parts(b"gv/template"), record.sealed[:24], record_key)
    assert plain == struct.pack("<BBH", 1, 2, 2) + struct.pack("<4f", 1.0, 0.0, 0.6, 0.8)


def test_a_bench_record_is_bound_to_the_bench() -> None:
    assert replace(VECTOR_BOND, bench=True).data("x") == parts(b"gv/x").replace(b"\0\0\0\4gate", b"\0\0\0\5bench")


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"\x01\x02\x02",
        struct.pack("<BBH4f", 2, 2, 2, 1.0, 0.0, 0.6, 0.8),
        struct.pack("<BBH4f", 1, 2, 3, 1.0, 0.0, 0.6, 0.8),
        struct.pack("<BBH4f", 1, 2, 1, 1.0, 0.0, 0.6, 0.8),
        struct.pack("<BBH", 1, 0, 2),
        struct.pack("<BBH", 1, 2, 0),
        struct.pack("<BBH4f", 1, 2, 2, 1.0, 0.0, 0.6, 0.8) + b"\0",
    ],
    ids=["empty", "cut", "version", "too short", "too long", "no captures", "no dimension", "a byte more"],
)
def test_a_format_that_is_not_ours_is_refused_even_under_the_right_key(plain: bytes) -> None:
    assert refused(by_hand(plain), VECTOR_BOND, Secret(WRAP))


def test_a_records_key_of_another_length_is_refused() -> None:
    short = libsodium_seal(RECORD_KEY[:31], parts(b"gv/template-key"), b"\x01" * 24, WRAP)
    assert refused(SealedTemplate(b"\x01" * 24 + short, VECTOR_SEALED), VECTOR_BOND, Secret(WRAP))


# --- at length -----------------------------------------------------------------------------------


@pytest.mark.nightly
def test_a_hundred_thousand_altered_records_are_refused() -> None:
    chance = random.Random(1)
    record = seal_template(VAULT.wrap, BOND, captures())
    for _ in range(100_000):
        part = chance.choice(["wrapped_key", "sealed"])
        box = bytearray(getattr(record, part))
        for _ in range(chance.randint(1, 4)):
            box[chance.randrange(len(box))] ^= chance.randint(1, 255)
        if bytes(box) != getattr(record, part):
            assert refused(replace(record, **{part: bytes(box)}))


@pytest.mark.nightly
@settings(max_examples=100_000)
@given(TEMPLATES, st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32), st.booleans())
def test_a_hundred_thousand_templates_come_back(
    template: np.ndarray[Any, np.dtype[np.float32]], record: bytes, receipt: bytes, bench: bool
) -> None:
    bond = replace(BOND, record=record, receipt=receipt, bench=bench)
    opened = open_template(VAULT.wrap, bond, seal_template(VAULT.wrap, bond, template))
    assert opened.tobytes() == template.tobytes()
