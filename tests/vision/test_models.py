"""A model file is used only if it is the one that was chosen, byte by byte."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gatevault.core.errors import ModelError
from gatevault.core.models import DLIB, Detector, DetectorKind, Embedder, EmbedderKind, ModelSettings, model_name
from gatevault.vision import models, networks, weights
from gatevault.vision.weights import EMBEDDER, EMBEDDER_SHA256, LANDMARKS, MAX_MODEL, package_folder, sealed_path

YUNET = Detector(
    DetectorKind.YUNET,
    "face_detection_yunet_2023mar.onnx",
    "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
)
MOBILEFACENET = Embedder(
    EmbedderKind.MOBILEFACENET,
    "foamliu_MobileFaceNet.onnx",
    "b7120c095d60094f28a4a54ba6a8bf51b297a6273fb40ef6350dfec1f63d9507",
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the installed package's files, in its place."""
    for name in (LANDMARKS, EMBEDDER):
        (tmp_path / name).write_bytes((package_folder() / name).read_bytes())
    for module in (weights, models):
        monkeypatch.setattr(module, "package_folder", lambda: tmp_path)
    return tmp_path


def altered(path: Path) -> None:
    """One bit is another one."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_the_pinned_hashes_are_those_of_the_installed_files() -> None:
    assert hashlib.sha256((package_folder() / EMBEDDER).read_bytes()).hexdigest() == EMBEDDER_SHA256


def test_what_is_loaded_names_its_recipe(loaded: models.Models, folder: Path) -> None:
    there = models.load(ModelSettings(), folder)
    assert there.model == loaded.model == model_name(ModelSettings())
    assert there.dimension == loaded.dimension == 128


def test_altered_landmarks_are_refused(package: Path, folder: Path) -> None:
    altered(package / LANDMARKS)
    with pytest.raises(ModelError, match=r"not the one .* install"):
        models.load(ModelSettings(), folder)


def test_an_altered_or_absent_network_is_refused(tmp_path: Path, network: bytes) -> None:
    with pytest.raises(ModelError, match=r"No such file .* restart"):
        models.load(ModelSettings(), tmp_path)
    (tmp_path / DLIB.file).write_bytes(network)
    altered(tmp_path / DLIB.file)
    with pytest.raises(ModelError, match="not the one that was chosen"):
        models.load(ModelSettings(), tmp_path)


def test_an_absent_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install"):
        models.load()


def test_a_file_larger_than_any_model_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / DLIB.file).open("wb") as file:
        file.truncate(MAX_MODEL + 1)
    with pytest.raises(ModelError, match="larger"):
        models.load(ModelSettings(), tmp_path)


def test_landmarks_rewritten_in_place_after_hashing_change_nothing(
    package: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = models._build
    given = []

    def swapped(make: Any, path: str, name: str) -> Any:
        given.append(path)
        (package / name).write_bytes(b"not a model")
        fd = os.open(path, os.O_RDWR)
        try:
            with pytest.raises(PermissionError):
                os.write(fd, b"not a model")
        finally:
            os.close(fd)
        return build(make, path, name)

    monkeypatch.setattr(models, "_build", swapped)
    assert models.load(ModelSettings(), folder).landmarks is not None
    assert len(given) == 1


@pytest.mark.parametrize(
    "settings", [ModelSettings(), ModelSettings(YUNET, (DLIB, MOBILEFACENET))], ids=["dlib", "all"]
)
def test_the_bytes_hashed_are_the_bytes_loaded(
    settings: ModelSettings, folder: Path, tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever lies on the disk once a file was read, what the libraries are given has the hash of the settings."""
    for name, _ in settings.files():
        source = folder / name if name == DLIB.file else shared / "models" / name
        (tmp_path / name).write_bytes(source.read_bytes())
    read = models.read_file

    def then_swapped(source: Path, advice: str) -> bytes:
        data = read(source, advice)
        source.write_bytes(b"not a model")
        return data

    given: list[str] = []

    def noted(make: Any) -> Any:
        def note(first: Any, *more: Any, **named: Any) -> Any:
            buffers = [a for a in (first, *more) if isinstance(a, bytes | np.ndarray) and len(a)]
            given.append(hashlib.sha256(bytes(buffers[0])).hexdigest())
            return make(first, *more, **named)

        return note

    monkeypatch.setattr(models, "read_file", then_swapped)
    monkeypatch.setattr(networks.Session, "__init__", noted_method(networks.Session.__init__, given))
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", noted(cv2.FaceDetectorYN.create))
    assert models.load(settings, tmp_path).model == model_name(settings)
    assert given == [sha256 for _, sha256 in settings.files()]


def noted_method(make: Any, given: list[str]) -> Any:
    def note(self: Any, data: bytes, name: str) -> None:
        given.append(hashlib.sha256(data).hexdigest())
        make(self, data, name)

    return note


def test_a_sealed_file_is_gone_when_it_is_not_needed() -> None:
    with sealed_path(package_folder() / LANDMARKS, weights.LANDMARKS_SHA256) as path:
        assert Path(path).exists()
    assert not Path(path).exists()
