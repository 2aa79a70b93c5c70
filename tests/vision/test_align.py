"""The 112-pixel chip: its geometry, and that the aligned network gives what the research data has."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gatevault.core.models import Detector, ModelSettings
from gatevault.core.types import Box
from gatevault.vision import models
from gatevault.vision.align import _FIVE, ALIGNED_SIDE, aligned, similarity
from gatevault.vision.detect import Face
from gatevault.vision.embed import Embedder, View
from gatevault.vision.frame import Pixels
from gatevault.vision.pictures import read_picture
from tests.vision.test_models import MOBILEFACENET, YUNET


def moved(points: np.ndarray, move: np.ndarray) -> np.ndarray:
    return np.hstack([points, np.ones((len(points), 1))]) @ move.T


@pytest.mark.parametrize("angle", [-170, -30, 0, 12, 90])
def test_a_turned_scaled_and_moved_face_comes_back_onto_the_template(angle: float) -> None:
    turn = np.radians(angle)
    matrix = 2.5 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    face = _FIVE @ matrix.T + (310.0, -42.0)
    assert moved(face, similarity(face, _FIVE)) == pytest.approx(_FIVE, abs=1e-6)


def test_it_never_mirrors() -> None:
    mirrored = _FIVE * (-1.0, 1.0)
    move = similarity(mirrored, _FIVE)
    assert np.linalg.det(move[:, :2]) > 0


def test_it_is_the_least_squares_fit() -> None:
    chance = np.random.default_rng(1)
    face = _FIVE * 3 + chance.normal(0, 4, (5, 2))
    best = similarity(face, _FIVE)
    error = np.sum((moved(face, best) - _FIVE) ** 2)
    for _ in range(200):
        scale, turn = 1 + chance.normal(0, 0.01), chance.normal(0, 0.01)
        other = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ best
        other[:, 2] += chance.normal(0, 0.3, 2)
        assert np.sum((moved(face, other) - _FIVE) ** 2) >= error - 1e-9


def test_points_in_one_place_give_a_chip_all_the_same() -> None:
    pixels = np.full((50, 40, 3), 9, np.uint8)
    chip = aligned(pixels, np.zeros((5, 2)), np.zeros((5, 2)))
    assert chip.shape == (ALIGNED_SIDE, ALIGNED_SIDE, 3)
    assert chip.dtype == np.uint8


def cosines(shared: Path, detector: Detector | None, native: bool) -> list[float]:
    """Of MobileFaceNet's vectors, chip and mirrored chip averaged, to those of the research data: alignment
    differs.

    `native`: the points are OpenCV's at the photograph's own size, as those of the research data were.
    """
    loaded = models.load(ModelSettings(detector, (MOBILEFACENET,)), shared / "models")
    embedder = Embedder(loaded.landmarks, loaded.networks)
    known = np.load(shared / "recognition" / "lfw_embeddings.npz")["mobilefacenet"]
    known = known / np.linalg.norm(known, axis=1, keepdims=True)
    found = []
    for photo in sorted((shared / "recognition" / "photos").glob("resident_*/1.jpg"))[::2]:
        pixels = read_picture(photo)
        faces = at_its_own_size(shared, pixels) if native else loaded.detector.find(pixels, 0.5)
        if len(faces) == 1:
            vector = embedder.vector(embedder.chip(pixels, faces[0]), View.BOTH)
            found.append(float((known @ vector).max()))
    return found


def at_its_own_size(shared: Path, pixels: Pixels) -> list[Face]:
    data = np.frombuffer((shared / "models" / str(YUNET.file)).read_bytes(), np.uint8)
    size = (pixels.shape[1], pixels.shape[0])
    net = cv2.FaceDetectorYN.create("onnx", data, np.empty(0, np.uint8), size, 0.5, 0.3, 50)
    rows = net.detect(np.ascontiguousarray(pixels[:, :, ::-1]))[1]
    faces = []
    for row in () if rows is None else rows:
        left, top, width, height = (round(float(edge)) for edge in row[:4])
        points = row[4:14].astype(np.float64).reshape(5, 2)
        faces.append(Face(Box(left, top, left + width, top + height), float(row[14]), points))
    return faces


@pytest.mark.parametrize(
    ("detector", "native", "least"),
    [(YUNET, True, 0.99), (YUNET, False, 0.93), (None, False, 0.92)],
    ids=["yunet at the photograph's size", "the gate's yunet", "landmarks"],
)
def test_mobilefacenet_gives_the_embeddings_of_the_research_data(
    shared: Path, detector: Detector | None, native: bool, least: float
) -> None:
    found = cosines(shared, detector, native)
    assert len(found) >= 12
    assert np.mean(found) > least
