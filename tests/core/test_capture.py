"""Captures for a template: from every side, good, and new."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.capture import TURNED_FROM, Guide, Pose, pose
from gatevault.core.matching import weight
from gatevault.core.settings import EnrolmentSettings
from gatevault.core.types import Box, Scan, Vector
from tests.calibrations import calibration
from tests.core.samples import quality

SETTINGS = EnrolmentSettings(min_captures=3, max_captures=8, min_quality=0.3)
DIMENSION = 16
FIGURES = calibration(DIMENSION, novelty=0.9, agreement=0.8)
TWO = calibration(8, shares=(0.7, 0.3), novelty=0.9)
FRONT, LEFT, RIGHT = 0.0, 0.3, -0.3
BLURRED = 0.5
"""A sharpness that will do at the gate and not for a template."""


def axis(number: int) -> Vector:
    """Any two of these are new to one another."""
    return np.eye(DIMENSION, dtype=np.float32)[number]


def scan(
    embedding: Vector, yaw: float = FRONT, sharpness: float = 80.0, distinct: bool = True, exposure: float = 0.5
) -> Scan:
    seen = msgspec.structs.replace(quality(), yaw=yaw, sharpness=sharpness, exposure=exposure)
    return Scan("0" * 32, 0, Box(0, 0, 120, 120), 1.0, seen, embedding, distinct)


def guided(*yaws: float, settings: EnrolmentSettings = SETTINGS) -> Guide:
    """A guide that was shown so many new captures, each turned so far."""
    guide = Guide(settings, FIGURES)
    for number, yaw in enumerate(yaws):
        guide.take(scan(axis(number), yaw))
    return guide


# --- poses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("yaw", "side"),
    [
        (0.0, Pose.FRONT),
        (0.09, Pose.FRONT),
        (-0.09, Pose.FRONT),
        (TURNED_FROM, Pose.LEFT),
        (-TURNED_FROM, Pose.RIGHT),
        (2.0, Pose.LEFT),
        (-2.0, Pose.RIGHT),
    ],
)
def test_whoever_turns_to_the_images_right_looks_to_their_own_left(yaw: float, side: Pose) -> None:
    assert pose(yaw) is side


def test_a_guide_wishes_for_the_front_then_the_left_then_the_right() -> None:
    guide = guided()
    wishes = []
    for number, yaw in enumerate([FRONT] * 4 + [LEFT] * 2 + [RIGHT] * 2):
        wishes.append(guide.wish)
        assert guide.take(scan(axis(number), yaw))
    assert wishes == [Pose.FRONT] * 4 + [Pose.LEFT] * 2 + [Pose.RIGHT] * 2
    assert guide.wish is None


def test_what_was_shown_before_it_was_asked_for_is_not_asked_for_again() -> None:
    assert guided(*[RIGHT] * 2, *[FRONT] * 4).wish is Pose.LEFT
    assert guided(LEFT, LEFT, RIGHT, RIGHT).wish is Pose.FRONT


@pytest.mark.parametrize(("most", "sides"), [(1, 0), (3, 0), (4, 1), (8, 2), (11, 2), (16, 4)])
def test_a_quarter_comes_from_each_side(most: int, sides: int) -> None:
    settings = EnrolmentSettings(min_captures=1, max_captures=most)
    guide = guided(*[FRONT] * (most - 2 * sides), settings=settings)
    assert guide.wish is (Pose.LEFT if sides else None)
    guide = guided(*[LEFT] * sides, *[RIGHT] * sides, settings=settings)
    assert guide.wish is Pose.FRONT


# --- light ---------------------------------------------------------------------------------------

ALL_SIDES = (*[FRONT] * 4, LEFT, LEFT, RIGHT, RIGHT)


def test_another_light_is_wished_for_once_every_side_was_seen_in_one() -> None:
    assert not guided(*ALL_SIDES[:-1]).wants_light
    guide = guided(*ALL_SIDES)
    assert guide.wants_light
    assert guide.take(scan(axis(9), exposure=0.55)), "a spare one, in the same light"
    assert guide.wants_light
    assert guide.take(scan(axis(10), exposure=0.3))
    assert not guide.wants_light
    captures, poses = guide.captures()
    assert poses == {"front": 4, "left": 2, "right": 2}, "it takes the place of one from the front"
    assert captures[:, 10].max() == 1.0
    assert captures[:, 9].max() == 0.0


def test_two_lights_that_were_there_already_are_enough() -> None:
    guide = Guide(SETTINGS, FIGURES)
    for number, yaw in enumerate(ALL_SIDES):
        guide.take(scan(axis(number), yaw, exposure=0.5 if number % 2 else 0.3))
    assert guide.wish is None
    assert not guide.wants_light


# --- what is kept --------------------------------------------------------------------------------


def test_captures_are_those_of_every_side_as_unit_rows() -> None:
    guide = Guide(SETTINGS, FIGURES)
    for number, yaw in enumerate([FRONT, LEFT, RIGHT] * 2):
        guide.take(scan(np.asarray(axis(number) * np.float32(7)), yaw))
    captures, poses = guide.captures()
    assert captures.shape == (6, DIMENSION)
    assert captures.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(captures, axis=1), 1.0, atol=1e-6)
    np.testing.assert_array_equal(captures.sum(axis=0)[:6], np.ones(6))
    assert poses == {"front": 2, "left": 2, "right": 2}


def test_two_networks_captures_are_as_long_as_their_shares() -> None:
    guide = Guide(SETTINGS, TWO)
    guide.take(scan(np.ones(16, np.float32)))
    (capture,), _ = guide.captures()
    np.testing.assert_allclose([np.linalg.norm(capture[:8]) ** 2, np.linalg.norm(capture[8:]) ** 2], [0.7, 0.3])


def test_who_cannot_turn_the_head_is_enrolled_from_the_front_alone() -> None:
    guide = guided(*[FRONT] * 12)
    assert guide.enough
    assert guide.wish is Pose.LEFT
    captures, poses = guide.captures()
    assert len(captures) == 8
    assert poses == {"front": 8, "left": 0, "right": 0}


def test_spare_captures_give_way_to_sides_that_come_late() -> None:
    guide = guided(*[FRONT] * 9, LEFT, RIGHT, RIGHT)
    captures, poses = guide.captures()
    assert len(captures) == 8
    assert poses == {"front": 5, "left": 1, "right": 2}


def test_spare_captures_have_an_end() -> None:
    guide = guided(*[FRONT] * 12)
    assert guide.count == 12
    assert not guide.take(scan(axis(12)))
    assert guide.count == 12
    assert guide.take(scan(axis(13), LEFT)), "a side that is missing is still taken"


def test_it_is_enough_from_the_least_number_on() -> None:
    assert [guided(*[LEFT] * count).enough for count in range(5)] == [False, False, False, True, True]


def test_a_capture_like_an_earlier_one_adds_nothing_from_whichever_side() -> None:
    guide = guided(FRONT)
    near, new = axis(0) + 0.4 * axis(1), axis(0) + 0.6 * axis(1)  # cosines 0.93 and 0.86
    assert not guide.take(scan(near))
    assert not guide.take(scan(near, LEFT))
    assert guide.count == 1
    assert guide.take(scan(new))
    assert guide.poor == 0


def test_a_capture_like_a_spare_one_adds_nothing() -> None:
    guide = guided(*[FRONT] * 6)
    assert guide.count == 6
    assert not guide.take(scan(axis(5)))


def test_a_picture_that_repeats_an_earlier_one_adds_nothing() -> None:
    guide = guided()
    assert not guide.take(scan(axis(0), distinct=False))
    assert (guide.count, guide.poor) == (0, 0)


def test_a_poor_scan_is_counted_and_not_kept() -> None:
    poor = scan(axis(0), sharpness=BLURRED)
    assert weight(poor.quality) < SETTINGS.min_quality
    guide = guided()
    assert not guide.take(poor)
    assert (guide.count, guide.poor) == (0, 1)
    assert Guide(EnrolmentSettings(min_quality=0.0), FIGURES).take(poor)


@pytest.mark.parametrize("size", [DIMENSION - 1, DIMENSION + 1])
def test_a_scan_of_another_network_is_an_error(size: int) -> None:
    guide = guided(FRONT)
    with pytest.raises(ValueError, match="dimension"):
        guide.take(scan(np.ones(size, np.float32)))
    assert guide.count == 1


@st.composite
def scans(draw: st.DrawFn) -> list[Scan]:
    """Of few directions, so that many are alike."""
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    few = chance.normal(size=(draw(st.integers(1, 12)), DIMENSION))
    blur = draw(st.floats(0.0, 0.5))
    yaws, sharpness = st.floats(-1.0, 1.0), st.sampled_from([80.0, 80.0, BLURRED])
    return [
        scan(
            np.float32(few[chance.integers(len(few))] + blur * chance.normal(size=DIMENSION)),
            draw(yaws),
            draw(sharpness),
            draw(st.booleans()) or draw(st.booleans()),
        )
        for _ in range(draw(st.integers(0, 40)))
    ]


@given(scans(), st.integers(1, 16))
def test_whatever_is_seen_captures_are_new_good_and_no_more_than_the_most(shown: list[Scan], most: int) -> None:
    guide = Guide(EnrolmentSettings(min_captures=1, max_captures=most), FIGURES)
    taken = [seen for seen in shown if guide.take(seen)]
    assert guide.count == len(taken) <= 2 * most + 1
    assert guide.poor == sum(seen.quality.sharpness == BLURRED for seen in shown)
    assert guide.enough is bool(taken)
    if not taken:
        return
    captures, poses = guide.captures()
    assert len(captures) == sum(poses.values()) == min(most, len(taken))
    cosines = captures @ captures.T - np.eye(len(captures))
    assert cosines.max() <= 0.9 + 1e-6
    for side in Pose:
        assert poses[side] <= sum(pose(seen.quality.yaw) is side for seen in taken)
    if guide.wish is None:
        assert all(poses[side] == most // 4 for side in (Pose.LEFT, Pose.RIGHT))


# --- what is overwritten -------------------------------------------------------------------------


def test_what_is_not_kept_is_overwritten_at_once(made: list[Vector]) -> None:
    guide = guided(*[FRONT] * 12)
    for seen in (scan(axis(12)), scan(axis(0)), scan(axis(13), distinct=False)):
        assert not guide.take(seen)
        assert seen.embedding.any(), "the scan is its giver's to wipe"
    assert [vector.any() for vector in made] == [True] * 12 + [False] * 3


def test_a_wiped_guide_holds_nothing_and_captures_are_their_takers_own(made: list[Vector]) -> None:
    guide = guided(*[FRONT] * 6, LEFT, RIGHT)
    captures, _ = guide.captures()
    guide.wipe()
    assert len(made) == 8
    assert not any(vector.any() for vector in made)
    assert captures.any(axis=1).all()
