"""Whose heads are rendered: people with one portrait or several, those for tuning apart from those for figures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import cv2
import dlib
import numpy as np

from gatevault.core.errors import GateVaultError, UsageError
from gatevault.lab.photos import SUFFIXES
from gatevault.lab.portraits import admiral, astronaut
from gatevault.lab.presentations import heads
from gatevault.lab.presentations.heads import FaceModel
from gatevault.lab.presentations.skin import DLIB_MARKS, Portrait, Worn, frontal, wear
from gatevault.vision.frame import Pixels
from gatevault.vision.models import Models
from gatevault.vision.pictures import read_picture

TUNE: Final = "tune"
TEST: Final = "test"
SPLITS: Final = (TUNE, TEST)

MOST_ASIDE: Final = np.radians(11.0)
"""A portrait that looks farther aside has no texture for the other cheek."""

_LEAST_WIDTH: Final = 60
_SCORE: Final = 0.5
_LARGEST: Final = 420
"""Portraits are shrunk to this side: a rendered face is 200 pixels wide at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """One person: a name that tells nothing, and portraits (one or two)."""

    label: str
    portraits: tuple[Portrait, ...]

    def worn(self, model: FaceModel, number: int = 0) -> Worn:
        """The head fitted to a portrait, the same at every call."""
        return _worn(self, model, number)


@dataclass(frozen=True, slots=True, eq=False)
class Identities:
    """People and the model their heads are made with."""

    model: FaceModel
    people: tuple[Identity, ...]

    def of(self, split: str) -> tuple[Identity, ...]:
        """The people of a split: every second one, in order of name. UsageError."""
        if split not in SPLITS:
            raise UsageError(f"'{split}' is no split: write tune or test.")
        chosen = self.people[SPLITS.index(split) :: 2]
        if not chosen:
            raise UsageError("There are too few portraits to split: at least two people are needed.")
        return chosen


@lru_cache(maxsize=64)
def _worn(identity: Identity, model: FaceModel, number: int) -> Worn:
    seed = int.from_bytes(hashlib.sha256(identity.label.encode()).digest()[:8], "big")
    return wear(identity.portraits[number], model, np.random.default_rng(seed))


def portrait(pixels: Pixels, models: Models) -> Portrait | None:
    """The picture's face with dlib's five points; None without one face, large enough."""
    faces = models.detector.find(pixels, _SCORE)
    if not faces or faces[0].box.width < _LEAST_WIDTH:
        return None
    box = faces[0].box
    shape = models.landmarks(pixels, dlib.rectangle(box.left, box.top, box.right - 1, box.bottom - 1))
    points = np.array([(p.x, p.y) for p in shape.parts()], np.float64)
    return Portrait(pixels, points, DLIB_MARKS)


def public_domain(models: Models, model: FaceModel | None = None) -> Identities:
    """The demo's two people. GateVaultError where their portraits are not installed."""
    found = []
    for label, pixels in (("admiral", admiral()), ("astronaut", astronaut())):
        face = portrait(pixels, models)
        if face is None:
            raise GateVaultError(f"The portrait of the {label} shows no face: is another picture installed?")
        found.append(Identity(label, (face,)))
    return Identities(model or heads.builtin(), tuple(found))


def from_folder(folder: Path, models: Models, model: FaceModel | None = None) -> Identities:
    """People of a folder: each folder in it is one person, but one of many single pictures is one person each.

    Folders with `strangers` in their name hold one picture a person. Only frontal faces are taken. UsageError.
    """
    model = model or heads.builtin()
    people = []
    for label, paths in _people(folder):
        faces: list[Portrait] = []
        for path in paths:
            found = portrait(_shrunk(read_picture(path)), models)
            if found is not None and frontal(found, model) <= MOST_ASIDE:
                faces.append(found)
            if len(faces) == 2:
                break
        if faces:
            people.append(Identity(label, tuple(faces)))
    if not people:
        raise UsageError(
            f"{folder} has no frontal portraits: a folder a person, or `strangers` with one picture each."
        )
    return Identities(model, tuple(people))


def _people(folder: Path) -> Iterator[tuple[str, Sequence[Path]]]:
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise UsageError(f"{folder} cannot be read ({error.strerror}): name a folder of portraits.") from None
    for place in inside:
        if place.is_dir():
            pictures = sorted(p for p in place.iterdir() if p.suffix.lower() in SUFFIXES)
            if "strangers" in place.name:
                yield from ((f"{place.name}/{p.stem}", [p]) for p in pictures)
            else:
                yield place.name, pictures
        elif place.suffix.lower() in SUFFIXES:
            yield place.stem, [place]


def _shrunk(pixels: Pixels) -> Pixels:
    longest = max(pixels.shape[:2])
    if longest <= _LARGEST:
        return pixels
    scale = _LARGEST / longest
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    shrunk: Any = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(shrunk, np.uint8)
