"""One unbroken track: who may make a LiveTrack, what it covers, what ends it, and that nothing is left behind."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from gatevault.core.liveness import Edge, Lamp, Prompt, Refusal, Side, Tier, draw_pattern
from gatevault.core.liveness.challenge import MS
from gatevault.core.types import Box, Vector
from gatevault.vision.detect import Face
from gatevault.vision.frame import Pixels
from gatevault.vision.liveness import LiveTrack, NotLive, Pending, Track
from gatevault.vision.liveness.head import depth

BEGIN = 10_000 * MS
CORNER = np.array((64.0, 4.0))
"""Of the part of the astronaut's picture that is used."""
FIVE = np.array(((203.6, 101.2), (245.2, 101.4), (223.2, 124.6), (203.8, 144.0), (240.2, 142.0))) - CORNER
MIDDLE = FIVE[:2].mean(axis=0)
APART = float(FIVE[1, 0] - FIVE[0, 0])


@pytest.fixture
def portrait(astronaut: Pixels) -> Pixels:
    return np.ascontiguousarray(astronaut[4:264, 64:384])


def a_face(moved: tuple[float, float] = (0.0, 0.0), scale: float = 1.0) -> Face:
    points = (FIVE - MIDDLE) * scale + MIDDLE + moved
    left, top, right, bottom = np.array((-52.0, -27.0, 47.0, 72.0)) * scale + np.tile(MIDDLE + moved, 2)
    return Face(Box(round(left), round(top), round(right), round(bottom)), 0.9, points)


