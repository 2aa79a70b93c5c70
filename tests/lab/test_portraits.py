"""The moving sequences: frames that differ, of one person, the same for the same seed."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from gatevault.core.errors import GateVaultError
from gatevault.core.matching import Fusion, Gallery, decide, template_mean, unit
from gatevault.core.settings import LookSettings, MatchSettings
from gatevault.core.types import Match, NoMatch, Reason, Vector
from gatevault.lab import portraits as portraits_module
from gatevault.lab.evaluate import shipped
from gatevault.lab.portraits import HEIGHT, WIDTH, moving, write_sequence
from gatevault.vision import models
from gatevault.vision.embed import View
from gatevault.vision.engine import FaceEngine
from gatevault.vision.frame import Pixels
from gatevault.vision.pictures import read_picture

Pair = tuple[Pixels, Pixels]


def test_frames_differ_and_a_seed_repeats(portraits: Pair) -> None:
    frames = list(moving(portraits[0], 6, seed=1))
    assert {frame.shape for frame in frames} == {(HEIGHT, WIDTH, 3)}
    assert all(not np.array_equal(one, other) for one, other in combinations(frames, 2))
    assert all(map(np.array_equal, frames, moving(portraits[0], 6, seed=1)))
    assert not np.array_equal(frames[0], next(moving(portraits[0], 6, seed=2)))


def frames_of(portrait: Pixels, engine: FaceEngine, seed: int) -> list[Vector]:
    """The embeddings of six frames, of which each shows one usable face."""
    look, vectors = LookSettings(), []
    for frame in moving(portrait, 6, seed):
        (face,) = engine.find(frame, look.min_score)
        assert face.box.width >= look.min_size
        vectors.append(unit(engine.vector(engine.chip(frame, face), View.BOTH)))
    engine.forget()
    return vectors


def test_every_frame_shows_one_usable_face_of_one_person(portraits: Pair) -> None:
    """Enrolled from one sequence, let in with another as oneself, refused where only the other is enrolled."""
    engine, calibration = FaceEngine(models.load()), shipped("dlib")
    templates = [
        template_mean(np.stack(frames_of(portrait, engine, seed=3)), calibration.normaliser)
        for portrait in portraits
    ]
    penalties = np.array([calibration.penalty(template) for template in templates], np.float32)
    both = Gallery(("astronaut", "admiral"), np.stack(templates), penalties)
    for number, portrait in enumerate(portraits):
        fusion = Fusion(calibration)
        for vector in frames_of(portrait, engine, seed=4):
            fusion.add(vector)
        assert fusion.count == 6, "every frame agrees with those before it"
        assert decide(fusion, both, calibration, MatchSettings()) == Match(both.residents[number])
        other = slice(1 - number, 2 - number)
        without = Gallery(both.residents[other], both.rows[other], both.penalties[other])
        assert decide(fusion, without, calibration, MatchSettings()) == NoMatch(Reason.NO_MATCH)


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
