"""What is taken off a cosine: the fast ways against the formula, and what the formula promises."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.matching import Gallery
from gatevault.core.normalisation import BATCH, Normaliser, Part
from gatevault.core.types import Vector
from tests.calibrations import gaussians

SEEDS = st.integers(0, 2**32 - 1)
NO_FLOOR = -100.0


@st.composite
def parts(draw: st.DrawFn, share: float = 1.0, floor: float | None = None) -> Part:
    means, covariances = gaussians(draw(st.integers(1, 12)), draw(st.integers(1, 5)), draw(SEEDS))
    return Part(
        share,
        draw(st.floats(0.0, 6.0)),
        draw(st.floats(0.0, 3.0)),
        draw(st.floats(-1.0, 1.0)) if floor is None else floor,
        means,
        covariances,
    )


@st.composite
def normalisers(draw: st.DrawFn) -> Normaliser:
    counted = draw(st.lists(st.integers(1, 9), min_size=1, max_size=3))
    return Normaliser([draw(parts(share=n / sum(counted))) for n in counted])


def faces(normaliser: Normaliser, seed: int, count: int) -> npt.NDArray[np.float32]:
    """Vectors of this layout, each block as long as its share."""
    drawn = np.random.default_rng(seed).normal(size=(count, normaliser.dimension)).astype(np.float32)
    return np.stack([normaliser.unit(row) for row in drawn])


def block(part: Part, seed: int) -> Vector:
    return faces(Normaliser([part]), seed, 1)[0]


def by_the_formula(normaliser: Normaliser, face: Vector) -> float:
    """The shares' sum of each network's penalty, of its own unit vector, in double precision."""
    total, at = 0.0, 0
    for part in normaliser.parts:
        own = face[at : at + part.dimension].astype(np.float64)
        own /= np.linalg.norm(own)
        at += part.dimension
        bound = part.floor
        for mean, covariance in zip(part.means.astype(float), part.covariances.astype(float), strict=True):
            bound = max(bound, mean @ own + part.reach * math.sqrt(own @ covariance @ own))
        total += part.share * part.strength * bound / 2
    return total


@given(normalisers(), SEEDS)
def test_a_penalty_is_that_of_the_formula(normaliser: Normaliser, seed: int) -> None:
    for face in faces(normaliser, seed, 3):
        assert normaliser.penalty(face) == pytest.approx(by_the_formula(normaliser, face), abs=1e-5)


@given(normalisers(), SEEDS, st.integers(0, 5))
def test_the_penalties_of_many_are_those_of_each(normaliser: Normaliser, seed: int, count: int) -> None:
    rows = faces(normaliser, seed, 5)[:count]
    many = normaliser.penalties(rows)
    assert many.shape == (count,)
    np.testing.assert_allclose(many, [normaliser.penalty(row) for row in rows], atol=1e-5)


@given(normalisers(), SEEDS, st.integers(0, 2 * BATCH + 1))
def test_the_penalties_of_many_in_scratch_memory_are_those_of_each(
    normaliser: Normaliser, seed: int, count: int
) -> None:
    rows = faces(normaliser, seed, 2 * BATCH + 1)[:count]
    scratch = np.full(normaliser.scratch + 3, np.nan, np.float32)
    many = normaliser.each_penalty(rows, scratch)
    assert many.shape == (count,)
    np.testing.assert_allclose(many, [normaliser.penalty(row) for row in rows], atol=1e-5)
    assert np.isnan(scratch[normaliser.scratch :]).all(), "no further than it says"


@given(normalisers(), SEEDS)
def test_vectors_scaled_in_place_are_their_units_and_what_is_none_becomes_zeros(
    normaliser: Normaliser, seed: int
) -> None:
    rows = np.random.default_rng(seed).normal(size=(5, normaliser.dimension)).astype(np.float32)
    expected = [normaliser.unit(row) for row in rows]
    rows[1, -normaliser.parts[-1].dimension :] = 0.0
    rows[3, 0] = np.inf
    assert normaliser.scale(rows).tolist() == [True, False, True, False, True]
    for at in (0, 2, 4):
        np.testing.assert_allclose(rows[at], expected[at], rtol=1e-6)
    assert not rows[[1, 3]].any()


@given(parts(floor=NO_FLOOR), SEEDS, st.floats(0.01, 100.0))
def test_a_bound_is_as_long_as_its_block(part: Part, seed: int, length: float) -> None:
    face = block(part, seed)
    long = np.asarray(face * np.float32(length))
    assert part.bound(long) == pytest.approx(length * part.bound(face), rel=1e-4, abs=1e-5 * length)


@given(parts(), SEEDS)
def test_a_bound_is_the_most_crowded_groups_and_no_group_is_left_out(part: Part, seed: int) -> None:
    face = block(part, seed)
    alone = [
        replace(part, means=part.means[g : g + 1], covariances=part.covariances[g : g + 1]).bound(face)
        for g in range(len(part.means))
    ]
    assert part.bound(face) == pytest.approx(max(alone), abs=1e-6)
    assert part.bounds(face[None])[0] == pytest.approx(max(alone), abs=1e-5)


@given(parts(), SEEDS)
def test_a_longer_reach_never_lowers_a_bound(part: Part, seed: int) -> None:
    face = block(part, seed)
    assert replace(part, reach=part.reach + 1.0).bound(face) >= part.bound(face)


@given(parts(share=0.25), SEEDS)
def test_no_bound_is_below_the_floor_and_above_it_the_floor_changes_nothing(part: Part, seed: int) -> None:
    face = block(part, seed)
    free = replace(part, floor=NO_FLOOR).bound(face)
    assert part.bound(face) == max(free, part.floor / 2)
    assert part.bounds(face[None])[0] >= part.floor / 2
    assert replace(part, floor=50.0).bound(face) == 25.0


def test_figures_by_hand() -> None:
    """One group at the first axis, 0.1 wide in each direction."""
    means = np.array([[0.5, 0.0]], np.float32)
    covariances = np.array([np.eye(2) * 0.01], np.float32)
    normaliser = Normaliser([Part(1.0, 2.0, 0.5, 0.25, means, covariances)])
    near, aside, away = (np.array(face, np.float32) for face in ([1, 0], [0, 1], [-1, 0]))
    assert normaliser.parts[0].bound(near) == pytest.approx(0.7)
    assert normaliser.penalty(near) == pytest.approx(0.25 * 0.7)
    assert normaliser.penalty(aside) == pytest.approx(0.25 * 0.25), "0.2 lies below the floor"
    assert normaliser.penalty(away) == pytest.approx(0.25 * 0.25)


def test_a_variance_that_rounding_made_negative_counts_as_none() -> None:
    means = np.array([[0.5, 0.0]], np.float32)
    part = Part(1.0, 2.0, 1.0, -1.0, means, np.array([np.eye(2) * -1e-6], np.float32))
    face = np.array([1, 0], np.float32)
    assert part.bound(face) == part.bounds(face[None])[0] == 0.5


@given(normalisers(), SEEDS)
def test_a_score_is_the_same_either_way_round(normaliser: Normaliser, seed: int) -> None:
    one, other = faces(normaliser, seed, 2)

    def score(probe: Vector, template: Vector) -> float:
        penalties = np.array([normaliser.penalty(template)], np.float32)
        scores = Gallery(["r-1"], template[None], penalties).scores(probe)
        return float(scores[0]) - normaliser.penalty(probe)

    assert score(one, other) == pytest.approx(score(other, one), abs=1e-5)


@given(normalisers())
def test_a_face_that_is_no_number_has_no_penalty_that_is_one(normaliser: Normaliser) -> None:
    face = np.full(normaliser.dimension, np.nan, np.float32)
    assert math.isnan(normaliser.penalty(face))


# --- unit vectors --------------------------------------------------------------------------------


@given(normalisers(), SEEDS, st.floats(1e-3, 1e3))
def test_each_block_is_as_long_as_its_share_and_keeps_its_direction(
    normaliser: Normaliser, seed: int, length: float
) -> None:
    drawn = np.random.default_rng(seed).normal(scale=length, size=normaliser.dimension).astype(np.float32)
    before = drawn.copy()
    unit = normaliser.unit(drawn)
    assert unit.dtype == np.float32
    assert not np.shares_memory(unit, drawn)
    np.testing.assert_array_equal(drawn, before)
    at = 0
    for part in normaliser.parts:
        own, raw = (vector[at : at + part.dimension].astype(np.float64) for vector in (unit, drawn))
        at += part.dimension
        np.testing.assert_allclose(own, raw / np.linalg.norm(raw) * math.sqrt(part.share), atol=1e-6)


@given(normalisers(), SEEDS)
def test_a_unit_vector_is_its_own(normaliser: Normaliser, seed: int) -> None:
    (face,) = faces(normaliser, seed, 1)
    np.testing.assert_allclose(normaliser.unit(face), face, atol=1e-6)


TWO = Normaliser([Part(share, 2.0, 1.0, -1.0, *gaussians(4, 2)) for share in (0.7, 0.3)])


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (np.ones(7, np.float32), "dimension"),
        (np.ones(9, np.float32), "dimension"),
        (np.ones((1, 8), np.float32), "float32 vector"),
        (np.ones(8), "float32 vector"),
        (np.zeros(8, np.float32), "not zero"),
        (np.float32([1, 1, 1, 1, 0, 0, 0, 0]), "gave nothing"),
        (np.float32([0, 0, 0, 0, 1, 1, 1, 1]), "gave nothing"),
        (np.float32([1, 1, 1, 1, 1, 1, 1, np.nan]), "finite"),
        (np.float32([1, 1, 1, np.inf, 1, 1, 1, 1]), "finite"),
    ],
    ids=["short", "long", "shape", "double", "zero", "no second", "no first", "NaN", "infinite"],
)
def test_what_is_no_joined_vector_has_no_unit(bad: Vector, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TWO.unit(bad)


def test_a_normaliser_has_a_part() -> None:
    with pytest.raises(ValueError, match="each network"):
        Normaliser([])
    assert TWO.dimension == 8
    assert len(TWO.parts) == 2
