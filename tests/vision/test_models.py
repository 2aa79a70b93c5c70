"""A weight file is used only if it is the one that was measured, byte by byte."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

from gatevault.core.errors import ModelError
from gatevault.vision import models


def package() -> Path:
    found = importlib.util.find_spec(models.PACKAGE)
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "models"


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    for name in (models.LANDMARKS, models.EMBEDDER):
        (tmp_path / name).write_bytes((package() / name).read_bytes())
    return tmp_path


def test_the_pinned_hashes_are_those_of_the_installed_files(loaded: models.Models) -> None:
    assert loaded.model == hashlib.sha256((package() / models.EMBEDDER).read_bytes()).hexdigest()
    assert loaded.dimension == 128


@pytest.mark.parametrize("name", [models.LANDMARKS, models.EMBEDDER])
def test_an_altered_file_is_refused(copies: Path, name: str) -> None:
    with (copies / name).open("r+b") as file:
        file.seek(1_000_000)
        byte = file.read(1)
        file.seek(1_000_000)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(ModelError, match=r"not the one .* install"):
        models.load(copies)


def test_an_absent_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        models.load(tmp_path)


def test_an_absent_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install"):
        models.load()


def test_a_file_rewritten_in_place_after_hashing_changes_nothing(
    copies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = models._build
    given = []

    def swapped(make: Any, path: str, name: str) -> Any:
        given.append(path)
        (copies / name).write_bytes(b"not a model")
        fd = os.open(path, os.O_RDWR)
        try:
            with pytest.raises(PermissionError):
                os.write(fd, b"not a model")
        finally:
            os.close(fd)
        return build(make, path, name)

    monkeypatch.setattr(models, "_build", swapped)
    assert models.load(copies).network is not None
    assert len(given) == 2
