"""Which files may be named, and the one name of a recipe."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest

from gatevault.core.models import (
    DLIB,
    HOG,
    CalibrationFile,
    Detector,
    DetectorKind,
    Embedder,
    EmbedderKind,
    ModelSettings,
    kinds,
    model_name,
    shares,
)
from gatevault.core.settings import Settings

FILE = {"file": "network.onnx", "sha256": "ab" * 32}
YUNET = Detector(DetectorKind.YUNET, "yunet.onnx", "cd" * 32)
MOBILEFACENET = Embedder(EmbedderKind.MOBILEFACENET, "mobile.onnx", "ef" * 32)
NO_NAMES = ("", "..", "../a.b", "/a.b", "a/b.c", "a\\b", ".a.b", "a..b", "a\n", "a\0b", "é.onnx", "x" * 200)
NO_HASHES = ("", "ab" * 31, "AB" * 32, "ab" * 32 + "\n", "g" * 64, "ab" * 33)


def settings(**models: Any) -> ModelSettings:
    return msgspec.convert({"models": models}, Settings).models


def test_nothing_named_means_the_files_of_the_packages() -> None:
    assert Settings().models == ModelSettings()
    assert ModelSettings().chosen_detector == HOG
    assert ModelSettings().chosen_embedders == (DLIB,)
    assert ModelSettings().files() == [(DLIB.file, DLIB.sha256)]


def test_what_is_named_counts() -> None:
    found = settings(
        detector={"kind": "yunet", **FILE}, embedders=[{"kind": "dlib", **FILE}, msgspec.to_builtins(MOBILEFACENET)]
    )
    assert found.chosen_detector.kind is DetectorKind.YUNET
    assert kinds(found.chosen_embedders) == "dlib + mobilefacenet"
    assert found.files() == [("network.onnx", "ab" * 32)] * 2 + [("mobile.onnx", "ef" * 32)]
    assert settings(detector={"kind": "hog"}).chosen_detector == HOG


@pytest.mark.parametrize(
    "bad",
    [
        {"detector": {"kind": "yunet"}},
        {"detector": {"kind": "yunet", "file": "a.onnx"}},
        {"detector": {"kind": "hog", **FILE}},
        {"detector": {"kind": "haar", **FILE}},
        {"detector": {"kind": "yunet", **FILE, "score": 1}},
        {"detectors": {"kind": "hog"}},
        {"embedders": {"kind": "dlib", **FILE}},
        {"embedders": [{"kind": "yunet", **FILE}]},
        {"embedders": [{"kind": "dlib", "file": "a.onnx"}]},
        {"embedders": [{"kind": "dlib", **FILE}] * 2},
        {"embedders": [{"kind": "dlib", **FILE}, {"kind": "sface", "file": "b.onnx", "sha256": "ab" * 32}]},
        {"embedders": [{"kind": "dlib", "file": f"{i}.onnx", "sha256": f"{i}" * 64} for i in range(3)]},
        {"calibration": "site.cal"},
        {"calibration": {"file": "site.cal"}},
        {"calibration": {"sha256": "ab" * 32}},
        {"calibration": {"kind": "dlib", **FILE}},
        *({"embedders": [{"kind": "dlib", **FILE, "file": name}]} for name in NO_NAMES),
        *({"embedders": [{"kind": "dlib", **FILE, "sha256": sha256}]} for sha256 in NO_HASHES),
        *({"calibration": FILE | {"file": name}} for name in NO_NAMES),
        *({"calibration": FILE | {"sha256": sha256}} for sha256 in NO_HASHES),
    ],
    ids=str,
)
def test_what_is_not_right_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError, match="models"):
        settings(**bad)


def test_the_name_follows_its_definition() -> None:
    """RFC 8785 by hand: names in order, no spaces."""
    recipe = (
        '{"embedders":[{"kind":"dlib","preparation":"landmarks-chip/1",'
        f'"sha256":"{DLIB.sha256}"}}],"fusion":[1000]}}'
    )
    assert model_name(ModelSettings()) == hashlib.sha256(b"gv/model/v1\0" + recipe.encode()).hexdigest()
    fused = (
        '{"embedders":[{"kind":"dlib","preparation":"landmarks-chip/1",'
        f'"sha256":"{DLIB.sha256}"}},{{"kind":"mobilefacenet","preparation":"arcface-yunet/1",'
        f'"sha256":"{MOBILEFACENET.sha256}"}}],"fusion":[700,300]}}'
    )
    wanted = hashlib.sha256(b"gv/model/v1\0" + fused.encode()).hexdigest()
    assert model_name(ModelSettings(YUNET, (MOBILEFACENET, DLIB))) == wanted


def test_another_file_preparation_or_fusion_is_another_model() -> None:
    other = Embedder(EmbedderKind.DLIB, DLIB.file, "12" * 32)
    names = [
        model_name(ModelSettings(detector, embedders))
        for detector, embedders in (
            (None, ()),
            (None, (other,)),
            (None, (MOBILEFACENET,)),
            (YUNET, (MOBILEFACENET,)),
            (None, (DLIB, MOBILEFACENET)),
        )
    ]
    assert len(set(names)) == len(names)


def test_a_files_name_and_what_the_preparation_does_not_use_change_nothing() -> None:
    renamed = Embedder(EmbedderKind.DLIB, "another-name.onnx", DLIB.sha256)
    assert model_name(ModelSettings(YUNET, (renamed,))) == model_name(ModelSettings())


def test_the_order_in_which_two_are_written_changes_nothing() -> None:
    assert model_name(ModelSettings(None, (MOBILEFACENET, DLIB))) == model_name(
        ModelSettings(None, (DLIB, MOBILEFACENET))
    )


def test_figures_of_ones_own_are_no_network_and_change_no_name() -> None:
    usual = settings(embedders=[{"kind": "dlib", **FILE}])
    own = settings(embedders=[{"kind": "dlib", **FILE}], calibration={"file": "site.cal", "sha256": "cd" * 32})
    assert usual.calibration is None
    assert own.calibration == CalibrationFile("site.cal", "cd" * 32)
    assert own.files() == usual.files()
    assert model_name(own) == model_name(usual)


def test_shares_of_a_fused_cosine_add_up_to_one() -> None:
    other = Embedder(EmbedderKind.SFACE, "sface.onnx", "34" * 32)
    for embedders in ((DLIB,), (DLIB, other), (other, DLIB), (MOBILEFACENET, other)):
        assert sum(shares(embedders)) == pytest.approx(1)
    assert shares((DLIB, other)) == pytest.approx((0.7, 0.3))
    assert shares((MOBILEFACENET, other)) == (0.5, 0.5)
