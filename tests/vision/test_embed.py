"""From chips to vectors: one network or two, plain, mirrored or both, and what gives no vector at all."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from gatevault.core.matching import unit
from gatevault.core.types import Quality, Vector
from gatevault.vision.embed import Chip, Embedder, NoVectorError, View
from gatevault.vision.frame import Pixels
from gatevault.vision.networks import Cut

GOOD = Quality(size=100.0, sharpness=50.0, exposure=0.5, yaw=0.0, roll=0.0)


@dataclass
class Told:
    """A network that gives what it is told: for a chip whose left is bright, and for its mirror image."""

    plain: tuple[float, ...]
    mirrored: tuple[float, ...]
    given: list[Vector] = field(default_factory=list)
    crops: list[Pixels] = field(default_factory=list)
    forgotten: int = 0

    @property
    def dimension(self) -> int:
        return len(self.plain)

    def crop(self, cut: Cut) -> Pixels:
        raise NotImplementedError

    def vector(self, crop: Pixels) -> Vector:
        self.crops.append(crop)
        values = self.plain if crop[0, 0, 0] > crop[0, -1, 0] else self.mirrored
        self.given.append(np.array(values, np.float32))
        return self.given[-1]

    def forget(self) -> None:
        self.forgotten += 1


def a_chip(networks: int = 1) -> Chip:
    """One whose left half is bright."""
    crop = np.zeros((112, 112, 3), np.uint8)
    crop[:, :56] = 200
    return Chip(np.zeros((150, 150, 3), np.uint8), GOOD, tuple(crop.copy() for _ in range(networks)))


def test_one_network_one_way_round_gives_its_raw_vector() -> None:
    network = Told((3.0, 0.0), (0.0, 4.0))
    embedder = Embedder(None, [network])
    assert embedder.vector(a_chip(), View.PLAIN).tolist() == [3.0, 0.0]
    assert embedder.vector(a_chip(), View.MIRRORED).tolist() == [0.0, 4.0]
    assert embedder.dimension == 2


def test_both_ways_round_are_weighed_alike_however_long_their_vectors() -> None:
    network = Told((3.0, 0.0), (0.0, 400.0))
    both = Embedder(None, [network]).vector(a_chip(), View.BOTH)
    assert both == pytest.approx(np.sqrt([0.5, 0.5]))
    assert both.dtype == np.float32
    assert not any(vector.any() for vector in network.given), "what went into it was overwritten"
    assert not network.crops[0].any(), "and so was the mirrored chip"


@pytest.mark.parametrize("view", View)
def test_two_networks_are_joined_as_unit_vectors(view: View) -> None:
    first, second = Told((3.0, 4.0), (4.0, 3.0)), Told((0.0, 0.0, 700.0), (0.0, 700.0, 0.0))
    embedder = Embedder(None, [first, second], (0.5, 0.5))
    fused = embedder.vector(a_chip(2), view)
    assert fused.shape == (5,) == (embedder.dimension,)
    assert np.linalg.norm(fused) == pytest.approx(1)
    alone = [Embedder(None, [network]).vector(a_chip(), view) for network in (first, second)]
    assert fused == pytest.approx(np.concatenate([unit(vector) for vector in alone]) / np.sqrt(2))
    assert not any(vector.any() for vector in (*first.given[:1], *second.given[:1]))


def test_the_cosine_of_fused_vectors_is_the_mean_of_both_networks() -> None:
    one = Embedder(None, [Told((1.0, 0.0), (1.0, 0.0)), Told((1.0, 0.0), (1.0, 0.0))], (0.5, 0.5)).vector(a_chip(2))
    other = Embedder(None, [Told((0.6, 0.8), (1.0, 0.0)), Told((0.0, 1.0), (1.0, 0.0))], (0.5, 0.5)).vector(
        a_chip(2)
    )
    assert float(one @ other) == pytest.approx((0.6 + 0.0) / 2)


BAD = (float("nan"), float("inf"), -float("inf"), 3e38, 0.0)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("view", View)
def test_what_is_no_vector_is_refused_and_overwritten(bad: float, view: View) -> None:
    broken = Told((bad, bad), (bad, bad))
    with pytest.raises(NoVectorError):
        Embedder(None, [broken]).vector(a_chip(), view)
    sound = Told((1.0, 2.0), (2.0, 1.0))
    for networks in ([broken, sound], [sound, broken]):
        with pytest.raises(NoVectorError):
            Embedder(None, networks, (0.5, 0.5)).vector(a_chip(2), view)
    assert not any(vector.any() for vector in (*broken.given, *sound.given))


def test_one_side_that_is_no_vector_spoils_both() -> None:
    for network in (Told((1.0, 0.0), (float("nan"), 0.0)), Told((float("nan"), 0.0), (1.0, 0.0))):
        with pytest.raises(NoVectorError):
            Embedder(None, [network]).vector(a_chip(), View.BOTH)
        assert not any(np.nan_to_num(vector).any() for vector in network.given)


def test_two_sides_that_cancel_out_are_no_vector() -> None:
    with pytest.raises(NoVectorError):
        Embedder(None, [Told((1.0, 0.0), (-1.0, 0.0))]).vector(a_chip(), View.BOTH)


def test_all_of_a_chip_is_wiped_and_every_network_forgets() -> None:
    chip = a_chip(2)
    chip.pixels.fill(7)
    chip.wipe()
    assert not chip.pixels.any() and not any(crop.any() for crop in chip.crops)
    networks = [Told((1.0,), (1.0,)), Told((1.0,), (1.0,))]
    Embedder(None, networks).forget()
    assert [network.forgotten for network in networks] == [1, 1]
