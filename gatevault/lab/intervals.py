"""Exact intervals for counted errors (Clopper and Pearson, Biometrika 26, 1934).

ISO/IEC 19795-1 asks for them beside every rate: 0 of 160 is not 0 %, it may be 2.3 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

CONFIDENCE: Final = 0.95

_HALVINGS: Final = 60
"""Bisection steps: the interval's ends are then exact to a double's last digits."""


def binomial_cdf(k: int, n: int, p: float) -> float:
    """P(X ≤ k) of n trials that each succeed with probability p."""
    if k >= n:
        return 1.0
    if k < 0:
        return 0.0
    if p <= 0.0 or p >= 1.0:
        return 1.0 if p <= 0.0 else 0.0
    top = math.lgamma(n + 1)
    logs = (
        top - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * math.log(p) + (n - i) * math.log1p(-p)
        for i in range(k + 1)
    )
    return min(1.0, math.fsum(map(math.exp, logs)))


def exact_interval(count: float, of: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The two-sided Clopper-Pearson interval of `count` in `of` trials, as shares.

    A fractional count (a mean over draws) takes the interval of the whole counts around it, which
    is wider. ValueError for an impossible count.
    """
    if of <= 0 or not 0 <= count <= of:
        raise ValueError("an interval needs 0 ≤ count ≤ of, and at least one trial")
    tail = (1.0 - confidence) / 2.0
    low_count, high_count = math.floor(count), math.ceil(count)
    low = 0.0 if low_count == 0 else _where(lambda p: 1.0 - binomial_cdf(low_count - 1, of, p) > tail)
    high = 1.0 if high_count == of else _where(lambda p: binomial_cdf(high_count, of, p) < tail)
    return low, high


def rate(count: float, of: int) -> dict[str, Any]:
    """A counted error as JSON: the count, its share and its 95 % interval (none of no trials)."""
    if not of:
        return {"count": count, "of": 0, "share": None, "low": None, "high": None}
    low, high = exact_interval(count, of)
    return {"count": count, "of": of, "share": count / of, "low": low, "high": high}


def _where(reached: Callable[[float], bool]) -> float:
    """The smallest p of [0, 1] at which a monotone condition holds."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if reached(middle) else (middle, high)
    return (low + high) / 2.0
