"""What a score means: how near strangers come, and so where the threshold lies.

Scores are normalised (`core.normalisation`), so that their non-mated distribution is nearly the same in every group
of people. Each group's upper tail is a normal distribution's, fitted on people who were held out of their own
Gaussian; the threshold is that of the *worst* group, at the rate that Bonferroni's bound leaves to one comparison:

    threshold(n, k, f) = max over groups of tail(f / (n · caution)), for `n` residents and a wanted FPIR `f`

Averaging `k` photos raises strangers' scores too, and narrows them: each group's tail is moved and narrowed by as
much as the reference population's, of which there are several photos, but never below that of single photos.

Pure: values in, values out. `lab/fitting.py` makes the figures; `unpack` reads them from bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Annotated, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from gatevault.core.errors import CalibrationError
from gatevault.core.models import MAX_EMBEDDERS, Embedder, Sha256, shares
from gatevault.core.normalisation import Normaliser, Part
from gatevault.core.types import MAX_DIMENSION, Vector

FORMAT: Final = 1

LOOK_ALIKE: Final = 1e-6
"""Share of pairs of different people, in the worst group, whose templates are too alike to tell apart."""

RAREST: Final = 1e-12
"""Probability below which a tail is not followed further."""

_NORMAL: Final = NormalDist()
_NAME = Annotated[str, Meta(min_length=1, max_length=40)]


class Tail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Upper tail of non-mated scores: exceeded with probability m at centre + spread · Φ⁻¹(1 − m)."""

    centre: float
    spread: Annotated[float, Meta(gt=0.0)]

    def at(self, probability: float) -> float:
        """The score that this share of comparisons exceeds."""
        return self.centre - self.spread * _NORMAL.inv_cdf(min(0.5, max(RAREST, probability)))

    def beyond(self, score: float) -> float:
        """The share of comparisons that exceeds this score."""
        return _NORMAL.cdf((self.centre - score) / self.spread)


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A set that figures were fitted on: its file's SHA-256, and which of its rows (bits, first row highest)."""

    file: Annotated[str, Meta(min_length=1, max_length=200)]
    sha256: Sha256
    rows: bytes

    def used(self, count: int) -> npt.NDArray[np.bool_]:
        """Which of the file's `count` rows were used, shape (count,)."""
        return np.unpackbits(np.frombuffer(self.rows, np.uint8), count=count).astype(np.bool_)


class PartFigures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One network's Gaussians as they lie in a file.

    `means` is float32 of shape (g, d), little-endian; `covariances` float16 of shape (g, d(d+1)/2), the lower
    triangles row by row, each to be multiplied by its group's `scales`.
    """

    embedder: Sha256
    """Of the network's file."""
    dimension: Annotated[int, Meta(ge=1, le=MAX_DIMENSION)]
    reach: Annotated[float, Meta(ge=0.0, le=20.0)]
    strength: Annotated[float, Meta(ge=0.0, le=4.0)]
    floor: Annotated[float, Meta(ge=-1.0, le=2.0)]
    means: bytes
    scales: tuple[float, ...]
    covariances: bytes


class Figures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A calibration as it lies in a file, in MessagePack."""

    format: int
    name: _NAME
    parts: Annotated[tuple[PartFigures, ...], Meta(min_length=1, max_length=MAX_EMBEDDERS)]
    """In the order in which the networks' vectors are joined."""
    shares: tuple[Annotated[float, Meta(gt=0.0, le=1.0)], ...]
    """Of each network in the fused cosine."""
    groups: Annotated[tuple[_NAME, ...], Meta(min_length=1, max_length=64)]
    """Whose Gaussians there are, in their order: groups of people, and the reference population."""
    caution: Annotated[float, Meta(ge=1.0, le=1000.0)]
    """By how much less than its share a comparison is allowed: the worst group's tail rests on some 150 people, and
    what lies beyond them is extrapolated."""
    tails: dict[_NAME, Tail]
    """Of each group whose people are expected at the gate: one photo against one photo."""
    reference: Tail
    """Of the reference population (as shipped: LFW): one photo against one photo."""
    verification: Tail
    """The same, fitted further out: what one comparison at a false-match rate of 1e-3 to 1e-5 needs."""
    fused: Annotated[tuple[Tail, ...], Meta(min_length=1, max_length=30)]
    """Of the reference population: the mean of 1, 2, … photos against a template of three."""
    same_person: float
    """Least cosine of a frame to the mean of one person's frames before it; below, somebody else has come."""
    agreement: float
    """Least cosine of each of an enrolment's captures to the mean of the others."""
    novelty: float
    """A capture nearer than this to an earlier one adds nothing."""
    typical: float
    """Score that 95 % of one person's pairs of templates reach."""
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Figures of one model, ready to use."""

    figures: Figures
    normaliser: Normaliser = field(repr=False)

    @property
    def dimension(self) -> int:
        """Of the embeddings that it is for."""
        return self.normaliser.dimension

    def fits(self, embedders: Sequence[Embedder]) -> bool:
        """Whether it is for these networks, joined by their usual shares."""
        figures = self.figures
        return tuple(e.sha256 for e in embedders) == tuple(p.embedder for p in figures.parts) and bool(
            np.allclose(figures.shares, shares(embedders))
        )

    def penalty(self, face: Vector) -> float:
        """What is taken off this unit vector's cosines (`core.normalisation`)."""
        return self.normaliser.penalty(face)

    def threshold(self, residents: int, frames: int, fpir: float) -> float:
        """Score from which a stranger comes in at most a share `fpir` of walk-ups, in the worst group.

        `residents` who may be matched, `frames` fused into the probe. By Bonferroni's bound: the chance to match
        anybody is at most the sum of those to match each.
        """
        return self._worst(fpir / (max(1, residents) * self.figures.caution), frames)

    @property
    def look_alike(self) -> float:
        """Score from which two residents' templates, of many captures, are too alike to tell apart."""
        return self._worst(LOOK_ALIKE, len(self.figures.fused))

    def verification_threshold(self, fmr: float) -> float:
        """Score from which one photo matches one other person's at this rate, in the reference population."""
        return self.figures.verification.at(fmr)

    @property
    def duplicate(self) -> float:
        """Score from which a new template may be the same face under another name: an admin has to look."""
        return min(self.figures.typical, self.look_alike)

    @property
    def spread(self) -> float:
        """The unit in which a lead over the second resident is measured: a deviation of non-mated scores."""
        return self.figures.reference.spread

    def _worst(self, share: float, frames: int) -> float:
        """The score that this share of comparisons exceeds in the worst group, with so many photos fused."""
        figures = self.figures
        fused = figures.fused[min(max(1, frames), len(figures.fused)) - 1]
        moved = fused.centre - figures.reference.centre
        narrowed = fused.spread / figures.reference.spread
        return max(
            each.at(share)
            for single in (*figures.tails.values(), figures.reference)
            for each in (single, Tail(single.centre + moved, single.spread * narrowed))
        )


