"""Corners that are followed, beside dlib's 68 landmarks: both see the same turns."""

from __future__ import annotations

from pathlib import Path

import dlib
import numpy as np
import pytest

from gatevault.core.errors import UsageError
from gatevault.lab.landmarks import CORNERS, LANDMARKS, compare, main, separation, show
from gatevault.lab.presentations.people import public_domain
from gatevault.lab.presentations.species import draw
from gatevault.vision import models
from gatevault.vision.engine import FaceEngine
from gatevault.vision.frame import Pixels
from gatevault.vision.weights import package_folder


@pytest.fixture
def file() -> Path:
    """Of face_recognition_models, which face_recognition brings: a contender of the lab's, no part of a gate."""
    path = package_folder() / "shape_predictor_68_face_landmarks.dat"
    if not path.is_file():
        pytest.skip("this face_recognition_models has no file of 68 landmarks")
    return path


def test_both_see_the_turns_of_a_living_head_and_a_print_has_none(
    file: Path, portraits: tuple[Pixels, Pixels]
) -> None:
    networks = models.load()
    people, predictor = public_domain(networks), dlib.shape_predictor(str(file))
    living, printed = (
        show(draw(species, "rgb", 1, people, "test"), FaceEngine(networks), predictor)
        for species in ("bona-fide", "print-moved")
    )
    assert living is not None
    assert printed is not None
    for name in (CORNERS, LANDMARKS):
        assert living[name].reach > 2.0 * printed[name].reach
        assert living[name].frames > 50
        assert living[name].spent_s > 0.0
    assert living[CORNERS].passed
    assert not printed[CORNERS].passed
    (times, turns), (other_times, other_turns) = (living[name].log.series() for name in (CORNERS, LANDMARKS))
    assert np.corrcoef(np.interp(other_times, times, turns), other_turns)[0, 1] > 0.9


def test_separation_is_the_area_under_the_curve() -> None:
    assert separation([2.0, 3.0], [0.0, 1.0]) == 1.0
    assert separation([0.0, 1.0], [2.0, 3.0]) == 0.0
    assert separation([1.0, 1.0], [1.0]) == 0.5
    assert separation([0.0, 2.0], [1.0]) == 0.5


def test_another_file_is_refused_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "it.dat").write_bytes(b"no landmarks")
    with pytest.raises(UsageError, match="68 landmarks"):
        compare(tmp_path / "it.dat", tmp_path, None, 1)
    assert main([str(tmp_path / "it.dat"), str(tmp_path)]) == 2
    assert "name another" in capsys.readouterr().err