def turned_head(portrait: Pixels, turn: float) -> Pixels:
    """The portrait with its face moved as a head's depth moves it; the surroundings stay."""
    rows, columns = np.mgrid[0 : portrait.shape[0], 0 : portrait.shape[1]].astype(np.float64)
    v = (rows - MIDDLE[1]) / APART
    x = columns.copy()
    for _ in range(8):  # what is seen at a place is what moved there
        u = (x - MIDDLE[0]) / APART
        inside = np.clip(2.0 - 2.0 * np.hypot(u / 1.3, (v - 0.45) / 1.5), 0.0, 1.0)
        deep = depth(np.column_stack((u.ravel(), v.ravel()))).reshape(u.shape)
        x = 0.4 * x + 0.6 * (columns - turn * APART * (deep + 0.3) * inside)
    maps = x.astype(np.float32), rows.astype(np.float32)
    return np.asarray(cv2.remap(portrait, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def turned_print(portrait: Pixels, turn: float) -> Pixels:
    """The portrait as a flat print that turns about its middle."""
    height, width = portrait.shape[:2]
    corners = np.array(((0.0, 0.0), (width, 0.0), (width, height), (0.0, height)), np.float32)
    flat = corners - MIDDLE
    away = 1.0 - 0.0012 * turn * flat[:, :1]
    seen = np.column_stack((flat[:, 0] * np.cos(turn), flat[:, 1])) / away + MIDDLE
    matrix = cv2.getPerspectiveTransform(corners, seen.astype(np.float32))
    return np.asarray(
        cv2.warpPerspective(portrait, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


NOISE = np.random.default_rng(0).normal(0.0, 1.5, (300, 360, 3))


def noisy(picture: Pixels, seed: int) -> Pixels:
    """As a camera gives it: every time another piece of the same noise."""
    down, across = seed * 7 % 40, seed * 11 % 37
    noise = NOISE[down : down + picture.shape[0], across : across + picture.shape[1]]
    return np.clip(picture + noise, 0.0, 255.0).astype(np.uint8)


STEP = 0.0625

PROMPTS = (
    Prompt(BEGIN + 400 * MS, Side.LEFT),
    Prompt(BEGIN + 1_550 * MS, None),
    Prompt(BEGIN + 2_700 * MS, Side.RIGHT),
)


def stay(seconds: float, begins: float, ends: float, reach: float) -> float:
    """A head at `reach` from half a second after `begins` until `ends`, and half a second later back."""
    return reach * float(np.clip((seconds - begins) / 0.5, 0.0, 1.0) - np.clip((seconds - ends) / 0.5, 0.0, 1.0))


def answering(seconds: float) -> float:
    """To the left when asked, ahead, then to the right: the resident's left is the picture's right, positive."""
    return stay(seconds, 1.0, 2.1, 0.6) - stay(seconds, 3.2, 9.0, 0.6)


def walk(
    track: Track,
    portrait: Pixels,
    show: Callable[[Pixels, float], Pixels],
    *,
    turn: Callable[[float], float] = answering,
    vector: Callable[[float], Vector] | None = None,
) -> list[object]:
    """Show 16 frames a second; the verdicts."""
    shown: dict[float, Pixels] = {}
    for prompt in PROMPTS:
        track.prompt(prompt)
    verdicts: list[object] = []
    for number, seconds in enumerate(np.arange(0.0, 5.2, STEP)):
        taken = BEGIN + int(seconds * 1e9)
        angle = round(turn(float(seconds)), 2)
        if angle not in shown:
            shown[angle] = show(portrait, angle)
        track.see(noisy(shown[angle], number), None, taken, a_face())
        if vector is not None:
            track.vector(taken, vector(float(seconds)))
        verdicts.append(track.verdict(taken + 5 * MS))
        if not isinstance(verdicts[-1], Pending):
            break
    return verdicts


def one(angle: float) -> Vector:
    """A unit vector at this angle from everybody's first."""
    return np.array((np.cos(angle), np.sin(angle), 0.0), np.float32)


def test_a_head_that_turns_when_asked_lives(portrait: Pixels) -> None:
    track = Track(Tier.RGB)
    verdicts = walk(track, portrait, turned_head, vector=lambda _: one(0.0))
    assert isinstance(verdicts[0], Pending)
    assert not verdicts[0].ready
    assert isinstance(verdicts[2], Pending)
    assert verdicts[2].ready
    live = verdicts[-1]
    assert isinstance(live, LiveTrack), track.evidence
    assert live.tier is Tier.RGB
    assert live.covers(BEGIN + 125 * MS)
    assert not live.covers(BEGIN + 126 * MS)


def test_a_print_that_is_turned_when_asked_does_not(portrait: Pixels) -> None:
    track = Track(Tier.RGB)
    verdict = walk(track, portrait, turned_print, turn=lambda s: 1.2 * answering(s), vector=lambda _: one(0.0))[-1]
    assert isinstance(verdict, NotLive)


def test_turning_the_other_way_is_told_at_once(portrait: Pixels) -> None:
    verdicts = walk(Track(Tier.RGB), portrait, turned_head, turn=lambda s: -answering(s))
    assert verdicts[-1] == NotLive(Refusal.WRONG_WAY)
    assert len(verdicts) < 40


def test_turning_before_the_light_is_too_early(portrait: Pixels) -> None:
    verdicts = walk(Track(Tier.RGB), portrait, turned_head, turn=lambda s: stay(s, 0.15, 2.0, 0.6))
    assert verdicts[-1] == NotLive(Refusal.TOO_EARLY)


def test_not_turning_is_too_late(portrait: Pixels) -> None:
    verdicts = walk(Track(Tier.RGB), portrait, turned_head, turn=lambda _: 0.0)
    assert verdicts[-1] == NotLive(Refusal.TOO_LATE)


def test_frames_without_a_vector_of_theirs_are_not_covered(portrait: Pixels) -> None:
    live = walk(Track(Tier.RGB), portrait, turned_head)[-1]
    assert isinstance(live, LiveTrack)
    assert not live.covers(BEGIN + 125 * MS)


def test_nobody_else_makes_a_live_track() -> None:
    with pytest.raises(TypeError, match="Track"):
        LiveTrack(object(), Tier.RGB, frozenset({1}))


def test_another_person_in_the_same_track_ends_it(portrait: Pixels) -> None:
    """A stranger turns the head, then a resident's vector comes: the look has two people in it."""
    verdicts = walk(Track(Tier.RGB), portrait, turned_head, vector=lambda s: one(0.0 if s < 2.0 else 1.2))
    assert verdicts[-1] == NotLive(Refusal.IDENTITY_CHANGED)


def test_the_calibration_says_who_is_the_same(portrait: Pixels) -> None:
    strict = Track(Tier.RGB, same_person=0.99)
    verdicts = walk(strict, portrait, turned_head, vector=lambda s: one(0.0 if s < 2.0 else 0.3))
    assert verdicts[-1] == NotLive(Refusal.IDENTITY_CHANGED)


def test_a_vector_that_is_no_number_is_nobody(portrait: Pixels) -> None:
    track = Track(Tier.RGB)
    track.see(portrait, None, BEGIN, a_face())
    track.see(portrait, None, BEGIN + 40 * MS, a_face())
    track.vector(BEGIN, one(0.0))
    track.vector(BEGIN + 40 * MS, np.full(3, np.nan, np.float32))
    assert track.verdict(BEGIN + 41 * MS) == NotLive(Refusal.IDENTITY_CHANGED)


def test_a_vector_of_a_frame_that_was_not_seen_is_a_mistake(portrait: Pixels) -> None:
    track = Track(Tier.RGB)
    track.see(portrait, None, BEGIN, a_face())
    with pytest.raises(ValueError, match="own frames"):
        track.vector(BEGIN + 1, one(0.0))


# --- what breaks a track -------------------------------------------------------------------------


def test_a_face_that_is_gone_for_long_breaks_it(portrait: Pixels) -> None:
    track = Track(Tier.RGB)
    track.see(portrait, None, BEGIN, a_face())
    track.see(portrait, None, BEGIN + 200 * MS, None)
    assert isinstance(track.verdict(BEGIN + 300 * MS), Pending)
    assert track.verdict(BEGIN + 500 * MS) == NotLive(Refusal.LOST_TRACK)


def test_a_face_that_jumps_breaks_it(portrait: Pixels) -> None:
    track = Track(Tier.RGB)
    track.see(portrait, None, BEGIN, a_face())
    track.see(portrait, None, BEGIN + 40 * MS, a_face(moved=(70.0, 0.0)))
    assert track.verdict(BEGIN + 50 * MS) == NotLive(Refusal.LOST_TRACK)


def test_a_face_that_grows_at_once_breaks_it(portrait: Pixels) -> None:
    track = Track(Tier.RGB)
    track.see(portrait, None, BEGIN, a_face())
    track.see(portrait, None, BEGIN + 40 * MS, a_face(scale=1.6))
    assert track.verdict(BEGIN + 50 * MS) == NotLive(Refusal.LOST_TRACK)


def test_a_picture_put_in_the_faces_place_breaks_it(portrait: Pixels) -> None:
    """Same box, same place, another face between two frames: its points are not found again."""
    track = Track(Tier.RGB)
    other = np.ascontiguousarray(portrait[:, ::-1])
    for number in range(4):
        track.see(noisy(portrait, number), None, BEGIN + number * 40 * MS, a_face())
    track.see(noisy(other, 9), None, BEGIN + 160 * MS, a_face())
    assert track.verdict(BEGIN + 170 * MS) == NotLive(Refusal.LOST_TRACK)


def test_frames_out_of_order_break_it(portrait: Pixels) -> None:
    track = Track(Tier.RGB)
    track.see(portrait, None, BEGIN, a_face())
    track.see(portrait, None, BEGIN, a_face())
    assert track.verdict(BEGIN + 1) == NotLive(Refusal.LOST_TRACK)


def test_a_frame_of_another_size_breaks_it(portrait: Pixels) -> None:
    track = Track(Tier.RGB)
    track.see(portrait, None, BEGIN, a_face())
    track.see(np.ascontiguousarray(portrait[:250]), None, BEGIN + 40 * MS, a_face())
    assert track.verdict(BEGIN + 41 * MS) == NotLive(Refusal.LOST_TRACK)


def test_what_is_lost_stays_lost(portrait: Pixels) -> None:
    track = Track(Tier.RGB)
    track.see(portrait, None, BEGIN, a_face())
    assert track.verdict(BEGIN + 900 * MS) == NotLive(Refusal.LOST_TRACK)
    track.see(portrait, None, BEGIN + 910 * MS, a_face())
    assert track.verdict(BEGIN + 911 * MS) == NotLive(Refusal.LOST_TRACK)


def test_there_is_no_track_with_liveness_off() -> None:
    with pytest.raises(ValueError, match="off"):
        Track(Tier.OFF)


def test_a_face_turned_aside_is_not_where_a_track_begins(portrait: Pixels) -> None:
    track = Track(Tier.RGB)
    face = a_face()
    assert face.points is not None
    face.points[2, 0] += 0.3 * APART
    for number in range(4):
        track.see(portrait, None, BEGIN + number * 40 * MS, face)
    verdict = track.verdict(BEGIN + 200 * MS)
    assert verdict == Pending(False)


def test_a_box_with_dlibs_landmarks_will_do(portrait: Pixels) -> None:
    corners = ((255.0, 104.0), (238.0, 105.0), (195.0, 101.0), (212.0, 103.0), (224.0, 134.0))
    landmarks = np.array(corners) - CORNER
    track = Track(Tier.RGB)
    plain = dataclasses.replace(a_face(), points=None)
    for number in range(3):
        track.see(noisy(portrait, number), None, BEGIN + number * 40 * MS, plain, landmarks)
    assert track.verdict(BEGIN + 100 * MS) == Pending(True)


def test_a_face_without_points_cannot_be_followed(portrait: Pixels) -> None:
    track = Track(Tier.RGB)
    track.see(portrait, None, BEGIN, dataclasses.replace(a_face(), points=None))
    assert track.verdict(BEGIN + MS) == Pending(False)


# --- lamps ---------------------------------------------------------------------------------------


def _edges(lamp: Lamp) -> list[Edge]:
    slots = draw_pattern(b"fourteen letters")
    pairs = enumerate(zip((True, *slots), (*slots, False), strict=True))
    return [Edge(BEGIN + (200 + 100 * k) * MS, lamp, now) for k, (before, now) in pairs if before != now]


@pytest.mark.parametrize("tier", [Tier.LED, Tier.IR])
def test_a_picture_in_steady_light_answers_no_lamp(tier: Tier, portrait: Pixels) -> None:
    track = Track(tier)
    infrared = np.ascontiguousarray(portrait[:, :, 0])
    for edge in _edges(Lamp.LED if tier is Tier.LED else Lamp.IR):
        track.edge(edge)
    for number in range(60):
        track.see(noisy(portrait, number), infrared, BEGIN + number * 40 * MS, a_face())
        verdict = track.verdict(BEGIN + number * 40 * MS)
        if not isinstance(verdict, Pending):
            break
    assert isinstance(verdict, NotLive)
    assert number * 40 <= 2_000


def test_without_an_infrared_camera_nothing_passes_its_tier(portrait: Pixels) -> None:
    track = Track(Tier.IR)
    for edge in _edges(Lamp.IR):
        track.edge(edge)
    for number in range(60):
        track.see(noisy(portrait, number), None, BEGIN + number * 40 * MS, a_face())
    assert track.verdict(BEGIN + 2_360 * MS) == NotLive(Refusal.NO_SENSOR)


def test_edges_of_another_lamp_do_not_count(portrait: Pixels) -> None:
    track = Track(Tier.LED)
    for edge in _edges(Lamp.IR):
        track.edge(edge)
    for number in range(60):
        track.see(portrait, None, BEGIN + number * 40 * MS, a_face())
    assert isinstance(track.verdict(BEGIN + 2_360 * MS), Pending)


# --- nothing is left -----------------------------------------------------------------------------


def _arrays(thing: object, seen: set[int]) -> list[np.ndarray]:
    """Every array that can be reached from `thing`."""
    if id(thing) in seen:
        return []
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        return [thing]
    if isinstance(thing, dict):
        inside = list(thing.values())
    elif isinstance(thing, list | tuple | set | frozenset):
        inside = list(thing)
    elif type(thing).__module__.startswith("gatevault.vision.liveness"):
        inside = list(vars(thing).values()) if hasattr(thing, "__dict__") else []
    else:
        return []
    return [array for each in inside for array in _arrays(each, seen)]


@pytest.mark.parametrize("tier", [Tier.RGB, Tier.LED, Tier.IR])
def test_forgetting_overwrites_pictures_and_vectors(tier: Tier, portrait: Pixels) -> None:
    track = Track(tier)
    infrared = np.ascontiguousarray(portrait[:, :, 0])
    for number in range(6):
        taken = BEGIN + number * 40 * MS
        track.see(noisy(portrait, number), infrared, taken, a_face())
        track.vector(taken, one(0.1))
    held = [array for array in _arrays(track, set()) if array.size > 2 and array.dtype != np.int64]
    pictures = [array for array in held if array.size > 1_000]
    assert pictures
    assert all(array.any() for array in pictures)
    track.forget()
    left = [array for array in held if array.dtype != np.bool_ and array.any()]
    assert all(array.shape == (2, 3) for array in left)  # the face's place in the first frame, no picture of it
    assert track.verdict(BEGIN + 300 * MS) == NotLive(Refusal.LOST_TRACK)


def test_a_verdict_has_wiped_the_pictures_before_it_is_told(portrait: Pixels) -> None:
    track = Track(Tier.RGB)
    for number in range(3):
        track.see(noisy(portrait, number), None, BEGIN + number * 40 * MS, a_face())
    pictures = [array for array in _arrays(track, set()) if array.size > 10_000]
    for prompt in PROMPTS:
        track.prompt(prompt)
    taken = BEGIN + 5_000 * MS
    for number in range(3, 126):
        track.see(noisy(portrait, number), None, BEGIN + number * 40 * MS, a_face())
    pictures += [array for array in _arrays(track, set()) if array.size > 10_000]
    assert isinstance(track.verdict(taken), NotLive)
    assert not any(array.any() for array in pictures)
