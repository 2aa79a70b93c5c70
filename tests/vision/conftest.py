"""Pictures that ship with scientific packages, real networks loaded once, research data where it is there."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path

import cv2
import dlib
import numpy as np
import pytest

from gatevault.core.models import DLIB
from gatevault.vision import models
from gatevault.vision.detect import Detector
from gatevault.vision.engine import FaceEngine
from gatevault.vision.export import exported
from gatevault.vision.frame import Pixels
from gatevault.vision.hog import HogDetector
from gatevault.vision.pictures import read_picture
from gatevault.vision.yunet import YunetDetector
from tests.vision.daemon import Daemon
from tests.vision.picam import Picamera2


@pytest.fixture(scope="session")
def loaded() -> models.Models:
    return models.load()


@pytest.fixture(scope="session")
def engine(loaded: models.Models) -> FaceEngine:
    return FaceEngine(loaded)


@pytest.fixture(scope="session")
def network() -> bytes:
    """dlib's network as ONNX, as a device has it."""
    return exported()


@pytest.fixture(scope="session")
def folder(network: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models folder of a device as `init` makes it. Not to be written into."""
    folder = tmp_path_factory.mktemp("models")
    (folder / DLIB.file).write_bytes(network)
    return folder


YUNET = Path("models") / "face_detection_yunet_2023mar.onnx"


@pytest.fixture(params=["hog", "yunet"])
def detector(request: pytest.FixtureRequest) -> Detector:
    """Every detector in turn; YuNet where its file is."""
    if request.param == "hog":
        return HogDetector(dlib.get_frontal_face_detector())
    shared: Path = request.getfixturevalue("shared")
    return YunetDetector((shared / YUNET).read_bytes())


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
def daemon(tmp_path: Path, folder: Path) -> Iterator[Daemon]:
    """A fresh vision process, waiting to be greeted."""
    ours = Daemon(tmp_path, folder)
    yield ours
    ours.close()


@pytest.fixture
def picture(tmp_path: Path, astronaut: Pixels) -> Path:
    """A folder with one lossless picture of one face."""
    folder = tmp_path / "photos"
    folder.mkdir()
    assert cv2.imwrite(str(folder / "1.png"), astronaut[:, :, ::-1])
    return folder


@pytest.fixture
def picamera2(monkeypatch: pytest.MonkeyPatch) -> type[Picamera2]:
    module = types.ModuleType("picamera2")
    made = type("Picamera2", (Picamera2,), {"made": []})
    module.Picamera2 = made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    return made
