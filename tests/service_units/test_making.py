"""A state is made aside and moved in whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatevault.core.errors import StateError
from gatevault.service.making import build_aside, make_state
from gatevault.service.state import FORMAT, NO_OPTIONS, Device, StatePaths


def test_two_that_make_one_state_at_once_do_not_sweep_each_other_away(tmp_path: Path) -> None:
    root, seen = tmp_path / "state", []

    def fill(paths: StatePaths) -> None:
        make_state(root, bench=True, keys="file", name="bench", board=None)
        seen.append(paths.keys.is_dir())

    with pytest.raises(StateError, match="nothing was left behind"):
        build_aside(root, Device(FORMAT, "gv-0000000000000000", True), fill, "file", NO_OPTIONS)
    assert seen == [True]
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert StatePaths(root).ledger.exists(), "the first to end has it"
