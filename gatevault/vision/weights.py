"""Weight files: found, read once, hashed, and handed on as the bytes that were hashed.

dlib's files come with the package `face_recognition_models` and are CC0. Its 68-point landmark file is not used:
that one excludes commercial products. The package itself is never imported (it needs pkg_resources); only its
folder is looked up.

dlib loads from a path alone. So a file for it is put into a sealed memfd, that memory is hashed, and dlib is given
`/proc/self/fd/N`: no other process can change what lies between hash and load, not even by writing into the file in
place. The other libraries take bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gatevault.core.errors import ModelError

PACKAGE: Final = "face_recognition_models"
LANDMARKS: Final = "shape_predictor_5_face_landmarks.dat"
LANDMARKS_SHA256: Final = "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888"
EMBEDDER: Final = "dlib_face_recognition_resnet_model_v1.dat"
EMBEDDER_SHA256: Final = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"

MAX_MODEL: Final = 128 * 1024 * 1024
"""Largest model file read, in bytes; SFace has 39 MB, dlib's network 22."""

_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
INSTALL_AGAIN: Final = f"install {PACKAGE} again"


def package_folder() -> Path:
    """Where the weights of `face_recognition_models` lie. ModelError where it is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ModelError(f"the face models are not installed: pip install {PACKAGE}.")
    return Path(next(iter(found.submodule_search_locations))) / "models"


def checked(data: bytes, name: str, expected: str, advice: str) -> bytes:
    """`data`, whose SHA-256 is `expected`. ModelError, with `advice`, where it is not."""
    actual = hashlib.sha256(data).hexdigest()
    if actual != expected:
        raise ModelError(
            f"the model file {name} is not the one that was chosen (SHA-256 {actual[:12]}…, expected "
            f"{expected[:12]}…): {advice}."
        )
    return data


@contextlib.contextmanager
def sealed_path(source: Path, expected: str) -> Iterator[str]:
    """A path under which dlib reads exactly the bytes whose SHA-256 is `expected`."""
    data = read_file(source, INSTALL_AGAIN)
    fd = os.memfd_create("gatevault-model", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with memoryview(data) as rest:
            done = 0
            while done < len(rest):
                done += os.write(fd, rest[done:])
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        os.lseek(fd, 0, os.SEEK_SET)
        with open(fd, "rb", closefd=False) as written:
            checked(written.read(), source.name, expected, INSTALL_AGAIN)
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


def read_file(source: Path, advice: str = "name another one") -> bytes:
    """A whole file of at most MAX_MODEL bytes. ModelError, with `advice`."""
    try:
        with source.open("rb") as file:
            data = file.read(MAX_MODEL + 1)
    except OSError as error:
        raise ModelError(f"the model file {source.name} cannot be read ({error.strerror}): {advice}.") from None
    if len(data) > MAX_MODEL:
        raise ModelError(f"the model file {source.name} is larger than any model: {advice}.")
    return data
