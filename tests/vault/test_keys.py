"""Keys derived from the two roots. The vectors come from hashlib's BLAKE2b, an implementation of its own."""

from __future__ import annotations

import copy
import hashlib
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.vault.keys import Epoch, HouseKeys, Secret, holder_key, random_epoch
from tests.core.samples import shows
from tests.vault.samples import CARD, HOUSE, LONG_CARD, WHO

ROOT = bytes(range(32))
HOUSE_PARTS = ("registry", "card", "link", "journal", "ledger", "receipts")
VECTORS = {
    "registry": "ee16d8eea10355c80a9fd2eb880e2e4caece276ce865b9bf93368813f952707f",
    "card": "23b4257f1539990e2439a45c72c9b7a68e7fa1e0c93f593c6cb8c01cf2cd83e1",
    "link": "2497608e9c3942ce780af11c78fdd7ea089df1f1dfc4b3023cb471e027178bc4",
    "journal": "9ad49334e6c04554a453f45979c67743dbe9605535bb122d49588d93796ea8cf",
    "ledger": "6c41a85b58439b07ca92eebe9e891a85527a3234581850fb4ac5997b71623b21",
    "receipts": "2b34b75b7dd5d7ea93ba833cb16639b922dc6ad57ae28a58c807700ebf506459",
}


def subkeys(root: bytes) -> dict[str, bytes]:
    house = HouseKeys.derive(Secret(root))
    keys = {}
    for part in HOUSE_PARTS:
        key = getattr(house, part)
        keys[part] = key.reveal()
    return keys


@pytest.mark.parametrize("part", VECTORS)
def test_the_vectors(part: str) -> None:
    by_hashlib = hashlib.blake2b(b"", digest_size=32, key=ROOT, person=f"gv/{part}/v1".encode())
    assert subkeys(ROOT)[part].hex() == by_hashlib.hexdigest() == VECTORS[part]


def test_card_hash_and_record_id_vectors() -> None:
    house = HouseKeys.derive(Secret(ROOT))
    by_hashlib = hashlib.blake2b(
        b"7001234567", digest_size=32, key=bytes.fromhex(VECTORS["card"]), person=b"gv/card-no/v1"
    )
    assert house.card_hash("7001234567") == by_hashlib.digest()
    assert house.card_hash("7001234567").hex() == "e4677c99704a557f16693872ae08d6933c2cbecdd525296371881d87c5db0ca0"
    assert house.record_id("r-0123456789abcdef").hex() == "9bba9237428f608c7035be52f617a8c6"


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_every_key_differs_and_the_same_root_gives_the_same_keys(root: bytes, other: bytes) -> None:
    keys = subkeys(root)
    assert keys == subkeys(root)
    assert len({root, *keys.values()}) == len(keys) + 1
    if other != root:
        assert not set(keys.values()) & set(subkeys(other).values())


def test_hashes_of_cards_and_pseudonyms_are_keyed() -> None:
    other = HouseKeys.derive(Secret(bytes(32)))
    assert HOUSE.card_hash(CARD) != other.card_hash(CARD)
    assert HOUSE.record_id(WHO) != other.record_id(WHO)
    for unkeyed in (hashlib.blake2b, hashlib.sha256, hashlib.sha512):
        assert unkeyed(CARD.encode()).digest()[:16] != HOUSE.card_hash(CARD)[:16]


def test_a_record_id_is_not_computed_from_anything_in_the_registry() -> None:
    """The key that seals the registry's rows, and the pseudonym in them, do not give the record's id."""
    ours = HOUSE.record_id(WHO)
    assert len(ours) == 16
    assert ours != HOUSE.card_hash(WHO)[:16]
    for key in (HOUSE.registry, HOUSE.card, HOUSE.journal):
        for size in (16, 32):
            guess = hashlib.blake2b(WHO.encode(), digest_size=size, key=key.reveal(), person=b"gv/record/v1")
            assert guess.digest()[:16] != ours


def test_a_holders_key_is_of_their_card_and_their_record() -> None:
    record = HOUSE.record_id(WHO)
    by_hashlib = hashlib.blake2b(LONG_CARD.encode(), digest_size=32, salt=record, person=b"gv/holder-key/v1")
    key = holder_key(LONG_CARD, record).reveal()
    assert key == by_hashlib.digest()
    assert key.hex() == "bfeda07be8ccbdb1d62781e6d620e351e7f064b0b2ea47fb565e781ac2bfa864"
    assert key not in (holder_key(LONG_CARD, bytes(16)).reveal(), holder_key(LONG_CARD[1:], record).reveal())


def test_epochs_are_drawn_and_not_derived() -> None:
    first = random_epoch(1)
    nexts = [first.next() for _ in range(50)]
    assert {epoch.number for epoch in nexts} == {2}
    assert len({epoch.key.reveal() for epoch in (first, *nexts)}) == 51


# --- secrets -------------------------------------------------------------------------------------


@given(st.binary(min_size=32, max_size=32).filter(lambda key: len(set(key)) > 8))
def test_a_secret_does_not_show_itself(key: bytes) -> None:
    secret = Secret(key)
    assert secret.reveal() == key
    for shown in (repr(secret), str(secret), f"{secret}", repr([secret]), f"{Epoch(1, secret)!r}"):
        assert not shows(shown, key)
        assert not shows(shown, key[:4])


def test_no_derived_key_shows_itself() -> None:
    for name, key in subkeys(ROOT).items():
        keys = HouseKeys.derive(Secret(ROOT))
        assert not shows(f"{keys!r}{keys}", key), name


def test_a_secret_is_neither_pickled_nor_copied() -> None:
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            attempt(Secret(ROOT))


def test_a_wiped_secret_holds_nothing_and_its_source_is_not_touched() -> None:
    source = bytearray(ROOT)
    secret = Secret(source)
    source[0] ^= 1
    assert secret.reveal() == ROOT, "it is a copy"
    secret.wipe()
    assert secret.reveal() == bytes(32)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_has_32_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Secret(bytes(size))
