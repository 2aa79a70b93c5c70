"""Synthetic people in sets as the laboratory reads them: known structure, the same for the same seed, cheap.

Everybody lies around the place of their group in a network's space. The groups' places are the same for every seed;
a seed draws other people of the same kind. Members of the crowded group lie closer together than others do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gatevault.core.normalisation import Normaliser, Part
from gatevault.lab.sets import Layout, Rows, Set

COUNT: Final = 320
"""People, so that the half of even identities is more than `fitting.LEAST_PEOPLE`."""

CROWDED: Final = "crowded"
GROUPS: Final = {CROWDED: 0.45, "middle": 0.9, "wide": 1.0}
"""How far apart a group's people lie, as a share of the reference population's distances."""

PHOTOS: Final = (7, 4, 1, 6, 2)
"""Photographs of a person, in turn; a number with no factor in common with 2, so that both halves have all."""

REFERENCE: Final = 0
"""The place of the reference population."""

_D: Final = 128
_LENGTH: Final = 1.4
"""Of dlib's own vectors, about: a set is not of unit vectors."""

# Of a network: how far the mean of all faces, one person from it, and one photograph from its person.
_DLIB: Final = (1.0, 0.45, 0.12)
_MOBILE: Final = (0.4, 1.0, 0.35)


def people(seed: int = 1, count: int = COUNT) -> Set:
    """`identity` and embeddings: 1 to 7 photographs each of people of the reference population."""
    chance = np.random.default_rng(seed)
    identity = np.repeat(np.arange(count, dtype=np.int32), np.resize(PHOTOS, count))
    return {"identity": identity, **_networks(chance, identity, REFERENCE, 1.0)}


def groups(seed: int = 1, count: int = COUNT) -> Set:
    """`group` and embeddings: one photograph each of so many people a group."""
    chance = np.random.default_rng(seed)
    found = [_networks(chance, np.arange(count), 1 + n, wide) for n, wide in enumerate(GROUPS.values())]
    rows = {name: np.concatenate([each[name] for each in found]) for name in found[0]}
    return {"group": np.repeat(list(GROUPS), count), **rows}


def _networks(chance: np.random.Generator, whose: npt.NDArray[Any], place: int, wide: float) -> Set:
    dlib = _rows(chance, whose, _DLIB, (place, 11), wide)
    return {
        "dlib": _LENGTH * dlib,
        "dlib_mirrored": _LENGTH * (dlib + 0.03 * _normal(chance, len(dlib))),
        "mobilefacenet": _rows(chance, whose, _MOBILE, (place, 12), wide),
    }


def _rows(
    chance: np.random.Generator,
    whose: npt.NDArray[Any],
    network: tuple[float, float, float],
    place: tuple[int, int],
    wide: float,
) -> Rows:
    far, apart, within = network
    middle = np.random.default_rng(place[1]).standard_normal(_D) / _D**0.5  # the mean of all faces
    aside = np.random.default_rng(place).standard_normal(_D) / _D**0.5
    centres = far * (middle + 0.3 * aside) + wide * apart * _normal(chance, int(whose.max()) + 1)
    return np.asarray(centres[whose] + within * _normal(chance, len(whose)), dtype=np.float32)


def _normal(chance: np.random.Generator, count: int) -> Rows:
    """Directions of length about one."""
    return np.asarray(chance.standard_normal((count, _D)) / _D**0.5, dtype=np.float32)


def write(path: Path, data: Set) -> Path:
    np.savez(path, **data)
    return path


def plain(dimension: int) -> tuple[tuple[Layout, ...], Normaliser]:
    """A network of so many values whose scores are plain cosines."""
    nothing = np.zeros((1, dimension), np.float32), np.zeros((1, dimension, dimension), np.float32)
    return (Layout("0" * 64, ("dlib",), 1.0, dimension),), Normaliser([Part(1.0, 0.0, 0.0, -1.0, *nothing)])
