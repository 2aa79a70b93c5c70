"""Calibrations: small ones whose figures a test chooses, by way of a file's bytes; and those that ship."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np

from gatevault.core.calibration import Calibration, Tail, pack, unpack
from gatevault.core.normalisation import Array, Normaliser, Part

SHIPPED: Final = ("dlib", "mobilefacenet", "fused")
EMBEDDERS: Final = ("01" * 32, "02" * 32)
REFERENCE: Final = Tail(0.0, 0.1)
NO_LOOK_ALIKES: Final = Tail(9.0, 0.1)
"""Of four frames and more, as look-alikes are told: none are, and three frames know nothing of it."""


def steady(score: float) -> Tail:
    """A tail so narrow that its score is this one, to the last bit, whatever the share."""
    return Tail(score, 1e-30)


def gaussians(dimension: int, groups: int, seed: int = 0) -> tuple[Array, Array]:
    """Means, shape (g, d), and covariances, shape (g, d, d): at a reach of 2 no bound of a unit vector is 0.9."""
    chance = np.random.default_rng(seed)
    means = 0.2 * chance.dirichlet(np.ones(dimension), groups)
    roots = chance.uniform(-0.3, 0.3, (groups, dimension, dimension)) / dimension
    return means.astype(np.float32), (roots @ roots.transpose(0, 2, 1)).astype(np.float32)


def packed(
    dimension: int = 8,
    *,
    threshold: float | None = None,
    shares: Sequence[float] = (1.0,),
    embedders: Sequence[str] = EMBEDDERS,
    strength: float = 0.0,
    reach: float = 2.0,
    floor: float = -1.0,
    reference: Tail = REFERENCE,
    tails: Mapping[str, Tail] | None = None,
    fused: Sequence[Tail] | None = None,
    verification: Tail = REFERENCE,
    caution: float = 1.0,
    same_person: float = 0.5,
    agreement: float = 0.5,
    novelty: float = 0.999,
    typical: float = 1.0,
    seed: int = 0,
) -> bytes:
    """A calibration's bytes, with a part of `dimension` for each share.

    With the usual strength of nought, scores are cosines. A `threshold` well above the reference is that of any
    number of residents and of up to three frames. `fused` is the reference unless given: up to three frames change
    nothing, and nobody looks alike.
    """
    tails = {} if tails is None else dict(tails)
    if threshold is not None:
        tails["steady"] = steady(threshold)
    groups = (*tails, "reference")
    parts = [
        Part(share, reach, strength, floor, *gaussians(dimension, len(groups), seed + number))
        for number, share in enumerate(shares)
    ]
    figures = {
        "caution": caution,
        "tails": tails,
        "reference": reference,
        "verification": verification,
        "fused": (reference, reference, reference, NO_LOOK_ALIKES) if fused is None else tuple(fused),
        "same_person": same_person,
        "agreement": agreement,
        "novelty": novelty,
        "typical": typical,
    }
    return pack("test", embedders[: len(parts)], Normaliser(parts), groups, figures)


def calibration(dimension: int = 8, **figures: Any) -> Calibration:
    """`packed`, ready to use."""
    return unpack(packed(dimension, **figures))


@cache
def shipped(model: str) -> Calibration:
    """One of `SHIPPED`, as the package has it."""
    return unpack(shipped_bytes(model))


def shipped_bytes(model: str) -> bytes:
    return files("gatevault").joinpath("calibrations", f"{model}.cal").read_bytes()
