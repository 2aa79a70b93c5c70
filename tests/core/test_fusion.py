"""The frames of one look, fused: of one person, by their quality, network by network."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gatevault.core.calibration import Calibration, Tail
from gatevault.core.matching import LEAST_WEIGHT, Fusion, Gallery, decide, template_mean, weight
from gatevault.core.settings import MatchSettings
from gatevault.core.types import Match, NoMatch, Quality, Reason, Vector
from tests.calibrations import calibration
from tests.core.angles import DIMENSION, gallery, names, turned
from tests.core.samples import quality

SETTINGS = MatchSettings(fpir=0.001, margin=0.5, min_frames=3)
PLAIN = calibration(threshold=0.8, same_person=0.9)
TWO = calibration(4, shares=(0.7, 0.3), same_person=0.0)


def fused(*frames: Vector, figures: Calibration = PLAIN) -> Fusion:
    fusion = Fusion(figures)
    for frame in frames:
        fusion.add(frame)
    return fusion


def decided(fusion: Fusion, faces: Gallery) -> Match | NoMatch | None:
    return decide(fusion, faces, PLAIN, SETTINGS)


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_too_few_frames_decide_nothing(frames: int) -> None:
    assert decided(fused(*[turned(0)] * frames), gallery(0)) is None


def test_enough_frames_decide() -> None:
    assert decided(fused(*[turned(0)] * 3), gallery(0)) == Match(names(1)[0])
    assert decided(fused(*[turned(80)] * 3), gallery(0)) == NoMatch(Reason.NO_MATCH)


def test_a_decision_knows_how_many_frames_were_fused() -> None:
    figures = calibration(fused=(Tail(0.0, 0.1), Tail(0.0, 0.1), Tail(0.5, 0.1)), same_person=0.9)
    two = msgspec.structs.replace(SETTINGS, min_frames=2)
    assert decide(fused(turned(0), turned(0)), gallery(45), figures, two) == Match(names(1)[0])
    assert decide(fused(*[turned(0)] * 3), gallery(45), figures, two) == NoMatch(Reason.NO_MATCH)


def test_one_frame_can_never_be_made_to_decide() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"min_frames": 1}, MatchSettings)


def test_another_person_begins_the_fusion_anew() -> None:
    fusion = fused(turned(0), turned(1), turned(60))
    assert fusion.count == 1
    np.testing.assert_allclose(fusion.probe(), turned(60), atol=1e-6)
    fusion.add(turned(61))
    assert decided(fusion, gallery(0)) is None, "two frames of the second person, not four"


def test_a_look_at_alternating_people_decides_nothing() -> None:
    fusion = fused(*[turned(0), turned(90)] * 10)
    assert fusion.count == 1


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=8), st.floats(0.01, 100))
def test_the_probe_is_the_unit_mean_of_unit_frames(degrees: list[float], length: float) -> None:
    frames = [turned(d) for d in degrees]
    assume(len(degrees) == fused(*frames).count)
    long = [np.asarray(frame * np.float32(length * (i + 1))) for i, frame in enumerate(frames)]
    probe = fused(*long).probe()
    mean = np.mean(frames, axis=0)
    np.testing.assert_allclose(probe, mean / np.linalg.norm(mean), atol=1e-5)
    assert float(np.linalg.norm(probe)) == pytest.approx(1.0, abs=1e-5)


@given(st.floats(LEAST_WEIGHT, 0.9), st.floats(3.0, 25.0))
def test_the_probe_lies_nearer_the_better_frame(poor: float, apart: float) -> None:
    fusion = Fusion(PLAIN)
    fusion.add(turned(0), poor)
    fusion.add(turned(apart), 1.0)
    probe = fusion.probe()
    assert fusion.count == 2
    assert probe @ turned(apart) > probe @ turned(0)
    wanted = poor * turned(0) + turned(apart)
    np.testing.assert_allclose(probe, wanted / np.linalg.norm(wanted), atol=1e-6)


def test_a_frames_weight_does_not_make_it_somebody_else() -> None:
    fusion = Fusion(PLAIN)
    for degrees, counts in ((0, 0.25), (20, 1.0), (0, 0.25)):
        fusion.add(turned(degrees), counts)
    assert fusion.count == 3


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_two_networks_are_averaged_block_by_block(seed: int, count: int) -> None:
    """The second network's photos differ more: it counts by its share all the same."""
    chance = np.random.default_rng(seed)
    blocks = [1.0 + chance.uniform(-spread, spread, (count, 4)) for spread in (0.05, 0.5)]
    frames = np.hstack([
        np.sqrt(share) * block / np.linalg.norm(block, axis=1, keepdims=True)
        for share, block in zip((0.7, 0.3), blocks, strict=True)
    ]).astype(np.float32)  # fmt: skip
    means = np.split(frames.mean(axis=0), 2)
    wanted = np.hstack([
        np.sqrt(share) * mean / np.linalg.norm(mean) for share, mean in zip((0.7, 0.3), means, strict=True)
    ])  # fmt: skip
    fusion = fused(*frames, figures=TWO)
    assert fusion.count == count
    np.testing.assert_allclose(fusion.probe(), wanted, atol=1e-6)
    np.testing.assert_allclose(template_mean(frames, TWO.normaliser), wanted, atol=1e-6)


