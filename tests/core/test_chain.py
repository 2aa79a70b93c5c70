"""The ledger's arithmetic. The hexadecimal vectors were computed with hashlib alone, from the formulas."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.chain import EntryHeader, EntryType, commitment, genesis, head_statement, link
from gatevault.core.jcs import MAX_INTEGER
from tests.core.samples import JSON

DEVICE = "gv-0011223344556677"
SALT = bytes(range(16))
PAYLOAD = {"way": "门", "time": "2026-03-01T07:30:00Z"}
C = "84615f201d1146eaa22afc5cd1a214da46f0aeeab1cdf3f7d9aa1f90d3507c42"
HEADER = EntryHeader(0, "b0", 12345, "2026-03-01", EntryType.DECISION, C)
HEADER_JSON = f'{{"boot":"b0","c":"{C}","day":"2026-03-01","i":0,"mono_ms":12345,"type":"decision"}}'.encode()
GENESIS = "e1075acbbbc494003bac12c6d2297ccef5678813da0ad775f1fa3a66297ed07c"
LEAF = "0a62310bf6b804d084e72433c38e8724b13a263a4631b76935550e99ec2c3dcd"
HEAD = "a9adbfb3beebf93d2340d7de8968faf1dbf8e0c647491e0ba382d9a4189f9053"


def test_the_formulas_hold() -> None:
    payload = '{"time":"2026-03-01T07:30:00Z","way":"门"}'.encode()
    assert hashlib.sha256(b"gv/pay/v1\0" + SALT + payload).hexdigest() == C
    assert hashlib.sha256(b"\x00" + HEADER_JSON).hexdigest() == LEAF
    assert hashlib.sha256(b"\x01" + bytes.fromhex(GENESIS) + bytes.fromhex(LEAF)).hexdigest() == HEAD


def test_the_vectors() -> None:
    assert commitment(SALT, PAYLOAD) == C
    assert genesis(DEVICE).hex() == GENESIS
    assert HEADER.leaf().hex() == LEAF
    assert link(genesis(DEVICE), HEADER).hex() == HEAD


def test_what_is_signed() -> None:
    statement = head_statement(DEVICE, 1, bytes.fromhex(HEAD))
    assert statement == f'{{"device":"{DEVICE}","head":"{HEAD}","size":1,"v":"gv/head/v1"}}'.encode()


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
def test_any_changed_field_changes_leaf_and_link(change: dict[str, object]) -> None:
    other = msgspec.structs.replace(HEADER, **change)
    assert other.leaf() != HEADER.leaf()
    assert link(genesis(DEVICE), other) != link(genesis(DEVICE), HEADER)


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


payloads = st.dictionaries(st.text(max_size=5), JSON, max_size=4)


@given(payloads, payloads, st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_a_commitment_is_to_one_payload_and_salt(
    one: dict[str, object], other: dict[str, object], salt: bytes, pepper: bytes
) -> None:
    # repr, for 1 == True in Python and not in JSON
    same = salt == pepper and repr(sorted(one.items())) == repr(sorted(other.items()))
    if same or (salt, one) != (pepper, other):
        assert (commitment(salt, one) == commitment(pepper, other)) is same


def test_the_head_depends_on_the_device_and_on_all_before() -> None:
    assert genesis(DEVICE) != genesis("gv-other")
    assert link(genesis("gv-other"), HEADER) != link(genesis(DEVICE), HEADER)


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_salt_has_sixteen_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        commitment(bytes(size), {})
