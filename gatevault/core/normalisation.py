"""How surprising a cosine is: score normalisation by groups of people, nobody's face among them.

A cosine alone does not say how surprising it is: people of some groups lie close together in a network's space, and
a face in a crowded place reaches strangers' templates easily. So the figures of several groups are shipped, one
Gaussian each (mean m, covariance C, of unit embeddings), and every face x has a bound: the cosine that a non-mated
face of its most crowded group would have with it, `reach` deviations above that group's mean,

    bound(x) = max(floor, max over groups g of  m_g·x + reach · √(xᵀ C_g x))

    score(p, t) = p·t − penalty(p) − penalty(t),    penalty(x) = ½ · strength · bound(x)

This is symmetric score normalisation (Auckenthaler, Carey and Lloyd-Thomas, Digital Signal Processing 10, 2000;
Matějka et al., Interspeech 2017), with closed-form Gaussians in place of a cohort of people: nobody's face ships,
nothing is drawn, and no group is inferred of anybody, for the maximum goes over all of them always. The floor is
what most of the reference population stays below: among them a good network's plain cosine needs no correction.

Two fused networks are normalised each on its own (a `Part` of the joined vector), and their scores are added by
their shares: one Gaussian over both would have more dimensions than a group has people.

Pure: values in, values out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from gatevault.core.types import Vector, check_vector
from gatevault.core.wiped import wiped

Array = npt.NDArray[np.float32]

BATCH: Final = 8
"""Faces that are worked on at a time where there are many: their products fit a processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One network's block of the joined vector: `share` of the fused cosine, Gaussians of its unit embeddings."""

    share: float
    reach: float
    strength: float
    floor: float
    """Least bound of a unit vector."""
    means: Array = field(repr=False)
    """Shape (g, d)."""
    covariances: Array = field(repr=False)
    """Shape (g, d, d)."""

    @property
    def dimension(self) -> int:
        return int(self.means.shape[1])

    @property
    def factor(self) -> float:
        """The block is √share of the network's own vector, and counts by its share: together √share."""
        return 0.5 * self.strength * math.sqrt(self.share)

    @property
    def _least(self) -> float:
        return self.floor * math.sqrt(self.share)

    def bound(self, block: Vector) -> float:
        """Of one block, shape (d,); as long as the block is."""
        # In place and row by row, as `core.wiped` asks: a product with x tells x.
        with wiped(np.empty(self.means.shape, np.float32)) as product:
            np.vecdot(self.covariances, block, out=product)
            spread = np.sqrt(np.maximum(np.vecdot(product, block), 0.0))
        highest = float(np.max(np.vecdot(self.means, block) + self.reach * spread))
        return max(highest, self._least)

    def bounds(self, blocks: Array) -> npt.NDArray[np.float64]:
        """Of many blocks at once, shape (n, d) to (n,)."""
        highest = np.full(len(blocks), self._least)
        for mean, covariance in zip(self.means, self.covariances, strict=True):
            spread = np.sqrt(np.maximum(np.einsum("ij,ij->i", blocks @ covariance, blocks), 0.0))
            highest = np.maximum(highest, blocks @ mean + self.reach * spread)
        return highest

    @property
    def scratch(self) -> int:
        """How many values `each_bound` needs room for."""
        groups, dimension = self.means.shape
        return int(BATCH * groups * (dimension + 2))

    def each_bound(self, blocks: Array, scratch: Array) -> npt.NDArray[np.float64]:
        """`bound` of many blocks, shape (n, d) to (n,). All that tells a block on the way lies in `scratch`.

        Row by row as `bound`: a product of matrices takes a seventh of the time, and packs its operands into
        memory of BLAS's own.
        """
        groups, dimension = self.means.shape
        products, forms, heights = np.split(scratch[: self.scratch], np.cumsum([dimension, 1]) * BATCH * groups)
        products = products.reshape(BATCH, groups, dimension)
        forms, heights = forms.reshape(BATCH, groups), heights.reshape(BATCH, groups)
        highest = np.empty(len(blocks), np.float32)
        for at in range(0, len(blocks), BATCH):
            some = blocks[at : at + BATCH]
            product, form, height = products[: len(some)], forms[: len(some)], heights[: len(some)]
            np.vecdot(self.covariances, some[:, None, None, :], out=product)
            np.vecdot(product, some[:, None, :], out=form)
            np.sqrt(np.maximum(form, np.float32(0.0), out=form), out=form)
            form *= np.float32(self.reach)
            form += np.vecdot(self.means, some[:, None, :], out=height)
            np.max(form, axis=1, out=highest[at : at + BATCH])
        return np.maximum(highest.astype(np.float64), self._least)


