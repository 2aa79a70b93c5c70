"""A head that turns shows parallax; paper that is turned, tilted, bent or folded does not. What sways beside it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.liveness import Limits
from gatevault.core.types import Box
from gatevault.vision.frame import Pixels
from gatevault.vision.liveness import head as generic
from gatevault.vision.liveness.points import Tracker, prepared
from gatevault.vision.liveness.surround import Surroundings
from gatevault.vision.liveness.turn import LEAST_POINTS, parallax
from tests.vision import faces3d

LIMITS = Limits().turn
NOISE = 0.004
"""Of a point, inter-eye distances: a fifth of a pixel where the eyes are 50 pixels apart."""


def _measured(
    kind: str, yaw: float, pitch: float, seed: int, shape: float = 0.5, lean: float = 0.0
) -> tuple[float, float]:
    """The turn that is measured, and the log ratio, for something seen frontal and then turned (radians)."""
    chance = np.random.default_rng(seed)
    places = faces3d.grid(chance)
    u, v = places.T
    depth = {
        "head": lambda: faces3d.head(u, v, 0.36 + 0.14 * shape, 1.1 + 0.2 * shape),
        "flat": lambda: np.zeros(len(u)),
        "bent": lambda: faces3d.bent(u, v, 1.5 + 3.0 * shape, lean),
        "folded": lambda: faces3d.folded(u, 0.5 * shape),
    }[kind]()
    before = faces3d.seen(places, depth, 0.0)
    after = faces3d.seen(places, depth, yaw, pitch, 0.4 * yaw)
    after = after + chance.normal(0.0, NOISE, after.shape)
    found = parallax(places, after[:, 0] - before[:, 0])
    assert found is not None
    turn, left, rest = found
    return turn, 0.5 * float(np.log(left / rest))


degrees = st.floats(-45.0, 45.0).map(np.radians)
tilts = st.floats(-25.0, 25.0).map(np.radians)
seeds = st.integers(0, 1_000)
shares = st.floats(0.0, 1.0)


@given(st.floats(28.0, 35.0), st.sampled_from([-1.0, 1.0]), st.floats(-8.0, 8.0), seeds, shares)
def test_a_head_that_turns_is_seen_to_and_to_which_side(
    angle: float, side: float, pitch: float, seed: int, shape: float
) -> None:
    turn, log_ratio = _measured("head", side * np.radians(angle), np.radians(pitch), seed, shape)
    assert side * turn > LIMITS.reach
    assert log_ratio > LIMITS.log_ratio


@given(degrees, tilts, seeds)
def test_a_flat_print_never_turns_however_it_is_turned(yaw: float, pitch: float, seed: int) -> None:
    turn, _ = _measured("flat", yaw, pitch, seed)
    assert abs(turn) < LIMITS.lobe


@given(degrees, tilts, seeds, shares, st.floats(-0.5, 0.5))
def test_nor_does_a_bent_one(yaw: float, pitch: float, seed: int, shape: float, lean: float) -> None:
    """Round a bottle (1.5 inter-eye distances, 95 mm) or a bucket, upright or leaning."""
    turn, _ = _measured("bent", yaw, pitch, seed, shape, lean)
    assert abs(turn) < LIMITS.lobe


@given(degrees, tilts, seeds, shares)
def test_nor_does_one_that_is_folded_along_the_nose(yaw: float, pitch: float, seed: int, shape: float) -> None:
    turn, _ = _measured("folded", yaw, pitch, seed, shape)
    assert abs(turn) < LIMITS.lobe


@given(tilts)
def test_nodding_is_no_turn(pitch: float) -> None:
    turn, _ = _measured("head", 0.0, pitch, 1)
    assert abs(turn) < LIMITS.begin


def test_points_that_slip_do_not_hide_a_turn() -> None:
    places = faces3d.grid(np.random.default_rng(0))
    depth = faces3d.head(*places.T)
    moved = faces3d.seen(places, depth, 0.4) - faces3d.seen(places, depth, 0.0)
    clean = parallax(places, moved[:, 0])
    moved[::9] += 0.25
    slipped = parallax(places, moved[:, 0])
    assert clean is not None
    assert slipped is not None
    assert slipped[0] == pytest.approx(clean[0], rel=0.3)


def test_too_few_points_tell_nothing() -> None:
    places = faces3d.grid(np.random.default_rng(0))[: LEAST_POINTS - 1]
    assert parallax(places, np.zeros(len(places))) is None


# --- the generic head ----------------------------------------------------------------------------


def test_the_generic_head_has_its_nose_before_its_cheeks() -> None:
    tip, cheek, ear, eye = generic.depth(np.array(((0.0, 0.5), (0.5, 0.5), (1.0, 0.5), (0.5, 0.0))))
    assert tip > eye > ear
    assert tip - cheek > 0.3


def test_the_generic_head_is_alike_on_both_sides() -> None:
    places = faces3d.grid(np.random.default_rng(3))
    assert np.allclose(generic.depth(places), generic.depth(places * (-1.0, 1.0)))


def test_its_normals_have_length_one_and_look_at_the_camera() -> None:
    across, down, towards = generic.normals(np.linspace(-0.7, 0.7, 29), np.linspace(-0.4, 1.2, 33))
    assert np.allclose(across**2 + down**2 + towards**2, 1.0)
    assert (towards > 0.0).all()


def test_a_face_frame_puts_eyes_and_mouth_where_they_belong() -> None:
    five = np.array(((100.0, 80.0), (150.0, 84.0), (124.0, 110.0), (104.0, 136.0), (142.0, 139.0)))
    placed = generic.placed(generic.frame_of(five), five)
    assert placed[1, 0] - placed[0, 0] == pytest.approx(1.0)
    assert placed[:2].mean(axis=0) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert placed[3:].mean(axis=0) == pytest.approx((0.0, 1.0), abs=1e-9)


def test_points_that_fall_together_are_no_face() -> None:
    with pytest.raises(ValueError, match="together"):
        generic.frame_of(np.full((5, 2), 40.0))


# --- what is beside a face -----------------------------------------------------------------------

BOX = Box(110, 70, 210, 170)
FIVE = np.array(((138.0, 98.0), (182.0, 98.0), (160.0, 122.0), (142.0, 146.0), (178.0, 146.0)))


def _scene(plain: bool = False) -> np.ndarray:
    """A picture with things to follow everywhere, or next to none."""
    chance = np.random.default_rng(4)
    picture = np.full((240, 320, 3), 110.0)
    if not plain:
        blocks = np.kron(chance.uniform(-60.0, 60.0, (24, 32)), np.ones((10, 10)))
        picture += cv2.GaussianBlur(blocks, (0, 0), 1.0)[:, :, None]
    return picture


def _shown(scene: np.ndarray, seed: int, moved: tuple[float, float] = (0.0, 0.0)) -> Pixels:
    """The scene with a camera's noise, its right two thirds moved by so many pixels."""
    move = np.array(((1.0, 0.0, moved[0]), (0.0, 1.0, moved[1])))
    whole = cv2.warpAffine(scene, move, (320, 240), borderMode=cv2.BORDER_REPLICATE)
    whole[:, :107] = scene[:, :107]
    noise = np.random.default_rng(seed).normal(0.0, 1.5, scene.shape)
    return np.clip(whole + noise, 0.0, 255.0).astype(np.uint8)


