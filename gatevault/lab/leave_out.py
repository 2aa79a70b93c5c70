"""Which people of a set of embeddings are in a folder of photographs, so that they can be left out.

A threshold must not be fixed on the people it is then measured on. Names are neither known nor
needed: each photograph's own embedding lies next to that of the same photograph in the set.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gatevault.core.errors import UsageError
from gatevault.lab.photos import SUFFIXES
from gatevault.lab.sets import Rows
from gatevault.vision import models
from gatevault.vision.embed import View
from gatevault.vision.engine import FaceEngine
from gatevault.vision.look import Engine
from gatevault.vision.pictures import read_picture

FLOORS: Final = (0.4, -0.5)
"""Detector scores to try in turn: as the gate does, then as low as finds nearly every face."""

SAME_PHOTO: Final = 0.45
"""Largest distance (Euclidean, raw dlib vectors) that still tells the same person for certain enough."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was found: identities to leave out, and how sure that is."""

    identities: frozenset[int]
    photos: int
    unknown: int
    """Photographs without a face, or without anybody near enough in the set."""
    farthest: float
    """The largest distance at which a photograph was taken for somebody."""


def leave_out(folder: Path, vectors: Rows, identity: npt.NDArray[Any], engine: Engine | None = None) -> LeftOut:
    """The identities of the people in a folder of photographs (searched with its folders).

    `vectors` are the raw dlib vectors of the set, shape (n, 128), and `identity` whose they are.
    UsageError where there is no photograph.
    """
    photos = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not photos:
        raise UsageError(f"{folder} has no photographs.")
    engine = engine or FaceEngine(models.load())
    found: set[int] = set()
    unknown, farthest = 0, 0.0
    for photo in photos:
        vector = _vector(photo, engine)
        distance = np.linalg.norm(vectors - vector, axis=1) if vector is not None else np.array([np.inf])
        nearest = int(np.argmin(distance))
        if distance[nearest] > SAME_PHOTO:
            unknown += 1
            continue
        found.add(int(identity[nearest]))
        farthest = max(farthest, float(distance[nearest]))
    return LeftOut(frozenset(found), len(photos), unknown, farthest)


def _vector(photo: Path, engine: Engine) -> Any:
    pixels = read_picture(photo)
    for floor in FLOORS:
        faces = engine.find(pixels, floor)
        if faces:
            return engine.vector(engine.chip(pixels, faces[0]), View.PLAIN)
    return None
