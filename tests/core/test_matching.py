"""A probe and a gallery: one resident, or nobody."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gatevault.core.calibration import Calibration, Tail
from gatevault.core.matching import Gallery, identify, nearer, unit
from gatevault.core.settings import MatchSettings
from gatevault.core.types import Match, NoMatch, Reason
from tests.calibrations import REFERENCE, calibration
from tests.core.angles import DIMENSION, gallery, names, turned

SETTINGS = MatchSettings(fpir=0.001, margin=0.5, min_frames=3)
PLAIN = calibration(threshold=0.8, reference=Tail(0.0, 0.1), same_person=0.9)
"""Scores are cosines, the threshold is 0.8, and a lead of 0.05 is needed."""
SEEDS = st.integers(0, 2**32 - 1)


def identified(
    faces: Gallery, settings: MatchSettings = SETTINGS, figures: Calibration = PLAIN, frames: int = 3
) -> Match | NoMatch:
    return identify(turned(0), frames, faces, figures, settings)


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
    assert identified(gallery(*residents)) == expected


def test_the_threshold_itself_passes_and_a_lead_of_the_margin_itself_suffices() -> None:
    rows = np.zeros((2, DIMENSION), dtype=np.float32)
    rows[0, 0], rows[1, 0] = 0.875, 0.75
    faces = Gallery(names(2), rows, np.zeros(2, np.float32))
    exact = calibration(threshold=0.875, reference=Tail(0.0, 0.125))
    one = msgspec.structs.replace(SETTINGS, margin=1.0)
    assert identified(faces, one, exact) == Match(names(1)[0])
    stricter = calibration(threshold=0.8751, reference=Tail(0.0, 0.125))
    assert identified(faces, one, stricter) == NoMatch(Reason.NO_MATCH)
    wider = msgspec.structs.replace(SETTINGS, margin=1.001)
    assert identified(faces, wider, exact) == NoMatch(Reason.UNSURE)


def test_the_margin_is_told_in_deviations_of_strangers_scores() -> None:
    faces = gallery(0, 20)  # 1.000 and 0.940
    assert identified(faces, figures=calibration(threshold=0.8, reference=Tail(0.0, 0.11))) == Match(names(1)[0])
    wider = calibration(threshold=0.8, reference=Tail(0.0, 0.13))
    assert identified(faces, figures=wider) == NoMatch(Reason.UNSURE)


def test_without_a_margin_two_equals_are_still_unsure() -> None:
    none = msgspec.structs.replace(SETTINGS, margin=0.0)
    assert identified(gallery(5, 5), none) == NoMatch(Reason.UNSURE)
    assert identified(gallery(5, 5.5), none) == Match(names(1)[0])


def test_the_threshold_rises_with_the_residents() -> None:
    figures = calibration(reference=Tail(0.0, 0.2))  # 0.62 for one resident, 0.85 for a hundred
    assert identified(gallery(40), figures=figures) == Match(names(1)[0])
    assert identified(gallery(40, *[90.0] * 99), figures=figures) == NoMatch(Reason.NO_MATCH)
    assert identified(gallery(20, *[90.0] * 99), figures=figures) == Match(names(1)[0])


def test_the_threshold_follows_the_frames_that_were_fused() -> None:
    figures = calibration(fused=(Tail(0.0, 0.1), Tail(0.0, 0.1), Tail(0.5, 0.1)))
    assert identified(gallery(45), figures=figures, frames=2) == Match(names(1)[0])
    assert identified(gallery(45), figures=figures, frames=3) == NoMatch(Reason.NO_MATCH)


def test_a_look_alike_is_unsure_though_they_pass_and_nobody_else_is() -> None:
    figures = calibration(threshold=0.8, fused=(REFERENCE,))  # residents within 36.9 degrees of one another
    first, _, _ = names(3)
    assert identified(gallery(0, 36), figures=figures) == NoMatch(Reason.UNSURE)
    assert identified(gallery(0, 38), figures=figures) == Match(first)
    assert identified(gallery(0, 60, 61), figures=figures) == Match(first)
    assert identified(gallery(61, 30, 60), figures=figures) == NoMatch(Reason.UNSURE)
    assert identified(gallery(70, 60), figures=figures) == NoMatch(Reason.NO_MATCH)
    assert identified(gallery(0, 36, penalties=[0.0, 0.1]), figures=figures) == Match(first)


def test_a_residents_penalty_is_taken_off_before_anybody_is_compared() -> None:
    first, second = names(2)
    assert identified(gallery(0, penalties=[0.25])) == NoMatch(Reason.NO_MATCH)
    assert identified(gallery(0, 30, penalties=[0.25, 0.0])) == Match(second)
    assert identified(gallery(0, 10, penalties=[0.0, 0.25])) == Match(first)


def test_the_probes_own_penalty_counts_at_the_threshold_and_not_for_the_lead() -> None:
    figures = calibration(threshold=0.8, strength=0.5, floor=1.0)  # a quarter is taken off every probe
    assert identified(gallery(0), figures=figures) == NoMatch(Reason.NO_MATCH)
    lower = calibration(threshold=0.7, strength=0.5, floor=1.0)
    assert identified(gallery(0), figures=lower) == Match(names(1)[0])
    assert identified(gallery(0, 20), figures=lower) == Match(names(1)[0])
    assert identified(gallery(0, 10), figures=lower) == NoMatch(Reason.UNSURE)


@pytest.mark.parametrize("figures", [PLAIN, calibration(threshold=0.0, strength=1.0)], ids=["plain", "normalised"])
@pytest.mark.parametrize("where", ["probe", "best row", "another row", "best penalty", "another penalty"])
def test_a_nan_denies(where: str, figures: Calibration) -> None:
    faces, probe = gallery(0, 90), turned(0)
    assert identify(probe, 3, faces, figures, SETTINGS) == Match(names(1)[0])
    target, at = {
        "probe": (probe, 3),
        "best row": (faces.rows[0], 3),
        "another row": (faces.rows[1], 3),
        "best penalty": (faces.penalties, 0),
        "another penalty": (faces.penalties, 1),
    }[where]
    target[at] = np.nan
    assert identify(probe, 3, faces, figures, SETTINGS) == NoMatch(Reason.NO_MATCH)


@pytest.mark.parametrize(("residents", "penalties"), [(1, 2), (3, 2), (2, 1), (2, 3)])
def test_a_gallery_has_one_resident_and_one_penalty_a_row(residents: int, penalties: int) -> None:
    uneven = Gallery(names(residents), gallery(0, 90).rows, np.zeros(penalties, np.float32))
    with pytest.raises(ValueError, match="one resident a row"):
        identified(uneven)


@given(SEEDS, st.integers(1, 12))
def test_the_order_of_the_gallery_does_not_matter(seed: int, count: int) -> None:
    chance = np.random.default_rng(seed)
    rows = chance.normal(size=(count, DIMENSION)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    penalties = chance.uniform(0, 0.1, count).astype(np.float32)
    probe = unit(rows[0] + chance.normal(scale=0.3, size=DIMENSION).astype(np.float32))
    scores = np.sort(rows @ probe - penalties)
    assume(abs(scores[-1] - 0.8) > 1e-5)  # sums in another order differ in the last bits
    assume(count == 1 or abs(scores[-1] - scores[-2] - 0.05) > 1e-5)
    order = chance.permutation(count)
    people = names(count)
    one, other = (
        identify(probe, 3, Gallery([people[i] for i in o], rows[o], penalties[o]), PLAIN, SETTINGS)
        for o in (np.arange(count), order)
    )
    assert one == other


# --- residents among themselves ------------------------------------------------------------------


def test_nearer_are_those_who_reach_the_score_itself() -> None:
    rows = np.zeros((3, DIMENSION), dtype=np.float32)
    rows[:, 0] = 0.875, 0.75, 0.8125
    faces = Gallery(names(3), rows, np.array([0.0, 0.0, 0.0625], np.float32))
    first, second, third = names(3)
    assert nearer(turned(0), 0.0, 0.875, faces) == [first]
    assert nearer(turned(0), 0.0, 0.75, faces) == [first, second, third]
    assert nearer(turned(0), 0.0, 0.8751, faces) == []
    assert nearer(turned(0), 0.125, 0.75, faces) == [first]
    assert nearer(turned(0), 0.0, -1.0, gallery()) == []


@given(SEEDS, st.floats(-1.0, 1.0))
def test_who_is_near_to_one_has_that_one_near(seed: int, least: float) -> None:
    figures = calibration(strength=1.0)
    rows = np.random.default_rng(seed).normal(size=(2, DIMENSION)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    penalties = [figures.penalty(row) for row in rows]
    assume(abs(float(rows[0] @ rows[1]) - sum(penalties) - least) > 1e-5)
    there, back = (
        nearer(rows[i], penalties[i], least, Gallery(["other"], rows[[1 - i]], np.float32([penalties[1 - i]])))
        for i in (0, 1)
    )
    assert there == back
