"""The measurements of detection: shares of faces found, and what following saves, on the demo's portraits."""

from __future__ import annotations

from pathlib import Path

import dlib
import pytest

from gatevault.lab import detection
from gatevault.lab.portraits import moving
from gatevault.vision.frame import Pixels
from gatevault.vision.hog import HogDetector

Pair = tuple[Pixels, Pixels]


@pytest.fixture
def hog() -> HogDetector:
    return HogDetector(dlib.get_frontal_face_detector())


def test_shares_by_width_rise_where_the_detector_begins_to_see(portraits: Pair, hog: HogDetector) -> None:
    shares = detection.by_size(hog, portraits)
    assert (shares["20"], shares["80"]) == (0.0, 1.0)


def test_each_level_is_counted(portraits: Pair, hog: HogDetector) -> None:
    coarse, _, finest = detection.by_level(hog, portraits)
    assert (coarse["side"], finest["side"]) == hog.sides[::2]
    assert (coarse["pictures"], coarse["with_face"], coarse["faces"]) == (2, 2, 2)
    assert 100 < coarse["narrowest"] < 200


def test_following_searches_less_and_finds_the_same(portraits: Pair, hog: HogDetector) -> None:
    told = detection.following(hog, list(moving(portraits[0], 24, seed=4))[:9])
    assert told["frames"] == 9
    assert told["frames_with_fewer_faces"] == 0
    assert told["searched_in_full"] == pytest.approx(4 / 9, abs=0.001)  # the first two, and two more
    assert told["median_overlap"] > 0.7


def test_absent_data_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detection.main([str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().err
