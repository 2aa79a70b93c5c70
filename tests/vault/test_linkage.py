"""The attacker's statistics against cases whose answer is known: they must find a link where there is one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.vault.linkage import MEASURES, above_chance, d_sys, links, matched, rank_d_sys, ranks, spearman

N = 1_000
DRAW = np.random.default_rng(7)


def test_ranks_of_equal_values_are_shared() -> None:
    assert ranks([30, 10, 20, 10]).tolist() == [3.0, 0.5, 2.0, 0.5]
    assert ranks(["b", "a", "c"]).tolist() == [1.0, 0.0, 2.0]


def test_rank_correlation() -> None:
    rising = np.arange(N)
    assert spearman(rising, np.exp(rising / 100.0)) == pytest.approx(1.0)
    assert spearman(rising, -rising) == pytest.approx(-1.0)
    assert spearman([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]) == pytest.approx(0.8)
    assert spearman(rising, np.zeros(N)) == 0.0


def test_pairs_of_one_rank() -> None:
    assert matched([5, 1, 3], [50, 10, 30]) == 3.0
    assert matched([1, 2, 3], [2, 3, 1]) == 0.0
    assert matched(np.zeros(N), np.zeros(N)) == pytest.approx(1.0), "who looks alike is found by chance alone"
    assert matched([0, 0, 1, 1], [0, 0, 1, 1]) == pytest.approx(2.0)
    assert matched([0, 0, 1, 1], [1, 1, 0, 0]) == 0.0


def test_d_sys_of_scores_that_say_all_or_nothing() -> None:
    one = np.linspace(0.0, 1.0, N)
    assert d_sys(one, one) == 0.0
    assert d_sys(one, one + 10.0) == pytest.approx(1.0)
    half = np.concatenate([one[::2], one[::2] + 10.0])
    assert 0.2 < d_sys(half, one) < 0.6
    assert rank_d_sys(one, one) > 0.9


@pytest.mark.parametrize("measure", MEASURES)
def test_chance_is_within_the_floor(measure: str) -> None:
    assert abs(above_chance(measure, DRAW.random(N), DRAW.random(N), 50)) < 5.0
    assert abs(above_chance(measure, np.zeros(N), DRAW.random(N), 50)) < 5.0


@pytest.mark.parametrize(
    ("noise", "expected"),
    [(0.0, {"spearman", "matched", "d_sys"}), (0.1, {"spearman", "d_sys"}), (1.0, {"spearman"})],
)
def test_a_link_is_found_also_where_it_is_weak(noise: float, expected: set[str]) -> None:
    one = DRAW.random(N)
    assert set(links(one, one + noise * DRAW.standard_normal(N))) >= expected


def test_independent_numbers_and_lengths_do_not_link() -> None:
    assert not links(DRAW.random(N), DRAW.random(N))
    assert not links(DRAW.integers(0, 4, N), DRAW.integers(0, 4, N))
    assert not links(np.full(N, 113), np.full(N, 113))


def test_a_few_people_who_stand_out_are_a_link() -> None:
    """40 of 1,000 have a longer row in both."""
    long = np.zeros(N)
    long[DRAW.choice(N, 40, replace=False)] = 1.0
    assert links(long, long)
