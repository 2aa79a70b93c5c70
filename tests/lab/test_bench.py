"""The benchmark runs and reports; how long anything takes is never asserted."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatevault.core.errors import UsageError
from gatevault.lab.bench import ESTATES, OURS, THEIRS, _cpu, bench
from gatevault.vision.frame import Pixels

YUNET = Path(__file__).resolve().parents[3] / "shared" / "data" / "models" / "face_detection_yunet_2023mar.onnx"


def test_all_are_measured_on_the_same_frames(portraits: tuple[Pixels, Pixels]) -> None:
    body = bench(frames=3)
    assert body["frames"] == 6
    assert body["found"][OURS] == body["found"][THEIRS] == "6 of 6"
    assert set(body["frame_ms"]) == set(body["walk_up_ms"]) == set(body["peak_mb"])
    assert set(body["embed_ms"]) == {OURS, THEIRS, "arithmetic_floor"}
    for ratio in ("frame_ratio", "walk_up_ratio", "embed_ratio", "embed_over_floor"):
        assert body[ratio] > 0
    assert set(body["match_ms"]) == set(map(str, ESTATES))
    assert body["machine"]["cores"] >= 1


@pytest.mark.skipif(not YUNET.is_file(), reason="YuNet's file is not here (../shared/data/models)")
def test_yunet_is_timed_where_its_file_is_given(portraits: tuple[Pixels, Pixels]) -> None:
    body = bench(frames=3, yunet=YUNET)
    assert body["frame_ratio_yunet"] > 0
    assert "gatevault-yunet" in body["peak_mb"]


def test_another_file_is_not_taken_for_yunet(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"something")
    with pytest.raises(UsageError, match="not the YuNet"):
        bench(yunet=tmp_path / "x.onnx")
    with pytest.raises(UsageError, match="cannot be read"):
        bench(yunet=tmp_path / "none.onnx")


def test_the_processor_is_named_where_the_kernel_tells(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    assert _cpu(info) == ""
    info.write_text("processor\t: 0\nmodel name\t: Fast CPU @ 3 GHz\n")
    assert _cpu(info) == "Fast CPU @ 3 GHz"
    info.write_text("processor\t: 0\nBogoMIPS\t: 108.00\n\nModel\t: Raspberry Pi 5 Model B\n")
    assert _cpu(info) == "Raspberry Pi 5 Model B"
