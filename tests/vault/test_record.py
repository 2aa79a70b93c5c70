"""Template records: they open whole, under exactly what they were bound to, or not at all.

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

from gatevault.core.errors import HolderKeyNeededError, RecordRefusedError
from gatevault.core.types import MAX_DIMENSION
from gatevault.vault import record as module
from gatevault.vault.keys import Epoch, Secret, holder_key
from gatevault.vault.record import (
    MAX_CAPTURES,
    Captures,
    Mode,
    Place,
    SealedTemplate,
    mode_of,
    open_template,
    rewrap,
    seal_template,
)
from gatevault.vault.sealing import NONCE
from tests.core.samples import shows
from tests.vault.samples import (
    EPOCH,
    HOLDER,
    HOUSE,
    LONG_CARD,
    OTHER,
    OTHER_LONG_CARD,
    PLACE,
    RECEIPT,
    WRONG_EPOCH,
    captures,
)

TEMPLATES = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=16),
    elements=st.floats(width=32, allow_nan=False),
)
KINDS = pytest.mark.parametrize("holder", [None, HOLDER], ids=["device-key", "holder-key"])
NEXT = EPOCH.next()


def made(
    template: Captures | None = None, place: Place = PLACE, receipt: bytes = RECEIPT, holder: Secret | None = None
) -> SealedTemplate:
    return seal_template(EPOCH, place, receipt, captures() if template is None else template, 1, holder)


def opened(
    record: SealedTemplate,
    place: Place = PLACE,
    receipt: bytes = RECEIPT,
    holder: Secret | None = None,
    epoch: Epoch = EPOCH,
) -> Captures:
    return open_template(epoch, place, receipt, record, holder)


def refused(record: SealedTemplate, **under: Any) -> bool:
    try:
        opened(record, **under)
    except RecordRefusedError as error:
        assert error.__cause__ is None
        return True
    return False


def flipped(box: bytes, bit: int) -> bytes:
    changed = bytearray(box)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


# --- what comes back -----------------------------------------------------------------------------


@given(TEMPLATES, st.booleans(), st.integers(1, MAX_CAPTURES))
def test_a_template_comes_back_bit_for_bit(template: Captures, held: bool, slots: int) -> None:
    holder = HOLDER if held else None
    back = opened(seal_template(EPOCH, PLACE, RECEIPT, template, slots, holder), holder=holder)
    assert back.dtype == np.float32
    assert back.shape == template.shape
    assert back.tobytes() == template.tobytes()
    back.fill(0.0)  # an array of its own, which the caller wipes


@pytest.mark.parametrize("shape", [(MAX_CAPTURES, MAX_DIMENSION), (1, 1)])
def test_the_largest_and_the_smallest_template(shape: tuple[int, int]) -> None:
    template = captures(*shape)
    assert (opened(made(template)) == template).all()


@pytest.mark.parametrize("shape", [(0, 8), (MAX_CAPTURES + 1, 8), (1, 0), (1, MAX_DIMENSION + 1), (8,), (2, 2, 2)])
def test_an_impossible_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"a template has|unpack"):
        made(np.ones(shape, dtype=np.float32))


def test_more_slots_than_a_template_may_have_are_refused() -> None:
    with pytest.raises(ValueError, match="a template has"):
        seal_template(EPOCH, PLACE, RECEIPT, captures(), MAX_CAPTURES + 1)


def test_lengths_tell_neither_how_many_captures_there_are_nor_whose_key_opens() -> None:
    records = [
        seal_template(EPOCH, PLACE, RECEIPT, captures(count), 8, holder)
        for count in range(1, 9)
        for holder in (None, HOLDER)
    ]
    assert len({(len(record.wrapped), len(record.sealed)) for record in records}) == 1


# --- what is refused -----------------------------------------------------------------------------


@KINDS
def test_any_flipped_bit_of_either_box_is_refused(holder: Secret | None) -> None:
    record = made(captures(2, 2), holder=holder)
    for bit in range(8 * len(record.wrapped)):
        assert refused(replace(record, wrapped=flipped(record.wrapped, bit)), holder=holder)
    for bit in range(8 * len(record.sealed)):
        assert refused(replace(record, sealed=flipped(record.sealed, bit)), holder=holder)
    assert not refused(record, holder=holder)


@given(st.data())
def test_a_record_cut_or_lengthened_is_refused(data: st.DataObject) -> None:
    record = made(captures(2, 4))
    part = data.draw(st.sampled_from(["wrapped", "sealed"]))
    box: bytes = getattr(record, part)
    cut = data.draw(st.integers(0, len(box) - 1))
    more = data.draw(st.binary(min_size=1, max_size=80))
    for bad in (box[:cut], box[cut + 1 :], box + more, more + box, b""):
        assert refused(replace(record, **{part: bad}))


ELSEWHERE = {
    "device": {"place": replace(PLACE, device="gv-0011223344556678")},
    "bench": {"place": replace(PLACE, bench=True)},
    "record": {"place": replace(PLACE, record=HOUSE.record_id(OTHER))},
    "model": {"place": replace(PLACE, model=b"\xcd" * 32)},
    "receipt": {"receipt": b"\xba" * 32},
    "two exchanged": {"place": replace(PLACE, model=RECEIPT), "receipt": PLACE.model},
    "a byte moved over": {"place": replace(PLACE, record=PLACE.record + b"\xcc", model=PLACE.model[1:])},
}


@KINDS
@pytest.mark.parametrize("other", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_record_opens_only_under_what_it_was_bound_to(other: dict[str, Any], holder: Secret | None) -> None:
    record, theirs = made(holder=holder), made(holder=holder, **other)
    assert refused(record, holder=holder, **other)
    assert refused(theirs, holder=holder)
    assert refused(replace(record, wrapped=theirs.wrapped), holder=holder)
    assert refused(replace(record, sealed=theirs.sealed), holder=holder)


@KINDS
def test_an_older_record_of_the_same_resident_does_not_mix_with_the_newer(holder: Secret | None) -> None:
    old, new = (made(captures(seed=seed), holder=holder) for seed in (1, 2))
    assert refused(SealedTemplate(old.wrapped, new.sealed), holder=holder)
    assert refused(SealedTemplate(new.wrapped, old.sealed), holder=holder)


def test_the_two_boxes_of_a_record_cannot_change_places() -> None:
    record = made(captures(1, 17))
    assert refused(SealedTemplate(record.sealed, record.wrapped))


@pytest.mark.parametrize("epoch", [WRONG_EPOCH, NEXT, Epoch(2, EPOCH.key)], ids=["key", "next", "number"])
def test_another_epoch_opens_nothing(epoch: Epoch) -> None:
    assert refused(made(), epoch=epoch)
    assert refused(made(holder=HOLDER), epoch=epoch, holder=HOLDER)


# --- epochs and holders --------------------------------------------------------------------------


@KINDS
def test_a_rotation_moves_a_record_and_leaves_nothing_behind(holder: Secret | None) -> None:
    template = captures()
    record = made(template, holder=holder)
    moved = replace(record, wrapped=rewrap(EPOCH, NEXT, PLACE, record.wrapped))
    assert (opened(moved, holder=holder, epoch=NEXT) == template).all()
    assert refused(moved, holder=holder)
    assert refused(record, holder=holder, epoch=NEXT)
    assert mode_of(NEXT, PLACE, moved.wrapped) is (Mode.DEVICE if holder is None else Mode.HOLDER)


@KINDS
def test_only_what_opens_is_wrapped_anew(holder: Secret | None) -> None:
    record = made(holder=holder)
    for bad in (flipped(record.wrapped, 300), record.wrapped[:-1], b""):
        with pytest.raises(RecordRefusedError):
            rewrap(EPOCH, NEXT, PLACE, bad)
    with pytest.raises(RecordRefusedError):
        rewrap(EPOCH, NEXT, replace(PLACE, record=HOUSE.record_id(OTHER)), record.wrapped)


def test_a_holders_record_takes_their_card() -> None:
    record = made(holder=HOLDER)
    with pytest.raises(HolderKeyNeededError):
        opened(record)
    for other in (holder_key(OTHER_LONG_CARD, PLACE.record), holder_key(LONG_CARD, HOUSE.record_id(OTHER))):
        assert refused(record, holder=other)
    assert not refused(record, holder=HOLDER)


def test_the_epochs_key_alone_leads_to_no_holders_template() -> None:
    """What the device has is the outer box: within it is another, and the record's key is nowhere in it."""
    record = made(captures(1, 2), holder=HOLDER)
    inner = bytes(module._unwrap(EPOCH, PLACE, record.wrapped))
    assert inner[0] == Mode.HOLDER
    for at in range(len(inner) - 31):
        with pytest.raises(RecordRefusedError):
            module.unseal(Secret(inner[at : at + 32]), record.sealed, PLACE.data("template", RECEIPT))


