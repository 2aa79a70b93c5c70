"""The figures of the hardware pages and profiles are those of their formulas."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gatevault.core.camera import OPEN_MS
from gatevault.core.header import physical

HARDWARE = Path(__file__).parents[2] / "hardware"
PROFILES = sorted((HARDWARE / "boards").glob("pi-*.toml"))

COPPER, DROP = 0.0175, 0.6
"""Ohm mm²/m at 20 °C, and 5 % of 12 V."""


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_each_pin_of_a_profile_tells_its_place_on_the_header(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    told = re.findall(r"^(?:pin|d0|d1) = (\d+) # header pin (\d+)$", text, re.MULTILINE)
    assert len(told) == len(re.findall(r"^(?:pin|d0|d1) = ", text, re.MULTILINE)) > 5
    assert all(physical(int(bcm)) == int(number) for bcm, number in told)


def test_the_longest_runs_of_lock_cable() -> None:
    lines = (HARDWARE / "power.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    currents = [float(cell.split()[0]) for cell in next(row for row in rows if row[:2] == ["wire", "mm²"])[2:]]
    wires = [row for row in rows if len(row) == 6 and re.fullmatch(r"[\d.]+", row[1])]
    assert len(wires) == 5
    for _, area, *runs in wires:
        for current, run in zip(currents, runs, strict=True):
            assert int(run.split()[0]) == int(DROP * float(area) / (2 * COPPER * current)), (area, current)


def test_the_camera_pages_tell_the_limit_that_is_kept() -> None:
    for page in (HARDWARE / "README.md", HARDWARE.parent / "docs" / "adr" / "0017-who-begins-a-look.md"):
        assert f"{OPEN_MS} ms" in page.read_text(encoding="utf-8")
