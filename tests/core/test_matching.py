"""From scans to one resident or nobody."""

from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gatevault.core.matching import (
    Fusion,
    Gallery,
    decide,
    identify,
    reason_without_match,
    template_mean,
    unit,
)
from gatevault.core.settings import MatchSettings
from gatevault.core.types import Match, NoMatch, Reason, Vector
from gatevault.core.wire import Hint, LookEnd

SETTINGS = MatchSettings(threshold=0.8, margin=0.05, min_frames=3, same_person=0.9)
DIMENSION = 8


def turned(degrees: float) -> Vector:
    """The unit vector that stands so far from the first axis: its cosine to it is known."""
    vector = np.zeros(DIMENSION, dtype=np.float32)
    vector[:2] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vector


def gallery(*degrees: float) -> Gallery:
    return np.array([turned(d) for d in degrees], dtype=np.float32).reshape(-1, DIMENSION)


def names(count: int) -> list[str]:
    return [f"r-{i:016x}" for i in range(count)]


@pytest.mark.parametrize(
    ("residents", "expected"),
    [
        ([], NoMatch(Reason.NO_MATCH)),
        ([0], Match(names(1)[0])),
        ([36], Match(names(1)[0])),  # cosine 0.809
        ([37.5], NoMatch(Reason.NO_MATCH)),  # cosine 0.793
        ([90, 0, 60], Match(names(2)[1])),
        ([0, 10], NoMatch(Reason.UNSURE)),  # 1.000 and 0.985
        ([0, 20], Match(names(1)[0])),  # 1.000 and 0.940
        ([0, 0], NoMatch(Reason.UNSURE)),
        ([60, 61], NoMatch(Reason.NO_MATCH)),  # nobody near: not a question of two
    ],
)
def test_threshold_and_margin(residents: list[float], expected: Match | NoMatch) -> None:
    assert identify(turned(0), gallery(*residents), names(len(residents)), SETTINGS) == expected


def test_the_threshold_itself_passes_and_a_lead_of_the_margin_itself_suffices() -> None:
    rows = np.zeros((2, DIMENSION), dtype=np.float32)
    rows[0, 0], rows[1, 0] = 0.875, 0.75
    probe = turned(0)
    exact = msgspec.structs.replace(SETTINGS, threshold=0.875, margin=0.125)
    assert identify(probe, rows, names(2), exact) == Match(names(1)[0])
    stricter = msgspec.structs.replace(exact, threshold=0.8751)
    assert identify(probe, rows, names(2), stricter) == NoMatch(Reason.NO_MATCH)
    wider = msgspec.structs.replace(exact, margin=0.126)
    assert identify(probe, rows, names(2), wider) == NoMatch(Reason.UNSURE)


def test_without_a_margin_two_equals_are_still_unsure() -> None:
    none = msgspec.structs.replace(SETTINGS, margin=0.0)
    assert identify(turned(0), gallery(5, 5), names(2), none) == NoMatch(Reason.UNSURE)
    assert identify(turned(0), gallery(5, 5.5), names(2), none) == Match(names(1)[0])


@pytest.mark.parametrize("where", ["probe", "best row", "another row"])
def test_a_nan_denies(where: str) -> None:
    rows, probe = gallery(0, 90), turned(0)
    target = {"probe": probe, "best row": rows[0], "another row": rows[1]}[where]
    target[3] = np.nan
    assert identify(probe, rows, names(2), SETTINGS) == NoMatch(Reason.NO_MATCH)


