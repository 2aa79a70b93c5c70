"""Folders of photographs, made of the demo's two portraits, as a set of embeddings."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gatevault.core.errors import UsageError
from gatevault.core.models import DLIB_SHARE
from gatevault.lab.evaluate import Request, evaluate_people, shipped
from gatevault.lab.photos import embed_folder, engine_for, find_photos
from gatevault.lab.portraits import moving, write_sequence
from gatevault.vision.embed import View
from gatevault.vision.frame import Pixels

Pair = tuple[Pixels, Pixels]


@pytest.fixture
def networks() -> Path:
    """MobileFaceNet's and YuNet's files, never in the repository."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "models"
    if not folder.is_dir():
        pytest.skip("the networks are not beside this checkout (../shared/data/models)")
    return folder


@pytest.fixture(scope="module")
def album(portraits: Pair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The astronaut six times, the admiral twice and twice among the strangers; and what is of no use."""
    folder = tmp_path_factory.mktemp("album")
    astronaut, admiral = portraits
    write_sequence(folder / "astronaut", astronaut, 6, seed=1)
    write_sequence(folder / "admiral", admiral, 2, seed=2)
    write_sequence(folder / "strangers", admiral, 2, seed=3)
    (folder / "astronaut" / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    (folder / "astronaut" / ".hidden.png").write_bytes(b"not read")
    (folder / "astronaut" / "notes.txt").write_text("not read")
    grey = np.full((360, 640, 3), 128, np.uint8)
    assert cv2.imwrite(str(folder / "admiral" / "wall.png"), grey)
    twice = np.hstack([astronaut, astronaut])[:, :, ::-1]
    assert cv2.imwrite(str(folder / "admiral" / "two.png"), twice)
    (folder / ".thumbnails").mkdir()
    assert cv2.imwrite(str(folder / ".thumbnails" / "0.png"), grey)
    (folder / "loose.png").write_bytes(b"not read")
    return folder


def test_photographs_are_found_with_whose_they_are(tmp_path: Path) -> None:
    for name in (
        "b/2.JPG",
        "b/1.png",
        "a/1.jpeg",
        "a/.hidden.jpg",
        "a/x.gif",
        "strangers/s.jpg",
        "strangers/t.jpg",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".a").mkdir()
    (tmp_path / ".a" / "1.jpg").touch()
    assert [(str(photo.relative_to(tmp_path)), who) for photo, who in find_photos(tmp_path)] == [
        ("a/1.jpeg", "a"),
        ("b/1.png", "b"),
        ("b/2.JPG", "b"),
        ("strangers/s.jpg", "strangers/s.jpg"),
        ("strangers/t.jpg", "strangers/t.jpg"),
    ]


def test_a_folder_without_peoples_folders_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loose.jpg").touch()
    (tmp_path / "nobody").mkdir()
    with pytest.raises(UsageError, match="no folders of photographs"):
        find_photos(tmp_path)


@pytest.mark.parametrize("model", ["mobilefacenet", "fused"])
def test_a_network_that_is_not_there_is_named(model: str, tmp_path: Path) -> None:
    (tmp_path / "mobilefacenet.onnx").write_bytes(b"another file")
    for files in (None, tmp_path, tmp_path / "none"):
        with pytest.raises(UsageError, match="the network mobilefacenet is needed"), engine_for(model, files):
            pass


def test_one_persons_photographs_lie_near_one_another(album: Path) -> None:
    said: list[str] = []
    rows, whose, lacking = embed_folder(album, "dlib", None, said.append)
    assert lacking == {"no-face": 1, "several-faces": 1, "unreadable": 1}
    assert np.bincount(whose).tolist() == [2, 6, 1, 1]  # admiral, astronaut, and two strangers
    assert rows.shape == (10, 128)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-6)
    cosines = rows @ rows.T
    astronaut = whose == 1
    near = shipped("dlib").figures.same_person
    assert cosines[np.ix_(astronaut, astronaut)].min() > near
    assert cosines[np.ix_(~astronaut, ~astronaut)].min() > near
    assert cosines[np.ix_(astronaut, ~astronaut)].max() < near
    assert said == ["photographs: 0 of 13"]


def test_they_are_embedded_as_a_gate_does(portraits: Pair, tmp_path: Path) -> None:
    """Both ways round of the widest face."""
    (frame,) = moving(portraits[0], 1, seed=1)
    write_sequence(tmp_path / "one", portraits[0], 1, seed=1)
    rows, whose, _ = embed_folder(tmp_path, "dlib", None, print)
    with engine_for("dlib", None) as engine:
        (face,) = engine.find(frame, None)
        vector = engine.vector(engine.chip(frame, face), View.BOTH)
    assert whose.tolist() == [0]
    assert rows[0] == pytest.approx(vector, abs=1e-5)


def test_where_no_photograph_can_be_used_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "nobody").mkdir()
    assert cv2.imwrite(str(tmp_path / "nobody" / "wall.png"), np.full((200, 200, 3), 128, np.uint8))
    with pytest.raises(UsageError, match=r"No photograph .* has a face"):
        embed_folder(tmp_path, "dlib", None, print)


def test_a_folder_is_evaluated_with_the_shipped_figures(album: Path) -> None:
    """The astronaut is the resident; the admiral and two photographs of nobody known are the strangers."""
    body, figures = evaluate_people(album, Request(residents=1, draws=2), None, None, print)
    assert figures is None
    assert (body["residents"], body["people"], body["strangers"], body["left_out"]) == (1, 4, 3, 0)
    assert body["photographs_not_used"] == {"no-face": 1, "several-faces": 1, "unreadable": 1}
    assert (body["probes"], body["stranger_searches"]) == (3, 4)
    assert (body["shipped"]["fpir"], body["shipped"]["fnir"]) == (0.0, 0.0)


def test_fused_networks_are_known_by_their_hash_and_joined_by_their_shares(portraits: Pair, networks: Path) -> None:
    frames = [next(moving(portrait, 1, seed=seed)) for portrait in portraits for seed in (1, 2)]
    vectors = []
    with engine_for("fused", networks) as engine:
        for frame in frames:
            (face,) = engine.find(frame, None)
            assert face.points is not None, "YuNet finds the faces, by its points"
            vectors.append(engine.vector(engine.chip(frame, face), View.BOTH))
            engine.forget()
    rows = np.stack(vectors)
    assert rows.shape == (4, 256)
    assert np.linalg.norm(rows[:, :128], axis=1) == pytest.approx(DLIB_SHARE**0.5, abs=1e-5)
    near = shipped("fused").figures.same_person
    assert min(rows[0] @ rows[1], rows[2] @ rows[3]) > near > (rows[:2] @ rows[2:].T).max()
