"""The simulation decides as the daemon does."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.matching import Fusion, decide
from gatevault.core.settings import EnrolmentSettings, MatchSettings
from gatevault.core.types import Match
from gatevault.lab.simulate import NOBODY, Outcomes, Rows, enrol, look, still, units

SETTINGS = MatchSettings(threshold=0.8, margin=0.05, min_frames=3, same_person=0.7)


def people(seed: int, count: int, photos: int, spread: float) -> list[Rows]:
    """Synthetic people: unit vectors of 16 values around a centre each."""
    chance = np.random.default_rng(seed)
    centres = chance.standard_normal((count, 16))
    return [
        units((centre + spread * chance.standard_normal((photos, 16))).astype(np.float32)) for centre in centres
    ]


def by_the_daemon(photos: Rows, frames: int, gallery: Rows, settings: MatchSettings) -> int:
    """Frame after frame through `core.matching`, as `service.access` does."""
    fusion, names = Fusion(gallery.shape[1], settings.same_person), [str(i) for i in range(len(gallery))]
    for number in range(frames):
        fusion.add(photos[number % len(photos)])
        verdict = decide(fusion, gallery, names, settings)
        if isinstance(verdict, Match):
            return int(verdict.resident)
    return NOBODY


@given(
    seed=st.integers(0, 2**32 - 1), spread=st.floats(0.05, 1.0), own=st.integers(1, 5), residents=st.integers(1, 6)
)
def test_looks_end_as_the_daemons(seed: int, spread: float, own: int, residents: int) -> None:
    everybody = people(seed, 8, own, spread)
    gallery = np.stack([photos[0] for photos in people(seed, 8, 1, spread / 2)[:residents]])
    looks = [look(photos, 12, SETTINGS.min_frames, SETTINGS.same_person) for photos in everybody]
    outcomes = Outcomes(looks, gallery, SETTINGS.margin)
    expected = [by_the_daemon(photos, 12, gallery, SETTINGS) for photos in everybody]
    assert outcomes.granted(SETTINGS.threshold).tolist() == expected
    assert ((outcomes.highest() >= SETTINGS.threshold) == (np.array(expected) != NOBODY)).all()


def test_a_still_photograph_is_decided_once_and_as_ever() -> None:
    photo = people(1, 1, 1, 0.1)[0]
    long = look(photo, 24, 3, 0.7)
    assert len(long) == 22
    assert np.allclose(long, still(photo[0], 3), atol=1e-6)


def test_a_look_of_ever_other_people_decides_nothing() -> None:
    axes = np.eye(4, dtype=np.float32)
    assert look(axes, 12, 3, 0.9).shape == (0, 4)
    empty = Outcomes([look(axes, 12, 3, 0.9), still(axes[0], 3)], axes, 0.01)
    assert empty.granted(0.9).tolist() == [NOBODY, 0]
    assert empty.highest().tolist() == [-np.inf, 1.0]


def test_two_equal_residents_are_not_chosen_between() -> None:
    photos, free = people(4, 1, 3, 0.1)[0], MatchSettings(threshold=0.8, margin=0.0, same_person=0.7)
    gallery = np.stack([photos[0], photos[0]])
    outcomes = Outcomes([look(photos, 6, free.min_frames, free.same_person)], gallery, free.margin)
    assert outcomes.granted(free.threshold).tolist() == [by_the_daemon(photos, 6, gallery, free)] == [NOBODY]


def test_enrolment_refuses_what_the_daemon_refuses() -> None:
    settings = EnrolmentSettings(min_captures=3, agreement=0.9)
    alike, others = people(2, 1, 3, 0.15)[0], people(3, 3, 1, 0.15)
    template = enrol(alike, settings)
    assert template is not None
    assert np.isclose(np.linalg.norm(template), 1.0, atol=1e-6)
    assert enrol(np.stack([photos[0] for photos in others]), settings) is None
    assert enrol(alike[[0, 0, 1]], settings) is None
