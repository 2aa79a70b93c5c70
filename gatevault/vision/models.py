"""The weight files: found, hashed, and loaded from the very bytes that were hashed.

Both lie in the package `face_recognition_models` and are CC0. Its 68-point landmark file is not
used: that one excludes commercial products. The package itself is never imported (it needs
pkg_resources); only its folder is looked up.

dlib loads from a path alone. So each file is read once into a sealed memfd, that memory is hashed,
and dlib is given `/proc/self/fd/N`: no other process can change what lies between hash and load,
not even by writing into the file in place.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dlib

from gatevault.core.errors import ModelError

PACKAGE: Final = "face_recognition_models"
LANDMARKS: Final = "shape_predictor_5_face_landmarks.dat"
LANDMARKS_SHA256: Final = "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888"
EMBEDDER: Final = "dlib_face_recognition_resnet_model_v1.dat"
EMBEDDER_SHA256: Final = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
DIMENSION: Final = 128

MAX_MODEL: Final = 128 * 1024 * 1024
"""Largest weight file read, in bytes; the embedder has 22 MB."""

_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


@dataclass(frozen=True, slots=True)
class Models:
    """dlib's three objects, and the SHA-256 of the embedder's file that templates are bound to."""

    detector: Any
    landmarks: Any
    network: Any
    model: str = EMBEDDER_SHA256
    dimension: int = DIMENSION


def load(folder: Path | None = None) -> Models:
    """Load the models from `folder`, by default the installed package's. ModelError if one is unfit."""
    folder = folder or _package_folder()
    with _sealed(folder / LANDMARKS, LANDMARKS_SHA256) as path:
        landmarks = _build(dlib.shape_predictor, path, LANDMARKS)
    with _sealed(folder / EMBEDDER, EMBEDDER_SHA256) as path:
        network = _build(dlib.face_recognition_model_v1, path, EMBEDDER)
    return Models(dlib.get_frontal_face_detector(), landmarks, network)


def _package_folder() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ModelError(f"the face models are not installed: pip install {PACKAGE}.")
    return Path(next(iter(found.submodule_search_locations))) / "models"


@contextlib.contextmanager
def _sealed(source: Path, expected: str) -> Iterator[str]:
    """A path under which dlib reads exactly the bytes whose SHA-256 is `expected`."""
    try:
        data = _read(source)
    except OSError as error:
        raise ModelError(
            f"the model file {source} cannot be read ({error.strerror}): install {PACKAGE} again."
        ) from None
    fd = os.memfd_create("gatevault-model", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with memoryview(data) as rest:
            done = 0
            while done < len(rest):
                done += os.write(fd, rest[done:])
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        os.lseek(fd, 0, os.SEEK_SET)
        with open(fd, "rb", closefd=False) as sealed:
            actual = hashlib.file_digest(sealed, "sha256").hexdigest()
        if actual != expected:
            raise ModelError(
                f"the model file {source} is not the one this release was measured with (SHA-256 {actual[:12]}…, "
                f"expected {expected[:12]}…): install {PACKAGE} again."
            )
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


def _read(source: Path) -> bytes:
    with source.open("rb") as file:
        data = file.read(MAX_MODEL + 1)
    if len(data) > MAX_MODEL:
        raise ModelError(f"the model file {source} is larger than any model: install {PACKAGE} again.")
    return data


def _build(make: Any, path: str, name: str) -> Any:
    try:
        return make(path)
    except RuntimeError:
        raise ModelError(f"dlib does not load {name}: install dlib-bin and {PACKAGE} again.") from None
