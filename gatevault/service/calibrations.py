"""The figures by which faces are decided on: the site's own where it names some, else those that ship."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Final

from gatevault.core.calibration import Calibration, unpack
from gatevault.core.errors import CalibrationError
from gatevault.core.models import ModelSettings, kinds

MAX_BYTES: Final = 64 * 1024 * 1024
"""Largest calibration read; those that ship have 0.4 MB, wider networks more."""

SHIPPED: Final = "calibrations"
"""Their folder in the package."""


def load_calibration(folder: Path, settings: ModelSettings) -> Calibration:
    """The calibration of the networks that the settings name; `folder` is the models folder. CalibrationError."""
    embedders = settings.chosen_embedders
    chosen = settings.calibration
    if chosen is not None:
        found = unpack(_read(folder / chosen.file, chosen.sha256))
        if not found.fits(embedders):
            raise CalibrationError(
                f"{chosen.file} is the calibration of other networks than {kinds(embedders)}: name another one."
            )
        return found
    for data in shipped():
        found = unpack(data)
        if found.fits(embedders):
            return found
    raise CalibrationError(
        f"There are no figures for {kinds(embedders)}, so nobody knows how often strangers would come in: choose "
        "networks that are calibrated (`gatevault models list`), or make figures of your own (docs/recognition.md)."
    )


def shipped() -> list[bytes]:
    """Every calibration of the package."""
    there = sorted(files("gatevault").joinpath(SHIPPED).iterdir(), key=lambda path: path.name)
    return [path.read_bytes() for path in there if path.name.endswith(".cal")]


def _read(path: Path, expected: str) -> bytes:
    """The bytes that are hashed are those that are used."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CalibrationError(
            f"The calibration {path} cannot be read ({error.strerror}): add it with `gatevault models add`."
        ) from None
    if hashlib.sha256(data).hexdigest() != expected:
        raise CalibrationError(f"{path} is not the calibration that was chosen: move it away, add the right one.")
    return data
