"""Whether an enrolment's captures are of one person."""

from __future__ import annotations

import numpy as np
import pytest

from gatevault.core.capture import agree
from gatevault.core.types import Vector
from tests.calibrations import calibration
from tests.core.angles import gallery, turned

FIGURES = calibration(agreement=0.8)


def test_captures_of_one_person_agree() -> None:
    assert agree(gallery(0, 10, -10, 20).rows, FIGURES)


@pytest.mark.parametrize("place", range(4))
def test_an_intruder_among_captures_is_seen_in_any_place(place: int) -> None:
    degrees = [0.0, 10.0, -10.0]
    degrees.insert(place, 60.0)
    assert not agree(gallery(*degrees).rows, FIGURES)


def test_two_people_in_equal_numbers_do_not_agree() -> None:
    assert not agree(gallery(0, 5, 80, 85).rows, FIGURES)
    assert not agree(gallery(0, 80).rows, FIGURES)


def test_each_capture_is_held_against_the_mean_of_the_others() -> None:
    """36 degrees from two others that are one: a cosine of 0.809; 38 degrees: 0.788."""
    assert agree(gallery(0, 0, 36).rows, FIGURES)
    assert not agree(gallery(0, 0, 38).rows, FIGURES)


def test_a_single_capture_agrees_with_itself() -> None:
    assert agree(turned(30)[None], FIGURES)


def test_agreement_leaves_the_captures_alone_and_wipes_its_own_means(made: list[Vector]) -> None:
    captures = gallery(0, 10, 20).rows
    before = captures.copy()
    assert agree(captures, FIGURES)
    np.testing.assert_array_equal(captures, before)
    assert len(made) == 3
    assert not any(vector.any() for vector in made)
