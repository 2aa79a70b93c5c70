"""The ledger's arithmetic. The hexadecimal vectors were computed with hashlib alone, from the formulas."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.entries import (
    TEMPLATE_TYPES,
    Entry,
    EntryHeader,
    EntryType,
    Keep,
    Opening,
    commitment,
    is_sound,
    keep_of,
    templates_after,
)
from gatevault.core.jcs import MAX_INTEGER, canonical
from tests.core.samples import JSON

SALT = bytes(range(16))
PAYLOAD = {"way": "门", "time": "2026-03-01T07:30:00Z"}
C = "84615f201d1146eaa22afc5cd1a214da46f0aeeab1cdf3f7d9aa1f90d3507c42"
HEADER = EntryHeader(0, "b0", 12345, "2026-03-01", EntryType.DECISION, C)
HEADER_JSON = f'{{"boot":"b0","c":"{C}","day":"2026-03-01","i":0,"mono_ms":12345,"type":"decision"}}'.encode()
LEAF = "0a62310bf6b804d084e72433c38e8724b13a263a4631b76935550e99ec2c3dcd"


def test_the_formulas_hold() -> None:
    payload = '{"time":"2026-03-01T07:30:00Z","way":"门"}'.encode()
    assert hashlib.sha256(b"gv/pay/v1\0" + SALT + payload).hexdigest() == C
    assert hashlib.sha256(b"\x00" + HEADER_JSON).hexdigest() == LEAF


def test_the_vectors() -> None:
    assert commitment(SALT, PAYLOAD) == C
    assert HEADER.leaf().hex() == LEAF
    assert HEADER.encoded() == HEADER_JSON


@pytest.mark.parametrize(
    "change",
    [
        {"i": 1},
        {"boot": "b1"},
        {"mono_ms": 12346},
        {"day": "2026-03-02"},
        {"type": EntryType.OUTCOME},
        {"c": C[1:]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_changed_field_changes_the_leaf(change: dict[str, object]) -> None:
    other = msgspec.structs.replace(HEADER, **change)
    assert other.leaf() != HEADER.leaf()


def test_every_field_was_changed_above() -> None:
    assert EntryHeader.__struct_fields__ == ("i", "boot", "mono_ms", "day", "type", "c")


headers = st.builds(
    EntryHeader,
    i=st.integers(0, MAX_INTEGER),
    boot=st.text(max_size=5),
    mono_ms=st.integers(0, MAX_INTEGER),
    day=st.text(max_size=5),
    type=st.sampled_from(EntryType),
    c=st.text(max_size=5),
)


@given(headers, headers)
def test_two_headers_have_one_leaf_only_if_they_are_equal(one: EntryHeader, other: EntryHeader) -> None:
    assert (one.leaf() == other.leaf()) is (one == other)


@given(headers)
def test_a_header_is_canonical_json_however_plain_it_is(header: EntryHeader) -> None:
    plain = msgspec.structs.replace(header, boot="a0-", day="2026-03-01", c="0f")
    for each in (header, plain):
        assert each.encoded() == canonical(msgspec.to_builtins(each))
    for beyond in ({"i": MAX_INTEGER + 1}, {"mono_ms": MAX_INTEGER + 1}):
        with pytest.raises(ValueError, match="exact"):
            msgspec.structs.replace(plain, **beyond).encoded()
    below = msgspec.structs.replace(plain, i=-1, mono_ms=-1)
    assert below.encoded() == canonical(msgspec.to_builtins(below))


payloads = st.dictionaries(st.text(max_size=5), JSON, max_size=4)


@given(payloads, payloads, st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_a_commitment_is_to_one_payload_and_salt(
    one: dict[str, object], other: dict[str, object], salt: bytes, pepper: bytes
) -> None:
    # repr, for 1 == True in Python and not in JSON
    same = salt == pepper and repr(sorted(one.items())) == repr(sorted(other.items()))
    if same or (salt, one) != (pepper, other):
        assert (commitment(salt, one) == commitment(pepper, other)) is same


def test_an_entry_is_sound_with_its_own_payload_alone() -> None:
    assert is_sound(Entry(HEADER, Opening(SALT, PAYLOAD)))
    assert is_sound(Entry(HEADER, None))
    for salt, payload in ((SALT, {}), (bytes(16), PAYLOAD), (SALT[1:], PAYLOAD), (SALT, {"score": 0.5})):
        assert not is_sound(Entry(HEADER, Opening(salt, payload)))
    assert not is_sound(Entry(msgspec.structs.replace(HEADER, i=MAX_INTEGER + 1), None))


def test_every_type_has_its_class() -> None:
    """A type that is new is kept as long as the admins': this names those that go earlier, or never."""
    classes = {keep: {kind.value for kind in EntryType if keep_of(kind) is keep} for keep in Keep}
    assert classes[Keep.GATE] == {
        "started", "stopped", "decision", "outcome", "door-held", "door-locked", "sensor", "fault",
    }  # fmt: skip
    assert classes[Keep.EVER] == {"state-made", "payloads-erased", "restored", "vault-destroyed"}
    assert {"enrolled", "purged", "consent-given", "resident-read", "clock-stepped"} <= classes[Keep.ADMIN]


def test_what_entries_do_to_the_number_of_templates() -> None:
    assert templates_after(3, EntryType.ENROLLED, {"replaces": False}) == 4
    assert templates_after(3, EntryType.ENROLLED, {"replaces": True}) == 3
    for kind in TEMPLATE_TYPES - {EntryType.ENROLLED, EntryType.RESTORED, EntryType.VAULT_DESTROYED}:
        assert templates_after(3, kind, {"template": True}) == 2
        assert templates_after(3, kind, {"template": False}) == templates_after(3, kind, {}) == 3
    for kind in set(EntryType) - TEMPLATE_TYPES:
        assert templates_after(3, kind, {"template": True, "replaces": False}) == 3
    assert templates_after(None, EntryType.ENROLLED, {"replaces": False}) is None
    for before in (None, 3):
        assert templates_after(before, EntryType.RESTORED, {}) == 0, "no template is in a backup"
        assert templates_after(before, EntryType.VAULT_DESTROYED, {}) == 0


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_salt_has_sixteen_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        commitment(bytes(size), {})
