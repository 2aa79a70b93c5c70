"""One contender of `gatevault bench`, in a process of its own: `python -m gatevault.lab.contenders NAME FOLDER`.

FOLDER has the frames (`frames.npy`, shape (n, h, w, 3), RGB) and the networks' files. Each line on standard input
asks for one thing and is answered by one line of JSON, so that contenders take turns on the same frame:

frame N    detect, align, embed frame N: {"ms", "found"}
embed N    align and embed alone, where the face is known: {"ms"}
forget     the look is over
peak       {"mb"}: peak memory of this process
floor      {"ms"}: what the arithmetic of one embedding costs at this core's matrix-multiplication speed
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from gatevault.core.errors import GateVaultError
from gatevault.core.models import Detector, DetectorKind, ModelSettings
from gatevault.lab.sets import YUNET
from gatevault.vision import models
from gatevault.vision.detect import Face
from gatevault.vision.embed import View
from gatevault.vision.engine import FaceEngine
from gatevault.vision.frame import Pixels
from gatevault.vision.trial import peak_mb

import cv2  # isort: skip  # after gatevault.vision, which sets OpenCV's limits

EMBED_GFLOP: Final = 0.56
"""Arithmetic of dlib's network for one chip."""

FRAMES_FILE: Final = "frames.npy"
YUNET_FILE: Final = "yunet.onnx"

QUARTER: Final = 0.25
"""What `facerec_from_webcam_faster.py` shrinks each frame to."""

_SIDE: Final = 1024
_ROUNDS: Final = 5


class Contender(ABC):
    """Something that recognises faces in frames."""

    @abstractmethod
    def frame(self, pixels: Pixels) -> bool:
        """Detect, align, embed; whether there was a face."""

    @abstractmethod
    def prepare(self, pixels: Pixels) -> Any:
        """What `embed` needs to know: where the face is."""

    @abstractmethod
    def embed(self, pixels: Pixels, known: Any) -> None:
        """Align and embed."""

    @abstractmethod
    def forget(self) -> None:
        """The look is over."""


class GateVault(Contender):
    """As `vision.look` examines a frame: detection that follows, five landmarks, chip, quality, vector."""

    def __init__(self, folder: Path, detector: Detector | None = None) -> None:
        self._engine = FaceEngine(models.load(ModelSettings(detector), folder))

    def frame(self, pixels: Pixels) -> bool:
        faces = self._engine.find(pixels, None)
        if faces:
            self.embed(pixels, faces[0])
        return bool(faces)

    def prepare(self, pixels: Pixels) -> Face | None:
        faces = self._engine.find(pixels, None)
        return faces[0] if faces else None

    def embed(self, pixels: Pixels, known: Face) -> None:
        chip = self._engine.chip(pixels, known)
        self._engine.vector(chip, View.PLAIN).fill(0.0)
        chip.wipe()

    def forget(self) -> None:
        self._engine.forget()


class Tutorial(Contender):
    """The calls of face_recognition's own examples: a frame as it is (`facerec_on_raspberry_pi.py`), or shrunk."""

    def __init__(self, scale: float = 1.0) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # its use of pkg_resources is known
                import face_recognition
        except (ImportError, SystemExit) as error:  # it calls quit() where its models do not import
            raise GateVaultError("face_recognition does not import here: run `make setup`.") from error
        self._library = face_recognition
        self._scale = scale

    def frame(self, pixels: Pixels) -> bool:
        if self._scale != 1.0:
            pixels = np.asarray(cv2.resize(pixels, (0, 0), fx=self._scale, fy=self._scale), np.uint8)
        return bool(self._library.face_encodings(pixels, self._library.face_locations(pixels)))

    def prepare(self, pixels: Pixels) -> Any:
        return self._library.face_locations(pixels)[:1] or None

    def embed(self, pixels: Pixels, known: Any) -> None:
        self._library.face_encodings(pixels, known)

    def forget(self) -> None:
        """It keeps nothing of a look."""


def build(name: str, folder: Path) -> Contender:
    """A contender by its name. GateVaultError, KeyError."""
    made: dict[str, Callable[[], Contender]] = {
        "gatevault": lambda: GateVault(folder),
        "gatevault-yunet": lambda: GateVault(folder, Detector(DetectorKind.YUNET, YUNET_FILE, YUNET)),
        "face_recognition": Tutorial,
        "face_recognition-quarter": lambda: Tutorial(QUARTER),
    }
    return made[name]()


def floor_ms() -> float:
    """Milliseconds that EMBED_GFLOP take at this core's best matrix-multiplication speed (one thread, float32)."""
    a = np.random.default_rng(1).standard_normal((_SIDE, _SIDE)).astype(np.float32)
    best = min(_timed(lambda: a @ a) for _ in range(_ROUNDS))
    return EMBED_GFLOP / (2e-9 * _SIDE**3 / best) * 1000.0


def _timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> int:
    cv2.setNumThreads(1)  # as the vision process does
    name, folder = sys.argv[1], Path(sys.argv[2])
    frames = np.load(folder / FRAMES_FILE, mmap_mode="r")
    try:
        contender = build(name, folder)
    except GateVaultError as error:
        sys.stderr.write(f"gatevault: {error}\n")
        return 1
    for line in sys.stdin:
        what, _, number = line.strip().partition(" ")
        sys.stdout.write(json.dumps(_answer(contender, what, frames, number)) + "\n")
        sys.stdout.flush()
    return 0


def _answer(contender: Contender, what: str, frames: Any, number: str) -> dict[str, Any]:
    if what == "peak":
        return {"mb": peak_mb()}
    if what == "floor":
        return {"ms": floor_ms()}
    if what == "forget":
        contender.forget()
        return {}
    pixels = np.array(frames[int(number)])
    if what == "frame":
        began = time.perf_counter()
        found = contender.frame(pixels)
        return {"ms": 1000 * (time.perf_counter() - began), "found": found}
    known = contender.prepare(pixels)
    if known is None:
        return {"ms": None}
    return {"ms": 1000 * _timed(lambda: contender.embed(pixels, known))}


if __name__ == "__main__":
    sys.exit(main())
