"""Calibrations fitted on synthetic people: what goes in, who is held out, and what holds on other people."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from gatevault.core.calibration import Calibration, Tail, unpack
from gatevault.core.errors import UsageError
from gatevault.lab import calibrate, fitting
from gatevault.lab.by_group import by_group
from gatevault.lab.fitting import (
    CAUTION,
    FOLDS,
    LEAST_PEOPLE,
    OWN,
    QUANTILES,
    REFERENCE,
    SHIPPED,
    Fit,
    gaussian,
    refit,
    shrunken,
    tail,
)
from gatevault.lab.leave_out import LeftOut
from gatevault.lab.sets import MODELS, Rows, Set, embeddings
from tests.lab.people import COUNT, CROWDED, GROUPS, groups, people

MODEL_NAMES = list(MODELS)


def rows_by_group(data: Set, model: str) -> dict[str, Rows]:
    rows = embeddings(data, model)
    return {name: rows[data["group"] == name] for name in GROUPS}


def rows_by_person(data: Set, model: str) -> list[Rows]:
    rows = embeddings(data, model)
    return [rows[data["identity"] == who] for who in np.unique(data["identity"])]


def loaded(folder: Path, model: str) -> Calibration:
    return unpack((folder / f"{model}.cal").read_bytes())


def a_fit(in_groups: dict[str, Rows], by_person: Sequence[Rows], model: str = "dlib") -> Fit:
    return Fit(in_groups, by_person, MODELS[model], SHIPPED, CAUTION)


def test_too_few_people_of_a_group_are_refused() -> None:
    in_groups = rows_by_group(groups(count=LEAST_PEOPLE), "dlib")
    in_groups["middle"] = in_groups["middle"][1:]
    with pytest.raises(UsageError, match=f"middle has fewer than {LEAST_PEOPLE} people"):
        a_fit(in_groups, rows_by_person(people(), "dlib"))


def test_photographs_of_few_people_do_not_make_them_many() -> None:
    few = people(count=LEAST_PEOPLE - 1)
    assert len(few["identity"]) > 3 * LEAST_PEOPLE
    with pytest.raises(UsageError, match="reference has fewer"):
        a_fit({}, rows_by_person(few, "dlib"))


def test_a_persons_penalty_is_fitted_without_them() -> None:
    """Another face in the place of one person of the first fold: the Gaussians of that fold do not move."""
    in_groups, by_person = rows_by_group(groups(), "dlib"), rows_by_person(people(), "dlib")
    changed = {name: rows.copy() for name, rows in in_groups.items()}
    changed[CROWDED][FOLDS] = -changed[CROWDED][FOLDS]
    others = [-rows if number == FOLDS else rows for number, rows in enumerate(by_person)]
    before, after = a_fit(in_groups, by_person), a_fit(changed, others)
    for one, other in zip(before._folds[0].parts, after._folds[0].parts, strict=True):
        assert np.array_equal(one.means, other.means)
        assert np.array_equal(one.covariances, other.covariances)
    for one, other in zip(before._folds[1:], after._folds[1:], strict=True):
        assert not np.array_equal(one.parts[0].means, other.parts[0].means)
    probes = in_groups[CROWDED]
    held = np.arange(COUNT) % FOLDS == 0
    assert np.array_equal(before._penalties(probes)[held], after._penalties(probes)[held])
    assert not np.isclose(before._penalties(probes)[~held], after._penalties(probes)[~held], atol=1e-7).any()


def test_all_photographs_of_a_person_are_held_out_together() -> None:
    fit = a_fit({}, rows_by_person(people(), "dlib"))
    rows = embeddings(people(), "dlib")[:3]
    penalties = fit._penalties(rows, np.array([7, 7, 12]))
    assert penalties == pytest.approx(fit._folds[2].penalties(rows))


def test_on_its_own_people_a_gaussian_fits_too_well() -> None:
    """Why they are held out: held-out penalties are smaller, and so their scores higher."""
    fit = a_fit(rows_by_group(groups(), "dlib"), rows_by_person(people(), "dlib"))
    crowded = rows_by_group(groups(), "dlib")[CROWDED]
    assert fit._penalties(crowded).mean() < fit._whole.penalties(crowded).mean()


def test_a_covariance_is_shrunken_but_keeps_its_sum() -> None:
    rows = np.random.default_rng(1).standard_normal((500, 4)).astype(np.float32) * np.float32([2.0, 1.0, 1.0, 0.0])
    mean, covariance = gaussian(rows)
    whole = np.cov(rows.T)
    assert mean == pytest.approx(rows.mean(axis=0), abs=1e-6)
    assert np.trace(covariance) == pytest.approx(np.trace(whole), rel=1e-6)
    assert covariance[0, 1] == pytest.approx(0.9 * whole[0, 1], rel=1e-6)
    assert np.linalg.eigvalsh(covariance).min() > 0.0


def test_a_tail_finds_the_normal_distribution_it_was_drawn_from() -> None:
    found = tail(0.3 + 0.05 * np.random.default_rng(1).standard_normal(200_000))
    assert found.centre == pytest.approx(0.3, abs=0.005)
    assert found.spread == pytest.approx(0.05, abs=0.003)
    assert found.at(1e-3) == pytest.approx(0.3 + 0.05 * NormalDist().inv_cdf(1 - 1e-3), abs=0.005)


def test_a_tail_follows_the_upper_scores_alone() -> None:
    chance = np.random.default_rng(1)
    scores = np.concatenate([chance.normal(0.0, 0.1, 100_000), chance.normal(-5.0, 1.0, 100_000)])
    found = tail(scores)
    for share in QUANTILES:
        assert found.at(share) == pytest.approx(np.quantile(scores, 1 - share), abs=0.01)


def test_scores_that_are_all_alike_still_have_a_spread() -> None:
    assert tail(np.full(1000, 0.25)).spread > 0.0


def test_slopes_near_their_mean_about_the_quantiles() -> None:
    tails = {"steep": Tail(0.1, 0.08), "flat": Tail(0.2, 0.02)}
    found = shrunken(tails)
    assert (found["steep"].spread, found["flat"].spread) == pytest.approx((0.065, 0.035))
    pivot = 1.0 - NormalDist().cdf(float(np.mean([NormalDist().inv_cdf(1 - share) for share in QUANTILES])))
    for name, before in tails.items():
        assert found[name].at(pivot) == pytest.approx(before.at(pivot), abs=1e-9)
    assert shrunken({}) == {}
    assert shrunken({"alone": Tail(0.1, 0.08)})["alone"].spread == pytest.approx(0.08)


@pytest.mark.parametrize("model", MODEL_NAMES)
def test_where_people_lie_close_together_more_is_taken_off(made: Path, model: str) -> None:
    normaliser = loaded(made, model).normaliser
    others = {name: normaliser.penalties(rows).mean() for name, rows in rows_by_group(groups(9), model).items()}
    crowded = others.pop(CROWDED)
    assert crowded > max(others.values()) + 0.01


@pytest.mark.parametrize("model", MODEL_NAMES)
def test_on_other_people_of_the_same_kind_no_estate_exceeds_what_was_asked(made: Path, model: str) -> None:
    others = rows_by_group(groups(2), model)
    for fpir in (0.05, 0.01):
        body = by_group(others, {}, loaded(made, model), 1e-3, 150, fpir, 20, 1)
        assert body["estate"]["worst_fpir"] <= fpir


@pytest.mark.parametrize("model", MODEL_NAMES)
def test_without_caution_the_worst_estate_comes_near_what_was_asked(model: str) -> None:
    """So the test above does not hold for a threshold that lets nobody in."""
    fit = Fit(rows_by_group(groups(), model), rows_by_person(people(), model), MODELS[model], SHIPPED, caution=1.0)
    calibration = unpack(fit.pack(model, ()))
    body = by_group(rows_by_group(groups(2), model), {}, calibration, 1e-3, 100, 0.2, 20, 1)
    assert 0.01 < body["estate"]["worst_fpir"] < 0.3


def test_the_false_match_rate_holds_on_other_people_of_the_reference(made: Path) -> None:
    """160 people tell a rate of 0.001 to some factor of two."""
    calibration = loaded(made, "dlib")
    first = np.stack([rows[0] for rows in rows_by_person(people(2), "dlib")])
    own = calibration.normaliser.penalties(first)
    scores = fitting.pairs(fitting.normalised(first, own, first, own))
    assert 0.0003 < np.mean(scores >= calibration.verification_threshold(1e-3)) < 0.003


def test_photographs_of_one_person_are_alike(made: Path) -> None:
    figures = loaded(made, "dlib").figures
    cosines = np.concatenate([fitting.pairs(rows @ rows.T) for rows in rows_by_person(people(2), "dlib")])
    assert np.mean(cosines < figures.same_person) == pytest.approx(fitting.STRANGE, abs=0.006)
    assert np.median(cosines) < figures.novelty < 1.0
    assert figures.typical > loaded(made, "dlib").threshold(100, 3, 0.001)
    assert len(figures.fused) == fitting.MOST_FUSED


def test_refitted_the_groups_gaussians_stay_and_their_tails_go(made: Path) -> None:
    before = loaded(made, "fused")
    after = unpack(refit(before, rows_by_person(people(3), "fused"), MODELS["fused"]))
    assert after.figures.groups == (*GROUPS, REFERENCE) == before.figures.groups
    assert after.figures.tails == {}
    assert after.figures.sources == ()
    assert after.figures.caution == fitting.OWN_CAUTION
    for old, new, layout in zip(before.normaliser.parts, after.normaliser.parts, MODELS["fused"], strict=True):
        assert np.array_equal(new.means[:-1], old.means[:-1])
        assert new.covariances[:-1] == pytest.approx(old.covariances[:-1], rel=1e-3, abs=1e-7)
        assert not np.array_equal(new.means[-1], old.means[-1])
        assert (new.share, new.reach, new.strength) == (layout.share, *OWN[layout.arrays[0]][:2])


def test_refitted_only_the_reference_sets_the_threshold(made: Path) -> None:
    calibration = unpack(refit(loaded(made, "dlib"), rows_by_person(people(3), "dlib"), MODELS["dlib"]))
    figures = calibration.figures
    share = 0.01 / (100 * fitting.OWN_CAUTION)
    highest = max(figures.reference.at(share), figures.fused[0].at(share))
    assert calibration.threshold(100, 1, 0.01) == pytest.approx(highest, abs=1e-6)


def test_the_command_writes_a_calibration_for_each_model(made: Path) -> None:
    assert sorted(path.name for path in made.glob("*.cal")) == sorted(f"{name}.cal" for name in MODELS)
    for name, layouts in MODELS.items():
        calibration = loaded(made, name)
        assert calibration.figures.name == name
        assert [part.embedder for part in calibration.figures.parts] == [each.embedder for each in layouts]
        assert set(calibration.figures.tails) == set(GROUPS)
        assert calibration.dimension == 128 * len(layouts)


def test_sources_tell_the_files_and_exactly_the_rows_that_were_used(made: Path) -> None:
    of_people, of_groups = loaded(made, "dlib").figures.sources
    assert [source.file for source in (of_people, of_groups)] == ["people.npz", "groups.npz"]
    for source in (of_people, of_groups):
        assert source.sha256 == hashlib.sha256((made / source.file).read_bytes()).hexdigest()
    identity = people()["identity"]
    assert np.array_equal(of_people.used(len(identity)), identity % 2 == 0)
    assert np.array_equal(of_groups.used(len(GROUPS) * COUNT), np.resize([True, False], len(GROUPS) * COUNT))


def test_those_of_the_photographs_are_not_used(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`leave_out` finds them (test_leave_out); here it is told whom."""
    found = LeftOut(frozenset((4, 5, 8)), photos=3, unknown=0, farthest=0.1)
    monkeypatch.setattr(calibrate, "leave_out", lambda folder, vectors, identity: found)
    sets = [str(made / "people.npz"), str(made / "groups.npz")]
    assert calibrate.main([*sets, "--exclude", str(tmp_path), "--out", str(tmp_path)]) == 0
    identity = people()["identity"]
    used = loaded(tmp_path, "dlib").figures.sources[0].used(len(identity))
    assert np.array_equal(used, (identity % 2 == 0) & (identity != 4) & (identity != 8))


def test_what_cannot_be_used_is_said_in_one_line(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swapped = [str(made / "groups.npz"), str(made / "people.npz"), "--out", str(tmp_path)]
    assert calibrate.main(swapped) == UsageError.exit_status
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_nobody_with_six_photographs_cannot_be_calibrated_on() -> None:
    few = [rows[:5] for rows in rows_by_person(people(), "dlib")]
    with pytest.raises(UsageError, match="have 6 photographs"):
        a_fit({}, few)
