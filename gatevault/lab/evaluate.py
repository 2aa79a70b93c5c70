"""`gatevault evaluate PATH`: how often a model is wrong, on people whom its figures were not fitted on.

PATH is an `.npz` of embeddings by `identity` or, with `--by-group`, by `group` (`lab.sets`), or a folder of
photographs (`lab.photos`). Rows that the shipped calibration was fitted on are left out; with `--fit`, half of the
people (even identities) make a calibration and the other half is searched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gatevault.core.calibration import Calibration, unpack
from gatevault.core.errors import UsageError
from gatevault.lab.by_group import by_group
from gatevault.lab.fitting import refit, tail
from gatevault.lab.open_set import Draw, OpenSet, Plan, mean_rate
from gatevault.lab.photos import embed_folder
from gatevault.lab.scores import against, pairs
from gatevault.lab.sets import MODELS, Rows, embeddings, read_set

Say = Callable[[str], None]

OPERATING_POINTS: Final = (0.01, 0.003, 0.001)
"""FPIR at which errors are told beside the one that is asked for; 0.3 % is what NIST quotes."""

SIZES: Final = (100, 300, 1_000, 10_000)
"""Numbers of residents for which thresholds are told."""

DET_POINTS: Final = 60
MOST_VERIFIED: Final = 4
"""Photographs of one person that are compared one to one."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. `residents`: 300, or as many as there can be where nobody says; estates of 100 by group."""

    model: str = "dlib"
    residents: int | None = None
    fpir: float = 0.001
    fmr: float = 1e-4
    frames: int = 1
    draws: int = 10
    fit: bool = False
    seed: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """Vectors (n, d) of one model and whose each is (n,)."""

    rows: Rows
    identity: npt.NDArray[Any]
    left_out: int = 0
    """Rows that the shipped figures were fitted on."""

    def by_person(self) -> list[Rows]:
        order = np.argsort(self.identity, kind="stable")
        ends = np.flatnonzero(np.diff(self.identity[order])) + 1
        return [self.rows[places] for places in np.split(order, ends)]


def shipped(model: str) -> Calibration:
    """The calibration of a model that ships."""
    return unpack(files("gatevault").joinpath("calibrations", f"{model}.cal").read_bytes())


def unseen(path: Path, count: int, calibration: Calibration) -> npt.NDArray[np.bool_]:
    """Which of a file's rows the shipped figures were not fitted on, shape (count,)."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    used = [source.used(count) for source in calibration.figures.sources if source.sha256 == digest]
    return ~np.any(used, axis=0) if used else np.ones(count, np.bool_)


def evaluate_groups(path: Path, request: Request) -> dict[str, Any]:
    """Rates by group, at the shipped thresholds. UsageError."""
    data, calibration = read_set(path, "group"), shipped(request.model)
    rows, group = embeddings(data, request.model), data["group"]
    fresh = unseen(path, len(group), calibration)
    names = [str(name) for name in np.unique(group)]
    raw = {name: data["dlib"][fresh & (group == name)] for name in names} if "dlib" in data else {}
    body = by_group(
        {name: rows[fresh & (group == name)] for name in names},
        raw,
        calibration,
        request.fmr,
        request.residents or 100,
        request.fpir,
        max(request.draws, 100),
        request.seed,
    )
    return {"model": request.model, "left_out": int((~fresh).sum()), **body}


def evaluate_people(
    path: Path, request: Request, others: Path | None, networks: Path | None, say: Say
) -> tuple[dict[str, Any], bytes | None]:
    """Open-set rates, and with `fit` the calibration of all people of PATH. UsageError.

    `others`: an `.npz` by `group` whose people walk up as strangers too; `networks`: where models' files lie.
    """
    calibration, layouts = shipped(request.model), MODELS[request.model]
    people, lacking = _people(path, request, calibration, networks, say)
    searched, fitted, whole = people, None, None
    if request.fit:
        even = people.identity % 2 == 0
        fitted = unpack(refit(calibration, People(people.rows[even], people.identity[even]).by_person(), layouts))
        whole = refit(calibration, people.by_person(), layouts)
        searched = People(people.rows[~even], people.identity[~even], people.left_out)
    more = _others(others, request.model, calibration) if others else people.rows[:0]
    chosen = fitted or calibration
    plan = Plan(request.residents or _default(searched, request.frames), request.frames)
    by_person = searched.by_person()
    scored = OpenSet(by_person, more, plan, layouts, chosen.normaliser)
    if scored.residents < plan.residents:
        say(f"only {scored.residents} people have the photographs to be residents, {plan.residents} were asked")
    draws = scored.draws(request.draws, request.seed)
    body: dict[str, Any] = {
        "model": request.model,
        "residents": scored.residents,
        "residents_asked": plan.residents,
        "residents_searching": scored.searching,
        "frames": plan.frames,
        "enrolled_from": plan.enrol,
        "draws": request.draws,
        "people": len(by_person),
        "left_out": searched.left_out,
        "probes": round(float(np.mean([len(draw.residents) for draw in draws]))),
        "strangers": scored.strangers,
        "stranger_searches": round(float(np.mean([len(draw.strangers) for draw in draws]))),
        "photographs_not_used": lacking,
        **_at(draws, request.fpir, scored),
        "operating_points": [_at(draws, fpir, scored) for fpir in OPERATING_POINTS],
        "det": _det(draws),
    }
    if fitted is not None:
        body["fitted"] = _by(draws, fitted, plan, request.fpir, scored)
        apart = OpenSet(by_person, more, plan, layouts, calibration.normaliser)
        body["shipped"] = _by(apart.draws(request.draws, request.seed), calibration, plan, request.fpir, apart)
    else:
        body["shipped"] = _by(draws, calibration, plan, request.fpir, scored)
    body["at_residents"] = _sizes(draws, chosen, scored.residents, plan.frames, request.fpir)
    body["verification"] = _verify(by_person, calibration, request.fmr)
    return body, whole


def keep(path: Path | None, figures: bytes | None) -> None:
    """Write a calibration where one is wanted. UsageError without `fit`, or where it cannot be written."""
    if path is None:
        return
    if figures is None:
        raise UsageError("--calibration needs --fit: without it nothing of the data is used to fit.")
    try:
        path.write_bytes(figures)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}): name another file.") from None


def _people(
    path: Path, request: Request, calibration: Calibration, networks: Path | None, say: Say
) -> tuple[People, dict[str, int]]:
    """Everybody to fit on and to search; without `fit` nobody whom the shipped figures know."""
    if path.is_dir():
        rows, identity, lacking = embed_folder(path, request.model, networks, say)
        return People(rows, identity), lacking
    data = read_set(path, "identity")
    rows = embeddings(data, request.model)
    fresh = unseen(path, len(rows), calibration) | request.fit
    return People(rows[fresh], data["identity"][fresh], int((~fresh).sum())), {}


def _others(path: Path, model: str, calibration: Calibration) -> Rows:
    data = read_set(path, "group")
    return embeddings(data, model)[unseen(path, len(data["group"]), calibration)]


def _default(people: People, frames: int) -> int:
    """300 residents, or as many as have photographs enough to enrol and to walk up with."""
    able = sum(len(rows) >= Plan(1).enrol + frames for rows in people.by_person())
    return max(1, min(300, able))


def _at(draws: Sequence[Draw], fpir: float, scored: OpenSet) -> dict[str, Any]:
    """The error at the threshold that gives this FPIR on these very people."""
    thresholds = [draw.threshold_for(fpir) for draw in draws]
    found = mean_rate([d.fnir(t) for d, t in zip(draws, thresholds, strict=True)], scored.searching)
    return {
        "fpir": fpir,
        "threshold": float(np.mean(thresholds)),
        "fnir": found["share"],
        "fnir_interval": found["interval"],
        "fnir_spread_over_draws": found["spread_over_draws"],
    }


def _by(
    draws: Sequence[Draw], calibration: Calibration, plan: Plan, fpir: float, scored: OpenSet
) -> dict[str, Any]:
    """Both errors at the calibration's own threshold for this FPIR."""
    threshold = calibration.threshold(scored.residents, plan.frames, fpir)
    false = mean_rate([draw.fpir(threshold) for draw in draws], scored.strangers)
    missed = mean_rate([draw.fnir(threshold) for draw in draws], scored.searching)
    return {
        "threshold": threshold,
        "fpir_asked": fpir,
        "fpir": false["share"],
        "fpir_interval": false["interval"],
        "fnir": missed["share"],
        "fnir_interval": missed["interval"],
    }


