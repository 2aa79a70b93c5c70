"""What a course of the arrows is worth by itself."""

from __future__ import annotations

import numpy as np

from gatevault.core.liveness.challenge import COURSES
from gatevault.lab.courses import luck, refused, report
from gatevault.lab.presentations.motion import SLOW, WILLING


def test_a_recording_follows_a_course_by_luck_alone() -> None:
    found = luck(1_500, np.random.default_rng(2))
    assert 0.5 / len(COURSES) <= found.same / found.shown <= 1.5 / len(COURSES)
    assert found.other / found.shown <= 0.015, "delays hardly make one course of another"


def test_people_follow_it_the_slow_ones_too() -> None:
    assert refused(WILLING, 400, np.random.default_rng(2)) <= 4
    assert refused(SLOW, 400, np.random.default_rng(2)) <= 24


def test_it_tells_all_three() -> None:
    assert [line.split()[0] for line in report(20).splitlines()] == ["willing", "slow", "recorded"]