def test_a_card_read_beside_a_device_key_record_changes_nothing() -> None:
    assert not refused(made(), holder=HOLDER)


# --- randomness, wiping, showing -----------------------------------------------------------------


def test_nonces_and_record_keys_never_repeat() -> None:
    template = captures(1, 4)
    records = [made(template) for _ in range(500)]
    nonces = {box[:NONCE] for record in records for box in (record.wrapped, record.sealed)}
    assert len(nonces) == 1000
    assert len({bytes(module._unwrap(EPOCH, PLACE, record.wrapped)) for record in records}) == 500


def test_the_records_key_is_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Secret] = []

    class Watched(Secret):
        __slots__ = ()

        def __init__(self, value: bytes | bytearray | memoryview) -> None:
            super().__init__(value)
            kept.append(self)

    monkeypatch.setattr(module, "Secret", Watched)
    record = made()
    opened(record)
    assert refused(replace(record, sealed=flipped(record.sealed, 300)))
    assert len(kept) == 3
    assert all(key.reveal() == bytes(32) for key in kept)


def test_a_record_shows_nothing_of_itself() -> None:
    record = made()
    assert not shows(f"{record!r}{record}", record.wrapped[:8])
    assert not shows(f"{record!r}{record}", record.sealed[:8])


# --- the layout ----------------------------------------------------------------------------------

