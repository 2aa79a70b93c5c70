"""`python -m gatevault.lab.pad`: which attacks pass liveness, and how often (ISO/IEC 30107-3).

APCER   share of the attack presentations of a species that are taken for alive; the worst species is quoted
BPCER   share of residents' own presentations that are refused; of two tries: both. Stricter than the standard,
        which counts those that gave no verdict (too much daylight) apart, as BPNRR: they are told beside it
IAPAR   share of a species that is taken for alive *and* matches the resident whom it shows

Every rate has its count, its n, and a one-sided 95 % bound (Clopper and Pearson). Presentations are **synthetic**
(`lab.presentations`); those made of real pictures stand in a table of their own. Limits are fixed on the split
"tune", figures are from "test": other people, cameras, printers and screens.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from gatevault.core.liveness.judge import Refusal
from gatevault.lab.evaluate import Say, shipped
from gatevault.lab.intervals import exact_interval
from gatevault.lab.pad_bench import FPIR, RESIDENTS, Outcome, PadRequest, outcomes
from gatevault.lab.pad_judge import EMBEDDED, load_models
from gatevault.lab.pad_real import real_clips
from gatevault.lab.presentations.challenge import TIERS
from gatevault.lab.presentations.species import ATTACKS, BONA_FIDE

GOALS: Final[dict[str, tuple[float, float, float]]] = {
    "print-held": (0.01, 0.005, 0.01),
    "print-moved": (0.01, 0.005, 0.01),
    "print-bent": (0.15, 0.02, 0.02),
    "print-eye-holes": (0.15, 0.02, 0.02),
    "print-cut-out": (0.15, 0.02, 0.02),
    "replay-phone": (0.03, 0.01, 0.005),
    "replay-tablet": (0.03, 0.01, 0.005),
    "relay": (1.0, 0.02, 0.01),
}
"""What each tier (rgb, led, ir) is to reach; 1: not claimed. A lucky replay has no goal of its own."""

NO_VERDICT: Final = (Refusal.LAMP_DROWNED, Refusal.NO_SENSOR)
"""Refusals by which nobody was taken for an attack: the sensor could not tell."""


def evaluate_pad(request: PadRequest, say: Say = lambda _: None) -> dict[str, Any]:
    """The whole table as JSON. UsageError or GateVaultError for what cannot be run."""
    began = time.monotonic()
    by_species: dict[str, list[Outcome]] = {name: [] for name in request.species}
    for outcome in outcomes(request, say):
        by_species[outcome.species].append(outcome)
    attacks = {name: _attack(name, request.tier, by_species[name]) for name in by_species if name in ATTACKS}
    body: dict[str, Any] = {
        "synthetic": True,
        "about": "synthetic presentations, rendered; see real for those made of real pictures",
        "tier": request.tier,
        "split": request.split,
        "n": request.n,
        "confidence": "one-sided 95 %, Clopper and Pearson",
        "matcher": {"residents": RESIDENTS, "fpir": FPIR, "frames": EMBEDDED},
        "attacks": attacks,
    }
    if attacks:
        body["worst"] = max(
            attacks, key=lambda name: (attacks[name]["apcer"]["share"], attacks[name]["apcer"]["upper"])
        )
    if BONA_FIDE in by_species:
        body["bona_fide"] = _residents(by_species[BONA_FIDE])
    if request.real is not None:
        body["real"] = real_clips(request.real, request.tier, load_models(request.yunet), shipped("dlib"))
    body["seconds"] = round(time.monotonic() - began)
    return body


def bounded(count: int, of: int) -> dict[str, Any]:
    """A count as a share with its one-sided 95 % upper bound."""
    return {"count": count, "of": of, "share": count / of, "upper": exact_interval(count, of, 0.9)[1]}


def _attack(name: str, tier: str, found: Sequence[Outcome]) -> dict[str, Any]:
    goal = GOALS[name][TIERS.index(tier)] if name in GOALS else None
    return {
        "apcer": _counted(found, lambda each: each.live),
        "iapar": _counted(found, lambda each: each.live and each.matched),
        "matched": _counted(found, lambda each: each.matched),
        "goal": goal if goal is not None and goal < 1.0 else None,
        "refusals": dict(Counter(each.refusal for each in found if not each.live).most_common()),
        "peers": _peers(found),
        "passed_seeds": [each.seed for each in found if each.live][:50],
        **_costs(found),
    }


def _residents(found: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "bpcer_one_try": _counted(found, lambda each: not each.live),
        "bpcer_two_tries": _counted(found, lambda each: not each.live and not each.again),
        "bpnrr": _counted(found, lambda each: each.refusal in NO_VERDICT),
        "not_matched": _counted(found, lambda each: not each.matched),
        "refusals": dict(Counter(each.refusal for each in found if not each.live).most_common()),
        "refused_by_manner": dict(Counter(str(e.parameters.get("manner")) for e in found if not e.live)),
        "peers": _peers(found),
        "refused_seeds": [each.seed for each in found if not each.live][:50],
        **_costs(found),
    }


def _counted(found: Sequence[Outcome], what: Callable[[Outcome], bool]) -> dict[str, Any]:
    return bounded(sum(map(what, found)), len(found))


def _peers(found: Sequence[Outcome]) -> dict[str, Any]:
    """How many the peers' rules accept."""
    return {"nod": _counted(found, lambda each: each.nod), "movement": _counted(found, lambda each: each.movement)}


def _costs(found: Sequence[Outcome]) -> dict[str, float]:
    return {
        "face_found": round(float(np.mean([each.found for each in found])), 4),
        "decided_s_mean": round(float(np.mean([each.decided_s for each in found])), 2),
        "decided_s_most": round(float(max(each.decided_s for each in found)), 2),
        "cpu_ms_a_frame": round(float(np.mean([each.cpu_ms for each in found])), 2),
    }