def _swayed(
    moved: Callable[[float], tuple[float, float]] = lambda _: (0.0, 0.0),
    turns: np.ndarray | None = None,
    plain: bool = False,
) -> float:
    """The sway over three seconds in which a part of the scene moves."""
    scene = _scene(plain)
    tracker = Tracker(_shown(scene, 0), BOX, FIVE)
    around = Surroundings(tracker)
    for number in range(45):
        working = tracker.cut(_shown(scene, number, moved(number / 15.0)))
        around.see(prepared(working))
    return around.sway(np.zeros(45) if turns is None else turns)


def test_a_still_background_is_still() -> None:
    assert _swayed() < LIMITS.sway / 2


def test_a_hand_that_holds_a_picture_sways() -> None:
    assert _swayed(lambda s: (1.0 * np.sin(3.0 * s), 1.0 * np.cos(2.0 * s))) > LIMITS.sway


def test_a_picture_that_is_moved_far_sways() -> None:
    assert _swayed(lambda s: (30.0 * np.sin(2.0 * s), 12.0 * s)) > LIMITS.sway


def test_a_picture_that_is_taken_away_did_not_stand_still() -> None:
    assert _swayed(lambda s: (0.0, 0.0) if s < 1.0 else (143.0, 61.0)) > LIMITS.sway


def test_hair_that_turns_with_the_head_is_no_hand() -> None:
    times = np.arange(45) / 15.0
    assert _swayed(lambda s: (4.0 * np.sin(1.5 * s), 0.0), np.sin(1.5 * times)) < LIMITS.sway


def test_a_plain_wall_tells_nothing() -> None:
    assert _swayed(lambda s: (3.0 * s, 0.0), plain=True) == 0.0


def test_nothing_of_the_surroundings_is_left() -> None:
    around = Surroundings(Tracker(_shown(_scene(), 0), BOX, FIVE))
    held = around._first
    assert held.any()
    around.wipe()
    assert not held.any()
