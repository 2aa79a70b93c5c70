"""The benchmark runs and reports; how long anything takes is never asserted."""

from __future__ import annotations

from pathlib import Path

from gatevault.lab.bench import ESTATES, _cpu, bench
from gatevault.vision.frame import Pixels


def test_it_measures_both_on_the_same_frames(portraits: tuple[Pixels, Pixels]) -> None:
    body = bench(frames=1)
    assert body["frames"] == 2
    assert body["frame_ratio"] > 0
    assert set(body["frame_ms"]) == {"gatevault", "face_recognition"}
    assert set(body["match_ms"]) == set(map(str, ESTATES))
    assert body["machine"]["cores"] >= 1


def test_the_processor_is_named_where_the_kernel_tells(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    assert _cpu(info) == ""
    info.write_text("processor\t: 0\nmodel name\t: Fast CPU @ 3 GHz\n")
    assert _cpu(info) == "Fast CPU @ 3 GHz"
    info.write_text("processor\t: 0\nBogoMIPS\t: 108.00\n\nModel\t: Raspberry Pi 5 Model B\n")
    assert _cpu(info) == "Raspberry Pi 5 Model B"
