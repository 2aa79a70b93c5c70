"""False matches within groups of people: one photo a person, so whatever matches is a false match.

FMR      share of pairs of different people of one group whose score reaches the threshold (ISO/IEC 19795-1)
estate   FPIR where residents and strangers are all of that group: the normal case of a gate, and the worst one

Groups come with research sets only; no device infers anybody's. Sets repeat some people, so these
are upper bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from gatevault.core.calibration import Calibration
from gatevault.core.errors import UsageError
from gatevault.lab.intervals import rate
from gatevault.lab.open_set import mean_rate
from gatevault.lab.scores import against, pairs
from gatevault.lab.sets import Rows

TUTORIAL: Final = 0.6
"""Euclidean distance between two of dlib's vectors below which `face_recognition` says: the same person."""


def by_group(
    groups: Mapping[str, Rows],
    raw: Mapping[str, Rows],
    calibration: Calibration,
    fmr: float,
    residents: int,
    fpir: float,
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """Rates of each group at the shipped thresholds for `fmr` (one comparison) and `fpir` (an estate).

    `groups`: unit rows (n, d) of each; `raw`: dlib's own vectors, for the tutorials' rule, or empty. UsageError.
    """
    threshold = calibration.verification_threshold(fmr)
    at_gate = calibration.threshold(residents, 1, fpir)
    chance = np.random.default_rng(seed)
    found: dict[str, dict[str, Any]] = {}
    for name, rows in groups.items():
        if len(rows) <= residents:
            raise UsageError(f"{name} has {len(rows)} people: an estate of {residents} leaves no strangers.")
        scores = against(calibration.normaliser, rows, rows)
        above = pairs(scores)
        counted = rate(int((above >= threshold).sum()), above.size)
        shares = []
        for _ in range(draws):
            order = chance.permutation(len(rows))
            best = scores[np.ix_(order[residents:], order[:residents])].max(axis=1)
            shares.append(float(np.mean(best >= at_gate)))
        found[name] = {
            "fmr": counted["share"],
            "interval": [counted["low"], counted["high"]],
            "comparisons": counted["of"],
            "people": len(rows),
            "estate": mean_rate(shares, len(rows) - residents),
        }
        if name in raw:
            found[name]["fmr_tutorial"] = _tutorial(raw[name])
    rates = {name: body["fmr"] for name, body in found.items()}
    worst = max(rates, key=lambda name: rates[name])
    estates = {name: body["estate"]["share"] for name, body in found.items()}
    least = min(max(body["fmr"], 1.0 / body["comparisons"]) for body in found.values())
    return {
        "fmr_asked": fmr,
        "threshold": threshold,
        "groups": found,
        "worst": worst,
        "worst_fmr": rates[worst],
        "worst_over_asked": rates[worst] / fmr,
        "worst_over_best": max(rates[worst], least) / least,
        "estate": {
            "residents": residents,
            "fpir_asked": fpir,
            "threshold": at_gate,
            "worst": max(estates, key=lambda name: estates[name]),
            "worst_fpir": max(estates.values()),
            "draws": draws,
        },
    }


def _tutorial(raw: Rows) -> float:
    """Share of pairs nearer than the tutorials' tolerance."""
    squares = (raw.astype(np.float64) ** 2).sum(axis=1)
    distances = squares[:, None] + squares[None] - 2.0 * raw.astype(np.float64) @ raw.T.astype(np.float64)
    return float(np.mean(pairs(distances) <= TUTORIAL**2))
