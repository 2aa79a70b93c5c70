"""Pictures that ship with scientific packages, real networks loaded once, research data where it is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from gatevault.vision import models
from gatevault.vision.frame import Pixels
from gatevault.vision.look import DlibEngine
from gatevault.vision.pictures import read_picture
from tests.vision.daemon import Daemon


@pytest.fixture(scope="session")
def loaded() -> models.Models:
    return models.load()


@pytest.fixture(scope="session")
def engine(loaded: models.Models) -> DlibEngine:
    return DlibEngine(loaded)


@pytest.fixture(scope="session")
def _astronaut() -> Pixels:
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[:, :, :3])


@pytest.fixture
def astronaut(_astronaut: Pixels) -> Pixels:
    """512×512, one face about 100 pixels wide."""
    return _astronaut.copy()


@pytest.fixture(scope="session")
def hopper_file() -> Path:
    matplotlib = pytest.importorskip("matplotlib")
    return Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"


@pytest.fixture
def hopper(hopper_file: Path) -> Pixels:
    """512×600, one face about 220 pixels wide."""
    return read_picture(hopper_file)


@pytest.fixture
def shared() -> Path:
    """Research data beside the repository, never in it."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the research data is not beside this checkout (../shared/data)")
    return folder


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A fresh vision process, waiting to be greeted."""
    ours = Daemon(tmp_path)
    yield ours
    ours.close()


@pytest.fixture
def picture(tmp_path: Path, astronaut: Pixels) -> Path:
    """A folder with one lossless picture of one face."""
    folder = tmp_path / "photos"
    folder.mkdir()
    assert cv2.imwrite(str(folder / "1.png"), astronaut[:, :, ::-1])
    return folder
