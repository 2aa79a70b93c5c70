"""A model's figures from people: Gaussians of groups, tails of strangers' scores, how one person's photos resemble.

Each person's penalty is computed from Gaussians that were fitted without them (five folds): on its own people a
Gaussian of 128 dimensions and 150 faces fits too well, and their scores would come out too low.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gatevault.core.calibration import Calibration, Source, Tail, pack
from gatevault.core.errors import UsageError
from gatevault.core.normalisation import Normaliser, Part
from gatevault.lab.scores import Floats, normalised, pairs
from gatevault.lab.sets import Layout, Rows, mean_rows

SHRINKAGE: Final = 0.1
"""Share of a covariance that is replaced by a ball of the same mean variance, for few people in many dimensions."""

FOLDS: Final = 5
QUANTILES: Final = (0.02, 0.01, 0.005, 0.002)
"""Shares of non-mated comparisons at which a tail is fitted.

Deeper, a set's repeated people weigh in: with 0.001 the two halves of the groups gave thresholds so far apart that
one missed five times as many residents as the other.
"""

RARE_QUANTILES: Final = (0.001, 0.0005, 0.0002, 0.0001)
"""The same for the reference population, whose people are many and hardly repeated."""

ENROLLED: Final = 3
"""Photos of a template in the reference population."""

MOST_FUSED: Final = 5
LEAST_FUSED: Final = 50
"""Fewest people with so many photos that a tail is fitted on: their probes meet some hundred templates each."""

SLOPE_SHRINKAGE: Final = 0.5
"""Share of a tail's slope that is the mean of all groups': 150 people tell it to some 20 %, and the steepest sets
the threshold."""

LEAST_PEOPLE: Final = 150

STRANGE: Final = 0.004
"""Share of one person's pairs of photos that look like two people: below, a look begins anew."""

UNLIKE: Final = 0.005
"""Share of enrolments from three photos of one person that may be refused for looking like several."""

NOVELTY: Final = (1.0 - 0.998) / (1.0 - 0.959)
"""How different two captures must be, in one person's median difference between photos of other days.

Above a cosine of 0.998 two frames of dlib's network show the same moment; 0.959 is its median in this population.
"""

NO_FLOOR: Final = -1.0

Normalisation = Mapping[str, tuple[float, float, float | None]]
"""Of each network, by its array's name: reach and strength of the bound, as `core.normalisation` has them, and the
share of the reference population whose bounds lie below the floor."""

SHIPPED: Final[Normalisation] = {"dlib": (2.5, 0.8, None), "mobilefacenet": (4.0, 2.0, 0.8)}
"""Strong, for an estate of any group: few residents missed where the worst group's FPIR on other people stays near
what was asked (docs/recognition.md)."""

CAUTION: Final = 30.0
"""By how much the worst group's comparisons are held rarer than its fitted tail says.

Chosen on the halves of the groups in turn: on the other half the worst estate of one group then stays at two to
three times the FPIR that was asked, with every person in it whom the set repeats.
"""

OWN: Final[Normalisation] = {"dlib": (2.0, 0.3, None), "mobilefacenet": (4.0, 0.3, None)}
"""Weaker, where the population is known (`refit`): few residents missed among people of LFW."""

OWN_CAUTION: Final = 2.0
"""Of the population itself there are so many people that its tail is known further out."""

REFERENCE: Final = "reference"
_NORMAL: Final = NormalDist()

Gaussian = tuple[Floats, Floats]
"""Mean (d,) and covariance (d, d)."""


def gaussian(rows: Rows) -> Gaussian:
    """Mean and shrunken covariance of rows (n, d)."""
    covariance = np.cov(rows.T.astype(np.float64))
    ball = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return rows.mean(axis=0, dtype=np.float64), (1 - SHRINKAGE) * covariance + SHRINKAGE * ball


def tail(scores: Floats, shares: Sequence[float] = QUANTILES) -> Tail:
    """The normal tail through the upper quantiles of non-mated scores, shape (n,)."""
    at = [_NORMAL.inv_cdf(1 - share) for share in shares]
    spread, centre = np.polyfit(at, np.quantile(scores, [1 - share for share in shares]), 1)
    return Tail(float(centre), float(max(spread, 1e-6)))


def shrunken(tails: Mapping[str, Tail]) -> dict[str, Tail]:
    """Tails of groups turned towards their mean slope, about the quantiles that they were fitted at."""
    if not tails:
        return {}
    pivot = float(np.mean([_NORMAL.inv_cdf(1 - share) for share in QUANTILES]))
    common = float(np.mean([each.spread for each in tails.values()]))
    found = {}
    for name, each in tails.items():
        spread = (1 - SLOPE_SHRINKAGE) * each.spread + SLOPE_SHRINKAGE * common
        found[name] = Tail(each.centre + pivot * (each.spread - spread), spread)
    return found


