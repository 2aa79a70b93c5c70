"""Watching what becomes of vectors."""

from __future__ import annotations

import pytest

from gatevault.core.normalisation import Normaliser
from gatevault.core.types import Vector


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Vector]:
    """Every unit vector that was made."""
    found: list[Vector] = []
    unit = Normaliser.unit

    def watched(self: Normaliser, vector: Vector) -> Vector:
        found.append(unit(self, vector))
        return found[-1]

    monkeypatch.setattr(Normaliser, "unit", watched)
    return found
