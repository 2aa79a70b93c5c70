"""The tree of RFC 9162: the vectors that Certificate Transparency logs are tested with, the RFC's own
definitions written down a second time, and what no proof may do."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core import merkle
from gatevault.core.merkle import EMPTY_ROOT, Frontier

# The eight leaves and the figures of google/certificate-transparency's merkle_tree_test.
ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
INCLUSION = {(0, 1): [], (0, 8): [A, B, C], (5, 8): [D, E, ROOTS[4]], (2, 3): [ROOTS[2]], (1, 5): [ROOTS[1], B, D]}
CONSISTENCY = {(1, 1): [], (1, 8): [A, B, C], (6, 8): [F, E, ROOTS[4]], (2, 5): [B, D]}

MOST = 64
LEAVES = [merkle.leaf_hash(bytes([number])) for number in range(MOST)]
TREES = [merkle.root(LEAVES[:size]) for size in range(MOST + 1)]


# --- the RFC's definitions, over entries, as they stand there ------------------------------------


def split(size: int) -> int:
    return max(power for power in (2**exponent for exponent in range(size)) if power < size)


def mth(entries: Sequence[bytes]) -> bytes:
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = split(len(entries))
    return hashlib.sha256(b"\x01" + mth(entries[:k]) + mth(entries[k:])).digest()


def path(m: int, entries: Sequence[bytes]) -> list[bytes]:
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if m < k:
        return [*path(m, entries[:k]), mth(entries[k:])]
    return [*path(m - k, entries[k:]), mth(entries[:k])]


def subproof(m: int, entries: Sequence[bytes], b: bool) -> list[bytes]:
    if m == len(entries):
        return [] if b else [mth(entries)]
    k = split(len(entries))
    if m <= k:
        return [*subproof(m, entries[:k], b), mth(entries[k:])]
    return [*subproof(m - k, entries[k:], False), mth(entries[:k])]


def test_the_known_vectors() -> None:
    leaves = [merkle.leaf_hash(entry) for entry in ENTRIES]
    for size, known in enumerate(ROOTS):
        assert merkle.root(leaves[:size]).hex() == known == mth(ENTRIES[:size]).hex()
    for (index, size), proof in INCLUSION.items():
        assert [hash_.hex() for hash_ in merkle.inclusion_proof(leaves[:size], index)] == proof
    for (first, size), proof in CONSISTENCY.items():
        assert [hash_.hex() for hash_ in merkle.consistency_proof(leaves[:size], first)] == proof


@pytest.mark.parametrize("size", range(1, MOST + 1))
def test_every_root_and_proof_is_as_the_rfc_defines_it(size: int) -> None:
    entries = [bytes([number]) for number in range(size)]
    leaves, tree = LEAVES[:size], TREES[size]
    assert tree == mth(entries)
    for index in range(size):
        proof = merkle.inclusion_proof(leaves, index)
        assert proof == path(index, entries)
        assert merkle.includes(leaves[index], index, size, proof, tree)
    for first in range(1, size):
        proof = merkle.consistency_proof(leaves, first)
        assert proof == subproof(first, entries, True)
        assert merkle.extends(first, TREES[first], size, tree, proof)


def test_the_edge_grows_as_the_tree_does_and_stays_small() -> None:
    edge = Frontier()
    for size in range(MOST):
        assert (edge.size, edge.root()) == (size, TREES[size])
        assert len(edge.peaks) == size.bit_count()
        assert Frontier.decode(size, edge.encode()) == edge
        edge = edge.append(LEAVES[size])
    assert edge == Frontier.over(LEAVES)
    assert edge.root() == TREES[MOST]


@pytest.mark.parametrize(
    ("size", "raw"), [(1, b""), (0, bytes(32)), (3, bytes(32)), (2, bytes(31)), (-1, bytes(32))]
)
def test_an_edge_that_does_not_fit_its_size_is_refused(size: int, raw: bytes) -> None:
    with pytest.raises(ValueError, match="one hash for each"):
        Frontier.decode(size, raw)


def test_what_there_is_no_proof_of() -> None:
    for index in (-1, 3):
        with pytest.raises(ValueError, match="no such leaf"):
            merkle.inclusion_proof(LEAVES[:3], index)
    for first in (-1, 4):
        with pytest.raises(ValueError, match="larger"):
            merkle.consistency_proof(LEAVES[:3], first)


def test_empty_and_equal_trees_need_no_proof_and_take_none() -> None:
    some = [LEAVES[0]]
    assert merkle.consistency_proof(LEAVES[:5], 0) == merkle.consistency_proof(LEAVES[:5], 5) == []
    for first in (0, 5):
        assert merkle.extends(first, TREES[first], 5, TREES[5], [])
        assert not merkle.extends(first, TREES[first], 5, TREES[5], some)
        assert not merkle.extends(first, TREES[4], 5, TREES[5], [])
    assert merkle.extends(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    assert not merkle.extends(-1, EMPTY_ROOT, 5, TREES[5], [])
    assert not merkle.extends(6, TREES[6], 5, TREES[5], [])
    assert not merkle.extends(3, TREES[3], 5, TREES[5], [])


sizes = st.integers(1, MOST)


def flipped(data: st.DataObject, raw: bytes) -> bytes:
    at = data.draw(st.integers(0, 8 * len(raw) - 1))
    return (int.from_bytes(raw, "big") ^ (1 << at)).to_bytes(len(raw), "big")


@given(st.data(), sizes)
def test_an_inclusion_proof_proves_nothing_else(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaf, tree = LEAVES[index], TREES[size]
    proof = merkle.inclusion_proof(LEAVES[:size], index)
    assert not merkle.includes(flipped(data, leaf), index, size, proof, tree)
    assert not merkle.includes(leaf, index, size, proof, flipped(data, tree))
    for other in data.draw(st.lists(st.integers(-2, 2 * MOST), max_size=8)):
        if other != index:
            assert not merkle.includes(leaf, other, size, proof, tree)
    assert not merkle.includes(leaf, index, size, [*proof, tree], tree)
    assert not merkle.includes(leaf, index, size, [leaf, *proof], tree)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        assert not merkle.includes(leaf, index, size, [*proof[:at], *proof[at + 1 :]], tree)
        proof[at] = flipped(data, proof[at])
        assert not merkle.includes(leaf, index, size, proof, tree)


@given(st.data(), sizes, sizes)
def test_a_wrong_size_fits_no_leaf_whose_path_differs(data: st.DataObject, size: int, other: int) -> None:
    """A path's shape follows from index and size; another size with the same shape gives the same sums."""
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(LEAVES[:size], index)
    taken = merkle.includes(LEAVES[index], index, other, proof, TREES[size])
    assert taken is (index < other and shape(index, size) == shape(index, other))


