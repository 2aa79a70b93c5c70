"""The Merkle tree of RFC 9162, section 2.1: roots, proofs, and appending without the tree.

    leaf  SHA256(0x00 ‖ entry)      node  SHA256(0x01 ‖ left ‖ right)      empty tree  SHA256("")

A tree of n leaves splits at the largest power of two below n. Hashes are 32 bytes. Leaves are given
as their hashes, so that whoever checks a ledger needs no payload.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one leaf."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes (MTH of section 2.1.1)."""
    if not leaves:
        return EMPTY_ROOT
    level = list(leaves)
    while len(level) > 1:
        paired = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            paired.append(level[-1])  # the lone last one moves up: that is the split at a power of two
        level = paired
    return level[0]


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a tree: the roots of its complete subtrees, largest first.

    Their sizes are the powers of two in `size`, so a tree of n leaves has at most log2(n) + 1 of
    them. That is all that appending needs.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> Frontier:
        """The edge after one more leaf hash; O(log n)."""
        peaks, merges = [*self.peaks, leaf], self.size
        while merges & 1:
            right = peaks.pop()
            peaks[-1] = node_hash(peaks[-1], right)
            merges >>= 1
        return Frontier(self.size + 1, tuple(peaks))

    def root(self) -> bytes:
        """The root of the whole tree; O(log n)."""
        if not self.peaks:
            return EMPTY_ROOT
        found = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            found = node_hash(peak, found)
        return found

    def encode(self) -> bytes:
        """The peaks one after another; the size stands elsewhere."""
        return b"".join(self.peaks)

    @classmethod
    def decode(cls, size: int, raw: bytes) -> Frontier:
        """The reverse of `encode`. ValueError where the length does not fit the size."""
        if size < 0 or len(raw) != HASH_BYTES * size.bit_count():
            raise ValueError("a frontier has one hash for each power of two in its size")
        return cls(size, tuple(raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES)))

    @classmethod
    def over(cls, leaves: Iterable[bytes]) -> Frontier:
        """The edge of a whole tree."""
        edge = cls()
        for leaf in leaves:
            edge = edge.append(leaf)
        return edge


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The path from one leaf to the root, nearest first (section 2.1.3.1). ValueError outside the tree."""
    if not 0 <= index < len(leaves):
        raise ValueError("there is no such leaf")
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*inclusion_proof(leaves[:split], index), root(leaves[split:])]
    return [*inclusion_proof(leaves[split:], index - split), root(leaves[:split])]


def includes(leaf: bytes, index: int, size: int, proof: Sequence[bytes], tree: bytes) -> bool:
    """Whether `leaf` is number `index` of the tree of `size` leaves with root `tree` (section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, found = index, size - 1, leaf
    for hash_ in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            found = node_hash(hash_, found)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            found = node_hash(found, hash_)
        position, last = position >> 1, last >> 1
    return last == 0 and found == tree


def consistency_proof(leaves: Sequence[bytes], first: int) -> list[bytes]:
    """That the tree of the `first` leaves is the beginning of this one (section 2.1.4.1).

    Empty where nothing is to be shown: for the empty tree, and for the same tree. ValueError outside.
    """
    if not 0 <= first <= len(leaves):
        raise ValueError("the earlier tree is larger than this one")
    return [] if first in (0, len(leaves)) else _subproof(leaves, first, whole=True)


def _subproof(leaves: Sequence[bytes], first: int, *, whole: bool) -> list[bytes]:
    if first == len(leaves):
        return [] if whole else [root(leaves)]
    split = _split(len(leaves))
    if first <= split:
        return [*_subproof(leaves[:split], first, whole=whole), root(leaves[split:])]
    return [*_subproof(leaves[split:], first - split, whole=False), root(leaves[:split])]


def extends(first: int, first_tree: bytes, second: int, second_tree: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the second tree begins with the first (section 2.1.4.2).

    The RFC leaves out equal and empty first trees: they need no proof, and one that is given is refused.
    """
    if not 0 <= first <= second:
        return False
    if first == second:
        return not proof and first_tree == second_tree
    if first == 0:
        return not proof and first_tree == EMPTY_ROOT
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_tree)
    if not path:
        return False
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for hash_ in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old, new = node_hash(hash_, old), node_hash(hash_, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, hash_)
        position, last = position >> 1, last >> 1
    return last == 0 and old == first_tree and new == second_tree


def _split(size: int) -> int:
    """The largest power of two below `size`, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)