def _sizes(draws: Sequence[Draw], calibration: Calibration, drawn: int, frames: int, fpir: float) -> dict[str, Any]:
    """The threshold at other numbers of residents; errors there from single comparisons, which is an extrapolation.

    FNIR: own scores below that threshold. FPIR: 1 − (1 − m)ⁿ, m from the fitted tail of strangers' comparisons.
    `fnir_at_fpir` is at the threshold that gives `fpir` on these very people by that same tail.
    """
    single = tail(np.concatenate([draw.comparisons for draw in draws]))
    found = {}
    for count in sorted({*SIZES, drawn}):
        threshold = calibration.threshold(count, frames, fpir)
        found[str(count)] = {
            "threshold": threshold,
            "fnir": float(np.mean([draw.fnir(threshold) for draw in draws])),
            "fpir": float(-np.expm1(count * np.log1p(-min(single.beyond(threshold), 0.999999)))),
            "fnir_at_fpir": float(np.mean([draw.fnir(single.at(fpir / count)) for draw in draws])),
            "extrapolated": count != drawn,
        }
    return found


def _det(draws: Sequence[Draw]) -> list[list[float]]:
    """FPIR and FNIR along the thresholds: the mean over draws at each of many rates."""
    floor = 1.0 / min(len(draw.strangers) for draw in draws)
    rates = np.geomspace(max(floor, 1e-5), 0.5, DET_POINTS)
    return [[float(f), float(np.mean([d.fnir(d.threshold_for(f)) for d in draws]))] for f in rates]


def _verify(people: Sequence[Rows], calibration: Calibration, fmr: float) -> dict[str, Any]:
    """One photograph against one other, at the shipped threshold for this false-match rate."""
    threshold = calibration.verification_threshold(fmr)
    first = np.stack([rows[0] for rows in people])
    apart = pairs(against(calibration.normaliser, first, first))
    several = [rows[:MOST_VERIFIED] for rows in people if len(rows) > 1]
    missed = [np.mean(pairs(against(calibration.normaliser, rows, rows)) < threshold) for rows in several]
    if not missed:
        raise UsageError("Nobody has two photographs: there is nothing to search with.")
    return {
        "fmr_asked": fmr,
        "threshold": threshold,
        "fmr": float(np.mean(apart >= threshold)),
        "fnmr": float(np.mean(missed)),
        "people": len(missed),
    }
