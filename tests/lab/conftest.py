"""The demo's portraits, where the development wheels are; research data, where it is there; synthetic people."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatevault.core.calibration import unpack
from gatevault.core.errors import GateVaultError
from gatevault.lab import calibrate, evaluate
from gatevault.lab.portraits import admiral, astronaut
from gatevault.vision.frame import Pixels
from tests.lab.people import groups, people, write


@pytest.fixture(scope="session")
def portraits() -> tuple[Pixels, Pixels]:
    """The astronaut and the admiral."""
    try:
        return astronaut(), admiral()
    except GateVaultError as error:
        pytest.skip(str(error))


@pytest.fixture
def photos() -> Path:
    """Photographs of residents and strangers, never in the repository."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "recognition" / "photos"
    if not folder.is_dir():
        pytest.skip("the research data is not beside this checkout (../shared/data)")
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with synthetic `people.npz` and `groups.npz`, and the calibrations that were fitted on them."""
    folder = tmp_path_factory.mktemp("made")
    sets = [str(write(folder / "people.npz", people())), str(write(folder / "groups.npz", groups()))]
    assert calibrate.main([*sets, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def theirs(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, with its calibrations in the place of those that ship."""
    monkeypatch.setattr(evaluate, "shipped", lambda model: unpack((made / f"{model}.cal").read_bytes()))
    return made
