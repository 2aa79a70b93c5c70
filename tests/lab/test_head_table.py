"""The generic head's table is what its script prints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gatevault.lab import head_table
from gatevault.vision.liveness.head import TABLE


@pytest.fixture
def mesh() -> Path:
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "pad" / "mesh"
    if not folder.is_dir():
        pytest.skip("the morphable head is not beside this checkout (../shared/data)")
    return folder


def test_the_table_is_that_of_the_morphable_heads_mean(mesh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert head_table.main([str(mesh)]) == 0
    printed = [[float(value) for value in row.split()] for row in capsys.readouterr().out.splitlines()]
    assert np.allclose(np.array(printed) / 100.0, TABLE)


def test_without_the_model_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert head_table.main([str(tmp_path)]) == 1
    assert "sfm_mean.npz" in capsys.readouterr().err