def unpack(data: bytes) -> Calibration:
    """A calibration from its file's bytes. CalibrationError where they are none."""
    try:
        figures = _DECODER.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise CalibrationError("A calibration file is damaged or of another version: install it again.") from None
    told = [figures.same_person, figures.agreement, figures.novelty, figures.typical]
    for each in (*figures.tails.values(), *figures.fused, figures.reference, figures.verification):
        told += [each.centre, each.spread]
    if (
        figures.format != FORMAT
        or not len(figures.parts) == len(figures.shares)
        or not set(figures.tails) <= set(figures.groups)
        or not np.isfinite(told).all()
    ):
        raise CalibrationError("A calibration file does not fit together: install it again.")
    groups = len(figures.groups)
    parts = [_part(p, share, groups) for p, share in zip(figures.parts, figures.shares, strict=True)]
    return Calibration(figures, Normaliser(parts))


def _part(figures: PartFigures, share: float, groups: int) -> Part:
    d = figures.dimension
    triangle = d * (d + 1) // 2
    if (
        len(figures.means) != 4 * groups * d
        or len(figures.covariances) != 2 * groups * triangle
        or len(figures.scales) != groups
    ):
        raise CalibrationError("A calibration file does not fit together: install it again.")
    means = np.frombuffer(figures.means, "<f4").astype(np.float32).reshape(groups, d)
    packed = np.frombuffer(figures.covariances, "<f2").astype(np.float32).reshape(groups, triangle)
    packed *= np.asarray(figures.scales, np.float32)[:, None]
    covariances = np.zeros((groups, d, d), np.float32)
    rows, columns = np.tril_indices(d)
    covariances[:, rows, columns] = packed
    covariances[:, columns, rows] = packed
    if not (np.isfinite(means).all() and np.isfinite(covariances).all()):
        raise CalibrationError("A calibration file holds figures that are none: install it again.")
    return Part(share, figures.reach, figures.strength, figures.floor, means, covariances)


def pack(
    name: str, embedders: Sequence[str], normaliser: Normaliser, groups: Sequence[str], figures: dict[str, Any]
) -> bytes:
    """The bytes of a calibration: `embedders` by SHA-256, `groups` by name, `figures` the rest of `Figures`."""
    parts = tuple(_packed(sha, part) for sha, part in zip(embedders, normaliser.parts, strict=True))
    return msgspec.msgpack.encode(
        Figures(
            format=FORMAT,
            name=name,
            parts=parts,
            shares=tuple(part.share for part in normaliser.parts),
            groups=tuple(groups),
            **figures,
        )
    )


def _packed(embedder: str, part: Part) -> PartFigures:
    rows, columns = np.tril_indices(part.dimension)
    triangles = part.covariances[:, rows, columns]
    scales = np.maximum(np.abs(triangles).max(axis=1), np.finfo(np.float32).tiny)
    return PartFigures(
        embedder=embedder,
        dimension=part.dimension,
        reach=part.reach,
        strength=part.strength,
        floor=part.floor,
        means=np.asarray(part.means, "<f4").tobytes(),
        scales=tuple(float(s) for s in scales),
        covariances=np.asarray(triangles / scales[:, None], "<f2").tobytes(),
    )


_DECODER: Final = msgspec.msgpack.Decoder(Figures)
