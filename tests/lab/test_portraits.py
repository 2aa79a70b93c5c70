"""The moving sequences: frames that differ, of one person, the same for the same seed."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from gatevault.core.errors import GateVaultError
from gatevault.core.matching import template_mean, unit
from gatevault.core.settings import LookSettings, MatchSettings
from gatevault.core.types import Vector
from gatevault.lab import portraits as portraits_module
from gatevault.lab.portraits import HEIGHT, WIDTH, moving, write_sequence
from gatevault.vision import models
from gatevault.vision.frame import Pixels
from gatevault.vision.look import DlibEngine
from gatevault.vision.pictures import read_picture

Pair = tuple[Pixels, Pixels]


def test_frames_differ_and_a_seed_repeats(portraits: Pair) -> None:
    frames = list(moving(portraits[0], 6, seed=1))
    assert {frame.shape for frame in frames} == {(HEIGHT, WIDTH, 3)}
    assert all(not np.array_equal(one, other) for one, other in combinations(frames, 2))
    assert all(map(np.array_equal, frames, moving(portraits[0], 6, seed=1)))
    assert not np.array_equal(frames[0], next(moving(portraits[0], 6, seed=2)))


def test_every_frame_shows_one_usable_face_of_one_person(portraits: Pair) -> None:
    engine, look, match = DlibEngine(models.load()), LookSettings(), MatchSettings()
    means = []
    for portrait in portraits:
        vectors: list[Vector] = []
        for frame in moving(portrait, 6, seed=3):
            (face,) = engine.find(frame, look.min_score)
            assert face.box.width >= look.min_size
            vectors.append(unit(engine.vector(engine.chip(frame, face.box))))
        mean = template_mean(np.stack(vectors))
        assert min(float(vector @ mean) for vector in vectors) >= match.threshold
        means.append(mean)
    assert float(means[0] @ means[1]) < match.threshold - 0.02


def test_a_sequence_is_written_without_loss(portraits: Pair, tmp_path: Path) -> None:
    camera = write_sequence(tmp_path / "sequence", portraits[1], 2, seed=5)
    assert camera == f"dir:{tmp_path / 'sequence'}"
    written = [read_picture(path) for path in sorted((tmp_path / "sequence").iterdir())]
    assert all(map(np.array_equal, written, moving(portraits[1], 2, seed=5)))


def test_without_the_wheels_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(GateVaultError, match="make setup"):
        portraits_module.astronaut()
    with pytest.raises(GateVaultError, match="make setup"):
        portraits_module.admiral()
