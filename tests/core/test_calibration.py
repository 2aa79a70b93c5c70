"""Thresholds from figures: what they promise, however the figures lie."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatevault.core.calibration import LOOK_ALIKE, RAREST, Calibration, Source, Tail
from gatevault.core.models import DLIB, Embedder, EmbedderKind
from tests.calibrations import EMBEDDERS, REFERENCE, SHIPPED, calibration, shipped

TAILS = st.builds(Tail, st.floats(-1.0, 1.0), st.floats(0.001, 1.0))
RESIDENTS = st.integers(0, 100_000)
FRAMES = st.integers(0, 40)
FPIRS = st.floats(1e-6, 0.1)
MOBILEFACENET = Embedder(EmbedderKind.MOBILEFACENET, "mobile.onnx", "ef" * 32)

MADE = st.builds(
    calibration,
    st.just(2),
    tails=st.dictionaries(st.sampled_from(["north", "east", "south", "west"]), TAILS),
    reference=TAILS,
    fused=st.lists(TAILS, min_size=1, max_size=6),
    caution=st.floats(1.0, 1000.0),
)
ANY = MADE | st.sampled_from(SHIPPED).map(shipped)


def singles(figures: Calibration) -> list[Tail]:
    return [figures.figures.reference, *figures.figures.tails.values()]


# --- tails ---------------------------------------------------------------------------------------


@given(TAILS, st.floats(1e-10, 0.5))
def test_a_tails_score_is_exceeded_by_the_share_that_it_was_asked_for(tail: Tail, share: float) -> None:
    assert tail.beyond(tail.at(share)) == pytest.approx(share, rel=1e-6)


@given(TAILS, st.floats(0.0, 6.0))
def test_a_shares_score_is_the_one_that_it_came_from(tail: Tail, deviations: float) -> None:
    score = tail.centre + deviations * tail.spread
    assert tail.at(tail.beyond(score)) == pytest.approx(score, abs=1e-6)


def test_a_tail_by_hand_and_where_it_ends() -> None:
    tail = Tail(0.5, 0.1)
    assert tail.at(0.5) == 0.5
    assert tail.at(0.02275) == pytest.approx(0.7, abs=1e-5), "two deviations"
    assert tail.at(0.9) == tail.at(1.0) == tail.at(50.0) == 0.5, "below its centre it is no tail"
    assert tail.at(0.0) == tail.at(RAREST / 10) == tail.at(RAREST) < 1.3


# --- thresholds ----------------------------------------------------------------------------------


@given(ANY, RESIDENTS, RESIDENTS, FRAMES, FPIRS)
def test_more_residents_never_lower_a_threshold(
    figures: Calibration, one: int, other: int, frames: int, fpir: float
) -> None:
    few, many = sorted((one, other))
    assert figures.threshold(few, frames, fpir) <= figures.threshold(many, frames, fpir)


@given(ANY, RESIDENTS, FRAMES, FPIRS, FPIRS)
def test_more_strangers_let_in_never_raise_a_threshold(
    figures: Calibration, residents: int, frames: int, one: float, other: float
) -> None:
    few, many = sorted((one, other))
    assert figures.threshold(residents, frames, many) <= figures.threshold(residents, frames, few)


@given(ANY, RESIDENTS, FRAMES, FPIRS)
def test_no_threshold_is_below_that_of_single_photos(
    figures: Calibration, residents: int, frames: int, fpir: float
) -> None:
    share = fpir / (max(1, residents) * figures.figures.caution)
    assert figures.threshold(residents, frames, fpir) >= max(tail.at(share) for tail in singles(figures))


@given(ANY, st.integers(1, 1000), FPIRS)
def test_in_no_group_more_strangers_come_in_than_were_asked_for(
    figures: Calibration, residents: int, fpir: float
) -> None:
    threshold = figures.threshold(residents, 1, fpir)
    share = max(RAREST, fpir / (residents * figures.figures.caution))
    assert all(tail.beyond(threshold) <= 1.0001 * share for tail in singles(figures))


def test_the_worst_group_decides() -> None:
    near, far, steep = Tail(0.1, 0.1), Tail(0.3, 0.1), Tail(0.0, 0.3)
    share = 1e-3 / 40
    assert calibration(tails={"near": near}).threshold(40, 1, 1e-3) == near.at(share)
    assert calibration(tails={"near": near, "far": far}).threshold(40, 1, 1e-3) == far.at(share)
    both = calibration(tails={"far": far, "steep": steep})
    assert both.threshold(40, 1, 1e-3) == steep.at(share)
    assert both.threshold(1, 1, 0.1) == far.at(0.1), "the far one leads where strangers are many"


def test_the_reference_population_decides_where_it_is_the_worst() -> None:
    reference = Tail(0.5, 0.1)
    figures = calibration(tails={"near": Tail(0.1, 0.1)}, reference=reference)
    assert figures.threshold(40, 1, 1e-3) == reference.at(1e-3 / 40)


def test_caution_makes_each_comparison_rarer() -> None:
    careful = calibration(caution=30.0)
    assert careful.threshold(10, 1, 1e-3) == calibration().threshold(300, 1, 1e-3)


def test_a_gate_without_residents_has_the_threshold_of_one() -> None:
    assert calibration().threshold(0, 3, 1e-3) == calibration().threshold(1, 3, 1e-3)


def test_each_group_is_moved_and_narrowed_as_the_reference_population_by_more_frames() -> None:
    group, reference = Tail(0.2, 0.2), Tail(0.0, 0.1)
    figures = calibration(tails={"a": group}, reference=reference, fused=(reference, Tail(0.3, 0.05)))
    assert figures.threshold(1, 1, 1e-3) == pytest.approx(group.at(1e-3))
    assert figures.threshold(1, 2, 1e-3) == pytest.approx(max(group.at(1e-3), Tail(0.5, 0.1).at(1e-3)))
    assert figures.threshold(1, 2, 0.1) == pytest.approx(Tail(0.5, 0.1).at(0.1))
    assert figures.threshold(1, 9, 0.1) == figures.threshold(1, 2, 0.1), "more than was fitted is as the most"


def test_a_steady_threshold_moves_with_nothing() -> None:
    figures = calibration(threshold=0.8)
    assert {figures.threshold(n, k, 1e-3) for n in (1, 40, 1000) for k in (1, 2, 3)} == {0.8}


# --- what else they tell -------------------------------------------------------------------------


def test_look_alikes_are_told_by_a_rare_score_of_the_worst_group() -> None:
    worst = Tail(0.3, 0.1)
    figures = calibration(tails={"worst": worst}, fused=(Tail(0.0, 0.1), Tail(0.1, 0.1)), caution=30.0)
    assert figures.look_alike == pytest.approx(worst.at(LOOK_ALIKE) + 0.1)


def test_a_duplicate_is_what_one_persons_templates_look_like_and_no_more_than_a_look_alike() -> None:
    assert calibration(threshold=0.8, fused=(REFERENCE,), typical=0.6).duplicate == 0.6
    assert calibration(threshold=0.8, fused=(REFERENCE,), typical=0.9).duplicate == 0.8


def test_verification_is_the_reference_populations_own_tail_alone() -> None:
    figures = calibration(threshold=0.9, verification=Tail(0.1, 0.2), caution=30.0)
    assert figures.verification_threshold(1e-4) == Tail(0.1, 0.2).at(1e-4)


def test_the_unit_of_a_lead_is_the_reference_populations_spread() -> None:
    assert calibration(reference=Tail(0.0, 0.125), tails={"a": Tail(0.3, 0.4)}).spread == 0.125


@given(st.lists(st.booleans(), max_size=70))
def test_a_source_tells_which_rows_were_used(rows: list[bool]) -> None:
    packed = np.packbits(np.array(rows, np.bool_)).tobytes()
    assert Source("set.npz", "ab" * 32, packed).used(len(rows)).tolist() == rows


def test_a_source_is_named_by_its_hash() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"file": "set.npz", "sha256": "ab", "rows": b""}, Source)


# --- whose they are ------------------------------------------------------------------------------


def test_figures_are_for_one_network() -> None:
    figures = calibration(embedders=[DLIB.sha256])
    assert figures.fits([DLIB])
    assert figures.fits([Embedder(EmbedderKind.DLIB, "another-name.onnx", DLIB.sha256)])
    for others in ([], [MOBILEFACENET], [DLIB, MOBILEFACENET], [DLIB, DLIB]):
        assert not figures.fits(others)
    assert not calibration(embedders=EMBEDDERS).fits([DLIB])


def test_figures_of_two_are_for_these_two_in_their_order_and_by_their_usual_shares() -> None:
    both = [DLIB.sha256, MOBILEFACENET.sha256]
    figures = calibration(4, embedders=both, shares=(0.7, 0.3))
    assert figures.fits([DLIB, MOBILEFACENET])
    for others in ([MOBILEFACENET, DLIB], [DLIB], [MOBILEFACENET]):
        assert not figures.fits(others)
    for shares in ((0.5, 0.5), (0.3, 0.7), (0.6, 0.3)):
        assert not calibration(4, embedders=both, shares=shares).fits([DLIB, MOBILEFACENET])


def test_a_penalty_is_the_normalisers() -> None:
    figures = calibration(strength=1.0)
    face = np.eye(8, dtype=np.float32)[3]
    assert figures.penalty(face) == figures.normaliser.penalty(face) > 0.0
    assert calibration().penalty(face) == 0.0


# --- those that ship -----------------------------------------------------------------------------


@pytest.mark.parametrize("model", SHIPPED)
def test_what_ships_is_sane(model: str) -> None:
    found = shipped(model)
    figures = found.figures
    assert figures.name == model
    assert len(figures.tails) >= 10
    assert figures.groups == (*figures.tails, "reference"), "every group that is normalised for has its tail"
    assert figures.caution > 1.0
    assert len(figures.fused) >= 3
    assert 0.0 < figures.same_person < figures.agreement < figures.novelty < 1.0
    assert figures.reference.centre < found.threshold(40, 3, 1e-3) < 1.0
    assert figures.reference.centre < found.duplicate <= figures.typical < 1.0
    assert found.threshold(1, 1, 0.1) < found.verification_threshold(1e-9)
    assert all(source.used(8 * len(source.rows)).any() for source in figures.sources)
    assert len(figures.sources) == 2


@pytest.mark.parametrize("model", SHIPPED)
def test_penalties_that_ship_are_finite_and_higher_where_more_people_are(model: str) -> None:
    normaliser = shipped(model).normaliser
    drawn = np.random.default_rng(1).normal(size=(50, normaliser.dimension)).astype(np.float32)
    anywhere = normaliser.penalties(np.stack([normaliser.unit(row) for row in drawn]))
    assert np.isfinite(anywhere).all()
    crowd = np.hstack([part.means for part in normaliser.parts])
    assert normaliser.penalties(np.stack([normaliser.unit(row) for row in crowd])).min() > anywhere.max()


@pytest.mark.parametrize("model", SHIPPED)
def test_gaussians_that_ship_are_such(model: str) -> None:
    for part in shipped(model).normaliser.parts:
        assert (np.linalg.norm(part.means, axis=1) < 1.0).all(), "the mean of unit vectors is shorter than they"
        for covariance in part.covariances:
            widths = np.linalg.eigvalsh(covariance.astype(np.float64))
            assert widths.min() > 0.0
            assert widths.sum() < 1.0


def test_what_ships_is_of_dlibs_network_of_another_and_of_both() -> None:
    dlib, other, both = map(shipped, SHIPPED)
    assert dlib.fits([DLIB])
    network = Embedder(EmbedderKind.MOBILEFACENET, "mobile.onnx", other.figures.parts[0].embedder)
    assert other.fits([network])
    assert both.fits([DLIB, network])
    assert both.dimension == dlib.dimension + other.dimension
