"""Open-set searches on people whose vectors tell who they are, so that every score is known beforehand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from gatevault.core.errors import UsageError
from gatevault.core.normalisation import Normaliser, Part
from gatevault.lab.open_set import ENROL, MOST_SEARCHES, Draw, OpenSet, Plan, mean_rate
from gatevault.lab.sets import Rows, units
from tests.lab.people import plain

WIDTH = 40


def same(photos: Sequence[int]) -> list[Rows]:
    """People of so many photographs, all of one person equal, each person at a right angle to all others."""
    return [np.tile(row, (count, 1)) for row, count in zip(np.eye(WIDTH, dtype=np.float32), photos, strict=False)]


def apart(photos: Sequence[int]) -> list[Rows]:
    """The same, but each photograph has as much of its own as of its person, at a right angle to all else."""
    axes = np.eye(len(photos) + sum(photos), dtype=np.float32)
    own = iter(axes[len(photos) :])
    return [
        units(np.stack([axes[person] + next(own) for _ in range(count)])) for person, count in enumerate(photos)
    ]


def noisy(photos: Sequence[int], spread: float = 1.0) -> list[Rows]:
    """People who overlap: a random place each, and `spread` as much of every photograph's own."""
    chance = np.random.default_rng(1)
    return [
        units(chance.standard_normal(WIDTH) + spread * chance.standard_normal((count, WIDTH))) for count in photos
    ]


def searches(people: Sequence[Rows], plan: Plan, others: Rows | None = None) -> OpenSet:
    layouts, normaliser = plain(people[0].shape[1])
    return OpenSet(people, people[0][:0] if others is None else others, plan, layouts, normaliser)


def test_people_far_apart_are_told_apart() -> None:
    for draw in searches(same([6] * 30), Plan(10)).draws(3, seed=1):
        assert (draw.fpir(0.5), draw.fnir(0.5)) == (0.0, 0.0)
        assert draw.residents == pytest.approx(1.0)
        assert draw.strangers == pytest.approx(0.0, abs=1e-6)


def test_residents_never_walk_up_as_strangers() -> None:
    """A resident among the strangers would score more than 0; a photograph that is enrolled and searches, more."""
    for draw in searches(apart([7] * 20), Plan(12)).draws(5, seed=1):
        assert draw.strangers.max() == pytest.approx(0.0, abs=1e-6)
        assert draw.residents == pytest.approx(np.full(12 * 4, (3 / 12**0.5) / 2**0.5))


def test_everybody_is_a_resident_or_a_stranger() -> None:
    scored = searches(same([6] * 8 + [1] * 30), Plan(5))
    assert (scored.residents, scored.searching, scored.strangers) == (5, 5, 33)
    (draw,) = scored.draws(1, seed=1)
    assert len(draw.residents) == 5 * (6 - ENROL)
    assert len(draw.strangers) == 3 * MOST_SEARCHES + 30


def test_further_strangers_walk_up_too() -> None:
    everybody = same([6] * 12)
    others = np.eye(WIDTH, dtype=np.float32)[20:25]
    scored = searches(everybody, Plan(5), others)
    assert scored.strangers == 7 + 5
    (draw,) = scored.draws(1, seed=1)
    assert len(draw.strangers) == 7 * MOST_SEARCHES + 5


def test_a_stranger_who_resembles_a_resident_is_let_in() -> None:
    everybody = same([6] * 12)
    (draw,) = searches([*everybody, everybody[3][:1]], Plan(12)).draws(1, seed=1)
    assert draw.fpir(0.5) == 1.0


def test_a_resident_who_is_taken_for_another_is_missed_at_any_threshold() -> None:
    draw = Draw(np.zeros(3), np.array([0.9, -np.inf, 0.8]), np.zeros(3))
    assert draw.fnir(-100.0) == pytest.approx(1 / 3)
    twins = same([6] * 5)  # half of the second one's photographs show the first
    twins[1] = np.vstack([twins[1][:3], twins[0][:3]])
    scored = searches([*twins, *same([1] * 20)[10:]], Plan(5))
    assert any(np.isneginf(drawn.residents).any() for drawn in scored.draws(10, seed=1))


def test_rates_move_with_the_threshold_as_they_must() -> None:
    for draw in searches(noisy([6] * 60), Plan(20)).draws(2, seed=1):
        steps = np.linspace(-0.5, 1.0, 40)
        fpir, fnir = [draw.fpir(t) for t in steps], [draw.fnir(t) for t in steps]
        assert fpir == sorted(fpir, reverse=True)
        assert fnir == sorted(fnir)
        assert (fpir[0], fpir[-1], fnir[-1]) == (1.0, 0.0, 1.0)
        assert fnir[0] < 0.5


def test_the_threshold_for_a_rate_gives_that_rate() -> None:
    (draw,) = searches(noisy([6] * 60), Plan(20)).draws(1, seed=1)
    for fpir in (0.5, 0.1, 0.03, 0.01, 0.001):
        assert draw.fpir(draw.threshold_for(fpir)) == pytest.approx(fpir, abs=1.0 / len(draw.strangers))
    thresholds = [draw.threshold_for(fpir) for fpir in (0.5, 0.1, 0.01, 0.001)]
    assert thresholds == sorted(thresholds)