def shape(index: int, size: int) -> list[bool]:
    """On which side each hash of the path stands, by the tree's definition."""
    if size == 1:
        return []
    k = split(size)
    return [*shape(index, k), True] if index < k else [*shape(index - k, size - k), False]


@given(st.data(), sizes, sizes)
def test_a_consistency_proof_proves_nothing_else(data: st.DataObject, first: int, second: int) -> None:
    first, second = sorted((first, second))
    old, new = TREES[first], TREES[second]
    proof = merkle.consistency_proof(LEAVES[:second], first)
    assert merkle.extends(first, old, second, new, proof)
    assert not merkle.extends(first, flipped(data, old), second, new, proof)
    assert not merkle.extends(first, old, second, flipped(data, new), proof)
    assert not merkle.extends(first, old, second, new, [*proof, old])
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        assert not merkle.extends(first, old, second, new, [*proof[:at], *proof[at + 1 :]])
        proof[at] = flipped(data, proof[at])
        assert not merkle.extends(first, old, second, new, proof)


@given(st.data(), st.integers(2, MOST))
def test_a_history_that_was_rewritten_has_no_proof(data: st.DataObject, size: int) -> None:
    """No proof over the later tree leads to an earlier tree in which one leaf was another."""
    first = data.draw(st.integers(1, size - 1))
    changed = data.draw(st.integers(0, first - 1))
    earlier = [*LEAVES[:changed], flipped(data, LEAVES[changed]), *LEAVES[changed + 1 : first]]
    for proof in (merkle.consistency_proof(LEAVES[:size], first), []):
        assert not merkle.extends(first, merkle.root(earlier), size, TREES[size], proof)
    forged = merkle.consistency_proof([*earlier, *LEAVES[first:size]], first)
    assert not merkle.extends(first, merkle.root(earlier), size, TREES[size], forged)