def test_a_fusion_leaves_the_callers_vector_alone_and_gives_a_probe_of_its_own() -> None:
    frame = turned(30)
    fusion = fused(frame)
    np.testing.assert_array_equal(frame, turned(30))
    fusion.probe().fill(0.0)
    np.testing.assert_allclose(fusion.probe(), turned(30), atol=1e-6)


def test_a_wiped_fusion_holds_nothing() -> None:
    fusion = fused(turned(0), turned(1))
    fusion.wipe()
    assert fusion.count == 0
    assert not fusion._sum.any()
    with pytest.raises(ValueError, match="not zero"):
        fusion.probe()


@pytest.mark.parametrize(
    "bad",
    [
        np.ones(DIMENSION + 1, dtype=np.float32),
        np.ones((1, DIMENSION), dtype=np.float32),
        np.zeros(DIMENSION, dtype=np.float32),
        np.full(DIMENSION, np.nan, dtype=np.float32),
        np.ones(DIMENSION, dtype=np.float64),
    ],
    ids=["dimension", "shape", "zero", "NaN", "double"],
)
def test_what_is_no_embedding_is_refused_and_changes_nothing(bad: Vector) -> None:
    fusion = fused(turned(0))
    with pytest.raises(ValueError, match="embedding"):
        fusion.add(bad)
    assert fusion.count == 1
    np.testing.assert_array_equal(fusion.probe(), turned(0))


def test_the_template_is_the_unit_mean_of_the_captures() -> None:
    mean = template_mean(gallery(10, -10, 0).rows, PLAIN.normaliser)
    np.testing.assert_allclose(mean, turned(0), atol=1e-6)
    assert mean.dtype == np.float32
    with pytest.raises(ValueError, match="not zero"):
        template_mean(gallery(0, 180).rows.round(), PLAIN.normaliser)


# --- how much a frame counts ---------------------------------------------------------------------

QUALITIES = st.builds(
    Quality,
    size=st.floats(0, 2_000),
    sharpness=st.floats(0, 10_000),
    exposure=st.floats(0, 1),
    yaw=st.floats(-3, 3),
    roll=st.floats(-90, 90),
)


@given(QUALITIES, QUALITIES, st.sampled_from(["size", "sharpness", "yaw"]))
def test_a_weight_never_rises_as_a_face_gets_smaller_less_sharp_or_more_turned(
    face: Quality, other: Quality, what: str
) -> None:
    one, two = (abs(getattr(each, what)) for each in (face, other))
    better, worse = (min(one, two), max(one, two)) if what == "yaw" else (max(one, two), min(one, two))
    good, bad = (weight(msgspec.structs.replace(face, **{what: value})) for value in (better, worse))
    assert LEAST_WEIGHT <= bad <= good <= 1.0


@given(QUALITIES)
def test_a_head_turned_to_the_other_side_counts_the_same(face: Quality) -> None:
    assert weight(msgspec.structs.replace(face, yaw=-face.yaw)) == weight(face)


def test_a_large_sharp_frontal_face_counts_fully_and_the_worst_least() -> None:
    assert weight(msgspec.structs.replace(quality(), size=110.0, sharpness=60.0, yaw=0.0)) == 1.0
    assert weight(msgspec.structs.replace(quality(), size=55.0, sharpness=60.0, yaw=0.0)) == 0.5
    assert weight(msgspec.structs.replace(quality(), size=110.0, sharpness=60.0, yaw=-0.5)) == 0.5
    assert weight(msgspec.structs.replace(quality(), size=110.0, sharpness=15.0, yaw=0.0)) == 0.5, "by its root"
    assert weight(msgspec.structs.replace(quality(), size=10.0, sharpness=0.0, yaw=2.0)) == LEAST_WEIGHT
