"""The demo's portraits, where the development wheels are; research data, where it is beside the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatevault.core.errors import GateVaultError
from gatevault.lab.portraits import admiral, astronaut
from gatevault.vision.frame import Pixels


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
