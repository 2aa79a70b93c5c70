"""The networks of a gate, loaded from the files that its settings name, or refused.

What dlib needs beside its network comes with the package `face_recognition_models`. Everything else lies in the
models folder of the state; without such a folder (in the lab) dlib's network is exported from the package in
memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dlib

from gatevault.core.errors import ModelError
from gatevault.core.models import DLIB, ModelSettings, model_name, shares
from gatevault.vision.detect import Detector
from gatevault.vision.hog import HogDetector
from gatevault.vision.networks import Network, build_network
from gatevault.vision.weights import (
    INSTALL_AGAIN,
    LANDMARKS,
    LANDMARKS_SHA256,
    PACKAGE,
    checked,
    package_folder,
    read_file,
    sealed_path,
)
from gatevault.vision.yunet import YunetDetector


@dataclass(frozen=True, slots=True)
class Models:
    """What a gate looks with. `model` names the recipe, `dimension` is the length of its vectors."""

    detector: Detector
    landmarks: Any
    networks: tuple[Network, ...]
    shares: tuple[float, ...]
    model: str
    dimension: int


def load(settings: ModelSettings | None = None, folder: Path | None = None) -> Models:
    """Load what the settings name (by default dlib's detector and network) from `folder`. ModelError if one is
    unfit.

    Without a folder there is dlib's network alone, made in memory from the package's file.
    """
    settings = settings or ModelSettings()
    with sealed_path(package_folder() / LANDMARKS, LANDMARKS_SHA256) as path:
        landmarks = _build(dlib.shape_predictor, path, LANDMARKS)
    chosen = settings.chosen_detector
    if chosen.file is not None and chosen.sha256 is not None:
        detector: Detector = YunetDetector(model_bytes(folder, chosen.file, chosen.sha256))
    else:
        detector = HogDetector(dlib.get_frontal_face_detector())
    networks = tuple(
        build_network(embedder.kind, model_bytes(folder, embedder.file, embedder.sha256), embedder.file)
        for embedder in settings.chosen_embedders
    )
    dimension = sum(network.dimension for network in networks)
    return Models(detector, landmarks, networks, shares(settings.chosen_embedders), model_name(settings), dimension)


def model_bytes(folder: Path | None, name: str, expected: str) -> bytes:
    """A file of the models folder, whose bytes have this SHA-256. ModelError."""
    if folder is None:
        from gatevault.vision.export import exported  # the onnx library: 20 MB that a running gate does not need

        if expected != DLIB.sha256:
            raise ModelError(f"the model file {name} needs a models folder: name one.")
        return checked(exported(), name, expected, INSTALL_AGAIN)
    add = "restart the daemon, which makes it" if expected == DLIB.sha256 else "add it with `gatevault models add`"
    data = read_file(folder / name, add)
    return checked(data, name, expected, f"move it away and {add}")


def _build(make: Any, path: str, name: str) -> Any:
    try:
        return make(path)
    except RuntimeError:
        raise ModelError(f"dlib does not load {name}: install dlib-bin and {PACKAGE} again.") from None