KEY, EPOCH_KEY, CARD_KEY = bytes(range(32, 64)), bytes(range(32)), bytes(range(64, 96))
VECTOR_PLACE = Place("gv-0011223344556677", False, b"\xaa" * 16, b"\xcc" * 32)
VECTOR_EPOCH = Epoch(7, Secret(EPOCH_KEY))
VECTOR_RECEIPT = b"\xbb" * 32
PLAIN = struct.pack("<BBH6f", 2, 2, 2, 1.0, 0.0, 0.6, 0.8, 0.0, 0.0)
VECTORS = {
    "device": (
        "010101010101010101010101010101010101010101010101a9c1362a5f329c64bbacc4098dbe3924312a439ae54133e7"
        "37be043c1059e2bdd328b6da3813ea709c0deb9425ca97450bbd28fae7702c535f164f5db179bcd9bd4c21db5bdb2091"
        "361d65747a9cbf65736563b2f264fae7be"
    ),
    "holder": (
        "010101010101010101010101010101010101010101010101a8e2140b7f15ba419f87ee20a59117091d1971abd57605d2"
        "0336d8956bb801306b9d06560388c09cc4acc07eff38700f88e112e4b9ade51b385b48ba1a90d77587bad70229432611"
        "bb2d1eec76acff7aaac4d527347cf4f4ac"
    ),
    "sealed": (
        "0202020202020202020202020202020202020202020202027a3f4b0cd6d0f3ba24bbd49bd0138d87c9405b4c1ddacdf5"
        "8504198303437df18a9df8caeb67edb1a533248d"
    ),
}


def parts(purpose: bytes, *more: bytes) -> bytes:
    """The associated data, written out."""
    listed = (purpose, b"\x00\x02", b"gv-0011223344556677", b"gate", b"\xaa" * 16, b"\xcc" * 32, *more)
    return b"".join(struct.pack(">I", len(part)) + part for part in listed)


def box(plain: bytes, data: bytes, nonce: int, key: bytes) -> bytes:
    return bytes([nonce]) * 24 + libsodium_seal(plain, data, bytes([nonce]) * 24, key)


def by_hand(plain: bytes = PLAIN, inner: bytes = b"\0" + KEY + bytes(40)) -> SealedTemplate:
    """A record of any plain text, made with libsodium alone."""
    wrapped = box(inner, parts(b"gv/record-key", b"\0\0\0\7"), 1, EPOCH_KEY)
    return SealedTemplate(wrapped, box(plain, parts(b"gv/template", VECTOR_RECEIPT), 2, KEY))


HELD = b"\1" + box(KEY, parts(b"gv/holder-key"), 3, CARD_KEY)


def of_vector(record: SealedTemplate, holder: bytes | None = None) -> list[list[float]]:
    key = None if holder is None else Secret(holder)
    rows: list[list[float]] = open_template(VECTOR_EPOCH, VECTOR_PLACE, VECTOR_RECEIPT, record, key).tolist()
    return rows


