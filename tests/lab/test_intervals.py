"""Exact intervals against published and independently computed values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.lab.intervals import binomial_cdf, exact_interval, rate


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [
        (0, 160, 0.0, 0.0227921),
        (1, 40, 0.0006327, 0.1315860),
        (5, 10, 0.1870860, 0.8129140),
        (8, 40, 0.0905224, 0.3564780),
        (10, 10, 0.6915029, 1.0),
    ],
)
def test_known_intervals(count: int, of: int, low: float, high: float) -> None:
    assert exact_interval(count, of) == pytest.approx((low, high), abs=1e-6)


def test_no_error_in_n_follows_from_the_formula() -> None:
    assert exact_interval(0, 2634)[1] == pytest.approx(1.0 - 0.025 ** (1 / 2634), rel=1e-9)


@given(of=st.integers(1, 400), data=st.data())
def test_against_the_beta_distribution(of: int, data: st.DataObject) -> None:
    beta = pytest.importorskip("scipy.stats").beta
    count = data.draw(st.integers(0, of))
    low, high = exact_interval(count, of)
    assert low == (0.0 if count == 0 else pytest.approx(beta.ppf(0.025, count, of - count + 1), abs=1e-9))
    assert high == (1.0 if count == of else pytest.approx(beta.ppf(0.975, count + 1, of - count), abs=1e-9))


def test_a_mean_over_draws_takes_the_wider_interval() -> None:
    assert exact_interval(1.4, 40) == (exact_interval(1, 40)[0], exact_interval(2, 40)[1])


def test_the_distribution_function_sums_to_one() -> None:
    assert binomial_cdf(-1, 9, 0.3) == 0.0
    assert binomial_cdf(9, 9, 0.3) == 1.0
    assert binomial_cdf(3, 9, 0.3) == pytest.approx(
        sum(math.comb(9, i) * 0.3**i * 0.7 ** (9 - i) for i in range(4))
    )
    assert (binomial_cdf(3, 9, 0.0), binomial_cdf(3, 9, 1.0)) == (1.0, 0.0)


@pytest.mark.parametrize(("count", "of"), [(1, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(count: int, of: int) -> None:
    with pytest.raises(ValueError, match="interval"):
        exact_interval(count, of)


def test_a_rate_of_nothing_is_no_rate() -> None:
    assert rate(0, 0)["share"] is None
    assert rate(1, 4)["share"] == 0.25
