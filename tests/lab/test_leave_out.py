"""People of photographs are found in a set of embeddings, so that they can be left out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gatevault.core.errors import UsageError
from gatevault.lab.leave_out import leave_out
from gatevault.vision import models
from gatevault.vision.embed import View
from gatevault.vision.engine import FaceEngine
from gatevault.vision.frame import Pixels


def test_the_person_of_a_photograph_is_found(portraits: tuple[Pixels, Pixels], tmp_path: Path) -> None:
    engine = FaceEngine(models.load())
    chance = np.random.default_rng(1)
    vectors = (0.13 * chance.standard_normal((9, 128))).astype(np.float32)
    (face,) = engine.find(portraits[0], None)
    vectors[5] = engine.vector(engine.chip(portraits[0], face), View.PLAIN)
    engine.forget()
    for number, portrait in enumerate((*portraits, np.zeros((200, 200, 3), np.uint8))):
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), portrait[:, :, ::-1])
    found = leave_out(tmp_path, vectors, np.arange(100, 109), engine)
    assert found.identities == {105}
    assert (found.photos, found.unknown) == (3, 2)
    assert found.farthest < 0.01


def test_an_empty_folder_leaves_nobody_out(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no photographs"):
        leave_out(tmp_path, np.zeros((1, 128), np.float32), np.zeros(1, np.int32))