def test_a_gallery_has_one_resident_a_row() -> None:
    with pytest.raises(ValueError, match="one resident a row"):
        identify(turned(0), gallery(0, 90), names(1), SETTINGS)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_the_order_of_the_gallery_does_not_matter(seed: int, count: int) -> None:
    chance = np.random.default_rng(seed)
    rows = chance.normal(size=(count, DIMENSION)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    probe = unit(rows[0] + chance.normal(scale=0.3, size=DIMENSION).astype(np.float32))
    scores = np.sort(rows @ probe)
    assume(abs(scores[-1] - SETTINGS.threshold) > 1e-5)  # sums in another order differ in the last bits
    assume(count == 1 or abs(scores[-1] - scores[-2] - SETTINGS.margin) > 1e-5)
    order = chance.permutation(count)
    people = names(count)
    mixed = identify(probe, rows[order], [people[i] for i in order], SETTINGS)
    assert mixed == identify(probe, rows, people, SETTINGS)


# --- over a look ---------------------------------------------------------------------------------


def fused(*frames: Vector) -> Fusion:
    fusion = Fusion(DIMENSION, SETTINGS.same_person)
    for frame in frames:
        fusion.add(frame)
    return fusion


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_too_few_frames_decide_nothing(frames: int) -> None:
    assert decide(fused(*[turned(0)] * frames), gallery(0), names(1), SETTINGS) is None


def test_enough_frames_decide() -> None:
    assert decide(fused(*[turned(0)] * 3), gallery(0), names(1), SETTINGS) == Match(names(1)[0])
    assert decide(fused(*[turned(80)] * 3), gallery(0), names(1), SETTINGS) == NoMatch(Reason.NO_MATCH)


def test_one_frame_can_never_be_made_to_decide() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"min_frames": 1}, MatchSettings)


def test_another_person_begins_the_fusion_anew() -> None:
    fusion = fused(turned(0), turned(1), turned(60))
    assert fusion.count == 1
    np.testing.assert_allclose(fusion.probe(), turned(60), atol=1e-6)
    fusion.add(turned(61))
    assert decide(fusion, gallery(0), names(1), SETTINGS) is None, "two frames of the second person, not four"


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
    mean = template_mean(gallery(10, -10, 0))
    np.testing.assert_allclose(mean, turned(0), atol=1e-6)
    assert mean.dtype == np.float32
    with pytest.raises(ValueError, match="not zero"):
        template_mean(gallery(0, 180).round())


# --- what the person at the gate is told ---------------------------------------------------------

NOBODY = NoMatch(Reason.NO_MATCH)


@pytest.mark.parametrize(
    ("last", "end", "scans", "hints", "reason"),
    [
        (None, LookEnd.LIMIT, 0, {}, Reason.NO_FACE),
        (None, LookEnd.LIMIT, 0, {Hint.NO_FACE: 9}, Reason.NO_FACE),
        (None, LookEnd.LIMIT, 0, {Hint.NO_FACE: 9, Hint.COME_CLOSER: 1}, Reason.COME_CLOSER),
        (None, LookEnd.LIMIT, 0, {Hint.TOO_DARK: 3, Hint.BLURRED: 1}, Reason.TOO_DARK),
        (None, LookEnd.LIMIT, 0, {Hint.TOO_BRIGHT: 1}, Reason.TOO_BRIGHT),
        (None, LookEnd.END_OF_FILE, 0, {Hint.BLURRED: 1}, Reason.BLURRED),
        (None, LookEnd.LIMIT, 1, {Hint.BLURRED: 5}, Reason.NO_MATCH),
        (NOBODY, LookEnd.LIMIT, 5, {Hint.BLURRED: 5}, Reason.NO_MATCH),
        (NoMatch(Reason.UNSURE), LookEnd.STOPPED, 5, {}, Reason.UNSURE),
        (NOBODY, LookEnd.SEVERAL_FACES, 5, {}, Reason.SEVERAL_FACES),
        (None, LookEnd.SEVERAL_FACES, 0, {Hint.NO_FACE: 2}, Reason.SEVERAL_FACES),
        (NOBODY, LookEnd.CAMERA, 5, {}, Reason.FAULT),
    ],
)
def test_why_a_look_granted_nobody(
    last: NoMatch | None, end: LookEnd, scans: int, hints: dict[Hint, int], reason: Reason
) -> None:
    assert reason_without_match(last, end, scans, Counter(hints)) is reason


@given(
    st.sampled_from([None, NOBODY, NoMatch(Reason.UNSURE)]),
    st.sampled_from(LookEnd),
    st.integers(0, 5),
    st.dictionaries(st.sampled_from(Hint), st.integers(1, 9)),
)
def test_every_look_that_is_over_has_a_reason(
    last: NoMatch | None, end: LookEnd, scans: int, hints: dict[Hint, int]
) -> None:
    reason = reason_without_match(last, end, scans, Counter(hints))
    assert reason not in (Reason.MATCHED, Reason.CARD)
