"""Which figures faces are decided by: those that ship, the site's own, or none."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from gatevault.core.calibration import unpack
from gatevault.core.errors import CalibrationError
from gatevault.core.models import DLIB, CalibrationFile, Embedder, EmbedderKind, ModelSettings
from gatevault.lab.sets import MODELS
from gatevault.service.calibrations import load_calibration
from gatevault.service.catalogue import add
from gatevault.service.config import load_settings
from gatevault.service.making import make_state
from gatevault.service.state import StatePaths
from tests.calibrations import packed, shipped_bytes

MOBILEFACENET = Embedder(EmbedderKind.MOBILEFACENET, "mobile.onnx", MODELS["mobilefacenet"][0].embedder)


def own(folder: Path, data: bytes) -> ModelSettings:
    folder.mkdir(exist_ok=True)
    (folder / "site.cal").write_bytes(data)
    return ModelSettings(calibration=CalibrationFile("site.cal", hashlib.sha256(data).hexdigest()))


@pytest.mark.parametrize(
    ("embedders", "name"),
    [((), "dlib"), ((MOBILEFACENET,), "mobilefacenet"), ((MOBILEFACENET, DLIB), "fused")],
)
def test_the_shipped_figures_are_found_by_the_networks(
    embedders: tuple[Embedder, ...], name: str, tmp_path: Path
) -> None:
    found = load_calibration(tmp_path, ModelSettings(embedders=embedders))
    assert found.figures.name == name
    assert len(found.figures.tails) == 10


def test_the_sites_own_come_first(tmp_path: Path) -> None:
    data = packed(128, embedders=(DLIB.sha256,))
    assert load_calibration(tmp_path, own(tmp_path, data)).figures.name == "test"


def test_another_file_than_was_chosen_is_refused(tmp_path: Path) -> None:
    settings = own(tmp_path, packed(128, embedders=(DLIB.sha256,)))
    (tmp_path / "site.cal").write_bytes(shipped_bytes("dlib"))
    with pytest.raises(CalibrationError, match="not the calibration that was chosen"):
        load_calibration(tmp_path, settings)
    (tmp_path / "site.cal").unlink()
    with pytest.raises(CalibrationError, match="cannot be read"):
        load_calibration(tmp_path, settings)


def test_figures_of_other_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="of other networks than dlib"):
        load_calibration(tmp_path, own(tmp_path, shipped_bytes("mobilefacenet")))


def test_networks_that_nobody_calibrated_are_refused(tmp_path: Path) -> None:
    unknown = Embedder(EmbedderKind.SFACE, "sface.onnx", "ab" * 32)
    with pytest.raises(CalibrationError, match="no figures for sface"):
        load_calibration(tmp_path, ModelSettings(embedders=(unknown,)))


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StatePaths:
    monkeypatch.setattr("gatevault.service.making.make_folder", lambda folder: folder.mkdir())
    monkeypatch.setattr("gatevault.service.models.make_folder", lambda folder: folder.mkdir(exist_ok=True))
    make_state(tmp_path / "state", bench=True, keys="file", name="bench", board=None)
    return StatePaths(tmp_path / "state")


def test_a_calibration_is_added_and_used(paths: StatePaths, tmp_path: Path) -> None:
    file = tmp_path / "my site.cal"
    file.write_bytes(packed(128, embedders=(DLIB.sha256,)))
    body = add(paths, file, None, use=True, fuse=False)
    assert (body["kind"], body["used"], body["enrol_again"]) == ("calibration", True, 0)
    settings = load_settings(paths.config).models
    assert settings.calibration is not None
    assert load_calibration(paths.models, settings).figures.name == "test"


def test_what_is_no_calibration_or_of_other_networks_is_not_added(paths: StatePaths, tmp_path: Path) -> None:
    for data in (b"nonsense", shipped_bytes("fused")):
        file = tmp_path / "site.cal"
        file.write_bytes(data)
        with pytest.raises(CalibrationError):
            add(paths, file, None, use=True, fuse=False)
    assert not list(paths.models.glob("*.cal"))
    assert load_settings(paths.config).models.calibration is None


def test_other_networks_end_the_use_of_a_calibration(
    paths: StatePaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gatevault.service import catalogue
    from gatevault.service.models import Trial

    monkeypatch.setattr(catalogue.models, "trial", lambda kind, file: Trial(128, 90))
    (tmp_path / "site.cal").write_bytes(packed(128, embedders=(DLIB.sha256,)))
    add(paths, tmp_path / "site.cal", None, use=True, fuse=False)
    (tmp_path / "other.onnx").write_bytes(b"other")
    add(paths, tmp_path / "other.onnx", "mobilefacenet", use=True, fuse=False)
    assert load_settings(paths.config).models.calibration is None


def test_every_shipped_file_opens(tmp_path: Path) -> None:
    for name in ("dlib", "mobilefacenet", "fused"):
        found = unpack(shipped_bytes(name))
        assert found.dimension == 128 * len(found.figures.parts)
