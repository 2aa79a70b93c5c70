"""The networks that make a chip a vector, behind one port. Each is built from the bytes that were hashed.

dlib            150-pixel chip by dlib's landmarks, 128 values: `vision.export` wrote it
mobilefacenet   112-pixel aligned chip, RGB / 255 less ImageNet's mean, by its deviation
sface           112-pixel aligned chip, through `cv2.FaceRecognizerSF`, 128 values
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import cv2
import numpy as np

from gatevault.core.errors import ModelError
from gatevault.core.models import EmbedderKind
from gatevault.core.types import MAX_DIMENSION, Vector
from gatevault.vision.align import ALIGNED_SIDE, Points, aligned
from gatevault.vision.dlib_file import DIMENSION, SIDE
from gatevault.vision.frame import Pixels
from gatevault.vision.runtime import Session

_MEAN: Final = np.array((0.485, 0.456, 0.406), np.float32)
_SFACE_DIMENSION: Final = 128
_DEVIATION: Final = np.array((0.229, 0.224, 0.225), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """What the networks cut their own chips from: the frame, the face's points, and dlib's chip of it.

    `points` are YuNet's five, or None; `landmarks` dlib's five, both shape (5, 2); `chip` has the shape (150, 150,
    3).
    """

    pixels: Pixels = field(repr=False)
    points: Points | None = field(repr=False)
    landmarks: Points = field(repr=False)
    chip: Pixels = field(repr=False)


class Network(Protocol):
    """One face network."""

    @property
    def dimension(self) -> int:
        """How many values a face becomes."""

    def crop(self, cut: Cut) -> Pixels:
        """The chip that this network takes, RGB; the caller wipes it."""

    def vector(self, crop: Pixels) -> Vector:
        """The raw embedding of a chip, perhaps not finite; the caller wipes both."""

    def forget(self) -> None:
        """Run a blank chip, so that nothing native holds the last face."""


class DlibNetwork:
    """dlib's ResNet as ONNX: 6 ms on one x86-64 core (dlib itself: 74 ms)."""

    def __init__(self, data: bytes, name: str) -> None:
        self._session = Session(data, name)
        self.dimension = self._session.expect("uint8", (SIDE, SIDE, 3), DIMENSION)

    def crop(self, cut: Cut) -> Pixels:
        return cut.chip

    def vector(self, crop: Pixels) -> Vector:
        return _taken(self._session.run(crop[None]))

    def forget(self) -> None:
        self.vector(np.zeros((SIDE, SIDE, 3), np.uint8))


class MobileFaceNet:
    """A MobileFaceNet as ONNX, prepared as foamliu's was trained."""

    def __init__(self, data: bytes, name: str) -> None:
        self._session = Session(data, name)
        self.dimension = self._session.expect("float", (3, ALIGNED_SIDE, ALIGNED_SIDE))
        if self.dimension > MAX_DIMENSION:
            raise ModelError(
                f"{name} gives {self.dimension} values a face: more than {MAX_DIMENSION} are not kept."
            )

    def crop(self, cut: Cut) -> Pixels:
        return aligned(cut.pixels, cut.points, cut.landmarks)

    def vector(self, crop: Pixels) -> Vector:
        numbers = crop.astype(np.float32)
        numbers /= np.float32(255)
        numbers -= _MEAN
        numbers /= _DEVIATION
        batch = np.ascontiguousarray(numbers.transpose(2, 0, 1)[None])
        try:
            return _taken(self._session.run(batch))
        finally:
            numbers.fill(0.0)
            batch.fill(0.0)

    def forget(self) -> None:
        self.vector(np.zeros((ALIGNED_SIDE, ALIGNED_SIDE, 3), np.uint8))


class SFace:
    """OpenCV's SFace. Its file was not at hand when this was written: tested with a made-up network of its form."""

    def __init__(self, data: bytes, name: str) -> None:
        buffer, nothing = np.frombuffer(data, np.uint8), np.empty(0, np.uint8)
        try:
            self._recognizer: Any = cv2.FaceRecognizerSF.create("onnx", buffer, nothing)
            self.dimension = int(self.vector(_blank()).size)
        except cv2.error:
            self.dimension = 0
        if self.dimension != _SFACE_DIMENSION:
            raise ModelError(f"OpenCV does not load {name} as SFace: add another file with `gatevault models add`.")

    def crop(self, cut: Cut) -> Pixels:
        return aligned(cut.pixels, cut.points, cut.landmarks)

    def vector(self, crop: Pixels) -> Vector:
        turned = np.ascontiguousarray(crop[:, :, ::-1])  # it takes BGR
        try:
            return _taken(self._recognizer.feature(turned))
        finally:
            turned.fill(0)

    def forget(self) -> None:
        self.vector(_blank())


def build_network(kind: EmbedderKind, data: bytes, name: str) -> Network:
    """The network of a file's bytes. ModelError where they are none of this kind."""
    match kind:
        case EmbedderKind.DLIB:
            return DlibNetwork(data, name)
        case EmbedderKind.MOBILEFACENET:
            return MobileFaceNet(data, name)
        case EmbedderKind.SFACE:
            return SFace(data, name)


def _taken(output: np.ndarray[Any, np.dtype[np.float32]]) -> Vector:
    """One face's values, out of a library's array, which is overwritten."""
    vector = np.array(output, np.float32).reshape(-1)
    if output.flags.writeable:
        output.fill(0.0)
    return vector


def _blank() -> Pixels:
    return np.zeros((ALIGNED_SIDE, ALIGNED_SIDE, 3), np.uint8)
