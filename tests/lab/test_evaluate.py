"""Evaluations of synthetic people: who is left out, who is fitted on, and what is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatevault.core.calibration import unpack
from gatevault.core.errors import UsageError
from gatevault.core.models import DLIB
from gatevault.lab import evaluate as lab
from gatevault.lab.evaluate import Request, evaluate_groups, evaluate_people, keep
from gatevault.lab.intervals import exact_interval
from gatevault.lab.open_set import OpenSet
from gatevault.lab.sets import MODELS, Rows, embeddings
from tests.lab.people import COUNT, GROUPS, groups, people, write

QUICK = Request(residents=60, draws=2, fpir=0.01)
FIT = Request(residents=60, draws=1, fit=True)


def body_of(path: Path, request: Request = QUICK, strangers: Path | None = None) -> dict[str, Any]:
    return evaluate_people(path, request, strangers, None, print)[0]


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[OpenSet]:
    """Everybody who was searched, as the open set was given them."""
    seen: list[OpenSet] = []

    def open_set(*given: Any) -> OpenSet:
        seen.append(OpenSet(*given))
        return seen[-1]

    monkeypatch.setattr(lab, "OpenSet", open_set)
    return seen


@pytest.fixture
def fitted_on(monkeypatch: pytest.MonkeyPatch) -> list[list[Rows]]:
    """The people of each fit."""
    seen: list[list[Rows]] = []
    refit = lab.refit

    def remembered(calibration: Any, by_person: list[Rows], layouts: Any) -> bytes:
        seen.append(by_person)
        return refit(calibration, by_person, layouts)

    monkeypatch.setattr(lab, "refit", remembered)
    return seen


def as_set(by_person: list[Rows]) -> set[bytes]:
    return {row.tobytes() for rows in by_person for row in rows}


@pytest.mark.parametrize("model", list(MODELS))
def test_the_people_of_the_shipped_figures_are_left_out(theirs: Path, searched: list[OpenSet], model: str) -> None:
    data = people()
    body = body_of(theirs / "people.npz", Request(model, residents=60, draws=1))
    assert body["left_out"] == int((data["identity"] % 2 == 0).sum())
    assert body["people"] == COUNT // 2
    assert as_set(searched[0]._people) == as_set([embeddings(data, model)[data["identity"] % 2 == 1]])


def test_a_file_is_known_by_its_bytes_not_by_its_name(theirs: Path, tmp_path: Path) -> None:
    shutil.copyfile(theirs / "people.npz", tmp_path / "other.npz")
    assert body_of(tmp_path / "other.npz")["left_out"] > 0
    others = write(tmp_path / "people.npz", people(2))
    body = body_of(others)
    assert (body["left_out"], body["people"]) == (0, COUNT)


def test_strangers_of_the_shipped_figures_stay_away_too(theirs: Path, tmp_path: Path) -> None:
    alone = body_of(theirs / "people.npz")
    joined = body_of(theirs / "people.npz", strangers=theirs / "groups.npz")
    assert joined["strangers"] - alone["strangers"] == len(GROUPS) * COUNT // 2
    others = write(tmp_path / "groups.npz", groups(2))
    assert body_of(theirs / "people.npz", strangers=others)["strangers"] - alone["strangers"] == len(GROUPS) * COUNT


def test_groups_lose_the_rows_that_the_shipped_figures_know(theirs: Path) -> None:
    body = evaluate_groups(theirs / "groups.npz", Request())
    assert body["left_out"] == len(GROUPS) * COUNT // 2
    assert {each["people"] for each in body["groups"].values()} == {COUNT // 2}
    assert (body["model"], body["estate"]["residents"], body["estate"]["draws"]) == ("dlib", 100, 100)
    assert all("fmr_tutorial" in each for each in body["groups"].values())


def test_fitted_people_are_never_searched(
    theirs: Path, searched: list[OpenSet], fitted_on: list[list[Rows]]
) -> None:
    body, figures = evaluate_people(theirs / "people.npz", FIT, None, None, print)
    half, whole = fitted_on
    assert len(half) == COUNT // 2
    assert all(not as_set(half) & as_set(scored._people) for scored in searched)
    assert as_set(half) | as_set(searched[0]._people) == as_set(whole)
    assert len(whole) == COUNT
    assert body["left_out"] == 0
    assert figures is not None


def test_one_fits_with_the_half_and_keeps_the_whole(theirs: Path, tmp_path: Path) -> None:
    body, figures = evaluate_people(theirs / "people.npz", FIT, None, None, print)
    keep(tmp_path / "own.cal", figures)
    own = unpack((tmp_path / "own.cal").read_bytes())
    assert own.figures.name == "dlib"
    assert own.fits([DLIB])
    assert own.threshold(60, 1, 0.001) != body["fitted"]["threshold"]
    assert body["fitted"]["fpir_asked"] == body["shipped"]["fpir_asked"] == 0.001
    assert body["fitted"]["threshold"] != body["shipped"]["threshold"]


def test_nothing_is_fitted_unless_asked_for(theirs: Path, fitted_on: list[list[Rows]]) -> None:
    body, figures = evaluate_people(theirs / "people.npz", QUICK, None, None, print)
    assert (fitted_on, figures, "fitted" in body) == ([], None, False)


def test_there_is_nothing_to_keep_without_a_fit(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--fit"):
        keep(tmp_path / "own.cal", None)
    assert list(tmp_path.iterdir()) == []
    keep(None, None)
    keep(None, b"figures")


def test_where_a_calibration_cannot_be_written_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        keep(tmp_path / "no" / "such.cal", b"figures")


def test_the_body_is_json_and_tells_everything(theirs: Path) -> None:
    body = body_of(theirs / "people.npz")
    assert json.loads(json.dumps(body, allow_nan=False)) == body
    assert {"fnir", "fnir_interval", "threshold", "probes", "strangers", "at_residents", "verification"} <= set(
        body
    )
    assert {"threshold", "fpir", "fpir_interval", "fnir", "fnir_interval"} <= set(body["shipped"])
    assert (body["model"], body["residents"], body["frames"], body["draws"]) == ("dlib", 60, 1, 2)
    assert [at["fpir"] for at in body["operating_points"]] == [0.01, 0.003, 0.001]
    assert body["operating_points"][0]["fnir"] == body["fnir"]
    assert body["strangers"] == COUNT // 2 - 60
    assert body["probes"] > 60


def test_at_other_sizes_errors_are_extrapolated(theirs: Path) -> None:
    sizes = body_of(theirs / "people.npz")["at_residents"]
    assert {size: at["extrapolated"] for size, at in sizes.items()} == {
        "60": False,
        "100": True,
        "300": True,
        "1000": True,
        "10000": True,
    }
    thresholds = [at["threshold"] for at in sizes.values()]
    assert thresholds == sorted(thresholds)
    assert sizes["1000"]["threshold"] == lab.shipped("dlib").threshold(1000, 1, 0.01)


def test_both_errors_are_told_at_the_calibrations_own_threshold(theirs: Path) -> None:
    body = body_of(theirs / "people.npz")
    assert body["shipped"]["threshold"] == lab.shipped("dlib").threshold(60, 1, 0.01)
    assert body["shipped"]["fpir"] <= 0.01


def test_intervals_count_people_who_search_and_strangers(theirs: Path) -> None:
    body = body_of(theirs / "people.npz")
    people_searching, strangers = body["residents_searching"], body["strangers"]
    assert body["probes"] > people_searching
    assert body["stranger_searches"] > strangers
    expected = exact_interval(body["fnir"] * people_searching, people_searching)
    assert body["fnir_interval"] == pytest.approx(expected)
    false = body["shipped"]
    assert false["fpir_interval"] == pytest.approx(exact_interval(false["fpir"] * strangers, strangers))


def test_the_curve_falls(theirs: Path) -> None:
    curve = body_of(theirs / "people.npz")["det"]
    assert len(curve) == lab.DET_POINTS
    assert [fpir for fpir, _ in curve] == sorted(fpir for fpir, _ in curve)
    assert [fnir for _, fnir in curve] == sorted((fnir for _, fnir in curve), reverse=True)
    assert curve[-1][0] == pytest.approx(0.5)


def test_fewer_residents_than_were_asked_is_said(theirs: Path) -> None:
    said: list[str] = []
    request = Request(residents=300, draws=1)
    body, _ = evaluate_people(theirs / "people.npz", request, None, None, said.append)
    assert body["residents_asked"] == 300 > body["residents"] == 96
    assert said == ["only 96 people have the photographs to be residents, 300 were asked"]


def test_without_a_number_there_are_as_many_residents_as_there_can_be(theirs: Path) -> None:
    said: list[str] = []
    body, _ = evaluate_people(theirs / "people.npz", Request(draws=1), None, None, said.append)
    assert (body["residents"], body["residents_searching"], said) == (96, 96, [])


def test_an_evaluation_repeats_with_its_seed(theirs: Path) -> None:
    first = body_of(theirs / "people.npz")
    assert first == body_of(theirs / "people.npz")
    other = body_of(theirs / "people.npz", Request(residents=60, draws=2, fpir=0.01, seed=2))
    assert first["threshold"] != other["threshold"]


def test_one_to_one_the_first_photograph_of_each_is_compared(theirs: Path) -> None:
    told = body_of(theirs / "people.npz", Request(residents=60, draws=1, fmr=0.001))["verification"]
    assert told["people"] == COUNT // 2 * 4 // 5  # every fifth has one photograph alone
    assert told["threshold"] == lab.shipped("dlib").verification_threshold(0.001)
    assert (told["fmr_asked"], told["fnmr"]) == (0.001, 0.0)
    assert told["fmr"] < 0.004


def test_more_of_the_crowded_group_among_the_strangers_are_no_worse_than_asked(
    theirs: Path, tmp_path: Path
) -> None:
    """Residents of the reference population, strangers of all groups: the shipped threshold is for the worst."""
    others = write(tmp_path / "groups.npz", groups(2))
    for model in MODELS:
        body = body_of(theirs / "people.npz", Request(model, residents=60, draws=2, fpir=0.01), others)
        assert body["shipped"]["fpir"] <= 0.01


def test_without_groups_or_people_it_says_what_is_missing(theirs: Path) -> None:
    with pytest.raises(UsageError, match="no identity"):
        body_of(theirs / "groups.npz")
    with pytest.raises(UsageError, match="no group"):
        evaluate_groups(theirs / "people.npz", QUICK)
    with pytest.raises(UsageError, match="no group"):
        body_of(theirs / "people.npz", strangers=theirs / "people.npz")


def test_few_people_cannot_be_fitted_on(theirs: Path, tmp_path: Path) -> None:
    few = write(tmp_path / "few.npz", people(count=COUNT // 2))
    with pytest.raises(UsageError, match="fewer than 150 people"):
        body_of(few, Request(fit=True))


def test_what_ships_loads_and_is_of_its_model() -> None:
    for name, layouts in MODELS.items():
        figures = lab.shipped(name).figures
        assert figures.name == name
        assert [part.embedder for part in figures.parts] == [layout.embedder for layout in layouts]
        assert all(np.isfinite(part.floor) for part in figures.parts)
