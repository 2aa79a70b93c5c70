"""Open-set searches on embeddings: residents enrolled from some photographs, walk-ups of theirs and of strangers.

FPIR   share of strangers' searches that return somebody
FNIR   share of residents' searches that do not return them

(ISO/IEC 19795-1.) Each draw takes other residents. A rate is the mean over draws; draws share their people, so its
95 % interval counts people, not searches: the exact one for as many searches as there are different people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gatevault.core.errors import UsageError
from gatevault.core.normalisation import Normaliser
from gatevault.lab.intervals import exact_interval
from gatevault.lab.scores import Floats, against
from gatevault.lab.sets import Layout, Rows, mean_rows

ENROL: Final = 3
"""Photographs that a resident is enrolled from."""

MOST_SEARCHES: Final = 5
"""Searches of one person in a draw: some have hundreds of photographs, and would outweigh everybody."""

MISSED: Final = -np.inf
"""The score of a resident's search that somebody else wins."""


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """Scores of one draw's searches: what each would have to reach to be let in."""

    strangers: Floats
    """The best score of each stranger's search."""
    residents: Floats
    """The own score of each resident's search; MISSED where another's is higher."""
    comparisons: Floats
    """Some of the strangers' scores against single templates, to extrapolate from."""

    def threshold_for(self, fpir: float) -> float:
        """The score that this share of the strangers' searches reaches, interpolated between two of them."""
        return float(np.quantile(self.strangers, 1.0 - fpir))

    def fpir(self, threshold: float) -> float:
        return float(np.mean(self.strangers >= threshold))

    def fnir(self, threshold: float) -> float:
        return float(np.mean(self.residents < threshold))


@dataclass(frozen=True, slots=True)
class Plan:
    """How many residents, and photographs fused into a search."""

    residents: int
    frames: int = 1
    enrol: int = ENROL


class OpenSet:
    """People with their photographs' embeddings, and draws from them."""

    def __init__(
        self, people: Sequence[Rows], others: Rows, plan: Plan, layouts: Sequence[Layout], normaliser: Normaliser
    ) -> None:
        """`people`: unit rows of each; `others`: further strangers, one row each. UsageError if nobody can search.

        Where several photographs are fused, half of those who could only fill the gallery stay strangers.
        """
        self._people = people
        self._others = others if plan.frames == 1 else others[:0]
        self._plan = plan
        self._layouts = layouts
        self._normaliser = normaliser
        counts = np.array([len(rows) for rows in people])
        needed = plan.enrol + plan.frames
        self._whole = np.flatnonzero(counts >= needed)
        self._partly = np.flatnonzero((counts >= plan.enrol) & (counts < needed))
        self._fill = len(self._partly) if plan.frames == 1 else len(self._partly) // 2
        if not len(self._whole):
            raise UsageError(f"Nobody has the {needed} photographs that it takes to enrol and to search.")
        if self.strangers < 1:
            raise UsageError("Nobody is left to be a stranger: name fewer --residents, or give more people.")

    @property
    def residents(self) -> int:
        """As many as were planned, or as there are people with photographs enough to be enrolled from."""
        return min(self._plan.residents, len(self._whole) + self._fill)

    @property
    def searching(self) -> int:
        """Residents with photographs left to search with; the others only fill the gallery."""
        return min(len(self._whole), self.residents)

    @property
    def strangers(self) -> int:
        """People who walk up as strangers in each draw, at least."""
        able = sum(len(rows) >= self._plan.frames for rows in self._people) + len(self._others)
        fillers = self.residents - self.searching
        some = sum(len(self._people[i]) >= self._plan.frames for i in self._partly.tolist())
        return able - self.searching - min(fillers, some)

    def draws(self, count: int, seed: int) -> list[Draw]:
        chance = np.random.default_rng(seed)
        return [self._draw(chance) for _ in range(count)]

    def _draw(self, chance: np.random.Generator) -> Draw:
        plan = self._plan
        inside = np.concatenate([chance.permutation(self._whole), chance.permutation(self._partly)])
        inside = inside[: self.residents]
        templates, searches, whose = [], [], []
        for number, person in enumerate(inside):
            photos = self._people[person][chance.permutation(len(self._people[person]))]
            templates.append(mean_rows(photos[: plan.enrol], self._layouts))
            if number < self.searching:
                found = self._searches(photos[plan.enrol :])
                searches += found
                whose += [number] * len(found)
        outside = np.setdiff1d(np.arange(len(self._people)), inside)
        strange = [
            search for person in outside for search in self._searches(chance.permutation(self._people[person]))
        ]
        gallery = np.stack(templates)
        own = against(self._normaliser, np.stack(searches), gallery)
        right = own[np.arange(len(own)), whose]
        foreign = against(self._normaliser, np.stack([*strange, *self._others]), gallery)
        return Draw(
            foreign.max(axis=1),
            np.where(right >= own.max(axis=1), right, MISSED),
            foreign[:, chance.integers(foreign.shape[1], size=8)].ravel(),
        )

    def _searches(self, photos: Rows) -> list[Rows]:
        """Means of so many photographs each as a search takes."""
        k = self._plan.frames
        starts = range(0, len(photos) - k + 1, k)[:MOST_SEARCHES]
        return [mean_rows(photos[start : start + k], self._layouts) for start in starts]


def mean_rate(shares: Sequence[float], people: int) -> dict[str, Any]:
    """The mean over draws, and its interval for so many different people."""
    share = float(np.mean(shares))
    low, high = exact_interval(share * people, people)
    return {"share": share, "interval": [low, high], "spread_over_draws": float(np.std(shares)), "people": people}
