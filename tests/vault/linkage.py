"""How well one number for each person in one store links them to their rows in another.

An attacker who has two stores of the same people and no key has, for each row, numbers: its id, its place, its
length. `links` tells how far above chance such a pair of numbers is, in standard deviations of what the same
numbers give when the people of one store are shuffled (the floor): by rank correlation, by pairing rows of the
same rank, and by D_sys (Gomez-Barrero et al., TIFS 2018) of the distances in rank.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
"""One number for each person, shape (n,)."""

ROUNDS = 200
BINS = 40
LIMITS = {"spearman": 6.0, "matched": 9.0, "d_sys": 7.0}
"""Standard deviations that chance does not reach: fewer than one test in 10^5 over a hundred statistics. Pairs
that match by chance are one in the mean (a Poisson number), whence the higher limit."""


def ranks(values: npt.ArrayLike) -> Numbers:
    """Ranks from 0; equal values share the mean of theirs."""
    _, where, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    mean: Numbers = (ends - counts + ends - 1) / 2.0
    return mean[where]


def spearman(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """Rank correlation, -1 to 1; 0 where one of them is the same for everybody."""
    a, b = ranks(one), ranks(other)
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale else 0.0


def matched(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """How many people are found by pairing rows of the same rank; where values are equal, in the mean over draws.

    By chance 1.
    """
    (a0, a1), (b0, b1) = _ranges(one), _ranges(other)
    shared = np.minimum(a1, b1) - np.maximum(a0, b0)
    return float((shared.clip(min=0) / ((a1 - a0) * (b1 - b0))).sum())


def _ranges(values: npt.ArrayLike) -> tuple[Numbers, Numbers]:
    """The first rank that each value may have, and the one after the last."""
    _, where, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts).astype(np.float64)
    return (ends - counts)[where], ends[where]


def d_sys(mated: Numbers, others: Numbers) -> float:
    """Linkability of scores of pairs of the same person, against pairs of different people: 0 none, 1 full.

    Sum over bins in which mated pairs are denser (pm > pn) of pm · (pm - pn) / (pm + pn).
    """
    edges = np.histogram_bin_edges(np.concatenate([mated, others]), BINS)
    pm, pn = (np.histogram(scores, edges)[0] / len(scores) for scores in (mated, others))
    denser = pm > pn
    return float((pm[denser] * (pm[denser] - pn[denser]) / (pm[denser] + pn[denser])).sum())


def rank_d_sys(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """D_sys of the distance in rank, over all pairs of people."""
    a, b = ranks(one), ranks(other)
    return d_sys(np.abs(a - b), np.abs(a[:, None] - b[None, ::23]).ravel())


MEASURES: dict[str, Callable[[npt.ArrayLike, npt.ArrayLike], float]] = {
    "spearman": spearman,
    "matched": matched,
    "d_sys": rank_d_sys,
}


def above_chance(measure: str, one: npt.ArrayLike, other: npt.ArrayLike, rounds: int = ROUNDS) -> float:
    """How many standard deviations of the floor a measure lies from its mean; 0 where chance always gives it."""
    shuffled = np.asarray(other).copy()
    draw, floor = np.random.default_rng(1), []
    for _ in range(rounds):
        draw.shuffle(shuffled)
        floor.append(MEASURES[measure](one, shuffled))
    away = MEASURES[measure](one, other) - float(np.mean(floor))
    spread = float(np.std(floor))
    if spread < 1e-12:
        return 0.0 if abs(away) < 1e-9 else float("inf")
    return away / spread


def links(one: npt.ArrayLike, other: npt.ArrayLike) -> dict[str, float]:
    """The measures that link these numbers above chance, with how far."""
    rounds = {"spearman": ROUNDS, "matched": ROUNDS, "d_sys": 30}
    away = {measure: above_chance(measure, one, other, rounds[measure]) for measure in MEASURES}
    return {name: far for name, far in away.items() if (abs(far) if name == "spearman" else far) > LIMITS[name]}