def test_the_fixed_records_open() -> None:
    device, holder = by_hand(), by_hand(inner=HELD)
    assert device.wrapped.hex() == VECTORS["device"]
    assert holder.wrapped.hex() == VECTORS["holder"]
    assert device.sealed.hex() == holder.sealed.hex() == VECTORS["sealed"]
    template = np.array([[1.0, 0.0], [0.6, 0.8]], dtype=np.float32).tolist()
    assert of_vector(device) == of_vector(holder, CARD_KEY) == template


@pytest.mark.parametrize("holder", [None, CARD_KEY])
def test_what_we_write_has_the_documented_offsets(holder: bytes | None) -> None:
    template = np.array([[1.0, 0.0], [0.6, 0.8]], dtype=np.float32)
    key = None if holder is None else Secret(holder)
    record = seal_template(VECTOR_EPOCH, VECTOR_PLACE, VECTOR_RECEIPT, template, 3, key)
    data = parts(b"gv/record-key", b"\0\0\0\7")
    inner = libsodium_open(record.wrapped[24:], data, record.wrapped[:24], EPOCH_KEY)
    assert (len(record.wrapped), len(inner)) == (113, 73)
    if holder is None:
        assert inner[:1] + inner[33:] == b"\0" * 41
        record_key = inner[1:33]
    else:
        assert inner[:1] == b"\1"
        record_key = libsodium_open(inner[25:], parts(b"gv/holder-key"), inner[1:25], holder)
    sealed = record.sealed
    plain = libsodium_open(sealed[24:], parts(b"gv/template", VECTOR_RECEIPT), sealed[:24], record_key)
    assert plain == PLAIN


def test_a_bench_record_is_bound_to_the_bench() -> None:
    assert replace(VECTOR_PLACE, bench=True).data("x") == parts(b"gv/x").replace(b"\0\0\0\4gate", b"\0\0\0\5bench")


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"\x02\x02\x02",
        struct.pack("<BBH4f", 1, 2, 2, 1.0, 0.0, 0.6, 0.8),
        struct.pack("<BBH4f", 2, 2, 3, 1.0, 0.0, 0.6, 0.8),
        struct.pack("<BBH4f", 2, 3, 2, 1.0, 0.0, 0.6, 0.8),
        struct.pack("<BBH", 2, 0, 2),
        struct.pack("<BBH", 2, 2, 0),
        struct.pack("<BBHf", 2, 1, 0, 1.0),
        struct.pack("<BBH17f", 2, 1, 1, *[1.0] * 17),
        PLAIN + b"\0",
    ],
    ids=[
        "empty",
        "cut",
        "version",
        "dimension",
        "count",
        "none",
        "no-dimension",
        "no-dimension-rows",
        "too-many",
        "a-byte-more",
    ],
)
def test_a_format_that_is_not_ours_is_refused_even_under_the_right_key(plain: bytes) -> None:
    with pytest.raises(RecordRefusedError):
        of_vector(by_hand(plain))


@pytest.mark.parametrize(
    "inner",
    [b"", b"\0" + KEY, b"\2" + KEY + bytes(40), HELD[:-1], HELD + b"\0"],
    ids=["empty", "short", "mode", "cut", "long"],
)
def test_a_records_key_of_another_form_is_refused(inner: bytes) -> None:
    with pytest.raises(RecordRefusedError):
        of_vector(by_hand(inner=inner), CARD_KEY)


# --- at length -----------------------------------------------------------------------------------


@pytest.mark.nightly
def test_a_hundred_thousand_altered_records_are_refused() -> None:
    chance = random.Random(1)
    record = made()
    for _ in range(100_000):
        part = chance.choice(["wrapped", "sealed"])
        content = bytearray(getattr(record, part))
        for _ in range(chance.randint(1, 4)):
            content[chance.randrange(len(content))] ^= chance.randint(1, 255)
        if bytes(content) != getattr(record, part):
            assert refused(replace(record, **{part: bytes(content)}))


@pytest.mark.nightly
@settings(max_examples=100_000)
@given(TEMPLATES, st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32), st.booleans())
def test_a_hundred_thousand_templates_come_back(
    template: Captures, record: bytes, receipt: bytes, bench: bool
) -> None:
    place = replace(PLACE, record=record, bench=bench)
    sealed = seal_template(EPOCH, place, receipt, template, 1)
    assert opened(sealed, place, receipt).tobytes() == template.tobytes()
