"""Folders of photographs as a set of embeddings, through the same code as the gate's vision.

PATH/NAME/*.jpg are photographs of one person; in a folder named `strangers` each file is another person. Both ways
round of a face are averaged, as over a look. Nothing of the pictures is kept.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np

from gatevault.core.errors import CameraError, UsageError
from gatevault.core.models import DLIB, Detector, DetectorKind, Embedder, EmbedderKind, ModelSettings
from gatevault.core.settings import LookSettings
from gatevault.lab.sets import MODELS, YUNET, Layout, Rows, units
from gatevault.vision import models
from gatevault.vision.detect import has_rival
from gatevault.vision.embed import NoVectorError, View
from gatevault.vision.engine import FaceEngine
from gatevault.vision.export import exported
from gatevault.vision.pictures import read_picture

SUFFIXES: Final = frozenset((".jpg", ".jpeg", ".png"))
STRANGERS: Final = "strangers"


def photos_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))


def find_photos(path: Path) -> list[tuple[Path, str]]:
    """Each photograph and whose it is. UsageError where there are none."""
    found: list[tuple[Path, str]] = []
    for folder in sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")):
        alone = folder.name == STRANGERS
        found += [(p, f"{folder.name}/{p.name}" if alone else folder.name) for p in photos_in(folder)]
    if not found:
        raise UsageError(f"{path} has no folders of photographs: give PATH/NAME/*.jpg, and PATH/{STRANGERS}/*.jpg.")
    return found


@contextmanager
def engine_for(model: str, files: Path | None) -> Iterator[FaceEngine]:
    """What looks at faces as a gate with this model does. `files`: a folder where its networks lie, known by their
    hashes; dlib's is made anew, and YuNet finds the faces where it is there. UsageError where one is missing."""
    there = {} if files is None else {sha256(path.read_bytes()).hexdigest(): path for path in files.glob("*.onnx")}
    with tempfile.TemporaryDirectory(prefix="gatevault-models-") as folder:
        for layout in MODELS[model]:
            target = Path(folder) / _embedder(layout).file
            if layout.embedder == DLIB.sha256:
                target.write_bytes(exported())
            elif layout.embedder in there:
                shutil.copyfile(there[layout.embedder], target)
            else:
                raise UsageError(f"the network {layout.arrays[0]} is needed: name its file's folder with --models.")
        detector = None
        if YUNET in there:
            shutil.copyfile(there[YUNET], Path(folder) / "yunet.onnx")
            detector = Detector(DetectorKind.YUNET, "yunet.onnx", YUNET)
        settings = ModelSettings(detector, tuple(map(_embedder, MODELS[model])))
        yield FaceEngine(models.load(settings, Path(folder)))


def _embedder(layout: Layout) -> Embedder:
    kind = EmbedderKind(layout.arrays[0])
    return Embedder(kind, f"{kind.value}.onnx", layout.embedder)


def embed_folder(
    path: Path, model: str, files: Path | None, say: Callable[[str], None]
) -> tuple[Rows, np.ndarray[Any, Any], dict[str, int]]:
    """Vectors (n, d) of the photographs that have a usable face, whose each is, and what the others lacked."""
    with engine_for(model, files) as engine:
        return _embed(engine, path, say)


def _embed(
    engine: FaceEngine, path: Path, say: Callable[[str], None]
) -> tuple[Rows, np.ndarray[Any, Any], dict[str, int]]:
    rows, whose, lacking = [], [], {"no-face": 0, "several-faces": 0, "unreadable": 0}
    photos = find_photos(path)
    for number, (photo, person) in enumerate(photos):
        if number % 100 == 0:
            say(f"photographs: {number} of {len(photos)}")
        try:
            vector = _vector(engine, photo)
        except CameraError:
            lacking["unreadable"] += 1
            continue
        if isinstance(vector, str):
            lacking[vector] += 1
            continue
        rows.append(vector)
        whose.append(person)
    if not rows:
        raise UsageError(f"No photograph of {path} has a face that can be used.")
    return units(np.stack(rows)), np.unique(whose, return_inverse=True)[1], lacking


def _vector(engine: FaceEngine, photo: Path) -> Any:
    """A unit vector, or why there is none."""
    pixels = read_picture(photo)
    try:
        faces = engine.find(pixels, None)
        if not faces:
            return "no-face"
        if has_rival(faces, LookSettings().rival_share):
            return "several-faces"
        chip = engine.chip(pixels, faces[0])
        try:
            return engine.vector(chip, View.BOTH)
        except NoVectorError:
            return "no-face"
        finally:
            chip.wipe()
    finally:
        pixels.fill(0)
        engine.forget()
