"""Rates by group on groups whose structure is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatevault.core.calibration import Calibration, unpack
from gatevault.core.errors import UsageError
from gatevault.lab.by_group import TUTORIAL, by_group
from gatevault.lab.intervals import exact_interval
from gatevault.lab.sets import MODELS, Rows, Set, embeddings
from tests.lab.people import COUNT, CROWDED, GROUPS, groups

NO_RAW: dict[str, Rows] = {}


@pytest.fixture(scope="module")
def others() -> Set:
    """Other people of the same groups than those of the calibration."""
    return groups(2)


@pytest.fixture(params=list(MODELS))
def model(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def split(data: Set, rows: Rows) -> dict[str, Rows]:
    return {name: rows[data["group"] == name] for name in GROUPS}


def calibration(folder: Path, model: str = "dlib") -> Calibration:
    return unpack((folder / f"{model}.cal").read_bytes())


def measured(made: Path, others: Set, model: str = "dlib", raw: bool = False, **asked: Any) -> dict[str, Any]:
    options = {"fmr": 1e-3, "residents": 100, "fpir": 0.01, "draws": 5, "seed": 1, **asked}
    vectors = split(others, others["dlib"]) if raw else NO_RAW
    return by_group(split(others, embeddings(others, model)), vectors, calibration(made, model), **options)


def test_the_crowded_group_is_the_worst(made: Path, others: Set, model: str) -> None:
    body = measured(made, others, model)
    rates = {name: each["fmr"] for name, each in body["groups"].items()}
    assert body["worst"] == max(rates, key=lambda name: rates[name]) == CROWDED
    assert body["worst_fmr"] == rates[CROWDED]
    assert body["worst_over_asked"] == pytest.approx(rates[CROWDED] / 1e-3)
    assert body["worst_over_best"] == pytest.approx(rates[CROWDED] / min(rates.values()))


def test_every_pair_is_compared_once_with_both_penalties(made: Path, others: Set) -> None:
    body = measured(made, others)
    normaliser, threshold = calibration(made).normaliser, calibration(made).verification_threshold(1e-3)
    assert body["threshold"] == threshold
    rows = split(others, embeddings(others, "dlib"))["middle"][:60]
    own = [normaliser.penalty(row) for row in rows]
    pairs = [(i, j) for i in range(60) for j in range(i)]
    expected = sum(float(rows[i] @ rows[j]) - own[i] - own[j] >= threshold for i, j in pairs)
    few = by_group({"few": rows}, NO_RAW, calibration(made), 1e-3, 20, 0.01, 1, 1)["groups"]["few"]
    assert (few["comparisons"], few["people"]) == (len(pairs), 60) == (1770, 60)
    assert few["fmr"] == pytest.approx(expected / len(pairs))
    assert few["interval"] == pytest.approx(exact_interval(expected, len(pairs)))


FAR = np.eye(128, dtype=np.float32)
"""People at right angles to one another, as nobody's are: no false match."""


def test_where_the_best_group_has_no_false_match_the_ratio_is_finite(made: Path, others: Set) -> None:
    """One of its comparisons is then taken for it: the ratio is at least so large."""
    crowded = split(others, embeddings(others, "dlib"))[CROWDED]
    body = by_group({CROWDED: crowded, "far": FAR}, NO_RAW, calibration(made), 1e-3, 100, 0.01, 1, 1)
    assert body["groups"]["far"]["fmr"] == 0.0 < body["worst_fmr"]
    assert body["worst_over_best"] == pytest.approx(body["worst_fmr"] * 128 * 127 / 2)


def test_where_no_group_has_a_false_match_the_ratio_is_one(made: Path) -> None:
    body = by_group({"far": FAR}, NO_RAW, calibration(made), 1e-3, 100, 0.01, 1, 1)
    assert (body["worst_fmr"], body["worst_over_asked"], body["worst_over_best"]) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("residents", [COUNT, COUNT + 1])
def test_an_estate_of_everybody_leaves_no_strangers(made: Path, others: Set, residents: int) -> None:
    with pytest.raises(UsageError, match=f"{CROWDED} has {COUNT} people: an estate of {residents}"):
        measured(made, others, residents=residents)


def test_one_stranger_is_enough(made: Path, others: Set) -> None:
    body = measured(made, others, residents=COUNT - 1)
    assert body["groups"][CROWDED]["estate"]["people"] == 1


def test_the_tutorials_rule_is_counted_right(made: Path, others: Set) -> None:
    """On dlib's own vectors, as long as they are, at a Euclidean distance of 0.6."""
    body = measured(made, others, raw=True)
    for name, rows in split(others, others["dlib"]).items():
        wide = rows.astype(np.float64)
        near = [np.linalg.norm(wide[n + 1 :] - wide[n], axis=1) <= TUTORIAL for n in range(len(rows))]
        assert body["groups"][name]["fmr_tutorial"] == pytest.approx(np.concatenate(near).mean(), abs=1e-12)
    assert body["groups"][CROWDED]["fmr_tutorial"] > 0.5 > body["groups"]["wide"]["fmr_tutorial"]


def test_without_dlibs_vectors_there_is_no_tutorials_rule(made: Path, others: Set) -> None:
    assert all("fmr_tutorial" not in each for each in measured(made, others)["groups"].values())


def estate_of_doubles(made: Path, others: Set, draws: int, seed: int) -> dict[str, Any]:
    """150 residents of 300 people, everybody with one double, who look the same."""
    wide = split(others, embeddings(others, "dlib"))["wide"][:150]
    doubled = {"doubled": np.vstack([wide, wide])}
    body = by_group(doubled, NO_RAW, calibration(made), 1e-3, 150, 0.01, draws, seed)
    found: dict[str, Any] = body["groups"]["doubled"]["estate"]
    return found


def test_an_estate_lets_in_whom_any_resident_resembles(made: Path, others: Set) -> None:
    """A stranger's double is one of the 150 residents among 299 other people."""
    assert estate_of_doubles(made, others, 20, 1)["share"] == pytest.approx(150 / 299, abs=0.03)


def test_estates_are_drawn_anew_and_repeat_with_their_seed(made: Path, others: Set) -> None:
    many, one = estate_of_doubles(made, others, 20, 1), estate_of_doubles(made, others, 1, 1)
    assert many["spread_over_draws"] > 0.0 == one["spread_over_draws"]
    assert many == estate_of_doubles(made, others, 20, 1) != estate_of_doubles(made, others, 20, 2)
    assert many["people"] == 150


def test_the_estate_is_judged_at_the_threshold_for_its_size(made: Path, others: Set) -> None:
    body = measured(made, others, residents=150, fpir=0.02)
    assert body["estate"]["threshold"] == calibration(made).threshold(150, 1, 0.02)
    assert (body["estate"]["residents"], body["estate"]["fpir_asked"], body["estate"]["draws"]) == (150, 0.02, 5)
    shares = {name: each["estate"]["share"] for name, each in body["groups"].items()}
    assert body["estate"]["worst_fpir"] == max(shares.values()) == shares[body["estate"]["worst"]]