class Fit:
    """One model's figures from groups of single photos and a reference population of people."""

    def __init__(
        self,
        groups: Mapping[str, Rows],
        people: Sequence[Rows],
        layouts: Sequence[Layout],
        normalisation: Normalisation,
        caution: float,
        kept: Mapping[str, Sequence[Gaussian]] | None = None,
    ) -> None:
        """`groups`: rows (n, d) of each; `people`: each one's rows; `layouts`: of the joined vectors.

        `kept`: Gaussians of further groups, one a network, taken as they are. UsageError for too few people.
        """
        self._groups = groups
        self._people = people
        self._layouts = layouts
        self._normalisation = normalisation
        self._caution = caution
        self._first = np.stack([photos[0] for photos in people])
        few = [name for name, rows in {**groups, REFERENCE: self._first}.items() if len(rows) < LEAST_PEOPLE]
        if few:
            raise UsageError(f"{few[0]} has fewer than {LEAST_PEOPLE} people: fewer are somebody's face.")
        several = sum(len(photos) >= 2 * ENROLLED for photos in people)
        if several < FOLDS:
            raise UsageError(
                f"{several} people have {2 * ENROLLED} photographs: too few to tell a person's own scores."
            )
        self._kept = kept or {}
        self._whole = self._fitted(None)
        self._folds = [self._fitted(k) for k in range(FOLDS)]

    def _fitted(self, without: int | None) -> Normaliser:
        """Gaussians of everybody, or of all but every fifth."""

        def few(rows: Rows) -> Rows:
            return rows if without is None else rows[np.arange(len(rows)) % FOLDS != without]

        parts, at = [], 0
        for number, layout in enumerate(self._layouts):
            block = slice(at, at + layout.dimension)
            at = block.stop
            root = np.float32(layout.share**0.5)
            found = [gaussians[number] for gaussians in self._kept.values()]
            found += [gaussian(few(rows)[:, block] / root) for rows in (*self._groups.values(), self._first)]
            means, covariances = (np.stack(part).astype(np.float32) for part in zip(*found, strict=True))
            reach, strength, below = self._normalisation[layout.arrays[0]]
            part = Part(layout.share, reach, strength, NO_FLOOR, means, covariances)
            if below is not None:
                floor = float(np.quantile(part.bounds((self._first[:, block] / root).astype(np.float32)), below))
                part = replace(part, floor=floor)
            parts.append(part)
        return Normaliser(parts)

    def _penalties(self, rows: Rows, whose: npt.NDArray[Any] | None = None) -> Floats:
        """Of each row, by Gaussians without its person (`whose`: their number in the group)."""
        whose = np.arange(len(rows)) if whose is None else whose
        result = np.empty(len(rows))
        for number, normaliser in enumerate(self._folds):
            held = whose % FOLDS == number
            result[held] = normaliser.penalties(rows[held])
        return result

    def _single(self, rows: Rows) -> Floats:
        """Scores of all pairs of a group's single photos."""
        own = self._penalties(rows)
        return pairs(normalised(rows, own, rows, own))

    def _fused(self) -> tuple[Tail, ...]:
        """The mean of 1, 2, … photos of one person against templates of three photos of others."""
        whose, templates = self._means(range(ENROLLED))
        own = self._penalties(templates, whose)
        found = []
        for count in range(1, MOST_FUSED + 1):
            who, probes = self._means(range(count))
            if count > 1 and len(who) < LEAST_FUSED:
                break
            scores = normalised(probes, self._penalties(probes, who), templates, own)
            found.append(tail(scores[who[:, None] != whose[None]]))
        return tuple(found)

    def _means(self, photos: range) -> tuple[npt.NDArray[Any], Rows]:
        """Whose, and the unit mean of these photos of everybody who has them."""
        whose = np.array([n for n, rows in enumerate(self._people) if len(rows) >= photos.stop])
        means = [mean_rows(self._people[n][photos.start : photos.stop], self._layouts) for n in whose]
        return whose, np.stack(means)

    def _likeness(self) -> dict[str, float]:
        """How one person's photos resemble one another: `same_person`, `agreement`, `novelty`, `typical`."""
        mated, least = [], []
        for photos in self._people:
            few = photos[: 2 * ENROLLED]
            mated.append(pairs(few @ few.T))
            if len(few) >= ENROLLED:
                shown = few[:ENROLLED]
                others = [mean_rows(np.delete(shown, n, axis=0), self._layouts) for n in range(ENROLLED)]
                least.append(float(np.vecdot(shown, np.stack(others)).min()))
        cosines = np.concatenate(mated)
        whose, first = self._means(range(ENROLLED))
        again, second = self._means(range(ENROLLED, 2 * ENROLLED))
        first = first[np.isin(whose, again)]
        twice = np.vecdot(first, second) - self._penalties(first, again) - self._penalties(second, again)
        return {
            "same_person": float(np.quantile(cosines, STRANGE)),
            "agreement": float(np.quantile(least, UNLIKE)),
            "novelty": 1.0 - NOVELTY * (1.0 - float(np.median(cosines))),
            "typical": float(np.quantile(twice, 0.05)),
        }

    def pack(self, name: str, sources: Sequence[Source]) -> bytes:
        """The figures as a file."""
        first = self._single(self._first)
        reference = tail(first)
        return pack(
            name,
            [layout.embedder for layout in self._layouts],
            self._whole,
            (*self._kept, *self._groups, REFERENCE),
            {
                "caution": self._caution,
                "tails": shrunken({group: tail(self._single(rows)) for group, rows in self._groups.items()}),
                "reference": reference,
                "verification": tail(first, RARE_QUANTILES),
                "fused": self._fused(),
                **self._likeness(),
                "sources": tuple(sources),
            },
        )


def refit(shipped: Calibration, people: Sequence[Rows], layouts: Sequence[Layout]) -> bytes:
    """The shipped figures with another reference population: the site's own, or half of a research set.

    The groups' Gaussians stay, their tails do not: the threshold is that of `people` alone, who must be like those
    who walk up. UsageError where they are too few.
    """
    figures, parts = shipped.figures, shipped.normaliser.parts
    kept = {
        group: [(part.means[i].astype(np.float64), part.covariances[i].astype(np.float64)) for part in parts]
        for i, group in enumerate(figures.groups)
        if group != REFERENCE
    }
    return Fit({}, people, layouts, OWN, OWN_CAUTION, kept).pack(figures.name, ())