class Normaliser:
    """What is taken off a cosine for the place in which a face lies."""

    def __init__(self, parts: Sequence[Part]) -> None:
        """`parts` in the order in which their blocks are joined; at least one. ValueError."""
        if not parts:
            raise ValueError("a normaliser has a part for each network")
        self._parts = tuple(parts)

    @property
    def parts(self) -> tuple[Part, ...]:
        return self._parts

    @property
    def dimension(self) -> int:
        return sum(part.dimension for part in self._parts)

    def unit(self, vector: Vector) -> Vector:
        """A vector of this layout with each block as long as its share, shape (d,): a new array.

        Means are taken network by network: else the one whose photos of a person differ less would count for more.
        The caller wipes it. ValueError for another shape, a zero block, or what is not finite.
        """
        check_vector(vector)
        if vector.shape != (self.dimension,):
            raise ValueError("a vector of another dimension than the calibration's")
        result = np.empty_like(vector)
        at = 0
        for part in self._parts:
            block = slice(at, at + part.dimension)
            at = block.stop
            length = float(np.linalg.norm(vector[block]))
            if not length > 0.0:
                raise ValueError("one network gave nothing")
            np.multiply(vector[block], np.float32(math.sqrt(part.share) / length), out=result[block])
        return result

    def scale(self, rows: Array) -> npt.NDArray[np.bool_]:
        """`unit` of many vectors, in place, shape (n, d); which of them are vectors: the others become zeros."""
        well, at = np.ones(len(rows), np.bool_), 0
        for part in self._parts:
            block = rows[:, at : at + part.dimension]
            at += part.dimension
            lengths = np.sqrt(np.vecdot(block, block))
            well &= np.isfinite(lengths) & (lengths > 0.0)
            np.divide(np.float32(math.sqrt(part.share)), lengths, out=lengths, where=well)
            np.multiply(block, lengths[:, None], out=block, where=well[:, None])
        rows[~well] = 0.0
        return well

    @property
    def scratch(self) -> int:
        """How many values `each_penalty` needs room for."""
        return max(part.scratch for part in self._parts)

    def each_penalty(self, faces: Array, scratch: Array) -> npt.NDArray[np.float64]:
        """`penalty` of many faces, shape (n, d) to (n,). All that tells a face on the way lies in `scratch`.

        The caller wipes that; at least as many values as the property of this name says.
        """
        total, at = np.zeros(len(faces)), 0
        for part in self._parts:
            total += part.factor * part.each_bound(faces[:, at : at + part.dimension], scratch)
            at += part.dimension
        return total

    def penalty(self, face: Vector) -> float:
        """This unit vector's share of what is taken off a cosine, shape (d,)."""
        total, at = 0.0, 0
        for part in self._parts:
            total += part.factor * part.bound(face[at : at + part.dimension])
            at += part.dimension
        return total

    def penalties(self, faces: Array) -> npt.NDArray[np.float64]:
        """`penalty` of many faces at once, shape (n, d) to (n,): for the laboratory, leaves copies in RAM."""
        total, at = np.zeros(len(faces)), 0
        for part in self._parts:
            total += part.factor * part.bounds(faces[:, at : at + part.dimension])
            at += part.dimension
        return total