def test_a_seed_repeats_and_draws_differ() -> None:
    scored = searches(noisy([6] * 60), Plan(20))
    first, second = scored.draws(2, seed=1)
    again, _ = scored.draws(2, seed=1)
    (other,) = scored.draws(1, seed=2)
    for scores in ("strangers", "residents", "comparisons"):
        assert np.array_equal(getattr(first, scores), getattr(again, scores))
    assert not np.array_equal(np.sort(first.residents), np.sort(second.residents))
    assert not np.array_equal(np.sort(first.residents), np.sort(other.residents))


def test_those_with_many_photographs_do_not_outweigh_the_others() -> None:
    scored = searches(same([30] * 4), Plan(2))
    (draw,) = scored.draws(1, seed=1)
    assert (len(draw.residents), len(draw.strangers)) == (2 * MOST_SEARCHES, 2 * MOST_SEARCHES)


def test_there_are_no_more_residents_than_can_be_enrolled() -> None:
    """Three photographs fill the gallery, four search; two do neither."""
    scored = searches(same([4] * 6 + [3] * 5 + [2] * 9), Plan(300))
    assert (scored.residents, scored.searching, scored.strangers) == (11, 6, 9)
    (draw,) = scored.draws(1, seed=1)
    assert (len(draw.residents), len(draw.strangers)) == (6, 9 * 2)


def test_who_can_search_is_drawn_before_who_can_only_be_enrolled() -> None:
    assert searches(same([4] * 6 + [3] * 20), Plan(6)).searching == 6


def test_nobody_who_can_search_is_refused() -> None:
    with pytest.raises(UsageError, match="Nobody has the 4 photographs"):
        searches(same([3] * 10), Plan(5))
    with pytest.raises(UsageError, match="Nobody has the 6 photographs"):
        searches(same([5] * 10), Plan(5, frames=3))


def test_several_photographs_are_fused_into_a_search() -> None:
    """Three of one's own axes and the person's, against three others of theirs: 9/12 instead of 3/√24."""
    plan = Plan(6, frames=3)
    (draw,) = searches(apart([9] * 12), plan).draws(1, seed=1)
    assert draw.residents == pytest.approx(np.full(6 * 2, 9 / 12))
    assert len(draw.strangers) == 6 * 3


def test_with_several_photographs_single_strangers_stay_away() -> None:
    others = np.eye(WIDTH, dtype=np.float32)[30:35]
    scored = searches(same([6] * 8 + [2] * 4), Plan(4, frames=3), others)
    assert scored.strangers == 4
    (draw,) = scored.draws(1, seed=1)
    assert len(draw.strangers) == 4 * 2


def test_with_several_photographs_half_of_the_fillers_stay_strangers() -> None:
    scored = searches(same([6] * 4 + [3] * 10), Plan(300, frames=3))
    assert (scored.residents, scored.searching, scored.strangers) == (9, 4, 5)
    (draw,) = scored.draws(1, seed=1)
    assert len(draw.strangers) == 5


def test_penalties_are_taken_off_of_both_sides() -> None:
    """A bound of 0.4 for everybody, full strength: half of it off for the search, half for the template."""
    layouts, _ = plain(WIDTH)
    nothing = np.zeros((1, WIDTH), np.float32), np.zeros((1, WIDTH, WIDTH), np.float32)
    floored = Normaliser([Part(1.0, 0.0, 1.0, 0.4, *nothing)])
    everybody = same([6] * 12)
    (draw,) = OpenSet(everybody, everybody[0][:0], Plan(5), layouts, floored).draws(1, seed=1)
    assert draw.residents == pytest.approx(0.6, abs=1e-6)
    assert draw.strangers == pytest.approx(-0.4, abs=1e-6)


def test_comparisons_are_of_strangers_with_single_templates() -> None:
    (draw,) = searches(same([6] * 12), Plan(5)).draws(1, seed=1)
    assert len(draw.comparisons) == 8 * len(draw.strangers)
    assert draw.comparisons == pytest.approx(0.0, abs=1e-6)


def test_intervals_count_people_not_searches() -> None:
    scored = searches(same([30] * 20 + [1] * 10), Plan(10))
    draws = scored.draws(4, seed=1)
    told = mean_rate([draw.fpir(0.5) for draw in draws], scored.strangers)
    assert (len(draws[0].strangers), told["people"]) == (60, 20)
    assert told["interval"] == pytest.approx([0.0, 1 - 0.025 ** (1 / 20)], rel=1e-6)


def test_a_mean_over_draws_tells_how_they_differ() -> None:
    told = mean_rate([0.1, 0.3], 50)
    assert (told["share"], told["spread_over_draws"]) == pytest.approx((0.2, 0.1))
    low, high = told["interval"]
    assert low < 0.2 < high


def test_without_anybody_left_to_be_a_stranger_there_is_no_search() -> None:
    with pytest.raises(UsageError, match="Nobody is left"):
        searches(same([5] * 10), Plan(10))


def test_others_alone_may_be_the_strangers() -> None:
    others = np.eye(WIDTH, dtype=np.float32)[20:30]
    (draw,) = searches(same([9]), Plan(1), others).draws(1, seed=1)
    assert len(draw.strangers) == 10


@pytest.mark.parametrize("frames", [1, 3, 4, 5])
def test_as_many_strangers_as_it_says_are_there_at_least(frames: int) -> None:
    people = noisy([8] * 20 + [3] * 40 + [10] * 10)
    scored = searches(people, Plan(15, frames))
    (draw,) = scored.draws(1, seed=1)
    assert 1 <= scored.strangers <= len(draw.strangers)
