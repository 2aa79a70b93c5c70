"""Which networks look at a face: as the configuration names them, and the one name of the whole recipe.

A template can be compared with an embedding only where both came from the same files, prepared and fused in the
same way. So templates are sealed under the recipe's name, not a file's: another file, preparation or fusion is
another model, and its templates are suspended until their residents enrol anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gatevault.core.jcs import canonical

FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]{0,79}(\.[A-Za-z0-9_+-]{1,20}){0,3}\Z")]
"""A plain name inside the models folder: no path, no leading dot, no `..`."""

Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]

MAX_EMBEDDERS: Final = 2
"""Networks that may be fused: a third one would cost a gate's processor more than it was measured to help."""


class DetectorKind(StrEnum):
    HOG = "hog"
    """dlib's frontal face detector, which is compiled into dlib."""
    YUNET = "yunet"


class EmbedderKind(StrEnum):
    DLIB = "dlib"
    """dlib's face network, or another one of its architecture, as `vision.export` writes it."""
    MOBILEFACENET = "mobilefacenet"
    SFACE = "sface"


class _Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An unknown key is an error."""


class Detector(_Named, frozen=True):
    """What finds faces. `hog` needs no file."""

    kind: DetectorKind
    file: FileName | None = None
    sha256: Sha256 | None = None

    def __post_init__(self) -> None:
        needs = self.kind is not DetectorKind.HOG
        if (self.file is not None) is not needs or (self.sha256 is not None) is not needs:
            raise ValueError("models.detector: hog has no file, every other kind names file and sha256")


class Embedder(_Named, frozen=True):
    """What makes a face a vector: a file of the models folder, and the SHA-256 that its bytes must have."""

    kind: EmbedderKind
    file: FileName
    sha256: Sha256


class CalibrationFile(_Named, frozen=True):
    """The site's own figures for its networks (`core.calibration`), in the models folder."""

    file: FileName
    sha256: Sha256


HOG: Final = Detector(DetectorKind.HOG)

DLIB: Final = Embedder(
    EmbedderKind.DLIB,
    "dlib-resnet-v1.onnx",
    "269478e6da5924bcc9538cc530e68de2da966d1528022c392c5f54a9b2bcead2",
)
"""The network of `face_recognition_models` (CC0) as `vision.export` writes it on every machine."""


class ModelSettings(_Named, frozen=True):
    """`[models]`. Absent: dlib's detector and dlib's network, which need no file but those of the packages."""

    detector: Detector | None = None
    embedders: tuple[Embedder, ...] = ()
    """At most two, of different files; two are fused."""
    calibration: CalibrationFile | None = None
    """None: the one that ships for these embedders."""

    def __post_init__(self) -> None:
        if len(self.embedders) > MAX_EMBEDDERS:
            raise ValueError(f"models.embedders: at most {MAX_EMBEDDERS} can be fused")
        for what in ({e.file for e in self.embedders}, {e.sha256 for e in self.embedders}):
            if len(what) < len(self.embedders):
                raise ValueError("models.embedders: fused networks are of different files")

    @property
    def chosen_detector(self) -> Detector:
        return self.detector or HOG

    @property
    def chosen_embedders(self) -> tuple[Embedder, ...]:
        """One or two, in the order in which their vectors are joined: dlib's first, however they are written."""
        return tuple(sorted(self.embedders or (DLIB,), key=lambda e: (e.kind is not EmbedderKind.DLIB, e.sha256)))

    def files(self) -> list[tuple[str, str]]:
        """Name and SHA-256 of every network's file that is needed."""
        detector = self.chosen_detector
        found = [(detector.file, detector.sha256)] if detector.file and detector.sha256 else []
        return found + [(embedder.file, embedder.sha256) for embedder in self.chosen_embedders]


DLIB_SHARE: Final = 0.7
"""dlib's share of a fused cosine: its cosines lie so much closer together that an equal share would hardly count
(docs/recognition.md)."""


def shares(embedders: Sequence[Embedder]) -> tuple[float, ...]:
    """Each network's share of the fused cosine: its unit vector is multiplied by the root of it, and joined."""
    if len(embedders) == 2 and (embedders[0].kind is EmbedderKind.DLIB) is not (
        embedders[1].kind is EmbedderKind.DLIB
    ):
        return tuple(DLIB_SHARE if e.kind is EmbedderKind.DLIB else 1.0 - DLIB_SHARE for e in embedders)
    return (1.0 / len(embedders),) * len(embedders)


_DOMAIN: Final = b"gv/model/v1\0"

_LANDMARKS: Final = "landmarks-chip/1"
"""`dlib.get_face_chip` by dlib's five landmarks, whichever detector gave the box; its mirror image in turn."""

_ALIGNED: Final = {DetectorKind.YUNET: "arcface-yunet/1", DetectorKind.HOG: "arcface-landmarks/1"}
"""112-pixel chip on the usual template, by YuNet's five points or by dlib's; its mirror image in turn."""


def preparation(kind: EmbedderKind, detector: DetectorKind) -> str:
    """How a face is brought into the form that the network takes. Raise its number with each change of the code."""
    return _LANDMARKS if kind is EmbedderKind.DLIB else _ALIGNED[detector]


def model_name(settings: ModelSettings) -> str:
    """SHA-256, in hexadecimal, of the recipe: files, preparations, fusion. Vision, daemon and lab name it alike.

    `gv/model/v1\\0` ‖ JCS{embedders: [{kind, sha256, preparation}, …], fusion}; `fusion` are the shares in
    thousandths.
    """
    embedders = settings.chosen_embedders
    detector = settings.chosen_detector.kind
    recipe = {
        "embedders": [
            {"kind": e.kind.value, "sha256": e.sha256, "preparation": preparation(e.kind, detector)}
            for e in embedders
        ],
        "fusion": [round(1000 * share) for share in shares(embedders)],
    }
    return hashlib.sha256(_DOMAIN + canonical(recipe)).hexdigest()


def kinds(embedders: Sequence[Embedder]) -> str:
    """The kinds in words, as `dlib` or `mobilefacenet + dlib`."""
    return " + ".join(embedder.kind.value for embedder in embedders)
